import TestSupport
import Testing

@Suite("The command line", .scenario)
struct CommandTests {
    private func weir(_ arguments: String...) throws -> (ending: ChildProcess.Ending, output: Bytes, errors: Bytes) {
        try ChildProcess.run([try ProxyUnderTest.binaryPath()] + arguments)
    }

    @Test("two addresses are a reverse proxy, with and without the word run", arguments: [[], ["run"]])
    func quickMode(words: [String]) throws {
        let backend = try ScriptedBackend()
        let process = try ChildProcess([try ProxyUnderTest.binaryPath()] + words + ["--listen", "127.0.0.1:0", "--to", "\(backend.address)"])
        let address = try #require(process.waitForOutput { ProxyUnderTest.announced(in: $0).first })
        let client = try ScriptedClient(to: address)
        try client.send("GET /x HTTP/1.1\r\nHost: test\r\nX-Forwarded-For: 10.0.0.1\r\n\r\n")
        let (request, connection) = try backend.receiveRequest()
        // What a client says of itself does not count.
        #expect(request.fields["X-Forwarded-For"] == ["127.0.0.1"])
        #expect(request.fields["X-Forwarded-Proto"] == ["http"])
        #expect(request.fields["X-Forwarded-Host"] == ["test"])
        try connection.respond(body: "quick")
        #expect(try client.receiveResponse().body == Bytes("quick"))
        // Its access log goes to the standard output.
        #expect(process.waitForOutput { $0.contains(text: "/x") ? true : nil } == true)
        process.signal(15)
        #expect(try process.waitForEnd() == .exit(0))
    }

    @Test("a file that is missing or wrong ends with its name and 1", arguments: ["run", "check"])
    func badFile(command: String) throws {
        let folder = try TemporaryFolder()
        let missing = try weir(command, folder.path("no-such-file"))
        #expect(missing.ending != .exit(0))
        #expect((missing.output + missing.errors).contains(text: "no-such-file"))
        let file = try folder.write("weir.conf", "server {\n  portt = 80\n  addr = 127.0.0.1\n  backlog = many\n}\n")
        let wrong = try weir(command, file)
        #expect(wrong.ending != .exit(0))
        let report = (wrong.output + wrong.errors).text
        #expect(report.contains("\(file):2:3: error: "))
        #expect(report.contains("port"))
        #expect(report.contains("\(file):4:"))
    }

    @Test("check is silent about what is right")
    func goodFile() throws {
        let folder = try TemporaryFolder()
        let file = try folder.write("weir.conf", "server {\n  addr = 127.0.0.1\n  port = 8080\n  downstream b { addr = 127.0.0.1\n port = 80 }\n}\n")
        let run = try weir("check", file)
        #expect(run.ending == .exit(0))
        #expect(!(run.output + run.errors).contains(text: "error:"))
    }

    @Test("version and doctor speak")
    func otherCommands() throws {
        let version = try weir("version")
        #expect(version.ending == .exit(0))
        #expect(version.output.text.lowercased().contains("weir"))
        #expect(version.output.text.contains("liburing"))
        let doctor = try weir("doctor")
        #expect(doctor.output.text.contains("io_uring"))
        #expect(try weir("--help").ending == .exit(0))
        #expect(try weir("nonsense").ending != .exit(0))
    }

    @Test("doctor fails exactly where it finds a problem", arguments: ["64:128", "512:4096"])
    func doctorFails(files: String) throws {
        let run = try ChildProcess.run(["prlimit", "--nofile=\(files)", try ProxyUnderTest.binaryPath(), "doctor"])
        #expect(run.output.text.contains("PROBLEM open files") == (files == "64:128"))
        #expect((run.ending == .exit(1)) == run.output.text.contains("PROBLEM"))
    }

    @Test("demo serves itself until it is told to stop")
    func demo() throws {
        let process = try ChildProcess([try ProxyUnderTest.binaryPath(), "demo", "--port", "0"])
        let address = try #require(process.waitForOutput { ProxyUnderTest.announced(in: $0).first })
        #expect(try ScriptedClient(to: address).get().status == 200)
        process.signal(2)
        #expect(try process.waitForEnd() == .exit(0))
    }
}
