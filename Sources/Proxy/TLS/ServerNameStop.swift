import COpenSSL
import Glibc

/// The stop at a ClientHello, where the worker learns the name and chooses a context.
///
/// It is the earliest moment that OpenSSL offers: versions, suites, sessions and certificates are looked at later, so all of
/// them are those of the chosen context. (The older callback for names comes after a session has been resumed, which let
/// clients carry sessions from one virtual host to another.)
enum ServerNameStop {
    static func install(in context: OpaquePointer) {
        SSL_CTX_set_client_hello_cb(context, { ssl, alert, _ in ServerNameStop.onHello(ssl, alert) }, nil)
        // Says that the name was used (RFC 6066 3); only when there was one.
        copenssl_ctx_on_server_name(context) { ssl, _, _ in
            SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name) != nil ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_NOACK
        }
    }

    private static func onHello(_ ssl: OpaquePointer?, _ alert: UnsafeMutablePointer<Int32>?) -> Int32 {
        guard let home = TLSContextState.home(of: ssl) else { return SSL_CLIENT_HELLO_ERROR }
        switch home.pointee.choice {
        case .made: return SSL_CLIENT_HELLO_SUCCESS
        case .refused:
            alert?.pointee = SSL_AD_UNRECOGNIZED_NAME
            return SSL_CLIENT_HELLO_ERROR
        case .open:
            readName(of: ssl, into: home)
            return SSL_CLIENT_HELLO_RETRY
        }
    }

    /// Takes the host name out of the extension; none where it is not as RFC 6066 3 has it, which OpenSSL will refuse.
    private static func readName(of ssl: OpaquePointer?, into home: UnsafeMutablePointer<TLSContextState>) {
        home.pointee.nameCount = 0
        var start: UnsafePointer<UInt8>?
        var count = 0
        guard SSL_client_hello_get0_ext(ssl, UInt32(TLSEXT_TYPE_server_name), &start, &count) == 1, let start else { return }
        // Length of the list, kind of the first name, its length, the name.
        guard count > 5, start[2] == UInt8(TLSEXT_NAMETYPE_host_name) else { return }
        let length = Int(start[3]) << 8 | Int(start[4])
        guard length > 0, length <= TLSContextState.nameBytesMax, length <= count &- 5 else { return }
        memcpy(home.pointee.name, start + 5, length)
        home.pointee.nameCount = length
    }
}
