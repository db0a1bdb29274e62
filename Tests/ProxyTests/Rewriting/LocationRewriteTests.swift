import Testing

@testable import Proxy

@Suite("Mapping back what backends say of their place")
struct LocationRewriteTests {
    private let arena = PlanArena()

    private func rewrite(
        _ from: String = "/app", with: String = "", host: RewriteSettings.Host = .client, reverses: [ReverseSettings] = []
    ) throws -> LocationRewrite {
        var backend = BackendSettings()
        backend.address = .name("Backend.Internal")
        backend.port = 8080
        var second = BackendSettings()
        second.address = .ipv6("FD00::1")
        second.port = 80
        return try #require(
            LocationRewrite(
                rewrite: RewriteSettings(path: .prefix(from, with: with), host: host), reverses: reverses, backends: [backend, second], in: arena))
    }

    private func location(_ rewrite: LocationRewrite, _ text: String, client: String? = "www.example.com") -> String {
        let bytes = Array(text.utf8)
        return withBytes(client) { client in
            headText { rewrite.appendReference(bytes.span, 0..<bytes.count, clientHost: client, to: &$0) }
        }
    }

    @Test(
        "paths and the backend's own URLs get the prefix",
        arguments: [
            ("/login?x=/y#z", "/app/login?x=/y#z"), ("/", "/app/"), ("http://backend.internal:8080/login", "/app/login"),
            ("HTTP://BACKEND.internal:8080", "/app/"), ("http://backend.internal:8080?q", "/app/?q"), ("//backend.internal:8080/x", "/app/x"),
            ("http://[fd00::1]/x", "/app/x"), ("http://[fd00::1]:80/x", "/app/x"), ("http://www.example.com/x", "http://www.example.com/app/x"),
            ("https://WWW.example.com/x", "https://WWW.example.com/app/x"), ("//www.example.com/x", "//www.example.com/app/x"),
        ])
    func mapped(from: String, to: String) throws { #expect(location(try rewrite(), from) == to) }

    @Test(
        "foreign hosts, relative and ambiguous references, and what has the prefix already stay",
        arguments: [
            "http://elsewhere.example/login", "http://backend.internal/x", "http://backend.internal:8081/x", "https://www.example.com:444/x", "login", "?a=b", "../x",
            "/a/../b", "/\\evil.example", "mailto:a@b", "/app/login", "/app", "http://www.example.com/app/x", "http://backend.internal:8080/app/x", "",
        ])
    func untouched(text: String) throws { #expect(location(try rewrite(), text) == text) }

    @Test("a prefix for another one", arguments: [("/v1/x", "/app/x"), ("/v1", "/app"), ("/v1?q", "/app?q"), ("/v10", "/v10"), ("/", "/"), ("/app/x", "/app/x")])
    func otherPrefix(from: String, to: String) throws { #expect(location(try rewrite(with: "/v1"), from) == to) }

    @Test("what a mapping makes never begins with two slashes, which would name a host")
    func twoSlashes() throws {
        let toRoot = try rewrite("", with: "/v1")
        #expect(location(toRoot, "/v1//evil.example/") == "/v1//evil.example/")
        #expect(location(toRoot, "/v1/x") == "/x")
        #expect(location(toRoot, "/v1") == "/")
    }

    @Test("the host that backends are told counts as theirs, with any port")
    func rewrittenHost() throws {
        let rewrite = try rewrite(host: .name("App.Local"))
        #expect(location(rewrite, "http://app.local/x") == "/app/x" && location(rewrite, "https://app.local:8443/x") == "/app/x")
    }

    @Test("pairs of the operator count before the prefix, URLs with scheme and port")
    func pairs() throws {
        let pairs: [(String, String)] = [("http://old.internal:81/a/", "https://www.example.com/b"), ("/static", "/assets/")]
        let rewrite = try rewrite(reverses: pairs.map { ReverseSettings(location: .init(from: $0.0, to: $0.1)) })
        #expect(location(rewrite, "http://old.internal:81/a/x?y") == "https://www.example.com/b/x?y")
        #expect(location(rewrite, "http://old.internal:81/a") == "https://www.example.com/b")
        #expect(location(rewrite, "http://old.internal:81/ab") == "http://old.internal:81/ab")
        #expect(location(rewrite, "https://old.internal:81/a/x") == "https://old.internal:81/a/x")
        #expect(location(rewrite, "/static/x.css") == "/assets/x.css")
        #expect(location(rewrite, "/statics") == "/app/statics")
    }

    @Test("the URL of Refresh is mapped within its value", arguments: [("5; url=/x", "5; url=/app/x"), ("0;url='/x';", "0;url='/app/x';"), ("5", "5")])
    func refresh(from: String, to: String) throws {
        let rewrite = try rewrite()
        let bytes = Array(from.utf8)
        #expect(headText { rewrite.appendRefresh(bytes.span, 0..<bytes.count, clientHost: .none, to: &$0) } == to)
    }

    private func cookie(_ rewrite: LocationRewrite, _ text: String) -> String {
        let bytes = Array(text.utf8)
        return headText { rewrite.appendCookie(bytes.span, 0..<bytes.count, to: &$0) }
    }

    @Test(
        "paths of cookies follow, and a domain that is the backend's goes",
        arguments: [
            ("a=b; Path=/; HttpOnly", "a=b; Path=/app; HttpOnly"), ("a=b;path=/x/", "a=b; Path=/app/x/"), ("a=b", "a=b"), ("a=b; Path=/app/x", "a=b; Path=/app/x"),
            ("a=b; Domain=.backend.INTERNAL; Secure", "a=b; Secure"), ("a=b; Domain=example.com", "a=b; Domain=example.com"),
            ("a=/; Path=relative", "a=/; Path=relative"), ("path=/x; domain=backend.internal", "path=/x"), ("__Host-a=b; Path=/; Secure", "__Host-a=b; Path=/; Secure"),
            ("a=b; Expires=Wed, 21 Oct 2026 07:28:00 GMT", "a=b; Expires=Wed, 21 Oct 2026 07:28:00 GMT"),
        ])
    func cookies(from: String, to: String) throws { #expect(cookie(try rewrite(), from) == to) }

    @Test("cookies follow the operator's pairs")
    func cookiePairs() throws {
        var reverse = ReverseSettings()
        reverse.cookiePath = .init(from: "/old/", to: "/new")
        reverse.cookieDomain = .init(from: "Old.Example", to: "www.example.com")
        let rewrite = try rewrite(reverses: [reverse])
        #expect(cookie(rewrite, "a=b; Domain=old.example; Path=/old/x") == "a=b; Domain=www.example.com; Path=/new/x")
        #expect(cookie(rewrite, "a=b; Path=/older") == "a=b; Path=/app/older")
    }

    @Test("nothing is compiled where nothing is to be mapped")
    func nothing() {
        let off = RewriteSettings(path: .prefix("/app", with: ""), mapsBack: false)
        #expect(LocationRewrite(rewrite: off, reverses: [], backends: [], in: arena) == nil)
        #expect(LocationRewrite(rewrite: nil, reverses: [], backends: [BackendSettings()], in: arena) == nil)
    }
}
