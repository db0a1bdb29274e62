import TestSupport
import Testing

@testable import Proxy

@Suite("What TLS contexts are made of")
struct MaterialTests {
    private func complaint(_ change: (inout TLSMaterial) -> Void) -> String {
        do throws(TLSComplaint) {
            _ = try TLSContext(Materials.server(change), secret: Materials.secret, sessions: nil)
            return ""
        } catch { return error.sentence }
    }

    private func warnings(_ change: (inout TLSMaterial) -> Void) throws -> [String] { try TLSContext.serving(change).warnings }

    @Test("the run's certificates are taken without a word")
    func good() throws {
        #expect(try warnings { _ in } == [])
        #expect(try TLSContext.asking().warnings == [])
    }

    @Test("a key that does not belong to its certificate")
    func wrongKey() {
        let sentence = complaint { $0.identities[0].key = Materials.file("other.key", Materials.made.rsa.keyPEM) }
        #expect(sentence == "the key in other.key does not belong to the first certificate in chain.pem: name the key that it was made with")
        let order = complaint {
            $0.identities[0].chain = Materials.file("chain.pem", Materials.made.intermediate.pem + Materials.made.ecdsa.pem)
        }
        #expect(order.contains("which must come first"))
    }

    @Test("files that hold no certificate, no key, a locked key or half a chain")
    func files() {
        #expect(complaint { $0.identities[0].chain = Materials.file("a.pem", "nothing") }.hasPrefix("a.pem holds no certificate"))
        #expect(complaint { $0.identities[0].key = Materials.file("a.key", "nothing") }.hasPrefix("a.key holds no private key"))
        #expect(complaint { $0.identities[0].key = Materials.file("a.key", Materials.made.ecdsa.lockedKeyPEM) }.contains("locked with a passphrase"))
        let half = Materials.made.ecdsa.pem + Materials.made.intermediate.pem.prefix(300)
        #expect(complaint { $0.identities[0].chain = Materials.file("a.pem", half) }.contains("is the file complete?"))
        #expect(complaint { $0.identities = [] }.contains("needs a certificate"))
    }

    @Test("one file may hold certificate and key")
    func oneFile() throws {
        let both = Materials.file("both.pem", Materials.made.ecdsa.keyPEM + Materials.made.ecdsa.chainPEM)
        #expect(TLSPeers(try .asking(), try .serving { $0.identities = [TLSIdentity(chain: both, key: both)] }).shakeHands())
    }

    @Test("two certificates with keys of the same kind")
    func sameKind() {
        #expect(complaint { $0.identities.append(Materials.identity(Materials.made.other)) }.contains("of the same kind"))
    }

    @Test("a certificate that is past its time is taken with a warning")
    func expired() throws {
        #expect(try warnings { $0.identities = [Materials.identity(Materials.made.expired)] }.first?.contains("has expired") == true)
    }

    @Test("certificates of clients without anybody who is trusted")
    func noAuthority() {
        #expect(complaint { $0.clientCertificates = .requested }.contains("nobody is trusted"))
        let sentence = complaint {
            $0.clientCertificates = .requested
            $0.authorities = [Materials.file("ca.pem", "x")]
        }
        #expect(sentence.hasPrefix("ca.pem holds no certificate"))
    }

    @Test("lists of revoked certificates, PEM and otherwise")
    func lists() throws {
        func material(_ list: String) -> (inout TLSMaterial) -> Void {
            {
                $0.clientCertificates = .requested
                $0.authorities = [Materials.file("ca.pem", Materials.made.authority.pem)]
                $0.revocationLists = [Materials.file("a.crl", list)]
            }
        }
        #expect(complaint(material("nonsense")).hasPrefix("a.crl holds no list"))
        #expect(try warnings(material(Materials.made.expiredRevocationList)).first?.contains("past its time") == true)
        #expect(try warnings(material(Materials.made.revocationList)) == [])
        let broken = Materials.made.authority.revocationList([]) + "-----BEGIN X509 CRL-----\nMIIB\n-----END X509 CRL-----\n"
        #expect(complaint(material(broken)).hasPrefix("a.crl: what follows list 1"))
    }

    @Test("keys for tickets have 48 or 80 bytes", arguments: [0, 47, 49, 79, 81])
    func ticketKeys(count: Int) {
        let sentence = complaint { $0.ticketKeys = [TLSFile(name: "a.key", bytes: Bytes(repeating: 1, count: count))] }
        #expect(sentence.hasPrefix("a.key has \(count) bytes, and a key for tickets has 80"))
    }

    @Test("object identifiers are numbers with dots")
    func identifiers() {
        let sentence = complaint {
            $0.clientCertificates = .requested
            $0.authorities = [Materials.file("ca.pem", Materials.made.authority.pem)]
            $0.certificateExtensions = ["1.2.3", "what"]
        }
        #expect(sentence.hasPrefix("'what' is no object identifier"))
    }

    @Test("responses about certificates are read before they are given out")
    func staples() throws {
        #expect(complaint { $0.identities[0].staple = Materials.file("a.der", "x") }.hasPrefix("a.der is no OCSP response"))
        let old = Materials.made.intermediate.staple(about: Materials.made.ecdsa, untilDays: -1)
        #expect(try warnings { $0.identities[0].staple = TLSFile(name: "a.der", bytes: old) }.first?.contains("past its time") == true)
    }

    @Test("of a response the part about the certificate counts; one about others is left unused, and one that is not good is a complaint")
    func stapleParts() throws {
        let issuer = Materials.made.intermediate
        func staple(_ bytes: Bytes) -> (inout TLSMaterial) -> Void {
            { $0.identities[0].staple = TLSFile(name: "a.der", bytes: bytes) }
        }
        #expect(try warnings(staple(issuer.staple(about: Materials.made.ecdsa, behind: [Materials.made.rsa]))) == [])
        let old = issuer.staple(about: Materials.made.ecdsa, behind: [Materials.made.rsa], untilDays: -1)
        #expect(try warnings(staple(old)).first?.contains("past its time") == true)
        let stranger = issuer.staple(about: Materials.made.rsa)
        #expect(try warnings(staple(stranger)).first?.hasPrefix("a.der is an OCSP response about another certificate") == true)
        let peers = TLSPeers(try .asking(), try .serving(staple(stranger)))
        peers.client.askForStaple()
        #expect(peers.shakeHands() && peers.client.staple.isEmpty)
        #expect(complaint(staple(issuer.staple(about: Materials.made.ecdsa, isGood: false))).contains("calls the certificate revoked"))
    }

    @Test("a response is found by its serial number where the chain does not hold the issuer")
    func stapleWithoutIssuer() throws {
        let made = Materials.made
        func identity(_ staple: Bytes) -> TLSIdentity {
            TLSIdentity(
                chain: Materials.file("leaf.pem", made.ecdsa.pem), key: Materials.file("key.pem", made.ecdsa.keyPEM),
                staple: TLSFile(name: "a.der", bytes: staple))
        }
        let own = identity(made.intermediate.staple(about: made.ecdsa))
        #expect(try warnings { $0.identities = [own] } == [])
        let stranger = identity(made.intermediate.staple(about: made.rsa))
        #expect(try warnings { $0.identities = [stranger] }.first?.contains("about another certificate") == true)
    }

    @Test("ciphers with DHE are spoken where they are named")
    func finiteFields() throws {
        let client = try TLSContext.asking {
            $0.versionMax = .tls12
            $0.cipherNames = "DHE-RSA-AES128-GCM-SHA256"
        }
        let server = try TLSContext.serving {
            $0.identities = [Materials.identity(Materials.made.rsa)]
            $0.cipherNames = "DHE-RSA-AES128-GCM-SHA256"
        }
        let peers = TLSPeers(client, server)
        #expect(peers.shakeHands() && peers.server.cipherName.text == "DHE-RSA-AES128-GCM-SHA256")
        // The policy does not name them.
        let strict = TLSPeers(client, try .serving { $0.identities = [Materials.identity(Materials.made.rsa)] })
        #expect(!strict.shakeHands() && strict.server.failure == .noSharedCipher)
    }

    @Test("a level of security is asked of certificates, and one below OpenSSL's own is left out with a warning")
    func securityLevels() throws {
        #expect(try warnings { $0.cipherNames = "ECDHE-ECDSA-AES256-GCM-SHA384:@SECLEVEL=3" } == [])
        #expect(complaint { $0.cipherNames = "ECDHE-ECDSA-AES256-GCM-SHA384:@SECLEVEL=4" }.contains("too weak"))
        #expect(SiftedCiphers("HIGH:@SECLEVEL=1").dropped == ["@SECLEVEL=1"])
    }

    @Test("ciphers that are insecure or unknown are left out with a warning, and it is a complaint when none is left")
    func ciphers() throws {
        let kept = try warnings { $0.cipherNames = "RC4-SHA:ECDHE-ECDSA-AES128-GCM-SHA256:DES-CBC3-SHA:NULL-SHA256:NOSUCH" }
        #expect(kept.map { $0.split(separator: "'")[1] } == ["RC4-SHA", "DES-CBC3-SHA", "NULL-SHA256", "NOSUCH"])
        #expect(complaint { $0.cipherNames = "RC4-SHA:RC4-MD5" }.hasPrefix("none of the ciphers"))
        #expect(complaint { $0.cipherNames = "" }.hasPrefix("none of the ciphers"))
        // The list that RProxy had when none was written.
        let old = """
            ECDHE-RSA-AES128-GCM-SHA256:ECDHE-RSA-AES256-GCM-SHA384:ECDHE-RSA-RC4-SHA:ECDHE-RSA-AES128-SHA:RC4-SHA:RC4-MD5:\
            ECDHE-RSA-AES256-SHA:AES256-SHA:ECDHE-RSA-DES-CBC3-SHA:DES-CBC3-SHA:AES128-SHA
            """
        #expect(try warnings { $0.cipherNames = old }.count == 5)
        #expect(try warnings { $0.cipherNames = "HIGH:!aNULL:@STRENGTH" } == [])
        let aliases = SiftedCiphers("ALL:@SECLEVEL=0")
        #expect(aliases.list?.contains("SECLEVEL") == false)
    }

    @Test("suites of TLS 1.3 and curves likewise")
    func suites() throws {
        #expect(try warnings { $0.suiteNames = "TLS_AES_256_GCM_SHA384:TLS_NO" }.count == 1)
        #expect(complaint { $0.suiteNames = "TLS_NO" }.contains("none of the TLS 1.3 suites"))
        #expect(try warnings { $0.curveNames = "prime256v1:nosuch" }.count == 1)
        #expect(complaint { $0.curveNames = "nosuch" }.contains("none of the curves"))
        let peers = TLSPeers(try .asking(), try .serving { $0.suiteNames = "TLS_CHACHA20_POLY1305_SHA256" })
        #expect(peers.shakeHands() && peers.server.cipherName.text == "TLS_CHACHA20_POLY1305_SHA256")
    }

    @Test("versions in the wrong order")
    func versions() throws {
        let sentence = complaint {
            $0.versionMin = .tls13
            $0.versionMax = .tls12
        }
        #expect(sentence == "the oldest version allowed, TLSv1.3, is newer than the newest, TLSv1.2")
        // A policy is narrowed and widened.
        _ = try TLSContext.serving {
            $0.policy = .modern
            $0.versionMax = .tls12
        }
    }

    @Test("contexts leave nothing behind, made well or badly")
    func nothingLeft() throws {
        for _ in 0..<50 {
            _ = complaint { $0.identities.append(Materials.identity(Materials.made.other)) }
            _ = try TLSContext.serving(sessions: TLSSessionCache(countMax: 10, seconds: 1)) {
                $0.identities[0].staple = TLSFile(name: "a.der", bytes: Materials.made.intermediate.staple(about: Materials.made.ecdsa))
            }
        }
    }
}
