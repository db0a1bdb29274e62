import Testing

@testable import Proxy

@Suite("What backends are told about the client")
struct ForwardingHeadersTests {
    private let arena = PlanArena()

    /// What is written for a client at `address`, as fields.
    private func fields(
        _ settings: ForwardingSettings, address: SocketAddress? = SocketAddress(literal: "192.0.2.7", port: 4711), sent: String = "", isTrusted: Bool = false,
        host: String? = "example.com:81", peerRequestID: String? = nil, written: [String] = []
    ) -> [String] {
        let headers = ForwardingHeaders(settings, written: FieldNameSet(written, in: arena), in: arena)
        let bytes = Array("GET / HTTP/1.1\r\nHost: x\r\n\(sent)\r\n".utf8)
        var table = [FieldRange](repeating: FieldRange(), count: 20)
        var head = RequestHead()
        var span = table.mutableSpan
        #expect(parseRequestHead(bytes.span, fields: &span, limits: HeadLimits(), head: &head) == .complete)
        var address = address ?? SocketAddress()
        let text = withBytes(host) { host in
            withBytes(peerRequestID) { peers in
                withUnsafePointer(to: &address) { address in
                    headText { writer in
                        let facts = ForwardingHeaders.Facts(
                            client: address, isTrusted: isTrusted, isSecure: false, localPort: 8080, host: host, peerRequestID: peers, requestID: 0x1f)
                        headers.append(facts, bytes.span, Array(table[..<head.fieldCount]).span, to: &writer)
                    }
                }
            }
        }
        return text.split(separator: "\r\n").map(String.init)
    }

    private func settings(_ change: (inout ForwardingSettings) -> Void) -> ForwardingSettings {
        var settings = ForwardingSettings()
        change(&settings)
        return settings
    }

    @Test("RProxy's form has the port, IPv6 in brackets, and IPv4 however the listener sees it")
    func rproxy() {
        let rproxy = settings { $0.forwardedFor = .rproxy }
        #expect(fields(rproxy) == ["X-Forwarded-For: 192.0.2.7:4711"])
        #expect(fields(rproxy, address: SocketAddress(literal: "2001:db8::1", port: 1)) == ["X-Forwarded-For: [2001:db8::1]:1"])
        #expect(fields(rproxy, address: SocketAddress(literal: "::ffff:192.0.2.7", port: 1)) == ["X-Forwarded-For: 192.0.2.7:1"])
        #expect(fields(rproxy, address: SocketAddress(unixPath: "/s")) == ["X-Forwarded-For: unix"])
        #expect(fields(rproxy, sent: "X-Forwarded-For: 1.1.1.1\r\n", isTrusted: true) == ["X-Forwarded-For: 192.0.2.7:4711"])
    }

    @Test("append follows what a trusted peer said, and nothing that a client did")
    func append() {
        let append = settings { $0.forwardedFor = .append }
        let sent = "X-Forwarded-For: 1.1.1.1\r\nX-A: 1\r\nx-forwarded-for: 2.2.2.2, 3.3.3.3\r\nX-Forwarded-For:\r\n"
        #expect(fields(append, sent: sent, isTrusted: true) == ["X-Forwarded-For: 1.1.1.1, 2.2.2.2, 3.3.3.3, 192.0.2.7"])
        #expect(fields(append, sent: sent) == ["X-Forwarded-For: 192.0.2.7"])
        #expect(fields(settings { $0.forwardedFor = .replace }, sent: sent, isTrusted: true) == ["X-Forwarded-For: 192.0.2.7"])
    }

    @Test("Forwarded is written by RFC 7239")
    func forwarded() {
        let replace = settings { $0.forwarded = .replace }
        #expect(fields(replace) == ["Forwarded: for=192.0.2.7;host=\"example.com:81\";proto=http"])
        #expect(fields(replace, address: SocketAddress(literal: "::1", port: 1), host: "a") == ["Forwarded: for=\"[::1]\";host=a;proto=http"])
        #expect(fields(replace, address: SocketAddress(unixPath: "/s"), host: nil) == ["Forwarded: for=unknown;proto=http"])
        let append = settings { $0.forwarded = .append }
        #expect(fields(append, sent: "Forwarded: for=1.1.1.1\r\n", isTrusted: true, host: nil) == ["Forwarded: for=1.1.1.1, for=192.0.2.7;proto=http"])
        #expect(fields(append, sent: "Forwarded: for=1.1.1.1\r\n", host: nil) == ["Forwarded: for=192.0.2.7;proto=http"])
    }

    @Test("protocol, host and port are ours unless a trusted peer said them")
    func connection() {
        let all = settings { ($0.proto, $0.host, $0.port) = (true, true, true) }
        #expect(fields(all) == ["X-Forwarded-Proto: http", "X-Forwarded-Host: example.com:81", "X-Forwarded-Port: 8080"])
        #expect(fields(all, sent: "X-Forwarded-Proto: https\r\n", isTrusted: true) == ["X-Forwarded-Host: example.com:81", "X-Forwarded-Port: 8080"])
        #expect(fields(all, sent: "X-Forwarded-Proto: https\r\n").first == "X-Forwarded-Proto: http")
        #expect(fields(all, host: nil) == ["X-Forwarded-Proto: http", "X-Forwarded-Port: 8080"])
    }

    @Test("an identifier is that of a trusted peer, else ours")
    func identifier() {
        let on = settings { ($0.requestID, $0.requestIDName) = (true, "X-Trace") }
        #expect(fields(on) == ["X-Trace: 000000000000001f"] && fields(on, peerRequestID: "abc") == ["X-Trace: abc"])
    }

    @Test("what the operator's own edits set is not written a second time")
    func edits() {
        let all = settings { ($0.forwardedFor, $0.forwarded, $0.proto, $0.host, $0.port, $0.requestID) = (.rproxy, .replace, true, true, true, true) }
        #expect(fields(all).count == 6)
        #expect(fields(all, written: ["x-forwarded-for", "Forwarded", "X-Forwarded-Proto", "X-Forwarded-Host", "X-Forwarded-Port", "X-Request-ID"]) == [])
    }

    @Test("nothing is said unless it is asked for")
    func silent() { #expect(fields(ForwardingSettings()) == []) }
}
