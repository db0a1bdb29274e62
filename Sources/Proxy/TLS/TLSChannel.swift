/// A stream of TLS with the records that it has to send: for servers and clients that speak it without further wishes.
///
/// Bytes off the wire go through `take` until it wants more, plain bytes through `seal`; what stands in `sealed` goes out
/// as it is.
struct TLSChannel: BitwiseCopyable {
    private(set) var stream: TLSStream
    private let context: TLSContext.Reference
    /// Records on their way out.
    var sealed = ByteQueue()
    /// The handshake is through.
    private(set) var isOpen = false
    private var endIsSealed = false

    init(_ stream: TLSStream, _ context: TLSContext.Reference) {
        self.stream = stream
        self.context = context
    }

    /// What a call of `take` came to.
    enum Taken {
        /// So many plain bytes, at least one; call again.
        case bytes(Int)
        /// The handshake has just been completed; call again.
        case opened
        case wantsInput
        /// The peer sends no more.
        case ended
        case failed
    }

    /// Goes on with bytes that came: at most `room` plain ones are written to `plain`.
    ///
    /// - Parameters:
    ///   - now: wall clock in seconds.
    ///   - room: at least `TLSStream.openRoomBytes`.
    mutating func take(
        _ input: inout TLSInput, now: Int64, into plain: UnsafeMutableRawPointer, _ room: Int, _ blocks: inout BlockPool
    ) -> Taken {
        while !isOpen {
            switch stream.handshake(&input, now: now, to: &sealed, &blocks) {
            case .wantsInput: return .wantsInput
            case .wantsName: stream.choose(context, host: 0)
            case .done:
                isOpen = true
                stream.leaveOpenSSL()
                return .opened
            case .failed: return .failed
            }
        }
        switch stream.open(&input, into: plain, room, to: &sealed, &blocks) {
        case .bytes(let count): return .bytes(count)
        case .wantsInput: return .wantsInput
        case .ended: return .ended
        case .failed: return .failed
        }
    }

    /// Begins the handshake from the client's side; false when it failed already.
    mutating func begin(now: Int64, _ blocks: inout BlockPool) -> Bool {
        let place: UInt8 = 0
        return withUnsafeBytes(of: place) {
            var nothing = TLSInput(start: $0.baseAddress!, count: 0)
            return stream.handshake(&nothing, now: now, to: &sealed, &blocks) == .wantsInput
        }
    }

    /// Makes records of plain bytes; returns how many were taken, fewer when memory is short or the stream has failed.
    mutating func seal(_ plain: UnsafeRawPointer, _ count: Int, _ blocks: inout BlockPool) -> Int {
        stream.seal(plain, count, recordBytes: TLSStream.recordBytesMax, to: &sealed, &blocks)
    }

    /// Makes records of a queue's bytes until `most` wait; false when that cannot go on.
    mutating func seal(_ plain: inout ByteQueue, most: Int, _ blocks: inout BlockPool) -> Bool {
        while sealed.count < most, !plain.isEmpty, let block = plain.head {
            let count = block.count
            let taken = seal(block.begin, count, &blocks)
            plain.consume(taken, into: &blocks)
            if taken < count { return false }
        }
        return true
    }

    /// Says that nothing more is sent, once.
    mutating func sealEnd(_ blocks: inout BlockPool) {
        guard isOpen, !endIsSealed else { return }
        endIsSealed = true
        _ = stream.sealEnd(to: &sealed, &blocks)
    }

    mutating func free(_ blocks: inout BlockPool) {
        sealed.clear(into: &blocks)
        stream.free(&blocks)
    }
}
