import CUring
import Glibc

extension SocketAddress {
    /// Who it is, without the port.
    var host: HostAddress {
        withUnsafeBytes(of: storage) { raw in
            switch family {
            case AF_INET: HostAddress(ipv4: UInt32(bigEndian: raw.load(fromByteOffset: 4, as: UInt32.self)))
            case AF_INET6:
                HostAddress(
                    ipv6High: UInt64(bigEndian: raw.load(fromByteOffset: 8, as: UInt64.self)),
                    low: UInt64(bigEndian: raw.load(fromByteOffset: 16, as: UInt64.self)))
            case AF_UNIX: .unix
            default: .unknown
            }
        }
    }

    /// The address of an IPv4 or IPv6 host; without address for the others.
    init(_ host: HostAddress, port: UInt16) {
        switch host.family {
        case .ipv4:
            var four = sockaddr_in()
            four.sin_family = sa_family_t(AF_INET)
            four.sin_port = port.bigEndian
            four.sin_addr.s_addr = UInt32(truncatingIfNeeded: host.high &>> 32).bigEndian
            self.init(copying: &four, length: MemoryLayout<sockaddr_in>.size)
        case .ipv6:
            var six = sockaddr_in6()
            six.sin6_family = sa_family_t(AF_INET6)
            six.sin6_port = port.bigEndian
            withUnsafeMutableBytes(of: &six.sin6_addr) {
                $0.storeBytes(of: host.high.bigEndian, as: UInt64.self)
                $0.storeBytes(of: host.low.bigEndian, toByteOffset: 8, as: UInt64.self)
            }
            self.init(copying: &six, length: MemoryLayout<sockaddr_in6>.size)
        case .unix:
            var unix = sockaddr_un()
            unix.sun_family = sa_family_t(AF_UNIX)
            self.init(copying: &unix, length: MemoryLayout<sa_family_t>.size)
        case .unknown: self.init()
        }
    }
}
