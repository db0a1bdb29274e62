/// What may be said of a server, of a virtual host and of a rule: the nearest one that says it counts.
///
/// Nothing is merged between the three but where a member says so.
struct ScopeSettings: Sendable {
    /// What backends are told about the client; nil = as the next level up says.
    var forwarded: ForwardingSettings?
    /// nil = the logs of the next level up.
    var accessLog: LogSettings?
    var errorLog: LogSettings?
    /// RProxy 2's `general`, wherever it stands: the operator's log of the whole process.
    var operatorLog: LogSettings?
    /// nil = those of the next level up.
    var requestEdits: HeaderEditSettings?
    var responseEdits: HeaderEditSettings?
    /// Fields of answers that clients do not get; nil = those of the next level up.
    var strippedFields: [String]?
    /// Each of the three levels has limits of its own, and all of them hold.
    var limits = LimitSettings()
    /// Who may come in must be let in by every level.
    var access = AccessSettings()
    var answers = AnswerSettings()
}
