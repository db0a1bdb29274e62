import TestSupport
import Testing

@Suite("What backends learn about clients", .scenario)
struct ForwardingTests {
    /// What the backend saw of a request with these fields, and what the client got.
    private func exchange(
        address: String = "127.0.0.1", _ sections: String..., server: [Setting] = [], accessLog: String? = nil, sends fields: String = "",
        check: (ReceivedRequest, ReceivedResponse, UInt16, ProxyUnderTest) throws -> Void
    ) throws {
        let backend = try ScriptedBackend()
        let server = ProxyConfiguration.Server(address: address, server, accessLog: accessLog, sections: sections, downstreams: [.init(backend)])
        try withProxy(ProxyConfiguration(servers: [server])) { proxy in
            defer { backend.close() }
            let client = try proxy.connect()
            try client.sendRequest("/", fields: fields)
            let (request, connection) = try backend.receiveRequest()
            try connection.respond(fields: "X-Request-Id: the backend's\r\n")
            try check(request, try client.receiveResponse(), client.localPort, proxy)
        }
    }

    private let trusted = Setting("trusted-peers", "{ '127.0.0.0/8', '::1' }")

    @Test("RProxy's form has address and port, IPv6 in brackets, whatever the client sent")
    func rproxy() throws {
        let spoofed = "X-Forwarded-For: 1.1.1.1\r\nx-forwarded-for: 2.2.2.2\r\n"
        try exchange("headers { }", sends: spoofed) { request, _, port, _ in
            #expect(request.fields["X-Forwarded-For"] == ["127.0.0.1:\(port)"])
        }
        try exchange(address: "::1", "headers { x-forwarded-for = true }", sends: spoofed) { request, _, port, _ in
            #expect(request.fields["X-Forwarded-For"] == ["[::1]:\(port)"])
        }
    }

    @Test("without a section nothing is added, and what only proxies say is taken out all the same, in every spelling and instance")
    func spoofed() throws {
        let names = [
            "X-Forwarded-For", "x-forwarded-for", "X_Forwarded_For", "X-Forwarded-Proto", "X-Forwarded-Host", "X-Forwarded-Port", "X-Forwarded-Prefix", "X-Real-IP",
            "Forwarded", "X-SSL-Subject", "X-SSL-Certificate", "X-SSL-Sha1", "x_ssl_sha1", "X-Internal-Redirect", "X-Redirected-Via", "X-Proxy-Capabilities",
            "Client-Cert", "Client_Cert",
        ]
        try exchange(sends: (names + names).map { "\($0): spoofed\r\n" }.joined() + "X-Kept: 1\r\nX-Request-Id: mine\r\nTraceparent: 00-1-2-01\r\n") { request, _, _, _ in
            #expect(!request.fields.lines.contains { $0.value.contains("spoofed") })
            #expect(request.fields["X-Kept"] == ["1"] && request.fields["X-Request-Id"] == ["mine"] && request.fields["Traceparent"] == ["00-1-2-01"])
            #expect(Set(request.fields.lines.map { $0.name.lowercased() }) == ["host", "x-kept", "x-request-id", "traceparent"])
        }
    }

    @Test("Connection cannot make a managed field of the proxy disappear")
    func nominated() throws {
        try exchange("headers { }", sends: "Connection: X-Forwarded-For, x-request-id\r\n") { request, _, port, _ in
            #expect(request.fields["X-Forwarded-For"] == ["127.0.0.1:\(port)"])
        }
    }

    @Test("managed names are taken out of trailers too")
    func trailers() throws {
        let backend = try ScriptedBackend()
        try withProxy(to: backend) { proxy in
            let client = try proxy.connect()
            try client.send(
                "POST / HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nX-SSL-Subject: spoofed\r\nX_Forwarded_For: spoofed\r\nX-Sum: 1\r\n\r\n")
            let (request, connection) = try backend.receiveRequest()
            #expect(request.content.trailers["X-Sum"] == ["1"] && request.content.trailers.lines.count == 1)
            try connection.respond()
            #expect(try client.receiveResponse().status == 200)
        }
    }

    @Test("append follows a trusted peer and replaces what others say", arguments: [true, false])
    func append(isTrusted: Bool) throws {
        let sent = "X-Forwarded-For: 1.1.1.1\r\nX-Forwarded-For: 2.2.2.2\r\nForwarded: for=1.1.1.1\r\nX-SSL-Subject: /CN=a\r\nX_SSL_Subject: b\r\nX-Redirected-Via: c\r\n"
        let sections = "headers { forwarded-for = append forwarded = append }"
        try exchange(sections, server: isTrusted ? [trusted] : [], sends: sent) { request, _, _, _ in
            #expect(request.fields["X-Forwarded-For"] == [isTrusted ? "1.1.1.1, 2.2.2.2, 127.0.0.1" : "127.0.0.1"])
            let own = "for=127.0.0.1;host=test;proto=http"
            #expect(request.fields["Forwarded"] == [isTrusted ? "for=1.1.1.1, \(own)" : own])
            #expect(request.fields["X-SSL-Subject"] == (isTrusted ? ["/CN=a"] : []))
            #expect(!request.fields.has("X_SSL_Subject") && !request.fields.has("X-Redirected-Via"))
        }
    }

    @Test("protocol, host and port are ours, or those a trusted peer names")
    func connection() throws {
        let section = "headers { x-forwarded-for = false x-forwarded-proto = true x-forwarded-host = true x-forwarded-port = true }"
        try exchange(section, sends: "X-Forwarded-Proto: https\r\n") { request, _, _, proxy in
            #expect(request.fields["X-Forwarded-Proto"] == ["http"] && request.fields["X-Forwarded-Host"] == ["test"])
            #expect(request.fields["X-Forwarded-Port"] == ["\(proxy.url.split(separator: ":").last ?? "")"])
            #expect(!request.fields.has("X-Forwarded-For"))
        }
        try exchange(section, server: [trusted], sends: "X-Forwarded-Proto: https\r\nX-Forwarded-Port: 443\r\nX-Forwarded-For: 1.1.1.1\r\n") { request, _, _, _ in
            #expect(request.fields["X-Forwarded-Proto"] == ["https"] && request.fields["X-Forwarded-Port"] == ["443"])
            #expect(request.fields["X-Forwarded-For"] == ["1.1.1.1"])
        }
    }

    @Test("an identifier goes to the backend, to the log and, if wanted, to the client")
    func identifier() throws {
        let section = "headers { request-id = true request-id-echo = true }"
        try exchange(section, accessLog: "{REQUEST_ID}", sends: "X-Request-Id: mine\r\nx_request_id: mine\r\n") { request, response, _, proxy in
            let id = try #require(request.fields.only("X-Request-Id"))
            #expect(id.count == 16 && id.allSatisfy(\.isHexDigit) && !request.fields.has("x_request_id"))
            #expect(response.fields["X-Request-Id"] == [id])
            #expect(try proxy.accessLog(lines: 1) == [id])
        }
        try exchange(section, server: [trusted], accessLog: "{REQUEST_ID}", sends: "X-Request-Id: of-peer-1\r\n") { request, response, _, proxy in
            #expect(request.fields["X-Request-Id"] == ["of-peer-1"] && response.fields["X-Request-Id"] == ["of-peer-1"])
            #expect(try proxy.accessLog(lines: 1) == ["of-peer-1"])
        }
        try exchange(section, server: [trusted], sends: "X-Request-Id: not \"one\r\n") { request, _, _, _ in
            #expect(request.fields.only("X-Request-Id")?.count == 16)
        }
        try exchange("headers { request-id = true request-id-header = 'X-Trace-Id' }") { request, response, _, _ in
            #expect(request.fields.only("X-Trace-Id")?.count == 16 && response.fields["X-Request-Id"] == ["the backend's"])
        }
    }

    @Test("the nearest section counts as a whole")
    func nearest() throws {
        let backend = try HandlerBackend { request, _ in
            .bytes(HandlerBackend.response(fields: "X-Seen: \(request.fields.only("X-Forwarded-For") ?? "-") \(request.fields.only("X-Forwarded-Proto") ?? "-")\r\n", body: []))
        }
        let site = virtualHost(
            "*", sections: ["headers { forwarded-for = off x-forwarded-proto = true }"],
            rules: [rule("own", [.path("/own")], sections: ["headers { forwarded-for = replace }"], to: 0), rule("rest", [.everything], to: 0)])
        let server = ProxyConfiguration.Server(sections: ["headers { }", site], downstreams: [.init(backend)])
        try withProxy(ProxyConfiguration(servers: [server])) { proxy in
            defer { backend.close() }
            let client = try proxy.connect()
            #expect(try client.get("/own").fields.only("X-Seen") == "127.0.0.1 -")
            #expect(try client.get("/rest").fields.only("X-Seen") == "- http")
        }
    }
}
