/// What must hold within an `ssl` section, and what its words come to.

/// Puts together what is written and what is inherited, reads the files, and asks those who will use them.
func finishTLS(_ draft: inout TLSDraft, _ section: ReadSection) {
    guard draft.isEnabled else {
        if !section.has("enabled"), !section.given.isEmpty {
            section.warning("ssl", "'ssl' has no effect without 'enabled = true'")
        }
        return
    }
    let header = section.place.header.location
    if !section.reader.foreign.isTLSServed { section.reader.reportComing("ssl", "TLS", in: section.place, at: header) }
    if draft.isOfSite && draft.inherited == nil {
        section.reader.diagnostics.error(
            header, "'ssl' of a 'vhost' needs an enabled 'ssl' in its 'server', which speaks plain HTTP to all its clients now")
    }
    finishVersions(&draft, section)
    finishCiphers(&draft, section)
    let isWhole = finishIdentities(&draft, section)
    finishPeers(&draft, section)
    finishResumption(&draft, section)
    if let inherited = draft.inherited {
        for word in tlsWordsOfServers where section.has(word) {
            section.warning(word, "'\(word)' has no effect in a 'vhost': it counts before a client has named one; write it in the server's 'ssl'")
        }
        draft.settings.takeConnectionWords(of: inherited)
    }
    if draft.inherited == nil, draft.settings.usesKernelTLS, (1..<TLSSettings.recordBytesMax).contains(draft.settings.recordBytes) {
        section.warning("kernel-tls", "'kernel-tls' has no effect beside 'record-size', as the kernel fills records up")
    }
    if section.has("crl"), let revocations = draft.revocations {
        draft.settings.reloadMilliseconds = min(draft.settings.reloadMilliseconds, revocations.reloadMilliseconds)
    }
    if isWhole { section.tell(section.reader.foreign.tls(draft.settings), draft.settings.files) }
}

extension TLSSettings {
    fileprivate mutating func takeConnectionWords(of server: TLSSettings) {
        cacheSeconds = server.cacheSeconds
        cacheEntriesMax = server.cacheEntriesMax
        handshakeMilliseconds = server.handshakeMilliseconds
        handshakesMax = server.handshakesMax
        recordBytes = server.recordBytes
        usesKernelTLS = server.usesKernelTLS
    }
}

// MARK: - Versions and ciphers

/// Which versions a word of `protocols-on` or `protocols-off` means.
private enum ProtocolWord {
    /// What RProxy could speak and nobody should: a wish for it is a wish for what there is.
    case old
    case all, tls12, tls13

    init?(_ text: String) {
        switch text.lowercased() {
        case "sslv2", "sslv3", "ssl2", "ssl3", "tlsv1", "tls1", "tlsv1.0", "tls1.0", "tlsv1.1", "tls1.1": self = .old
        case "all": self = .all
        case "tlsv1.2", "tls1.2": self = .tls12
        case "tlsv1.3", "tls1.3": self = .tls13
        default: return nil
        }
    }
}

private func finishVersions(_ draft: inout TLSDraft, _ section: ReadSection) {
    let policy = draft.settings.policy
    let isWritten = section.has("protocols-on") || section.has("protocols-off")
    if isWritten {
        var on12 = policy.speaksTLS12
        var on13 = true
        if section.has("protocols-on") {
            (on12, on13) = (false, false)
            for (word, meaning) in protocolWords(draft.protocolsOn, "protocols-on", section) {
                if meaning == .old {
                    section.reader.diagnostics.warning(
                        word.location, "'protocols-on': '\(word.text)' is not spoken any more; it means TLS 1.2 and 1.3 now")
                }
                on12 = on12 || meaning != .tls13
                on13 = on13 || meaning != .tls12
            }
        }
        if section.has("protocols-off") {
            for (word, meaning) in protocolWords(draft.protocolsOff, "protocols-off", section) {
                switch meaning {
                case .old: break  // never spoken anyway, which is what is wanted
                case .all:
                    section.reader.diagnostics.warning(
                        word.location, "'protocols-off': '\(word.text)' never took TLS 1.1 and later away; TLS 1.2 and 1.3 stay as they are")
                case .tls12: on12 = false
                case .tls13: on13 = false
                }
            }
        }
        if !on12 && !on13 {
            let word = section.has("protocols-off") ? "protocols-off" : "protocols-on"
            section.error(word, "'\(word)' leaves no protocol to speak: TLSv1.2 and TLSv1.3 are those there are")
            (on12, on13) = (true, true)
        }
        (draft.settings.speaksTLS12, draft.settings.speaksTLS13) = (on12, on13)
    } else if section.has("policy") || draft.inherited == nil {
        (draft.settings.speaksTLS12, draft.settings.speaksTLS13) = (policy.speaksTLS12, true)
    }
    draft.protocolsOn = []
    if draft.settings.speaksTLS12 { draft.protocolsOn.append(ConfigWord(text: "TLSv1.2", location: .none)) }
    if draft.settings.speaksTLS13 { draft.protocolsOn.append(ConfigWord(text: "TLSv1.3", location: .none)) }
    draft.protocolsOff = []
}

private func protocolWords(_ words: [ConfigWord], _ setting: String, _ section: ReadSection) -> [(ConfigWord, ProtocolWord)] {
    words.compactMap { word in
        if let meaning = ProtocolWord(word.text) { return (word, meaning) }
        let near = nearest(to: word.text, among: ["TLSv1.2", "TLSv1.3", "ALL"]).map { "; did you mean '\($0)'?" } ?? ""
        section.reader.diagnostics.error(word.location, "'\(setting)' knows no '\(word.text)'\(near)")
        return nil
    }
}

private func finishCiphers(_ draft: inout TLSDraft, _ section: ReadSection) {
    let policy = draft.settings.policy
    let takesPolicy = section.has("policy") || draft.inherited == nil

    func names(_ word: String, _ written: String?, _ inherited: String?, _ ofPolicy: String, _ read: (String) -> TLSNameList) -> String {
        guard section.has(word), let written else { return takesPolicy || (inherited ?? "").isEmpty ? ofPolicy : inherited ?? ofPolicy }
        return section.tlsNames(written, word, read) ?? ofPolicy
    }
    var settings = draft.settings
    settings.ciphers = names("ciphers", draft.ciphers, draft.inherited?.ciphers, policy.ciphers, TLSNameList.ciphers)
    settings.cipherSuites = names("cipher-suites", draft.cipherSuites, draft.inherited?.cipherSuites, policy.cipherSuites, TLSNameList.suites)
    let curveWord = section.has("named-curve") ? "named-curve" : "curves"
    settings.curves = names(curveWord, draft.curves, draft.inherited?.curves, policy.curves, TLSNameList.curves)
    if section.has("named-curve"), section.has("curves") {
        section.warning("named-curve", "'named-curve' and 'curves' say the same; 'named-curve' counts")
    }
    for (word, isSpoken, version) in [("ciphers", settings.speaksTLS12, "1.2"), ("cipher-suites", settings.speaksTLS13, "1.3")] {
        if section.has(word), !isSpoken { section.warning(word, "'\(word)' has no effect: TLS \(version) is not spoken here") }
    }
    if !settings.speaksTLS12 { settings.ciphers = "" }
    if !settings.speaksTLS13 { settings.cipherSuites = "" }
    draft.settings = settings
    draft.ciphers = settings.ciphers.isEmpty ? nil : settings.ciphers
    draft.cipherSuites = settings.cipherSuites.isEmpty ? nil : settings.cipherSuites
    draft.curves = settings.curves
}

extension ReadSection {
    /// The names of a list that can be used; nil after an error because there is none.
    func tlsNames(_ text: String, _ word: String, _ read: (String) -> TLSNameList) -> String? {
        let list = read(text)
        for sentence in list.warnings { warning(word, "'\(word)' \(sentence)") }
        if !list.isEmpty { return list.text }
        error(word, "'\(word)' has nothing that can be used; without the word the policy says what is")
        return nil
    }
}

// MARK: - Certificates and keys

/// - Returns: every file was read, so that it makes sense to ask whether they fit together.
private func finishIdentities(_ draft: inout TLSDraft, _ section: ReadSection) -> Bool {
    guard section.has("cert") else {
        for word in ["key", "staple"] where section.has(word) {
            section.error(word, "'\(word)' needs 'cert' beside it")
            return false
        }
        if draft.inherited != nil { return !draft.settings.identities.isEmpty }
        if !draft.isOfSite { section.error("ssl", "'ssl' needs a 'cert'") }
        return false
    }
    draft.certificates = section.resolved(draft.certificates)
    draft.keys = section.has("key") ? section.resolved(draft.keys) : []
    draft.staples = section.has("staple") ? draft.staples.map { $0.text.isEmpty ? $0 : section.resolved([$0])[0] } : []
    guard !draft.certificates.isEmpty, draft.certificates.count <= TLSSettings.identitiesMax else {
        section.error("cert", "'cert' takes from 1 to \(TLSSettings.identitiesMax) files")
        return false
    }
    for (word, files) in [("key", draft.keys), ("staple", draft.staples)] where section.has(word) && files.count != draft.certificates.count {
        section.error(word, "'\(word)' names \(files.count) files for \(draft.certificates.count) in 'cert'; each certificate has its own")
        return false
    }
    draft.settings.identities = draft.certificates.indices.compactMap { index in
        let certificate = section.tlsFile(draft.certificates[index], "cert", .certificate)
        let key: TLSSettings.File? =
            draft.keys.isEmpty
            ? certificate.flatMap { _ in section.tlsFile(draft.certificates[index], "key", .key) } : section.tlsFile(draft.keys[index], "key", .key)
        var staple: TLSSettings.File?
        if !draft.staples.isEmpty, !draft.staples[index].text.isEmpty {
            staple = section.tlsFile(draft.staples[index], "staple", .staple)
            if staple == nil { return nil }
        }
        guard let certificate, let key else { return nil }
        return TLSSettings.Identity(certificate: certificate, key: key, staple: staple)
    }
    if draft.keys.isEmpty { draft.keys = draft.certificates }
    return draft.settings.identities.count == draft.certificates.count
}

// MARK: - Clients

private func finishPeers(_ draft: inout TLSDraft, _ section: ReadSection) {
    if section.has("verify-peer"), !draft.settings.verifiesPeer, draft.settings.requiresPeer {
        if section.has("enforce-peer-cert") {
            section.warning("enforce-peer-cert", "'enforce-peer-cert' implies 'verify-peer', which is false here and had stopped it in RProxy")
        } else {
            draft.settings.requiresPeer = false
        }
    }
    if draft.settings.requiresPeer { draft.settings.verifiesPeer = true }
    let isAsked = draft.settings.verifiesPeer
    if section.has("ca") || section.has("capath") {
        draft.authorities = section.has("ca") ? section.resolved(draft.authorities) : []
        draft.authorityFolders = section.has("capath") ? section.resolved(draft.authorityFolders) : []
    }
    if section.has("crl"), var revocations = draft.revocations {
        revocations.files = section.resolved(revocations.files)
        revocations.folders = section.resolved(revocations.folders)
        draft.revocations = revocations
    }
    guard isAsked else {
        for word in ["ca", "capath", "crl"] where section.has(word) {
            section.warning(word, "'\(word)' has no effect: 'verify-peer' is false")
        }
        draft.settings.authorities = []
        draft.settings.authorityPlaces = []
        draft.settings.revocations = nil
        return
    }
    let word = section.has("enforce-peer-cert") ? "enforce-peer-cert" : "verify-peer"
    draft.settings.authorities = section.authorities(files: draft.authorities, folders: draft.authorityFolders)
    draft.settings.authorityPlaces = (draft.authorities + draft.authorityFolders).map(\.text)
    if draft.authorities.isEmpty && draft.authorityFolders.isEmpty {
        section.error(word, "'\(word)' needs 'ca' or 'capath': whose client certificates are good")
    }
    draft.settings.revocations = draft.revocations.flatMap { written in
        var settings = written.settings
        settings.places = (written.files + written.folders).map(\.text)
        settings.files =
            written.files.compactMap { section.tlsFile($0, "file", .revocations) }
            + written.folders.flatMap { section.tlsFiles(in: $0, "dir", .revocations, mayBeEmpty: true) }
        return settings.saysAnything ? settings : nil
    }
}

extension ReadSection {
    /// Certificates of authorities from files and directories.
    func authorities(files: [ConfigWord], folders: [ConfigWord]) -> [TLSSettings.File] {
        files.compactMap { tlsFile($0, "ca", .authorities) } + folders.flatMap { tlsFiles(in: $0, "capath", .authorities, mayBeEmpty: false) }
    }
}

// MARK: - Resumption

private func finishResumption(_ draft: inout TLSDraft, _ section: ReadSection) {
    if section.has("ticket-keys") {
        draft.ticketKeys = section.resolved(draft.ticketKeys)
        if draft.ticketKeys.count > TLSSettings.ticketKeysMax {
            section.error("ticket-keys", "'ticket-keys' names \(draft.ticketKeys.count) files; \(TLSSettings.ticketKeysMax) are the most")
            draft.ticketKeys = []
        }
        draft.settings.ticketKeys = draft.ticketKeys.compactMap { section.tlsFile($0, "ticket-keys", .ticketKey) }
        if !draft.ticketKeys.isEmpty, section.has("ticket-rotation") {
            section.warning("ticket-rotation", "'ticket-rotation' has no effect: keys come from 'ticket-keys', and change when these change")
        }
    }
    if !draft.settings.tickets {
        for word in ["ticket-keys", "ticket-rotation"] where section.has(word) {
            section.warning(word, "'\(word)' has no effect: 'tickets' is false")
        }
    }
}
