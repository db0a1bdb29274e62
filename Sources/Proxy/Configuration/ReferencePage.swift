/// docs/CONFIGURATION.md, byte for byte: the language in short, then every word of every section.
func referencePage() -> String {
    let entries = configurationRows.entries(path: [])
    var page = introduction
    for path in sectionPaths(entries) {
        page += "\n## \(path.isEmpty ? "Top level" : path.map { "`\($0)`" }.joined(separator: " / "))\n"
        let header = entries.first { $0.isSection && $0.path + [$0.word] == path }
        if let header { page += "\n\(header.sentence) (\(header.value))\(header.statusText.map { " **\($0)**" } ?? "")\n" }
        page += "\n| word | value | default | from | what it does |\n| --- | --- | --- | --- | --- |\n"
        for entry in entries where entry.path == path {
            let word = entry.isSection ? "`\(entry.word) { }`" : "`\(entry.word)`"
            let defaultText = entry.isSection ? "" : cell(entry.defaultText)
            let status = entry.statusText.map { " **\($0)**" } ?? ""
            page += "| \(word) | \(cell(entry.value)) | \(defaultText) | \(entry.origin.rawValue) | \(cell(entry.sentence))\(status) |\n"
        }
    }
    return page
}

/// Text that a table of Markdown shows as it is.
private func cell(_ text: String) -> String {
    text.replacing("|", with: "\\|").replacing("<", with: "\\<").replacing("*", with: "\\*")
}

private let introduction = """
    # Configuration

    This page is generated from the declarations in `Sources/Proxy/Configuration`; `weir help settings` shows the same.
    `weir check FILE` reads a file and reports everything that is wrong with it; `weir check --print FILE` shows what is in
    force and where each value came from.

    ## A file in short

    ```
    # what runs from here to the end of the line is a comment, also behind //, and between /* and */
    workers = 4
    server {
        addr = { "127.0.0.1", "[::1]", "unix:/run/weir.sock" }
        port = 8080
        lb-method = p2c
        read-timeout = 30                      # seconds
        pending-timeout = { 2, 500000 }        # seconds and microseconds
        header-timeout = "1500ms"
        high-watermark = "512k"
        include "logging.conf"                 # relative to this file
        \(backendWord) first { addr = 10.0.0.1  port = 3000  connections = 8 }
        \(backendWord) second { addr = "app.internal"  port = 3000  weight = 2 }
    }
    ```

    - A file is a sequence of `name = value`, `name = { value, value }`, `name += { value }` (appends to a list),
      `section { … }` and `section title { … }`. New lines mean no more than spaces; nothing ends a statement, least of all `;`.
    - Names are case-insensitive, and so are titles. Order matters only between equal words, where the last one counts (with a
      warning), and between sections of one kind. A section that may stand once and stands again begins from its defaults.
    - Values need quotes when they contain spaces, `# " ' = { } ( ) + , *`. Within `"…"`: the escapes of C, `${VAR}` and
      `${VAR:-default}` from the environment. Within `'…'`: nothing but `\\\\` and `\\'`. `*` and `+` outside quotes are dropped, with
      a warning.
    - Numbers are written as in C: `0x1F90` is 8080, a leading 0 means octal. Sizes may have a unit in quotes (`"64k"`, `"5m"`,
      `"1g"`), durations too (`"250us"`, `"1500ms"`, `"30s"`, `"5m"`, `"1h"`, `"2d"`); a duration without one is in seconds,
      and `{ seconds, microseconds }` in braces.
    - Truth is `true`, `on`, `yes` or `false`, `off`, `no`; 1 and 0 are neither.
    - A closing brace that is missing at the end of a file is accepted with a warning.
    - `include "file"` stands wherever a statement may stand; the path is relative to the file that says it.
    - Where 0 turns a limit off it is accepted with a warning. The header timer and the watermarks cannot be turned off.

    ## Virtual hosts and rules

    A `vhost` is chosen by the name in Host (or in the target, where that is a whole URI). Case, port and a final dot make no
    difference. The exact name comes first, then the longest `*.suffix`, then other patterns in the order of the file, then
    the vhost with `default = true`, then the one named `*`. Nobody's name is answered 404.

    Within the vhost the first `rule` that takes the path counts, in the order of the file; no rule, 404. `uri-match` is the
    path itself, `uri-gmatch` has `*` for anything, also for nothing and for slashes, `uri-rmatch` is a regular expression of
    PCRE2 that may be found anywhere in the path unless it says `^`. However many rules there are, a request costs the same,
    but for patterns whose beginning can be anything, which are tried one by one. A search that takes more than `match-limit`
    steps counts as not found, and the operator's log says so.

    What is compared is the path without its query, in its normal form: escapes of letters, digits and `- . _ ~` resolved,
    other escapes with capital digits, `.` and `..` taken out; empty segments stay. A path that readers understand differently
    is answered 400 where a rule looks at paths: escaped slashes and control bytes, backslashes, `..` above the root,
    `..;`. Backends get the path as it came. A vhost whose only rule is `uri-gmatch = "*"` looks at no path.

    What a rule leaves out it has from its vhost, and that from its server; a section that is written takes the place of the
    one above it as a whole. Rules with equal backends and equal balancing share connections and one queue.

    ## Files of RProxy

    Files of both dialects of RProxy are read, and mean what they meant there. A `\(backendWord)` without a title is RProxy 1's, with
    the defaults it had there and with X-Forwarded-For switched on; one with a title is RProxy 2's. RProxy counts `connections` and
    `max-pending` per worker, and so does Weir. What RProxy left unlimited unless it was written has a default here. A word that is
    marked *not built yet* is refused with a sentence that says so.

    RProxy compared names with their port, in their case, and vhosts in the order of the file; it compared paths as they were sent, and
    regular expressions were POSIX's: PCRE2 reads those, but takes the first alternative that fits, not the longest. Where no rule took
    a path, RProxy tried it again up to its last slash; a path is tried once here.

    A `server` with backends and neither virtual hosts nor rewrites sends every request to them. `\(backendWord)` is RProxy's word for
    a backend, an HTTP server behind the proxy.

    """
