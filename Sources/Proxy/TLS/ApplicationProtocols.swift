import COpenSSL

/// ALPN (RFC 7301): what is spoken above TLS.
enum ApplicationProtocols {
    /// The form of the wire: each name behind its length.
    static func encoded(_ names: [String]) -> [UInt8]? {
        var bytes: [UInt8] = []
        for name in names {
            guard (1...255).contains(name.utf8.count) else { return nil }
            bytes.append(UInt8(name.utf8.count))
            bytes += name.utf8
        }
        return bytes.count <= 65_535 ? bytes : nil
    }

    /// Servers take the first of theirs that the client offers; a client that offers none of them is refused, as RFC 7301
    /// 3.2 asks: nobody shall speak to us what we do not (ALPACA).
    static func install(in context: OpaquePointer) {
        SSL_CTX_set_alpn_select_cb(
            context,
            { ssl, chosen, chosenCount, offered, offeredCount, _ in
                guard let state = TLSContextState.chosen(of: ssl), let ours = state.pointee.applicationProtocols.baseAddress,
                    let offered
                else { return SSL_TLSEXT_ERR_NOACK }
                let oursCount = state.pointee.applicationProtocols.count
                let result = chosen?.withMemoryRebound(to: UnsafeMutablePointer<UInt8>?.self, capacity: 1) {
                    SSL_select_next_proto($0, chosenCount, ours, UInt32(oursCount), offered, offeredCount)
                }
                return result == OPENSSL_NPN_NEGOTIATED ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_ALERT_FATAL
            }, nil)
    }
}
