import CUring
import Glibc

struct Diagnostic: Sendable, Equatable, CustomStringConvertible {
    enum Severity: String, Sendable { case error, warning }
    var severity: Severity
    var location: SourceLocation
    var message: String
    var description: String { "\(location.file):\(location.line):\(location.column): \(severity.rawValue): \(message)" }
}

func loadConfiguration(
    path: String, environment: [String: String], read: @escaping (String) throws(ReadFailure) -> [UInt8]
) -> (settings: GlobalSettings?, diagnostics: [Diagnostic]) {
    let text: String
    do throws(ReadFailure) {
        text = String(decoding: try read(path), as: UTF8.self)
    } catch {
        return (
            nil,
            [Diagnostic(severity: .error, location: SourceLocation(file: path, line: 1, column: 1), message: error.reason)]
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

struct ReadFailure: Error {
    var reason: String
}

func readConfigurationFile(_ path: String) throws(ReadFailure) -> [UInt8] {
    guard let bytes = readBytes(path) else { throw ReadFailure(reason: errorText(errno)) }
    return bytes
}

func settingsHelp(word: String?) -> String { "settings\n" }

func effectiveConfiguration(
    path: String, environment: [String: String], read: @escaping (String) throws(ReadFailure) -> [UInt8]
) -> (text: String?, diagnostics: [Diagnostic]) { ("", []) }

struct LogOpenFailure: Error, CustomStringConvertible {
    var target: String
    var error: Int32
    var description: String { "cannot log to \(target): \(errorText(error))" }
}

func openLog(_ settings: LogSettings) -> Result<Int32, LogOpenFailure> {
    let descriptor: Int32
    switch settings.output {
    case .stdout, .file("/dev/stdout"): descriptor = cprocess_duplicate(STDOUT_FILENO)
    case .stderr, .file("/dev/stderr"): descriptor = cprocess_duplicate(STDERR_FILENO)
    case .file(let path): descriptor = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0o640)
    case .syslog: descriptor = -1
    }
    return descriptor >= 0 ? .success(descriptor) : .failure(LogOpenFailure(target: settings.output.name, error: errno))
}

func runOrigin(listener: Int32) -> Int32 {
    while true {
        let client = accept(listener, nil, nil)
        guard client >= 0 else { continue }
        write("HTTP/1.1 200 OK\r\nContent-Length: 3\r\nConnection: close\r\n\r\nhi\n", to: client)
        close(client)
    }
}
