import Testing

@testable import Proxy

@Suite("Rules by path")
struct RuleTableTests {
    typealias Matcher = RuleSettings.Matcher

    private func rules(_ matchers: [Matcher]) -> [RuleSettings] {
        matchers.enumerated().map { index, matcher in
            var rule = RuleSettings()
            rule.name = "r\(index)"
            rule.matcher = matcher
            return rule
        }
    }

    private func match(_ path: String, _ matchers: [Matcher]) throws -> RuleTable.Match {
        let arena = PlanArena()
        let table = try RuleTable(rules(matchers), in: arena)
        let scratch = PatternScratch(stepsMax: 100_000)
        return withExtendedLifetime(arena) { Array(path.utf8).withUnsafeBytes { table.match($0, scratch) } }
    }

    private func rule(_ path: String, _ matchers: [Matcher]) throws -> Int32 { try match(path, matchers).rule }

    @Test(
        "the first rule that takes a path counts, whatever its kind",
        arguments: [
            ("/a", 0), ("/b", 1), ("/b/c", 1), ("/c/1", 2), ("/c/x", 3), ("/d", 4), ("/c/d", 3), ("/", 5), ("/x.php", 5), ("", 5), ("*", 5),
        ])
    func order(path: String, expected: Int32) throws {
        let matchers: [Matcher] = [
            .exact("/a"), .glob("/b*"), .pattern("^/c/[0-9]"), .glob("/c/*"), .pattern("d$"), .glob("*"), .exact("/x.php"), .glob("*.php"),
        ]
        #expect(try rule(path, matchers) == expected)
    }

    @Test("a rule in front of a better match wins")
    func firstWins() throws {
        #expect(try rule("/a/b/c", [.glob("/a/*"), .exact("/a/b/c"), .glob("/a/b/*")]) == 0)
        #expect(try rule("/a/b/c", [.glob("/a/b/*"), .glob("/a/*"), .exact("/a/b/c")]) == 0)
        #expect(try rule("/a/b/c", [.pattern("c$"), .glob("/a/b/c*")]) == 0)
        #expect(try rule("/a/b/c", [.exact("/a/b/c"), .exact("/a/b/c")]) == 0)
    }

    @Test("no rule, no match")
    func none() throws {
        #expect(try rule("/a", []) == -1)
        #expect(try rule("/A", [.exact("/a"), .glob("/a*"), .pattern("^/a")]) == -1)
        #expect(try rule("/ab", [.exact("/a")]) == -1)
    }

    @Test("what a file writes otherwise than the normal form means the same", arguments: [Matcher.exact("/%61/%7e%c3%a9"), .exact("/x/../a/./~%C3%A9"), .glob("/a/%7Eé*")])
    func normalForm(_ matcher: Matcher) throws {
        #expect(try rule("/a/~%C3%A9", [matcher]) == 0)
    }

    @Test("a rule for everything needs no path")
    func readsPath() throws {
        let arena = PlanArena()
        #expect(try RuleTable(rules([.all, .exact("/a")]), in: arena).readsPath == false)
        #expect(try RuleTable(rules([.glob("**")]), in: arena).readsPath == false)
        #expect(try RuleTable(rules([]), in: arena).readsPath == false)
        #expect(try RuleTable(rules([.exact("/a"), .all]), in: arena).readsPath == true)
        #expect(try RuleTable(rules([.glob("/a*")]), in: arena).readsPath == true)
    }

    @Test("a pattern that explodes counts as not matching and is named; those before it that match are not reached by it")
    func gaveUp() throws {
        let hostile = "/" + String(repeating: "a", count: 200) + "!"
        let explosive = Matcher.pattern("^/(a+)+$")
        #expect(try match(hostile, [explosive, .glob("/a*")]) == RuleTable.Match(rule: 1, gaveUp: 0))
        #expect(try match(hostile, [.glob("/a*"), explosive]) == RuleTable.Match(rule: 0))
        #expect(try match(hostile, [explosive]) == RuleTable.Match(rule: -1, gaveUp: 0))
        let arena = PlanArena()
        let table = try RuleTable(rules([explosive]), in: arena)
        #expect(table.label(0).text == "rule 'r0', pattern '^/(a+)+$'")
    }

    @Test("however many patterns explode, one lookup takes bounded time")
    func manyExplosions() throws {
        let hostile = "/" + String(repeating: "a", count: 200) + "!"
        let matchers = (0..<1_000).map { Matcher.pattern("^/(a+)+\($0)$") } + [.glob("/a*")]
        let clock = ContinuousClock()
        let start = clock.now
        #expect(try rule(hostile, matchers) == 1_000)
        let taken = clock.now - start
        #expect(taken < .seconds(5), "\(taken)")
    }

    @Test("prefixes within prefixes, deeper than a walk can hold")
    func deep() throws {
        let matchers = (0..<100).reversed().map { Matcher.glob("/" + String(repeating: "a", count: $0) + "*") }
        for depth in [0, 1, 15, 16, 17, 40, 99] {
            #expect(try rule("/" + String(repeating: "a", count: depth), matchers) == Int32(99 - depth), "depth \(depth)")
        }
        let mixed = (0..<100).reversed().map { Matcher.glob("/" + String(repeating: "a", count: $0) + "*x") }
        for depth in [0, 1, 15, 16, 17, 40, 99] {
            #expect(try rule("/" + String(repeating: "a", count: depth) + "x", mixed) == Int32(99 - depth), "depth \(depth)")
        }
    }

    @Test("the table agrees with trying every rule in turn", arguments: [1, 2, 3, 4, 5, 6] as [UInt64])
    func reference(seed: UInt64) throws {
        var random = RandomSource(seed: seed)
        func pick(_ words: [String]) -> String { words[Int(random.next(below: UInt64(words.count)))] }
        func path(_ most: UInt64) -> String { (0..<random.next(below: most) + 1).map { _ in "/" + pick(["a", "b", "ab", "abc", "x.y", ""]) }.joined() }
        let scratch = PatternScratch(stepsMax: 1_000_000)
        for _ in 0..<40 {
            let matchers: [Matcher] = (0..<Int(random.next(below: 60) + 1)).map { _ in
                switch random.next(below: 8) {
                case 0, 1, 2: .exact(path(3))
                case 3: .glob(path(3) + "*")
                case 4: .glob(path(2) + "*" + pick(["a", "b", "/", "y"]))
                case 5: .glob("*" + path(2) + pick(["", "*"]))
                case 6: .pattern("^" + path(3).replacing(".", with: "\\.") + pick(["", "$", "(/a|b)", "?", "+"]))
                default: .pattern(pick(["a/b", "x.y$", "^/(a|b)$", "c/?a", "^(/ab?)/", "(/a){2}"]))
                }
            }
            let arena = PlanArena()
            let table = try RuleTable(rules(matchers), in: arena)
            let slow = try matchers.map { try SlowMatcher($0) }
            for _ in 0..<150 {
                let wanted = path(4)
                let found = Array(wanted.utf8).withUnsafeBytes { table.match($0, scratch) }
                let expected = slow.firstIndex { $0.matches(wanted) } ?? -1
                #expect(found == RuleTable.Match(rule: Int32(expected)), "seed \(seed): '\(wanted)' among \(matchers)")
            }
            withExtendedLifetime(arena) {}
        }
    }
}

/// One rule by other means than those of the product.
private struct SlowMatcher {
    private let matches: (String) -> Bool

    init(_ matcher: RuleSettings.Matcher) throws {
        switch matcher {
        case .exact(let path): matches = { $0 == path }
        case .glob(let pattern): matches = { slowGlob(pattern, $0) }
        case .all: matches = { _ in true }
        case .pattern(let text):
            let pattern = try Regex(text)
            matches = { $0.contains(pattern) }
        }
    }

    func matches(_ path: String) -> Bool { matches(path) }
}
