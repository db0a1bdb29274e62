/// weir.conf(5) in the language of man(7): the language in short, then every word of every section, from the same rows as
/// docs/CONFIGURATION.md.
func settingsManual(version: String) -> String {
    let entries = configurationRows.entries(path: [])
    var page = ManualText(name: "weir.conf", section: 5, version: version, book: "File Formats")
    page.section("NAME")
    page.text("weir.conf - configuration of the edge proxy weir(1)")
    page.section("DESCRIPTION")
    for paragraph in introduction { page.paragraph(paragraph) }
    for path in sectionPaths(entries) {
        page.section(path.isEmpty ? "TOP LEVEL" : path.joined(separator: " / "))
        if let header = entries.first(where: { $0.isSection && $0.path + [$0.word] == path }) { page.paragraph(header.sentence) }
        for entry in entries where entry.path == path { page.item(entry.word, entry.isSection ? "{ }" : "= \(entry.value)", body(entry)) }
    }
    page.section("SEE ALSO")
    page.text("weir(1), logrotate(8), systemd.service(5)")
    return page.text
}

private func body(_ entry: WordEntry) -> String {
    var text = entry.sentence
    if !entry.isSection { text += " Default: \(entry.defaultText)." }
    if entry.origin != .weir { text += " From \(entry.origin.rawValue)." }
    return text + (entry.statusText.map { " (\($0))" } ?? "")
}

private let introduction = [
    """
    A file is a sequence of statements: name = value, name = { value, value }, name += { value } (appends to a list), section { … } \
    and section title { … }. New lines mean no more than spaces, and nothing ends a statement. Names are case-insensitive. Comments \
    stand behind # and // and between /* and */.
    """,
    """
    Values need quotes when they contain spaces or one of # " ' = { } ( ) + , *. Sizes may have a unit in quotes ("64k", "5m", "1g"), \
    durations too ("250us", "1500ms", "30s", "5m", "1h"); a duration without one is in seconds. Truth is true, on, yes or false, off, no. \
    Within double quotes ${VAR} and ${VAR:-default} stand for variables of the environment.
    """,
    """
    include "file" stands wherever a statement may stand; its path is relative to the file that says it. Other relative paths begin \
    in the working directory (rootdir). Files of both dialects of RProxy are read as they are.
    """,
    """
    weir check FILE reports everything that is wrong with a file, weir check --print FILE what is in force and where each value came from.
    """,
]

/// Writes a page for man(1), each text with what the formatter would obey made harmless.
struct ManualText {
    private(set) var text: String

    init(name: String, section: Int, version: String, book: String) {
        text = ".\\\" Generated from the declarations of the program; see its manual sub-command.\n"
        text += ".TH \(name.uppercased()) \(section) \"\" \"weir \(version)\" \"\(book)\"\n"
    }

    mutating func section(_ title: String) { text += ".SH \"\(Self.escaped(title))\"\n" }
    mutating func subsection(_ title: String) { text += ".SS \"\(Self.escaped(title))\"\n" }
    mutating func text(_ line: String) { text += Self.line(line) + "\n" }

    mutating func paragraph(_ paragraph: String) { text += ".PP\n\(Self.line(paragraph))\n" }

    /// A word in bold with what stands behind it, and a text beneath.
    mutating func item(_ word: String, _ rest: String, _ body: String) {
        text += ".TP\n\\fB\(Self.escaped(word))\\fR\(rest.isEmpty ? "" : " " + Self.escaped(rest))\n\(Self.line(body))\n"
    }

    /// Lines as they are.
    mutating func example(_ lines: [String]) {
        text += ".PP\n.nf\n" + lines.map { Self.line($0) + "\n" }.joined() + ".fi\n"
    }

    private static func line(_ text: String) -> String {
        let escaped = escaped(text)
        return escaped.hasPrefix(".") || escaped.hasPrefix("'") ? "\\&" + escaped : escaped
    }

    private static func escaped(_ text: String) -> String {
        text.replacing("\\", with: "\\e").replacing("-", with: "\\-").replacing("'", with: "\\(aq").replacing("\"", with: "\\(dq")
            .replacing("^", with: "\\(ha").replacing("~", with: "\\(ti").replacing("…", with: "\\&...").replacing("`", with: "\\(ga")
            .replacing("\n", with: " ")
    }
}
