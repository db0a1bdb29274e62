import COpenSSL
import Glibc

/// An OCSP response that goes with a certificate (RFC 6066 8).
struct OCSPStaple: BitwiseCopyable {
    /// The certificate it is about; the context owns it.
    let certificate: OpaquePointer
    private let bytes: UnsafeMutableBufferPointer<UInt8>

    /// - Parameter file: one response, DER.
    init(_ file: TLSFile, about certificate: OpaquePointer, warnings: inout [String]) throws(TLSComplaint) {
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
        var reason: Int32 = 0
        var next: UnsafeMutablePointer<ASN1_GENERALIZEDTIME>?
        _ = OCSP_single_get0_status(OCSP_resp_get0(basic, 0), &reason, nil, nil, &next)
        if let next, X509_cmp_current_time(next) < 0 {
            warnings.append("\(file.name) is an OCSP response past its time; clients may refuse it, so fetch a new one")
        }
        self.certificate = certificate
        bytes = .allocate(capacity: file.bytes.count)
        _ = file.bytes.withBytes { bytes.initialize(from: $0) }
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
