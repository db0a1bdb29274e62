@testable import Proxy

/// Files that look like certificates and their like, as far as reading a configuration looks.
enum FakeMaterial {
    static func pem(_ labels: String...) -> String {
        labels.map { "-----BEGIN \($0)-----\nMIIB\n-----END \($0)-----\n" }.joined()
    }

    static let certificate = pem("CERTIFICATE")
    static let key = pem("PRIVATE KEY")

    /// Whatever a file of that name might be used for.
    static func bytes(_ path: String) -> [UInt8] {
        if path.hasSuffix(".ticket") { return [UInt8](repeating: 7, count: 80) }
        if path.hasSuffix(".ocsp") { return [0x30, 3, 1, 2, 3] }
        return Array(pem("CERTIFICATE", "PRIVATE KEY", "X509 CRL").utf8)
    }
}
