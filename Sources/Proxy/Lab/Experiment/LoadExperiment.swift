/// Reads the file of an experiment; all that is wrong at once, each with file, line and column.
///
/// - Returns: settings are nil exactly when there is an error.
func loadExperiment(
    path: String, environment: [String: String], read: @escaping (String) throws(ReadFailure) -> [UInt8]
) -> (settings: ExperimentSettings?, diagnostics: [Diagnostic]) {
    var (experiment, diagnostics) = readLabFile(path, by: experimentRows(), environment: environment, read: read)
    experiment?.name = fileName(path)
    experiment?.location = SourceLocation(file: path, line: 1, column: 1)
    return (experiment, diagnostics)
}

/// `tuning/experiments/pipe-size.conf` → `pipe-size`.
func fileName(_ path: String) -> String {
    let last = path.split(separator: "/").last.map(String.init) ?? path
    return last.hasSuffix(".conf") ? String(last.dropLast(5)) : last
}

/// Reads a file whose words are those of `rows`: a language of its own in the grammar of the configuration.
func readLabFile<Owner>(
    _ path: String, by rows: SectionRows<Owner>, environment: [String: String], read: @escaping (String) throws(ReadFailure) -> [UInt8]
) -> (settings: Owner?, diagnostics: [Diagnostic]) {
    var parser = ConfigParser(environment: environment, read: read)
    let items = parser.parse(path: path)
    let reader = ConfigReader(diagnostics: parser.diagnostics, foreign: ForeignTexts(), readFile: read)
    reader.allEntries = rows.entries(path: [])
    var owner = rows.blank
    if !(items.isEmpty && parser.diagnostics.hasErrors) {
        var place = SectionPlace()
        place.header.location = SourceLocation(file: path, line: 1, column: 1)
        reader.read(items, by: rows, into: &owner, at: place)
    }
    return (reader.diagnostics.hasErrors ? nil : owner, reader.diagnostics.sorted(fileOrder: parser.files))
}
