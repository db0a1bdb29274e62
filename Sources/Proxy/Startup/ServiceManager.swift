import CUring
import Glibc

/// The service manager that started this process and wants to hear of it: one datagram for each change, as sd_notify(3) sends them.
struct ServiceManager {
    enum News {
        case ready([SocketAddress])
        case reloading
        case stopping
    }

    private let address: SocketAddress

    /// The manager that NOTIFY_SOCKET names, by a path or, behind `@`, in the abstract namespace; nil without one.
    init?(environment: [String: String]) {
        guard let name = environment["NOTIFY_SOCKET"], let address = Self.address(name) else { return nil }
        self.address = address
    }

    private static func address(_ name: String) -> SocketAddress? {
        if name.hasPrefix("/") { return SocketAddress(unixPath: name) }
        var unix = sockaddr_un()
        var bytes = Array(name.utf8)
        guard bytes.first == UInt8(ascii: "@"), bytes.count > 1, bytes.count <= MemoryLayout.size(ofValue: unix.sun_path) else { return nil }
        bytes[0] = 0
        unix.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &unix.sun_path) { $0.copyBytes(from: bytes) }
        return SocketAddress(copying: &unix, length: MemoryLayout<sa_family_t>.size + bytes.count)
    }

    /// Tells the news; a manager that does not listen is not waited for.
    func tell(_ news: News) {
        let descriptor = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { return }
        defer { close(descriptor) }
        var patience = timeval(tv_sec: 1, tv_usec: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &patience, socklen_t(MemoryLayout<timeval>.size))
        let text = Array(Self.text(news).utf8)
        withUnsafeBytes(of: address.storage) {
            _ = sendto(
                descriptor, text, text.count, Int32(MSG_NOSIGNAL), $0.baseAddress!.assumingMemoryBound(to: sockaddr.self), address.length)
        }
    }

    static func text(_ news: News, process: Int32 = getpid(), microseconds: Int = monotonicMicroseconds()) -> String {
        switch news {
        case .ready(let addresses):
            "READY=1\nMAINPID=\(process)\nSTATUS=serving on \(addresses.map { "\($0)" }.joined(separator: ", "))\n"
        case .reloading: "RELOADING=1\nMONOTONIC_USEC=\(microseconds)\nSTATUS=reading the configuration again\n"
        case .stopping: "STOPPING=1\nSTATUS=finishing what is open\n"
        }
    }

    private static func monotonicMicroseconds() -> Int {
        var now = timespec()
        clock_gettime(CLOCK_MONOTONIC, &now)
        return now.tv_sec * 1_000_000 + now.tv_nsec / 1_000
    }
}
