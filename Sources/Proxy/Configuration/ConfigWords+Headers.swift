/// Words of the `headers` section: what is told to a backend about the client.

/// A `headers` section while it is read.
struct HeadersDraft {
    /// RProxy's switch, on as soon as the section is there.
    var rproxyForwardedFor = true
    /// The finer word, which wins.
    var forwardedFor: ForwardingSettings.ForwardedFor?
    var proto = false
    var host = false

    var settings: ForwardingSettings {
        ForwardingSettings(forwardedFor: forwardedFor ?? (rproxyForwardedFor ? .rproxy : .off), proto: proto, host: host)
    }

    init() {}

    init(_ settings: ForwardingSettings) {
        forwardedFor = settings.forwardedFor
        proto = settings.proto
        host = settings.host
    }
}

extension ForwardingSettings.ForwardedFor {
    static let words: [(String, ForwardingSettings.ForwardedFor)] = [
        ("off", .off), ("rproxy", .rproxy), ("append", .append), ("replace", .replace),
    ]
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
                "X-Forwarded-For: off, rproxy (ip:port in place of what came), append (the address after what came), replace.",
                assign: { draft, value in draft.forwardedFor = ForwardingSettings.ForwardedFor.words.first { $0.0 == value.text }?.1 },
                show: { draft in ForwardingSettings.ForwardedFor.words.first { $0.1 == draft.settings.forwardedFor }?.0 }),
            .flag("x-forwarded-proto", .weir, \.proto, "Sets X-Forwarded-Proto to http or https."),
            .flag("x-forwarded-host", .weir, \.host, "Sets X-Forwarded-Host to the Host the client sent."),
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
        ])
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
