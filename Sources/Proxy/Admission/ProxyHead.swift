import Glibc

#if canImport(CUring)
import CUring  // the fuzzer compiles this file without it
#endif

/// What a PROXY head tells: on whose behalf the peer has connected, and where that client had connected to.
struct ProxyHead: Equatable {
    /// `unknown`: the peer speaks for itself (LOCAL, UNKNOWN, UNSPEC); what the connection says holds.
    var source = HostAddress.unknown
    var sourcePort: UInt16 = 0
    var destination = HostAddress.unknown
    var destinationPort: UInt16 = 0
}

/// What came of reading the first bytes of a connection as a PROXY head.
enum ProxyHeadParse: Equatable {
    /// So many bytes are the head.
    case complete(ProxyHead, length: Int)
    /// They may become one.
    case incomplete
    /// They are something else from the first byte on.
    case absent
    /// They begin as one and are none.
    case failed
}

/// Limits of the PROXY protocol, version 2.3 (haproxy's proxy-protocol.txt).
enum ProxyProtocol {
    /// The longest line of version 1, its end included.
    static let textBytesMax = 107
    /// The fixed part of version 2.
    static let fixedBytes = 16
    /// Most bytes of a head: what version 2 may carry beside the addresses is skipped, and bounded.
    static let headBytesMax = 4_000
    static let signature: StaticString = "\r\n\r\n\0\r\nQUIT\n"
    static let signatureBytes = 12
}

/// Reads a PROXY head of either version from the beginning of `bytes`; call again with more after `incomplete`.
///
/// Strict, since a head that two readers understand differently names two clients: single spaces, no leading zeros, both
/// addresses of the family that was announced, nothing behind them; in version 2 known commands, families and lengths.
func parseProxyHead(_ bytes: Span<UInt8>) -> ProxyHeadParse {
    guard bytes.count > 0 else { return .incomplete }
    if bytes[0] == UInt8(ascii: "P") { return parseText(bytes) }
    return bytes[0] == UInt8(ascii: "\r") ? parseBinary(bytes) : .absent
}

// MARK: - Version 1

private func parseText(_ bytes: Span<UInt8>) -> ProxyHeadParse {
    let word: StaticString = "PROXY "
    var at = 0
    while at < word.utf8CodeUnitCount {
        if at == bytes.count { return .incomplete }
        if bytes[at] != word.utf8Start[at] { return .absent }
        at &+= 1
    }
    var end = at
    let most = min(bytes.count, ProxyProtocol.textBytesMax)
    while end < most, bytes[end] != UInt8(ascii: "\r") {
        if bytes[end] < 0x20 || bytes[end] > 0x7E { return .failed }
        end &+= 1
    }
    guard end &+ 1 < most else { return bytes.count >= ProxyProtocol.textBytesMax ? .failed : .incomplete }
    guard bytes[end &+ 1] == UInt8(ascii: "\n") else { return .failed }
    var line = TextPlace(at: at, end: end)
    if line.take("UNKNOWN", bytes) {
        // Whatever follows has no meaning, says the protocol.
        guard line.at == end || bytes[line.at] == UInt8(ascii: " ") else { return .failed }
        return .complete(ProxyHead(), length: end &+ 2)
    }
    let family: HostAddress.Family
    if line.take("TCP4 ", bytes) { family = .ipv4 } else if line.take("TCP6 ", bytes) { family = .ipv6 } else { return .failed }
    guard let source = line.takeAddress(family, bytes), let destination = line.takeAddress(family, bytes),
        let sourcePort = line.takePort(bytes), line.take(" ", bytes), let destinationPort = line.takePort(bytes), line.at == end
    else { return .failed }
    return .complete(
        ProxyHead(source: source, sourcePort: sourcePort, destination: destination, destinationPort: destinationPort), length: end &+ 2)
}

/// Where in a line of version 1 the next word is; `end` is where the line ends.
private struct TextPlace {
    var at: Int
    let end: Int

    mutating func take(_ word: StaticString, _ bytes: Span<UInt8>) -> Bool {
        let length = word.utf8CodeUnitCount
        guard end &- at >= length else { return false }
        var place = 0
        while place < length {
            if bytes[at &+ place] != word.utf8Start[place] { return false }
            place &+= 1
        }
        at &+= length
        return true
    }

    /// An address of that family and the space behind it.
    mutating func takeAddress(_ family: HostAddress.Family, _ bytes: Span<UInt8>) -> HostAddress? {
        var text = InlineArray<48, CChar>(repeating: 0)
        var length = 0
        while at < end, bytes[at] != UInt8(ascii: " ") {
            guard length < 46 else { return nil }
            text[length] = CChar(bitPattern: bytes[at])
            length &+= 1
            at &+= 1
        }
        guard length > 0, take(" ", bytes) else { return nil }
        var words: (UInt64, UInt64) = (0, 0)
        var span = text.mutableSpan
        let found = span.withUnsafeMutableBufferPointer { buffer in
            inet_pton(family == .ipv4 ? AF_INET : AF_INET6, buffer.baseAddress!, &words)
        }
        guard found == 1 else { return nil }
        return family == .ipv4
            ? HostAddress(ipv4: UInt32(bigEndian: UInt32(truncatingIfNeeded: words.0)))
            : HostAddress(ipv6High: UInt64(bigEndian: words.0), low: UInt64(bigEndian: words.1))
    }

    /// 0 to 65535 without leading zeros.
    mutating func takePort(_ bytes: Span<UInt8>) -> UInt16? {
        let start = at
        var number: UInt32 = 0
        while at < end, bytes[at] >= UInt8(ascii: "0"), bytes[at] <= UInt8(ascii: "9"), at &- start < 5 {
            number = number &* 10 &+ UInt32(bytes[at] &- UInt8(ascii: "0"))
            at &+= 1
        }
        guard at > start, number <= 65_535, at == start &+ 1 || bytes[start] != UInt8(ascii: "0") else { return nil }
        return UInt16(truncatingIfNeeded: number)
    }
}

// MARK: - Version 2

private func parseBinary(_ bytes: Span<UInt8>) -> ProxyHeadParse {
    var at = 0
    while at < ProxyProtocol.signatureBytes {
        if at == bytes.count { return .incomplete }
        // Empty lines before a request begin like this.
        if bytes[at] != ProxyProtocol.signature.utf8Start[at] { return .absent }
        at &+= 1
    }
    guard bytes.count >= ProxyProtocol.fixedBytes else { return .incomplete }
    let length = Int(bytes[14]) &<< 8 | Int(bytes[15])
    guard bytes[12] &>> 4 == 2, length <= ProxyProtocol.headBytesMax &- ProxyProtocol.fixedBytes else { return .failed }
    let command = bytes[12] & 0x0F
    guard command <= 1 else { return .failed }
    let total = ProxyProtocol.fixedBytes &+ length
    guard bytes.count >= total else { return .incomplete }
    // LOCAL: the peer itself, a health check perhaps; what follows is skipped.
    if command == 0 { return .complete(ProxyHead(), length: total) }
    guard bytes[13] & 0x0F <= 2 else { return .failed }
    switch bytes[13] &>> 4 {
    case 0: return .complete(ProxyHead(), length: total)
    case 1:
        guard length >= 12 else { return .failed }
        return .complete(
            ProxyHead(
                source: HostAddress(ipv4: UInt32(truncatingIfNeeded: word(bytes, at: 16, count: 4))), sourcePort: port(bytes, at: 24),
                destination: HostAddress(ipv4: UInt32(truncatingIfNeeded: word(bytes, at: 20, count: 4))), destinationPort: port(bytes, at: 26)),
            length: total)
    case 2:
        guard length >= 36 else { return .failed }
        return .complete(
            ProxyHead(
                source: HostAddress(ipv6High: word(bytes, at: 16, count: 8), low: word(bytes, at: 24, count: 8)), sourcePort: port(bytes, at: 48),
                destination: HostAddress(ipv6High: word(bytes, at: 32, count: 8), low: word(bytes, at: 40, count: 8)),
                destinationPort: port(bytes, at: 50)),
            length: total)
    case 3:
        guard length >= 216 else { return .failed }
        return .complete(ProxyHead(source: .unix, destination: .unix), length: total)
    default: return .failed
    }
}

/// A number of so many bytes in the order of the network; the caller has checked that they are there.
private func word(_ bytes: Span<UInt8>, at start: Int, count: Int) -> UInt64 {
    var value: UInt64 = 0
    var at = start
    while at < start &+ count {
        value = value &<< 8 | UInt64(bytes[at])
        at &+= 1
    }
    return value
}

private func port(_ bytes: Span<UInt8>, at start: Int) -> UInt16 { UInt16(truncatingIfNeeded: word(bytes, at: start, count: 2)) }
