import CUring
import Glibc

extension SocketAddress {
    /// The same address at another port; unix addresses have none and stay as they are.
    func withPort(_ port: UInt16) -> SocketAddress {
        guard family == AF_INET || family == AF_INET6 else { return self }
        var copy = storage
        withUnsafeMutableBytes(of: &copy) { $0.storeBytes(of: port.bigEndian, toByteOffset: 2, as: UInt16.self) }
        return SocketAddress(copying: &copy, length: Int(length))
    }

    /// Only the address of a `sockaddr`: port, flow and padding are zero, so that equal addresses compare equal. Nil for other families.
    init?(copyingAddressOf source: UnsafePointer<sockaddr>) {
        let raw = UnsafeRawPointer(source)
        switch Int32(source.pointee.sa_family) {
        case AF_INET:
            var four = sockaddr_in()
            four.sin_family = sa_family_t(AF_INET)
            four.sin_addr = raw.loadUnaligned(fromByteOffset: 4, as: in_addr.self)
            self.init(copying: &four, length: MemoryLayout<sockaddr_in>.size)
        case AF_INET6:
            var six = sockaddr_in6()
            six.sin6_family = sa_family_t(AF_INET6)
            six.sin6_addr = raw.loadUnaligned(fromByteOffset: 8, as: in6_addr.self)
            self.init(copying: &six, length: MemoryLayout<sockaddr_in6>.size)
        default:
            return nil
        }
    }

    func isOfFamily(_ name: NameFamily) -> Bool { family == (name == .four ? AF_INET : AF_INET6) }

    /// IPv4 before IPv6, then by value: an order that does not depend on how a name server shuffles its answers.
    func isOrdered(before other: SocketAddress) -> Bool {
        if family != other.family { return family < other.family }
        guard length == other.length else { return length < other.length }
        return withUnsafeBytes(of: storage) { a in
            withUnsafeBytes(of: other.storage) { b in memcmp(a.baseAddress!, b.baseAddress!, Int(length)) < 0 }
        }
    }
}
