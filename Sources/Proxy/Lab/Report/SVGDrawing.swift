/// Shapes gathered into one SVG picture; colours come from the classes of `PlotColors`.
struct SVGDrawing {
    private var body = ""
    private let head: String

    init(width: Double, height: Double, title: String, isAlone: Bool) {
        let size = "viewBox=\"0 0 \(Self.number(width)) \(Self.number(height))\""
        // In a file of its own the picture has the size and the paper that a page would give it.
        let own = isAlone ? " xmlns=\"http://www.w3.org/2000/svg\" width=\"\(Self.number(width))\" height=\"\(Self.number(height))\"" : ""
        let paper = isAlone ? "<style>\n\(PlotColors.style)</style><rect width=\"100%\" height=\"100%\" style=\"fill:var(--paper)\"/>\n" : ""
        head = "<svg class=\"plot\" role=\"img\" \(size)\(own) aria-label=\"\(escapedForMarkup(title))\">\n<title>\(escapedForMarkup(title))</title>\n\(paper)"
    }

    var text: String { head + body + "</svg>\n" }

    mutating func line(_ x1: Double, _ y1: Double, _ x2: Double, _ y2: Double, style: String) {
        body += "<line class=\"\(style)\" x1=\"\(Self.number(x1))\" y1=\"\(Self.number(y1))\" x2=\"\(Self.number(x2))\" y2=\"\(Self.number(y2))\"/>\n"
    }

    mutating func text(_ text: String, x: Double, y: Double, style: String = "", anchor: String = "start", turned: Double = 0) {
        let turn = turned == 0 ? "" : " transform=\"rotate(\(Self.number(turned)) \(Self.number(x)) \(Self.number(y)))\""
        let named = style.isEmpty ? "" : " class=\"\(style)\""
        body += "<text\(named) x=\"\(Self.number(x))\" y=\"\(Self.number(y))\" text-anchor=\"\(anchor)\"\(turn)>\(escapedForMarkup(text))</text>\n"
    }

    mutating func curve(_ points: [(Double, Double)], series: Int) {
        guard points.count > 1 else { return }
        let dashes = ["", "7 4", "2 3", "9 3 2 3", "12 4", "4 2", "1 3", "8 2 1 2"]
        let dash = dashes[series % dashes.count]
        let dashed = dash.isEmpty ? "" : " stroke-dasharray=\"\(dash)\""
        let places = points.map { "\(Self.number($0.0)),\(Self.number($0.1))" }.joined(separator: " ")
        body += "<polyline class=\"curve \(Self.color(series))\"\(dashed) points=\"\(places)\"/>\n"
    }

    /// - Parameter told: what the reader's pointer finds at the marker.
    mutating func marker(_ x: Double, _ y: Double, series: Int, told: String) {
        let shape =
            switch series % 4 {
            case 0: "<circle cx=\"\(Self.number(x))\" cy=\"\(Self.number(y))\" r=\"3.4\">"
            case 1: "<rect x=\"\(Self.number(x - 3.2))\" y=\"\(Self.number(y - 3.2))\" width=\"6.4\" height=\"6.4\">"
            case 2: "<polygon points=\"\(Self.number(x)),\(Self.number(y - 4.2)) \(Self.number(x + 4)),\(Self.number(y + 3.2)) \(Self.number(x - 4)),\(Self.number(y + 3.2))\">"
            default:
                "<polygon points=\"\(Self.number(x)),\(Self.number(y - 4.4)) \(Self.number(x + 4.4)),\(Self.number(y)) \(Self.number(x)),\(Self.number(y + 4.4)) \(Self.number(x - 4.4)),\(Self.number(y))\">"
            }
        let name = shape.dropFirst().prefix { $0 != " " }
        body += "<\(name) class=\"\(Self.color(series))\"" + shape.dropFirst(1 + name.count) + "<title>\(escapedForMarkup(told))</title></\(name)>\n"
    }

    mutating func bar(x: Double, y: Double, width: Double, height: Double, series: Int, told: String) {
        body +=
            "<rect class=\"\(Self.color(series))\" x=\"\(Self.number(x))\" y=\"\(Self.number(y))\" width=\"\(Self.number(max(width, 0.5)))\" height=\"\(Self.number(height))\" rx=\"1.5\"><title>\(escapedForMarkup(told))</title></rect>\n"
    }

    private static func color(_ series: Int) -> String { "s\(series % PlotColors.seriesMax)" }

    private static func number(_ value: Double) -> String { FigureText.fixed(value, value == value.rounded() ? 0 : 1) }
}
