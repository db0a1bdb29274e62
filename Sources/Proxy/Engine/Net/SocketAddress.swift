import CUring
import Glibc

/// An IPv4, IPv6 or unix address as the kernel takes it: trivial, so that it may live in slabs.
struct SocketAddress: Sendable, Equatable, BitwiseCopyable {
    private(set) var storage = sockaddr_storage()
    private(set) var length: UInt32 = 0

    init() {}

    /// Parses an IPv4 or IPv6 literal without brackets; nil when it is neither.
    init?(literal: String, port: UInt16) {
        var four = sockaddr_in()
        var six = sockaddr_in6()
        if inet_pton(AF_INET, literal, &four.sin_addr) == 1 {
            four.sin_family = sa_family_t(AF_INET)
            four.sin_port = port.bigEndian
            self.init(copying: &four, length: MemoryLayout<sockaddr_in>.size)
        } else if inet_pton(AF_INET6, literal, &six.sin6_addr) == 1 {
            six.sin6_family = sa_family_t(AF_INET6)
            six.sin6_port = port.bigEndian
            self.init(copying: &six, length: MemoryLayout<sockaddr_in6>.size)
        } else {
            return nil
        }
    }

    /// A unix address; nil when the path does not fit (107 bytes).
    init?(unixPath: String) {
        var unix = sockaddr_un()
        let bytes = Array(unixPath.utf8)
        guard !bytes.isEmpty, bytes.count < MemoryLayout.size(ofValue: unix.sun_path) else { return nil }
        unix.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &unix.sun_path) { $0.copyBytes(from: bytes) }
        self.init(copying: &unix, length: MemoryLayout<sa_family_t>.size + bytes.count + 1)
    }

    /// Copies `length` bytes of any sockaddr.
    init(copying source: UnsafeRawPointer, length: Int) {
        let bounded = min(length, MemoryLayout<sockaddr_storage>.size)
        withUnsafeMutableBytes(of: &storage) { $0.baseAddress!.copyMemory(from: source, byteCount: bounded) }
        self.length = UInt32(bounded)
    }

    var family: Int32 { Int32(storage.ss_family) }

    /// Port in host order; 0 for unix addresses.
    var port: UInt16 {
        withUnsafeBytes(of: storage) { raw in
            switch family {
            case AF_INET, AF_INET6: UInt16(bigEndian: raw.load(fromByteOffset: 2, as: UInt16.self))
            default: 0
            }
        }
    }

    static func == (left: SocketAddress, right: SocketAddress) -> Bool {
        guard left.length == right.length else { return false }
        return withUnsafeBytes(of: left.storage) { a in
            withUnsafeBytes(of: right.storage) { b in memcmp(a.baseAddress!, b.baseAddress!, Int(left.length)) == 0 }
        }
    }
}

extension SocketAddress {
    /// The bytes that name the host: without the port.
    func withHostBytes<Result>(_ body: (UnsafeRawBufferPointer) -> Result) -> Result {
        withUnsafeBytes(of: storage) { raw in
            switch family {
            case AF_INET: body(UnsafeRawBufferPointer(rebasing: raw[4..<8]))
            case AF_INET6: body(UnsafeRawBufferPointer(rebasing: raw[8..<24]))
            default: body(UnsafeRawBufferPointer(rebasing: raw[0..<Int(length)]))
            }
        }
    }
}

extension SocketAddress: CustomStringConvertible {
    /// `1.2.3.4:80`, `[::1]:80` or the unix path.
    var description: String {
        var text = [CChar](repeating: 0, count: Int(INET6_ADDRSTRLEN))
        return withUnsafeBytes(of: storage) { raw in
            switch family {
            case AF_INET:
                _ = inet_ntop(AF_INET, raw.baseAddress! + 4, &text, socklen_t(text.count))
                return "\(string(text)):\(port)"
            case AF_INET6:
                _ = inet_ntop(AF_INET6, raw.baseAddress! + 8, &text, socklen_t(text.count))
                return "[\(string(text))]:\(port)"
            case AF_UNIX:
                return String(decoding: raw[2..<Int(length)].prefix { $0 != 0 }, as: UTF8.self)
            default:
                return "-"
            }
        }
    }
}

private func string(_ text: [CChar]) -> String {
    String(decoding: text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
}
