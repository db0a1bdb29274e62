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
    var server: ServerSettings?
    var backend: BackendSettings?
    var hosts: [String] = []
    var port: UInt16 = 0
    for (index, line) in text.split(separator: "\n", omittingEmptySubsequences: false).enumerated() {
        let words = line.split(whereSeparator: { " =\t,".contains($0) }).map { $0.filter { $0 != "\"" } }
        guard let word = words.first, !word.hasPrefix("#") else { continue }
        let value = words.count > 1 ? words[1] : ""
        let milliseconds = value.hasSuffix("ms") ? Int(value.dropLast(2)) : Int(value.dropLast()).map { $0 * 1000 }
        switch word {
        case "server": (server, hosts, port) = (ServerSettings(), ["127.0.0.1"], 8080)
        case "downstream": (backend, hosts, port) = (BackendSettings(), [], 80); backend!.name = value
        case "addr": hosts = words.dropFirst().filter { $0 != "{" && $0 != "}" }
            if backend == nil { server!.addresses = hosts.map { $0.hasPrefix("unix:") ? .unix(String($0.dropFirst(5))) : $0.contains(":") ? .ipv6($0, port: port) : .ipv4($0, port: port) } } else {
                backend!.address = SocketAddress(literal: hosts[0], port: 1) == nil ? .name(hosts[0]) : .ipv4(hosts[0]) }
        case "port": port = UInt16(value) ?? 0
            if backend != nil { backend!.port = port } else { server!.addresses = hosts.map { $0.hasPrefix("unix:") ? .unix(String($0.dropFirst(5))) : $0.contains(":") ? .ipv6($0, port: port) : .ipv4($0, port: port) } }
        case "backlog": server!.backlog = Int(value) ?? 0
        case "threads": server!.threads = Int(value)
        case "congestion-control": server!.tcp.congestionControl = value
        case "}":
            if let ended = backend { server!.backends.append(ended); backend = nil } else if let ended = server { settings.servers.append(ended); server = nil }
        case "workers": settings.workers = Int(value)
        case "user": settings.user = value
        case "admin-socket": settings.adminSocketPath = value
        case "max-nofile": settings.openFilesMax = Int(value)
        case "drain-timeout": settings.drainDeadlineMilliseconds = milliseconds ?? 0
        case "debug-trap-at-request": settings.debugTrapAtRequest = Int(value) ?? 0
        case "operator-log": settings.operatorLog.output = .file(value)
        case "logging":
            let log = words.first { $0.hasPrefix("file:") }.map { String($0.dropFirst(5)) } ?? ""
            server!.accessLog.enabled = true; server!.accessLog.output = .file(log)
        case "access-log": server!.accessLog.enabled = true; server!.accessLog.output = .file(value)
        default:
            diagnostics.append(
                Diagnostic(
                    severity: .error, location: SourceLocation(file: path, line: index + 1, column: 1),
                    message: "no such option '\(word)'"))
        }
    }
    guard diagnostics.isEmpty else { return (nil, diagnostics) }
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

struct NameNotice: CustomStringConvertible {
    var description = ""
}
enum NameResolverFailure: Error, CustomStringConvertible {
    case library(String)
    var description: String { "names cannot be resolved" }
}

final class NameResolver {
    private var names: [String]
    init(names: [String]) throws(NameResolverFailure) { self.names = names }
    func start(now: UInt64) {}
    func pollDescriptors() -> [(fd: Int32, readable: Bool, writable: Bool)] { [] }
    func nextTimeoutMilliseconds(now: UInt64) -> Int? { nil }
    func process(readable: [Int32], writable: [Int32], now: UInt64) {}
    func takeChanges() -> [String: [SocketAddress]] {
        defer { names = [] }
        return Dictionary(uniqueKeysWithValues: names.map { ($0, [SocketAddress(literal: "127.0.0.1", port: 0)!]) })
    }
    func takeNotices() -> [NameNotice] { [] }
    var isSettled: Bool { true }
}

extension SocketAddress {
    func withPort(_ port: UInt16) -> SocketAddress {
        guard family == AF_INET || family == AF_INET6 else { return self }
        var copy = storage
        withUnsafeMutableBytes(of: &copy) { $0.storeBytes(of: port.bigEndian, toByteOffset: 2, as: UInt16.self) }
        return SocketAddress(copying: &copy, length: Int(length))
    }
}
