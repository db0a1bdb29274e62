import COpenSSL

/// Alerts that we say (RFC 8446 6).
enum RecordAlert: UInt8 {
    case closeNotify = 0
    case unexpectedMessage = 10
    case badRecordMAC = 20
    case recordOverflow = 22
    case illegalParameter = 47
    case decodeError = 50
    case protocolVersion = 70
    case noRenegotiation = 100
}

// What is said beside application data.
extension TLSRecords {
    /// Alerts that came (RFC 8446 6, RFC 5246 7.2): one to a record, never cut.
    mutating func onAlert(_ message: UnsafeRawBufferPointer, _ output: inout ByteQueue, _ blocks: inout BlockPool) {
        guard message.count == 2 else {
            _ = fail(.unexpectedMessage, .unexpectedMessage, &output, &blocks)
            return
        }
        let level = message[0]
        let description = message[1]
        guard level == 1 || level == 2 else {
            _ = fail(.unexpectedMessage, .illegalParameter, &output, &blocks)
            return
        }
        if description == RecordAlert.closeNotify.rawValue {
            flags.insert(.sawEnd)
        } else if isWarning(level, description) {
            // Counted with other records that bring nothing.
        } else {
            end(TLSFailure(alert: Int32(description)), &blocks)
        }
    }

    /// With TLS 1.3 the level says nothing: all are the end, but for one that precedes close_notify.
    private func isWarning(_ level: UInt8, _ description: UInt8) -> Bool {
        version == .tls13 ? description == UInt8(TLS1_AD_USER_CANCELLED) : level == 1
    }

    /// Messages of a handshake that came: a key update (RFC 8446 4.6.3), or with TLS 1.2 the wish for another handshake, which is
    /// refused. One to a record, never cut: a key update must be its record's last message, and nobody has a reason to cut it.
    mutating func onHandshake(_ message: UnsafeRawBufferPointer, _ output: inout ByteQueue, _ blocks: inout BlockPool) {
        guard message.count >= 4, Int(message[1]) << 16 | Int(message[2]) << 8 | Int(message[3]) == message.count &- 4 else {
            _ = fail(.unexpectedMessage, .unexpectedMessage, &output, &blocks)
            return
        }
        switch (version, message[0]) {
        case (.tls12, UInt8(SSL3_MT_CLIENT_HELLO)): answer(.noRenegotiation, &output, &blocks)
        case (.tls13, UInt8(SSL3_MT_KEY_UPDATE)):
            guard message.count == 5 else {
                _ = fail(.badRecord, .decodeError, &output, &blocks)
                return
            }
            guard message[4] <= 1 else {
                _ = fail(.unexpectedMessage, .illegalParameter, &output, &blocks)
                return
            }
            guard Self.renew(&receiving, suite, isSealing: false) else {
                end(.internalError, &blocks)
                return
            }
            if message[4] == 1 { answerKeyUpdate(&output, &blocks) }
        default: _ = fail(.unexpectedMessage, .unexpectedMessage, &output, &blocks)
        }
    }

    /// Derives the next key of a direction and goes on with it.
    private static func renew(_ cipher: inout RecordCipher, _ suite: RecordSuite, isSealing: Bool) -> Bool {
        guard cipher.secret.advance(suite), var key = cipher.secret.key13(suite) else { return false }
        defer { key.wipe() }
        return cipher.use(&key, isSealing: isSealing)
    }

    private mutating func answerKeyUpdate(_ output: inout ByteQueue, _ blocks: inout BlockPool) {
        // After our close_notify nothing may be said.
        guard !flags.contains(.saidEnd) else { return }
        let before = output.count
        if flags.contains(.kernelSeals) {
            // Several questions may have one answer.
            flags.insert(.owesKeyUpdate)
        } else if !renewSendingKey(&output, &blocks) {
            if failure == .none { end(.outOfMemory, &blocks) }
            return
        }
        countAnswer(max(output.count &- before, Self.headBytes &+ 5 &+ endBytes), &output, &blocks)
    }

    private mutating func answer(_ alert: RecordAlert, _ output: inout ByteQueue, _ blocks: inout BlockPool) {
        guard !flags.contains(.saidEnd) else { return }
        let before = output.count
        guard say(alert, isFatal: false, &output, &blocks) else {
            if failure == .none { end(.outOfMemory, &blocks) }
            return
        }
        countAnswer(max(output.count &- before, Self.headBytes &+ 2 &+ endBytes), &output, &blocks)
    }

    private mutating func countAnswer(_ bytes: Int, _ output: inout ByteQueue, _ blocks: inout BlockPool) {
        answeredBytes &+= UInt32(truncatingIfNeeded: bytes)
        if answeredBytes > Self.answeredBytesMax { end(.tooManyAnswers, &blocks) }
    }

    /// Says that we go on with another key, and does; false = no room, and then nothing has changed, or `failure`.
    mutating func renewSendingKey(_ output: inout ByteQueue, _ blocks: inout BlockPool) -> Bool {
        let sealed = TLSControlMessage.keyUpdate.withBytes { put(RecordType.handshake, $0.baseAddress!, $0.count, to: &output, &blocks) }
        guard sealed == .done else { return false }
        guard Self.renew(&sending, suite, isSealing: true) else {
            end(.internalError, &blocks)
            return false
        }
        return true
    }

    /// Appends close_notify; false = no room, or a failure.
    mutating func sayEnd(_ output: inout ByteQueue, _ blocks: inout BlockPool) -> Bool {
        if failure != .none { return false }
        if flags.contains(.saidEnd) { return true }
        guard say(.closeNotify, isFatal: false, &output, &blocks) else { return false }
        flags.insert(.saidEnd)
        return true
    }

    private mutating func say(_ alert: RecordAlert, isFatal: Bool, _ output: inout ByteQueue, _ blocks: inout BlockPool) -> Bool {
        if flags.contains(.kernelSeals) {
            flags.insert(.owesAlert)
            if isFatal { flags.insert(.owedAlertIsFatal) } else { flags.remove(.owedAlertIsFatal) }
            owedAlert = alert.rawValue
            return true
        }
        return TLSControlMessage.alert(alert.rawValue, isFatal: isFatal).withBytes {
            put(RecordType.alert, $0.baseAddress!, $0.count, to: &output, &blocks) == .done
        }
    }

    /// The connection is at its end, and the peer is told why, as long as we may still say something.
    mutating func fail(
        _ reason: TLSFailure, _ alert: RecordAlert, _ output: inout ByteQueue, _ blocks: inout BlockPool
    ) -> TLSOpened {
        if !flags.contains(.saidEnd) { _ = say(alert, isFatal: true, &output, &blocks) }
        end(reason, &blocks)
        return .failed
    }
}
