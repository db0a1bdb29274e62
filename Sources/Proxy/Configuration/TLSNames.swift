/// Names of ciphers, suites and groups as OpenSSL 3.0 has them, and which of them may still be used.
///
/// A list from the days of RProxy keeps what is safe in it: the rest is named in a warning and left out. What is merely
/// old (CBC, no forward secrecy) stays where somebody names it.
struct TLSNameList {
    /// What is left, with colons between.
    private(set) var text = ""
    /// Names of what cannot be used any more.
    private(set) var unsafe: [String] = []
    private(set) var unknown: [String] = []
    private(set) var isEmpty = true

    /// Sentences that follow the name of the setting.
    var warnings: [String] {
        var sentences: [String] = []
        if !unsafe.isEmpty { sentences.append("names \(enumerated(unsafe)), which \(unsafe.count == 1 ? "is" : "are") not safe any more and left out") }
        if !unknown.isEmpty { sentences.append("names \(enumerated(unknown)), which nobody knows; left out\(hint)") }
        return sentences
    }

    private var hint = ""

    private func enumerated(_ names: [String]) -> String {
        names.count > 8 ? names.prefix(8).joined(separator: ", ") + " and \(names.count - 8) more" : names.joined(separator: ", ")
    }

    /// A list of ciphers of TLS 1.2 (see ciphers(1)).
    static func ciphers(_ text: String) -> TLSNameList {
        var list = TLSNameList()
        var elements: [String] = []
        var usesGroups = false
        for element in names(in: text) {
            let operation = element.first.flatMap { "!-+".contains($0) ? $0 : nil }
            let parts = (operation == nil ? element[...] : element.dropFirst()).split(separator: "+", omittingEmptySubsequences: false).map(String.init)
            if element.hasPrefix("@") {
                // A level below 2 would let in what is not safe.
                if element == "@STRENGTH" || ["2", "3", "4", "5"].contains(where: { element == "@SECLEVEL=\($0)" }) {
                    elements.append(element)
                } else {
                    list.unsafe.append(element)
                }
            } else if operation == "!" || operation == "-" {
                // What is taken away may be anything: nothing is allowed by it.
                if parts.allSatisfy(isNameText) { elements.append(element) } else { list.unknown.append(element) }
            } else if parts.contains(where: { unsafeParts.contains($0.uppercased()) || $0.split(separator: "-").contains { unsafeParts.contains($0.uppercased()) } }) {
                list.unsafe.append(element)
            } else if parts.count == 1, operation == nil, knownCiphers.contains(element) {
                elements.append(element)
                list.isEmpty = false
            } else if parts.allSatisfy({ cipherGroups.contains($0) || knownCiphers.contains($0) }) {
                elements.append(element)
                if operation == nil {
                    usesGroups = true
                    list.isEmpty = false
                }
            } else {
                list.suggest(for: element, among: knownCiphers.union(cipherGroups))
            }
        }
        // A group of ciphers may hold what nobody would name.
        if usesGroups { for name in excluded where !elements.contains(name) { elements.append(name) } }
        list.text = elements.joined(separator: ":")
        return list
    }

    /// Cipher suites of TLS 1.3.
    static func suites(_ text: String) -> TLSNameList { plain(text, known: knownSuites, canonical: { $0 }) }

    /// Groups for the key exchange, which most people call curves.
    static func curves(_ text: String) -> TLSNameList {
        plain(text, known: Array(Set(curveNames.values)) + curveNames.keys) { curveNames[$0.lowercased()] ?? $0 }
    }

    private static func plain(_ text: String, known: [String], canonical: (String) -> String) -> TLSNameList {
        var list = TLSNameList()
        var elements: [String] = []
        for name in names(in: text) {
            let meant = canonical(name)
            if let right = known.first(where: { $0.lowercased() == meant.lowercased() }) {
                if !elements.contains(right) { elements.append(right) }
                list.isEmpty = false
            } else {
                list.suggest(for: name, among: Set(known))
            }
        }
        list.text = elements.joined(separator: ":")
        return list
    }

    private mutating func suggest(for name: String, among known: Set<String>) {
        unknown.append(name)
        if hint.isEmpty, let near = nearest(to: name.uppercased(), among: known.sorted()) { hint = "; did you mean '\(near)'?" }
    }

    /// OpenSSL takes any of these between names.
    private static func names(in text: String) -> [String] { text.split(whereSeparator: { ":, ;\t\r\n".contains($0) }).map(String.init) }
}

private func isNameText(_ text: String) -> Bool {
    !text.isEmpty
        && text.utf8.allSatisfy { byte in
            (byte | 0x20) >= UInt8(ascii: "a") && (byte | 0x20) <= UInt8(ascii: "z") || byte >= UInt8(ascii: "0") && byte <= UInt8(ascii: "9")
                || byte == UInt8(ascii: "-") || byte == UInt8(ascii: "_") || byte == UInt8(ascii: ".")
        }
}

private let excluded = ["!aNULL", "!eNULL", "!EXPORT", "!RC4", "!MD5", "!DES", "!3DES", "!SEED", "!IDEA", "!PSK", "!SRP"]

/// A name with one of these, whole or between its hyphens, is left out.
private let unsafeParts: Set<String> = [
    "RC4", "RC2", "MD5", "DES", "3DES", "CBC3", "NULL", "ENULL", "ANULL", "ADH", "AECDH", "EXP", "EXPORT", "EXPORT40", "EXPORT56", "EXP1024", "LOW",
    "MEDIUM", "SEED", "IDEA", "GOST94", "GOST89", "GOST2001", "COMPLEMENTOFALL", "COMPLEMENTOFDEFAULT", "SSLV2", "PSK", "SRP", "KRB5", "FORTEZZA", "KFZA",
]

/// Words of ciphers(1) for many ciphers at once.
private let cipherGroups: Set<String> = [
    "ALL", "DEFAULT", "HIGH", "ECDHE", "EECDH", "kECDHE", "kEECDH", "DHE", "EDH", "kDHE", "kEDH", "RSA", "aRSA", "kRSA", "ECDSA", "aECDSA", "AES",
    "AES128", "AES256", "AESGCM", "AESCCM", "AESCCM8", "CHACHA20", "CAMELLIA", "CAMELLIA128", "CAMELLIA256", "ARIA", "ARIA128", "ARIA256", "ARIAGCM",
    "SHA", "SHA1", "SHA256", "SHA384", "SSLv3", "TLSv1", "TLSv1.0", "TLSv1.2",
]

private let knownCiphers: Set<String> = {
    var names: Set<String> = [
        "ECDHE-ECDSA-CHACHA20-POLY1305", "ECDHE-RSA-CHACHA20-POLY1305", "DHE-RSA-CHACHA20-POLY1305", "ECDHE-ARIA128-GCM-SHA256", "ECDHE-ARIA256-GCM-SHA384",
        "ECDHE-ECDSA-ARIA128-GCM-SHA256", "ECDHE-ECDSA-ARIA256-GCM-SHA384", "DHE-RSA-ARIA128-GCM-SHA256", "DHE-RSA-ARIA256-GCM-SHA384",
        "ARIA128-GCM-SHA256", "ARIA256-GCM-SHA384",
    ]
    for exchange in ["ECDHE-ECDSA-", "ECDHE-RSA-", "DHE-RSA-", ""] {
        for (bits, hash) in [("128", "256"), ("256", "384")] {
            names.insert("\(exchange)AES\(bits)-GCM-SHA\(hash)")
            names.insert("\(exchange)AES\(bits)-SHA")
            names.insert("\(exchange)AES\(bits)-SHA\(exchange.hasPrefix("EC") ? hash : "256")")
            names.insert("\(exchange)CAMELLIA\(bits)-SHA\(exchange.hasPrefix("EC") ? hash : "256")")
            if !exchange.hasPrefix("EC") { names.insert("\(exchange)CAMELLIA\(bits)-SHA") }
            if exchange != "ECDHE-RSA-" {
                names.insert("\(exchange)AES\(bits)-CCM")
                names.insert("\(exchange)AES\(bits)-CCM8")
            }
        }
    }
    return names
}()

private let knownSuites = [
    "TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256", "TLS_AES_128_CCM_SHA256", "TLS_AES_128_CCM_8_SHA256",
]

/// By what people call them, in small letters; 112 bits of security at least.
private let curveNames = [
    "x25519": "X25519", "x448": "X448", "prime256v1": "prime256v1", "p-256": "prime256v1", "secp256r1": "prime256v1", "secp384r1": "secp384r1",
    "p-384": "secp384r1", "secp521r1": "secp521r1", "p-521": "secp521r1", "brainpoolp256r1": "brainpoolP256r1", "brainpoolp384r1": "brainpoolP384r1",
    "brainpoolp512r1": "brainpoolP512r1", "ffdhe2048": "ffdhe2048", "ffdhe3072": "ffdhe3072", "ffdhe4096": "ffdhe4096", "ffdhe6144": "ffdhe6144",
    "ffdhe8192": "ffdhe8192",
]
