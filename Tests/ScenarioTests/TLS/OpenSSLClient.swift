import TestSupport

/// `openssl s_client`, which tells more about a handshake than other clients.
extension TLSFiles {
    /// One connection with one request for the same name; all that was told of it, errors and the answer included.
    func openSSL(_ proxy: ProxyUnderTest, name: String = "example.com", _ arguments: [String] = []) throws -> String {
        let command =
            "printf 'GET / HTTP/1.1\\r\\nHost: \(name)\\r\\nConnection: close\\r\\n\\r\\n' | "
            + "openssl s_client -ign_eof -servername \(name) -CAfile \(path("ca.pem")) -connect \(proxy.addresses[0]) " + arguments.joined(separator: " ")
        let run = try ChildProcess.run(["sh", "-c", command])
        return run.output.text + run.errors.text
    }

    /// What shows a client certificate with its chain; nothing for no name.
    func shown(_ name: String) -> [String] {
        name.isEmpty ? [] : ["-cert", path("\(name).pem"), "-cert_chain", path("\(name).pem"), "-key", path("\(name).key")]
    }
}
