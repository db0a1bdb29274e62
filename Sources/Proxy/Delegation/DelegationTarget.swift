import CUring
import Glibc

/// A place that a backend names for a request to be sent on to: `host[:port]`, checked.
struct DelegationTarget: BitwiseCopyable {
    /// A name, an IPv4 address, or an IPv6 address in brackets: range over the value.
    let hostLength: Int
    let port: UInt16
    let saidPort: Bool

    /// RFC 1035's longest name; anything longer resolves nowhere.
    static let hostBytesMax = 253
    static let defaultPort: UInt16 = 80

    /// Understands the value of `X-Internal-Redirect`; nil for anything but `host`, `host:port` and `[address]:port`.
    init?(_ value: Span<UInt8>) {
        guard let authority = parseAuthority(value, start: 0, end: value.count), authority.hostLength <= Self.hostBytesMax else { return nil }
        hostLength = authority.hostLength
        saidPort = authority.length > authority.hostLength
        if saidPort {
            guard authority.port > 0 else { return nil }
            port = UInt16(truncatingIfNeeded: authority.port)
        } else {
            port = Self.defaultPort
        }
    }
}

/// A request's way beyond its own backends: where it is sent, and where that is; in a block of the exchange, with the text
/// and the addresses behind it.
struct DelegationState: BitwiseCopyable {
    static let addressesMax = 8
    /// How much text follows the state: host, colon, port.
    static let textBytesMax = DelegationTarget.hostBytesMax + 6

    var port: UInt16 = 0
    var hostLength = 0
    var textLength = 0
    var addressCount = 0
    /// Which address is next; those before it could not be reached.
    var place = 0
    /// What holds for connections there.
    var limits: BackendLimits
}

extension UnsafeMutablePointer where Pointee == DelegationState {
    /// Addresses that are allowed, in the order in which they are tried; `addressCount` of them.
    var addresses: UnsafeMutablePointer<SocketAddress> {
        UnsafeMutableRawPointer(self + 1).alignedUp(toMultipleOf: 16).assumingMemoryBound(to: SocketAddress.self)
    }

    /// `host:port` in small letters.
    var text: UnsafeMutablePointer<UInt8> {
        UnsafeMutableRawPointer(addresses + DelegationState.addressesMax).assumingMemoryBound(to: UInt8.self)
    }

    var textBytes: UnsafeRawBufferPointer { UnsafeRawBufferPointer(start: text, count: pointee.textLength) }

    /// Writes a target that was understood.
    func set(_ target: DelegationTarget, host: UnsafePointer<UInt8>, _ limits: BackendLimits) {
        initialize(to: DelegationState(limits: limits))
        pointee.port = target.port
        pointee.hostLength = target.hostLength
        for at in 0..<target.hostLength { text[at] = lowercased(host[at]) }
        var writer = HeadWriter(base: UnsafeMutableRawPointer(text + target.hostLength), capacity: 6)
        writer.append(UInt8(ascii: ":"))
        writer.append(decimal: UInt64(target.port))
        pointee.textLength = target.hostLength &+ writer.count
    }

    /// The address that the host is, where it is one.
    var literal: HostAddress? {
        let isBracketed = text[0] == UInt8(ascii: "[")
        let length = pointee.hostLength &- (isBracketed ? 2 : 0)
        guard length > 0, length < 46 else { return nil }
        return withUnsafeTemporaryAllocation(byteCount: 48, alignment: 8) { room in
            let place = room.baseAddress!
            memcpy(place, text + (isBracketed ? 1 : 0), length)
            place.storeBytes(of: 0, toByteOffset: length, as: UInt8.self)
            let chars = place.assumingMemoryBound(to: CChar.self)
            if isBracketed {
                var six = in6_addr()
                guard inet_pton(AF_INET6, chars, &six) == 1 else { return nil }
                return withUnsafeBytes(of: six) {
                    HostAddress(
                        ipv6High: UInt64(bigEndian: $0.load(as: UInt64.self)),
                        low: UInt64(bigEndian: $0.load(fromByteOffset: 8, as: UInt64.self)))
                }
            }
            var four = in_addr()
            guard inet_pton(AF_INET, chars, &four) == 1 else { return nil }
            return HostAddress(ipv4: UInt32(bigEndian: four.s_addr))
        }
    }
}
