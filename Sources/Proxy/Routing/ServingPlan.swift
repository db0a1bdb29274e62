/// Everything that workers serve by: a configuration compiled into trivial structs, one generation of it.
///
/// Made on a cold thread, never changed after that, read by all workers at once. Its memory lives as long as the plan:
/// the control thread drops it when every worker has said that nothing of it is in use any more.
final class ServingPlan: @unchecked Sendable {
    /// Counts the plans of this process from 1.
    let generation: UInt64
    let arena: PlanArena
    /// What it was compiled from; for cold paths.
    let settings: GlobalSettings
    /// In the order of the settings.
    let servers: UnsafeBufferPointer<ServerPlan>
    let logs: LogPlan
    /// What rate limits have counted, which outlives plans: every plan after the first has that of the one before.
    let limits: LimitRegister
    /// Sessions of TLS by server, which outlive plans too.
    let sessions: TLSSessionRegister
    /// What the next server that is new will be called.
    let nextIdentity: Int32

    /// Compiles settings that have been validated.
    ///
    /// - Parameters:
    ///   - previous: the plan that this one follows: servers that it knows keep their identities.
    ///   - provision: what contexts of TLS are made with; needed where a section asks for TLS.
    init(
        _ settings: GlobalSettings, after previous: ServingPlan? = nil, tls provision: TLSContexts.Provision? = nil
    ) throws(PlanFailure) {
        generation = (previous?.generation ?? 0) + 1
        self.settings = settings
        arena = PlanArena()
        logs = LogPlan(settings)
        let identities = ServerIdentities(settings, after: previous)
        nextIdentity = identities.next
        limits = previous?.limits ?? LimitRegister(settings)
        // Endings run from the last to the first: when it has let go of all its limits.
        arena.atEnd { [limits] in limits.sweep() }
        sessions = previous?.sessions ?? TLSSessionRegister()
        let arena = arena
        let compiler = PlanCompiler(
            arena: arena, logs: logs, limits: limits, wants: CertificateWants(settings), contexts: provision.map { TLSContexts(provision: $0, arena: arena) },
            sessions: sessions)
        var compiled: [ServerPlan] = []
        for (number, server) in settings.servers.enumerated() {
            compiled.append(try compiler.compile(server, identity: identities.numbers[number]))
        }
        servers = arena.array(compiled)
        sessions.keepOnly(identities.numbers)
    }
}

/// Why settings that are valid can't be served, in a sentence for the operator.
struct PlanFailure: Error {
    var sentence: String
}

/// One `server` of a plan: what holds before a rule is known, its sites, and the groups of backends that rules share.
struct ServerPlan: BitwiseCopyable {
    /// The same from plan to plan, so that a reload finds its connections and backends again.
    let identity: Int32

    // Limits and timers of the client's connection.
    let limits: HeadLimits
    let bodyBytesMax: UInt64
    let requestsPerConnectionMax: UInt32
    let drainBytesMax: Int
    let headNanoseconds: UInt64
    let idleNanoseconds: UInt64
    let tunnelIdleNanoseconds: UInt64
    let rateMin: UInt64
    let rateGraceNanoseconds: UInt64
    let highBytes: Int
    let lowBytes: Int
    let splice: SpliceSettings
    /// Unsent bytes above which the socket of a client takes no more; 0 = as many as the system likes.
    let notSentLowBytes: Int
    var via: LastingBytes?
    /// Somebody's fields about other clients are believed.
    var trustsPeers: Bool
    let trustedPeers: AccessList
    let allowsTrace: Bool
    /// nil = clients speak plain HTTP.
    var tls: UnsafePointer<ListenerTLS>?
    let handshakeNanoseconds: UInt64
    /// Handshakes that may be under way at a time, in one worker.
    let handshakesMax: Int32
    /// Content of a record at the most; 0 = little at the beginning of a burst, then as much as a record holds.
    let recordBytes: Int
    /// With which suites large bodies go by the kernel's own TLS.
    let kernelTLS: KernelTLSPlan
    /// Answered by us before host and rule are known.
    var healthPath: LastingBytes?
    let logsHealth: Bool
    let connectionsMax: Int
    /// Who may connect; nil = everybody.
    let access: UnsafePointer<AccessList>?
    let limit: UnsafePointer<LimitPlan>?
    let proxyProtocol: ProxyProtocolSettings.Mode
    /// Whose PROXY heads are believed.
    let proxyFrom: UnsafePointer<AccessList>?
    /// Those of others are skipped.
    let skipsProxyHeads: Bool
    /// Something is to be looked at when a client has connected.
    let checksPeers: Bool
    /// Of all its groups together.
    let pendingMax: Int32
    let pendingNanoseconds: UInt64

    /// In the order of the settings.
    var backends: UnsafeBufferPointer<BackendPlan>
    /// Distinct combinations of members and balancing.
    var groups: UnsafeBufferPointer<BackendGroupPlan>
    /// Name in Host → place among the virtual hosts; empty = the only one, which has no name.
    var hosts: HostTable
    var virtualHosts: UnsafeBufferPointer<VirtualHostPlan>
    /// Stands for the rule of a request that has found none yet: the server's own values, no backends.
    var fallback: UnsafePointer<RulePlan>

    /// Keeps only what needs no memory of the plan: for a server that has nothing left but tunnels.
    mutating func forgetPlan() {
        via = nil
        tls = nil
        backends = UnsafeBufferPointer(start: nil, count: 0)
        groups = UnsafeBufferPointer(start: nil, count: 0)
        hosts = .nameless
        virtualHosts = UnsafeBufferPointer(start: nil, count: 0)
        healthPath = nil
        trustsPeers = false
        fallback = fallback.pointee.lasting
    }
}

/// One `vhost` of a server: its rules in the order in which they are tried.
struct VirtualHostPlan: BitwiseCopyable {
    let name: LastingBytes
    /// Normal form of the path → place among `plans` of the first rule that takes it.
    let rules: RuleTable
    let plans: UnsafeBufferPointer<RulePlan>
    /// Stands for the rule of a request that none of them takes: the values of host and server, no backends.
    let fallback: UnsafePointer<RulePlan>
}
