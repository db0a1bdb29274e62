/// A table beside a plot: what the eye cannot read off a curve.
struct HTMLTable: Sendable {
    struct Cell: ExpressibleByStringLiteral, Sendable {
        enum Mood: String, Sendable { case plain, good, bad, soft }
        var text: String
        var mood = Mood.plain
        /// A word on why, or the details, under the pointer.
        var told = ""

        init(_ text: String, _ mood: Mood = .plain, told: String = "") {
            self.text = text
            self.mood = mood
            self.told = told
        }
        init(stringLiteral text: String) { self.init(text) }
    }

    var caption = ""
    /// A name that begins with `#` heads numbers, which are set to the right.
    var columns: [String]
    var rows: [[Cell]] = []

    var html: String {
        let isNumber = columns.map { $0.hasPrefix("#") }
        let heads = columns.map { name in
            name.hasPrefix("#") ? "<th class=\"n\">\(escapedForMarkup(String(name.dropFirst())))</th>" : "<th>\(escapedForMarkup(name))</th>"
        }
        let lines = rows.map { row in
            "<tr>"
                + row.enumerated().map { at, cell in
                    let classes = [isNumber.indices.contains(at) && isNumber[at] ? "n" : "", cell.mood == .plain ? "" : cell.mood.rawValue]
                    let named = classes.filter { !$0.isEmpty }.joined(separator: " ")
                    let told = cell.told.isEmpty ? "" : " title=\"\(escapedForMarkup(cell.told))\""
                    return "<td\(named.isEmpty ? "" : " class=\"\(named)\"")\(told)>\(escapedForMarkup(cell.text))</td>"
                }.joined() + "</tr>\n"
        }
        let caption = caption.isEmpty ? "" : "<caption>\(escapedForMarkup(caption))</caption>"
        return "<div class=\"wide\"><table>\(caption)<thead><tr>\(heads.joined())</tr></thead>\n<tbody>\n\(lines.joined())</tbody></table></div>\n"
    }
}

/// A page that opens from disk: style and pictures inside, no script, nothing fetched; light or dark as the reader's system.
struct HTMLPage {
    private let title: String
    private var body = ""
    private var contents: [(anchor: String, name: String)] = []

    init(title: String) { self.title = title }

    /// Begins a section, which the list of contents names.
    mutating func heading(_ text: String) {
        let anchor = "part\(contents.count + 1)"
        contents.append((anchor, text))
        body += "<h2 id=\"\(anchor)\">\(escapedForMarkup(text))</h2>\n"
    }

    mutating func subheading(_ text: String) { body += "<h3>\(escapedForMarkup(text))</h3>\n" }

    mutating func paragraph(_ text: String) { body += "<p>\(escapedForMarkup(text))</p>\n" }

    mutating func list(_ items: [String]) { body += "<ul>\n" + items.map { "<li>\(escapedForMarkup($0))</li>\n" }.joined() + "</ul>\n" }

    mutating func table(_ table: HTMLTable) { body += table.html }

    /// - Parameter svg: as `LinePlot` and `BarPlot` make it; it is not escaped.
    mutating func figure(_ svg: String, caption: String = "") {
        let told = caption.isEmpty ? "" : "<figcaption>\(escapedForMarkup(caption))</figcaption>"
        body += "<figure>\(svg)\(told)</figure>\n"
    }

    mutating func code(_ text: String) { body += "<pre>\(escapedForMarkup(text))</pre>\n" }

    var text: String {
        let entries = contents.map { "<li><a href=\"#\($0.anchor)\">\(escapedForMarkup($0.name))</a></li>" }.joined()
        let list = contents.count > 2 ? "<nav><ul>\(entries)</ul></nav>\n" : ""
        return """
            <!doctype html>
            <html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1">
            <title>\(escapedForMarkup(title))</title>
            <style>
            \(PlotColors.style)\(Self.style)</style></head>
            <body><main>
            <h1>\(escapedForMarkup(title))</h1>
            \(list)\(body)</main></body></html>

            """
    }

    private static let style = """
        body{margin:0;background:var(--paper);color:var(--ink);font:16px/1.5 system-ui,-apple-system,"Segoe UI",sans-serif}
        main{max-width:60rem;margin:0 auto;padding:1.5rem 1rem 4rem}
        h1{font-size:1.7rem;line-height:1.2}h2{font-size:1.25rem;margin:2.5rem 0 .5rem;border-bottom:1px solid var(--line);padding-bottom:.2rem}
        h3{font-size:1.05rem;margin:1.5rem 0 .3rem}p{max-width:46rem}a{color:var(--s0)}
        nav ul{columns:3 12rem;padding-left:1.1rem;font-size:.92rem}
        figure{margin:1rem 0}figure svg{width:100%;max-width:46rem;height:auto;display:block}figcaption{color:var(--soft);font-size:.9rem}
        .wide{overflow-x:auto}table{border-collapse:collapse;font-size:.9rem;margin:.8rem 0;font-variant-numeric:tabular-nums}
        caption{text-align:left;color:var(--soft);padding-bottom:.3rem}th,td{padding:.28rem .7rem;border-bottom:1px solid var(--line);text-align:left;white-space:nowrap}
        th{font-weight:600;background:var(--shade)}.n{text-align:right}.good{color:var(--good);font-weight:600}.bad{color:var(--bad);font-weight:600}.soft{color:var(--soft)}
        pre{background:var(--shade);padding:.7rem 1rem;overflow-x:auto;font-size:.85rem}

        """
}
