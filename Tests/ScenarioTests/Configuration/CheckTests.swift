import TestSupport
import Testing

@Suite("What `weir check` finds", .scenario)
struct CheckTests {
    private func check(_ text: String) throws -> (ending: ChildProcess.Ending, report: [String]) {
        let folder = try TemporaryFolder()
        let file = try folder.write("weir.conf", text)
        let run = try ChildProcess.run([try ProxyUnderTest.binaryPath(), "check", file])
        return (run.ending, (run.output + run.errors).text.split(separator: "\n").map { String($0).replacing(file, with: "FILE") })
    }

    struct Mistake: Sendable, CustomTestStringConvertible {
        let testDescription: String
        let text: String
        /// Where the error is reported.
        let place: String
        /// What its sentence contains.
        let says: String
    }

    private static let good = "  downstream b { addr = 127.0.0.1\n port = 80 }\n}\n"
    static let mistakes: [Mistake] = [
        .init(testDescription: "an unknown word", text: "server {\n  prot = 80\n" + good, place: "FILE:2:3", says: "port"),
        .init(testDescription: "an unknown section", text: "sever {\n}\n", place: "FILE:1:1", says: "server"),
        .init(testDescription: "a number out of range", text: "server {\n  port = 70000\n" + good, place: "FILE:2:10", says: "65535"),
        .init(testDescription: "a negative number", text: "server {\n  port = -5\n" + good, place: "FILE:2:10", says: "0"),
        .init(testDescription: "a number that is none", text: "server {\n  backlog = many\n" + good, place: "FILE:2:13", says: "many"),
        .init(testDescription: "a flag that is none", text: "server {\n  splice = 1\n" + good, place: "FILE:2:12", says: "true"),
        .init(testDescription: "a bad unit", text: "server {\n  header-timeout = \"5 parsecs\"\n" + good, place: "FILE:2:20", says: "5 parsecs"),
        .init(testDescription: "a semicolon", text: "server {\n  splice = true;\n" + good, place: "FILE:2:12", says: "true;"),
        .init(testDescription: "a brace too many", text: "server {\n" + good + "}\n", place: "FILE:5:1", says: "brace"),
        .init(testDescription: "an open string", text: "server {\n  addr = \"127\n", place: "FILE:2:10", says: ""),
        .init(testDescription: "a statement cut off", text: "server {\n  port =", place: "FILE:2:", says: ""),
        .init(
            testDescription: "a backend without port", text: "server {\n  downstream b {\n addr = 127.0.0.1 }\n}\n", place: "FILE:2:", says: "port"),
        .init(
            testDescription: "two backends of one name",
            text: "server {\n  downstream b { addr = 127.0.0.1\n port = 80 }\n  downstream B { addr = 127.0.0.1\n port = 81 }\n}\n", place: "FILE:4:", says: "B"),
        .init(
            testDescription: "a rule without backends",
            text: "server {\n  vhost a { rule r { uri-match = /a\n downstreams = {} } }\n" + good, place: "FILE:3:", says: "no downstream"),
        .init(
            testDescription: "a rule with a backend that nobody knows",
            text: "server {\n  vhost a { rule r { uri-match = /a\n downstreams = bb } }\n" + good, place: "FILE:3:", says: "did you mean 'b'"),
        .init(
            testDescription: "a rule without a matcher", text: "server {\n  vhost a { rule r {\n downstreams = b } }\n" + good, place: "FILE:2:",
            says: "uri-match"),
        .init(testDescription: "encryption without a certificate", text: "server {\n  ssl { enabled = true }\n" + good, place: "FILE:2:", says: "'cert'"),
        .init(
            testDescription: "a log token nobody knows",
            text: "server {\n  logging { request { enabled = true\n format = \"{STATSU}\" } }\n" + good, place: "FILE:3:", says: "STATUS"),
    ]

    @Test("a mistake is named with its place and what would be right", arguments: mistakes)
    func mistake(_ mistake: Mistake) throws {
        let (ending, report) = try check(mistake.text)
        #expect(ending == .exit(1))
        let line = try #require(report.first { $0.hasPrefix(mistake.place) && $0.contains(": error: ") }, "\(report)")
        #expect(line.contains(mistake.says))
    }

    @Test("all mistakes are named at once, in the order of the file")
    func allAtOnce() throws {
        let (ending, report) = try check("server {\n  prot = 80\n  backlog = x\n  downstream b { adr = 127.0.0.1\n port = 80 }\n}\nworkerz = 2\n")
        #expect(ending == .exit(1))
        let places = report.filter { $0.contains(": error: ") }.compactMap { $0.split(separator: ":").dropFirst().first.flatMap { Int($0) } }
        #expect(places.count >= 4)
        #expect(places == places.sorted())
        #expect(Set(places).isSuperset(of: [2, 3, 4, 7]))
    }

    @Test("a warning is no error", arguments: ["host = \"x\"", "header-timeout = 0", "lb-method = roundrobbin"])
    func warning(line: String) throws {
        let (ending, report) = try check("server {\n  \(line)\n" + Self.good)
        #expect(ending == .exit(0))
        #expect(report.contains { $0.hasPrefix("FILE:2:") && $0.contains(": warning: ") })
    }
}
