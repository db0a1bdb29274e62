/// Words whose features are still to come: known, checked, and refused with a sentence that says so.
///
/// A row leaves this file when its feature is built; the list of them all is pinned by a test and shrinks to nothing.

private let tls = "TLS"

private func rows(_ settings: [Setting<Unbuilt>], sections: [NestedRows<Unbuilt>] = []) -> SectionRows<Unbuilt> {
    SectionRows(blank: Unbuilt(), settings: settings, sections: sections)
}

private func nested<Owner>(
    _ word: String, _ origin: WordOrigin, _ inner: SectionRows<Unbuilt>, title: TitleRule = .none, repeatable: Bool = false,
    feature: String, _ sentence: String, asksNothing: @escaping (ConfigSection) -> Bool = { _ in false }
) -> NestedRows<Owner> {
    .section(
        word, origin, inner, title: title, repeatable: repeatable, status: .coming(feature), sentence,
        blank: { _, _ in Unbuilt() }, asksNothing: asksNothing, store: { _, _, _ in }, all: { _ in [] })
}

/// The section `ssl` of a server or a virtual host; harmless while it is not enabled.
func tlsSection<Owner>() -> NestedRows<Owner> {
    func row(_ word: String, _ kind: ValueKind, default defaultText: String, _ sentence: String) -> Setting<Unbuilt> {
        .coming(word, .rproxy, kind, tls, default: defaultText, sentence)
    }
    let number = ValueKind.count(0...Int(Int32.max))
    return nested(
        "ssl", .rproxy,
        rows(
            [
                row("enabled", .flag, default: "false", "Whether the section counts at all."),
                row("protocols-on", .list, default: "ALL", "Protocol versions to speak."),
                row("protocols-off", .list, default: "not set", "Protocol versions not to speak."),
                row("cert", .path, default: "not set", "Certificate and its chain, PEM."),
                row("key", .path, default: "the file of cert", "Private key, PEM."),
                row("ca", .path, default: "not set", "Whom to trust for client certificates, PEM."),
                row("capath", .path, default: "not set", "The same as a directory of hashed names."),
                row("ciphers", .text, default: "intermediate", "Ciphers of TLS 1.2, as OpenSSL lists them."),
                row("verify-peer", .flag, default: "false", "Asks for a client certificate and verifies it."),
                row("enforce-peer-cert", .flag, default: "false", "Refuses clients without a certificate."),
                row("verify-depth", number, default: "9", "Longest chain of a client certificate."),
                row("context-timeout", number, default: "172800", "Life of a session, in seconds."),
                row("cache-enabled", .flag, default: "true", "Keeps sessions for resumption."),
                row("cache-timeout", number, default: "1024", "How long a kept session stays, in seconds."),
                row("cache-size", number, default: "65535", "How many sessions are kept."),
            ],
            sections: [
                nested(
                    "crl", .rproxy2,
                    rows([
                        .coming("file", .rproxy2, .path, tls, default: "not set", "File of revoked certificates."),
                        .coming("dir", .rproxy2, .path, tls, default: "not set", "Directory of such files under hashed names."),
                        .coming("reload", .rproxy2, .duration(anyDuration), tls, default: "10s", "How often they are looked at for changes."),
                    ]), feature: tls, "Revoked client certificates.")
            ]), feature: tls, "Speaks TLS to clients.", asksNothing: { !$0.isEnabled })
}

extension ConfigSection {
    /// The last `enabled` in the section is true.
    fileprivate var isEnabled: Bool {
        var enabled = false
        for case .assignment(let assignment) in items where assignment.name.text.lowercased() == "enabled" {
            if case .success(.flag(let flag)) = ValueKind.flag.value(of: assignment.values, braced: assignment.braced) { enabled = flag }
        }
        return enabled
    }
}
