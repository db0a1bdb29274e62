import COpenSSL

// Going on where OpenSSL stops.
extension TLSRecords {
    /// Takes the keys of a connection that has shaken hands; false = it stays OpenSSL's, and nothing is kept.
    mutating func takeOver(from ssl: OpaquePointer) -> Bool {
        if begin(from: ssl) { return true }
        receiving.free()
        sending.free()
        return false
    }

    private mutating func begin(from ssl: OpaquePointer) -> Bool {
        defer { if ERR_peek_error() != 0 { ERR_clear_error() } }
        // Nothing that came may be left inside.
        guard SSL_has_pending(ssl) == 0, SSL_get_shutdown(ssl) == 0, let suite = RecordSuite(ssl), let contentMax = Self.contentMax(of: ssl)
        else { return false }
        switch SSL_version(ssl) {
        case TLS1_3_VERSION:
            // The client has said nothing under these keys yet, or OpenSSL has taken it.
            guard receiving.sequence == 0, var incoming = receiving.secret.key13(suite), var outgoing = sending.secret.key13(suite)
            else { return false }
            defer {
                incoming.wipe()
                outgoing.wipe()
            }
            // Tickets.
            outgoing.sequence = sending.sequence
            return begin(receiving: &incoming, sending: &outgoing, contentMax: contentMax)
        case TLS1_2_VERSION:
            // Each side has said Finished.
            guard receiving.sequence == 1, sending.sequence == 1, var (incoming, outgoing) = TrafficKey.pair12(of: ssl, suite)
            else { return false }
            defer {
                incoming.wipe()
                outgoing.wipe()
            }
            sending.secret = TrafficSecret(&outgoing)
            return begin(receiving: &incoming, sending: &outgoing, contentMax: contentMax)
        default: return false
        }
    }

    /// Less than usual where the client has asked for it (RFC 6066 4); nil for what OpenSSL could not have agreed on.
    private static func contentMax(of ssl: OpaquePointer) -> Int? {
        guard let session = SSL_get_session(ssl) else { return nil }
        switch SSL_SESSION_get_max_fragment_length(session) {
        case UInt8(TLSEXT_max_fragment_length_DISABLED): return TLSStream.recordBytesMax
        case UInt8(TLSEXT_max_fragment_length_512): return 512
        case UInt8(TLSEXT_max_fragment_length_1024): return 1_024
        case UInt8(TLSEXT_max_fragment_length_2048): return 2_048
        case UInt8(TLSEXT_max_fragment_length_4096): return 4_096
        default: return nil
        }
    }
}

// Letting the kernel seal.
extension TLSStream {
    /// The key of what is sent next, for the kernel, which seals from now on: `seal` fails, and what is to be said beside
    /// application data comes from `takeControl`. All that was sealed before must be sent before the kernel gets the key.
    ///
    /// nil = OpenSSL or nobody holds it. The caller wipes its copy.
    mutating func handOutSendingKey() -> TrafficKey? {
        guard hasLeftOpenSSL, failure == .none else { return nil }
        return records.handOutSendingKey()
    }

    /// What has to go out as a control message; to be asked after each `open` and after `sealEnd`, until it says nil. Behind a key
    /// update the kernel needs `nextSendingKey` before it seals anything else.
    mutating func takeControl() -> TLSControlMessage? { records.takeControl() }

    /// The key that follows the one last handed out (RFC 8446 4.6.3): behind a key update that has been said, also by the caller's
    /// own will, which it must be before a key has sealed `RecordSuite.recordsMax` records. nil = there is none, as with TLS 1.2.
    mutating func nextSendingKey() -> TrafficKey? { records.nextSendingKey() }
}

extension TLSRecords {
    fileprivate mutating func handOutSendingKey() -> TrafficKey? {
        guard !flags.contains(.kernelSeals), !flags.contains(.saidEnd) else { return nil }
        guard var key = version == .tls13 ? sending.secret.key13(suite) : sending.secret.key12(suite) else { return nil }
        sending.fill(&key)
        sending.drop()
        flags.insert(.kernelSeals)
        return key
    }

    fileprivate mutating func takeControl() -> TLSControlMessage? {
        if flags.contains(.owesKeyUpdate) {
            flags.remove(.owesKeyUpdate)
            return .keyUpdate
        }
        guard flags.contains(.owesAlert) else { return nil }
        let message = TLSControlMessage.alert(owedAlert, isFatal: flags.contains(.owedAlertIsFatal))
        flags.subtract([.owesAlert, .owedAlertIsFatal])
        return message
    }

    fileprivate mutating func nextSendingKey() -> TrafficKey? {
        guard version == .tls13, flags.contains(.kernelSeals), sending.secret.advance(suite) else { return nil }
        return sending.secret.key13(suite)
    }
}
