import Testing

@testable import Proxy

@Suite("Rewriting of targets")
struct URIRewriteTests {
    private let arena = PlanArena()

    private func rewrite(_ settings: RewriteSettings, _ path: String, query: String? = nil) throws -> (text: String, outcome: URIRewrite.Outcome) {
        let rewrite = try #require(try URIRewrite(settings, in: arena))
        let bytes = Array(path.utf8)
        var groups = MatchGroups.none
        let scratch = PatternScratch(stepsMax: 10_000)
        if let pattern = rewrite.pattern {
            groups = try #require(bytes.withUnsafeBytes { MatchGroups.of(pattern, in: $0, scratch) })
        }
        var outcome = URIRewrite.Outcome.written
        let text = withBytes(query) { query in
            headText { outcome = rewrite.write(path: bytes.span, query: query, groups: groups, into: &$0) }
        }
        return (text, outcome)
    }

    private func path(_ path: RewriteSettings.Path, query: RewriteSettings.Query = .keep) -> RewriteSettings {
        RewriteSettings(path: path, query: query)
    }

    @Test(
        "RProxy 1: the text, then what stands behind the last group, then the query",
        arguments: [
            ("^(/dir/).*", "/derp/", "/dir/something/file.html", "/derp/something/file.html"),
            ("^(/dir/).*", "/derp/", "/other/x", "/other/x"),
            ("/(a)/(b)", "/x", "/0/a/b/c", "/x/c"),
            ("(b)", "/x/", "/ab", "/x/"),
            ("^/(a)(z)?", "/x", "/ab", "/xb"),
            ("^/a(z)?", "/x", "/ab", "/xb"),
            ("^(/dir/)", "/$1/", "/dir/f", "/$1/f"),
        ])
    func afterLastGroup(pattern: String, text: String, from: String, to: String) throws {
        #expect(try rewrite(path(.afterLastGroup(pattern: pattern, text: text)), from).text == to)
        #expect(try rewrite(path(.afterLastGroup(pattern: pattern, text: text)), from, query: "a=1&b").text == to + "?a=1&b")
    }

    @Test(
        "a text with references is the whole new path",
        arguments: [
            ("^/user/([^/]+)/(.*)$", "/u/$2/of/$1", "/user/ann/file", "/u/file/of/ann"),
            ("b(.)", "/$0$1$$$2", "/abc", "/bcc$"),
            ("^/a", "/index.html", "/a/b/c", "/index.html"),
            ("^/z", "/index.html", "/a", "/a"),
        ])
    func references(pattern: String, text: String, from: String, to: String) throws {
        #expect(try rewrite(path(.replace(pattern: pattern, text: text)), from).text == to)
    }

    @Test(
        "a prefix is replaced at the end of a segment only",
        arguments: [
            ("/app", "", "/app/x", "/x"), ("/app", "", "/app", "/"), ("/app", "", "/app/", "/"), ("/app", "", "/apple", "/apple"), ("/app", "/v1", "/app", "/v1"),
            ("/app", "/v1", "/app/x/", "/v1/x/"), ("", "/v1", "/x", "/v1/x"), ("", "/v1", "/", "/v1/"), ("/app", "/v1", "/App/x", "/App/x"),
        ])
    func prefix(from: String, with: String, path: String, expected: String) throws {
        #expect(try rewrite(self.path(.prefix(from, with: with)), path).text == expected)
    }

    @Test("the query is kept, dropped, replaced or appended to")
    func query() throws {
        let groups = RewriteSettings.Path.replace(pattern: "^/s/(.*)$", text: "/search")
        #expect(try rewrite(path(.keep, query: .drop), "/a", query: "x").text == "/a")
        #expect(try rewrite(path(groups, query: .replace("q=$1")), "/s/cat", query: "x").text == "/search?q=cat")
        #expect(try rewrite(path(groups, query: .append("q=$1")), "/s/cat", query: "x=1").text == "/search?x=1&q=cat")
        #expect(try rewrite(path(groups, query: .append("q=$1")), "/s/cat", query: "").text == "/search?q=cat")
        #expect(try rewrite(path(groups, query: .append("q=$1")), "/s/cat").text == "/search?q=cat")
        #expect(try rewrite(path(groups), "/s/cat", query: "").text == "/search?")
    }

    @Test("a path cannot smuggle parameters into a query")
    func parameters() throws {
        let settings = path(.replace(pattern: "^/s/(.*)$", text: "/search"), query: .replace("q=$1&admin=0"))
        #expect(try rewrite(settings, "/s/a&admin=1+2;b%26").text == "/search?q=a%26admin%3D1%2B2%3Bb%26&admin=0")
    }

    @Test("a result with dot segments is refused", arguments: ["/files../etc", "/files./x", "/files.%2e/x"])
    func dotSegments(path: String) throws {
        let settings = self.path(.replace(pattern: "^/files(.*)$", text: "/data/$1"))
        #expect(try rewrite(settings, path).outcome == .dotSegments)
        #expect(try rewrite(settings, "/files/x.tar").outcome == .written)
    }

    @Test("a result that does not fit is noticed")
    func tooLong() throws {
        let rewrite = try #require(try URIRewrite(path(.prefix("/a", with: "/" + String(repeating: "b", count: 100))), in: arena))
        var overflowed = false
        _ = headText(capacity: 50) { writer in
            _ = rewrite.write(path: Array("/a/x".utf8).span, query: .none, groups: .none, into: &writer)
            overflowed = writer.overflowed
        }
        #expect(overflowed)
    }

    @Test("a search that gives up is told apart from one that finds nothing")
    func gaveUp() throws {
        let pattern = try Proxy.Pattern("^(a+)+$", in: arena)
        let few = PatternScratch(stepsMax: 10)
        let subject = Array((String(repeating: "a", count: 40) + "!").utf8)
        #expect(subject.withUnsafeBytes { MatchGroups.of(pattern, in: $0, few) } == nil)
        #expect(Array("!".utf8).withUnsafeBytes { MatchGroups.of(pattern, in: $0, few) }?.isFound == false)
    }

    @Test("a template says where it is wrong")
    func template() {
        func complaint(_ text: String) -> RewriteTemplate.Complaint? {
            if case .failure(let complaint) = RewriteTemplate.parse(text) { return complaint }
            return nil
        }
        #expect(complaint("/a$")?.offset == 2 && complaint("/$x")?.offset == 1 && complaint("/$1$$") == nil)
    }
}
