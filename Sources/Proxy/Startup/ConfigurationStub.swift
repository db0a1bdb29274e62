import Glibc

struct Diagnostic: Sendable, Equatable, CustomStringConvertible {
    enum Severity: String, Sendable { case error, warning }
    var severity: Severity
    var location: SourceLocation
    var message: String
    var description: String { "\(location.file):\(location.line):\(location.column): \(severity.rawValue): \(message)" }
}

func loadConfiguration(
    path: String, environment: [String: String], read: (String) -> String?
) -> (settings: GlobalSettings?, diagnostics: [Diagnostic]) {
    guard let text = read(path) else {
        return (
            nil,
            [Diagnostic(severity: .error, location: SourceLocation(file: path, line: 1, column: 1), message: "cannot be read")]
        )
    }
    var settings = GlobalSettings()
    var diagnostics: [Diagnostic] = []
    var listen: [String] = []
    var to: [String] = []
    for (index, line) in text.split(separator: "\n", omittingEmptySubsequences: false).enumerated() {
        let words = line.split(separator: " ").map(String.init)
        guard let word = words.first, !word.hasPrefix("#") else { continue }
        let value = words.count > 1 ? words[1] : ""
        switch word {
        case "listen": listen.append(value)
        case "to": to.append(value)
        case "workers": settings.workers = Int(value)
        case "user": settings.user = value
        case "admin-socket": settings.adminSocketPath = value
        case "max-nofile": settings.openFilesMax = Int(value)
        case "drain": settings.drainDeadlineMilliseconds = Int(value) ?? 0
        case "trap": settings.debugTrapAtRequest = Int(value) ?? 0
        case "log": settings.operatorLog.output = .file(value)
        default:
            diagnostics.append(
                Diagnostic(
                    severity: .error, location: SourceLocation(file: path, line: index + 1, column: 1),
                    message: "no such option '\(word)'"))
        }
    }
    guard diagnostics.isEmpty else { return (nil, diagnostics) }
    let quick = GlobalSettings.quick(listen: listen, to: to)
    guard let servers = quick.settings?.servers else { return quick }
    settings.servers = servers
    return (settings, [])
}

extension GlobalSettings {
    static func quick(listen: [String], to: [String]) -> (settings: GlobalSettings?, diagnostics: [Diagnostic]) {
        var settings = GlobalSettings()
        var server = ServerSettings()
        for word in listen {
            if word.hasPrefix("unix:") {
                server.addresses.append(.unix(String(word.dropFirst(5))))
                continue
            }
            guard let colon = word.lastIndex(of: ":"), let port = UInt16(word[word.index(after: colon)...]) else {
                return (nil, [Diagnostic(severity: .error, location: .none, message: "'\(word)' is not ADDRESS:PORT")])
            }
            let host = String(word[..<colon])
            server.addresses.append(
                host.hasPrefix("[") ? .ipv6(String(host.dropFirst().dropLast()), port: port) : .ipv4(host, port: port))
        }
        for word in to {
            var backend = BackendSettings()
            backend.name = word
            let colon = word.lastIndex(of: ":") ?? word.endIndex
            backend.address = .ipv4(String(word[..<colon]))
            backend.port = colon < word.endIndex ? UInt16(word[word.index(after: colon)...]) ?? 80 : 80
            server.backends.append(backend)
        }
        settings.servers = [server]
        return (settings, [])
    }
}

func settingsHelp(word: String?) -> String { "settings\n" }
func effectiveConfiguration(_ settings: GlobalSettings) -> String { "" }
