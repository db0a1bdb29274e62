import TestSupport
import Testing

@Suite("Files of RProxy serve as they are", .scenario)
struct DialectTests {
    /// Serves one request with the file and gives what the backend saw; `PORT` stands for the backend's port.
    private func served(_ text: String, fields: String = "") throws -> (request: ReceivedRequest, client: UInt16, log: String) {
        let backend = try ScriptedBackend()
        let proxy = try ProxyUnderTest(text: text.replacing("PORT", with: "\(backend.address.port)"), folder: try TemporaryFolder())
        let client = try proxy.connect()
        try client.sendRequest("/", fields: fields)
        let (request, connection) = try backend.receiveRequest()
        try connection.respond()
        #expect(try client.receiveResponse().status == 200)
        let port = client.localPort
        backend.close()
        try proxy.stop()
        return (request, port, proxy.operatorLog)
    }

    private let r1 = """
        # RProxy 1: untitled sections, seconds, a retry section
        max-nofile = 1024
        memtrim-sz = 1048576
        server {
            addr = "127.0.0.1"
            port = 0
            threads = 1
            backlog = 1024
            read-timeout = 60
            write-timeout = 60
            pending-timeout = 30
            max-pending = 10
            lb-method = "rtt"
            downstream {
                addr = "127.0.0.1"
                port = PORT
                connections = 2
                high-watermark = 5242880
                read-timeout = 30
                retry { seconds = 0
                        useconds = 50000 }
            }
        }
        """

    private let r2 = """
        max-nofile = 1024
        server {
            addr = 127.0.0.1   // bare words
            PORT_LINE
            Threads = 1        /* names in any case */
            read-timeout = { 60, 0 }
            pending-timeout = {30,0}
            high-watermark = 0x40000
            disable-client-nagle = yes
            downstream one {
                enabled = on
                addr = 127.0.0.1
                port = PORT
                connections = 2
                read-timeout = 30
                retry = { 0, 50000 }
            }
        }
        """.replacing("PORT_LINE", with: "port = 0")

    @Test("RProxy 1: served, with X-Forwarded-For in its own form, by default")
    func first() throws {
        let (request, port, _) = try served(r1, fields: "X-Forwarded-For: 1.2.3.4\r\nX-Forwarded-For: 5.6.7.8\r\n")
        #expect(request.fields["X-Forwarded-For"] == ["127.0.0.1:\(port)"])
    }

    @Test("RProxy 2: served, and nothing is added without a headers section")
    func second() throws {
        #expect(!(try served(r2).request.fields.has("X-Forwarded-For")))
    }

    @Test("RProxy 2 with a headers section adds X-Forwarded-For")
    func secondWithHeaders() throws {
        let text = r2.replacing("downstream one", with: "headers { x-forwarded-for = true }\n downstream one")
        let (request, port, _) = try served(text)
        #expect(request.fields["X-Forwarded-For"] == ["127.0.0.1:\(port)"])
    }

    @Test("missing braces at the end are forgiven, with a warning", arguments: [1, 2])
    func missingBraces(count: Int) throws {
        var text = r2
        for _ in 0..<count { text = String(text[..<text.lastIndex(of: "}")!]) }
        #expect(try served(text).log.contains("warning"))
    }

    @Test("the environment is read in double quotes and bare words")
    func environmentWords() throws {
        _ = try served(r2.replacing("addr = 127.0.0.1   //", with: "addr = \"${WEIR_TEST_NOT_SET:-127.0.0.1}\"   //"))
    }

    @Test("another file is included")
    func include() throws {
        let folder = try TemporaryFolder()
        let backend = try ScriptedBackend()
        try folder.write("backend.conf", "downstream one { addr = 127.0.0.1\n port = \(backend.address.port) }\n")
        let proxy = try ProxyUnderTest(text: "server {\n addr = 127.0.0.1\n port = 0\n include \"FOLDER/backend.conf\"\n}\n", folder: folder)
        #expect(try proxy.connect().get("/", answeredBy: backend).status == 200)
        backend.close()
        try proxy.stop()
    }
}
