/// Addresses that share their leading bits (CIDR, RFC 4632), all peers of unix sockets, or simply everybody.
enum AddressBlock: Sendable, Equatable, Hashable {
    /// IPv4 stands in the highest 32 bits of `high`; bits behind the prefix are 0.
    case ipv4(UInt32, prefix: Int)
    case ipv6(high: UInt64, low: UInt64, prefix: Int)
    case unix
    case everybody

    /// `10.0.0.0/8`, `192.0.2.1`, `2001:db8::/32`, `[::1]`, `unix` or `all`.
    ///
    /// Blocks of IPv4-mapped addresses become IPv4, as the peers do. Bits behind the prefix are refused: whoever writes
    /// `10.0.0.1/8` meant one of two things.
    init(_ text: String) throws(AddressBlockError) {
        switch text.lowercased() {
        case "unix", "unix:":
            self = .unix
            return
        case "all":
            self = .everybody
            return
        default: break
        }
        let parts = text.split(separator: "/", omittingEmptySubsequences: false)
        guard let first = parts.first, parts.count <= 2 else { throw AddressBlockError("'\(text)' has more than one '/'") }
        var literal = String(first)
        if literal.hasPrefix("["), literal.hasSuffix("]") { literal = String(literal.dropFirst().dropLast()) }
        guard let host = HostAddress(literal: literal) else {
            throw AddressBlockError("'\(text)' is no address; write 10.0.0.0/8, 2001:db8::/32, unix or all")
        }
        let isWrittenAsIPv6 = literal.contains(":")
        let widest = isWrittenAsIPv6 ? 128 : 32
        var prefix = widest
        if parts.count == 2 {
            guard let number = Int(parts[1]), parts[1].utf8.allSatisfy({ (0x30...0x39).contains($0) }), number <= widest else {
                throw AddressBlockError("'\(text)' has no prefix length of 0 to \(widest) after '/'")
            }
            prefix = number
        }
        if isWrittenAsIPv6 && host.family == .ipv4 {
            guard prefix >= 96 else { throw AddressBlockError("'\(text)' mixes IPv4-mapped addresses with others") }
            prefix -= 96
        }
        let bits = UInt128(host.high) << 64 | UInt128(host.low)
        guard prefix == 128 || bits << UInt128(prefix) == 0 else {
            throw AddressBlockError("'\(text)' has bits behind its prefix of \(prefix); write the first address of the block")
        }
        self =
            host.family == .ipv4
            ? .ipv4(UInt32(host.high >> 32), prefix: prefix) : .ipv6(high: host.high, low: host.low, prefix: prefix)
    }
}

/// Why a block cannot be used; follows the name of the setting in a sentence.
struct AddressBlockError: Error {
    var sentence: String
    init(_ sentence: String) { self.sentence = sentence }
}

extension AddressBlock: CustomStringConvertible {
    /// As it would be written in a configuration.
    var description: String {
        switch self {
        case .ipv4(let address, let prefix):
            let bytes: [String] = (0..<4).map { place in String(address >> UInt32(24 - 8 * place) & 0xFF) }
            let text = bytes.joined(separator: ".")
            return prefix == 32 ? text : "\(text)/\(prefix)"
        case .ipv6(let high, let low, let prefix):
            let groups: [String] = (0..<8).map { place in
                let half = place < 4 ? high : low
                return String(half >> UInt64(48 - 16 * (place & 3)) & 0xFFFF, radix: 16)
            }
            // Only zeros at the end are shortened, which is where blocks have theirs.
            var kept = groups
            while kept.last == "0" { kept.removeLast() }
            let text = kept.count < 7 ? kept.joined(separator: ":") + "::" : groups.joined(separator: ":")
            return prefix == 128 ? text : "\(text)/\(prefix)"
        case .unix: return "unix"
        case .everybody: return "all"
        }
    }
}
