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

    /// How a rule that is no exact path is tried. Small, because a lookup touches any of many.
    fileprivate enum Trial: BitwiseCopyable {
        /// The walk along the path has told it already.
        case prefix
        case glob(UnsafeRawPointer, byteCount: UInt32)
        case pattern(Pattern)
    }

    /// An exact path; its bytes stand in `exactPaths`.
    fileprivate struct Slot: BitwiseCopyable {
        var hash: UInt32 = 0
        /// -1 = the slot is free.
        var rule: Int32 = -1
        var start: UInt32 = 0
        var length: UInt32 = 0
    }

    /// Patterns that may give up in one lookup; those after that are not tried.
    private static let gaveUpMax = 4

    /// By rule; empty when every rule names its path exactly or takes everything.
    private let trials: UnsafeBufferPointer<Trial>
    /// For the operator, by rule: its name and its pattern.
    private let labels: UnsafeBufferPointer<LastingBytes>
    private let slots: UnsafeBufferPointer<Slot>
    private let exactPaths: UnsafeBufferPointer<UInt8>
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
                switch trials[Int(rule)] {
                case .prefix: break
                case .glob(let start, let byteCount):
                    if !Glob(pattern: UnsafeRawBufferPointer(start: start, count: Int(byteCount))).matches(path) { continue }
                case .pattern(let pattern):
                    guard left > 0 else { continue }
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
    func label(_ rule: Int32) -> LastingBytes { labels[Int(rule)] }

    private func exact(_ path: UnsafeRawBufferPointer) -> Int32 {
        let hash = UInt32(truncatingIfNeeded: hashKey(path))
        let mask = slots.count &- 1
        var at = Int(hash) & mask
        while slots[at].rule >= 0 {
            let slot = slots[at]
            if slot.hash == hash, Int(slot.length) == path.count,
                path.count == 0 || memcmp(exactPaths.baseAddress! + Int(slot.start), path.baseAddress!, path.count) == 0
            {
                return slot.rule
            }
            at = (at &+ 1) & mask
        }
        return .max
    }
}

extension RuleTable {
    /// - Parameters:
    ///   - rules: in the order of the file.
    ///   - patterns: of the same plan; nil = these rules share theirs with nobody.
    /// - Throws: why a pattern is none; checked before, so it is a surprise here.
    init(_ rules: [RuleSettings], in arena: PlanArena, patterns: SharedPatterns? = nil) throws(Pattern.Complaint) {
        let patterns = patterns ?? SharedPatterns(in: arena)
        var exact: [(path: [UInt8], rule: Int32)] = []
        var prefixes: [(prefix: [UInt8], rule: Int32)] = []
        var trials: [Trial] = []
        var labels: [LastingBytes] = []
        var catchAll: Int32 = -1
        for (index, rule) in rules.enumerated() {
            var trial = Trial.prefix
            var label = LastingBytes.empty
            switch RuleMatcher(rule.matcher) {
            case .exact(let path): exact.append((path, Int32(index)))
            case .all: catchAll = Int32(index)
            case .prefix(let prefix): prefixes.append((prefix, Int32(index)))
            case .glob(let bytes, let prefix):
                trial = .glob(bytes, in: arena)
                prefixes.append((prefix, Int32(index)))
            case .pattern(let text, let prefix):
                trial = .pattern(try patterns.pattern(text))
                label = arena.bytes("rule '\(rule.name)', pattern '\(text)'")
                prefixes.append((prefix, Int32(index)))
            }
            trials.append(trial)
            labels.append(label)
            if catchAll >= 0 { break }  // nothing after it is ever reached
        }
        let compiled = PrefixTrie.compile(prefixes, in: arena)
        for (prefix, rule) in prefixes where compiled.cutOff.contains(rule) {
            if case .prefix = trials[Int(rule)] { trials[Int(rule)] = .glob(prefix + [UInt8(ascii: "*")], in: arena) }
        }
        trie = compiled.trie
        self.trials = arena.array(prefixes.isEmpty ? [] : trials)
        self.labels = arena.array(prefixes.isEmpty ? [] : labels)
        (slots, exactPaths) = Self.hashed(exact, in: arena)
        self.catchAll = catchAll
        readsPath = !exact.isEmpty || !prefixes.isEmpty
    }

    private static func hashed(
        _ paths: [(path: [UInt8], rule: Int32)], in arena: PlanArena
    ) -> (UnsafeBufferPointer<Slot>, UnsafeBufferPointer<UInt8>) {
        guard !paths.isEmpty else { return (arena.array([]), arena.array([])) }
        var capacity = 2
        while capacity < 2 * paths.count { capacity *= 2 }
        var table = [Slot](repeating: Slot(), count: capacity)
        var bytes: [UInt8] = []
        var known: Set<[UInt8]> = []
        for (path, rule) in paths where known.insert(path).inserted {
            let hash = UInt32(truncatingIfNeeded: path.withUnsafeBytes { hashKey($0) })
            var at = Int(hash) & (capacity - 1)
            while table[at].rule >= 0 { at = (at + 1) & (capacity - 1) }
            table[at] = Slot(hash: hash, rule: rule, start: UInt32(bytes.count), length: UInt32(path.count))
            bytes += path
        }
        return (arena.array(table), arena.array(bytes))
    }
}

extension RuleTable.Trial {
    fileprivate static func glob(_ bytes: [UInt8], in arena: PlanArena) -> Self {
        let kept = arena.bytes(bytes)
        return .glob(kept.start, byteCount: UInt32(kept.count))
    }
}

/// The tables of one plan: hosts that are made from one template have the same rules.
final class SharedRuleTables {
    private struct Rule: Hashable {
        let name: String
        let matcher: RuleSettings.Matcher
    }
    private let arena: PlanArena
    private let patterns: SharedPatterns
    private var known: [[Rule]: RuleTable] = [:]

    init(in arena: PlanArena, patterns: SharedPatterns) {
        self.arena = arena
        self.patterns = patterns
    }

    func table(_ rules: [RuleSettings]) throws(Pattern.Complaint) -> RuleTable {
        let key = rules.map { Rule(name: $0.name, matcher: $0.matcher) }
        if let table = known[key] { return table }
        let table = try RuleTable(rules, in: arena, patterns: patterns)
        known[key] = table
        return table
    }
}
