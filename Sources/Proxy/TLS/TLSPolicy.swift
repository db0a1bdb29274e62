import COpenSSL

/// A ready choice of versions, suites and groups, after Mozilla's recommendations of the same names.
///
/// Both have forward secrecy and authenticated encryption only.
enum TLSPolicy: UInt8, Sendable {
    /// TLS 1.2 and 1.3: everything that has been made since 2014.
    case intermediate
    /// TLS 1.3 alone.
    case modern

    var versionMin: TLSVersion { self == .modern ? .tls13 : .tls12 }
    var versionMax: TLSVersion { .tls13 }
    /// For TLS 1.2; also with `modern`, where somebody has widened the versions.
    var cipherNames: String {
        """
        ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:\
        ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305
        """
    }
    var suiteNames: String { "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256" }
    var curveNames: String { "X25519:prime256v1:secp384r1" }
}

/// What remains of a list of suites that an operator wrote.
struct SiftedCiphers {
    /// For OpenSSL; nil = nothing is left.
    var list: String?
    /// What was left out, as it was written.
    var dropped: [String] = []

    /// Never, whatever an alias such as HIGH would bring along.
    private static let exclusions = "!aNULL:!eNULL:!EXPORT:!LOW:!DES:!3DES:!RC4:!RC2:!MD5:!IDEA:!SEED:!PSK:!SRP:!kDH:!SSLv2"

    /// Levels of security that ask no less than OpenSSL does by itself.
    static let levels = ["@SECLEVEL=2", "@SECLEVEL=3", "@SECLEVEL=4", "@SECLEVEL=5"]

    /// - Parameter names: OpenSSL's format for lists: names, aliases, and orders such as `!MD5`.
    init(_ names: String) {
        guard let scratch = SSL_CTX_new(TLS_method()) else { return }
        defer { SSL_CTX_free(scratch) }
        var kept: [Substring] = []
        var keepsAny = false
        for name in names.split(whereSeparator: { ":, ".contains($0) }) {
            // Orders take away or move: they can't do harm. A level that is too low can.
            if let first = name.first, "!-+@".contains(first) {
                if name.hasPrefix("@SECLEVEL"), !Self.levels.contains(String(name)) { dropped.append(String(name)) } else { kept.append(name) }
                continue
            }
            guard SSL_CTX_set_cipher_list(scratch, "\(name):\(Self.exclusions)") == 1 else {
                ERR_clear_error()
                dropped.append(String(name))
                continue
            }
            kept.append(name)
            keepsAny = true
        }
        guard keepsAny else { return }
        let list = (kept.map(String.init) + [Self.exclusions]).joined(separator: ":")
        // Orders may have taken away everything.
        if SSL_CTX_set_cipher_list(scratch, list) == 1 { self.list = list } else { ERR_clear_error() }
    }
}
