import Testing

@testable import Proxy

/// `*` stands for anything: by a table over all pairs of places, as slow as it is plain.
func slowGlob(_ pattern: String, _ text: String) -> Bool {
    let pattern = Array(pattern.utf8)
    let text = Array(text.utf8)
    var row = [Bool](repeating: false, count: text.count + 1)
    row[0] = true
    for letter in pattern {
        var next = [Bool](repeating: false, count: text.count + 1)
        if letter == UInt8(ascii: "*") {
            var reached = false
            for index in 0...text.count {
                reached = reached || row[index]
                next[index] = reached
            }
        } else {
            for index in text.indices where row[index] && text[index] == letter { next[index + 1] = true }
        }
        row = next
    }
    return row[text.count]
}

@Suite("Globs")
struct GlobTests {
    private func matches(_ pattern: String, _ text: String) -> Bool {
        Array(pattern.utf8).withUnsafeBytes { pattern in Array(text.utf8).withUnsafeBytes { Glob(pattern: pattern).matches($0) } }
    }

    @Test(
        "* stands for anything, also for nothing and for slashes",
        arguments: [
            ("/a*", "/a"), ("/a*", "/a/b/c"), ("*", ""), ("*", "/x"), ("*.php", "/x/y.php"), ("/a*b*c", "/abc"), ("/a*b*c", "/axxbyybzzc"),
            ("a**b", "ab"), ("", ""), ("/*/edit", "/a/edit"), ("*a*", "bab"), ("a*a", "aa"),
        ])
    func match(pattern: String, text: String) {
        #expect(matches(pattern, text))
    }

    @Test(
        "everything else stands for itself",
        arguments: [
            ("/a*", "/b"), ("/a", "/ab"), ("/ab", "/a"), ("*.php", "/x.phpx"), ("a*a", "a"), ("a*b*c", "acb"), ("/?", "/a"), ("[ab]", "a"), ("", "a"),
            ("a*bc", "abcb"), ("ab*ba", "aba"), ("/A*", "/ab"),
        ])
    func noMatch(pattern: String, text: String) {
        #expect(!matches(pattern, text))
    }

    @Test("the matcher agrees with the plain one", arguments: [1, 2, 3] as [UInt64])
    func reference(seed: UInt64) {
        var random = RandomSource(seed: seed)
        func word(_ letters: [Character], _ most: UInt64) -> String { String((0..<random.next(below: most)).map { _ in letters[Int(random.next(below: UInt64(letters.count)))] }) }
        for _ in 0..<20_000 {
            let pattern = word(["a", "b", "*"], 8)
            let text = word(["a", "b"], 12)
            #expect(matches(pattern, text) == slowGlob(pattern, text), "seed \(seed): '\(pattern)' on '\(text)'")
        }
    }

    @Test("a pattern made to be slow is not")
    func hostile() {
        let text = String(repeating: "a", count: 60_000)
        let pattern = String(repeating: "a*", count: 2_000) + "b"
        let piece = String(repeating: "*" + String(repeating: "a", count: 2_000) + "b", count: 10)
        let clock = ContinuousClock()
        let taken = clock.measure {
            for _ in 0..<10 {
                #expect(!matches(pattern, text))
                #expect(!matches(piece, text))
            }
        }
        // One after the other letter would take 60,000 × 2,000 steps a pattern: seconds.
        #expect(taken < .seconds(2), "\(taken)")
    }
}
