import TestSupport
import Testing

@Suite("Fields added and taken out", .scenario)
struct EditTests {
    private func exchange(
        _ sections: [String], _ settings: [Setting] = [], sends fields: String = "", answers: String = "",
        check: (ReceivedRequest, ReceivedResponse) throws -> Void
    ) throws {
        let backend = try ScriptedBackend()
        let server = ProxyConfiguration.Server(settings, sections: sections, downstreams: [.init(backend)])
        try withProxy(ProxyConfiguration(servers: [server])) { proxy in
            defer { backend.close() }
            let client = try proxy.connect()
            try client.sendRequest("/a?b", fields: fields)
            let (request, connection) = try backend.receiveRequest()
            try connection.respond(body: "ok", fields: answers)
            let response = try client.receiveResponse()
            #expect(response.body == Bytes("ok"))
            try check(request, response)
        }
    }

    @Test("requests: set replaces every instance, add adds, remove removes")
    func requests() throws {
        let section =
            "request-headers { set = { 'X-Set: {METH} {URI} {SRC}', 'X-Old: new' } add = { 'X-Add: \"{HOST}\"', 'X-Copy: {US_HDR}:'+'' } remove = { 'X-Gone', cookie } }"
            .replacing("'X-Copy: {US_HDR}:'+''", with: "\"X-Copy: {US_HDR}:'x-old'\"")
        try exchange([section], sends: "X-Old: 1\r\nx-old: 2\r\nx_old: 3\r\nX-Add: first\r\nx-gone: 1\r\nX-GONE: 2\r\nCookie: c\r\n") { request, _ in
            #expect(request.fields["X-Set"] == ["GET /a 127.0.0.1"] && request.fields["X-Old"] == ["new"] && !request.fields.has("x_old"))
            #expect(request.fields["X-Add"] == ["first", "\"test\""] && request.fields["X-Copy"] == ["1"])
            #expect(!request.fields.has("X-Gone") && !request.fields.has("Cookie"))
        }
    }

    @Test("answers: strip-headers takes out every instance, set and add see status and backend's fields")
    func answers() throws {
        let section = "response-headers { set = { 'Server: edge', \"X-Was: {STATUS} {DS_HDR}:'server'\" } add = { 'X-Add: 2' } remove = { 'X-Gone' } }"
        try exchange(
            [section], [Setting("strip-headers", "{ 'X-Powered-By', x-debug }")],
            answers: "Server: inner\r\nX-Powered-By: a\r\nx-powered-by: b\r\nX-Debug: 1\r\nX-Add: 1\r\nX-Gone: 1\r\nX-Kept: 1\r\n"
        ) { _, response in
            #expect(response.fields["Server"] == ["edge"] && response.fields["X-Was"] == ["200 inner"] && response.fields["X-Add"] == ["1", "2"])
            #expect(!response.fields.has("X-Powered-By") && !response.fields.has("X-Debug") && !response.fields.has("X-Gone"))
            #expect(response.fields["X-Kept"] == ["1"])
        }
    }

    @Test("a value that comes out empty is no field, and bytes of a client cannot make a second one")
    func values() throws {
        let section = "request-headers { set = { \"X-None: {US_HDR}:'x-no'\", \"X-Copy: <{US_HDR}:'x-raw'>\" } }"
        try exchange([section], sends: "X-None: client\r\nX-Raw: a\tb\"\\ \u{e9}\r\n") { request, _ in
            #expect(!request.fields.has("X-None") && request.fields["X-Copy"] == ["<a\tb\"\\ \u{e9}>"])
        }
    }

    @Test("the operator's own X-Forwarded-Proto stands in place of ours")
    func overrides() throws {
        try exchange(["headers { x-forwarded-proto = true }", "request-headers { set = { 'X-Forwarded-Proto: https' } }"], sends: "X-Forwarded-Proto: gopher\r\n") { request, _ in
            #expect(request.fields["X-Forwarded-Proto"] == ["https"])
        }
    }

    @Test("interim answers are stripped too")
    func interim() throws {
        let backend = try ScriptedBackend()
        let server = ProxyConfiguration.Server([Setting("strip-headers", "x-debug")], downstreams: [.init(backend)])
        try withProxy(ProxyConfiguration(servers: [server])) { proxy in
            defer { backend.close() }
            let client = try proxy.connect()
            try client.sendRequest("/")
            let (_, connection) = try backend.receiveRequest()
            try connection.send("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\nX-Debug: 1\r\n\r\n")
            let hints = try client.receiveInterim()
            #expect(hints.status == 103 && hints.fields.has("Link") && !hints.fields.has("X-Debug"))
            try connection.respond()
            #expect(try client.receiveResponse().status == 200)
        }
    }

    @Test("what would break a message is refused when the file is read, with line and column")
    func refused() throws {
        func complaint(_ section: String) throws -> String {
            let folder = try TemporaryFolder()
            let file = try folder.write("weir.conf", "server {\n  \(section)\n  downstream one { addr = 127.0.0.1 port = 80 }\n}\n")
            let run = try ChildProcess.run([try ProxyUnderTest.binaryPath(), "check", file])
            #expect(run.ending != .exit(0))
            return (run.output + run.errors).readable
        }
        let sections = [
            "strip-headers = { 'X-A', content-length }": "2:28", "request-headers { set = { 'A: 1', 'Transfer-Encoding: x' } }": "2:37",
            "request-headers { add = { 'Host: x' } }": "2:29",
            "request-headers { set = { 'X-A' } }": "2:29", "request-headers { set = { 'X-A: {NO_TOKEN}' } }": "2:29", "request-headers { set = { 'X-A: {STATUS}' } }": "2:29",
            "response-headers { set = { \"X-A: a\\r\\nb\" } }": "2:30", "response-headers { remove = { 'a b' } }": "2:33", "trusted-peers = { '10.0.0.0/8', all }": "2:35",
            "headers { request-id = true request-id-header = 'Content-Length' }": "2:51",
        ]
        for (section, place) in sections {
            let complaint = try complaint(section)
            #expect(complaint.contains(":\(place): "), "\(section): \(complaint)")
        }
    }
}
