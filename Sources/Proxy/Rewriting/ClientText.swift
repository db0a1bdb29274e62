import Glibc

/// The address of a client as text, printed once for all the fields that name it.
///
/// IPv4 clients of an IPv6 listener are IPv4, as in the logs; peers of unix sockets have no address.
struct ClientText: BitwiseCopyable {
    private var bytes = InlineArray<48, UInt8>(repeating: 0)
    private var count = 0
    private let port: UInt16
    private let isUnix: Bool
    private(set) var isIPv6 = false

    init(_ address: UnsafePointer<SocketAddress>) {
        port = address.pointee.port
        isUnix = address.pointee.family != AF_INET && address.pointee.family != AF_INET6
        var span = bytes.mutableSpan
        count = span.withUnsafeMutableBufferPointer { buffer in
            guard let start = buffer.baseAddress else { return 0 }
            return writeAddress(address, to: start)
        }
        var index = 0
        while index < count {
            if bytes[index] == UInt8(ascii: ":") { isIPv6 = true }
            index &+= 1
        }
    }

    /// `1.2.3.4`, `::1`, or `unix`.
    func append(to writer: inout HeadWriter) { writer.append(bytes.span.extracting(0..<count)) }

    /// `1.2.3.4:80` or `[::1]:80`, RProxy's form.
    func appendWithPort(to writer: inout HeadWriter) {
        if isUnix { return append(to: &writer) }
        if isIPv6 { writer.append("[") }
        append(to: &writer)
        writer.append(isIPv6 ? "]:" : ":")
        writer.append(decimal: UInt64(port))
    }

    /// `for=1.2.3.4`, `for="[::1]"`, or `for=unknown` (RFC 7239 §6).
    func appendForwarded(to writer: inout HeadWriter) {
        writer.appendForwardedFor(bytes.span.extracting(0..<count), isIPv6: isIPv6, isKnown: !isUnix)
    }
}
