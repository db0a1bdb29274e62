import COpenSSL
import Glibc

/// A certificate with its key, made by a test.
public final class MadeCertificate: @unchecked Sendable {
    let certificate: OpaquePointer
    let key: OpaquePointer
    private let issuer: MadeCertificate?

    fileprivate init(_ certificate: OpaquePointer, _ key: OpaquePointer, issuer: MadeCertificate?) {
        self.certificate = certificate
        self.key = key
        self.issuer = issuer
    }

    deinit {
        X509_free(certificate)
        EVP_PKEY_free(key)
    }

    public var pem: String { text { PEM_write_bio_X509($0, certificate) } }
    /// With those between it and the authority, which itself is left out.
    public var chainPEM: String {
        var text = pem
        var next = issuer
        while let current = next, let above = current.issuer {
            text += current.pem
            next = above
        }
        return text
    }
    public var keyPEM: String { text { PEM_write_bio_PrivateKey($0, key, nil, nil, 0, nil, nil) } }
    /// The key behind a passphrase.
    public var lockedKeyPEM: String { text { PEM_write_bio_PrivateKey($0, key, EVP_aes_128_cbc(), "secret", 6, nil, nil) } }
    public var der: Bytes {
        var start: UnsafeMutablePointer<UInt8>?
        let count = i2d_X509(certificate, &start)
        defer { copenssl_free(start) }
        return Bytes(UnsafeBufferPointer(start: start, count: Int(count)))
    }

    /// A list of what it has revoked.
    ///
    /// - Parameter untilDays: from now on; negative for a list past its time.
    public func revocationList(_ revoked: [MadeCertificate], untilDays: Int = 30) -> String {
        let list = need(X509_CRL_new())
        defer { X509_CRL_free(list) }
        X509_CRL_set_version(list, 1)
        X509_CRL_set_issuer_name(list, X509_get_subject_name(certificate))
        let since = need(X509_gmtime_adj(nil, -86_400 * 60))
        let until = need(X509_gmtime_adj(nil, 86_400 * untilDays))
        X509_CRL_set1_lastUpdate(list, since)
        X509_CRL_set1_nextUpdate(list, until)
        for one in revoked {
            let entry = need(X509_REVOKED_new())
            X509_REVOKED_set_serialNumber(entry, X509_get_serialNumber(one.certificate))
            X509_REVOKED_set_revocationDate(entry, since)
            X509_CRL_add0_revoked(list, entry)
        }
        ASN1_TIME_free(since)
        ASN1_TIME_free(until)
        X509_CRL_sort(list)
        precondition(X509_CRL_sign(list, key, EVP_sha256()) > 0)
        return text { PEM_write_bio_X509_CRL($0, list) }
    }

    /// An OCSP response about a certificate of its own, until so many days from now on.
    ///
    /// - Parameters:
    ///   - others: stand before it in the response, good and past their time.
    ///   - isGood: or else it is revoked.
    public func staple(about one: MadeCertificate, behind others: [MadeCertificate] = [], isGood: Bool = true, untilDays: Int = 7) -> Bytes {
        let basic = need(OCSP_BASICRESP_new())
        defer { OCSP_BASICRESP_free(basic) }
        let since = need(X509_gmtime_adj(nil, -86_400 * 60))
        let until = need(X509_gmtime_adj(nil, 86_400 * untilDays))
        defer {
            ASN1_TIME_free(since)
            ASN1_TIME_free(until)
        }
        for other in others {
            let id = need(OCSP_cert_to_id(EVP_sha1(), other.certificate, certificate))
            defer { OCSP_CERTID_free(id) }
            precondition(OCSP_basic_add1_status(basic, id, V_OCSP_CERTSTATUS_GOOD, 0, nil, since, since) != nil)
        }
        let id = need(OCSP_cert_to_id(EVP_sha1(), one.certificate, certificate))
        defer { OCSP_CERTID_free(id) }
        let status = isGood ? V_OCSP_CERTSTATUS_GOOD : V_OCSP_CERTSTATUS_REVOKED
        precondition(OCSP_basic_add1_status(basic, id, status, 0, isGood ? nil : since, since, until) != nil)
        precondition(OCSP_basic_sign(basic, certificate, key, EVP_sha256(), nil, 0) == 1)
        let response = need(OCSP_response_create(OCSP_RESPONSE_STATUS_SUCCESSFUL, basic))
        defer { OCSP_RESPONSE_free(response) }
        var start: UnsafeMutablePointer<UInt8>?
        let count = i2d_OCSP_RESPONSE(response, &start)
        defer { copenssl_free(start) }
        return Bytes(UnsafeBufferPointer(start: start, count: Int(count)))
    }
}

/// Makes certificates; a step that OpenSSL refuses ends the test run, since nothing would hold after it.
public enum CertificateMaker {
    public enum Kind: Sendable { case rsa, ecdsa }
    public enum Use: Sendable { case authority, server, client }

    /// - Parameters:
    ///   - issuer: nil = itself.
    ///   - names: of the server.
    ///   - texts: extensions by object identifier, with a value in the words of OpenSSL: `ASN1:UTF8String:hello`.
    ///   - days: from now on, of which the validity is.
    public static func make(
        _ commonName: String, _ kind: Kind = .ecdsa, for use: Use, by issuer: MadeCertificate? = nil, serial: Int, names: [String] = [],
        addresses: [String] = [], texts: [(String, String)] = [], days: Range<Int> = -60..<365
    ) -> MadeCertificate {
        let key = makeKey(kind)
        let certificate = need(X509_new())
        X509_set_version(certificate, 2)
        ASN1_INTEGER_set(X509_get_serialNumber(certificate), serial)
        X509_gmtime_adj(X509_getm_notBefore(certificate), 86_400 * days.lowerBound)
        X509_gmtime_adj(X509_getm_notAfter(certificate), 86_400 * days.upperBound)
        let name = X509_get_subject_name(certificate)
        for (field, value) in [("C", "US"), ("O", "Weir tests"), ("CN", commonName)] {
            X509_NAME_add_entry_by_txt(name, field, MBSTRING_UTF8, value, -1, -1, 0)
        }
        X509_set_issuer_name(certificate, issuer.map { X509_get_subject_name($0.certificate) } ?? name)
        X509_set_pubkey(certificate, key)
        func add(_ name: String, _ value: String) {
            var context = X509V3_CTX()
            X509V3_set_ctx(&context, issuer?.certificate ?? certificate, certificate, nil, nil, 0)
            let found = need(X509V3_EXT_nconf(nil, &context, name, value))
            X509_add_ext(certificate, found, -1)
            X509_EXTENSION_free(found)
        }
        add("subjectKeyIdentifier", "hash")
        switch use {
        case .authority:
            add("basicConstraints", "critical,CA:TRUE")
            add("keyUsage", "critical,keyCertSign,cRLSign,digitalSignature")
        case .server:
            add("keyUsage", "critical,digitalSignature,keyEncipherment")
            add("extendedKeyUsage", "serverAuth")
            let all = names.map { "DNS:\($0)" } + addresses.map { "IP:\($0)" }
            if !all.isEmpty { add("subjectAltName", all.joined(separator: ",")) }
        case .client:
            add("keyUsage", "critical,digitalSignature")
            add("extendedKeyUsage", "clientAuth")
        }
        for (name, value) in texts { add(name, value) }
        precondition(X509_sign(certificate, issuer?.key ?? key, EVP_sha256()) > 0)
        return MadeCertificate(certificate, key, issuer: issuer)
    }

    private static func makeKey(_ kind: Kind) -> OpaquePointer {
        let context = need(EVP_PKEY_CTX_new_id(kind == .rsa ? EVP_PKEY_RSA : EVP_PKEY_EC, nil))
        defer { EVP_PKEY_CTX_free(context) }
        precondition(EVP_PKEY_keygen_init(context) == 1)
        switch kind {
        case .rsa: precondition(EVP_PKEY_CTX_set_rsa_keygen_bits(context, 2_048) == 1)
        case .ecdsa: precondition(EVP_PKEY_CTX_set_ec_paramgen_curve_nid(context, NID_X9_62_prime256v1) == 1)
        }
        var key: OpaquePointer?
        precondition(EVP_PKEY_keygen(context, &key) == 1)
        return need(key)
    }
}

private func need<Value>(_ value: Value?) -> Value {
    guard let value else { fatalError("OpenSSL refuses to make a test's certificate") }
    return value
}

/// What a call writes to a BIO.
private func text(_ write: (OpaquePointer) -> Int32) -> String {
    let bio = need(BIO_new(BIO_s_mem()))
    defer { BIO_free(bio) }
    precondition(write(bio) == 1)
    var start: UnsafeMutablePointer<CChar>?
    let count = copenssl_bio_memory(bio, &start)
    return String(decoding: UnsafeRawBufferPointer(start: start, count: count), as: UTF8.self)
}
