import Testing

@testable import Proxy

@Suite("Patterns (PCRE2)")
struct PatternTests {
    private func search(_ pattern: String, _ subject: String, steps: Int = 100_000) throws -> (outcome: Proxy.Pattern.Outcome, groups: [Range<Int>?]) {
        let arena = PlanArena()
        let scratch = PatternScratch(stepsMax: steps)
        let compiled = try Proxy.Pattern(pattern, in: arena)
        let outcome = Array(subject.utf8).withUnsafeBytes { compiled.search($0, scratch) }
        let groups = outcome == .found ? (0...Int(compiled.groupCount)).map { compiled.group($0, scratch) } : []
        return withExtendedLifetime(arena) { (outcome, groups) }
    }

    @Test("a pattern is found anywhere, and its groups with it")
    func groups() throws {
        let found = try search("(b+)(x)?(c)", "/abbc")
        #expect(found.outcome == .found)
        #expect(found.groups == [2..<5, 2..<4, nil, 4..<5])
        #expect(try search("^b", "/ab").outcome == .notFound)
        #expect(try search("^$", "").outcome == .found)
    }

    @Test("groups that a pattern does not have have no place")
    func noGroup() throws {
        let arena = PlanArena()
        let scratch = PatternScratch(stepsMax: 1_000)
        let pattern = try Proxy.Pattern("a", in: arena)
        #expect(Array("a".utf8).withUnsafeBytes { pattern.search($0, scratch) } == .found)
        #expect(pattern.group(0, scratch) == 0..<1)
        #expect(pattern.group(1, scratch) == nil && pattern.group(-1, scratch) == nil && pattern.group(1_000, scratch) == nil)
    }

    @Test("a pattern that explodes gives up, soon")
    func explosion() throws {
        let subject = "/" + String(repeating: "a", count: 200) + "!"
        let clock = ContinuousClock()
        let start = clock.now
        #expect(try search("^/(a+)+$", subject).outcome == .gaveUp)
        #expect(try search("(?:(?:a|aa)+)+$", subject).outcome == .gaveUp)
        let taken = clock.now - start
        #expect(taken < .seconds(2), "\(taken)")
    }

    @Test("an answer is nothing to be afraid of on the longest path there is", arguments: [".*foo$", "^/(.*)$", "(x|y)*z", "^(a|b|ab)*c$", "^(?:a?){50}a{50}"])
    func long(_ pattern: String) throws {
        let subject = "/" + String(repeating: "a", count: 60_000)
        let taken = try ContinuousClock().measure { _ = try search(pattern, subject) }
        #expect(taken < .seconds(2), "\(taken)")
    }

    @Test(
        "what is no pattern is said with its place",
        arguments: [
            ("(a", "is no regular expression: missing closing parenthesis, at character 3"),
            ("*a", "is no regular expression: quantifier does not follow a repeatable item, at character 1"),
            (String(repeating: "(a)", count: 100), "has more than 99 groups in parentheses"),
        ])
    func complaint(_ pattern: String, _ sentence: String) {
        #expect(Proxy.Pattern.complaint(about: pattern)?.sentence == sentence)
    }

    @Test("what POSIX and RProxy's files use is understood", arguments: [("^/[[:alpha:]]+[[:digit:]]{2}$", "/ab12"), ("^(/dir/).*", "/dir/x"), ("\\.(gif|png)$", "/a.png")])
    func posix(_ pattern: String, _ subject: String) throws {
        #expect(try search(pattern, subject).outcome == .found)
    }
}

@Suite("Literal prefixes of patterns")
struct PatternPrefixTests {
    @Test(
        "what every subject begins with is told",
        arguments: [
            ("^/abc", "/abc"), ("^/a/.*", "/a/"), ("^(/dir/).*", "/dir/"), ("^/a\\.b/[0-9]+", "/a.b/"), ("^/(?:v1)/x", "/v1/x"), ("^/a(b)+c", "/ab"),
            ("^/ab+c", "/ab"), ("^/((a))(b)$", "/ab"), ("^/a(b|c)", "/a"), ("^/a(?=b)", "/a"), ("^/[|]x", "/"), ("^/a$", "/a"), ("^/a-b_c~d", "/a-b_c~d"),
            ("^/x\\|y", "/x|y"), ("^/a(?i)b", "/a"),
        ])
    func told(_ pattern: String, _ prefix: String) {
        #expect(String(decoding: literalPrefix(ofPattern: pattern), as: UTF8.self) == prefix)
    }

    @Test(
        "what may be otherwise is not",
        arguments: [
            ("/abc", ""), ("^/abc|^/x", ""), ("^a|b", ""), ("^/ab?c", "/a"), ("^/ab*c", "/a"), ("^/ab{0,2}", "/a"), ("^/a(bc)?d", "/a"), ("^/a(bc)*", "/a"),
            ("^(/a|/b)", ""), ("(?i)^/a", ""), ("(?m)^/a", ""), ("^.*", ""), ("^\\/a\\d", "/a"), ("^*a", ""), ("^/a\\Q(\\E|b", ""), ("^/a\\c(|b", ""),
            ("^/a(?x) # ( \n|b", ""), ("^/a[(]|b", ""), ("^/a[]|(]x|b", ""), ("^/a[[:alpha:](]|b", ""), ("^/(?|a|b)", ""), ("^/a(?#()|b", ""), ("^/a\\(|b", ""),
        ])
    func untold(_ pattern: String, _ prefix: String) {
        #expect(String(decoding: literalPrefix(ofPattern: pattern), as: UTF8.self) == prefix)
    }

    @Test("whatever a pattern is found in begins with its prefix", arguments: [1, 2, 3] as [UInt64])
    func sound(seed: UInt64) {
        var random = RandomSource(seed: seed)
        let parts = ["a", "b", "/", "(", ")", "|", "[", "]", "*", "?", "+", "{2}", "\\", "(?:", "(?i)", "^", "$", ".", "[:", ":]", "\\Q", "\\E", "(?#", "-"]
        let arena = PlanArena()
        let scratch = PatternScratch(stepsMax: 10_000)
        var compiled = 0
        for _ in 0..<40_000 {
            let text = "^" + (0..<random.next(below: 9)).map { _ in parts[Int(random.next(below: UInt64(parts.count)))] }.joined()
            guard Proxy.Pattern.complaint(about: text) == nil, let pattern = try? Proxy.Pattern(text, in: arena) else { continue }
            compiled += 1
            let prefix = literalPrefix(ofPattern: text)
            if prefix.isEmpty { continue }
            for subject in ["", "a", "b", "/", "A", "aa", "ab", "ba", "/a", "/b", "a/", "(", "|b", "aab", "abb", "-"] {
                let bytes = Array(subject.utf8)
                if bytes.withUnsafeBytes({ pattern.search($0, scratch) }) == .found {
                    #expect(bytes.starts(with: prefix), "seed \(seed): '\(text)' is found in '\(subject)', which does not begin with '\(String(decoding: prefix, as: UTF8.self))'")
                }
            }
        }
        #expect(compiled > 1_000)
    }
}
