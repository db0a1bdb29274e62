import CUring
import Glibc

extension MeasuredProcess {
    /// Waits for a line that begins so, and reads the port at its end.
    func waitForPort(_ beginning: String, seconds: Double) throws(BenchFailure) -> UInt16 {
        let end = monotonicSeconds() + seconds
        while monotonicSeconds() < end {
            for line in log.split(separator: "\n") where line.hasPrefix(beginning) {
                if let port = UInt16(line.dropFirst(beginning.count).prefix { $0.isNumber }) { return port }
            }
            if let code = exitCode() { throw BenchFailure("\(name) ended with \(code); \(lastWords)") }
            usleep(10_000)
        }
        throw BenchFailure("\(name) is not ready after \(Int(seconds)) s; \(lastWords)")
    }

    /// Waits until a text stands in what it printed and its port takes connections.
    func waitUntilReady(port: UInt16, text: String?, seconds: Double) throws(BenchFailure) {
        let end = monotonicSeconds() + seconds
        while monotonicSeconds() < end {
            if let code = exitCode() { throw BenchFailure("\(name) ended with \(code); \(lastWords)") }
            if text.map({ log.contains($0) }) ?? true, takesConnections(port) { return }
            usleep(10_000)
        }
        throw BenchFailure("\(name) is not ready after \(Int(seconds)) s; \(lastWords)")
    }

    private func takesConnections(_ port: UInt16) -> Bool {
        guard let address = SocketAddress(literal: "127.0.0.1", port: port) else { return false }
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { return false }
        defer { close(descriptor) }
        return withUnsafePointer(to: address.storage) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { connect(descriptor, $0, address.length) == 0 }
        }
    }
}

/// A port of loopback that is free now.
func freePort() throws(BenchFailure) -> UInt16 {
    let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
    guard descriptor >= 0 else { throw BenchFailure("no socket: \(String(cString: strerror(errno)))") }
    defer { close(descriptor) }
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
    var length = socklen_t(MemoryLayout<sockaddr_in>.size)
    let bound = withUnsafeMutablePointer(to: &address) { pointer in
        pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { bind(descriptor, $0, length) == 0 && getsockname(descriptor, $0, &length) == 0 }
    }
    guard bound else { throw BenchFailure("no free port: \(String(cString: strerror(errno)))") }
    return UInt16(bigEndian: address.sin_port)
}
