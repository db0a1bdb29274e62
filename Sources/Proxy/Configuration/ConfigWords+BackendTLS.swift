/// Words of the `ssl` section of a backend.

/// An `ssl` section of a backend while it is read.
struct BackendTLSDraft {
    var settings = BackendTLSSettings()
    var isEnabled = false
    var authorities: [ConfigWord] = []
    var authorityFolders: [ConfigWord] = []
    var name: ConfigWord?
    var certificate: [ConfigWord] = []
    var key: [ConfigWord] = []
    var ciphers: String?
    var cipherSuites: String?
}

func backendTLSSection() -> NestedRows<BackendDraft> {
    .section(
        "ssl", .weir, backendTLSRows(), "Speaks TLS to the backend.",
        blank: { _, section in
            var draft = BackendTLSDraft()
            draft.settings.location = section.name.location
            return draft
        },
        store: { backend, draft, _ in backend.tls = draft },
        all: { backend in backend.tls.map { [(nil, $0)] } ?? [] })
}

private func backendTLSRows() -> SectionRows<BackendTLSDraft> {
    SectionRows(
        blank: BackendTLSDraft(),
        settings: [
            .flag("enabled", .weir, \.isEnabled, "Whether the section counts at all."),
            .flag("verify", .weir, \.settings.verifies, "Verifies the certificate of the backend; without it anybody on the way can read and change everything."),
            .checked(
                "name", .weir, .text, "Name that the backend is asked for (SNI), and that must stand in its certificate.",
                assign: { draft, value in
                    guard case .name(let name)? = try? parseAddress(value.text) else { return .error("takes a host name, not '\(value.text)'") }
                    draft.name = ConfigWord(text: name, location: .none)
                    return .fine
                }, show: { draft in (draft.name?.text).map(quotedText) }
            ).with { $0.defaultText = "addr if it is a name; else the certificate must be for the address itself" },
            pathsRow("ca", .weir, \.authorities, "Whom to trust, PEM, any number in one file.").with { $0.defaultText = "the system's, unless capath is written" },
            pathsRow("capath", .weir, \.authorityFolders, "The same as a directory."),
            pathsRow("cert", .weir, \.certificate, "Client certificate and its chain, PEM, for backends that ask for one."),
            pathsRow("key", .weir, \.key, "Its private key, PEM.").with { $0.defaultText = "the file of cert" },
            .text("ciphers", .weir, \.ciphers, "Ciphers of TLS 1.2, as OpenSSL lists them.").with { $0.defaultText = "as policy intermediate" },
            .text("cipher-suites", .weir, \.cipherSuites, "Cipher suites of TLS 1.3, with colons between.").with { $0.defaultText = "as policy intermediate" },
            .flag("session-reuse", .weir, \.settings.reusesSessions, "New connections resume the newest session."),
        ],
        finish: finishBackendTLS)
}

private func finishBackendTLS(_ draft: inout BackendTLSDraft, _ section: ReadSection) {
    guard draft.isEnabled else {
        if !section.has("enabled"), !section.given.isEmpty { section.warning("ssl", "'ssl' has no effect without 'enabled = true'") }
        return
    }
    if !section.reader.foreign.isTLSServed { section.reader.reportComing("ssl", "TLS", in: section.place, at: section.place.header.location) }
    if section.has("ciphers"), let written = draft.ciphers {
        draft.settings.ciphers = section.tlsNames(written, "ciphers", TLSNameList.ciphers) ?? draft.settings.ciphers
        draft.ciphers = draft.settings.ciphers
    }
    if section.has("cipher-suites"), let written = draft.cipherSuites {
        draft.settings.cipherSuites = section.tlsNames(written, "cipher-suites", TLSNameList.suites) ?? draft.settings.cipherSuites
        draft.cipherSuites = draft.settings.cipherSuites
    }
    finishTrust(&draft, section)
    finishIdentity(&draft, section)
}

private func finishTrust(_ draft: inout BackendTLSDraft, _ section: ReadSection) {
    draft.authorities = section.resolved(draft.authorities)
    draft.authorityFolders = section.resolved(draft.authorityFolders)
    guard draft.settings.verifies else {
        section.warning("verify", "'verify' is false: whoever stands between can read and change what this backend is sent")
        for word in ["ca", "capath"] where section.has(word) { section.warning(word, "'\(word)' has no effect: 'verify' is false") }
        return
    }
    if draft.authorities.isEmpty && draft.authorityFolders.isEmpty {
        let system = ConfigWord(text: TLSSettings.systemAuthorities, location: .none)
        draft.settings.authorities = section.tlsFile(system, "ca", .authorities).map { [$0] } ?? []
    } else {
        draft.settings.authorities = section.authorities(files: draft.authorities, folders: draft.authorityFolders)
    }
}

private func finishIdentity(_ draft: inout BackendTLSDraft, _ section: ReadSection) {
    draft.certificate = section.resolved(draft.certificate)
    draft.key = section.resolved(draft.key)
    guard let word = draft.certificate.first else {
        if section.has("key") { section.error("key", "'key' needs 'cert' beside it") }
        return
    }
    guard draft.certificate.count == 1, draft.key.count <= 1 else {
        return section.error(draft.certificate.count > 1 ? "cert" : "key", "a backend is shown one certificate with one key")
    }
    if draft.key.isEmpty { draft.key = [word] }
    if let certificate = section.tlsFile(word, "cert", .certificate), let key = section.tlsFile(draft.key[0], "key", .key) {
        draft.settings.identity = TLSSettings.Identity(certificate: certificate, key: key)
    }
}

/// What follows from the place of the backend, once it is known; then those are asked who will use it.
func finishBackendTLS(_ draft: inout BackendDraft, _ section: ReadSection) {
    guard var tls = draft.tls, tls.isEnabled else { return }
    switch (tls.name, draft.settings.address) {
    case (let name?, _): tls.settings.name = .name(name.text)
    case (nil, .name(let name)): tls.settings.name = .name(name)
    case (nil, .ipv4), (nil, .ipv6): tls.settings.name = .address
    case (nil, .unix):
        tls.settings.name = .none
        if tls.settings.verifies {
            section.error("ssl", "'ssl' to a unix socket needs a 'name' that must stand in the certificate, or 'verify = false'")
        }
    }
    if case .name(let name) = tls.settings.name, tls.name == nil { tls.name = ConfigWord(text: name, location: .none) }
    draft.tls = tls
    draft.settings.tls = tls.settings
    let expectsFiles = tls.settings.verifies && tls.settings.authorities.isEmpty || !tls.certificate.isEmpty && tls.settings.identity == nil
    if !expectsFiles { section.tell(section.reader.foreign.backendTLS(tls.settings), tls.settings.files) }
}
