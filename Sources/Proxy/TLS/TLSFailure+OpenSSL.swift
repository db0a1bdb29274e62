import COpenSSL

extension TLSFailure {
    /// Empties OpenSSL's queue of errors, and says what they mean.
    ///
    /// - Parameter verification: what became of the peer's certificate, from `SSL_get_verify_result`.
    static func take(verification: Int) -> TLSFailure {
        var failure = TLSFailure.none
        // One failure may leave several errors, the first of which says most; the queue has 16 places.
        while case let code = ERR_get_error(), code != 0 {
            guard ERR_GET_LIB(code) == ERR_LIB_SSL else { continue }
            let reason = ERR_GET_REASON(code)
            if reason == SSL_R_CERTIFICATE_VERIFY_FAILED {
                failure = TLSFailure(verification: verification)
            } else if failure == .none || failure == .internalError {
                failure = TLSFailure(reason: reason)
            }
        }
        return failure == .none ? .internalError : failure
    }

    private init(reason: Int32) {
        if reason > SSL_AD_REASON_OFFSET {
            self = TLSFailure(alert: reason - SSL_AD_REASON_OFFSET)
            return
        }
        self =
            switch reason {
            case SSL_R_HTTP_REQUEST, SSL_R_HTTPS_PROXY_REQUEST: .plainHTTP
            case SSL_R_UNSUPPORTED_PROTOCOL, SSL_R_VERSION_TOO_LOW, SSL_R_VERSION_TOO_HIGH, SSL_R_WRONG_SSL_VERSION,
                SSL_R_NO_PROTOCOLS_AVAILABLE, SSL_R_UNKNOWN_PROTOCOL, SSL_R_UNKNOWN_SSL_VERSION, SSL_R_BAD_PROTOCOL_VERSION_NUMBER:
                .protocolVersion
            case SSL_R_NO_SHARED_CIPHER, SSL_R_NO_CIPHERS_AVAILABLE, SSL_R_NO_CIPHER_MATCH, SSL_R_NO_CIPHERS_SPECIFIED: .noSharedCipher
            case SSL_R_NO_SHARED_GROUPS, SSL_R_NO_SUITABLE_GROUPS, SSL_R_NO_SUITABLE_KEY_SHARE, SSL_R_UNSUPPORTED_ELLIPTIC_CURVE,
                SSL_R_WRONG_CURVE, SSL_R_MISSING_SUPPORTED_GROUPS_EXTENSION, SSL_R_NO_CHANGE_FOLLOWING_HRR:
                .noSharedCurve
            case SSL_R_NO_SHARED_SIGNATURE_ALGORITHMS, SSL_R_NO_SUITABLE_SIGNATURE_ALGORITHM, SSL_R_SIGNATURE_ALGORITHMS_ERROR,
                SSL_R_MISSING_SIGALGS_EXTENSION, SSL_R_WRONG_SIGNATURE_TYPE, SSL_R_LEGACY_SIGALG_DISALLOWED_OR_UNSUPPORTED:
                .noSharedSignature
            case SSL_R_NO_APPLICATION_PROTOCOL: .noApplicationProtocol
            case SSL_R_INAPPROPRIATE_FALLBACK: .inappropriateFallback
            case SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE, SSL_R_NO_CERTIFICATES_RETURNED: .noCertificate
            case SSL_R_BAD_SIGNATURE, SSL_R_DIGEST_CHECK_FAILED, SSL_R_BINDER_DOES_NOT_VERIFY: .badSignature
            case SSL_R_EE_KEY_TOO_SMALL, SSL_R_CA_KEY_TOO_SMALL, SSL_R_CA_MD_TOO_WEAK, SSL_R_UNKNOWN_CERTIFICATE_TYPE,
                SSL_R_WRONG_CERTIFICATE_TYPE, SSL_R_CERT_LENGTH_MISMATCH:
                .badCertificate
            case SSL_R_DECRYPTION_FAILED_OR_BAD_RECORD_MAC, SSL_R_DECRYPTION_FAILED, SSL_R_BLOCK_CIPHER_PAD_IS_WRONG: .decryptionFailed
            case SSL_R_WRONG_VERSION_NUMBER, SSL_R_PACKET_LENGTH_TOO_LONG, SSL_R_DATA_LENGTH_TOO_LONG,
                SSL_R_ENCRYPTED_LENGTH_TOO_LONG, SSL_R_RECORD_LENGTH_MISMATCH, SSL_R_RECORD_TOO_SMALL, SSL_R_BAD_RECORD_TYPE,
                SSL_R_LENGTH_TOO_SHORT:
                .badRecord
            case SSL_R_UNEXPECTED_MESSAGE, SSL_R_UNEXPECTED_RECORD, SSL_R_UNEXPECTED_CCS_MESSAGE, SSL_R_APP_DATA_IN_HANDSHAKE,
                SSL_R_CCS_RECEIVED_EARLY, SSL_R_GOT_A_FIN_BEFORE_A_CCS, SSL_R_DATA_BETWEEN_CCS_AND_FINISHED,
                SSL_R_MIXED_HANDSHAKE_AND_NON_HANDSHAKE_DATA, SSL_R_NOT_ON_RECORD_BOUNDARY, SSL_R_INVALID_CCS_MESSAGE,
                SSL_R_APPLICATION_DATA_AFTER_CLOSE_NOTIFY, SSL_R_NO_RENEGOTIATION:
                .unexpectedMessage
            case SSL_R_TOO_MANY_WARN_ALERTS, SSL_R_TOO_MANY_KEY_UPDATES: .tooManyAnswers
            case SSL_R_UNEXPECTED_EOF_WHILE_READING: .endedEarly
            case SSL_R_CALLBACK_FAILED: .unknownName
            case SSL_R_BN_LIB, SSL_R_X509_LIB, SSL_R_LIBRARY_BUG: .internalError
            // Some two hundred are left, nearly all of them about messages that are not as the RFC has them.
            default: reason >= 100 ? .badHello : .internalError
            }
    }

    /// - Parameter alert: the description of an alert that the peer has sent.
    init(alert: Int32) {
        self =
            switch alert {
            case SSL3_AD_CLOSE_NOTIFY, TLS1_AD_USER_CANCELLED: .peerClosed
            case SSL3_AD_HANDSHAKE_FAILURE, TLS1_AD_INSUFFICIENT_SECURITY: .peerHandshakeFailure
            case SSL3_AD_BAD_CERTIFICATE, SSL3_AD_UNSUPPORTED_CERTIFICATE: .peerBadCertificate
            case TLS1_AD_UNKNOWN_CA: .peerUnknownAuthority
            case SSL3_AD_CERTIFICATE_EXPIRED: .peerCertificateExpired
            case SSL3_AD_CERTIFICATE_REVOKED: .peerCertificateRevoked
            case SSL3_AD_CERTIFICATE_UNKNOWN: .peerCertificateUnknown
            case TLS1_AD_PROTOCOL_VERSION: .peerProtocolVersion
            case TLS13_AD_CERTIFICATE_REQUIRED, SSL3_AD_NO_CERTIFICATE: .peerCertificateRequired
            case TLS1_AD_UNRECOGNIZED_NAME: .peerUnknownName
            default: .peerOther
            }
    }

    private init(verification: Int) {
        self =
            switch Int32(truncatingIfNeeded: verification) {
            case X509_V_ERR_CERT_HAS_EXPIRED: .certificateExpired
            case X509_V_ERR_CERT_NOT_YET_VALID: .certificateNotYetValid
            case X509_V_ERR_CERT_REVOKED: .certificateRevoked
            case X509_V_ERR_UNABLE_TO_GET_CRL, X509_V_ERR_UNABLE_TO_GET_CRL_ISSUER: .noRevocationList
            case X509_V_ERR_CRL_HAS_EXPIRED: .revocationListExpired
            case X509_V_ERR_CRL_SIGNATURE_FAILURE, X509_V_ERR_UNABLE_TO_DECRYPT_CRL_SIGNATURE, X509_V_ERR_CRL_NOT_YET_VALID,
                X509_V_ERR_ERROR_IN_CRL_LAST_UPDATE_FIELD, X509_V_ERR_ERROR_IN_CRL_NEXT_UPDATE_FIELD,
                X509_V_ERR_KEYUSAGE_NO_CRL_SIGN, X509_V_ERR_UNHANDLED_CRITICAL_CRL_EXTENSION, X509_V_ERR_DIFFERENT_CRL_SCOPE,
                X509_V_ERR_CRL_PATH_VALIDATION_ERROR:
                .badRevocationList
            case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT, X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY,
                X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE, X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT,
                X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN, X509_V_ERR_CERT_UNTRUSTED, X509_V_ERR_CERT_REJECTED:
                .unknownAuthority
            case X509_V_ERR_CERT_CHAIN_TOO_LONG, X509_V_ERR_PATH_LENGTH_EXCEEDED: .chainTooLong
            case X509_V_ERR_INVALID_PURPOSE, X509_V_ERR_INVALID_CA: .wrongPurpose
            case X509_V_ERR_HOSTNAME_MISMATCH, X509_V_ERR_IP_ADDRESS_MISMATCH: .wrongName
            case X509_V_ERR_OUT_OF_MEM: .outOfMemory
            default: .badCertificate
            }
    }
}
