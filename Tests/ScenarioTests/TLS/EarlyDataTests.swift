import TestSupport
import Testing

@Suite("Early data (0-RTT), which there is not", .scenario)
struct EarlyDataTests {
    /// Writes a saved session anew, as if it had come with leave for early data: field 15 of OpenSSL's form.
    private static let permit = """
        import base64
        def end(data, at):
            length, after = data[at + 1], at + 2
            if length & 0x80:
                count = length & 0x7F
                length, after = int.from_bytes(data[after:after + count], "big"), after + count
            return after, after + length
        parts = open(FILES + "/session").read().split("-----")
        data = base64.b64decode(parts[2])
        at, last = end(data, 0)
        fields = []
        while at < last:
            after = end(data, at)[1]
            fields.append(data[at:after])
            at = after
        before = [f for f in fields if f[0] < 0xAF]
        behind = [f for f in fields if f[0] > 0xAF]
        whole = b"".join(before + [bytes([0xAF, 4, 2, 2, 0x40, 0])] + behind)
        text = base64.b64encode(b"\\x30\\x82" + len(whole).to_bytes(2, "big") + whole).decode()
        lines = "\\n".join(text[n:n + 64] for n in range(0, len(text), 64))
        open(FILES + "/permitted", "w").write("-----%s-----\\n%s\\n-----%s-----\\n" % (parts[1], lines, parts[3]))
        print("written")
        """

    @Test("no ticket allows early data, and what is sent early all the same is thrown away; both connections are answered")
    func refused() throws {
        let files = try TLSFiles()
        let backend = try HandlerBackend { request, _ in .bytes(HandlerBackend.response(body: Bytes("answer to " + request.target + "."))) }
        let early = try files.folder.write("early", "GET /early HTTP/1.1\r\nHost: example.com\r\n\r\n")
        try withTLS(files, to: backend) { proxy throws in
            let first = try files.openSSL(proxy, ["-tls1_3", "-sess_out", files.path("session")])
            #expect(first.contains("Max Early Data: 0"), "\(first)")
            let second = try files.openSSL(proxy, ["-tls1_3", "-sess_in", files.path("session"), "-early_data", early])
            #expect(second.contains("Reused, TLSv1.3"), "\(second)")
            #expect(second.contains("Early data was not sent"), "\(second)")
            #expect(try files.python(Self.permit, proxy) == ["written"])
            let third = try files.openSSL(proxy, ["-tls1_3", "-sess_in", files.path("permitted"), "-early_data", early])
            #expect(third.contains("Reused, TLSv1.3"), "\(third)")
            #expect(third.contains("Early data was rejected"), "\(third)")
            for told in [first, second, third] {
                #expect(told.contains("answer to /."), "\(told)")
                #expect(!told.contains("answer to /early."), "\(told)")
            }
            #expect(backend.requestCount == 3)
        }
    }
}
