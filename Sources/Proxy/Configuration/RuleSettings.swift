/// One `vhost` section: a site, chosen by the name in Host.
struct VirtualHostSettings: Sendable {
    var location = SourceLocation.none
    /// Its title: a name, or a pattern with `*`.
    var name = ""
    /// Further names and patterns.
    var aliases: [String] = []
    /// Takes the requests whose name nobody else has.
    var isDefault = false
    /// For clients that name it when they connect; nil = as the server's.
    var tls: TLSSettings?
    var scope = ScopeSettings()
    /// In the order of the file, which is the order in which they are tried.
    var rules: [RuleSettings] = []
}

/// One `rule` section: which requests it takes, and what becomes of them.
struct RuleSettings: Sendable {
    enum Matcher: Sendable, Hashable {
        /// The path is exactly this.
        case exact(String)
        /// `*` stands for anything.
        case glob(String)
        /// A regular expression (PCRE2), unanchored.
        case pattern(String)
        /// Takes every request.
        case all
    }
    var location = SourceLocation.none
    var name = ""
    var matcher = Matcher.all
    /// Places among the backends of its server, in the order in which the rule names them.
    var backends: [Int] = []
    /// nil = as the server says.
    var balancing: BalancingSettings?
    /// RProxy's `upstream-read-timeout` and `upstream-write-timeout`; nil = the server's.
    var bodyGapMilliseconds: Int?
    var writeProgressMilliseconds: Int?
    var scope = ScopeSettings()
    /// What becomes of target and host; nil = they stay.
    var rewrite: RewriteSettings?
    /// What is mapped back beside the prefix of `rewrite`.
    var reverses: [ReverseSettings] = []
    /// After the head, bytes pass unread.
    var isPassthrough = false
    var delegation = DelegationSettings()
}
