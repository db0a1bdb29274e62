import CUring
import Glibc

/// Where the operator's log goes; shared by all loggers, safe from any thread.
final class OperatorLogSink: Sendable {
    /// What stands before a sentence.
    enum Form: Sendable, Equatable {
        /// `Aug 27 13:05:59 weir[4711]: error: `
        case plain
        /// `<3>error: `: journald reads the level and adds the rest itself.
        case journal
        /// A datagram with the header of RFC 3164.
        case syslog(SyslogFacility)
    }

    private struct State {
        var descriptor: Int32
        var form: Form
        var clock = LogClock()
        var limiter = RepeatLimiter()
    }

    private let state: Locked<State>

    /// Takes over the descriptor.
    init(descriptor: Int32, form: Form) {
        state = Locked(State(descriptor: descriptor, form: form))
    }

    deinit {
        state.withLock { _ = close($0.descriptor) }
    }

    /// The form that fits an open descriptor.
    static func form(of descriptor: Int32, _ settings: LogSettings, journalStream: String?) -> Form {
        if LogFraming.of(descriptor: descriptor).isDatagram { return .syslog(settings.facility) }
        return isJournal(descriptor, journalStream) ? .journal : .plain
    }

    /// Writes one sentence, unless it has been said often enough of late.
    func write(_ level: LogSettings.Level, _ text: String, at now: UInt64 = wallClockNanoseconds()) {
        state.withLock { state in
            switch state.limiter.admit(text, at: now) {
            case .holdBack: break
            case .print(heldBack: 0): Self.write(level, text, now, &state)
            case .print(let heldBack): Self.write(level, "\(text) (and \(heldBack) times before)", now, &state)
            }
        }
    }

    /// Tells how often sentences were held back that have stopped coming; called by the control thread now and then.
    func writeHeldBack(at now: UInt64 = wallClockNanoseconds()) {
        state.withLock { state in
            for (text, heldBack) in state.limiter.takeEnded(at: now) {
                Self.write(.notice, "\(heldBack) times more: \(text)", now, &state)
            }
        }
    }

    /// Goes on in another descriptor, as after files were renamed, and closes the old one.
    func reopen(_ descriptor: Int32, form: Form) {
        let old = state.withLock { state in
            defer {
                state.descriptor = descriptor
                state.form = form
            }
            return state.descriptor
        }
        close(old)
    }

    private static func write(_ level: LogSettings.Level, _ text: String, _ now: UInt64, _ state: inout State) {
        var line: [UInt8]
        switch state.form {
        case .plain:
            line = head(now, &state.clock)
        case .journal:
            line = Array("<\(level.severity.rawValue)>".utf8)
        case .syslog(let facility):
            line = Array(unsafeUninitializedCapacity: LogFraming.headerBytesMax) { room, count in
                count = SyslogHeader(facility, level.severity).write(now, &state.clock, to: room.baseAddress!)
            }
        }
        line += "\(level.rawValue): ".utf8
        appendPrintable(text, to: &line)
        if case .syslog = state.form {
            // A logger that was restarted has to be found again; nobody can be told when there is none, or it is stuck.
            let flags = Int32(MSG_NOSIGNAL | MSG_DONTWAIT)
            if send(state.descriptor, line, line.count, flags) < 0, errno != EAGAIN, connectSyslog(state.descriptor) == 0 {
                _ = send(state.descriptor, line, line.count, flags)
            }
            return
        }
        line.append(UInt8(ascii: "\n"))
        writeAll(line, to: state.descriptor)
    }

    /// `Aug 27 13:05:59 weir[4711]: `
    private static func head(_ now: UInt64, _ clock: inout LogClock) -> [UInt8] {
        var time = [UInt8](repeating: 0, count: LogClock.syslogBytes)
        time.withUnsafeMutableBufferPointer { clock.writeSyslog(now, to: $0.baseAddress!) }
        return time + " weir[\(getpid())]: ".utf8
    }
}

extension OperatorLogSink {
    /// Reports what a worker recorded, in whole sentences; called by the control thread.
    ///
    /// - Parameter droppedBefore: events that were lost when this was called last; brought up to date.
    func write(_ events: EventLog, ofWorker worker: Int, droppedBefore: inout UInt64) {
        while let event = events.next() { write(event.level.settingsLevel, "worker \(worker): \(event.sentence)") }
        let dropped = events.dropped
        if dropped != droppedBefore { write(.warn, "worker \(worker): \(dropped &- droppedBefore) events lost") }
        droppedBefore = dropped
    }
}

extension EventLog.Event {
    /// `backend is down: web1: Connection refused (250 ms)`
    var sentence: String {
        var text = "\(message)"
        if !subjectBytes.isEmpty { text += ": \(String(decoding: subjectBytes, as: UTF8.self))" }
        if reason.utf8CodeUnitCount > 0 { text += ": \(reason)" }
        if error != 0 { text += ": \(String(cString: strerror(error)))" }
        if unit.utf8CodeUnitCount > 0 { text += " (\(amount) \(unit))" }
        return text
    }
}

/// Whether a descriptor is the stream that systemd named in JOURNAL_STREAM, as `device:inode`.
private func isJournal(_ descriptor: Int32, _ journalStream: String?) -> Bool {
    var status = stat()
    guard let journalStream, fstat(descriptor, &status) == 0 else { return false }
    return journalStream == "\(status.st_dev):\(status.st_ino)"
}

/// Appends text with control characters as `\xHH`: parts of it may come from peers.
private func appendPrintable(_ text: String, to line: inout [UInt8]) {
    for scalar in text.unicodeScalars {
        if scalar.value < 0x20 || (scalar.value >= 0x7f && scalar.value < 0xa0) {
            let digits = String(scalar.value, radix: 16)
            line += "\\x\(digits.count < 2 ? "0" : "")\(digits)".utf8
        } else {
            line += String(scalar).utf8
        }
    }
}

/// Writes all bytes, whatever it takes; gives up on any error but an interruption.
private func writeAll(_ bytes: [UInt8], to descriptor: Int32) {
    bytes.withUnsafeBytes { raw in
        var done = 0
        while done < raw.count {
            let result = Glibc.write(descriptor, raw.baseAddress! + done, raw.count - done)
            if result < 0, errno == EINTR { continue }
            if result <= 0 { return }
            done += result
        }
    }
}
