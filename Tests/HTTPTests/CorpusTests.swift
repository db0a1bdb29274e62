import Foundation
import Testing

@testable import Proxy

/// A file of Tests/Corpus/HTTP1, see the README there.
struct CorpusMessage: CustomTestStringConvertible {
    enum Kind: String { case request, response, chunked }
    var name: String
    var kind: Kind
    /// The first line without its hash.
    var why: String
    var bytes: [UInt8]

    var testDescription: String { name }

    static func all(in folder: String) throws -> [CorpusMessage] {
        let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        let directory = root.appendingPathComponent("Corpus/HTTP1/\(folder)")
        let files = try FileManager.default.contentsOfDirectory(at: directory, includingPropertiesForKeys: nil)
        return try files.sorted { $0.path < $1.path }.map { file in
            let data = [UInt8](try Data(contentsOf: file))
            let lineEnd = try #require(data.firstIndex(of: UInt8(ascii: "\n")))
            let line = String(decoding: data[..<lineEnd], as: UTF8.self)
            try #require(line.hasPrefix("# "), "\(file.path) lacks its first line")
            let name = file.deletingPathExtension().lastPathComponent
            let kind = try #require(Kind(rawValue: String(name.prefix { $0 != "-" })), "\(name) is of no known kind")
            return CorpusMessage(
                name: name, kind: kind, why: String(line.dropFirst(2)), bytes: Array(data[(lineEnd + 1)...]))
        }
    }

    /// The failure of the first `count` bytes, nil when there is none.
    func failure(ofFirst count: Int) -> ParseFailure? {
        let piece = Array(bytes[..<count])
        switch kind {
        case .request: if case .failed(let failure) = ParsedRequest(piece).parse { return failure }
        case .response: if case .failed(let failure) = ParsedResponse(piece).parse { return failure }
        case .chunked: return DecodedBody(piece).failure
        }
        return nil
    }
}

@Suite("Corpus of HTTP/1.1 messages")
struct CorpusTests {
    @Test("what must be read is read, whole and cut", arguments: try CorpusMessage.all(in: "accept"))
    func accept(message: CorpusMessage) {
        switch message.kind {
        case .request: #expect(ParsedRequest(message.bytes).parse == .complete)
        case .response: #expect(ParsedResponse(message.bytes).parse == .complete)
        case .chunked: #expect(DecodedBody(message.bytes).end != nil)
        }
        for count in 0...message.bytes.count { #expect(message.failure(ofFirst: count) == nil) }
    }

    @Test(
        "what must be refused is refused, for the reason that its file names",
        arguments: try CorpusMessage.all(in: "reject"))
    func reject(message: CorpusMessage) throws {
        let failure = try #require(message.failure(ofFirst: message.bytes.count))
        #expect("\(failure.word)" == message.why.prefix { $0 != ":" })
        // Once a prefix has failed, every longer one fails likewise.
        let step = max(1, message.bytes.count / 300)
        for count in stride(from: 0, to: message.bytes.count, by: step) {
            if let early = message.failure(ofFirst: count) { #expect(early == failure) }
        }
    }

    @Test("every failure has a message that provokes it")
    func covered() throws {
        let words = Set(try CorpusMessage.all(in: "reject").map { String($0.why.prefix { $0 != ":" }) })
        for failure in ParseFailure.allCases { #expect(words.contains("\(failure.word)"), "no file for \(failure)") }
    }
}
