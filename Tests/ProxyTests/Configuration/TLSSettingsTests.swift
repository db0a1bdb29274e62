import Testing

@testable import Proxy

@Suite("Settings of TLS toward clients")
struct TLSSettingsTests {
    private static let files = [
        "rsa.pem": FakeMaterial.certificate, "rsa.key": FakeMaterial.key, "ec.pem": FakeMaterial.certificate, "ec.key": FakeMaterial.key,
        "both.pem": FakeMaterial.pem("CERTIFICATE", "CERTIFICATE", "EC PRIVATE KEY"), "ca.pem": FakeMaterial.certificate,
        "list.crl": FakeMaterial.pem("X509 CRL"), "dir/a.pem": FakeMaterial.certificate, "dir/b.crl": FakeMaterial.pem("X509 CRL"), "dir/README": "hello",
        "cut.pem": "-----BEGIN CERTIFICATE-----\nMIIB\n", "locked.key": FakeMaterial.pem("ENCRYPTED PRIVATE KEY"),
        "old.key": "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\nMIIB\n-----END RSA PRIVATE KEY-----\n",
        "80.ticket": String(repeating: "k", count: 80), "48.ticket": String(repeating: "k", count: 48), "47.ticket": String(repeating: "k", count: 47),
        "good.ocsp": "0\u{3}abc", "cut.ocsp": "0\u{9}abc",
    ]

    private func fixture(_ words: String, sites: String = "") -> ConfigurationFixture {
        var fixture = ConfigurationFixture(server("ssl {\nenabled = true \(words)\n}\n\(sites)"), including: Self.files)
        fixture.folders = ["dir": ["README", "a.pem", "b.crl"], "empty": []]
        fixture.foreign.isTLSServed = true
        return fixture
    }

    private func settings(_ words: String) -> TLSSettings? {
        fixture("cert = both.pem\n\(words)").load().settings?.servers.first?.tls
    }

    /// What is said about words in the third line of the file, without line and column.
    private func sentences(_ words: String) -> [String] {
        fixture(words).load().diagnostics.map { "\($0.severity.rawValue): \($0.message)" }
    }

    private func site(_ server: String, _ words: String) -> TLSSettings? {
        let sites = "vhost a { ssl { enabled = true \(words) }\nrule r { uri-gmatch = '*' \(backendWord)s = a } }"
        return fixture(server, sites: sites).load().settings?.servers.first?.virtualHosts.first?.tls
    }

    @Test("a certificate alone is enough: TLS 1.2 and 1.3 with forward secrecy, the key in the same file")
    func least() throws {
        let tls = try #require(settings(""))
        #expect(tls.identities.map(\.certificate.path) == ["both.pem"] && tls.identities.map(\.key.path) == ["both.pem"])
        #expect(tls.speaksTLS12 && tls.speaksTLS13 && tls.tickets && tls.keepsSessions && tls.prefersServerCiphers)
        #expect(tls.ciphers.split(separator: ":").allSatisfy { $0.hasPrefix("ECDHE-") && ($0.contains("-GCM-") || $0.contains("POLY1305")) })
        #expect(tls.curves == "X25519:prime256v1:secp384r1" && tls.verifyDepth == 9 && !tls.verifiesPeer && tls.revocations == nil)
        #expect(tls.identities[0].certificate.location == SourceLocation(file: "main.conf", line: 3, column: 23))
    }

    @Test("a section that is not enabled is passed over, and one that does not say so is warned about")
    func disabled() {
        let off = ConfigurationFixture(server("ssl { enabled = no cert = nowhere.pem }")).load()
        #expect(off.settings?.servers.first?.tls == nil && off.diagnostics.isEmpty)
        #expect(ConfigurationFixture(server("ssl { cert = nowhere.pem }")).messages == ["2:1: warning: 'ssl' has no effect without 'enabled = true'"])
    }

    @Test("while TLS is not served, whoever enables it is told so")
    func notServed() {
        var fixture = fixture("cert = both.pem")
        fixture.foreign.isTLSServed = false
        #expect(fixture.messages == ["2:1: error: 'ssl' is known, but TLS is not built yet"])
    }

    @Test("several certificates have a key each, and staples by their places")
    func several() throws {
        let tls = try #require(fixture("cert = { rsa.pem, ec.pem } key = { rsa.key, ec.key } staple = { '', good.ocsp }").load().settings?.servers.first?.tls)
        #expect(tls.identities.map(\.certificate.path) == ["rsa.pem", "ec.pem"] && tls.identities.map(\.key.path) == ["rsa.key", "ec.key"])
        #expect(tls.identities.map(\.staple?.path) == [nil, "good.ocsp"])
        #expect(
            sentences("cert = { rsa.pem, ec.pem } key = rsa.key")
                == ["error: 'key' names 1 files for 2 in 'cert'; each certificate has its own"])
    }

    @Test(
        "everything that is wrong with a file is said at the word that names it",
        arguments: [
            ("cert = none.pem", 23, "'cert': cannot read 'none.pem': No such file or directory"),
            ("cert = rsa.key", 23, "'cert': 'rsa.key' has no certificate in PEM form (BEGIN CERTIFICATE)"),
            ("cert = rsa.pem", 23, "'key': 'rsa.pem' has no private key in PEM form (BEGIN PRIVATE KEY)"),
            ("cert = cut.pem", 23, "'cert': 'cut.pem' ends in the middle; it may be being written right now"),
            (
                "cert = rsa.pem key = locked.key", 37,
                "'key': 'locked.key' has a key behind a passphrase, which nobody is there to type; 'openssl pkey' takes it off"
            ),
            (
                "cert = rsa.pem key = old.key", 37,
                "'key': 'old.key' has a key behind a passphrase, which nobody is there to type; 'openssl pkey' takes it off"
            ),
            ("cert = both.pem ticket-keys = { 80.ticket, 47.ticket }", 59, "'ticket-keys': '47.ticket' has 47 bytes; a ticket key has 80, or 48: openssl rand 80 > FILE"),
            ("cert = both.pem staple = cut.ocsp", 41, "'staple': 'cut.ocsp' ends in the middle; it may be being written right now"),
            ("cert = both.pem verify-peer = on ca = ca.pem crl { file = ca.pem }", 74, "'file': 'ca.pem' has no list of revoked certificates (BEGIN X509 CRL, or DER)"),
            ("cert = both.pem verify-peer = on capath = empty", 58, "'capath': there is no certificate in 'empty'"),
            ("cert = both.pem verify-peer = on capath = ca.pem", 58, "'capath': cannot read the directory 'ca.pem': Not a directory"),
            ("key = rsa.key", 16, "'key' needs 'cert' beside it"),
            ("cert = both.pem verify-peer = on", 32, "'verify-peer' needs 'ca' or 'capath': whose client certificates are good"),
        ])
    func complaints(_ words: String, column: Int, sentence: String) {
        let errors = fixture(words).load().diagnostics.filter { $0.severity == .error }
        #expect(errors.map(\.message) == [sentence])
        #expect(errors.map { "\($0.location.line):\($0.location.column)" } == ["3:\(column)"])
    }

    @Test("a directory gives the files that are what it is for, and names the others")
    func directories() throws {
        let loaded = fixture("cert = both.pem enforce-peer-cert = on capath = dir crl { dir = dir }").load()
        let tls = try #require(loaded.settings?.servers.first?.tls)
        #expect(tls.authorities.map(\.path) == ["dir/a.pem"] && tls.revocations?.files.map(\.path) == ["dir/b.crl"])
        #expect(tls.verifiesPeer && tls.requiresPeer && tls.revocations?.acceptsMissing == true && tls.revocations?.acceptsExpired == false)
        #expect(
            loaded.diagnostics.map(\.message) == [
                "'capath': nothing usable in 'README', 'b.crl' of 'dir'; left out", "'dir': nothing usable in 'README', 'a.pem' of 'dir'; left out",
            ])
    }

    @Test(
        "a file of a directory that is meant to be of its kind and cannot be used is an error",
        arguments: [
            ("issuer", "", "is empty; it may be being written right now"), ("issuer", "0\u{82}\u{1}\u{0}abc", "ends in the middle; it may be being written right now"),
            ("issuer", "-----BEGIN X509 CRL-----\nMIIB\n", "ends in the middle; it may be being written right now"),
            ("issuer", "-----BEGIN X509 CRL-----\nMIIB\n-----END X509 CRL-----\n-----BEGIN X509 C", "ends in the middle; it may be being written right now"),
            ("issuer", "-----BEGIN", "has no list of revoked certificates (BEGIN X509 CRL, or DER)"),
            ("issuer.crl", "<html>busy</html>", "has no list of revoked certificates (BEGIN X509 CRL, or DER)"),
            ("issuer.crl", FakeMaterial.certificate, "has no list of revoked certificates (BEGIN X509 CRL, or DER)"),
        ])
    func brokenInDirectory(_ name: String, content: String, complaint: String) {
        var fixture = fixture("cert = both.pem enforce-peer-cert = on ca = ca.pem crl { dir = lists }")
        fixture.folders["lists"] = ["b.crl", name]
        fixture.files["lists/b.crl"] = Array(FakeMaterial.pem("X509 CRL").utf8)
        fixture.files["lists/\(name)"] = content.unicodeScalars.map { UInt8($0.value) }
        #expect(fixture.load().diagnostics.map { "\($0.severity.rawValue): \($0.message)" } == ["error: 'dir': 'lists/\(name)' \(complaint)"])
    }

    @Test("text that begins as DER does is of another kind: a number in a folder of an authority's own")
    func number() {
        var fixture = fixture("cert = both.pem enforce-peer-cert = on ca = ca.pem crl { dir = lists }")
        fixture.folders["lists"] = ["b.crl", "crlnumber"]
        fixture.files["lists/b.crl"] = Array(FakeMaterial.pem("X509 CRL").utf8)
        fixture.files["lists/crlnumber"] = Array("01\n".utf8)
        #expect(fixture.load().diagnostics.map(\.message) == ["'dir': nothing usable in 'crlnumber' of 'lists'; left out"])
    }

    @Test("an authority of a directory that cannot be used is an error, and the only one")
    func brokenAuthority() {
        var fixture = fixture("cert = both.pem enforce-peer-cert = on capath = authorities")
        fixture.folders["authorities"] = ["one.pem"]
        fixture.files["authorities/one.pem"] = Array("nothing".utf8)
        #expect(fixture.load().diagnostics.map(\.message) == ["'capath': 'authorities/one.pem' has no certificate in PEM form (BEGIN CERTIFICATE)"])
    }

    @Test("lists that must not be missing are asked for, also where none is named or none is there")
    func missingLists() throws {
        for lists in ["crl { missing = refuse }", "crl { dir = empty missing = refuse }"] {
            let tls = try #require(settings("enforce-peer-cert = on ca = ca.pem \(lists)"))
            #expect(tls.revocations?.acceptsMissing == false && tls.revocations?.files == [])
        }
    }

    @Test("what names authorities and lists is kept beside what is in them")
    func places() throws {
        let tls = try #require(settings("enforce-peer-cert = on ca = ca.pem capath = dir crl { file = list.crl dir = empty }"))
        #expect(tls.authorityPlaces == ["ca.pem", "dir"] && tls.revocations?.places == ["list.crl", "empty"])
        #expect(settings("ca = ca.pem")?.authorityPlaces == [])
    }

    @Test(
        "words for protocols mean what is spoken today",
        arguments: [
            ("protocols-on = ALL", true, true, []), ("protocols-on = { TLSv1.3 }", false, true, []), ("protocols-on = { tlsv1.2 }", true, false, []),
            ("protocols-off = { SSLv2, SSLv3, TLSv1, TLSv1.1 }", true, true, []), ("protocols-off = TLSv1.2", false, true, []),
            ("policy = modern", false, true, []), ("policy = modern protocols-on = ALL", true, true, []),
            ("protocols-on = SSLv3", true, true, ["warning: 'protocols-on': 'SSLv3' is not spoken any more; it means TLS 1.2 and 1.3 now"]),
            ("protocols-on = TLS1", true, true, ["warning: 'protocols-on': 'TLS1' is not spoken any more; it means TLS 1.2 and 1.3 now"]),
            (
                "protocols-off = ALL", true, true,
                ["warning: 'protocols-off': 'ALL' never took TLS 1.1 and later away; TLS 1.2 and 1.3 stay as they are"]
            ),
        ])
    func protocols(_ words: String, tls12: Bool, tls13: Bool, said: [String]) throws {
        let tls = try #require(settings(words))
        #expect(tls.speaksTLS12 == tls12 && tls.speaksTLS13 == tls13)
        #expect(tls.ciphers.isEmpty == !tls12 && tls.cipherSuites.isEmpty == !tls13)
        #expect(sentences("cert = both.pem\n\(words)") == said)
    }

    @Test("protocols that leave nothing, and words that are none, are errors")
    func noProtocol() {
        #expect(
            sentences("cert = both.pem protocols-off = { TLSv1.2, TLSv1.3 }")
                == ["error: 'protocols-off' leaves no protocol to speak: TLSv1.2 and TLSv1.3 are those there are"])
        #expect(sentences("cert = both.pem protocols-on = { TLSv1.3, TLSv13 }") == ["error: 'protocols-on' knows no 'TLSv13'; did you mean 'TLSv1.3'?"])
    }

    @Test("RProxy's own list of ciphers keeps what is safe in it")
    func oldCiphers() throws {
        let old =
            "ECDHE-RSA-AES128-GCM-SHA256:ECDHE-RSA-AES256-GCM-SHA384:ECDHE-RSA-RC4-SHA:ECDHE-RSA-AES128-SHA:RC4-SHA:RC4-MD5:ECDHE-RSA-AES256-SHA:AES256-SHA:ECDHE-RSA-DES-CBC3-SHA:DES-CBC3-SHA:AES128-SHA"
        let tls = try #require(settings("ciphers = '\(old)'"))
        #expect(
            tls.ciphers
                == "ECDHE-RSA-AES128-GCM-SHA256:ECDHE-RSA-AES256-GCM-SHA384:ECDHE-RSA-AES128-SHA:ECDHE-RSA-AES256-SHA:AES256-SHA:AES128-SHA")
        #expect(
            sentences("cert = both.pem ciphers = '\(old)'")
                == ["warning: 'ciphers' names ECDHE-RSA-RC4-SHA, RC4-SHA, RC4-MD5, ECDHE-RSA-DES-CBC3-SHA, DES-CBC3-SHA, which are not safe any more and left out"])
    }

    @Test("words for many ciphers bring nothing unsafe with them, however often they are read")
    func cipherGroups() throws {
        let tls = try #require(settings("ciphers = 'RC4+RSA:HIGH:+MEDIUM:+LOW'"))
        #expect(tls.ciphers == "HIGH:!aNULL:!eNULL:!EXPORT:!RC4:!MD5:!DES:!3DES:!SEED:!IDEA:!PSK:!SRP")
        #expect(settings("ciphers = '\(tls.ciphers)'")?.ciphers == tls.ciphers)
        #expect(settings("ciphers = 'ECDHE+AESGCM:-SHA:@STRENGTH'")?.ciphers.hasPrefix("ECDHE+AESGCM:-SHA:@STRENGTH:!aNULL") == true)
        #expect(settings("ciphers = 'ECDHE-RSA-AES256-GCM-SHA384:@SECLEVEL=3'")?.ciphers == "ECDHE-RSA-AES256-GCM-SHA384:@SECLEVEL=3")
        #expect(
            sentences("cert = both.pem ciphers = 'ECDHE-RSA-AES256-GCM-SHA384:@SECLEVEL=1'")
                == ["warning: 'ciphers' names @SECLEVEL=1, which is not safe any more and left out"])
    }

    @Test("ciphers of which nothing is left are an error, and a mistyped name is offered its neighbour")
    func noCipher() {
        #expect(
            sentences("cert = both.pem ciphers = 'RC4-SHA:!ALL'").last
                == "error: 'ciphers' has nothing that can be used; without the word the policy says what is")
        #expect(
            sentences("cert = both.pem ciphers = 'ECDHE-RSA-AES128-GCM-SHA265:HIGH'")
                == ["warning: 'ciphers' names ECDHE-RSA-AES128-GCM-SHA265, which nobody knows; left out; did you mean 'ECDHE-RSA-AES128-GCM-SHA256'?"])
        #expect(sentences("cert = both.pem cipher-suites = 'X'").count == 2)
        #expect(settings("curves = 'P-256:x25519:secp256r1'")?.curves == "prime256v1:X25519")
        #expect(settings("named-curve = prime256v1")?.curves == "prime256v1")
    }

    @Test("enforcing a certificate means verifying it, and a depth of 0 means the default")
    func peers() throws {
        #expect(
            sentences("cert = both.pem verify-peer = no enforce-peer-cert = yes ca = ca.pem verify-depth = 0") == [
                "warning: 'enforce-peer-cert' implies 'verify-peer', which is false here and had stopped it in RProxy",
                "warning: 'verify-depth' cannot be switched off by 0; 9 stays in force",
            ])
        let tls = try #require(settings("enforce-peer-cert = yes ca = ca.pem crl { file = list.crl missing = refuse expired = accept reload = 3 }"))
        #expect(tls.verifiesPeer && tls.verifyDepth == 9 && tls.authorities.map(\.path) == ["ca.pem"])
        #expect(tls.revocations?.acceptsMissing == false && tls.revocations?.acceptsExpired == true && tls.reloadMilliseconds == 3_000)
        #expect(sentences("cert = both.pem ca = nowhere.pem") == ["warning: 'ca' has no effect: 'verify-peer' is false"])
    }

    @Test("numbers of sessions, handshakes and records are taken, with RProxy's meaning where it had one")
    func numbers() throws {
        let words =
            "context-timeout = 3600 cache-timeout = '10m' cache-size = 0 ticket-keys = { 80.ticket, 48.ticket } handshake-timeout = '2s' handshakes-max = 7 record-size = '4k'"
        let tls = try #require(settings(words))
        #expect(tls.sessionSeconds == 3600 && tls.cacheSeconds == 600 && tls.cacheEntriesMax == 1024 && tls.ticketKeys.count == 2)
        #expect(tls.handshakeMilliseconds == 2_000 && tls.handshakesMax == 7 && tls.recordBytes == 4096)
        #expect(settings("context-timeout = 2000000")?.sessionSeconds == 604_800 && settings("record-size = dynamic")?.recordBytes == 0)
        #expect(settings("record-size = 100") == nil && settings("ticket-rotation = 5") == nil)
    }

    @Test("the kernel seals where it is told to, and not beside records of a size")
    func kernelTLS() {
        #expect(settings("cert = both.pem")?.usesKernelTLS == false && settings("kernel-tls = yes")?.usesKernelTLS == true)
        #expect(settings("kernel-tls = maybe") == nil)
        #expect(
            sentences("cert = both.pem kernel-tls = yes record-size = 4k") == [
                "warning: 'kernel-tls' has no effect beside 'record-size', as the kernel fills records up"
            ])
        #expect(sentences("cert = both.pem kernel-tls = yes record-size = 16k").isEmpty)
    }

    // MARK: - Virtual hosts

    @Test("a virtual host has from its server what its own section leaves out")
    func inherited() throws {
        let server = "cert = both.pem ciphers = 'ECDHE-RSA-AES128-GCM-SHA256' enforce-peer-cert = on ca = ca.pem capath = dir crl { file = list.crl } tickets = no"
        let same = try #require(site(server, ""))
        #expect(same.identities.map(\.certificate.path) == ["both.pem"] && same.ciphers == "ECDHE-RSA-AES128-GCM-SHA256" && !same.tickets)
        #expect(same.requiresPeer && same.authorities.count == 2 && same.revocations?.files.count == 1)
        let own = try #require(site(server, "cert = rsa.pem key = rsa.key policy = intermediate ca = ec.pem crl { }"))
        #expect(own.identities.map(\.key.path) == ["rsa.key"] && own.ciphers == TLSSettings.Policy.intermediate.ciphers)
        #expect(own.authorities.map(\.path) == ["ec.pem"] && own.revocations == nil && own.requiresPeer)
        let open = try #require(site(server, "verify-peer = no"))
        #expect(!open.requiresPeer && !open.verifiesPeer && open.authorities.isEmpty)
        #expect(site(server, "protocols-on = TLSv1.3")?.ciphers == "" && site(server, "policy = modern")?.speaksTLS12 == false)
        #expect(site("cert = both.pem policy = modern", "protocols-on = TLSv1.2")?.ciphers == TLSSettings.Policy.intermediate.ciphers)
    }

    @Test("what counts before a client has named a host is the server's")
    func connectionWords() throws {
        let server = "cert = both.pem handshake-timeout = '3s' cache-size = 10"
        let tls = try #require(site(server, "handshake-timeout = '9s' cache-size = 99 record-size = 512"))
        #expect(tls.handshakeMilliseconds == 3_000 && tls.cacheEntriesMax == 10 && tls.recordBytes == 0)
        let sites = "vhost a { ssl { enabled = true cache-size = 99 }\nrule r { uri-gmatch = '*' \(backendWord)s = a } }"
        #expect(
            fixture(server, sites: sites).messages
                == ["5:32: warning: 'cache-size' has no effect in a 'vhost': it counts before a client has named one; write it in the server's 'ssl'"])
    }

    @Test("a virtual host may keep sessions where its server does not, and the other way round")
    func keptSessions() throws {
        let off = try #require(site("cert = both.pem", "cache-enabled = no"))
        #expect(!TLSMaterial(off, scope: "a").keepsSessions)
        let on = try #require(site("cert = both.pem cache-enabled = no", "cache-enabled = yes"))
        #expect(TLSMaterial(on, scope: "a").keepsSessions)
        #expect(site("cert = both.pem cache-enabled = no", "")?.keepsSessions == false)
    }

    @Test("TLS for a virtual host of a server that speaks plain HTTP is an error")
    func plainServer() {
        var fixture = ConfigurationFixture(
            server("vhost a { ssl { enabled = true cert = both.pem }\nrule r { uri-gmatch = '*' \(backendWord)s = a } }"), including: Self.files)
        fixture.foreign.isTLSServed = true
        #expect(
            fixture.messages
                == ["2:11: error: 'ssl' of a 'vhost' needs an enabled 'ssl' in its 'server', which speaks plain HTTP to all its clients now"])
    }

    @Test("what is in force is a configuration with the same meaning")
    func effective() throws {
        let sites =
            "vhost a { ssl { enabled = true policy = modern cache-size = 99 }\nrule r { uri-gmatch = '*' \(backendWord)s = a } }\nvhost b { ssl { enabled = true cert = rsa.pem key = rsa.key verify-peer = no } }"
        var fixture = fixture(
            "cert = { both.pem, ec.pem } key = { both.pem, ec.key } staple = { '', good.ocsp } verify-peer = on ca = ca.pem capath = dir ciphers = HIGH crl { file = list.crl dir = dir }",
            sites: sites)
        let first = try #require(fixture.effective().text)
        let settings = try #require(fixture.load().settings)
        fixture.files["main.conf"] = Array(first.utf8)
        #expect(try #require(fixture.effective().text).split(separator: "\n").map { $0.prefix { $0 != "#" } } == first.split(separator: "\n").map { $0.prefix { $0 != "#" } })
        let again = try #require(fixture.load().settings)
        func all(_ settings: GlobalSettings) -> [TLSSettings] {
            let server = settings.servers[0]
            return ([server.tls] + server.virtualHosts.map(\.tls)).compactMap { tls in
                guard var tls else { return nil }
                tls.location = .none
                return tls.placeless
            }
        }
        #expect(all(settings) == all(again) && all(again).count == 3)
    }

    @Test("what those say who will use the files is told once, at the word that names the file")
    func foreign() {
        var fixture = fixture("cert = both.pem", sites: "vhost a { ssl { enabled = true }\nrule r { uri-gmatch = '*' \(backendWord)s = a } }")
        fixture.foreign.tls = { _ in .init(errors: ["the key in 'both.pem' is another one's"], warnings: ["something"]) }
        #expect(
            fixture.messages == [
                "2:1: warning: something", "3:23: error: the key in 'both.pem' is another one's", "5:11: warning: something",
            ])
    }

    @Test("the files are looked at as often as the most impatient section says")
    func reload() {
        let sites = "vhost a { ssl { enabled = true reload = '2s' }\nrule r { uri-gmatch = '*' \(backendWord)s = a } }"
        #expect(fixture("cert = both.pem reload = '7s'", sites: sites).load().settings?.materialReloadMilliseconds == 2_000)
        #expect(fixture("cert = both.pem").load().settings?.materialReloadMilliseconds == 10_000)
        #expect(ConfigurationFixture(server("")).load().settings?.materialReloadMilliseconds == nil)
    }
}

extension TLSSettings {
    /// Without the places of words.
    fileprivate var placeless: TLSSettings {
        func bare(_ file: File) -> File { File(path: file.path, location: .none, bytes: file.bytes) }
        var copy = self
        copy.identities = identities.map { Identity(certificate: bare($0.certificate), key: bare($0.key), staple: $0.staple.map(bare)) }
        copy.authorities = authorities.map(bare)
        copy.ticketKeys = ticketKeys.map(bare)
        copy.revocations?.files = revocations?.files.map(bare) ?? []
        return copy
    }
}
