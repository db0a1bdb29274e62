/// `rate-limit` of one place: for everybody together, and for each client address.
struct LimitSettings: Sendable, Equatable, Hashable {
    var all = RateSettings()
    var client = RateSettings()
}

/// What may happen in a second and at one time; 0 = without limit.
struct RateSettings: Sendable, Equatable, Hashable {
    var requestsPerSecond = 0
    /// Requests that may come at once after a pause; nil = those of a second.
    var requestsBurst: Int?
    /// Bytes of bodies and tunnels, from clients and to them.
    var readBytesPerSecond = 0
    var writeBytesPerSecond = 0
    /// Client connections of a server; exchanges in progress of a virtual host or a rule.
    var connectionsMax = 0
}

/// `access` of one place: which addresses may come in.
struct AccessSettings: Sendable, Equatable {
    enum Refusal: Sendable { case answer, close }
    var allow: [AddressBlock] = []
    var deny: [AddressBlock] = []
    var refusal = Refusal.answer
}

/// Whether clients of a server are announced by what stands before it, and whose word is taken.
struct ProxyProtocolSettings: Sendable, Equatable {
    enum Mode: Sendable { case off, accept, require }
    /// What becomes of others: no PROXY head of theirs is ever believed.
    enum Others: Sendable { case refuse, ignore }
    var mode = Mode.off
    var from: [AddressBlock] = []
    var others = Others.refuse
}
