/// Words of the `headers` section: what is told to a backend about the client.

/// A `headers` section while it is read.
struct HeadersDraft {
    /// RProxy's switch, on as soon as the section is there.
    var rproxyForwardedFor = true
    /// The finer word, which wins.
    var forwardedFor: ForwardingSettings.ForwardedFor?
    /// Everything else; its `forwardedFor` is decided by the two above.
    var written = ForwardingSettings()

    var settings: ForwardingSettings {
        var settings = written
        settings.forwardedFor = forwardedFor ?? (rproxyForwardedFor ? .rproxy : .off)
        return settings
    }

    /// As RProxy begins a section.
    init() { written.certificate.pem = true }

    init(_ settings: ForwardingSettings) {
        forwardedFor = settings.forwardedFor
        written = settings
    }
}

extension ForwardingSettings.ForwardedFor {
    static let words: [(String, ForwardingSettings.ForwardedFor)] = [
        ("off", .off), ("rproxy", .rproxy), ("append", .append), ("replace", .replace),
    ]
}

extension ForwardingSettings.Forwarded {
    static let words: [(String, ForwardingSettings.Forwarded)] = [("off", .off), ("append", .append), ("replace", .replace)]
}

/// - Parameter sha1Origin: RProxy 2 has x-ssl-sha1, but no `headers` in a server.
func headersRows(sha1Origin: WordOrigin = .rproxy2) -> SectionRows<HeadersDraft> {
    func flag(
        _ word: String, _ origin: WordOrigin, _ path: WritableKeyPath<ForwardingSettings.Certificate, Bool>, _ sentence: String
    ) -> Setting<HeadersDraft> {
        let certificate: WritableKeyPath<HeadersDraft, ForwardingSettings.Certificate> = \.written.certificate
        return .flag(word, origin, certificate.appending(path: path), sentence)
    }
    return SectionRows(
        blank: HeadersDraft(),
        settings: [
            .custom(
                "x-forwarded-for", .rproxy, .flag, "Sets X-Forwarded-For to ip:port of the client, in place of what the client sent.",
                assign: { $0.rproxyForwardedFor = $1.flag }, show: { _ in nil }
            ).with {
                $0.defaultText = "true"
                $0.covers = ["forwarded-for"]
            },
            .custom(
                "forwarded-for", .weir, .choice(ForwardingSettings.ForwardedFor.words.map(\.0)),
                "X-Forwarded-For: off, rproxy (ip:port), append (the address, after what a trusted peer sent), replace (the address alone).",
                assign: { draft, value in draft.forwardedFor = ForwardingSettings.ForwardedFor.words.first { $0.0 == value.text }?.1 },
                show: { draft in ForwardingSettings.ForwardedFor.words.first { $0.1 == draft.settings.forwardedFor }?.0 }),
            .flag("x-forwarded-proto", .weir, \.written.proto, "Sets X-Forwarded-Proto to http or https, unless a trusted peer said it."),
            .flag("x-forwarded-host", .weir, \.written.host, "Sets X-Forwarded-Host to the Host the client sent, unless a trusted peer said it."),
            .flag("x-forwarded-port", .weir, \.written.port, "Sets X-Forwarded-Port to the port the client connected to, unless a trusted peer said it."),
            .custom(
                "forwarded", .weir, .choice(ForwardingSettings.Forwarded.words.map(\.0)),
                "Forwarded (RFC 7239) with for, host and proto: off, append (after what a trusted peer sent), replace.",
                assign: { draft, value in draft.written.forwarded = ForwardingSettings.Forwarded.words.first { $0.0 == value.text }?.1 ?? .off },
                show: { draft in ForwardingSettings.Forwarded.words.first { $0.1 == draft.written.forwarded }?.0 }),
            .flag("request-id", .weir, \.written.requestID, "Gives every request an identifier, or passes that of a trusted peer; {REQUEST_ID} in the logs."),
            .checked(
                "request-id-header", .weir, .text, "Name of the field with the identifier.",
                assign: { draft, value in
                    if let complaint = fieldNameComplaint(value.text) { return .error(complaint) }
                    draft.written.requestIDName = value.text
                    return .fine
                }, show: { quotedText($0.written.requestIDName) }),
            .flag("request-id-echo", .weir, \.written.requestIDEcho, "Clients get the identifier too, in the answer."),
            flag("x-ssl-subject", .rproxy, \.subject, "X-SSL-Subject: whom the client certificate names, as /C=…/CN=…."),
            flag("x-ssl-issuer", .rproxy, \.issuer, "X-SSL-Issuer: who signed it, in the same form."),
            flag("x-ssl-notbefore", .rproxy, \.notBefore, "X-SSL-Notbefore: when it begins to hold, as Feb  4 16:52:42 2012 GMT."),
            flag("x-ssl-notafter", .rproxy, \.notAfter, "X-SSL-Notafter: when it ends."),
            flag("x-ssl-serial", .rproxy, \.serial, "X-SSL-Serial: its serial number, hexadecimal."),
            flag("x-ssl-sha1", sha1Origin, \.sha1, "X-SSL-Sha1: its fingerprint, hexadecimal with colons."),
            flag("x-ssl-cipher", .rproxy, \.cipher, "X-SSL-Cipher: the cipher of the client's connection, also without a certificate."),
            flag("x-ssl-certificate", .rproxy, \.pem, "X-SSL-Certificate: the certificate itself, PEM, percent-encoded."),
            flag("client-cert", .weir, \.clientCert, "Client-Cert: the certificate itself as RFC 9440 has it."),
        ],
        sections: [
            .section(
                "x509-extension", .rproxy, extensionRows(), repeatable: true, "A field with the content of one extension of the client certificate.",
                blank: { _, _ in ForwardingSettings.Certificate.Extension(name: "", oid: "") },
                store: { draft, child, _ in draft.written.certificate.extensions.append(child) },
                all: { draft in draft.written.certificate.extensions.map { (nil, $0) } })
        ],
        finish: { draft, section in
            for word in ["request-id-header", "request-id-echo"] where section.has(word) && !draft.written.requestID {
                section.warning(word, "'\(word)' has no effect: 'request-id' is false")
            }
            checkExtensions(draft.written.certificate.extensions, section)
        })
}

/// Most extensions of one section: each is looked for in every certificate.
private let extensionsMax = 16

private func extensionRows() -> SectionRows<ForwardingSettings.Certificate.Extension> {
    SectionRows(
        blank: ForwardingSettings.Certificate.Extension(name: "", oid: ""),
        settings: [
            .checked(
                "name", .rproxy, .text, "Name of the field.",
                assign: { owner, value in
                    if let complaint = fieldNameComplaint(value.text) { return .error(complaint) }
                    owner.name = value.text
                    return .fine
                }, show: { $0.name.isEmpty ? nil : quotedText($0.name) }),
            .checked(
                "oid", .rproxy, .text, "Object identifier of the extension, in numbers: 1.3.6.1.4.1.99999.1.",
                assign: { owner, value in
                    guard isObjectIdentifier(value.text) else { return .error("takes numbers with dots between, as 1.3.6.1.4.1.99999.1, not '\(value.text)'") }
                    owner.oid = value.text
                    return .fine
                }, show: { $0.oid.isEmpty ? nil : quotedText($0.oid) }),
        ],
        finish: { owner, section in
            for (word, value) in [("name", owner.name), ("oid", owner.oid)] where value.isEmpty && !section.has(word) {
                section.error(word, "'x509-extension' needs '\(word)'")
            }
        })
}

private func checkExtensions(_ extensions: [ForwardingSettings.Certificate.Extension], _ section: ReadSection) {
    if extensions.count > extensionsMax {
        section.error("x509-extension", "\(extensions.count) 'x509-extension' in one section; \(extensionsMax) are the most")
    }
    var names: Set<String> = []
    for one in extensions where !one.name.isEmpty && !names.insert(one.name.lowercased().replacing("_", with: "-")).inserted {
        section.error("x509-extension", "two 'x509-extension' give the field '\(one.name)'")
    }
}

/// At least two numbers; the first of 0 … 2, and the second below 40 behind 0 and 1 (X.660).
private func isObjectIdentifier(_ text: String) -> Bool {
    let parts = text.split(separator: ".", omittingEmptySubsequences: false)
    guard (2...64).contains(parts.count), text.utf8.count <= 256 else { return false }
    let numbers = parts.map { part -> UInt32? in
        guard part == "0" || part.first != "0", part.utf8.allSatisfy({ (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }) else { return nil }
        return UInt32(part)
    }
    guard numbers.allSatisfy({ $0 != nil }), let first = numbers[0], let second = numbers[1] else { return false }
    return first < 2 ? second < 40 : first == 2
}

/// Every field name of an `x509-extension`, once.
func extensionFieldNames(_ servers: [ServerSettings]) -> [String] {
    var names: [String] = []
    func add(_ settings: ForwardingSettings?) {
        for one in settings?.certificate.extensions ?? [] where !names.contains(one.name) { names.append(one.name) }
    }
    for server in servers {
        add(server.forwarded)
        for host in server.virtualHosts {
            add(host.scope.forwarded)
            for rule in host.rules { add(rule.scope.forwarded) }
        }
    }
    return names
}
