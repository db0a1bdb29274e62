/// Reads messages from a peer as a strict recipient of RFC 9112 would, so that a sloppy sender fails the test.
struct MessageReader {
    let peer: ScriptedPeer
    let deadline: Deadline

    static let tokenBytes = Set("!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ".utf8)

    func head() throws -> MessageHead {
        let bytes = try peer.receive(through: "\r\n\r\n", deadline: deadline)
        var lines = try Self.lines(bytes.dropLast(2))
        guard !lines.isEmpty, !lines[0].isEmpty else { throw ScenarioFailure("a head without start line: \(bytes.readable)") }
        let start = lines.removeFirst()
        return MessageHead(startLine: start.text, fields: try Self.fields(lines), byteCount: bytes.count)
    }

    /// Cuts at CRLF; a CR or LF alone is an error.
    static func lines(_ bytes: ArraySlice<UInt8>) throws -> [Bytes] {
        var lines: [Bytes] = []
        var line: Bytes = []
        var index = bytes.startIndex
        while index < bytes.endIndex {
            switch bytes[index] {
            case 0x0D:
                guard index + 1 < bytes.endIndex, bytes[index + 1] == 0x0A else {
                    throw ScenarioFailure("a bare CR in a head: \(Bytes(bytes).readable)")
                }
                lines.append(line)
                line = []
                index += 2
            case 0x0A: throw ScenarioFailure("a bare LF in a head: \(Bytes(bytes).readable)")
            case 0: throw ScenarioFailure("a NUL in a head: \(Bytes(bytes).readable)")
            default:
                line.append(bytes[index])
                index += 1
            }
        }
        guard line.isEmpty else { throw ScenarioFailure("a line without end: \(line.readable)") }
        return lines
    }

    static func fields(_ lines: [Bytes]) throws -> Fields {
        var fields = Fields()
        for line in lines {
            guard let colon = line.firstIndex(of: UInt8(ascii: ":")), colon > 0,
                line[..<colon].allSatisfy(tokenBytes.contains)
            else { throw ScenarioFailure("not a field line: \(line.readable)") }
            var value = line[(colon + 1)...]
            while let first = value.first, first == 0x20 || first == 0x09 { value.removeFirst() }
            while let last = value.last, last == 0x20 || last == 0x09 { value.removeLast() }
            fields.lines.append((Bytes(line[..<colon]).text, Bytes(value).text))
        }
        return fields
    }

    /// The framing that the fields tell; a message that tells it in two ways is an error.
    static func framing(_ fields: Fields, whenSilent: Framing) throws -> Framing {
        let codings = fields["Transfer-Encoding"]
        let lengths = fields["Content-Length"]
        guard codings.isEmpty || lengths.isEmpty else { throw ScenarioFailure("Content-Length beside Transfer-Encoding") }
        if !codings.isEmpty {
            guard codings == ["chunked"] else { throw ScenarioFailure("Transfer-Encoding: \(codings)") }
            return .chunked
        }
        guard !lengths.isEmpty else { return whenSilent }
        guard lengths.count == 1, lengths[0].utf8.allSatisfy({ (0x30...0x39).contains($0) }), let length = Int(lengths[0]) else {
            throw ScenarioFailure("Content-Length: \(lengths)")
        }
        return .length(length)
    }

    func body(_ framing: Framing) throws -> MessageBody {
        var body = MessageBody()
        body.framing = framing
        switch framing {
        case .none: break
        case .length(let length):
            body.bytes = try peer.receive(upTo: length, deadline: deadline)
            body.isComplete = body.bytes.count == length
        case .untilClose:
            body.bytes = try peer.receiveUntilEnd(deadline: deadline)
        case .chunked:
            try readChunks(into: &body)
        }
        return body
    }

    private func readChunks(into body: inout MessageBody) throws {
        while true {
            guard let line = try lineOrEnd() else {
                body.isComplete = false
                return
            }
            let size = line.prefix { $0 != UInt8(ascii: ";") && $0 != 0x20 }
            if size.count != line.count { body.hadChunkExtensions = true }
            guard !size.isEmpty, size.count <= 16, let count = Int(Bytes(size).text, radix: 16), count >= 0 else {
                throw ScenarioFailure("not a chunk size: \(line.readable)")
            }
            if count == 0 { break }
            body.chunkSizes.append(count)
            let data = try peer.receive(upTo: count, deadline: deadline)
            body.bytes += data
            guard data.count == count else {
                body.isComplete = false
                return
            }
            let end = try peer.receive(upTo: 2, deadline: deadline)
            guard end.count == 2 else {
                body.isComplete = false
                return
            }
            guard end == [0x0D, 0x0A] else { throw ScenarioFailure("a chunk that does not end with CRLF but \(end.readable)") }
        }
        var lines: [Bytes] = []
        while true {
            guard let line = try lineOrEnd() else {
                body.isComplete = false
                return
            }
            if line.isEmpty { break }
            lines.append(line)
        }
        body.trailers = try Self.fields(lines)
    }

    /// One line without its CRLF; nil when the peer ended before its end.
    private func lineOrEnd() throws -> Bytes? {
        guard let line = try peer.receiveIfAny(through: "\r\n", deadline: deadline) else { return nil }
        return Bytes(line.dropLast(2))
    }
}
