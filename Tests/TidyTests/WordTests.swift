import Testing

@Suite("Words")
struct WordTests {
    private static let streamWords = ["up", "down"].map { $0 + "stream" }

    /// Where operators type or read the two words: configuration words, log tokens, their tests, fixtures and pages.
    private static func mayUseStreamWords(_ path: String) -> Bool {
        let prefixes = [
            "Sources/Proxy/Configuration/ConfigWords", "Sources/Proxy/Logging/LogFields.swift", "Tests/ProxyTests/Configuration/",
            "Tests/ProxyTests/Logging/", "Tests/Fixtures/", "Tests/Fuzz/ConfigParser/", "docs/GLOSSARY.md",
            "docs/CONFIGURATION.md",
        ]
        return prefixes.contains { path.hasPrefix($0) } || (path.contains("/Configuration/") && path.hasSuffix("Settings.swift"))
    }

    /// Leaves out what stands between back-quotes: there the word of the configuration is meant.
    private static func withoutQuotes(_ text: some StringProtocol) -> String {
        text.split(separator: "`", omittingEmptySubsequences: false).enumerated()
            .filter { $0.offset % 2 == 0 }.map { String($0.element) }.joined()
    }

    private static func check(_ path: String, _ line: Int, _ text: some StringProtocol) {
        let plain = withoutQuotes(text).lowercased()
        for word in streamWords where plain.contains(word) {
            Issue.record("\(path):\(line): say client or backend, not \(word)")
        }
    }

    @Test("the two stream words stand only where operators type or read them (docs/GLOSSARY.md)")
    func streams() {
        for file in SourceTree.files where !Self.mayUseStreamWords(file.path) {
            if file.path.hasSuffix(".swift") {
                // Strings are left out: they are configurations, or texts that name a word of one.
                let code = SwiftWords(file)
                // The vocabulary of the scenarios writes configurations, so its own words are those of the language.
                let isVocabulary = file.path.hasPrefix("Tests/ScenarioTests/") || file.path.hasPrefix("Tests/TestSupport/")
                if !isVocabulary { for word in code.words { Self.check(file.path, word.line, word.text) } }
                for comment in code.comments { Self.check(file.path, comment.line, comment.text) }
                continue
            }
            var isBlock = false
            for (number, line) in file.lines.enumerated() {
                let trimmed = line.drop { $0 == " " }
                if trimmed.hasPrefix("```") { isBlock.toggle() }
                // Code and quotations of pages.
                if isBlock || line.hasPrefix("    ") || trimmed.hasPrefix(">") { continue }
                Self.check(file.path, number + 1, line)
            }
        }
    }

    @Test("nothing is left for later in a mark; what is open stands in an issue")
    func marks() {
        let marks = ["TO" + "DO", "FIX" + "ME", "HA" + "CK:"]
        for file in SourceTree.files {
            for (number, line) in file.lines.enumerated() {
                for mark in marks where line.contains(mark) {
                    Issue.record("\(file.path):\(number + 1): do it now, or say in a comment what holds and why")
                }
            }
        }
    }

    @Test("no path of somebody's machine and no number of a ticket")
    func places() {
        let places = ["/work" + "/", "/home" + "/", "/Users" + "/"]
        let ticket = "issue" + " "
        for file in SourceTree.files {
            for (number, line) in file.lines.enumerated() {
                for place in places where line.contains(place) {
                    Issue.record("\(file.path):\(number + 1): names a path of one machine")
                }
                let lower = line.lowercased()
                if let found = lower.range(of: ticket), lower[found.upperBound...].first?.isNumber == true {
                    Issue.record("\(file.path):\(number + 1): tell the reason itself instead of a ticket's number")
                }
            }
        }
    }

    @Test("every text file ends with one line feed and has no blanks at the end of lines")
    func shape() {
        for file in SourceTree.files where !file.path.contains("/Corpus/") && !file.path.contains("/corpus/") {
            guard !file.path.hasPrefix("Tests/Fixtures/"), !file.text.isEmpty else { continue }
            #expect(file.text.hasSuffix("\n"), "\(file.path): end the last line")
            for (number, line) in file.lines.enumerated() where line.hasSuffix(" ") || line.hasSuffix("\r") {
                Issue.record("\(file.path):\(number + 1): blanks at the end of the line")
            }
        }
    }

    /// Sizes are told, not refused: a surprise is worth a look.
    @Test("sizes of source files, for reading")
    func sizes() {
        let counts = SourceTree.sources.map { (path: $0.path, lines: $0.lines.count - 1) }.sorted { $0.lines < $1.lines }
        guard let largest = counts.last else { return }
        let median = counts[counts.count / 2].lines
        let ninth = counts[counts.count * 9 / 10].lines
        let long = SourceTree.sources.reduce(0) { $0 + $1.lines.count { $0.count > 130 } }
        print(
            """
            sizes: \(counts.count) source files, \(counts.reduce(0) { $0 + $1.lines }) lines; median \(median), 90th percentile \
            \(ninth), largest \(largest.lines) (\(largest.path)); \(long) lines above 130 characters
            """)
        #expect(!counts.isEmpty)
    }
}
