/// What kind of value a setting takes, with its unit and its range.
enum ValueKind: Sendable, Equatable {
    case flag
    /// A plain number, in C's notation: `0x1F90`, a leading 0 for octal.
    case count(ClosedRange<Int>)
    /// Bytes: a plain number, or in quotes with a unit: "64k", "1m", "2g".
    case size(ClosedRange<Int>)
    /// Seconds, `{ seconds, microseconds }`, or in quotes with a unit: "1500ms", "30s", "5m", "1h". Range in milliseconds.
    case duration(ClosedRange<Int>)
    case text
    case choice([String])
    /// Several texts in braces; one alone may go without.
    case list
    /// A path in the file system.
    case path
}

/// A value after its text was understood; durations are milliseconds, sizes bytes.
enum SettingValue: Sendable, Equatable {
    case flag(Bool)
    case number(Int)
    case text(String)
    case list([ConfigWord])
}

extension ValueKind {
    /// Understands the values of an assignment; an error is returned as a sentence that follows the setting's name.
    func value(of words: [ConfigWord], braced: Bool) -> Result<SettingValue, ValueError> {
        switch self {
        case .list:
            return .success(.list(words))
        case .duration(let range):
            return duration(words).flatMap { within($0, range, unit: durationText) }
        case .flag, .count, .size, .text, .choice, .path:
            guard words.count == 1, !braced else { return .failure(ValueError("takes one value without braces")) }
            return single(words[0])
        }
    }

    private func single(_ word: ConfigWord) -> Result<SettingValue, ValueError> {
        switch self {
        case .flag:
            switch word.text.lowercased() {
            case "true", "on", "yes": return .success(.flag(true))
            case "false", "off", "no": return .success(.flag(false))
            default: return .failure(ValueError("takes true, on, yes, false, off or no, not \(shown(word))"))
            }
        case .count(let range):
            guard let number = cInteger(word.text) else {
                if byteCount(word.text) != nil { return .failure(ValueError("takes a plain number, without a unit")) }
                return .failure(ValueError("takes a whole number, not \(shown(word))"))
            }
            return within(number, range) { "\($0)" }
        case .size(let range):
            guard let number = cInteger(word.text) ?? (word.quoted ? byteCount(word.text) : nil) else {
                if byteCount(word.text) != nil { return .failure(ValueError("takes a size with a unit in quotes: \"\(word.text)\"")) }
                return .failure(ValueError("takes a number of bytes, or a size such as \"64k\", not \(shown(word))"))
            }
            return within(number, range, unit: sizeText)
        case .choice(let words):
            let wanted = word.text.lowercased()
            if words.contains(wanted) { return .success(.text(wanted)) }
            var sentence = "takes one of \(words.joined(separator: ", ")), not \(shown(word))"
            if let near = nearest(to: wanted, among: words) { sentence += "; did you mean '\(near)'?" }
            return .failure(ValueError(sentence))
        case .text, .path:
            return .success(.text(word.text))
        case .list, .duration:
            return .failure(ValueError("takes a list"))
        }
    }

    private func shown(_ word: ConfigWord) -> String { "'\(word.text)'" }

    private func within(_ number: Int, _ range: ClosedRange<Int>, unit: (Int) -> String) -> Result<SettingValue, ValueError> {
        if range.contains(number) { return .success(.number(number)) }
        if range.upperBound == Int.max { return .failure(ValueError("must be at least \(unit(range.lowerBound)), not \(unit(number))")) }
        return .failure(ValueError("must be between \(unit(range.lowerBound)) and \(unit(range.upperBound)), not \(unit(number))"))
    }

    /// Milliseconds, rounded up so that nothing written as more than zero becomes zero.
    private func duration(_ words: [ConfigWord]) -> Result<Int, ValueError> {
        guard words.count == 1 || words.count == 2 else {
            return .failure(ValueError("takes seconds, { seconds, microseconds }, or a duration such as \"1500ms\""))
        }
        if words.count == 1, let milliseconds = durationMilliseconds(words[0].text) {
            if words[0].quoted { return .success(milliseconds) }
            return .failure(ValueError("takes a duration with a unit in quotes: \"\(words[0].text)\""))
        }
        var parts: [Int] = []
        for word in words {
            guard let part = cInteger(word.text) else {
                return .failure(ValueError("takes seconds, { seconds, microseconds }, or a duration such as \"1500ms\", not \(shown(word))"))
            }
            guard (0...durationSecondsMax * 1_000_000).contains(part) else { return .failure(ValueError("cannot be \(part)")) }
            parts.append(part)
        }
        let micros = parts.count == 2 ? parts[1] : 0
        guard parts[0] <= durationSecondsMax else { return .failure(ValueError("cannot be \(parts[0]) seconds")) }
        return .success(parts[0] * 1000 + (micros + 999) / 1000)
    }
}

/// The rest of a sentence that begins with a setting's name.
struct ValueError: Error, Equatable {
    var sentence: String
    init(_ sentence: String) { self.sentence = sentence }
}

/// Ten years: no timer is longer.
private let durationSecondsMax = 10 * 365 * 86_400

/// A number as C's strtol reads it with base 0; nil when anything is left over or it does not fit.
func cInteger(_ text: String) -> Int? {
    var digits = Substring(text).drop { " \t\n\r\u{0B}\u{0C}".contains($0) }
    var negative = false
    if let sign = digits.first, sign == "-" || sign == "+" {
        negative = sign == "-"
        digits = digits.dropFirst()
    }
    var radix = 10
    if digits.lowercased().hasPrefix("0x") {
        radix = 16
        digits = digits.dropFirst(2)
    } else if digits.hasPrefix("0") && digits.count > 1 {
        radix = 8
        digits = digits.dropFirst()
    }
    guard let first = digits.first, first != "-", first != "+" else { return nil }
    return Int((negative ? "-" : "") + digits, radix: radix)
}

/// "64k", "1m", "2g" and the same with a `b` or `ib` behind; units of 1,024. nil when it has no unit or no sense.
func byteCount(_ text: String) -> Int? {
    let units: [(String, Int)] = [
        ("kib", 1 << 10), ("mib", 1 << 20), ("gib", 1 << 30), ("tib", 1 << 40), ("kb", 1 << 10), ("mb", 1 << 20), ("gb", 1 << 30), ("tb", 1 << 40),
        ("k", 1 << 10), ("m", 1 << 20), ("g", 1 << 30), ("t", 1 << 40), ("b", 1),
    ]
    return scaled(text, units)
}

/// "250us", "1500ms", "30s", "5m", "1h", "2d" as milliseconds, rounded up. nil when it has no unit or no sense.
func durationMilliseconds(_ text: String) -> Int? {
    if let micros = scaled(text, [("us", 1)]) { return micros / 1000 + (micros % 1000 == 0 ? 0 : 1) }
    let milliseconds = scaled(text, [("ms", 1), ("s", 1000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)])
    guard let milliseconds, milliseconds <= durationSecondsMax * 1000 else { return nil }
    return milliseconds
}

private func scaled(_ text: String, _ units: [(String, Int)]) -> Int? {
    let lowered = text.lowercased()
    for (unit, factor) in units where lowered.hasSuffix(unit) {
        let digits = lowered.dropLast(unit.count)
        guard !digits.isEmpty, digits.utf8.allSatisfy({ $0 >= UInt8(ascii: "0") && $0 <= UInt8(ascii: "9") }), let number = Int(digits)
        else { continue }
        let (product, overflow) = number.multipliedReportingOverflow(by: factor)
        return overflow ? nil : product
    }
    return nil
}

/// A number of bytes in the largest unit that divides it: `64k`.
func sizeText(_ bytes: Int) -> String {
    for (unit, factor) in [("g", 1 << 30), ("m", 1 << 20), ("k", 1 << 10)] where bytes != 0 && bytes % factor == 0 {
        return "\(bytes / factor)\(unit)"
    }
    return "\(bytes)"
}

/// Milliseconds in the largest unit that divides them: `30s`.
func durationText(_ milliseconds: Int) -> String {
    for (unit, factor) in [("h", 3_600_000), ("m", 60_000), ("s", 1000)] where milliseconds != 0 && milliseconds % factor == 0 {
        return "\(milliseconds / factor)\(unit)"
    }
    return milliseconds == 0 ? "0" : "\(milliseconds)ms"
}

/// A text as a quoted word of the language, so that reading it gives the same text again.
func quotedText(_ text: String) -> String {
    "'" + text.replacing("\\", with: "\\\\").replacing("'", with: "\\'") + "'"
}
