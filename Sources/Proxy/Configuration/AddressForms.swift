import Glibc

#if canImport(CUring)
import CUring  // the fuzzer compiles this room without it
#endif

/// Whether a text is an IPv4 or IPv6 literal (without brackets).
func isIPv4Literal(_ text: String) -> Bool {
    var address = in_addr()
    return inet_pton(AF_INET, text, &address) == 1
}

func isIPv6Literal(_ text: String) -> Bool {
    var address = in6_addr()
    return inet_pton(AF_INET6, text, &address) == 1
}

/// Why an address cannot be used; follows the name of the setting in a sentence.
struct AddressError: Error {
    var sentence: String
    init(_ sentence: String) { self.sentence = sentence }
}

private let unixPathBytesMax = 107

func checkedUnixPath(_ path: String) throws(AddressError) -> String {
    if path.isEmpty { throw AddressError("names no path after 'unix:'") }
    if path.utf8.count > unixPathBytesMax { throw AddressError("is longer than the \(unixPathBytesMax) bytes a unix path may have") }
    return path
}

/// An address as `addr` takes it: a literal, `ipv4:LITERAL`, `ipv6:LITERAL`, `[LITERAL]`, `unix:PATH` or a name.
func parseAddress(_ text: String) throws(AddressError) -> BackendAddress {
    if text.isEmpty { throw AddressError("is empty") }
    if text.hasPrefix("unix:") { return .unix(try checkedUnixPath(String(text.dropFirst(5)))) }
    if text.hasPrefix("ipv4:") {
        let literal = String(text.dropFirst(5))
        guard isIPv4Literal(literal) else { throw AddressError("'\(literal)' is no IPv4 address") }
        return .ipv4(literal)
    }
    if text.hasPrefix("ipv6:") || text.hasPrefix("[") {
        var literal = text.hasPrefix("ipv6:") ? text.dropFirst(5) : text[...]
        if literal.hasPrefix("["), literal.hasSuffix("]") { literal = literal.dropFirst().dropLast() }
        guard isIPv6Literal(String(literal)) else { throw AddressError("'\(literal)' is no IPv6 address") }
        return .ipv6(String(literal))
    }
    if isIPv4Literal(text) { return .ipv4(text) }
    if isIPv6Literal(text) { return .ipv6(text) }
    guard isHostName(text) else { throw AddressError("'\(text)' is neither an address nor a host name") }
    return .name(text.lowercased())
}

/// Letters, digits, hyphens and underscores between dots; the last label is not a number, which would be a mistyped IPv4 address.
private func isHostName(_ text: String) -> Bool {
    let name = text.hasSuffix(".") ? text.dropLast() : text[...]
    guard !name.isEmpty, name.utf8.count <= 253 else { return false }
    let labels = name.split(separator: ".", omittingEmptySubsequences: false)
    let wellFormed = labels.allSatisfy { label in
        !label.isEmpty && label.utf8.count <= 63 && !label.hasPrefix("-") && !label.hasSuffix("-")
            && label.utf8.allSatisfy { byte in
                switch byte {
                case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                    UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "_"):
                    true
                default: false
                }
            }
    }
    return wellFormed && Int(labels[labels.count - 1]) == nil
}

/// An address to listen on; names are refused, because what they mean may change.
func parseListenAddress(_ text: String, port: UInt16) throws(AddressError) -> ListenAddress {
    switch try parseAddress(text) {
    case .ipv4(let literal): return .ipv4(literal, port: port)
    case .ipv6(let literal): return .ipv6(literal, port: port)
    case .unix(let path): return .unix(path)
    case .name(let name): throw AddressError("'\(name)' is a name; a listener needs an address")
    }
}

/// `HOST:PORT`, `[v6]:PORT` or `:PORT` taken apart; the host is empty when it is left out.
func splitHostAndPort(_ text: String) throws(AddressError) -> (host: String, port: UInt16) {
    guard let colon = text.lastIndex(of: ":") else { throw AddressError("has no port; write HOST:PORT, [v6]:PORT, :PORT or unix:/path") }
    let host = String(text[..<colon])
    let portText = text[text.index(after: colon)...]
    let digits = portText.utf8.allSatisfy { $0 >= UInt8(ascii: "0") && $0 <= UInt8(ascii: "9") }
    guard digits, let port = UInt16(portText) else { throw AddressError("has the port '\(portText)'; a port is 0 … 65535") }
    if host.contains(":") && !host.hasPrefix("[") { throw AddressError("is an IPv6 address without brackets; write [\(host)]:\(port)") }
    return (host, port)
}

/// Characters of an RFC 9110 token: what a cookie name, a field name and a pseudonym are made of.
func isTokenText(_ text: String) -> Bool {
    !text.isEmpty
        && text.utf8.allSatisfy { byte in
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "0")...UInt8(ascii: "9"): true
            default: "!#$%&'*+-.^_`|~".utf8.contains(byte)
            }
        }
}
