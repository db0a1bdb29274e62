/// Figures as people read them; no locale, a point for decimals, thin groups never.
enum FigureText {
    /// With exactly `decimals` digits after the point.
    static func fixed(_ value: Double, _ decimals: Int) -> String {
        guard value.isFinite else { return "–" }
        var factor = 1.0
        for _ in 0..<max(decimals, 0) { factor *= 10 }
        let scaled = (abs(value) * factor).rounded()
        guard scaled < 9e15 else { return "\(value)" }
        let whole = Int(scaled)
        let sign = value < 0 && whole != 0 ? "-" : ""
        guard decimals > 0 else { return sign + "\(whole)" }
        let digits = "\(whole)"
        let padded = String(repeating: "0", count: max(0, decimals + 1 - digits.count)) + digits
        return sign + padded.dropLast(decimals) + "." + padded.suffix(decimals)
    }

    /// With about `digits` significant digits: 12345, 123.4, 1.234, 0.01234.
    static func significant(_ value: Double, _ digits: Int = 4) -> String {
        guard value.isFinite else { return "–" }
        if value == 0 { return "0" }
        var size = abs(value)
        var decimals = digits - 1
        while size >= 10, decimals > 0 {
            size /= 10
            decimals -= 1
        }
        while size < 1, decimals < 12 {
            size *= 10
            decimals += 1
        }
        return fixed(value, decimals)
    }

    /// A share as a signed percentage: +3.1 %.
    static func change(_ share: Double) -> String {
        guard share.isFinite else { return "–" }
        return (share > 0 ? "+" : "") + fixed(share * 100, abs(share) < 0.1 ? 2 : 1) + " %"
    }

    /// A tick of an axis: 1500, 0.25, 2.5M; no zeros at the end.
    static func tick(_ value: Double) -> String {
        let size = abs(value)
        if size >= 1e9 { return trimmed(value / 1e9) + "G" }
        if size >= 1e6 { return trimmed(value / 1e6) + "M" }
        if size >= 1e4 { return trimmed(value / 1e3) + "k" }
        return trimmed(value)
    }

    private static func trimmed(_ value: Double) -> String {
        var text = significant(value, 6)
        guard text.contains(".") else { return text }
        while text.hasSuffix("0") { text.removeLast() }
        if text.hasSuffix(".") { text.removeLast() }
        return text
    }
}

/// A text made harmless for HTML and SVG, between tags and inside quoted attributes.
func escapedForMarkup(_ text: String) -> String {
    var escaped = ""
    for scalar in text.unicodeScalars {
        switch scalar {
        case "&": escaped += "&amp;"
        case "<": escaped += "&lt;"
        case ">": escaped += "&gt;"
        case "\"": escaped += "&quot;"
        case "'": escaped += "&#39;"
        case _ where scalar.value < 0x20 && scalar != "\n" && scalar != "\t": escaped += "\u{FFFD}"
        default: escaped.unicodeScalars.append(scalar)
        }
    }
    return escaped
}
