import COpenSSL

/// What certificates, keys and lists are kept in.
enum PEMFile {
    /// For OpenSSL, which would ask on the terminal: nobody is there to answer.
    static let noPassphrase: @convention(c) (UnsafeMutablePointer<CChar>?, Int32, Int32, UnsafeMutableRawPointer?) -> Int32 = { _, _, _, _ in -1 }

    /// Calls `use` with a BIO that reads the bytes.
    static func withBIO(_ bytes: SecretBytes, _ use: (OpaquePointer) -> Void) {
        bytes.withBytes { bytes in
            guard let bio = BIO_new_mem_buf(bytes.baseAddress, Int32(clamping: bytes.count)) else { return }
            use(bio)
            BIO_free(bio)
        }
    }

    /// The certificates of a file, in its order, for the caller to free.
    static func certificates(_ file: TLSFile) throws(TLSComplaint) -> [OpaquePointer] {
        var found: [OpaquePointer] = []
        withBIO(file.bytes) { bio in
            while let certificate = PEM_read_bio_X509_AUX(bio, nil, noPassphrase, nil) { found.append(certificate) }
        }
        let isEnd = isAtEnd
        ERR_clear_error()
        if found.isEmpty {
            throw TLSComplaint(sentence: "\(file.name) holds no certificate; it must be PEM, beginning with -----BEGIN CERTIFICATE-----")
        }
        if !isEnd {
            for certificate in found { X509_free(certificate) }
            throw TLSComplaint(sentence: "\(file.name): what follows certificate \(found.count) can't be read; is the file complete?")
        }
        return found
    }

    /// Whether the last block was missed only because there is none; asked before OpenSSL's queue of errors is emptied.
    static var isAtEnd: Bool {
        let last = ERR_peek_last_error()
        return last == 0 || ERR_GET_LIB(last) == ERR_LIB_PEM && ERR_GET_REASON(last) == PEM_R_NO_START_LINE
    }

    /// The private key of a file, for the caller to free.
    static func key(_ file: TLSFile) throws(TLSComplaint) -> OpaquePointer {
        var key: OpaquePointer?
        withBIO(file.bytes) { key = PEM_read_bio_PrivateKey($0, nil, noPassphrase, nil) }
        var isLocked = false
        while case let code = ERR_get_error(), code != 0 {
            let reason = ERR_GET_REASON(code)
            if ERR_GET_LIB(code) == ERR_LIB_PEM, reason == PEM_R_BAD_PASSWORD_READ || reason == PEM_R_BAD_DECRYPT { isLocked = true }
        }
        if let key { return key }
        if isLocked {
            throw TLSComplaint(
                sentence: """
                    the key in \(file.name) is locked with a passphrase, which nobody could type at a start; unlock it with \
                    openssl pkey -in \(file.name), and guard the result by its mode
                    """)
        }
        throw TLSComplaint(sentence: "\(file.name) holds no private key; it must be PEM, beginning with -----BEGIN PRIVATE KEY-----")
    }
}
