import Glibc
import Synchronization

/// One end of a connection that a test holds in its hand: it sends exact bytes at exact moments and keeps all it received.
///
/// The test is the schedule: every call blocks until it has happened or its deadline is over, so one test plays client and
/// backend in turn on one thread. Only bodies larger than socket buffers need `sendInBackground`.
public class ScriptedPeer: @unchecked Sendable {
    /// What a receive found.
    enum Arrival { case bytes, end, reset, nothing }

    let label: String
    /// Closed by the script while a send in the background may still look at it.
    private let held: Mutex<Int32>
    var descriptor: Int32 { held.withLock { $0 } }
    /// Everything received so far.
    public private(set) var received: Bytes = []
    /// How much of `received` the script has consumed.
    private var position = 0
    /// How the other end ended, once it did.
    private var ended: Arrival?

    init(descriptor: Int32, label: String) {
        held = Mutex(descriptor)
        self.label = label
    }

    deinit { close() }

    private static let sendFlags = Int32(MSG_NOSIGNAL) | Int32(MSG_DONTWAIT)

    // MARK: Sending

    public func send(_ text: String) throws { try send(Bytes(text)) }

    /// Sends all bytes, or throws when the other end takes no more.
    public func send(_ bytes: Bytes, deadline: Deadline = .step) throws {
        let sent = try sendWhatIsTaken(bytes, deadline: deadline)
        guard sent == bytes.count else {
            throw ScenarioFailure("\(label): the other end stopped taking bytes after \(sent) of \(bytes.count)")
        }
    }

    /// Sends until all is gone, the other end refuses or the deadline is over; tells how many bytes went.
    @discardableResult
    public func sendWhatIsTaken(_ bytes: Bytes, deadline: Deadline = .step) throws -> Int {
        guard descriptor >= 0 else { throw ScenarioFailure("\(label): sent after it was closed") }
        var sent = 0
        while sent < bytes.count {
            let count = bytes.withUnsafeBytes {
                // Under the lock, so that no descriptor is used whose number may belong to somebody else by now.
                let piece = $0
                return held.withLock { Glibc.send($0, piece.baseAddress! + sent, bytes.count - sent, Self.sendFlags) }
            }
            if count > 0 {
                sent += count
            } else if errno == EAGAIN {
                guard try SocketCalls.wait(descriptor, for: POLLOUT, until: deadline) else { return sent }
            } else if errno == EPIPE || errno == ECONNRESET || errno == EBADF {
                return sent
            } else if errno != EINTR {
                throw systemError("\(label): send")
            }
        }
        return sent
    }

    /// Sends the pieces one by one, each in a segment of its own as far as the kernel allows.
    public func send(pieces: [Bytes]) throws {
        for piece in pieces { try send(piece) }
    }

    /// Sends a body that is larger than the buffers on the way, while the script goes on.
    public func sendInBackground(_ bytes: Bytes) -> Background<Int> {
        Background { [self] in try sendWhatIsTaken(bytes, deadline: Deadline(after: Patience.step * 3)) }
    }

    // MARK: Receiving

    /// Whether unread bytes are at hand without waiting.
    var hasUnread: Bool { position < received.count }
    /// Whether the other end is known to have ended: something has to be received to know it.
    public var isOver: Bool { ended != nil }

    /// Waits for the next arrival.
    func fill(until deadline: Deadline) throws -> Arrival {
        if let ended { return ended }
        guard descriptor >= 0 else { throw ScenarioFailure("\(label): received after it was closed") }
        let size = 64 * 1024
        while true {
            guard try SocketCalls.wait(descriptor, for: POLLIN, until: deadline) else { return .nothing }
            var count = 0
            var code: Int32 = 0
            let piece = Bytes(unsafeUninitializedCapacity: size) { buffer, initialized in
                count = recv(descriptor, buffer.baseAddress!, size, Int32(MSG_DONTWAIT))
                code = errno
                initialized = max(count, 0)
            }
            if count > 0 {
                received += piece
                return .bytes
            }
            if count == 0 {
                ended = .end
                return .end
            }
            switch code {
            case EAGAIN, EINTR: continue
            case ECONNRESET, EPIPE, ETIMEDOUT:
                ended = .reset
                return .reset
            default: throw systemError("\(label): recv", code)
            }
        }
    }

    private func take(_ count: Int) -> Bytes {
        defer { position += count }
        return Bytes(received[position..<(position + count)])
    }

    /// Exactly `count` bytes.
    public func receive(_ count: Int, deadline: Deadline = .step) throws -> Bytes {
        let bytes = try receive(upTo: count, deadline: deadline)
        guard bytes.count == count else {
            throw ScenarioFailure("\(label): ended after \(bytes.count) of \(count) bytes: \(bytes.readable)")
        }
        return bytes
    }

    /// `count` bytes, or fewer if the other end ended before.
    func receive(upTo count: Int, deadline: Deadline) throws -> Bytes {
        while received.count - position < count {
            switch try fill(until: deadline) {
            case .bytes: continue
            case .end, .reset: return take(received.count - position)
            case .nothing:
                throw ScenarioFailure("\(label): \(received.count - position) of \(count) bytes came in time, then silence")
            }
        }
        return take(count)
    }

    /// All bytes up to and including `terminator`.
    public func receive(through terminator: String, deadline: Deadline = .step) throws -> Bytes {
        guard let bytes = try receiveIfAny(through: terminator, deadline: deadline) else {
            throw ScenarioFailure("\(label): ended (\(ended!)) within a message: \(Bytes(received[position...]).readable)")
        }
        return bytes
    }

    /// The same; nil when the other end ended before the terminator came.
    func receiveIfAny(through terminator: String, deadline: Deadline) throws -> Bytes? {
        let wanted = Bytes(terminator)
        var searched = position
        while true {
            if let offset = received.firstOffset(of: wanted, from: searched) { return take(offset + wanted.count - position) }
            searched = max(position, received.count - wanted.count + 1)
            switch try fill(until: deadline) {
            case .bytes: continue
            case .end, .reset: return nil
            case .nothing:
                throw ScenarioFailure("\(label): silence within a message; so far: \(Bytes(received[position...]).readable)")
            }
        }
    }

    /// Everything up to the FIN; a reset is a failure.
    public func receiveUntilEnd(deadline: Deadline = .step) throws -> Bytes {
        while true {
            switch try fill(until: deadline) {
            case .bytes: continue
            case .end: return take(received.count - position)
            case .reset: throw ScenarioFailure("\(label): reset instead of an orderly end")
            case .nothing: throw ScenarioFailure("\(label): no end in time")
            }
        }
    }

    /// Everything up to the FIN or the reset.
    public func receiveUntilEndOrReset(deadline: Deadline = .step) throws -> Bytes {
        while true {
            switch try fill(until: deadline) {
            case .bytes: continue
            case .end, .reset: return take(received.count - position)
            case .nothing: throw ScenarioFailure("\(label): no end in time")
            }
        }
    }

    public func receiveHead(deadline: Deadline = .step) throws -> MessageHead {
        try MessageReader(peer: self, deadline: deadline).head()
    }

    /// Whatever is there now or comes within `duration`; used to drain slowly or to look without demanding.
    @discardableResult
    public func receiveWhatComes(within duration: Duration) throws -> Bytes {
        let deadline = Deadline(after: duration)
        while case .bytes = try fill(until: deadline) {}
        return take(received.count - position)
    }

    // MARK: Expecting

    /// The other end closes (FIN or reset), and sends nothing before.
    public func expectClosed(deadline: Deadline = .step) throws {
        let before = received.count
        while true {
            switch try fill(until: deadline) {
            case .bytes: continue
            case .end, .reset:
                guard received.count == position else {
                    throw ScenarioFailure("\(label): bytes where an end was expected: \(Bytes(received[position...]).readable)")
                }
                return
            case .nothing:
                let more = received.count - before
                throw ScenarioFailure("\(label): still open (\(more) bytes came): \(Bytes(received[position...]).readable)")
            }
        }
    }

    /// The other end resets.
    public func expectReset(deadline: Deadline = .step) throws {
        try expectClosed(deadline: deadline)
        guard case .reset = ended else { throw ScenarioFailure("\(label): an orderly end where a reset was expected") }
    }

    /// No byte comes and the connection stays open for a while.
    public func expectSilence(for duration: Duration = Patience.silence) throws {
        let arrival = hasUnread ? Arrival.bytes : try fill(until: Deadline(after: duration))
        switch arrival {
        case .nothing: return
        case .bytes: throw ScenarioFailure("\(label): bytes where silence was expected: \(Bytes(received[position...]).readable)")
        case .end, .reset: throw ScenarioFailure("\(label): ended where silence was expected")
        }
    }

    // MARK: Ending

    /// Sends a FIN and goes on receiving.
    public func finishSending() { _ = shutdown(descriptor, Int32(SHUT_WR)) }

    public func close() {
        held.withLock { descriptor in
            if descriptor >= 0 { Glibc.close(descriptor) }
            descriptor = -1
        }
    }

    /// Ends the connection with a reset.
    public func reset() {
        guard descriptor >= 0 else { return }
        SocketCalls.lingerZero(descriptor)
        close()
    }

    /// Makes the receive window small, so that the sender feels a slow reader soon.
    public func limitReceiveBuffer(to bytes: Int) { SocketCalls.setOption(descriptor, SOL_SOCKET, SO_RCVBUF, Int32(bytes)) }
    public func limitSendBuffer(to bytes: Int) { SocketCalls.setOption(descriptor, SOL_SOCKET, SO_SNDBUF, Int32(bytes)) }
}
