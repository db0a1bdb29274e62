/// What is told of clients' certificates anywhere in a configuration: a connection may come to any rule of its server.
struct CertificateWants {
    /// The subject and the serial number are for logs.
    var texts: ClientCertificateTexts = [.subject, .serial]
    /// Object identifiers of extensions, each once.
    var extensions: [String] = []
    /// Fields that extensions are told in: nobody else may say them.
    var fieldNames: [String] = []

    init() {}

    init(_ settings: GlobalSettings) {
        fieldNames = settings.extensionFieldNames
        for server in settings.servers {
            add(server.forwarded)
            for host in server.virtualHosts {
                if let forwarded = host.scope.forwarded { add(forwarded) }
                for rule in host.rules {
                    if let forwarded = rule.scope.forwarded { add(forwarded) }
                }
            }
        }
    }

    private mutating func add(_ forwarded: ForwardingSettings) {
        let certificate = forwarded.certificate
        if certificate.subject { texts.insert(.subject) }
        if certificate.issuer { texts.insert(.issuer) }
        if certificate.notBefore { texts.insert(.notBefore) }
        if certificate.notAfter { texts.insert(.notAfter) }
        if certificate.serial { texts.insert(.serial) }
        if certificate.sha1 { texts.insert(.sha1) }
        if certificate.pem { texts.insert(.escaped) }
        if certificate.clientCert { texts.insert(.structured) }
        for oid in certificate.extensions.map(\.oid) where !extensions.contains(oid) { extensions.append(oid) }
    }
}
