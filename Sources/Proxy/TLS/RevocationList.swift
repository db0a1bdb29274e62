import COpenSSL

/// Lists of revoked certificates (RFC 5280 5), and what OpenSSL makes of them when it walks a chain.
enum RevocationList {
    /// Puts every list of a file into a store.
    static func add(_ file: TLSFile, to store: OpaquePointer?, warnings: inout [String]) throws(TLSComplaint) {
        defer { ERR_clear_error() }
        var lists: [OpaquePointer] = []
        defer { for list in lists { X509_CRL_free(list) } }
        PEMFile.withBIO(file.bytes) { bio in
            while let list = PEM_read_bio_X509_CRL(bio, nil, PEMFile.noPassphrase, nil) { lists.append(list) }
        }
        guard lists.isEmpty || PEMFile.isAtEnd else {
            throw TLSComplaint(sentence: "\(file.name): what follows list \(lists.count) can't be read; is the file complete?")
        }
        if lists.isEmpty {
            let list = file.bytes.withBytes { bytes in
                var at = bytes.baseAddress?.assumingMemoryBound(to: UInt8.self)
                return d2i_X509_CRL(nil, &at, bytes.count)
            }
            if let list { lists.append(list) }
        }
        guard !lists.isEmpty else {
            throw TLSComplaint(sentence: "\(file.name) holds no list of revoked certificates; it must be a CRL, PEM or DER")
        }
        for list in lists {
            guard X509_STORE_add_crl(store, list) == 1 else {
                throw TLSComplaint(sentence: "\(file.name) holds a list of revoked certificates that OpenSSL does not take; fetch it again")
            }
            if let next = X509_CRL_get0_nextUpdate(list), X509_cmp_current_time(next) < 0 {
                warnings.append("\(file.name) holds a list of revoked certificates past its time; fetch a new one")
            }
        }
    }

    /// Turns the look at lists on, for every certificate of a chain.
    static func require(in store: OpaquePointer?) { X509_STORE_set_flags(store, UInt(X509_V_FLAG_CRL_CHECK | X509_V_FLAG_CRL_CHECK_ALL)) }

    /// Called by OpenSSL for everything it finds wrong with a chain; 1 = go on all the same.
    static let onFinding: @convention(c) (Int32, OpaquePointer?) -> Int32 = { isGood, chain in
        if isGood == 1 { return 1 }
        let ssl = X509_STORE_CTX_get_ex_data(chain, SSL_get_ex_data_X509_STORE_CTX_idx())
        guard let ssl, let state = TLSContextState.chosen(of: OpaquePointer(ssl)) else { return 0 }
        let accepted =
            switch X509_STORE_CTX_get_error(chain) {
            case X509_V_ERR_UNABLE_TO_GET_CRL: state.pointee.acceptsMissingRevocationList
            case X509_V_ERR_CRL_HAS_EXPIRED: state.pointee.acceptsExpiredRevocationList
            default: false
            }
        if accepted { X509_STORE_CTX_set_error(chain, X509_V_OK) }
        return accepted ? 1 : 0
    }
}
