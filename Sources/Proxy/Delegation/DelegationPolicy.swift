import Glibc

/// Where a rule's backends may send a request on to: nowhere that is not named, and to public addresses only unless
/// their range is named too.
///
/// What a backend says is as hostile as any byte: whoever can make it say something could else reach everything that the
/// proxy can reach.
struct DelegationPolicy: BitwiseCopyable {
    /// In small letters, for `host:port`.
    let filters: UnsafeBufferPointer<Glob>
    /// Addresses that are allowed though they are not public.
    let networks: UnsafeBufferPointer<AddressBlock>
    /// Most bytes of a request's body that are kept to be sent again.
    let bodyBytesMax: Int
    /// How often one request may be sent on.
    let hopsMax: UInt8
    /// What X-Redirected-Via says: the name of the rule.
    let via: LastingBytes

    /// nil where the rule allows nothing.
    static func compile(_ settings: DelegationSettings, of rule: String, in arena: PlanArena) -> UnsafePointer<DelegationPolicy>? {
        guard settings.isAllowed else { return nil }
        let globs = settings.filters.map { filter in
            let bytes = arena.bytes(filter.lowercased())
            return Glob(pattern: UnsafeRawBufferPointer(start: bytes.start, count: bytes.count))
        }
        return arena.place(
            DelegationPolicy(
                filters: arena.array(globs), networks: arena.array(settings.networks.compactMap { try? AddressBlock($0) }),
                bodyBytesMax: settings.bodyBytesMax, hopsMax: UInt8(clamping: settings.hopsMax),
                via: arena.bytes(rule.utf8.filter { $0 >= 0x20 && $0 < 0x7f })))
    }

    /// Whether a name may be a target, whatever its addresses turn out to be.
    ///
    /// - Parameters:
    ///   - text: `host:port` in small letters, the port always there.
    ///   - hostLength: bytes of the host alone.
    ///   - saidPort: the backend named the port; where it did not, a filter for the host alone fits too, as in RProxy.
    func allows(_ text: UnsafeRawBufferPointer, hostLength: Int, saidPort: Bool) -> Bool {
        for filter in filters {
            if filter.matches(text) { return true }
            if !saidPort, filter.matches(UnsafeRawBufferPointer(rebasing: text[0..<hostLength])) { return true }
        }
        return false
    }

    /// Whether an address may be connected to.
    func allows(_ host: HostAddress) -> Bool {
        if host.isPublic { return true }
        for network in networks where network.holds(host) { return true }
        return false
    }
}

extension AddressBlock {
    /// Whether an address lies in the block.
    func holds(_ host: HostAddress) -> Bool {
        switch (self, host.family) {
        case (.everybody, .ipv4), (.everybody, .ipv6): true
        case (.ipv4(let address, let prefix), .ipv4):
            prefix == 0 || (UInt32(truncatingIfNeeded: host.high &>> 32) ^ address) &>> UInt32(32 &- prefix) == 0
        case (.ipv6(let high, let low, let prefix), .ipv6): samePrefix(host, high, low, prefix)
        case (.ipv4, _), (.ipv6, _), (.unix, _), (.everybody, .unix), (.everybody, .unknown): false
        }
    }

    private func samePrefix(_ host: HostAddress, _ high: UInt64, _ low: UInt64, _ prefix: Int) -> Bool {
        if prefix <= 64 { return prefix == 0 || (host.high ^ high) &>> UInt64(64 &- prefix) == 0 }
        return host.high == high && (prefix == 128 ? host.low == low : (host.low ^ low) &>> UInt64(128 &- prefix) == 0)
    }
}

extension HostAddress {
    /// Globally reachable, by the registries of special addresses (RFC 6890 and what came after it).
    var isPublic: Bool {
        switch family {
        case .ipv4: !isSpecialIPv4(UInt32(truncatingIfNeeded: high &>> 32))
        case .ipv6: isGlobalIPv6(high)
        case .unix, .unknown: false
        }
    }
}

private func isSpecialIPv4(_ address: UInt32) -> Bool {
    switch address &>> 24 {
    case 0, 10, 127: return true  // this network, private, loopback
    case 224...255: return true  // multicast, reserved, broadcast
    default: break
    }
    switch address &>> 16 {
    case 0xA9FE, 0xC0A8: return true  // 169.254/16 link-local, 192.168/16 private
    case 0x6440...0x647F: return true  // 100.64/10 shared
    case 0xAC10...0xAC1F: return true  // 172.16/12 private
    case 0xC612, 0xC613: return true  // 198.18/15 benchmarks
    default: break
    }
    switch address &>> 8 {
    case 0xC00000, 0xC00002, 0xC05863, 0xC63364, 0xCB0071: return true  // 192.0.0, 192.0.2, 192.88.99, 198.51.100, 203.0.113
    default: return false
    }
}

/// 2000::/3 without what is for documents (2001:db8::/32, 3fff::/20), for protocols (2001::/23, Teredo within it), or
/// holds IPv4 addresses (2002::/16).
private func isGlobalIPv6(_ high: UInt64) -> Bool {
    high &>> 61 == 1 && high &>> 32 != 0x2001_0DB8 && high &>> 41 != 0x2001_0000 &>> 9 && high &>> 48 != 0x2002
        && high &>> 44 != 0x3FFF0
}
