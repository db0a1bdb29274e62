/// Words of the `ssl` section of servers and virtual hosts.

/// The one switch for TLS: while it is off, whoever enables it is told that it is still to come.
let servesTLS = true

/// An `ssl` section while it is read.
struct TLSDraft {
    var settings = TLSSettings()
    var isEnabled = false
    /// Paths as they are in force: whole, or from where the command was given.
    var certificates: [ConfigWord] = []
    var keys: [ConfigWord] = []
    var staples: [ConfigWord] = []
    var authorities: [ConfigWord] = []
    var authorityFolders: [ConfigWord] = []
    var ticketKeys: [ConfigWord] = []
    var protocolsOn: [ConfigWord] = []
    var protocolsOff: [ConfigWord] = []
    var ciphers: String?
    var cipherSuites: String?
    var curves: String?
    var revocations: RevocationDraft?
    /// The server's, where the section is a virtual host's.
    var inherited: TLSSettings?
    var isOfSite = false
}

/// A `crl` section while it is read.
struct RevocationDraft {
    var files: [ConfigWord] = []
    var folders: [ConfigWord] = []
    var settings = TLSSettings.Revocations()
    var reloadMilliseconds = TLSSettings().reloadMilliseconds
}

private typealias Row = Setting<TLSDraft>

/// `ssl` of a server.
func tlsSection() -> NestedRows<ServerDraft> {
    .section(
        "ssl", .rproxy, tlsRows(), "Speaks TLS to clients.",
        blank: { _, section in TLSDraft(section) }, store: { server, draft, _ in server.tls = draft },
        all: { server in server.tls.map { [(nil, $0)] } ?? [] })
}

/// `ssl` of a virtual host, for connections that name it; what it leaves out is the server's.
func siteTLSSection() -> NestedRows<VirtualHostDraft> {
    .section(
        "ssl", .rproxy, tlsRows(), "TLS for clients that name this host (SNI). What is left out is as in the section of the server.",
        blank: { host, section in TLSDraft(section, inheriting: host.serverTLS) }, store: { host, draft, _ in host.tls = draft },
        all: { host in host.tls.map { [(nil, $0)] } ?? [] })
}

extension TLSDraft {
    fileprivate init(_ section: ConfigSection) { settings.location = section.name.location }

    fileprivate init(_ section: ConfigSection, inheriting server: TLSDraft?) {
        if let server, server.isEnabled {
            self = server
            inherited = server.settings
        }
        isEnabled = false
        isOfSite = true
        settings.location = section.name.location
    }

    /// What comes of the section; nil while it is not enabled.
    var outcome: TLSSettings? { isEnabled ? settings : nil }
}

private func tlsRows() -> SectionRows<TLSDraft> {
    SectionRows(
        blank: TLSDraft(),
        settings: (identityRows() + protocolRows() + peerRows() + resumptionRows() + connectionRows()).map { row in
            tlsWordsOfServers.contains(row.word) ? row.shownOfServers : row
        },
        sections: [
            .section(
                "crl", .rproxy2, revocationRows(), "Lists of revoked client certificates.",
                blank: { _, _ in RevocationDraft() }, store: { draft, revocations, _ in draft.revocations = revocations },
                all: { draft in draft.revocations.map { [(nil, $0)] } ?? [] })
        ],
        finish: finishTLS)
}

extension Setting<TLSDraft> {
    /// The row where a virtual host has nothing to show, because the server's value counts.
    fileprivate var shownOfServers: Self {
        with { row in
            let show = row.show
            row.show = { $0.isOfSite ? nil : show($0) }
        }
    }
}

/// A list of paths; RProxy takes one.
func pathsRow<Owner>(_ word: String, _ origin: WordOrigin, _ path: WritableKeyPath<Owner, [ConfigWord]>, _ sentence: String) -> Setting<Owner> {
    wordsRow(word, origin, path, sentence) { $0.text.isEmpty ? "names an empty path" : nil }
}

private func wordsRow<Owner>(
    _ word: String, _ origin: WordOrigin, _ path: WritableKeyPath<Owner, [ConfigWord]>, _ sentence: String,
    check: @escaping (ConfigWord) -> String? = { _ in nil }
) -> Setting<Owner> {
    .checked(
        word, origin, .list, sentence,
        assign: { owner, value in
            guard case .list(let words) = value else { return .error("is a list") }
            for word in words {
                if let complaint = check(word) { return .errorAt(word.location, complaint) }
            }
            owner[keyPath: path] = words
            return .fine
        },
        show: { owner in
            let literals = owner[keyPath: path].map { quotedText($0.text) }
            return literals.isEmpty ? nil : literals.count == 1 ? literals[0] : "{ \(literals.joined(separator: ", ")) }"
        })
}

private func identityRows() -> [Row] {
    [
        .flag("enabled", .rproxy, \.isEnabled, "Whether the section counts at all."),
        pathsRow("cert", .rproxy, \.certificates, "Certificate and its chain, PEM; several, such as RSA and ECDSA, in braces."),
        pathsRow("key", .rproxy, \.keys, "Private key, PEM; as many as certificates.").with { $0.defaultText = "the file of cert" },
        wordsRow("staple", .weir, \.staples, "OCSP response that goes with the certificate, DER; as many as certificates, \"\" for none."),
    ]
}

private func protocolRows() -> [Row] {
    [
        .custom(
            "policy", .weir, .choice(TLSSettings.Policy.allCases.map(\.rawValue)),
            "What is spoken unless said more exactly: TLS 1.2 and 1.3 with forward-secret AEAD ciphers, or TLS 1.3 alone.",
            assign: { $0.settings.policy = TLSSettings.Policy(rawValue: $1.text) ?? .intermediate }, show: { $0.settings.policy.rawValue }),
        wordsRow("protocols-on", .rproxy, \.protocolsOn, "Protocol versions to speak: TLSv1.2, TLSv1.3, ALL. Older words mean ALL, with a warning.")
            .with { $0.defaultText = "as policy" },
        wordsRow("protocols-off", .rproxy, \.protocolsOff, "Protocol versions not to speak."),
        .text("ciphers", .rproxy, \.ciphers, "Ciphers of TLS 1.2, as OpenSSL lists them; unsafe and unknown ones are left out, with a warning.")
            .with { $0.defaultText = "as policy" },
        .text("cipher-suites", .weir, \.cipherSuites, "Cipher suites of TLS 1.3, with colons between.").with { $0.defaultText = "as policy" },
        .text("curves", .weir, \.curves, "Groups for the key exchange, with colons between, preferred first.").with { $0.defaultText = "X25519:prime256v1:secp384r1" },
        .custom(
            "named-curve", .weir, .text, "The same for one alone.", assign: { $0.curves = $1.text }, show: { _ in nil }
        ).with {
            $0.defaultText = "as curves"
            $0.covers = ["curves"]
        },
        .flag("prefer-server-ciphers", .weir, \.settings.prefersServerCiphers, "The order of this side counts; a client without AES in hardware still gets ChaCha20."),
    ]
}

private func peerRows() -> [Row] {
    [
        .flag("verify-peer", .rproxy, \.settings.verifiesPeer, "Asks for a client certificate and verifies it; who has none comes in."),
        .flag("enforce-peer-cert", .rproxy, \.settings.requiresPeer, "Refuses clients without a certificate; implies verify-peer."),
        .count("verify-depth", .rproxy, \.settings.verifyDepth, 1...100, zero: .keepsDefault, "Most authorities between a client certificate and its root."),
        pathsRow("ca", .rproxy, \.authorities, "Whom to trust for client certificates, PEM, any number in one file."),
        pathsRow("capath", .rproxy, \.authorityFolders, "The same as a directory: every file in it that has a certificate."),
    ]
}

private func revocationRows() -> SectionRows<RevocationDraft> {
    SectionRows(
        blank: RevocationDraft(),
        settings: [
            pathsRow("file", .rproxy2, \.files, "File of revoked certificates, PEM or DER."),
            pathsRow("dir", .rproxy2, \.folders, "Directory of such files, whatever their names."),
            .duration("reload", .rproxy2, \.reloadMilliseconds, reloadRange, zero: .keepsDefault, "As the word of `ssl`; the shortest of all counts."),
            .custom(
                "missing", .weir, .choice(["accept", "refuse"]), "A certificate whose issuer has no list here.",
                assign: { $0.settings.acceptsMissing = $1.text == "accept" }, show: { $0.settings.acceptsMissing ? "accept" : "refuse" }),
            .custom(
                "expired", .weir, .choice(["accept", "refuse"]), "A certificate whose issuer has a list that is past its time.",
                assign: { $0.settings.acceptsExpired = $1.text == "accept" }, show: { $0.settings.acceptsExpired ? "accept" : "refuse" }),
        ])
}

private func resumptionRows() -> [Row] {
    [
        seconds("context-timeout", .rproxy, \.settings.sessionSeconds, "Life of a session, by ticket or identifier; a week at most.", secondsMax: TLSSettings.sessionSecondsMax),
        .flag("cache-enabled", .rproxy, \.settings.keepsSessions, "Keeps sessions of TLS 1.2 by identifier, for clients without tickets."),
        seconds("cache-timeout", .rproxy, \.settings.cacheSeconds, "How long a kept session stays. The server's."),
        .checked(
            "cache-size", .rproxy, .count(0...16_777_216), "How many sessions are kept. The server's.",
            assign: { draft, value in
                draft.settings.cacheEntriesMax = value.number == 0 ? 1_024 : value.number
                return value.number == 0 ? .warning("is 0, which means 1024, as in RProxy; cache-enabled turns it off") : .fine
            }, show: { "\($0.settings.cacheEntriesMax)" }),
        .flag("tickets", .weir, \.settings.tickets, "Gives clients tickets to resume their sessions with."),
        pathsRow("ticket-keys", .weir, \.ticketKeys, "Files of 80 random bytes (or 48): the first seals tickets, all open them. The same on all nodes.")
            .with { $0.defaultText = "made in memory" },
        seconds("ticket-rotation", .weir, \.settings.ticketRotationSeconds, "How long a key that was made in memory seals; it opens as long again.", secondsMin: 60),
    ]
}

private func connectionRows() -> [Row] {
    [
        .duration("handshake-timeout", .weir, \.settings.handshakeMilliseconds, 100...3_600_000, zero: .keepsDefault, "How long a handshake may take. The server's."),
        .count("handshakes-max", .weir, \.settings.handshakesMax, 1...1_000_000, "Handshakes at one time, per worker. The server's."),
        .checked(
            "record-size", .weir, .text, "Bytes in a record, 512 … 16384, or dynamic: few at first, then as many as fit. The server's.",
            assign: { draft, value in
                if value.text.lowercased() == "dynamic" {
                    draft.settings.recordBytes = 0
                    return .fine
                }
                guard let bytes = cInteger(value.text) ?? byteCount(value.text), (512...16_384).contains(bytes) else {
                    return .error("takes dynamic, or a size from 512 to 16k, not '\(value.text)'")
                }
                draft.settings.recordBytes = bytes
                return .fine
            }, show: { $0.settings.recordBytes == 0 ? "dynamic" : sizeLiteral($0.settings.recordBytes) }),
        .flag(
            "kernel-tls", .weir, \.settings.usesKernelTLS,
            "Lets the kernel (module tls) encrypt large bodies to clients, which then need not be copied. The server's."),
        .duration(
            "reload", .weir, \.settings.reloadMilliseconds, reloadRange, zero: .keepsDefault,
            "How often all these files are looked at for changes; the shortest of all counts."),
    ]
}

private let reloadRange = 100...86_400_000

/// Words that say something about a connection before it has named a host.
let tlsWordsOfServers = ["cache-timeout", "cache-size", "handshake-timeout", "handshakes-max", "record-size", "kernel-tls"]

/// A number of seconds, or a duration.
private func seconds(
    _ word: String, _ origin: WordOrigin, _ path: WritableKeyPath<TLSDraft, Int>, _ sentence: String, secondsMin: Int = 1, secondsMax: Int = 365 * 86_400
) -> Row {
    .checked(
        word, origin, .duration((secondsMin * 1_000)...(365 * 86_400_000)), zero: .keepsDefault, sentence,
        assign: { draft, value in
            let seconds = (value.number + 999) / 1_000
            draft[keyPath: path] = min(seconds, secondsMax)
            return seconds > secondsMax ? .warning("is \(durationText(seconds * 1_000)); \(durationText(secondsMax * 1_000)) is the most there is") : .fine
        }, show: { durationLiteral($0[keyPath: path] * 1_000) })
}
