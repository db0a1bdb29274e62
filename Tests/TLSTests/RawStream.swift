import COpenSSL
import TestSupport

@testable import Proxy

/// What only tests do to a stream.
extension TLSStream {
    func askForStaple() { SSL_ctrl(ssl, SSL_CTRL_SET_TLSEXT_STATUS_REQ_TYPE, Int(TLSEXT_STATUSTYPE_ocsp), nil) }

    var staple: Bytes {
        var start: UnsafeMutableRawPointer?
        let count = withUnsafeMutablePointer(to: &start) { SSL_ctrl(ssl, SSL_CTRL_GET_TLSEXT_STATUS_REQ_OCSP_RESP, 0, $0) }
        guard let start, count > 0 else { return [] }
        return Bytes(UnsafeRawBufferPointer(start: start, count: count))
    }

    /// Has the number of an alert that comes written to a place, which must stay as long as the stream reads.
    func noteAlert(in place: UnsafeMutablePointer<Int32>) {
        SSL_set_ex_data(ssl, 0, place)
        SSL_set_info_callback(ssl) { ssl, what, value in
            guard what == SSL_CB_ALERT | SSL_CB_READ, let place = SSL_get_ex_data(ssl, 0) else { return }
            place.assumingMemoryBound(to: Int32.self).pointee = value & 0xFF
        }
    }

    /// The next call sends a ClientHello inside the connection.
    func startRenegotiation() {
        SSL_clear_options(ssl, copenssl_op_always)
        SSL_renegotiate(ssl)
    }

    /// The next record that is sealed follows a key update that asks for one in return.
    func askForNewKeys() { SSL_key_update(ssl, SSL_KEY_UPDATE_REQUESTED) }
}

extension TLSSession {
    var lifetimeHintSeconds: Int { Int(SSL_SESSION_get_ticket_lifetime_hint(pointer)) }
}
