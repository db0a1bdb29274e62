import Testing

@Suite("Pages")
struct PageTests {
    /// `[text](target)` of a page, with its line.
    private static func links(_ page: TidyFile) -> [(line: Int, target: String)] {
        var result: [(Int, String)] = []
        for (number, line) in page.lines.enumerated() {
            var rest = line[...]
            while let found = rest.firstRange(of: "](") {
                rest = rest[found.upperBound...]
                guard let end = rest.firstIndex(of: ")") else { break }
                result.append((number + 1, String(rest[..<end])))
                rest = rest[end...]
            }
        }
        return result
    }

    /// What stands between back-quotes on a page, with its line.
    private static func quoted(_ page: TidyFile) -> [(line: Int, text: String)] {
        page.lines.enumerated().flatMap { number, line in
            line.split(separator: "`", omittingEmptySubsequences: false).enumerated()
                .filter { $0.offset % 2 == 1 }.map { (number + 1, String($0.element)) }
        }
    }

    private static func resolve(_ target: String, from page: TidyFile) -> String {
        var parts = page.path.split(separator: "/").dropLast().map(String.init)
        for part in target.split(separator: "/") {
            if part == ".." { _ = parts.popLast() } else if part != "." { parts.append(String(part)) }
        }
        return parts.joined(separator: "/")
    }

    /// The name that a heading has in links: lower case, blanks as hyphens, no other marks.
    private static func anchors(_ page: TidyFile) -> Set<String> {
        Set(
            page.lines.filter { $0.hasPrefix("#") }.map { line in
                String(
                    line.drop { $0 == "#" || $0 == " " }.lowercased()
                        .compactMap { $0 == " " ? "-" : $0.isLetter || $0.isNumber || $0 == "-" || $0 == "_" ? $0 : nil })
            })
    }

    @Test("links of pages lead somewhere inside the project")
    func links() {
        for page in SourceTree.pages {
            for link in Self.links(page) where !link.target.hasPrefix("http") && !link.target.hasPrefix("mailto:") {
                let parts = link.target.split(separator: "#", maxSplits: 1, omittingEmptySubsequences: false)
                let path = parts[0].isEmpty ? page.path : Self.resolve(String(parts[0]), from: page)
                guard SourceTree.exists(path) else {
                    Issue.record("\(page.path):\(link.line): there is no \(link.target)")
                    continue
                }
                guard parts.count == 2, let target = SourceTree.file(path) else { continue }
                #expect(
                    Self.anchors(target).contains(String(parts[1])), "\(page.path):\(link.line): \(path) has no heading #\(parts[1])")
            }
        }
    }

    /// A file is named by its path from the project's folder, from Sources/Proxy, or, in a page about one room, by its name.
    private static func isNamedFile(_ text: String) -> Bool {
        let endings = [".swift", ".md", ".h", ".c", ".awk", ".conf"]
        return endings.contains { text.hasSuffix($0) } && !text.contains(where: { " *{<…$:".contains($0) }) && !text.hasPrefix("/")
    }

    @Test("files that pages name exist")
    func files() {
        let names = Set(SourceTree.files.map(\.name))
        for page in SourceTree.pages where page.path != "CHANGELOG.md" {
            for quote in Self.quoted(page) where Self.isNamedFile(quote.text) {
                let exists =
                    SourceTree.exists(quote.text) || SourceTree.exists("Sources/Proxy/\(quote.text)")
                    || SourceTree.exists(Self.resolve(quote.text, from: page)) || names.contains(quote.text)
                    // Files of an operator, in commands that a page shows.
                    || quote.text == "weir.conf" || quote.text == "FILE"
                #expect(exists, "\(page.path):\(quote.line): there is no file \(quote.text)")
            }
        }
    }

    @Test("folders that pages name exist")
    func folders() {
        for page in SourceTree.pages where page.path != "CHANGELOG.md" {
            for quote in Self.quoted(page) where quote.text.hasPrefix("Sources/") || quote.text.hasPrefix("Tests/") || quote.text.hasPrefix("docs/") {
                guard !quote.text.contains(where: { " *{<…$".contains($0) }) else { continue }
                #expect(SourceTree.exists(quote.text), "\(page.path):\(quote.line): there is no \(quote.text)")
            }
        }
    }

    @Test("docs/LIFE_OF_A_REQUEST.md tells of every step, in the order of ExchangeSteps.swift, with its file")
    func life() throws {
        let page = try #require(SourceTree.file("docs/LIFE_OF_A_REQUEST.md"))
        let steps = try #require(SourceTree.file("Sources/Proxy/Exchange/ExchangeSteps.swift"))
        let declaration = try #require(steps.text.firstRange(of: "enum Step: UInt8 {"))
        let body = steps.text[declaration.upperBound...].prefix { $0 != "}" }
        let cases = body.split(separator: "\n").compactMap { line -> String? in
            let words = line.split(separator: " ")
            return words.first == "case" ? String(words[1]) : nil
        }
        #expect(cases.count > 5)
        let headings = page.lines.filter { $0.hasPrefix("## ") }
        let told = headings.compactMap { heading in cases.first { heading.contains("`\($0)`") } }
        #expect(told == cases, "give each step a heading with its name in back-quotes, in the order of the list")
        // Each part names at least one file.
        for part in page.text.split(separator: "\n## ").dropFirst() {
            #expect(part.contains(".swift`"), "LIFE_OF_A_REQUEST.md, '\(part.prefix(40))': name the file that does it")
        }
    }

    @Test("every page of docs is linked from docs/ARCHITECTURE.md or the README")
    func found() throws {
        var linked: Set<String> = []
        for page in SourceTree.pages where ["README.md", "CONTRIBUTING.md", "docs/ARCHITECTURE.md"].contains(page.path) {
            for link in Self.links(page) { linked.insert(Self.resolve(String(link.target.split(separator: "#")[0]), from: page)) }
        }
        for page in SourceTree.pages where page.path.hasPrefix("docs/") {
            #expect(
                linked.contains(page.path) || linked.contains(page.path.split(separator: "/").dropLast().joined(separator: "/")),
                "\(page.path): link it from README.md or docs/ARCHITECTURE.md")
        }
    }
}
