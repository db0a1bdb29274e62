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

    init() {}

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

private let certificateFields = "passing on client certificates"

/// - Parameter sha1Origin: RProxy 2 has x-ssl-sha1, but no `headers` in a server.
func headersRows(sha1Origin: WordOrigin = .rproxy2) -> SectionRows<HeadersDraft> {
    func certificate(_ word: String, _ origin: WordOrigin, default defaultText: String = "false", _ sentence: String) -> Setting<HeadersDraft> {
        .coming(word, origin, .flag, certificateFields, default: defaultText, sentence)
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
            certificate("x-ssl-subject", .rproxy, "X-SSL-Subject: whom the client certificate names."),
            certificate("x-ssl-issuer", .rproxy, "X-SSL-Issuer: who signed it."),
            certificate("x-ssl-notbefore", .rproxy, "X-SSL-Notbefore: when it begins to hold."),
            certificate("x-ssl-notafter", .rproxy, "X-SSL-Notafter: when it ends."),
            certificate("x-ssl-serial", .rproxy, "X-SSL-Serial: its serial number."),
            certificate("x-ssl-sha1", sha1Origin, "X-SSL-Sha1: its fingerprint."),
            certificate("x-ssl-cipher", .rproxy, "X-SSL-Cipher: the cipher of the connection."),
            certificate("x-ssl-certificate", .rproxy, default: "true", "X-SSL-Certificate: the certificate itself."),
        ],
        sections: [
            .section(
                "x509-extension", .rproxy, extensionRows(), repeatable: true, status: .coming(certificateFields),
                "A field with the content of one extension of the client certificate.",
                blank: { _, _ in Unbuilt() }, store: { _, _, _ in }, all: { _ in [] })
        ],
        finish: { draft, section in
            for word in ["request-id-header", "request-id-echo"] where section.has(word) && !draft.written.requestID {
                section.warning(word, "'\(word)' has no effect: 'request-id' is false")
            }
        })
}

private func extensionRows() -> SectionRows<Unbuilt> {
    SectionRows(
        blank: Unbuilt(),
        settings: [
            .coming("name", .rproxy, .text, certificateFields, default: "not set", "Name of the field."),
            .coming("oid", .rproxy, .text, certificateFields, default: "not set", "Object identifier of the extension."),
        ])
}

/// Owner of sections whose feature is still to come: there is nothing to keep.
struct Unbuilt { var scope = ScopeSettings() }
