import TestSupport
import Testing

@Suite("Sizes of records on the wire", .scenario)
struct RecordSizeScenarioTests {
    private static let versions = ["1.2", "1.3"]
    private static let bodyBytes = 300_000
    /// What a record has beside its content at the most: nonce and tag of TLS 1.2, or kind and tag of TLS 1.3.
    private static let overhead = 24

    /// Lengths of the records of data, as their heads say, in which the first answer of a connection came.
    private func lengths(_ version: String, words: String) throws -> [Int] {
        let files = try TLSFiles()
        let backend = try HandlerBackend { _, _ in .bytes(HandlerBackend.response(body: BodyPattern.bytes(Self.bodyBytes, seed: 11))) }
        return try withTLS(files, to: backend, words: words) { proxy in
            let lines = try files.python(
                """
                class Tap:
                    def __init__(self, raw): self.raw, self.seen = raw, b""
                    def sendall(self, data): self.raw.sendall(data)
                    def recv(self, count):
                        piece = self.raw.recv(count)
                        self.seen += piece
                        return piece
                tap = Tap(tcp())
                s = Half(context(ARGS[0]), raw=tap)
                place = len(tap.seen)
                status, body = get(s)
                print(status, len(body))
                while place + 5 <= len(tap.seen):
                    length = int.from_bytes(tap.seen[place + 3:place + 5], "big")
                    if tap.seen[place] == 23: print(length)
                    place += 5 + length
                """, proxy, [version])
            #expect(lines.first == "200 \(Self.bodyBytes)")
            return lines.dropFirst().compactMap { Int($0) }
        }
    }

    @Test("by default an answer begins in records of one segment and goes on in full ones", arguments: versions)
    func dynamic(version: String) throws {
        let lengths = try lengths(version, words: "")
        let start = lengths.prefix { $0 <= 1_360 + Self.overhead }
        #expect(start.reduce(0, +) >= 16_384, "\(lengths)")
        #expect(lengths.contains { $0 > 16_000 }, "\(lengths)")
    }

    @Test("with `record-size` no record holds more, and some hold as much", arguments: versions)
    func fixed(version: String) throws {
        let lengths = try lengths(version, words: "record-size = 4096\n")
        #expect(lengths.allSatisfy { $0 <= 4_096 + Self.overhead } && lengths.contains { $0 > 4_096 }, "\(lengths)")
    }
}
