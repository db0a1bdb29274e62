import COpenSSL
import Glibc

/// Writes parts of a certificate as text. Allocates: once in a handshake.
struct CertificateWriter {
    /// Longer texts are left out; no head could hold them.
    static let textBytesMax = 32_768

    private let certificate: OpaquePointer
    private var encoded: [UInt8]?

    init(_ certificate: OpaquePointer) { self.certificate = certificate }

    func name(_ name: OpaquePointer?) -> [UInt8]? {
        // Writes bytes that are not printable as \xHH.
        guard let text = X509_NAME_oneline(name, nil, 0) else { return nil }
        defer { copenssl_free(text) }
        return bounded([UInt8](UnsafeRawBufferPointer(start: text, count: strlen(text))))
    }

    func time(_ time: UnsafePointer<ASN1_TIME>?) -> [UInt8]? {
        guard let bio = BIO_new(BIO_s_mem()) else { return nil }
        defer { BIO_free(bio) }
        guard ASN1_TIME_print(bio, time) == 1 else { return nil }
        var start: UnsafeMutablePointer<CChar>?
        let count = copenssl_bio_memory(bio, &start)
        guard let start, count > 0 else { return nil }
        return [UInt8](UnsafeRawBufferPointer(start: start, count: count))
    }

    func serial() -> [UInt8]? {
        guard let number = ASN1_INTEGER_to_BN(X509_get0_serialNumber(certificate), nil) else { return nil }
        defer { BN_free(number) }
        guard let text = BN_bn2hex(number) else { return nil }
        defer { copenssl_free(text) }
        return bounded([UInt8](UnsafeRawBufferPointer(start: text, count: strlen(text))))
    }

    func sha1() -> [UInt8]? {
        var digest = [UInt8](repeating: 0, count: 20)
        guard X509_digest(certificate, EVP_sha1(), &digest, nil) == 1 else { return nil }
        var text: [UInt8] = []
        for (index, byte) in digest.enumerated() {
            if index > 0 { text.append(UInt8(ascii: ":")) }
            text += [hexDigit(byte >> 4), hexDigit(byte & 15)]
        }
        return text
    }

    mutating func folded() -> [UInt8]? { bounded(pem(lineEnd: [0x0D, 0x0A, 0x09])) }

    mutating func escaped() -> [UInt8]? {
        guard let pem = pem(lineEnd: [0x0A]) else { return nil }
        var text: [UInt8] = []
        for byte in pem + [0x0A] {
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "0")...UInt8(ascii: "9"),
                UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"), UInt8(ascii: "~"):
                text.append(byte)
            default: text += [UInt8(ascii: "%"), hexDigit(byte >> 4), hexDigit(byte & 15)]
            }
        }
        return bounded(text)
    }

    mutating func structured() -> [UInt8]? {
        guard let base64 = base64() else { return nil }
        return bounded([UInt8(ascii: ":")] + base64 + [UInt8(ascii: ":")])
    }

    /// The text of an extension; nil where there is none, or where it is more than printable text.
    func extensionText(_ object: OpaquePointer) -> [UInt8]? {
        let index = X509_get_ext_by_OBJ(certificate, object, -1)
        guard index >= 0, let found = X509_get_ext(certificate, index), let content = X509_EXTENSION_get_data(found) else { return nil }
        var at: UnsafePointer<UInt8>? = ASN1_STRING_get0_data(content)
        guard let value = d2i_ASN1_TYPE(nil, &at, Int(ASN1_STRING_length(content))) else { return nil }
        defer { ASN1_TYPE_free(value) }
        switch value.pointee.type {
        case V_ASN1_UTF8STRING, V_ASN1_PRINTABLESTRING, V_ASN1_IA5STRING, V_ASN1_T61STRING, V_ASN1_VISIBLESTRING, V_ASN1_BMPSTRING,
            V_ASN1_UNIVERSALSTRING, V_ASN1_NUMERICSTRING:
            break
        default: return nil
        }
        var text: UnsafeMutablePointer<UInt8>?
        let count = ASN1_STRING_to_UTF8(&text, value.pointee.value.asn1_string)
        guard count >= 0, let text else { return nil }
        defer { copenssl_free(text) }
        let bytes = [UInt8](UnsafeRawBufferPointer(start: text, count: Int(count)))
        // What could end a field, or hide in it.
        return bytes.contains { $0 < 0x20 || $0 == 0x7F } ? nil : bounded(bytes)
    }

    private func bounded(_ text: [UInt8]?) -> [UInt8]? {
        guard let text, text.count <= Self.textBytesMax else { return nil }
        return text
    }

    private mutating func base64() -> [UInt8]? {
        if let encoded { return encoded }
        var start: UnsafeMutablePointer<UInt8>?
        let count = i2d_X509(certificate, &start)
        guard count > 0, let start else { return nil }
        defer { copenssl_free(start) }
        var text = [UInt8](repeating: 0, count: (Int(count) + 2) / 3 * 4 + 1)
        let length = EVP_EncodeBlock(&text, start, count)
        guard length > 0 else { return nil }
        encoded = [UInt8](text[..<Int(length)])
        return encoded
    }

    /// Lines of 64 letters between the two marks; no end behind the last.
    private mutating func pem(lineEnd: [UInt8]) -> [UInt8]? {
        guard let base64 = base64() else { return nil }
        var text = [UInt8]("-----BEGIN CERTIFICATE-----".utf8)
        var at = 0
        while at < base64.count {
            text += lineEnd + base64[at..<min(at + 64, base64.count)]
            at += 64
        }
        return text + lineEnd + [UInt8]("-----END CERTIFICATE-----".utf8)
    }
}

private func hexDigit(_ value: UInt8) -> UInt8 { value < 10 ? UInt8(ascii: "0") + value : UInt8(ascii: "A") + value - 10 }
