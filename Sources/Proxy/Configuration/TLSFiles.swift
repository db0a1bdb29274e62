/// What a file that an `ssl` section names is for: how large it may be, and what must be in it.
///
/// Only the form is looked at here; whether a key belongs to its certificate is for those to say who use them.
enum TLSFileKind {
    case certificate, key, authorities, revocations, staple, ticketKey

    var bytesMax: Int {
        switch self {
        case .certificate, .staple: 256 * 1024
        case .key: 64 * 1024
        case .authorities: 8 << 20
        case .revocations: 32 << 20
        case .ticketKey: 4096
        }
    }

    /// What is wrong with the bytes; follows the path in a sentence.
    func complaint(about bytes: UnsafeRawBufferPointer) -> String? {
        switch self {
        case .certificate, .authorities:
            let text = PEMText(bytes)
            return text.isCut ? Self.cut : text.labels.contains(where: \.isCertificate) ? nil : "has no certificate in PEM form (BEGIN CERTIFICATE)"
        case .key:
            let text = PEMText(bytes)
            if text.isCut { return Self.cut }
            if text.hasEncryptedKey { return "has a key behind a passphrase, which nobody is there to type; 'openssl pkey' takes it off" }
            return text.labels.contains { $0.hasSuffix("PRIVATE KEY") } ? nil : "has no private key in PEM form (BEGIN PRIVATE KEY)"
        case .revocations:
            if bytes.first == Self.derSequence { return Self.derComplaint(bytes) }
            let text = PEMText(bytes)
            return text.isCut ? Self.cut : text.labels.contains("X509 CRL") ? nil : "has no list of revoked certificates (BEGIN X509 CRL, or DER)"
        case .staple:
            guard bytes.first == Self.derSequence else { return "is no OCSP response in DER form" }
            return Self.derComplaint(bytes)
        case .ticketKey:
            return bytes.count == 48 || bytes.count == 80
                ? nil : "has \(bytes.count) bytes; a ticket key has 80, or 48: openssl rand 80 > FILE"
        }
    }

    /// What becomes of a file in a directory of such files.
    enum Standing {
        case taken
        /// It is of another kind.
        case leftOut
        /// It is meant to be of the kind and is not: without it somebody would be trusted more, or less, than the operator wants.
        case refused(String)
    }

    func standing(of name: String, _ bytes: UnsafeRawBufferPointer) -> Standing {
        if bytes.isEmpty { return .refused("is empty; it may be being written right now") }
        let text = PEMText(bytes)
        if text.isCut { return .refused(Self.cut) }
        guard let complaint = self.complaint(about: bytes) else { return .taken }
        let ending = name.lowercased()
        if self == .revocations, ending.hasSuffix(".crl") { return .refused(complaint) }
        if !text.labels.isEmpty { return .leftOut }
        if Self.isLongDER(bytes) { return Self.derComplaint(bytes).map { Standing.refused($0) } ?? .leftOut }
        return text.isMarked || Self.endings.contains { ending.hasSuffix($0) } ? .refused(complaint) : .leftOut
    }

    /// Names that promise a certificate or a list.
    private static let endings = [".pem", ".crt", ".cer", ".crl", ".der"]
    private static let cut = "ends in the middle; it may be being written right now"
    private static let derSequence = UInt8(0x30)

    /// 128 bytes and more, as all certificates and lists have; text may begin with the same byte, a zero.
    private static func isLongDER(_ bytes: UnsafeRawBufferPointer) -> Bool { bytes.count >= 2 && bytes[0] == derSequence && bytes[1] >= 0x80 }

    /// The outermost length of DER says how many bytes there must be.
    private static func derComplaint(_ bytes: UnsafeRawBufferPointer) -> String? {
        guard bytes.count >= 2 else { return cut }
        var length = Int(bytes[1])
        var head = 2
        if length >= 0x80 {
            let more = length & 0x7f
            guard (1...4).contains(more) else { return "is no DER" }
            guard bytes.count >= 2 + more else { return cut }
            length = bytes[2..<(2 + more)].reduce(0) { $0 << 8 | Int($1) }
            head += more
        }
        return bytes.count < head + length ? cut : nil
    }
}

extension String {
    fileprivate var isCertificate: Bool { self == "CERTIFICATE" || self == "X509 CERTIFICATE" || self == "TRUSTED CERTIFICATE" }
}

/// The blocks of a file in PEM form (RFC 7468), by their labels.
struct PEMText {
    private(set) var labels: [String] = []
    private(set) var hasEncryptedKey = false
    /// The last block has no end.
    private(set) var isCut = false
    /// There is at least the beginning of a line that begins a block.
    private(set) var isMarked = false

    /// Reads the lines that begin and end blocks; what is between is not decoded.
    init(_ bytes: UnsafeRawBufferPointer) {
        var open: String?
        var hasHalfLine = false
        var position = 0
        isMarked = bytes.starts(with: "-----".utf8)
        while position < bytes.count {
            let end = bytes[position...].firstIndex(of: UInt8(ascii: "\n")) ?? bytes.count
            let line = bytes[position..<end]
            position = end + 1
            guard line.count >= 10, line.count <= 128 else { continue }
            if line.first == UInt8(ascii: "-") {
                let text = String(decoding: line, as: UTF8.self).split(whereSeparator: { $0 == "\r" || $0 == " " || $0 == "\t" }).joined(separator: " ")
                if text.hasPrefix("-----BEGIN") { isMarked = true }
                guard text.hasSuffix("-----") else {
                    hasHalfLine = hasHalfLine || text.hasPrefix("-----BEGIN ") && position > bytes.count
                    continue
                }
                if text.hasPrefix("-----BEGIN ") {
                    open = String(text.dropFirst(11).dropLast(5))
                } else if let label = open, text == "-----END \(label)-----" {
                    labels.append(label)
                    if label == "ENCRYPTED PRIVATE KEY" { hasEncryptedKey = true }
                    open = nil
                }
            } else if open != nil, line.count < 64, String(decoding: line, as: UTF8.self).hasPrefix("Proc-Type: 4,ENCRYPTED") {
                hasEncryptedKey = true
            }
        }
        isCut = open != nil || hasHalfLine
    }
}

extension ReadSection {
    /// The file that a word names; nil after an error at that word.
    func tlsFile(_ word: ConfigWord, _ setting: String, _ kind: TLSFileKind) -> TLSSettings.File? {
        do throws(ReadFailure) {
            let bytes = try reader.materials.file(word.text, bytesMax: kind.bytesMax)
            if let complaint = bytes.withBytes(kind.complaint) {
                reader.diagnostics.error(place(of: word), "'\(setting)': '\(word.text)' \(complaint)")
                return nil
            }
            return TLSSettings.File(path: word.text, location: place(of: word), bytes: bytes)
        } catch {
            reader.diagnostics.error(place(of: word), "'\(setting)': cannot read '\(word.text)': \(error.reason)")
            return nil
        }
    }

    /// The files of a directory that are of the kind; others are named in a warning, and it is an error when none is left, or when
    /// one is of the kind and cannot be used.
    ///
    /// - Parameter mayBeEmpty: nothing is missing when there is none.
    func tlsFiles(in word: ConfigWord, _ setting: String, _ kind: TLSFileKind, mayBeEmpty: Bool) -> [TLSSettings.File] {
        let names: [String]
        do throws(ReadFailure) {
            names = try reader.materials.directory(word.text)
        } catch {
            reader.diagnostics.error(place(of: word), "'\(setting)': cannot read the directory '\(word.text)': \(error.reason)")
            return []
        }
        var files: [TLSSettings.File] = []
        var skipped: [String] = []
        var isWhole = true
        for name in names {
            let path = filePath(name, in: word.text)
            do throws(ReadFailure) {
                let bytes = try reader.materials.file(path, bytesMax: kind.bytesMax)
                switch bytes.withBytes({ kind.standing(of: name, $0) }) {
                case .taken: files.append(TLSSettings.File(path: path, location: place(of: word), bytes: bytes))
                case .leftOut: skipped.append(name)
                case .refused(let complaint):
                    isWhole = false
                    reader.diagnostics.error(place(of: word), "'\(setting)': '\(path)' \(complaint)")
                }
            } catch {
                isWhole = false
                reader.diagnostics.error(place(of: word), "'\(setting)': cannot read '\(path)': \(error.reason)")
            }
        }
        if !skipped.isEmpty {
            let rest = skipped.count > 3 ? " and \(skipped.count - 3) more" : ""
            reader.diagnostics.warning(
                place(of: word),
                "'\(setting)': nothing usable in \(skipped.prefix(3).map { "'\($0)'" }.joined(separator: ", "))\(rest) of '\(word.text)'; left out")
        }
        if files.isEmpty, isWhole, !mayBeEmpty { reader.diagnostics.error(place(of: word), "'\(setting)': there is no certificate in '\(word.text)'") }
        return files
    }

    /// Paths of files begin where the file stands that names them.
    func resolved(_ words: [ConfigWord]) -> [ConfigWord] {
        words.map { word in
            var word = word
            word.text = ConfigParser.resolved(word.text, besides: word.location.file)
            return word
        }
    }

    private func place(of word: ConfigWord) -> SourceLocation { word.location == .none ? header : word.location }

    private var header: SourceLocation { place.header.location }

    /// Tells what the room says that will use the files, each sentence at the word that names the file it speaks of.
    func tell(_ verdict: ForeignTexts.Verdict, _ files: [TLSSettings.File]) {
        func location(_ sentence: String) -> SourceLocation {
            files.filter { sentence.contains($0.path) }.max { $0.path.utf8.count < $1.path.utf8.count }?.location ?? header
        }
        for sentence in verdict.errors { reader.tellOnce(.error, location(sentence), sentence) }
        for sentence in verdict.warnings { reader.tellOnce(.warning, location(sentence), sentence) }
    }
}

extension TLSSettings {
    /// Every file of the section.
    var files: [File] {
        identities.flatMap { [$0.certificate, $0.key] + ($0.staple.map { [$0] } ?? []) } + authorities + (revocations?.files ?? []) + ticketKeys
    }
}

extension BackendTLSSettings {
    var files: [TLSSettings.File] { authorities + (identity.map { [$0.certificate, $0.key] } ?? []) }
}
