/// Values of the field `Forwarded` (RFC 7239 §4).
extension HeadWriter {
    /// Writes `for=` with an address in its printed form: IPv6 in brackets, and in quotes what a token may not hold.
    ///
    /// - Parameter address: nil = none that could be named, written as the RFC's `unknown` (§6.2).
    mutating func appendForwardedFor(_ address: Span<UInt8>, isIPv6: Bool, isKnown: Bool) {
        append("for=")
        guard isKnown else { return append("unknown") }
        if isIPv6 { append("\"[") }
        append(address)
        if isIPv6 { append("]\"") }
    }

    /// Writes `;host=` with the authority that the client asked for, in quotes when it is no token (a port, IPv6).
    mutating func appendForwardedHost(_ host: Span<UInt8>) {
        append(";host=")
        let isToken = firstOutsideToken(host) == host.count
        if !isToken { append(UInt8(ascii: "\"")) }
        // An authority holds neither quotes nor backslashes.
        append(host)
        if !isToken { append(UInt8(ascii: "\"")) }
    }
}

private func firstOutsideToken(_ bytes: Span<UInt8>) -> Int { firstOutside(TokenBytes.self, bytes, from: 0, to: bytes.count) }

/// Whether a value may serve as the identifier of a request: 1 to 128 letters, digits and marks without meaning in logs.
func isRequestIdentifier(_ bytes: Span<UInt8>, start: Int, length: Int) -> Bool {
    guard length > 0, length <= requestIdentifierBytesMax else { return false }
    var index = start
    while index < start &+ length {
        let byte = bytes[index]
        guard UnreservedBytes.contains(byte) || byte == UInt8(ascii: ":") || byte == UInt8(ascii: "=") || byte == UInt8(ascii: "+")
            || byte == UInt8(ascii: "/") || byte == UInt8(ascii: "@")
        else { return false }
        index &+= 1
    }
    return true
}

/// Longest identifier that is taken over from a trusted peer, in bytes.
let requestIdentifierBytesMax = 128
