import COpenSSL
import Glibc

/// Which texts of a client's certificate are wanted; each costs memory for the life of the connection.
struct ClientCertificateTexts: OptionSet, Sendable {
    let rawValue: UInt16
    static let subject = ClientCertificateTexts(rawValue: 1)
    static let issuer = ClientCertificateTexts(rawValue: 2)
    static let notBefore = ClientCertificateTexts(rawValue: 4)
    static let notAfter = ClientCertificateTexts(rawValue: 8)
    static let serial = ClientCertificateTexts(rawValue: 16)
    static let sha1 = ClientCertificateTexts(rawValue: 32)
    static let folded = ClientCertificateTexts(rawValue: 64)
    static let escaped = ClientCertificateTexts(rawValue: 128)
    static let structured = ClientCertificateTexts(rawValue: 256)

    static let all = ClientCertificateTexts(rawValue: 511)
    /// How many there are.
    fileprivate static let count = 9
}

/// Texts about the certificate of a client, for fields towards backends and for logs.
///
/// Written once after the handshake into one piece of memory, which its holder frees with the connection. All texts are
/// printable, but for `folded`; a text that was not asked for, or that the certificate does not have, is absent.
struct ClientCertificate: BitwiseCopyable {
    private struct Place: BitwiseCopyable {
        /// 0 = absent; counted from the start of the memory.
        var start: UInt32 = 0
        var count: UInt32 = 0
    }

    private let memory: UnsafeMutableRawPointer
    private let placeCount: Int

    /// `/C=US/O=Example/CN=client`.
    var subject: ByteSlice { self[0] }
    var issuer: ByteSlice { self[1] }
    /// `Feb  4 16:52:42 2012 GMT`.
    var notBefore: ByteSlice { self[2] }
    var notAfter: ByteSlice { self[3] }
    /// Upper-case hexadecimal digits, an even number of them: `01`.
    var serial: ByteSlice { self[4] }
    /// Pairs of upper-case hexadecimal digits between colons.
    var sha1: ByteSlice { self[5] }
    /// PEM whose lines are ended by CR, LF and a tab: the obsolete folding of fields (RFC 9112 5.2), as RProxy sent it.
    var folded: ByteSlice { self[6] }
    /// PEM with everything escaped by `%` that a target may not have.
    var escaped: ByteSlice { self[7] }
    /// A byte sequence in a structured field: DER as base64 between colons (RFC 9440 2.1).
    var structured: ByteSlice { self[8] }
    /// The content of an extension, by its place in `TLSMaterial.certificateExtensions`: only text that is printable UTF-8.
    func extensionText(_ index: Int) -> ByteSlice {
        index >= 0 && index < placeCount - ClientCertificateTexts.count ? self[ClientCertificateTexts.count + index] : .none
    }

    @inline(never)
    func free() { Glibc.free(memory) }

    private subscript(index: Int) -> ByteSlice {
        let place = memory.assumingMemoryBound(to: Place.self)[index]
        return place.start == 0 ? .none : ByteSlice(start: memory + Int(place.start), count: Int(place.count))
    }

    /// nil = out of memory.
    ///
    /// - Parameter extensions: object identifiers.
    init?(_ certificate: OpaquePointer, texts: ClientCertificateTexts, extensions: UnsafeMutableBufferPointer<OpaquePointer>) {
        var writer = CertificateWriter(certificate)
        defer { ERR_clear_error() }
        var pieces: [[UInt8]?] = [
            texts.contains(.subject) ? writer.name(X509_get_subject_name(certificate)) : nil,
            texts.contains(.issuer) ? writer.name(X509_get_issuer_name(certificate)) : nil,
            texts.contains(.notBefore) ? writer.time(X509_get0_notBefore(certificate)) : nil,
            texts.contains(.notAfter) ? writer.time(X509_get0_notAfter(certificate)) : nil,
            texts.contains(.serial) ? writer.serial() : nil,
            texts.contains(.sha1) ? writer.sha1() : nil,
            texts.contains(.folded) ? writer.folded() : nil,
            texts.contains(.escaped) ? writer.escaped() : nil,
            texts.contains(.structured) ? writer.structured() : nil,
        ]
        for object in extensions { pieces.append(writer.extensionText(object)) }
        placeCount = pieces.count
        let tableBytes = pieces.count * MemoryLayout<Place>.stride
        guard let memory = malloc(tableBytes + pieces.reduce(0) { $0 + ($1?.count ?? 0) }) else { return nil }
        let places = memory.bindMemory(to: Place.self, capacity: pieces.count)
        var at = tableBytes
        for (index, piece) in pieces.enumerated() {
            places[index] = Place()
            guard let piece else { continue }
            places[index] = Place(start: UInt32(at), count: UInt32(piece.count))
            piece.withUnsafeBytes { if let start = $0.baseAddress { memcpy(memory + at, start, $0.count) } }
            at += piece.count
        }
        self.memory = memory
    }
}
