/// Who may come in, compiled: disjoint ranges in order, so that a peer costs one binary search.
///
/// The longest prefix that holds a peer decides; who is in none may come in unless somebody is named as allowed. The
/// memory belongs to the plan it was compiled for.
struct AccessList: BitwiseCopyable {
    private struct WideStart: BitwiseCopyable {
        let high: UInt64
        let low: UInt64
        let isAllowed: Bool
    }

    /// Where a range begins, shifted left by one; the lowest bit tells whether it is allowed. The first begins at 0.
    private let ipv4: UnsafeBufferPointer<UInt64>
    private let ipv6: UnsafeBufferPointer<WideStart>
    private let allowsUnix: Bool
    private let allowsUnknown: Bool
    /// Peers that may not come in are closed without an answer.
    let closesSilently: Bool
    /// Nobody is refused: the check may be left out.
    let allowsEverybody: Bool

    /// The list of a place where nothing is said: everybody may come in.
    init() {
        ipv4 = UnsafeBufferPointer(start: nil, count: 0)
        ipv6 = UnsafeBufferPointer(start: nil, count: 0)
        allowsUnix = true
        allowsUnknown = true
        closesSilently = false
        allowsEverybody = true
    }

    init(_ settings: AccessSettings, in arena: PlanArena) {
        let blocks = settings.allow.map { BlockVerdict(block: $0, isAllowed: true) } + settings.deny.map { BlockVerdict(block: $0, isAllowed: false) }
        let others = blocks.first { $0.block == .everybody }?.isAllowed ?? settings.allow.isEmpty
        let four = starts(of: blocks.compactMap(\.ipv4Range), others: others)
        let six = starts(of: blocks.compactMap(\.ipv6Range), others: others)
        ipv4 = arena.array(four.map { UInt64($0.start) << 1 | ($0.isAllowed ? 1 : 0) })
        ipv6 = arena.array(
            six.map { WideStart(high: UInt64($0.start >> 64), low: UInt64(truncatingIfNeeded: $0.start), isAllowed: $0.isAllowed) })
        allowsUnix = blocks.first { $0.block == .unix }?.isAllowed ?? others
        allowsUnknown = others
        closesSilently = settings.refusal == .close
        allowsEverybody = allowsUnix && others && four.allSatisfy(\.isAllowed) && six.allSatisfy(\.isAllowed)
    }

    /// Whether a peer may come in. Cost: the logarithm of the number of blocks.
    func allows(_ host: HostAddress) -> Bool {
        if allowsEverybody { return true }
        switch host.family {
        case .ipv4:
            let wanted = host.high &>> 31 | 1  // shifted as the starts are
            var low = 0
            var high = ipv4.count
            while high &- low > 1 {
                let middle = (low &+ high) &>> 1
                if ipv4[middle] <= wanted { low = middle } else { high = middle }
            }
            return ipv4[low] & 1 == 1
        case .ipv6:
            var low = 0
            var high = ipv6.count
            while high &- low > 1 {
                let middle = (low &+ high) &>> 1
                let start = ipv6[middle]
                if start.high < host.high || start.high == host.high && start.low <= host.low { low = middle } else { high = middle }
            }
            return ipv6[low].isAllowed
        case .unix: return allowsUnix
        case .unknown: return allowsUnknown
        }
    }
}

/// What is said of one block.
private struct BlockVerdict {
    var block: AddressBlock
    var isAllowed: Bool

    var ipv4Range: BlockRange? {
        guard case .ipv4(let address, let prefix) = block else { return nil }
        let size = UInt128(1) << UInt128(32 - prefix)
        return BlockRange(first: UInt128(address), last: UInt128(address) + (size - 1), isAllowed: isAllowed)
    }

    var ipv6Range: BlockRange? {
        guard case .ipv6(let high, let low, let prefix) = block else { return nil }
        let first = UInt128(high) << 64 | UInt128(low)
        return BlockRange(first: first, last: prefix == 0 ? .max : first + (UInt128.max >> UInt128(prefix)), isAllowed: isAllowed)
    }
}

private struct BlockRange {
    var first: UInt128
    var last: UInt128
    var isAllowed: Bool
}

/// Turns blocks, which contain one another or have nothing in common, into the places where the verdict changes.
private func starts(of blocks: [BlockRange], others: Bool) -> [(start: UInt128, isAllowed: Bool)] {
    var found: [(start: UInt128, isAllowed: Bool)] = [(0, others)]
    func change(_ start: UInt128, _ isAllowed: Bool) {
        if found[found.count - 1].start == start { found.removeLast() }
        if found.last?.isAllowed != isAllowed { found.append((start, isAllowed)) }
    }
    var around: [BlockRange] = []
    func leave(before next: UInt128?) {
        while let inner = around.last, next.map({ inner.last < $0 }) ?? true {
            around.removeLast()
            if inner.last < .max { change(inner.last + 1, around.last?.isAllowed ?? others) }
        }
    }
    // The wider of two blocks with the same beginning first.
    for block in blocks.sorted(by: { ($0.first, $1.last) < ($1.first, $0.last) }) {
        leave(before: block.first)
        change(block.first, block.isAllowed)
        around.append(block)
    }
    leave(before: nil)
    return found
}
