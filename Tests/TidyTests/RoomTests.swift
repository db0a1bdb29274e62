import Testing

/// The rooms of Sources/Proxy and which others each may know; docs/ARCHITECTURE.md has the same table in words.
@Suite("Rooms")
struct RoomTests {
    /// One folder per stage of a request: these know each other.
    private static let product: Set = [
        "Worker", "Client", "Answers", "Exchange", "Admission", "Backend", "Routing", "Rewriting", "Balancing", "Caching", "Delegation",
        "Logging", "Metrics",
    ]
    /// How the program starts, is asked and is configured.
    private static let top: Set = ["Startup", "Admin", "Configuration"]

    private static func mayKnow(_ room: String) -> Set<String>? {
        switch room {
        case "Engine", "HTTP": []
        case "TLS": ["Engine"]
        case "HTTP2": ["HTTP"]
        case "Cache": ["HTTP", "Engine"]
        case "Load", "Origin": ["Engine", "HTTP", "TLS"]
        // Its experiments and profiles are written in the language of the configuration, and vary words of it.
        case "Lab": ["Engine", "HTTP", "TLS", "Load", "Origin", "Configuration"]
        case _ where product.contains(room): product.union(["Cache", "HTTP", "HTTP2", "TLS", "Engine"])
        case _ where top.contains(room):
            product.union(top).union(["Load", "Origin", "Lab", "Cache", "HTTP", "HTTP2", "TLS", "Engine"])
        default: nil
        }
    }

    /// Values of settings are plain data that the product's rooms are built from, so these may know them; where they
    /// are declared, `Configuration`, stays a room above.
    private static func isSettingsValue(_ type: String, declaredIn room: String, knownTo user: String) -> Bool {
        room == "Configuration" && type.hasSuffix("Settings") && product.contains(user)
    }

    @Test("every folder of Sources/Proxy is a room of the table")
    func known() {
        for file in SwiftWords.sources {
            guard let room = file.file.room else { continue }
            #expect(Self.mayKnow(room) != nil, "\(file.file.path): give the room '\(room)' its place in RoomTests and ARCHITECTURE.md")
        }
    }

    @Test("a room mentions only types of its own and of rooms below it")
    func arrows() {
        var declaredIn: [String: Set<String>] = [:]
        for file in SwiftWords.sources {
            guard let room = file.file.room else { continue }
            for type in file.types { declaredIn[type, default: []].insert(room) }
        }
        for file in SwiftWords.sources {
            guard let room = file.file.room, let below = Self.mayKnow(room) else { continue }
            let allowed = below.union([room])
            var told: Set<String> = []
            for word in file.words {
                // A word declared in several rooms is somebody's private type of the same name.
                guard let rooms = declaredIn[word.text], rooms.count == 1, let owner = rooms.first, !word.isMember else { continue }
                if allowed.contains(owner) || Self.isSettingsValue(word.text, declaredIn: owner, knownTo: room) { continue }
                guard told.insert(word.text).inserted else { continue }
                Issue.record(
                    """
                    \(file.file.path):\(word.line): \(room) must not know \(word.text), which \(owner) declares. \
                    Move the type down to a room that both may know, or hand over plain values.
                    """)
            }
        }
    }

    @Test("no file of Sources imports Foundation; ArgumentParser stays in Sources/weir")
    func imports() {
        let allowed: Set = ["Glibc", "Synchronization", "CUring", "CCares", "CPCRE2", "COpenSSL", "CIPSecMB", "CJemalloc", "Logging", "Histogram"]
        for file in SwiftWords.sources {
            for (word, name) in zip(file.words, file.words.dropFirst()) where word.text == "import" && word.depth == 0 {
                let inCommandLine = file.file.path.hasPrefix("Sources/weir/") && ["ArgumentParser", "Proxy"].contains(name.text)
                #expect(
                    allowed.contains(name.text) || inCommandLine,
                    "\(file.file.path):\(word.line): imports \(name.text); see the table of dependencies in docs/ARCHITECTURE.md")
            }
        }
    }

    @Test("every file of Sources is used by another one")
    func dead() {
        var users: [String: Set<String>] = [:]
        for file in SwiftWords.sources {
            for word in file.words { users[word.text, default: []].insert(file.file.path) }
        }
        for file in SwiftWords.sources where !file.words.contains(where: { $0.text == "main" }) {
            let names = file.declared + (file.declared.contains("init") ? file.extended : [])
            let isUsed = names.contains { name in users[name]?.contains { $0 != file.file.path } ?? false }
            #expect(isUsed, "\(file.file.path): nothing that it declares is used elsewhere; take it out")
        }
    }
}
