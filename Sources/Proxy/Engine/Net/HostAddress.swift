import Glibc

#if canImport(CUring)
import CUring  // the fuzzers compile this file without it
#endif

/// Who a peer is, without its port: what address lists and limits by address look at.
///
/// An IPv4 address stands in the highest 32 bits, so that prefixes of both families are leading bits. IPv4-mapped IPv6
/// addresses (RFC 4291 §2.5.5.2) are IPv4, because a listener on both families shows one client in either form.
struct HostAddress: Sendable, Equatable, BitwiseCopyable {
    enum Family: UInt8, Sendable { case ipv4, ipv6, unix, unknown }
    var family: Family
    var high: UInt64
    var low: UInt64

    /// An address of IPv4 or IPv6.
    var isInternet: Bool { family == .ipv4 || family == .ipv6 }

    static let unix = HostAddress(family: .unix, high: 0, low: 0)
    static let unknown = HostAddress(family: .unknown, high: 0, low: 0)

    init(family: Family, high: UInt64, low: UInt64) {
        self.family = family
        self.high = high
        self.low = low
    }

    init(ipv4 address: UInt32) { self.init(family: .ipv4, high: UInt64(address) &<< 32, low: 0) }

    /// An IPv6 address in two halves; a mapped one becomes IPv4.
    init(ipv6High high: UInt64, low: UInt64) {
        if high == 0 && low &>> 32 == 0xFFFF {
            self.init(ipv4: UInt32(truncatingIfNeeded: low))
        } else {
            self.init(family: .ipv6, high: high, low: low)
        }
    }

    /// A literal without brackets; nil when it is no address.
    init?(literal: String) {
        var four = in_addr()
        var six = in6_addr()
        if inet_pton(AF_INET, literal, &four) == 1 {
            self.init(ipv4: UInt32(bigEndian: four.s_addr))
        } else if inet_pton(AF_INET6, literal, &six) == 1 {
            let halves = withUnsafeBytes(of: six) { ($0.load(as: UInt64.self), $0.load(fromByteOffset: 8, as: UInt64.self)) }
            self.init(ipv6High: UInt64(bigEndian: halves.0), low: UInt64(bigEndian: halves.1))
        } else {
            return nil
        }
    }
}
