/// Why a TLS connection ended, as one word for the log.
enum TLSFailure: UInt8, Sendable, CaseIterable {
    case none
    // Ours.
    case outOfMemory, internalError, handshakeTimeout
    // What came is no TLS, or not as it should be.
    case plainHTTP, badRecord, badHello, unexpectedMessage, decryptionFailed, endedEarly, tooManyAnswers
    // Nothing in common.
    case protocolVersion, noSharedCipher, noSharedCurve, noSharedSignature, noApplicationProtocol, unknownName, inappropriateFallback
    // The peer's certificate.
    case noCertificate, badCertificate, certificateExpired, certificateNotYetValid, certificateRevoked, noRevocationList
    case revocationListExpired, badRevocationList, unknownAuthority, chainTooLong, wrongPurpose, wrongName, badSignature
    // An alert of the peer, which says why it does not like us.
    case peerClosed, peerHandshakeFailure, peerBadCertificate, peerUnknownAuthority, peerCertificateExpired, peerCertificateRevoked
    case peerCertificateUnknown, peerProtocolVersion, peerCertificateRequired, peerUnknownName, peerOther

    /// For the log; the same in every version of the program.
    var word: StaticString {
        switch self {
        case .none: "none"
        case .outOfMemory: "out-of-memory"
        case .internalError: "internal-error"
        case .handshakeTimeout: "handshake-timeout"
        case .plainHTTP: "plain-http"
        case .badRecord: "bad-record"
        case .badHello: "bad-hello"
        case .unexpectedMessage: "unexpected-message"
        case .decryptionFailed: "decryption-failed"
        case .endedEarly: "ended-early"
        case .tooManyAnswers: "too-many-answers"
        case .protocolVersion: "protocol-version"
        case .noSharedCipher: "no-shared-cipher"
        case .noSharedCurve: "no-shared-curve"
        case .noSharedSignature: "no-shared-signature"
        case .noApplicationProtocol: "no-application-protocol"
        case .unknownName: "unknown-name"
        case .inappropriateFallback: "inappropriate-fallback"
        case .noCertificate: "no-certificate"
        case .badCertificate: "bad-certificate"
        case .certificateExpired: "certificate-expired"
        case .certificateNotYetValid: "certificate-not-yet-valid"
        case .certificateRevoked: "certificate-revoked"
        case .noRevocationList: "no-revocation-list"
        case .revocationListExpired: "revocation-list-expired"
        case .badRevocationList: "bad-revocation-list"
        case .unknownAuthority: "unknown-ca"
        case .chainTooLong: "chain-too-long"
        case .wrongPurpose: "wrong-purpose"
        case .wrongName: "wrong-name"
        case .badSignature: "bad-signature"
        case .peerClosed: "peer-closed"
        case .peerHandshakeFailure: "peer-handshake-failure"
        case .peerBadCertificate: "peer-bad-certificate"
        case .peerUnknownAuthority: "peer-unknown-ca"
        case .peerCertificateExpired: "peer-certificate-expired"
        case .peerCertificateRevoked: "peer-certificate-revoked"
        case .peerCertificateUnknown: "peer-certificate-unknown"
        case .peerProtocolVersion: "peer-protocol-version"
        case .peerCertificateRequired: "peer-certificate-required"
        case .peerUnknownName: "peer-unknown-name"
        case .peerOther: "peer-alert"
        }
    }
}
