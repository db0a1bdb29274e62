import Glibc

@testable import Proxy

/// Random bytes from which every body is cut, so that bytes of a wrong exchange or a wrong place can't be overlooked.
enum Pattern {
    private static let startsMax = 1 << 20
    static let bodyBytesMax = 1 << 20
    nonisolated(unsafe) static let base: UnsafeMutablePointer<UInt8> = {
        let count = startsMax + bodyBytesMax
        let memory = UnsafeMutablePointer<UInt64>.allocate(capacity: count / 8)
        var random = ScriptedRandom(seed: 20_25)
        for at in 0..<(count / 8) { memory[at] = random.next() }
        return UnsafeMutableRawPointer(memory).assumingMemoryBound(to: UInt8.self)
    }()

    /// Where the body of a request, or of its answer, begins.
    static func start(_ id: Int, answer: Bool) -> UnsafePointer<UInt8> {
        UnsafePointer(base + (id * 7919 + (answer ? 104_729 : 0)) % startsMax)
    }

    static func matches(_ bytes: UnsafeRawPointer, _ count: Int, id: Int, answer: Bool, at offset: Int) -> Bool {
        offset + count <= bodyBytesMax && memcmp(bytes, start(id, answer: answer) + offset, count) == 0
    }
}

/// What a client asks and what the backend does about it: one request of a simulation.
struct RequestPlan {
    enum Body: Equatable { case none, counted(Int), chunked(Int) }
    enum Framing { case length, chunked, untilClose, nothing }
    enum Fate: Equatable {
        case normal
        /// Says that it closes, and does.
        case closes
        /// Closes after the answer without a word.
        case closesSilently
        /// Answers when it has seen the head alone.
        case early
        case earlyAndCloses
        /// Stops after that many bytes of its answer.
        case truncated(Int)
        case resets(Int)
        case garbage
        case silent
        /// Bytes that nobody asked for follow the answer.
        case junk
        case switches
    }

    var id = 0
    var method = "GET"
    var minorVersion = 1
    var body = Body.none
    var expects = false
    var wantsUpgrade = false
    var tunnelBytes = 0
    var closes = false
    /// The client goes away after so many bytes of the answer; nil = it stays.
    var abortsAfter: Int?
    var abortsByReset = false
    /// The client ends its side after the request.
    var halfCloses = false
    var malformed: String?

    var status = 200
    var framing = Framing.length
    var length = 0
    var interims = 0
    var delay: UInt64 = 0
    var fate = Fate.normal

    /// How often the client sent it, and how often a backend saw its head.
    var sentCount = 0
    var seenCount = 0
    var outcome = Outcome.open

    enum Outcome: Equatable { case open, complete, ownAnswer(Int), aborted(String), gaveUp }

    var bodyCount: Int {
        switch body {
        case .none: 0
        case .counted(let count), .chunked(let count): count
        }
    }

    var isIdempotent: Bool { method != "POST" }

    var requestHead: String {
        if let malformed { return malformed }
        var head = "\(method) /r/\(id) HTTP/1.\(minorVersion)\r\nHost: sim\r\nX-Id: \(id)\r\n"
        switch body {
        case .none: break
        case .counted(let count): head += "Content-Length: \(count)\r\n"
        case .chunked: head += "Transfer-Encoding: chunked\r\n"
        }
        if expects { head += "Expect: 100-continue\r\n" }
        if wantsUpgrade { head += "Connection: upgrade\r\nUpgrade: echo\r\n" }
        if closes { head += "Connection: close\r\n" } else if minorVersion == 0 { head += "Connection: keep-alive\r\n" }
        return head + "\r\n"
    }
}

extension [UInt8] {
    mutating func append(_ text: String) { append(contentsOf: text.utf8) }

    /// A piece of a body of the pattern.
    mutating func appendPattern(_ id: Int, answer: Bool, _ range: Range<Int>) {
        append(
            contentsOf: UnsafeBufferPointer(start: Pattern.start(id, answer: answer) + range.lowerBound, count: range.count))
    }

    mutating func appendChunks(_ id: Int, answer: Bool, _ count: Int, _ random: inout ScriptedRandom) {
        var at = 0
        while at < count {
            let piece = Swift.min(count - at, 1 + random.below(random.below(4) == 0 ? 40_000 : 3_000))
            append(String(piece, radix: 16) + "\r\n")
            appendPattern(id, answer: answer, at..<(at + piece))
            append("\r\n")
            at += piece
        }
        append("0\r\n\r\n")
    }
}
