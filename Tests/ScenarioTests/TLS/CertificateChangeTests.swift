import TestSupport
import Testing

@Suite("Certificates that change on disk", .scenario)
struct CertificateChangeTests {
    @Test("new connections get the new certificate, open ones go on, and what cannot be used changes nothing")
    func replaced() throws {
        let files = try TLSFiles()
        let made = TestCertificates.shared
        func put(_ name: String, _ text: String) throws {
            try files.folder.write("new", text)
            try FileContent.move(files.path("new"), to: files.path(name))
        }
        // Certificate and key in one file: they change at once.
        try put("both.pem", made.rsa.chainPEM + made.rsa.keyPEM)
        let section = "ssl {\n enabled = true\n cert = \"\(files.path("both.pem"))\"\n reload = \"100ms\"\n}"
        try withProxy(to: try HandlerBackend.named("one"), sections: [section]) { proxy in
            let client = try files.startPython(
                """
                s = connect()
                print(common(s), get(s)[0])
                print("open")
                wait_for("replaced")
                print(common(connect()), get(s)[0])
                print("replaced")
                wait_for("broken")
                print(common(connect()), get(s)[0])
                """, port: proxy.addresses[0].port)
            try files.waitForLine("open", of: client)
            try put("both.pem", made.ecdsa.chainPEM + made.ecdsa.keyPEM)
            try proxy.waitForNextGeneration()
            try files.folder.write("replaced", "")
            try files.waitForLine("replaced", of: client)
            try put("both.pem", "nothing of use")
            try proxy.waitForOperatorLog(containing: "configuration 2 stays in use")
            #expect(proxy.operatorLog.contains(files.path("both.pem")))
            try files.folder.write("broken", "")
            #expect(try files.end(client) == ["rsa.example.com 200", "open", "ecdsa.example.com 200", "replaced", "ecdsa.example.com 200"])
        }
    }
}
