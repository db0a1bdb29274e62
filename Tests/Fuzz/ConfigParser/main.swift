// Reads any bytes as a configuration file: nothing may trap, and what is accepted must survive being written out and read again.
//
// Sources besides this file: Sources/Proxy/Configuration/*.swift, nothing else.

/// A file may include itself and one other, so that includes are tried too; one more is good for all of TLS.
private struct FuzzedFiles {
    var main: [UInt8]

    func read(_ path: String) throws(ReadFailure) -> [UInt8] {
        switch path {
        case "main.conf": return main
        case "other.conf": return Array("port = 1\ninclude main.conf\n".utf8)
        case "tls.pem": return Array(["CERTIFICATE", "PRIVATE KEY", "X509 CRL"].map { "-----BEGIN \($0)-----\n-----END \($0)-----\n" }.joined().utf8)
        default: throw ReadFailure(reason: "No such file or directory")
        }
    }
}

private func values(_ text: String) -> [Substring] {
    text.split(separator: "\n").map { $0.prefix { $0 != "#" } }
}

@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzConfiguration(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    let files = FuzzedFiles(main: start.map { Array(UnsafeBufferPointer(start: $0, count: count)) } ?? [])
    let environment = ["HOME": "/root", "BRACE": "}", "QUOTE": "\""]
    var foreign = ForeignTexts()
    foreign.isTLSServed = true
    let loaded = loadConfiguration(path: "main.conf", environment: environment, foreign: foreign, read: files.read)
    precondition((loaded.settings == nil) == loaded.diagnostics.contains { $0.severity == .error }, "settings and errors contradict each other")
    precondition(loaded.diagnostics.count <= DiagnosticList.countMax + 1, "too many messages")
    guard let first = effectiveConfiguration(path: "main.conf", environment: environment, foreign: foreign, read: files.read).text else { return 0 }
    let again = FuzzedFiles(main: Array(first.utf8))
    guard let second = effectiveConfiguration(path: "main.conf", environment: environment, foreign: foreign, read: again.read).text else {
        preconditionFailure("what is in force is refused when it is read again")
    }
    precondition(values(first) == values(second), "what is in force changes when it is read again")
    return 0
}
