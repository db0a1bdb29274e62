/// What other rooms say about texts in languages of their own; each gives a sentence against a bad one, nil for a good one.
///
/// The reader asks while it knows the place, so that a mistake in such a text is told with line and column like any other.
struct ForeignTexts {
    /// The format of a log.
    var format: (String) -> String? = { _ in nil }
    /// A regular expression.
    var pattern: (String) -> String? = { _ in nil }
    /// How many groups in parentheses a regular expression has.
    var groups: (String) -> Int = { _ in 9 }
    /// The value of a field, with the tokens of the logs.
    var value: (String) -> String? = { _ in nil }
    /// A URI with these tokens.
    var target: (String) -> String? = { _ in nil }
    /// A range of addresses.
    var network: (String) -> String? = { _ in nil }
    /// Whether TLS is spoken; see the switch.
    var isTLSServed = servesTLS
    /// What an `ssl` section comes to, with the contents of its files.
    var tls: (TLSSettings) -> Verdict = { _ in Verdict() }
    /// The same of a backend.
    var backendTLS: (BackendTLSSettings) -> Verdict = { _ in Verdict() }

    /// Sentences that stand for themselves; those about a file name it.
    struct Verdict {
        var errors: [String] = []
        var warnings: [String] = []
    }
}
