import TestSupport

@testable import Proxy

/// What a worker on a scripted ring and its clients need for TLS, made of the run's certificates.
enum ScriptedTLS {
    static let secret = TLSTicketSecret([UInt8](0..<32))!

    /// A server's section with one certificate.
    static func section(recordBytes: Int) -> TLSSettings {
        let made = TestCertificates.shared.ecdsa
        var section = TLSSettings()
        section.identities = [TLSSettings.Identity(certificate: file("chain.pem", made.chainPEM), key: file("key.pem", made.keyPEM))]
        section.recordBytes = recordBytes
        return section
    }

    /// What a client connects with, which trusts the run's authority.
    static func asking() throws -> TLSContext {
        let authority = TLSFile(name: "ca.pem", bytes: SecretBytes(Array(TestCertificates.shared.authority.pem.utf8)))
        return try TLSContext(backend: TLSBackendMaterial(authorities: [authority]))
    }

    private static func file(_ path: String, _ text: String) -> TLSSettings.File {
        TLSSettings.File(path: path, location: SourceLocation.none, bytes: SecretBytes(Array(text.utf8)))
    }
}
