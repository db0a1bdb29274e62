import COpenSSL
import Glibc

/// An OCSP response that goes with a certificate (RFC 6066 8).
struct OCSPStaple: BitwiseCopyable {
    /// The certificate it is about; the context owns it.
    let certificate: OpaquePointer
    private let bytes: UnsafeMutableBufferPointer<UInt8>

    /// nil, with a warning, when the response is about other certificates, or does not know this one.
    ///
    /// - Parameters:
    ///   - file: one response, DER.
    ///   - issuer: who has issued the certificate; nil = unknown here.
    init?(_ file: TLSFile, about certificate: OpaquePointer, issuer: OpaquePointer?, warnings: inout [String]) throws(TLSComplaint) {
        let response = file.bytes.withBytes { bytes in
            var at = bytes.baseAddress?.assumingMemoryBound(to: UInt8.self)
            return d2i_OCSP_RESPONSE(nil, &at, bytes.count)
        }
        defer { ERR_clear_error() }
        guard let response else {
            throw TLSComplaint(sentence: "\(file.name) is no OCSP response; fetch it with openssl ocsp -respout, which writes DER")
        }
        defer { OCSP_RESPONSE_free(response) }
        guard OCSP_response_status(response) == OCSP_RESPONSE_STATUS_SUCCESSFUL, let basic = OCSP_response_get1_basic(response) else {
            throw TLSComplaint(sentence: "\(file.name) holds an OCSP responder's refusal, not an answer; fetch it again")
        }
        defer { OCSP_BASICRESP_free(basic) }
        guard OCSP_resp_count(basic) > 0 else {
            throw TLSComplaint(sentence: "\(file.name) says nothing about any certificate; fetch it again")
        }
        guard let entry = Self.entry(of: basic, about: certificate, issuer: issuer) else {
            warnings.append("\(file.name) is an OCSP response about another certificate and is not given out; fetch the one about this certificate")
            return nil
        }
        var reason: Int32 = 0
        var next: UnsafeMutablePointer<ASN1_GENERALIZEDTIME>?
        let status = OCSP_single_get0_status(entry, &reason, nil, nil, &next)
        if status == V_OCSP_CERTSTATUS_REVOKED {
            throw TLSComplaint(sentence: "\(file.name) is an OCSP response that calls the certificate revoked; have a new certificate made, or leave the staple out")
        }
        // As responders say for a while of a certificate that is new.
        guard status == V_OCSP_CERTSTATUS_GOOD else {
            warnings.append("\(file.name) is an OCSP response that does not know the certificate, and is not given out; fetch a new one")
            return nil
        }
        if let next, X509_cmp_current_time(next) < 0 {
            warnings.append("\(file.name) is an OCSP response past its time; clients may refuse it, so fetch a new one")
        }
        self.certificate = certificate
        bytes = .allocate(capacity: file.bytes.count)
        _ = file.bytes.withBytes { bytes.initialize(from: $0) }
    }

    /// The part of a response that is about a certificate.
    private static func entry(of response: OpaquePointer, about certificate: OpaquePointer, issuer: OpaquePointer?) -> OpaquePointer? {
        for index in 0..<OCSP_resp_count(response) {
            guard let entry = OCSP_resp_get0(response, index), let id = OCSP_SINGLERESP_get0_id(entry) else { continue }
            if isName(id, of: certificate, issuer: issuer) { return entry }
        }
        return nil
    }

    /// By the serial number alone where the issuer, whose name and key belong to it, is not known.
    private static func isName(_ id: OpaquePointer, of certificate: OpaquePointer, issuer: OpaquePointer?) -> Bool {
        var algorithm: OpaquePointer?
        var serial: UnsafeMutablePointer<ASN1_INTEGER>?
        guard OCSP_id_get0_info(nil, &algorithm, nil, &serial, id) == 1, let number = serial else { return false }
        guard let issuer else { return ASN1_INTEGER_cmp(number, X509_get0_serialNumber(certificate)) == 0 }
        // Responders choose how they hash.
        guard let digest = EVP_get_digestbyname(OBJ_nid2sn(OBJ_obj2nid(algorithm))), let own = OCSP_cert_to_id(digest, certificate, issuer) else {
            return false
        }
        defer { OCSP_CERTID_free(own) }
        return OCSP_id_cmp(own, id) == 0
    }

    func release() { bytes.deallocate() }

    static func install(in context: OpaquePointer) {
        copenssl_ctx_on_status(context) { ssl, _ in
            guard let ssl, let state = TLSContextState.chosen(of: ssl), let used = SSL_get_certificate(ssl) else {
                return SSL_TLSEXT_ERR_NOACK
            }
            for staple in state.pointee.staples where staple.certificate == used { return staple.give(to: ssl) }
            return SSL_TLSEXT_ERR_NOACK
        }
    }

    private func give(to ssl: OpaquePointer) -> Int32 {
        // OpenSSL frees it with the connection.
        guard let copy = copenssl_copy(bytes.baseAddress, bytes.count) else { return SSL_TLSEXT_ERR_NOACK }
        guard copenssl_set_status_response(ssl, copy, bytes.count) == 1 else {
            copenssl_free(copy)
            return SSL_TLSEXT_ERR_NOACK
        }
        return SSL_TLSEXT_ERR_OK
    }
}
