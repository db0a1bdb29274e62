import Testing

@testable import Proxy

@Suite("Configuration of answers of our own")
struct AnswerSettingsTests {
    private func answers(_ words: String, including files: [String: String] = [:]) -> AnswerSettings? {
        ConfigurationFixture("server {\n\(words)\n}\n", including: files).load().settings?.servers.first?.scope.answers
    }

    private func messages(_ words: String, including files: [String: String] = [:]) -> [String] {
        ConfigurationFixture("server {\n\(words)\n}\n", including: files).messages
    }

    @Test("a redirect is a status and a target, or a section of words")
    func redirect() {
        #expect(answers("redirect = { 308, \"https://{HOSTNAME}{URI}\" }")?.redirect == RedirectSettings(status: 308, target: "https://{HOSTNAME}{URI}"))
        #expect(
            answers("redirect { to = /new query = false }")?.redirect == RedirectSettings(status: 302, target: "/new", keepsQuery: false))
    }

    @Test("a server that answers everything itself needs no backend")
    func withoutBackends() {
        #expect(messages("redirect = { 301, \"https://a.example\" }") == [])
        #expect(messages("respond = 503") == [])
        #expect(messages("maintenance = true").contains { $0.contains("so nowhere to send a request") })
    }

    @Test(
        "a bad redirect is refused with what to write instead",
        arguments: [
            ("redirect = 308", "takes a status and a target"),
            ("redirect = { 200, \"/a\" }", "takes one of the statuses 301, 302, 303, 307, 308, not 200"),
            ("redirect = { 308, \"a.example\" }", "must begin with http://, https:// or a path"),
            ("redirect = { 308, \"{URI}\" }", "must begin with http://, https:// or a path"),
            ("redirect = { 308, \"//a.example\" }", "would let a client name the host"),
            ("redirect = { 308, \"/{URI}\" }", "would let a client name the host"),
            ("redirect = { 308, \"https://\" }", "names no host"),
            ("redirect = { 308, \"/a b\" }", "must not have spaces"),
            ("redirect { status = 304 to = /a }", "takes one of 301, 302, 303, 307, 308"),
            ("redirect { status = 308 }", "'redirect' needs a target"),
            ("redirect { to = \"/a#b\" query = true }", "cannot be appended to a target with a fragment"),
            ("redirect = { 308, \"/a\" } redirect { to = /b }", "one of them can be the answer"),
            ("redirect = { 308, \"/a\" } respond = 204", "one of them can be the answer"),
        ])
    func badRedirect(_ words: String, _ sentence: String) {
        let found = messages(words)
        #expect(found.contains { $0.contains("error") && $0.contains(sentence) }, "\(found)")
    }

    @Test("unknown tokens of a target are told with their place")
    func tokens() {
        let text = "server {\nredirect { to = \"https://{HOTS}\" }\n}\n"
        let loaded = loadConfiguration(
            path: "main.conf", environment: [:], foreign: ForeignTexts(target: { $0.contains("HOTS") ? "unknown token" : nil }),
            read: ConfigurationFixture(text).read)
        #expect(loaded.diagnostics.map(\.description) == ["main.conf:2:1: error: 'redirect': unknown token"])
        let short = loadConfiguration(
            path: "main.conf", environment: [:], foreign: ForeignTexts(target: { $0.contains("HOTS") ? "unknown token" : nil }),
            read: ConfigurationFixture("server {\nredirect = { 302, \"https://{HOTS}\" }\n}\n").read)
        #expect(short.diagnostics.map(\.description) == ["main.conf:2:1: error: 'redirect': unknown token"])
    }

    @Test("a fixed answer is a status, a status and a text, or a section of words")
    func respond() {
        #expect(answers("respond = 204")?.respond == RespondSettings(status: 204))
        let hello = AnswerBodySettings(bytes: Array("hello".utf8), contentType: "text/plain; charset=utf-8")
        #expect(answers("respond = { 200, hello }")?.respond == RespondSettings(status: 200, body: hello))
        #expect(
            answers("respond { body = \"{}\" content-type = application/json }")?.respond
                == RespondSettings(status: 200, body: AnswerBodySettings(bytes: Array("{}".utf8), contentType: "application/json")))
    }

    @Test("a file is read once, beside the file that names it, and its name tells the media type")
    func file() {
        let found = answers("respond { file = hello.html }", including: ["hello.html": "<p>"])
        #expect(found?.respond?.body == AnswerBodySettings(file: "hello.html", bytes: Array("<p>".utf8), contentType: "text/html; charset=utf-8"))
    }

    @Test(
        "a bad fixed answer is refused",
        arguments: [
            ("respond = 301", "use 'redirect'"), ("respond = 99", "takes a status from 200 to 599"), ("respond = { 204, \"text\" }", "204 has no body"),
            ("respond { status = 204 body = x }", "204 has none"), ("respond { body = x file = a.txt }", "one of them can be the body"),
            ("respond { file = missing.txt }", "cannot read 'missing.txt': No such file"),
            ("respond { file = a.txt max-size = 2 }", "'a.txt' has 3 bytes, more than 'max-size' (2)"),
            ("respond { body = abc max-size = 2 }", "'body' has 3 bytes"), ("respond { body = x content-type = \"a\\nb/c\" }", "must be a media type"),
        ])
    func badRespond(_ words: String, _ sentence: String) {
        let found = messages(words, including: ["a.txt": "abc"])
        #expect(found.contains { $0.contains("error") && $0.contains(sentence) }, "\(found)")
    }

    @Test("error pages name their statuses in their title")
    func errorPages() {
        let found = answers("respond = 200 error-page \"502 503, 504\" { text = down } error-page 404 { file = a.html }", including: ["a.html": "no"])
        #expect(found?.errorPages.map(\.statuses) == [[502, 503, 504], [404]])
        #expect(found?.errorPages.map { String(decoding: $0.body.bytes, as: UTF8.self) } == ["down", "no"])
    }

    @Test(
        "a bad error page is refused",
        arguments: [
            ("error-page 200 { text = x }", "takes statuses from 400 to 599, not '200'"), ("error-page \"\" { text = x }", "names no status"),
            ("error-page 404 { content-type = text/html }", "needs a 'text' or a 'file'"), ("error-page { text = x }", "needs a title"),
        ])
    func badErrorPage(_ words: String, _ sentence: String) {
        let found = messages("respond = 200\n" + words)
        #expect(found.contains { $0.contains("error") && $0.contains(sentence) }, "\(found)")
    }

    @Test("maintenance is a switch, a file, or both")
    func maintenance() {
        let found = answers("respond = 200 maintenance = true maintenance-file = /tmp/x maintenance-retry = \"5m\"")?.maintenance
        #expect(found == MaintenanceSettings(isOn: true, file: "/tmp/x", retrySeconds: 300))
        #expect(messages("respond = 200 maintenance-file = x").contains { $0.contains("must be an absolute path") })
    }

    @Test("a health path is a path and nothing else", arguments: ["healthz", "/a?b", "/a#b", "/a b"])
    func health(_ path: String) {
        #expect(messages("respond = 200 health-path = \"\(path)\"").contains { $0.contains("error") && $0.contains("must be a path") })
        #expect(messages("respond = 200 health-path = /healthz") == [])
    }
}

@Suite("Configuration of rules that hand a request on")
struct DelegationSettingsTests {
    private func rule(_ words: String) -> (RuleSettings?, [String]) {
        let fixture = ConfigurationFixture(
            "server {\ndownstream a { addr = ::1 port = 1 }\nvhost v { rule r {\nuri-match = /a downstreams = a\n\(words)\n} }\n}\n")
        return (fixture.load().settings?.servers.first?.virtualHosts.first?.rules.first, fixture.messages)
    }

    @Test("nothing is handed on unless a rule says so and to where")
    func defaults() {
        let (plain, messages) = rule("")
        #expect(plain?.delegation == DelegationSettings() && plain?.isPassthrough == false && messages == [])
        #expect(plain?.delegation.isAllowed == false && plain?.delegation.filters == [])
    }

    @Test("all words are read")
    func words() {
        let (found, messages) = rule(
            "allow-redirect = true redirect-filter = { \"*.a:80\", b } redirect-networks = 10.0.0.0/8 redirect-body-max = \"1k\" redirect-max = 2")
        #expect(messages == [])
        #expect(
            found?.delegation
                == DelegationSettings(isAllowed: true, filters: ["*.a:80", "b"], networks: ["10.0.0.0/8"], bodyBytesMax: 1024, hopsMax: 2))
    }

    @Test(
        "what has no effect or allows nothing is told",
        arguments: [
            ("allow-redirect = true", "5:1: warning: 'allow-redirect' without 'redirect-filter' allows no target: every 377 is answered 401"),
            ("redirect-filter = a", "5:1: warning: 'redirect-filter' has no effect: 'allow-redirect' is false"),
            ("redirect-max = 2", "5:1: warning: 'redirect-max' has no effect: 'allow-redirect' is false"),
            (
                "allow-redirect = true redirect-filter = a passthrough = true",
                "5:1: warning: 'allow-redirect' has no effect in a rule with 'passthrough', whose answers are not read"
            ),
        ])
    func warnings(_ words: String, _ message: String) {
        #expect(rule(words).1 == [message])
    }
}
