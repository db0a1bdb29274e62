import TestSupport
import Testing

@Suite("One face for many servers", .scenario)
struct OneFaceTests {
    /// Three servers below /shop, /wiki and /files, none of which knows of its prefix.
    private func withFace(_ body: (ProxyUnderTest) throws -> Void) throws {
        let shop = try HandlerBackend { request, connection in
            let cookies = request.fields["Cookie"].joined()
            switch request.target {
            case "/": return .bytes(HandlerBackend.response("302 Found", fields: "Location: /login?next=/cart\r\nSet-Cookie: seen=1; Path=/; HttpOnly\r\n", body: []))
            case "/login?next=/cart":
                let fields = "Location: http://\(request.fields.only("Host") ?? "")/cart\r\nSet-Cookie: user=ann; Path=/cart; Domain=127.0.0.1\r\nSet-Cookie: user=bob; Path=/cart\r\n"
                return .bytes(HandlerBackend.response("303 See Other", fields: fields, body: []))
            default: return .bytes(HandlerBackend.response(fields: "Content-Location: /cart/1\r\nRefresh: 60; url=/cart\r\n", body: Bytes("shop \(request.target) \(cookies)")))
            }
        }
        let wiki = try HandlerBackend { request, _ in
            switch request.target {
            case "/app/old": return .bytes(HandlerBackend.response("301 Moved Permanently", fields: "Location: http://wiki.internal/app/new\r\n", body: []))
            case "/app/away": return .bytes(HandlerBackend.response("301 Moved Permanently", fields: "Location: http://elsewhere.example/app/new\r\n", body: []))
            default: return .bytes(HandlerBackend.response(body: Bytes("wiki \(request.target) \(request.fields.only("Host") ?? "")")))
            }
        }
        let files = try NginxBackend(
            locations: "location = /dir { return 301 http://$host:$server_port/dir/; } location /dir/ { add_header Set-Cookie \"n=1; Path=/dir/\"; return 200 nginx; }")
        let rules = [
            rule("shop", [.glob("/shop*")], sections: ["rewrite { prefix = '/shop' with = '/' }"], to: 0),
            rule("wiki", [.glob("/wiki/*")], sections: ["rewrite { prefix = '/wiki' with = '/app' host = 'wiki.internal' }"], to: 1),
            rule("files", [.glob("/files/*")], sections: ["rewrite { prefix = '/files' with = '/' }"], to: 2),
        ]
        let server = ProxyConfiguration.Server(sections: [virtualHost("*", rules: rules)], downstreams: [.init(shop), .init(wiki), .init(files)])
        try withProxy(ProxyConfiguration(servers: [server])) { proxy in
            defer {
                shop.close()
                wiki.close()
                files.close()
            }
            try body(proxy)
        }
    }

    @Test("curl follows redirects of all three and brings their cookies back to the right places")
    func curl() throws {
        try withFace { proxy in
            let folder = try TemporaryFolder()
            func follow(_ path: String) throws -> String {
                let jar = folder.path("jar")
                return try RealClient.curl(["--location", "--cookie", jar, "--cookie-jar", jar, "--write-out", " at %{url_effective}", proxy.url + path]).readable
            }
            #expect(try follow("/shop/") == "shop /cart user=bob; seen=1 at \(proxy.url)/shop/cart")
            #expect(try follow("/wiki/old") == "wiki /app/new wiki.internal at \(proxy.url)/wiki/new")
            #expect(try follow("/files/dir") == "nginx at \(proxy.url)/files/dir/")
            // Each cookie went to its own server only.
            #expect(try follow("/shop/x") == "shop /x seen=1 at \(proxy.url)/shop/x")
            let jar = try #require(FileContent.read(folder.path("jar"))).text
            #expect(jar.contains("/shop\t") && jar.contains("/shop/cart\t") && jar.contains("/files/dir/\t"))
        }
    }

    @Test("every field that names a place is mapped, and other servers are left alone")
    func fields() throws {
        try withFace { proxy in
            let client = try proxy.connect()
            let cart = try client.get("/shop/cart")
            #expect(cart.fields["Content-Location"] == ["/shop/cart/1"] && cart.fields["Refresh"] == ["60; url=/shop/cart"])
            let login = try client.get("/shop/login?next=/cart", host: "www.example.com")
            #expect(login.fields["Location"] == ["http://www.example.com/shop/cart"])
            #expect(login.fields["Set-Cookie"] == ["user=ann; Path=/shop/cart", "user=bob; Path=/shop/cart"])
            #expect(try client.get("/wiki/away").fields["Location"] == ["http://elsewhere.example/app/new"])
        }
    }

    @Test("the operator's own pairs, and none where it is switched off")
    func reverse() throws {
        let backend = try HandlerBackend { request, _ in
            let fields = "Location: http://old.internal:81/a/x\r\nSet-Cookie: a=b; Domain=old.internal; Path=/a\r\n"
            return .bytes(HandlerBackend.response("302 Found", fields: fields, body: []))
        }
        let pairs = "reverse { location = { 'http://old.internal:81/a', '/b' } cookie-domain = { 'old.internal', '' } cookie-path = { '/a', '/b' } }"
        let rules = [
            rule("pairs", [.path("/pairs")], sections: [pairs], to: 0),
            rule("off", [.glob("/off*")], sections: ["rewrite { prefix = '/off' with = '/a' reverse = false }"], to: 0),
        ]
        let server = ProxyConfiguration.Server(sections: [virtualHost("*", rules: rules)], downstreams: [.init(backend)])
        try withProxy(ProxyConfiguration(servers: [server])) { proxy in
            defer { backend.close() }
            let client = try proxy.connect()
            let mapped = try client.get("/pairs")
            #expect(mapped.fields["Location"] == ["/b/x"] && mapped.fields["Set-Cookie"] == ["a=b; Path=/b"])
            let plain = try client.get("/off/1")
            #expect(plain.fields["Location"] == ["http://old.internal:81/a/x"] && plain.fields["Set-Cookie"] == ["a=b; Domain=old.internal; Path=/a"])
        }
    }
}
