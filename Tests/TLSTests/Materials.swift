import TestSupport

@testable import Proxy

/// Materials as the tests need them, made of the run's certificates.
enum Materials {
    static let made = TestCertificates.shared
    static let secret = TLSTicketSecret(Bytes(0..<32))!

    static func file(_ name: String, _ text: String) -> TLSFile { TLSFile(name: name, bytes: Bytes(text)) }

    static func identity(_ one: MadeCertificate, staple: Bytes? = nil) -> TLSIdentity {
        TLSIdentity(
            chain: file("chain.pem", one.chainPEM), key: file("key.pem", one.keyPEM), staple: staple.map { TLSFile(name: "staple.der", bytes: $0) })
    }

    static func server(_ change: (inout TLSMaterial) -> Void = { _ in }) -> TLSMaterial {
        var material = TLSMaterial(identities: [identity(made.ecdsa)])
        change(&material)
        return material
    }

    static func client(_ change: (inout TLSBackendMaterial) -> Void = { _ in }) -> TLSBackendMaterial {
        var material = TLSBackendMaterial(authorities: [file("ca.pem", made.authority.pem)])
        change(&material)
        return material
    }
}

extension TLSFile {
    init(name: String, bytes: Bytes) { self.init(name: name, bytes: SecretBytes(bytes)) }
}

extension TLSContext {
    /// A server's context of the run's certificates.
    static func serving(
        secret: TLSTicketSecret = Materials.secret, sessions: TLSSessionCache? = nil, _ change: (inout TLSMaterial) -> Void = { _ in }
    ) throws -> TLSContext { try TLSContext(Materials.server(change), secret: secret, sessions: sessions) }

    static func asking(_ change: (inout TLSBackendMaterial) -> Void = { _ in }) throws -> TLSContext {
        try TLSContext(backend: Materials.client(change))
    }
}
