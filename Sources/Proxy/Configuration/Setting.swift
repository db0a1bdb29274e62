/// Which program a word comes from; old words keep their meaning, new ones have no older meaning to keep.
enum WordOrigin: String, Sendable {
    case rproxy1 = "RProxy 1"
    case rproxy2 = "RProxy 2"
    case rproxy = "RProxy"
    case weir = "new"
}

/// Whether what a word asks for exists.
enum FeatureStatus: Sendable, Equatable {
    case built
    /// Known, but the named feature is still to come: writing the word is an error that says so.
    case coming(String)
    /// Accepted and without effect, for the given reason: writing the word is a warning.
    case ignored(String)
}

/// What 0 means for a number that limits something.
enum ZeroMeaning: Sendable, Equatable {
    /// A number like any other.
    case ordinary
    /// No limit; said in a warning, because a forgotten limit is how a proxy is brought down.
    case off
    /// Accepted from old files, but the default stays; said in a warning.
    case keepsDefault
}

/// What came of assigning a value that was well formed.
enum Assigned {
    case fine
    /// Sentences that follow the setting's name.
    case warning(String)
    case error(String)
    /// The same about one word of a list.
    case errorAt(SourceLocation, String)
}

/// One setting of a section: everything that is to be said about a word, said once.
///
/// The same row drives reading, checking, `weir help settings`, `weir check --print` and docs/CONFIGURATION.md.
struct Setting<Owner> {
    let word: String
    let kind: ValueKind
    var origin = WordOrigin.weir
    let sentence: String
    var status = FeatureStatus.built
    var zero = ZeroMeaning.ordinary
    /// What the page says of the default where the value itself does not tell.
    var defaultText: String?
    /// The word alone does not tell which dialect a file is written in.
    var inBothDialects = false
    /// Other words of the section whose value this one sets, unless they are written themselves.
    var covers: [String] = []
    /// What RProxy took an unknown word for; such a word is then a warning, not an error.
    var fallback: String?
    /// What it sets is shown in another section.
    var showsElsewhere = false
    /// The value is shown to nobody, not even to those who ask for what is in force.
    var isSecret = false
    /// Values that ask for nothing, and so are fine even though the feature is still to come.
    var asksNothing: (SettingValue) -> Bool = { _ in false }
    let assign: (inout Owner, SettingValue) -> Assigned
    /// The value as it would be written in a file; nil when it is not set or another word shows it.
    var show: (Owner) -> String?
}

extension Setting {
    static func flag(_ word: String, _ origin: WordOrigin, _ path: WritableKeyPath<Owner, Bool>, _ sentence: String) -> Self {
        Setting(
            word: word, kind: .flag, origin: origin, sentence: sentence,
            assign: { owner, value in
                if case .flag(let flag) = value { owner[keyPath: path] = flag }
                return .fine
            },
            show: { $0[keyPath: path] ? "true" : "false" })
    }

    static func count(
        _ word: String, _ origin: WordOrigin, _ path: WritableKeyPath<Owner, Int>, _ range: ClosedRange<Int>,
        zero: ZeroMeaning = .ordinary, _ sentence: String
    ) -> Self {
        number(word, origin, .count(range), zero, sentence, path) { "\($0)" }
    }

    static func size(
        _ word: String, _ origin: WordOrigin, _ path: WritableKeyPath<Owner, Int>, _ range: ClosedRange<Int>,
        zero: ZeroMeaning = .ordinary, _ sentence: String
    ) -> Self {
        number(word, origin, .size(range), zero, sentence, path, show: sizeLiteral)
    }

    static func duration(
        _ word: String, _ origin: WordOrigin, _ path: WritableKeyPath<Owner, Int>, _ range: ClosedRange<Int> = anyDuration,
        zero: ZeroMeaning = .ordinary, _ sentence: String
    ) -> Self {
        number(word, origin, .duration(range), zero, sentence, path, show: durationLiteral)
    }

    private static func number(
        _ word: String, _ origin: WordOrigin, _ kind: ValueKind, _ zero: ZeroMeaning, _ sentence: String,
        _ path: WritableKeyPath<Owner, Int>, show: @escaping (Int) -> String
    ) -> Self {
        Setting(
            word: word, kind: kind, origin: origin, sentence: sentence, zero: zero,
            assign: { owner, value in
                if case .number(let number) = value { owner[keyPath: path] = number }
                return .fine
            },
            show: { show($0[keyPath: path]) })
    }

    /// A text that may be unset; `check` gives the sentence against a bad one.
    static func text(
        _ word: String, _ origin: WordOrigin, _ path: WritableKeyPath<Owner, String?>, kind: ValueKind = .text, _ sentence: String,
        check: @escaping (String) -> String? = { _ in nil }
    ) -> Self {
        Setting(
            word: word, kind: kind, origin: origin, sentence: sentence,
            assign: { owner, value in
                guard case .text(let text) = value else { return .fine }
                if let complaint = check(text) { return .error(complaint) }
                owner[keyPath: path] = text
                return .fine
            },
            show: { $0[keyPath: path].map(quotedText) })
    }

    /// A row whose feature is still to come: its value is checked, then refused.
    static func coming(
        _ word: String, _ origin: WordOrigin, _ kind: ValueKind, _ feature: String, default defaultText: String, _ sentence: String,
        unless asksNothing: @escaping (SettingValue) -> Bool = { _ in false }
    ) -> Self {
        Setting(
            word: word, kind: kind, origin: origin, sentence: sentence, status: .coming(feature), defaultText: defaultText,
            asksNothing: asksNothing, assign: { _, _ in .fine }, show: { _ in nil })
    }

    /// The row with some of its remarks changed.
    func with(_ change: (inout Self) -> Void) -> Self {
        var copy = self
        change(&copy)
        return copy
    }
}

/// One millisecond to a year.
let anyDuration = 1...365 * 86_400_000

/// Milliseconds as a value of the language.
func durationLiteral(_ milliseconds: Int) -> String { milliseconds == 0 ? "0" : "\"\(durationText(milliseconds))\"" }

/// Bytes as a value of the language.
func sizeLiteral(_ bytes: Int) -> String {
    let text = sizeText(bytes)
    return Int(text) == nil ? "\"\(text)\"" : text
}
