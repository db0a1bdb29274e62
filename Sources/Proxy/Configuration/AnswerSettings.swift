/// What the proxy answers itself instead of asking a backend.
struct AnswerSettings: Sendable, Equatable {
    /// At most one of these two.
    var redirect: RedirectSettings?
    var respond: RespondSettings?
    /// Those of a nearer level come before those of its surroundings, status by status.
    var errorPages: [ErrorPageSettings] = []
    var maintenance = MaintenanceSettings()

    /// Whatever is asked is answered here, so that no backend is needed.
    var answersAll: Bool { redirect != nil || respond != nil }
}

/// An answer that sends the client elsewhere.
struct RedirectSettings: Sendable, Equatable {
    static let statuses = [301, 302, 303, 307, 308]
    var status = 302
    /// Where to, with the tokens of the logs.
    var target = ""
    /// Whether the query of the request is appended; nil = unless the target names it.
    var keepsQuery: Bool?
}

/// A whole answer.
struct RespondSettings: Sendable, Equatable {
    var status = 200
    /// nil = none.
    var body: AnswerBodySettings?
}

/// The body of the proxy's own answers with some statuses, in place of one line of text.
struct ErrorPageSettings: Sendable, Equatable {
    var statuses: [Int] = []
    var body = AnswerBodySettings()
}

/// Bytes that are sent as they are.
struct AnswerBodySettings: Sendable, Equatable {
    /// The most that a file may have unless a word says more; all of it is kept in memory.
    static let bytesMaxDefault = 64 * 1024
    static let bytesMaxEver = 1024 * 1024
    /// Where the bytes came from; nil = from the configuration itself.
    var file: String?
    var bytes: [UInt8] = []
    var contentType = ""
    var bytesMax = bytesMaxDefault
}

/// When requests are answered 503 because of work on what stands behind; the nearest level that says anything decides.
struct MaintenanceSettings: Sendable, Equatable {
    var isOn: Bool?
    /// On while this file exists.
    var file: String?
    /// What clients are told to wait.
    var retrySeconds: Int?

    static let retrySecondsDefault = 60
    var saysAnything: Bool { isOn != nil || file != nil }
}

/// Whether and where a backend may send a request on by status 377.
struct DelegationSettings: Sendable, Equatable {
    var isAllowed = false
    /// Patterns for `host:port`, with `*` for anything; without one no target is allowed.
    var filters: [String] = []
    /// Ranges of addresses that targets may have though they are not public.
    var networks: [String] = []
    /// Most bytes of a request's body that are kept in order to be sent again.
    var bodyBytesMax = 64 * 1024
    /// How often one request may be sent on.
    var hopsMax = 5
}
