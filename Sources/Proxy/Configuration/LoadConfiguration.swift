import Glibc

/// Reads and checks a configuration file with everything it includes.
///
/// - Parameters:
///   - environment: for `${VAR}` in values.
///   - foreign: what is wrong with texts in other languages, such as the formats of logs; asked for each that is written.
///   - read: gives the bytes of a path: from the disk, or from a bundle that was recorded before rights were dropped.
///   - materials: gives certificates and their like; nil = `read` does.
/// - Returns: all errors and warnings in the order of the files; settings are nil exactly when there is an error.
func loadConfiguration(
    path: String, environment: [String: String], foreign: ForeignTexts = ForeignTexts(), materials: MaterialReader? = nil,
    read: @escaping (String) throws(ReadFailure) -> [UInt8]
) -> (settings: GlobalSettings?, diagnostics: [Diagnostic]) {
    let loaded = LoadedConfiguration(path: path, environment: environment, foreign: foreign, materials: materials ?? .through(read), read: read)
    return (loaded.hasErrors ? nil : loaded.draft.settings, loaded.diagnostics)
}

/// The configuration that is in force when this file is loaded: every value and where it came from, for `weir check --print`.
///
/// The text is itself a configuration with the same meaning; nil when the file has an error.
func effectiveConfiguration(
    path: String, environment: [String: String], foreign: ForeignTexts = ForeignTexts(), materials: MaterialReader? = nil,
    read: @escaping (String) throws(ReadFailure) -> [UInt8]
) -> (text: String?, diagnostics: [Diagnostic]) {
    let loaded = LoadedConfiguration(path: path, environment: environment, foreign: foreign, materials: materials ?? .through(read), read: read)
    if loaded.hasErrors { return (nil, loaded.diagnostics) }
    var text = EffectiveText(origins: loaded.origins)
    configurationRows.show(loaded.draft, in: &text, key: "")
    return (text.text, loaded.diagnostics)
}

/// A configuration after reading, with what only the messages and the effective text need.
private struct LoadedConfiguration {
    var draft: ConfigurationDraft
    var diagnostics: [Diagnostic]
    var hasErrors: Bool
    var origins: [String: SourceLocation]

    init(
        path: String, environment: [String: String], foreign: ForeignTexts, materials: MaterialReader,
        read: @escaping (String) throws(ReadFailure) -> [UInt8]
    ) {
        let rows = configurationRows
        var parser = ConfigParser(environment: environment, read: read)
        let items = parser.parse(path: path)
        let reader = ConfigReader(diagnostics: parser.diagnostics, foreign: foreign, readFile: read, materials: materials)
        draft = rows.blank
        if !(items.isEmpty && parser.diagnostics.hasErrors) {  // of an unreadable file, more need not be said
            var place = SectionPlace()
            place.header.location = SourceLocation(file: path, line: 1, column: 1)
            reader.read(items, by: rows, into: &draft, at: place)
            reader.reportMixedDialects()
        }
        diagnostics = reader.diagnostics.sorted(fileOrder: parser.files)
        hasErrors = reader.diagnostics.hasErrors
        origins = reader.origins
    }
}

/// Reads a configuration file from the disk.
func readConfigurationFile(_ path: String) throws(ReadFailure) -> [UInt8] {
    let descriptor = open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { throw ReadFailure(reason: String(cString: strerror(errno))) }
    defer { close(descriptor) }
    var bytes: [UInt8] = []
    var block = [UInt8](repeating: 0, count: 65_536)
    while bytes.count <= ConfigParser.fileBytesMax {
        let count = block.withUnsafeMutableBytes { Glibc.read(descriptor, $0.baseAddress, $0.count) }
        if count == 0 { break }
        if count < 0 {
            if errno == EINTR { continue }
            throw ReadFailure(reason: String(cString: strerror(errno)))
        }
        bytes += block[..<count]
    }
    return bytes
}
