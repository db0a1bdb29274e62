import Glibc

/// Where the settings of a run come from, with all texts, so that another process can read them again without rights.
enum ConfigurationSource: Sendable, Equatable {
    /// A file, the text of every file that was read for it, and the certificates and their like that it names.
    case file(path: String, texts: [SourceText], materials: [Material] = [])
    /// The quick reverse proxy of the command line.
    case quick(listen: [String], to: [String])

    struct SourceText: Sendable, Equatable {
        var path: String
        var bytes: [UInt8]
    }

    /// Reads the settings; every text that is read from the disk is kept, so that `self` can be read again anywhere.
    mutating func loadRecording() -> (settings: GlobalSettings?, diagnostics: [Diagnostic]) {
        guard case .file(let path, _, _) = self else { return load() }
        let recorder = Recorder()
        let materials = MaterialRecorder()
        let loaded = loadConfiguration(
            path: path, environment: currentEnvironment(), foreign: .ofTheProduct, materials: materials.reader
        ) { path throws(ReadFailure) in
            let bytes = try readConfigurationFile(path)
            recorder.texts.append(SourceText(path: path, bytes: bytes))
            return bytes
        }
        self = .file(path: path, texts: recorder.texts, materials: materials.materials)
        return loaded
    }

    /// Reads certificates and their like from the disk again, for the texts that are kept: an edited configuration stays out.
    mutating func refreshMaterials() -> (settings: GlobalSettings?, diagnostics: [Diagnostic]) {
        guard case .file(let path, let texts, _) = self else { return load() }
        let materials = MaterialRecorder()
        let loaded = load(path, texts, materials.reader)
        self = .file(path: path, texts: texts, materials: materials.materials)
        return loaded
    }

    /// Reads the settings from the kept texts alone.
    func load() -> (settings: GlobalSettings?, diagnostics: [Diagnostic]) {
        switch self {
        case .quick(let listen, let to): GlobalSettings.quick(listen: listen, to: to)
        case .file(let path, let texts, let materials): load(path, texts, .kept(materials))
        }
    }

    private func load(
        _ path: String, _ texts: [SourceText], _ materials: MaterialReader
    ) -> (settings: GlobalSettings?, diagnostics: [Diagnostic]) {
        loadConfiguration(
            path: path, environment: currentEnvironment(), foreign: .ofTheProduct, materials: materials
        ) { path throws(ReadFailure) in
            guard let known = texts.first(where: { $0.path == path }) else {
                throw ReadFailure(reason: "it was not read by the supervisor")
            }
            return known.bytes
        }
    }

    /// The same source with whole paths, to be found again from another working directory.
    func anchored(at directory: String) -> ConfigurationSource {
        guard case .file(let path, let texts, let materials) = self else { return self }
        func whole(_ path: String) -> String { path.hasPrefix("/") ? path : directory + "/" + path }
        return .file(
            path: whole(path), texts: texts.map { SourceText(path: whole($0.path), bytes: $0.bytes) },
            materials: materials.map { Material(path: whole($0.path), content: $0.content, seen: $0.seen) })
    }

    /// A little more than it takes to write all this down, and what else goes with it.
    private var byteCount: Int {
        guard case .file(let path, let texts, let materials) = self else { return 0 }
        let slack = 64 * 1024
        return texts.reduce(slack + path.utf8.count) { $0 + $1.path.utf8.count + $1.bytes.count + 16 }
            + materials.reduce(0) { sum, material in
                let content: Int
                switch material.content {
                case .file(let bytes): content = bytes.count
                case .directory(let names): content = names.reduce(0) { $0 + $1.utf8.count + 8 }
                }
                return sum + material.path.utf8.count + content + 32
            }
    }

    private final class Recorder {
        var texts: [SourceText] = []
    }

    func encode(into writer: inout HandoverWriter) {
        switch self {
        case .file(let path, let texts, let materials):
            writer.reserve(byteCount)
            writer.put(0)
            writer.put(path)
            writer.put(texts.map(\.path))
            for text in texts { writer.put(text.bytes) }
            writer.put(materials.count)
            for material in materials { material.encode(into: &writer) }
        case .quick(let listen, let to):
            writer.put(1)
            writer.put(listen)
            writer.put(to)
        }
    }

    init?(from reader: inout HandoverReader) {
        switch reader.number() {
        case 0:
            guard let path = reader.text(), let paths = reader.texts() else { return nil }
            var texts: [SourceText] = []
            for path in paths {
                guard let bytes = reader.block() else { return nil }
                texts.append(SourceText(path: path, bytes: bytes))
            }
            guard let count = reader.count() else { return nil }
            var materials: [Material] = []
            for _ in 0..<count {
                guard let material = Material(from: &reader) else { return nil }
                materials.append(material)
            }
            self = .file(path: path, texts: texts, materials: materials)
        case 1:
            guard let listen = reader.texts(), let to = reader.texts() else { return nil }
            self = .quick(listen: listen, to: to)
        default:
            return nil
        }
    }
}

/// The whole of a file as text; nil when it cannot be read, with errno telling why.
func readTextFile(_ path: String) -> String? {
    readBytes(path).map { String(decoding: $0, as: UTF8.self) }
}

/// The whole of a file; files of /proc and /sys too, which have no size.
func readBytes(_ path: String) -> [UInt8]? {
    let descriptor = open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { return nil }
    defer { close(descriptor) }
    return readToEnd(descriptor)
}

func readToEnd(_ descriptor: Int32) -> [UInt8]? {
    var bytes: [UInt8] = []
    var chunk = [UInt8](repeating: 0, count: 64 * 1024)
    while true {
        let count = read(descriptor, &chunk, chunk.count)
        if count > 0 {
            bytes.append(contentsOf: chunk[..<count])
        } else if count == 0 {
            return bytes
        } else if errno != EINTR {
            return nil
        }
    }
}

extension ForeignTexts {
    /// In the words of the rooms that will use the texts.
    static var ofTheProduct: ForeignTexts {
        ForeignTexts(
            format: { text in failure(LogFormat.compile(text)) { $0.release() }?.description },
            pattern: { Pattern.complaint(about: $0)?.sentence },
            groups: { Pattern.groupCount(of: $0) },
            value: { text in failure(ValueFormat.compile(text, style: .value)) { $0.release() }?.sentence },
            target: { text in failure(ValueFormat.compile(text, style: .target)) { $0.release() }?.sentence },
            network: { text in
                do throws(AddressBlockError) {
                    _ = try AddressBlock(text)
                    return nil
                } catch {
                    return error.sentence
                }
            },
            tls: { settings in
                verdict { () throws(TLSComplaint) in
                    guard let secret = TLSTicketSecret.random() else { throw TLSComplaint(sentence: "there are no random bytes to be had") }
                    return try TLSContext(TLSMaterial(settings, scope: ""), secret: secret, sessions: nil)
                }
            },
            backendTLS: { settings in verdict { () throws(TLSComplaint) in try TLSContext(backend: TLSBackendMaterial(settings)) } })
    }

    /// What the TLS room says of a section, by trying it.
    private static func verdict(_ make: () throws(TLSComplaint) -> TLSContext) -> Verdict {
        do throws(TLSComplaint) {
            return Verdict(warnings: try make().warnings)
        } catch {
            return Verdict(errors: [error.sentence])
        }
    }

    private static func failure<Format>(
        _ result: Result<Format, LogFormatFailure>, release: (Format) -> Void
    ) -> LogFormatFailure? {
        switch result {
        case .failure(let failure): return failure
        case .success(let format):
            release(format)
            return nil
        }
    }
}
