@testable import Proxy

/// Files held in memory, read as if they were on the disk.
struct ConfigurationFixture {
    var files: [String: [UInt8]]
    var environment: [String: String] = [:]
    /// Directories of certificates, with the names in them.
    var folders: [String: [String]] = [:]
    var foreign = ForeignTexts()

    init(_ text: String, including files: [String: String] = [:], environment: [String: String] = [:]) {
        self.files = files.mapValues { Array($0.utf8) }
        self.files["main.conf"] = Array(text.utf8)
        self.environment = environment
    }

    func read(_ path: String) throws(ReadFailure) -> [UInt8] {
        guard let bytes = files[path] else { throw ReadFailure(reason: "No such file or directory") }
        return bytes
    }

    private var materials: MaterialReader {
        var reader = MaterialReader.through(read)
        reader.directory = { path throws(ReadFailure) in
            guard let names = folders[path] else { throw ReadFailure(reason: "Not a directory") }
            return names
        }
        return reader
    }

    func load() -> (settings: GlobalSettings?, diagnostics: [Diagnostic]) {
        loadConfiguration(path: "main.conf", environment: environment, foreign: foreign, materials: materials, read: read)
    }

    func effective() -> (text: String?, diagnostics: [Diagnostic]) {
        effectiveConfiguration(path: "main.conf", environment: environment, foreign: foreign, materials: materials, read: read)
    }

    /// The messages as `weir check` prints them, without the name of the main file.
    var messages: [String] { load().diagnostics.map { $0.description.replacing("main.conf:", with: "") } }
}

/// A server around some words, with a backend so that nothing else is wrong.
func server(_ words: String, backend: String = "addr = 127.0.0.1 port = 3000") -> String {
    "server {\n\(words)\ndownstream a { \(backend) }\n}\n"
}

/// Settings of the first server of a text.
func firstServer(_ text: String) -> ServerSettings? { ConfigurationFixture(text).load().settings?.servers.first }

/// Settings of the only backend with these words.
func backend(_ words: String) -> BackendSettings? {
    firstServer(server("port = 0", backend: words))?.backends.first
}

/// The part of this file's path before some folder of it.
func folderBefore(_ part: String) -> String {
    let path = #filePath
    return path.firstRange(of: part).map { String(path[..<$0.lowerBound]) } ?? path
}
