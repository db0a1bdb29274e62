/// What backends are told of the certificate that a client has shown, and of the connection it came over: compiled from a
/// `headers` section.
struct CertificateFields: BitwiseCopyable, @unchecked Sendable {
    /// A field with one extension.
    struct Extension: BitwiseCopyable {
        /// With its colon and space.
        let name: LastingBytes
        /// Place among the extensions that `ClientCertificate` holds.
        let index: Int32
    }

    private var texts: ClientCertificateTexts = []
    private var cipher = false
    private var extensions = UnsafeBufferPointer<Extension>(start: nil, count: 0)

    static let none = CertificateFields()

    private init() {}

    /// - Parameter written: names that the operator's own edits set; what they say counts.
    init(_ settings: ForwardingSettings.Certificate, written: FieldNameSet, wants: CertificateWants, in arena: PlanArena) {
        func tell(_ text: ClientCertificateTexts, _ isAsked: Bool, _ name: String) {
            if isAsked && !written.contains(name) { texts.insert(text) }
        }
        tell(.subject, settings.subject, "X-SSL-Subject")
        tell(.issuer, settings.issuer, "X-SSL-Issuer")
        tell(.notBefore, settings.notBefore, "X-SSL-Notbefore")
        tell(.notAfter, settings.notAfter, "X-SSL-Notafter")
        tell(.serial, settings.serial, "X-SSL-Serial")
        tell(.sha1, settings.sha1, "X-SSL-Sha1")
        tell(.escaped, settings.pem, "X-SSL-Certificate")
        tell(.structured, settings.clientCert, "Client-Cert")
        cipher = settings.cipher && !written.contains("X-SSL-Cipher")
        extensions = arena.array(
            settings.extensions.compactMap { asked in
                guard !written.contains(asked.name), let index = wants.extensions.firstIndex(of: asked.oid) else { return nil }
                return Extension(name: arena.bytes("\(asked.name): "), index: Int32(index))
            })
    }

    /// Anything is told at all.
    var saysAnything: Bool { !texts.isEmpty || cipher || extensions.count > 0 }

    /// Most bytes of names and line ends.
    var overheadBytes: Int {
        var count = 256
        for field in extensions { count &+= field.name.count &+ 2 }
        return count
    }

    /// Bytes that the values take.
    func valueBytes(_ certificate: ClientCertificate?, cipher name: ByteSlice) -> Int {
        var count = name.count
        guard let certificate else { return count }
        count &+= certificate.subject.count &+ certificate.issuer.count &+ certificate.notBefore.count &+ certificate.notAfter.count
        count &+= certificate.serial.count &+ certificate.sha1.count &+ certificate.escaped.count &+ certificate.structured.count
        for field in extensions { count &+= certificate.extensionText(Int(field.index)).count }
        return count
    }

    /// Writes the fields; a text that the certificate does not have is no field.
    ///
    /// - Parameter name: of the connection's cipher.
    func append(_ certificate: ClientCertificate?, cipher name: ByteSlice, to writer: inout HeadWriter) {
        if cipher { append("X-SSL-Cipher: ", name, to: &writer) }
        guard let certificate else { return }
        if texts.contains(.subject) { append("X-SSL-Subject: ", certificate.subject, to: &writer) }
        if texts.contains(.issuer) { append("X-SSL-Issuer: ", certificate.issuer, to: &writer) }
        if texts.contains(.notBefore) { append("X-SSL-Notbefore: ", certificate.notBefore, to: &writer) }
        if texts.contains(.notAfter) { append("X-SSL-Notafter: ", certificate.notAfter, to: &writer) }
        if texts.contains(.serial) { append("X-SSL-Serial: ", certificate.serial, to: &writer) }
        if texts.contains(.sha1) { append("X-SSL-Sha1: ", certificate.sha1, to: &writer) }
        if texts.contains(.escaped) { append("X-SSL-Certificate: ", certificate.escaped, to: &writer) }
        if texts.contains(.structured) { append("Client-Cert: ", certificate.structured, to: &writer) }
        for field in extensions {
            guard let value = certificate.extensionText(Int(field.index)).buffer else { continue }
            writer.append(field.name.bytes.span)
            writer.append(value.span)
            writer.append("\r\n")
        }
    }

    private func append(_ name: StaticString, _ value: ByteSlice, to writer: inout HeadWriter) {
        guard let value = value.buffer, value.count > 0 else { return }
        writer.append(name)
        writer.append(value.span)
        writer.append("\r\n")
    }
}
