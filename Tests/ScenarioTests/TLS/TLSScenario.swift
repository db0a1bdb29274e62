import TestSupport

/// The certificates on disk, and how a configuration and real clients name them.
final class TLSFiles: Sendable {
    let folder: TemporaryFolder

    init() throws {
        folder = try TemporaryFolder()
        try TestCertificates.shared.write(to: folder)
    }

    func path(_ name: String) -> String { folder.path(name) }

    /// An `ssl` section; `words` are more of its lines.
    func section(_ certificates: String..., words: String = "") -> String {
        func list(_ ending: String) -> String { certificates.map { "\"\(path($0))\(ending)\"" }.joined(separator: ", ") }
        let identity = certificates.isEmpty ? "" : "cert = { \(list(".pem")) }\n key = { \(list(".key")) }\n"
        return "ssl {\n enabled = true\n \(identity) \(replacing(words))\n}"
    }

    /// Words of a section that demands client certificates of the tests' authority.
    static let demanding = "verify-peer = true\n enforce-peer-cert = true\n ca = \"FILES/ca.pem\"\n"
    static let asking = "verify-peer = true\n ca = \"FILES/ca.pem\"\n"

    /// `FILES` stands for the folder.
    func replacing(_ words: String) -> String {
        words.split(separator: "FILES", omittingEmptySubsequences: false).joined(separator: folder.path)
    }

    // MARK: Clients

    /// curl, which trusts the tests' authority and finds every name at the proxy.
    func curl(_ proxy: ProxyUnderTest, server: Int = 0, _ arguments: [String] = [], host: String = "example.com", target: String = "/") throws -> Bytes {
        try RealClient.curl(curlArguments(proxy, server: server, host: host) + arguments + ["https://\(host):\(proxy.addresses[server].port)\(target)"])
    }

    func curlArguments(_ proxy: ProxyUnderTest, server: Int = 0, host: String = "example.com") -> [String] {
        ["--cacert", path("ca.pem"), "--resolve", "\(host):\(proxy.addresses[server].port):127.0.0.1"]
    }

    func asClient(_ name: String) -> [String] { ["--cert", path("\(name).pem"), "--key", path("\(name).key")] }

    /// Waits for the line `port NUMBER` of a backend that a script plays.
    static func port(of backend: ChildProcess) throws -> UInt16 {
        let port = backend.waitForOutput { output in
            output.text.hasSuffix("\n") ? output.text.split(separator: " ").last.flatMap { UInt16($0.dropLast()) } : nil
        }
        guard let port else { throw ScenarioFailure("the backend does not listen: \(backend.standardError.readable)") }
        return port
    }

    /// Starts a Python client; `connect`, `get` and others of `clientWords` are at hand.
    func startPython(_ script: String, port: UInt16, _ arguments: [String] = []) throws -> ChildProcess {
        let timeout = "\(20 * Patience.factor)"
        return try ChildProcess(["python3", "-u", "-c", clientWords + script, "\(port)", folder.path, timeout] + arguments)
    }

    /// Runs it to its end; what it printed, line by line.
    func python(_ script: String, _ proxy: ProxyUnderTest, server: Int = 0, _ arguments: [String] = []) throws -> [String] {
        try end(startPython(script, port: proxy.addresses[server].port, arguments))
    }

    func end(_ process: ChildProcess) throws -> [String] {
        let ending = try process.waitForEnd(within: Patience.step * 6)
        guard ending == .exit(0) else { throw ScenarioFailure("the client ended: \(ending) \(process.standardOutput.readable) \(process.standardError.readable)") }
        return process.standardOutput.text.split(separator: "\n").map(String.init)
    }

    /// Waits until a client has printed a line.
    func waitForLine(_ line: String, of process: ChildProcess) throws {
        let seen = process.waitForOutput { output in output.text.split(separator: "\n").contains { $0 == line } ? true : nil }
        guard seen == true else { throw ScenarioFailure("no line '\(line)': \(process.standardOutput.readable) \(process.standardError.readable)") }
    }

    /// One request through `openssl s_client`, with the session of `file` or with one that is kept there; whether it was resumed.
    func isResumed(at address: PeerAddress, _ file: String, keeps: Bool = false, _ arguments: [String] = []) throws -> Bool {
        let command =
            "printf 'GET / HTTP/1.1\\r\\nHost: example.com\\r\\nConnection: close\\r\\n\\r\\n' | "
            + "openssl s_client -ign_eof -servername example.com -CAfile \(path("ca.pem")) -verify_return_error -connect \(address) "
            + (keeps ? "-sess_out" : "-sess_in") + " \(path(file)) " + arguments.joined(separator: " ")
        let run = try ChildProcess.run(["sh", "-c", command])
        let text = run.output.text
        guard text.contains("HTTP/1.1 200") else { throw ScenarioFailure("s_client: \(run.output.readable) \(run.errors.readable)") }
        return text.contains("Reused, TLSv1")
    }
}

/// A proxy whose first server speaks TLS to clients.
func withTLS<Result>(
    _ files: TLSFiles, to backend: any TestBackend, certificates: [String] = ["rsa", "ecdsa"], words: String = "", server: [Setting] = [],
    downstream: [Setting] = [], accessLog: String? = nil, sections: [String] = [], _ body: (ProxyUnderTest) throws -> Result
) throws -> Result {
    let list = { (ending: String) in certificates.map { "\"\(files.path($0))\(ending)\"" }.joined(separator: ", ") }
    let section = files.section(words: "cert = { \(list(".pem")) }\n key = { \(list(".key")) }\n" + words)
    return try withProxy(to: backend, server: server, downstream: downstream, accessLog: accessLog, sections: [section] + sections, body)
}

extension HandlerBackend {
    /// Answers with the fields that came, a line each.
    static func tellingFields() throws -> HandlerBackend {
        try HandlerBackend { request, _ in
            .bytes(response(body: Bytes(request.fields.lines.map { "\($0.name): \($0.value)\n" }.joined())))
        }
    }
}

/// What Python clients begin with.
private let clientWords = #"""
    import os, select, socket, ssl, sys, threading, time
    PORT, FILES, TIMEOUT, ARGS = int(sys.argv[1]), sys.argv[2], float(sys.argv[3]), sys.argv[4:]
    VERSIONS = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}
    def context(version=None, cert=None, tickets=True):
        c = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        c.load_verify_locations(FILES + "/ca.pem")
        if version: c.minimum_version = c.maximum_version = VERSIONS[version]
        if cert: c.load_cert_chain(FILES + "/" + cert + ".pem", FILES + "/" + cert + ".key")
        if not tickets: c.options |= ssl.OP_NO_TICKET
        return c
    def tcp():
        return socket.create_connection(("127.0.0.1", PORT), timeout=TIMEOUT)
    def connect(c=None, name="example.com", session=None, raw=None):
        return (c or context()).wrap_socket(raw or tcp(), server_hostname=name, session=session, suppress_ragged_eofs=False)
    def head(s, rest=b""):
        while b"\r\n\r\n" not in rest:
            piece = s.recv(65536)
            if not piece: raise Exception("ended in a head: %r" % rest)
            rest += piece
        before, after = rest.split(b"\r\n\r\n", 1)
        return before.decode("latin-1"), after
    def answer(s, rest=b""):
        start, rest = head(s, rest)
        length = [int(l.split(":")[1]) for l in start.split("\r\n") if l.lower().startswith("content-length:")][0]
        while len(rest) < length:
            piece = s.recv(65536)
            if not piece: raise Exception("ended in a body after %d of %d" % (len(rest), length))
            rest += piece
        return int(start.split(" ")[1]), rest[:length], rest[length:]
    def get(s, target="/", host="example.com", fields=""):
        s.sendall(("GET %s HTTP/1.1\r\nHost: %s\r\n%s\r\n" % (target, host, fields)).encode())
        return answer(s)[:2]
    def common(s):
        return [x[0][1] for x in s.getpeercert()["subject"] if x[0][0] == "commonName"][0]
    class Half:
        """A connection whose directions end one by one, which Python's sockets cannot; `before` goes out in front of the hello."""
        def __init__(self, c=None, name="example.com", raw=None, before=b""):
            self.raw, self.arrived, self.leaving, self.before = raw or tcp(), ssl.MemoryBIO(), ssl.MemoryBIO(), before
            self.tls = (c or context()).wrap_bio(self.arrived, self.leaving, server_hostname=name)
            self.turn(self.tls.do_handshake)
        def flush(self):
            data, self.before = self.before + self.leaving.read(), b""
            if data: self.raw.sendall(data)
        def turn(self, call, *arguments):
            while True:
                try:
                    result = call(*arguments)
                    self.flush()
                    return result
                except ssl.SSLWantReadError:
                    self.flush()
                    piece = self.raw.recv(65536)
                    if piece: self.arrived.write(piece)
                    else: self.arrived.write_eof()
        def sendall(self, data):
            self.turn(self.tls.write, data)
        def recv(self, count):
            try: return self.turn(self.tls.read, count)
            except ssl.SSLZeroReturnError: return b""
        def end(self):
            try: self.tls.unwrap()
            except ssl.SSLWantReadError: pass
            self.flush()
        def rest(self, got=b""):
            pieces = [got]
            while piece := self.recv(65536): pieces.append(piece)
            return b"".join(pieces)
    def wait_for(name):
        end = time.monotonic() + TIMEOUT
        while not os.path.exists(FILES + "/" + name):
            if time.monotonic() > end: raise Exception("nobody wrote " + name)
            time.sleep(0.005)

    """#
