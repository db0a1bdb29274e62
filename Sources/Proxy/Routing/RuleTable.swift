import Glibc

/// Finds the first rule, in the order of the file, that takes a path.
///
/// Compiled once into an arena and read-only after that. Paths that a rule names exactly are found by a hash; patterns are
/// tried only when the path begins with the bytes that they must begin with, which one walk along the path tells. So the
/// cost does not grow with the number of rules, but for patterns that may begin with anything.
struct RuleTable: BitwiseCopyable, @unchecked Sendable {
    /// What came of a lookup.
    struct Match: Equatable {
        /// The rule's place among those of its virtual host; -1 = none takes the path.
        var rule: Int32
        /// The last rule whose pattern gave up, which then counts as not matching; -1 = none did.
        var gaveUp: Int32 = -1
    }

    fileprivate enum Kind: UInt8 {
        /// The walk along the path has told it already.
        case prefix
        case glob
        case pattern
    }

    /// How a rule that is no exact path is tried.
    fileprivate struct Trial: BitwiseCopyable {
        var kind: Kind
        var glob: Glob
        var pattern: Pattern?
        /// For the operator: the rule's name and its pattern.
        var label: LastingBytes
    }

    fileprivate struct Slot: BitwiseCopyable {
        var hash: UInt64 = 0
        /// -1 = the slot is free.
        var rule: Int32 = -1
        var path = LastingBytes(start: UnsafeRawPointer(StaticString("").utf8Start), count: 0)
    }

    /// Patterns that may give up in one lookup; those after that are not tried.
    private static let gaveUpMax = 4

    /// By rule; empty when every rule names its path exactly or takes everything.
    private let trials: UnsafeBufferPointer<Trial>
    private let slots: UnsafeBufferPointer<Slot>
    private let trie: PrefixTrie
    /// The first rule that takes everything; -1 = none does.
    private let catchAll: Int32
    /// Looking at the path can change the outcome.
    let readsPath: Bool

    /// - Parameter path: in its normal form, without query; `*` for OPTIONS of the server as a whole.
    func match(_ path: UnsafeRawBufferPointer, _ scratch: borrowing PatternScratch) -> Match {
        var best = catchAll < 0 ? Int32.max : catchAll
        if slots.count > 0 { best = min(best, exact(path)) }
        var outcome = Match(rule: -1)
        if !trie.isEmpty {
            var left = Self.gaveUpMax
            var candidates = trie.candidates(path, in: scratch.cursors)
            while case let rule = trie.next(&candidates, before: best), rule >= 0 {
                let trial = trials[Int(rule)]
                switch trial.kind {
                case .prefix: break
                case .glob: if !trial.glob.matches(path) { continue }
                case .pattern:
                    guard left > 0, let pattern = trial.pattern else { continue }
                    switch pattern.search(path, scratch) {
                    case .found: break
                    case .notFound: continue
                    case .gaveUp:
                        outcome.gaveUp = rule
                        left &-= 1
                        continue
                    }
                }
                best = rule
                break
            }
        }
        if best != .max { outcome.rule = best }
        return outcome
    }

    /// The rule's name and its pattern, for a message that it gave up.
    func label(_ rule: Int32) -> LastingBytes { trials[Int(rule)].label }

    private func exact(_ path: UnsafeRawBufferPointer) -> Int32 {
        let hash = hashKey(path)
        let mask = slots.count &- 1
        var at = Int(truncatingIfNeeded: hash) & mask
        while slots[at].rule >= 0 {
            let slot = slots[at]
            if slot.hash == hash, slot.path.count == path.count, path.count == 0 || memcmp(slot.path.start, path.baseAddress!, path.count) == 0 {
                return slot.rule
            }
            at = (at &+ 1) & mask
        }
        return .max
    }
}

extension RuleTable {
    /// - Parameter rules: in the order of the file.
    /// - Throws: why a pattern is none; checked before, so it is a surprise here.
    init(_ rules: [RuleSettings], in arena: PlanArena) throws(Pattern.Complaint) {
        var exact: [(path: [UInt8], rule: Int32)] = []
        var prefixes: [(prefix: [UInt8], rule: Int32)] = []
        var trials: [Trial] = []
        var catchAll: Int32 = -1
        let none = Glob(pattern: UnsafeRawBufferPointer(start: nil, count: 0))
        for (index, rule) in rules.enumerated() {
            var trial = Trial(kind: .prefix, glob: none, pattern: nil, label: LastingBytes(start: UnsafeRawPointer(StaticString("").utf8Start), count: 0))
            switch RuleMatcher(rule.matcher) {
            case .exact(let path): exact.append((path, Int32(index)))
            case .all: catchAll = Int32(index)
            case .prefix(let prefix):
                trial.glob = Glob(pattern: arena.lasting(prefix + [UInt8(ascii: "*")]))
                prefixes.append((prefix, Int32(index)))
            case .glob(let bytes, let prefix):
                trial.kind = .glob
                trial.glob = Glob(pattern: arena.lasting(bytes))
                prefixes.append((prefix, Int32(index)))
            case .pattern(let text, let prefix):
                trial.kind = .pattern
                trial.pattern = try Pattern(text, in: arena)
                trial.label = arena.bytes("rule '\(rule.name)', pattern '\(text)'")
                prefixes.append((prefix, Int32(index)))
            }
            trials.append(trial)
            if catchAll >= 0 { break }  // nothing after it is ever reached
        }
        let compiled = PrefixTrie.compile(prefixes, in: arena)
        for rule in compiled.cutOff where trials[Int(rule)].kind == .prefix { trials[Int(rule)].kind = .glob }
        trie = compiled.trie
        self.trials = arena.array(prefixes.isEmpty ? [] : trials)
        slots = arena.array(Self.hashed(exact, in: arena))
        self.catchAll = catchAll
        readsPath = !exact.isEmpty || !prefixes.isEmpty
    }

    private static func hashed(_ paths: [(path: [UInt8], rule: Int32)], in arena: PlanArena) -> [Slot] {
        guard !paths.isEmpty else { return [] }
        var capacity = 2
        while capacity < 2 * paths.count { capacity *= 2 }
        var table = [Slot](repeating: Slot(), count: capacity)
        var known: Set<[UInt8]> = []
        for (path, rule) in paths where known.insert(path).inserted {
            let hash = path.withUnsafeBytes { hashKey($0) }
            var at = Int(truncatingIfNeeded: hash) & (capacity - 1)
            while table[at].rule >= 0 { at = (at + 1) & (capacity - 1) }
            let kept = arena.lasting(path)
            table[at].hash = hash
            table[at].rule = rule
            if let start = kept.baseAddress { table[at].path = LastingBytes(start: start, count: kept.count) }
        }
        return table
    }
}

extension PlanArena {
    fileprivate func lasting(_ bytes: [UInt8]) -> UnsafeRawBufferPointer { UnsafeRawBufferPointer(array(bytes)) }
}
