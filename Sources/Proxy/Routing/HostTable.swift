import Glibc

/// Finds the virtual host of a name: the exact name, else the longest `*.suffix`, else other patterns in the order of the
/// file, else the default, else `*`.
///
/// Compiled once into an arena and read-only after that. One pass over the name from its end gives the hashes of all its
/// suffixes, so the cost does not depend on how many names there are, but for patterns that are no suffixes.
struct HostTable: BitwiseCopyable, @unchecked Sendable {
    fileprivate struct Slot: BitwiseCopyable {
        var hash: UInt32 = 0
        /// -1 = the slot is free.
        var host: Int32 = -1
        var start: UInt32 = 0
        var length: UInt16 = 0
        var isSuffix = false
    }

    fileprivate struct Pattern: BitwiseCopyable {
        var start: UInt32
        var length: UInt32
        var host: Int32
    }

    /// Open addressing with at least as many free slots as taken ones; a power of two, or empty.
    private let slots: UnsafeBufferPointer<Slot>
    private let patterns: UnsafeBufferPointer<Pattern>
    private let names: UnsafeBufferPointer<UInt8>
    private let hasSuffixes: Bool
    /// The virtual host of names that nobody has; -1 = none.
    private let fallback: Int32

    /// For a server without virtual hosts: the nameless one takes everything.
    static var nameless: HostTable {
        HostTable(
            slots: UnsafeBufferPointer(start: nil, count: 0), patterns: UnsafeBufferPointer(start: nil, count: 0),
            names: UnsafeBufferPointer(start: nil, count: 0), hasSuffixes: false, fallback: 0)
    }

    private init(
        slots: UnsafeBufferPointer<Slot>, patterns: UnsafeBufferPointer<Pattern>, names: UnsafeBufferPointer<UInt8>,
        hasSuffixes: Bool, fallback: Int32
    ) {
        self.slots = slots
        self.patterns = patterns
        self.names = names
        self.hasSuffixes = hasSuffixes
        self.fallback = fallback
    }

    /// Virtual host of a name, by its place in the file; -1 = none.
    ///
    /// - Parameter name: the host of the authority without its port, in any case; empty when the request names none.
    func find(_ name: UnsafeRawBufferPointer) -> Int32 {
        var length = name.count
        guard length > 0, slots.count > 0 || patterns.count > 0 else { return fallback }
        if name[length &- 1] == UInt8(ascii: ".") { length &-= 1 }
        if length > HostName.bytesMax { return fallback }
        var hash = HostHash()
        var suffix: Int32 = -1
        var index = length
        while index > 0 {
            index &-= 1
            let byte = name[index]
            hash.add(byte)
            if byte == UInt8(ascii: "."), hasSuffixes, index > 0 {
                let found = look(name, from: index, to: length, hash.value, isSuffix: true)
                if found >= 0 { suffix = found }
            }
        }
        let exact = look(name, from: 0, to: length, hash.value, isSuffix: false)
        if exact >= 0 { return exact }
        if suffix >= 0 { return suffix }
        return patterns.count == 0 ? fallback : findPattern(name, length)
    }

    @inline(__always)
    private func look(_ name: UnsafeRawBufferPointer, from start: Int, to end: Int, _ hash: UInt32, isSuffix: Bool) -> Int32 {
        let mask = slots.count &- 1
        if mask < 0 { return -1 }
        var at = Int(hash) & mask
        while slots[at].host >= 0 {
            let slot = slots[at]
            if slot.hash == hash, slot.isSuffix == isSuffix, Int(slot.length) == end &- start, equals(name, from: start, slot) { return slot.host }
            at = (at &+ 1) & mask
        }
        return -1
    }

    private func equals(_ name: UnsafeRawBufferPointer, from start: Int, _ slot: Slot) -> Bool {
        var index = 0
        while index < Int(slot.length) {
            if folded(name[start &+ index]) != names[Int(slot.start) &+ index] { return false }
            index &+= 1
        }
        return true
    }

    /// Only names that have neither a table's entry nor its suffix come here.
    @inline(never)
    private func findPattern(_ name: UnsafeRawBufferPointer, _ length: Int) -> Int32 {
        var room = InlineArray<256, UInt8>(repeating: 0)
        var index = 0
        while index < length {  // at most HostName.bytesMax
            room[index] = folded(name[index])
            index &+= 1
        }
        return withUnsafeBytes(of: &room) { room in
            let text = UnsafeRawBufferPointer(rebasing: room[..<length])
            var index = 0
            while index < patterns.count {
                let pattern = patterns[index]
                let bytes = UnsafeRawBufferPointer(start: names.baseAddress! + Int(pattern.start), count: Int(pattern.length))
                if Glob(pattern: bytes).matches(text) { return pattern.host }
                index &+= 1
            }
            return fallback
        }
    }
}

extension HostTable {
    /// - Parameter hosts: in the order of the file; none = the nameless one takes everything. Names that are none are left out.
    init(_ hosts: [VirtualHostSettings], in arena: PlanArena) {
        guard !hosts.isEmpty else {
            self = .nameless
            return
        }
        let names = hosts.map { host in ([host.name] + host.aliases).compactMap { try? HostName($0) } }
        self.init(names, defaultHost: hosts.firstIndex(where: \.isDefault).map { Int32($0) } ?? -1, in: arena)
    }

    /// - Parameters:
    ///   - hosts: the names of each virtual host, in the order of the file; where two have the same, the first counts.
    ///   - defaultHost: who takes names that nobody has; -1 = none said.
    init(_ hosts: [[HostName]], defaultHost: Int32, in arena: PlanArena) {
        var bytes: [UInt8] = []
        var entries: [HostName: Int32] = [:]
        var ordered: [HostName] = []
        for (index, names) in hosts.enumerated() {
            for name in names where entries[name] == nil {
                entries[name] = Int32(index)
                ordered.append(name)
            }
        }
        var slots: [Slot] = []
        var patterns: [Pattern] = []
        var any: Int32 = -1
        for name in ordered {
            guard let host = entries[name] else { continue }
            let start = bytes.count
            switch name {
            case .any: any = host
            case .glob(let text):
                bytes += text.utf8
                patterns.append(Pattern(start: UInt32(start), length: UInt32(bytes.count - start), host: host))
            case .exact(let text), .suffix(let text):
                bytes += text.utf8
                var hash = HostHash()
                for byte in text.utf8.reversed() { hash.add(byte) }
                var isSuffix = false
                if case .suffix = name { isSuffix = true }
                slots.append(
                    Slot(hash: hash.value, host: host, start: UInt32(start), length: UInt16(bytes.count - start), isSuffix: isSuffix))
            }
        }
        var table: [Slot] = []
        if !slots.isEmpty {
            var capacity = 2
            while capacity < 2 * slots.count { capacity *= 2 }
            table = [Slot](repeating: Slot(), count: capacity)
            for slot in slots {
                var at = Int(slot.hash) & (capacity - 1)
                while table[at].host >= 0 { at = (at + 1) & (capacity - 1) }
                table[at] = slot
            }
        }
        self.init(
            slots: arena.array(table), patterns: arena.array(patterns), names: arena.array(bytes),
            hasSuffixes: slots.contains(where: \.isSuffix), fallback: defaultHost >= 0 ? defaultHost : any)
    }
}

/// Hash of a name, taken from its end, so that each of its suffixes has one on the way; upper and lower case alike.
private struct HostHash {
    private var state: UInt64 = 0xcbf2_9ce4_8422_2325

    @inline(__always)
    mutating func add(_ byte: UInt8) { state = (state ^ UInt64(byte | 0x20)) &* 0x0000_0100_0000_01b3 }

    var value: UInt32 {
        let mixed = state ^ state >> 32
        return UInt32(truncatingIfNeeded: mixed ^ mixed >> 15)
    }
}

@inline(__always)
private func folded(_ byte: UInt8) -> UInt8 { byte &- UInt8(ascii: "A") < 26 ? byte | 0x20 : byte }
