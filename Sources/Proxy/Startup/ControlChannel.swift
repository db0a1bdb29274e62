import CUring
import Glibc

/// What supervisor and server process say to each other; each is one packet, some carry descriptors.
enum ControlMessage: Equatable {
    // From the supervisor.
    /// The memory file with the assignment travels with this one.
    case assignment
    /// A batch of the assignment's descriptors.
    case descriptors
    /// New descriptors of all logs, in the order of the plan.
    case logs
    case drain(deadlineMilliseconds: Int)
    case stopNow
    /// The memory file with a `ReloadAssignment` travels with this one; batches of descriptors follow.
    case reload
    /// The supervisor has closed the listeners that the newest configuration does not have.
    case listenersReleased
    case lastReload(ReloadRecord)
    // From the server process.
    /// All workers run.
    case ready
    /// The process cannot serve and ends; the sentence says why.
    case failed(String)
    /// All workers go by the new configuration.
    case reloaded
    /// Nobody goes by the new configuration, for this reason.
    case reloadRefused(String)
    /// A line for the operator.
    case notice(LogSettings.Level, String)
    /// A deadly signal came; sent by the handler in C, while the backtrace is still to be written.
    case crashed

    private enum Kind: UInt8 {
        case assignment, descriptors, logs, drain, stopNow, ready, failed, notice, crashed
        case reload, listenersReleased, lastReload, reloaded, reloadRefused
    }

    static let crashedByte = Kind.crashed.rawValue

    var bytes: [UInt8] {
        switch self {
        case .assignment: [Kind.assignment.rawValue]
        case .descriptors: [Kind.descriptors.rawValue]
        case .logs: [Kind.logs.rawValue]
        case .drain(let deadline): [Kind.drain.rawValue] + Array("\(deadline)".utf8)
        case .stopNow: [Kind.stopNow.rawValue]
        case .crashed: [Self.crashedByte]
        case .reload: [Kind.reload.rawValue]
        case .listenersReleased: [Kind.listenersReleased.rawValue]
        case .lastReload(let record): [Kind.lastReload.rawValue] + record.encoded
        case .reloaded: [Kind.reloaded.rawValue]
        case .reloadRefused(let sentence): [Kind.reloadRefused.rawValue] + Array(sentence.utf8).prefix(ControlChannel.textBytesMax)
        case .ready: [Kind.ready.rawValue]
        case .failed(let sentence): [Kind.failed.rawValue] + Array(sentence.utf8).prefix(ControlChannel.textBytesMax)
        case .notice(let level, let line):
            [Kind.notice.rawValue, UInt8(LogSettings.Level.allCases.firstIndex(of: level) ?? 0)]
                + Array(line.utf8).prefix(ControlChannel.textBytesMax)
        }
    }

    init?(bytes: some Collection<UInt8>) {
        guard let first = bytes.first, let kind = Kind(rawValue: first) else { return nil }
        let text = String(decoding: bytes.dropFirst(), as: UTF8.self)
        switch kind {
        case .assignment: self = .assignment
        case .descriptors: self = .descriptors
        case .logs: self = .logs
        case .drain:
            guard let deadline = Int(text) else { return nil }
            self = .drain(deadlineMilliseconds: deadline)
        case .stopNow: self = .stopNow
        case .crashed: self = .crashed
        case .reload: self = .reload
        case .listenersReleased: self = .listenersReleased
        case .lastReload:
            guard let record = ReloadRecord(encoded: bytes.dropFirst()) else { return nil }
            self = .lastReload(record)
        case .reloaded: self = .reloaded
        case .reloadRefused: self = .reloadRefused(text)
        case .ready: self = .ready
        case .failed: self = .failed(text)
        case .notice:
            guard let level = bytes.dropFirst().first, level < LogSettings.Level.allCases.count else { return nil }
            self = .notice(LogSettings.Level.allCases[Int(level)], String(decoding: bytes.dropFirst(2), as: UTF8.self))
        }
    }
}

/// One end of the socket pair between supervisor and server process.
struct ControlChannel {
    static let textBytesMax = 16 * 1024
    let descriptor: Int32

    /// How long a send may wait for a reader that hangs.
    static let patienceSeconds = 1

    init(descriptor: Int32) {
        self.descriptor = descriptor
        var patience = timeval(tv_sec: Self.patienceSeconds, tv_usec: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &patience, socklen_t(MemoryLayout<timeval>.size))
    }

    enum Received {
        case message(ControlMessage, [Int32])
        /// The other process has ended or closed its end.
        case closed
        /// Bytes that no version of ours sends.
        case unreadable
    }

    /// Sends one message; false when the other end is gone.
    @discardableResult
    func send(_ message: ControlMessage, _ descriptors: some Collection<Int32> = []) -> Bool {
        let bytes = message.bytes
        let passed = Array(descriptors)
        return cprocess_send(descriptor, bytes, bytes.count, passed, UInt32(passed.count)) == 0
    }

    /// Sends descriptors in batches that fit a message; an empty list still sends one message.
    @discardableResult
    func sendBatches(_ message: ControlMessage, _ descriptors: [Int32]) -> Bool {
        var start = 0
        repeat {
            let end = min(descriptors.count, start + Int(cprocess_descriptors_max))
            guard send(message, descriptors[start..<end]) else { return false }
            start = end
        } while start < descriptors.count
        return true
    }

    /// Whether a message, or the end, waits to be received.
    var hasNews: Bool {
        var waiting = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
        return poll(&waiting, 1, 0) > 0
    }

    /// Waits for one message.
    func receive() -> Received {
        var bytes = [UInt8](repeating: 0, count: Self.textBytesMax + 1)
        var passed = [Int32](repeating: -1, count: Int(cprocess_descriptors_max))
        var count = UInt32(passed.count)
        let length = cprocess_receive(descriptor, &bytes, bytes.count, &passed, &count)
        if length == 0 || length == -Int(ECONNRESET) { return .closed }
        guard length > 0, let message = ControlMessage(bytes: bytes[..<length]) else {
            for descriptor in passed[..<Int(count)] { close(descriptor) }
            return .unreadable
        }
        return .message(message, Array(passed[..<Int(count)]))
    }
}
