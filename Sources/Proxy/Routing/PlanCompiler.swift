/// Compiles one server into the memory of a plan: what a rule does not say comes from its host, else from its server.
struct PlanCompiler {
    let arena: PlanArena
    let logs: LogPlan
    let limits: LimitRegister
    private let contexts: TLSContexts?
    private let sessions: TLSSessionRegister
    private let rewritings: SharedRewritePlans
    private let tables: SharedRuleTables
    private let policies = SharedPolicies()

    /// - Parameters:
    ///   - wants: what is told of clients' certificates anywhere in the configuration.
    ///   - contexts: makes contexts of TLS; nil = there must be no section that asks for them.
    init(
        arena: PlanArena, logs: LogPlan, limits: LimitRegister, wants: CertificateWants, contexts: TLSContexts?,
        sessions: TLSSessionRegister
    ) {
        self.arena = arena
        self.logs = logs
        self.limits = limits
        self.contexts = contexts
        self.sessions = sessions
        rewritings = SharedRewritePlans(wants: wants)
        tables = SharedRuleTables(in: arena, patterns: SharedPatterns(in: arena))
    }

    /// Most `downstream` sections of one server: with all their addresses they are its candidates.
    static let backendsMax = 1_024

    func compile(_ settings: ServerSettings, identity: Int32) throws(PlanFailure) -> ServerPlan {
        guard settings.backends.count <= Self.backendsMax else {
            throw PlanFailure(
                sentence: "\(settings.location.text): the server has \(settings.backends.count) backends; \(Self.backendsMax) are the most")
        }
        var groups = GroupCollector(settings, arena: arena)
        let place = "server \(identity)"
        let limit = limits.limit(settings.scope.limits, at: place, for: arena)
        let access = access(settings.scope.access)
        let isFronted = settings.proxyProtocol.mode != .off
        let surroundings = Surroundings(settings, in: arena)
        let hosts = try virtualHosts(surroundings, &groups, at: place)
        return ServerPlan(
            identity: identity,
            limits: HeadLimits(
                lineBytesMax: settings.limits.requestLineBytesMax, headBytesMax: settings.limits.headBytesMax,
                fieldsMax: settings.limits.fieldsMax),
            bodyBytesMax: settings.limits.bodyBytesMax == 0 ? .max : settings.limits.bodyBytesMax,
            requestsPerConnectionMax: UInt32(clamping: settings.limits.requestsPerConnectionMax),
            drainBytesMax: settings.limits.drainBytesMax,
            headNanoseconds: nanoseconds(settings.timers.headMilliseconds),
            idleNanoseconds: nanoseconds(settings.timers.keepAliveIdleMilliseconds),
            tunnelIdleNanoseconds: nanoseconds(settings.timers.tunnelIdleMilliseconds),
            rateMin: UInt64(max(settings.timers.rateMinBytesPerSecond, 0)),
            rateGraceNanoseconds: nanoseconds(settings.timers.rateGraceMilliseconds),
            highBytes: settings.watermark.highBytes, lowBytes: settings.watermark.lowBytes, splice: settings.splice,
            notSentLowBytes: settings.tcp.notSentLowBytes, via: arena.bytes(ifAny: settings.via),
            trustsPeers: !settings.trustedPeers.isEmpty,
            trustedPeers: AccessList(AccessSettings(allow: settings.trustedPeers), in: arena), allowsTrace: settings.allowTrace,
            tls: try tls(settings, identity),
            handshakeNanoseconds: nanoseconds(settings.tls?.handshakeMilliseconds ?? 0),
            handshakesMax: Int32(clamping: settings.tls?.handshakesMax ?? 0), recordBytes: settings.tls?.recordBytes ?? 0,
            kernelTLS: settings.tls?.usesKernelTLS == true ? .probe() : .none,
            healthPath: arena.bytes(ifAny: settings.healthPath), logsHealth: settings.logsHealth,
            connectionsMax: settings.connectionsMax == 0 ? .max : settings.connectionsMax,
            access: access, limit: limit, proxyProtocol: settings.proxyProtocol.mode,
            proxyFrom: isFronted ? arena.place(AccessList(AccessSettings(allow: settings.proxyProtocol.from), in: arena)) : nil,
            skipsProxyHeads: settings.proxyProtocol.others == .ignore,
            checksPeers: access != nil || isFronted || limit.map { $0.pointee.countsOpen } ?? false,
            pendingMax: settings.pending.countMax == 0 ? .max : Int32(clamping: settings.pending.countMax),
            pendingNanoseconds: nanoseconds(settings.pending.timeoutMilliseconds),
            backends: arena.array(try settings.backends.map { backend throws(PlanFailure) in try self.backend(backend) }),
            groups: arena.array(groups.plans),
            hosts: settings.virtualHosts.isEmpty ? .nameless : HostTable(settings.virtualHosts, in: arena),
            virtualHosts: arena.array(hosts), fallback: arena.place(try rule(surroundings, nil, group: -1)))
    }

    private func backend(_ settings: BackendSettings) throws(PlanFailure) -> BackendPlan {
        var limits = BackendLimits(settings)
        if let tls = settings.tls {
            let contexts = try self.contexts(for: tls.location.text)
            do throws(TLSComplaint) {
                var name = ""
                if case .name(let text) = tls.name { name = text }
                limits.tls = try contexts.backend(
                    TLSBackendMaterial(tls), name: name, usesAddress: tls.name == .address, reusesSessions: tls.reusesSessions)
            } catch {
                throw PlanFailure(sentence: "\(tls.location.text): \(error.sentence)")
            }
        }
        return BackendPlan(names: BackendNames.of(settings), limits: limits, weight: Int32(clamping: settings.weight))
    }

    private func contexts(for place: String) throws(PlanFailure) -> TLSContexts {
        guard let contexts else { throw PlanFailure(sentence: "\(place): nothing here was made ready for TLS") }
        return contexts
    }

    /// The server's own section is the first context; virtual hosts with a section of their own have the others.
    private func tls(_ settings: ServerSettings, _ identity: Int32) throws(PlanFailure) -> UnsafePointer<ListenerTLS>? {
        guard let own = settings.tls else { return nil }
        let contexts = try self.contexts(for: own.location.text)
        var materials = [TLSMaterial(own, scope: "\(identity)", wants: rewritings.wants)]
        // A server without virtual hosts has one without a name.
        var ofHost: [Int32] = settings.virtualHosts.isEmpty ? [0] : []
        for host in settings.virtualHosts {
            ofHost.append(host.tls == nil ? 0 : Int32(materials.count))
            if let tls = host.tls { materials.append(TLSMaterial(tls, scope: "\(identity)/\(host.name)", wants: rewritings.wants)) }
        }
        do throws(TLSComplaint) {
            return try contexts.listener(
                materials, ofHost: ofHost,
                sessions: materials.contains(where: \.keepsSessions)
                    ? sessions.cache(ofServer: identity, countMax: own.cacheEntriesMax, seconds: own.cacheSeconds) : nil)
        } catch {
            throw PlanFailure(sentence: "\(own.location.text): \(error.sentence)")
        }
    }

    /// A server without virtual hosts has one without a name, with one rule for everything.
    private func virtualHosts(
        _ surroundings: Surroundings, _ groups: inout GroupCollector, at place: String
    ) throws(PlanFailure) -> [VirtualHostPlan] {
        let settings = surroundings.server
        guard !settings.virtualHosts.isEmpty else {
            let group = groups.group(Array(settings.backends.indices), settings.balancing)
            return [
                VirtualHostPlan(
                    name: .empty, rules: try ruleTable([RuleSettings()], line: settings.location.line, of: settings.location.file),
                    plans: arena.array([try rule(surroundings, nil, group: group)]),
                    fallback: arena.place(try rule(surroundings, nil, group: -1)))
            ]
        }
        var hosts: [VirtualHostPlan] = []
        for host in settings.virtualHosts {
            let surroundings = surroundings.within(host)
            var plans: [RulePlan] = []
            var admission = RuleAdmission()
            admission.hostAccess = access(host.scope.access)
            admission.limits.virtualHost = limits.limit(host.scope.limits, at: "\(place) / \(host.name)", for: arena)
            for (number, rule) in host.rules.enumerated() {
                let group = rule.backends.isEmpty ? -1 : groups.group(rule.backends, rule.balancing ?? settings.balancing)
                let title = rule.name.isEmpty ? "\(number)" : rule.name
                admission.access = access(rule.scope.access)
                admission.limits.rule = limits.limit(rule.scope.limits, at: "\(place) / \(host.name) / \(title)", for: arena)
                plans.append(try self.rule(surroundings, rule, group: group, admission))
            }
            hosts.append(
                VirtualHostPlan(
                    name: LastingBytes(interned: host.name),
                    rules: try ruleTable(host.rules, line: host.location.line, of: host.location.file),
                    plans: policies.array(plans, in: arena), fallback: arena.place(try rule(surroundings, nil, group: -1))))
        }
        return hosts
    }

    private func ruleTable(_ rules: [RuleSettings], line: Int, of file: String) throws(PlanFailure) -> RuleTable {
        do throws(Pattern.Complaint) {
            return try tables.table(rules)
        } catch {
            throw PlanFailure(sentence: "\(file):\(line): a pattern \(error.sentence)")
        }
    }

    /// What becomes of a rule's heads; rules that say nothing of their own share one plan.
    private func rewriting(
        _ heads: ScopeSettings, _ rule: RuleSettings?, _ server: ServerSettings
    ) throws(PlanFailure) -> UnsafePointer<RewritePlan> {
        do throws(Pattern.Complaint) {
            guard let rule, rule.rewrite != nil || !rule.reverses.isEmpty else { return try rewritings.plan(heads, in: arena) }
            let backends = rule.backends.map { server.backends[$0] }
            return arena.place(
                try RewritePlan(
                    rewrite: rule.rewrite, reverses: rule.reverses, scope: heads, backends: backends,
                    wants: rewritings.wants, in: arena))
        } catch {
            let location = rule?.location ?? server.location
            throw PlanFailure(sentence: "\(location.file):\(location.line): a pattern \(error.sentence)")
        }
    }

    /// Resolves what holds for the requests of one rule; nil = of those that no rule of its surroundings takes.
    private func rule(
        _ surroundings: Surroundings, _ rule: RuleSettings?, group: Int32, _ admission: RuleAdmission = RuleAdmission()
    ) throws(PlanFailure) -> RulePlan {
        let server = surroundings.server
        func inherited<Value>(_ member: (ScopeSettings) -> Value?) -> Value? {
            rule.flatMap { member($0.scope) } ?? surroundings.host.flatMap { member($0.scope) } ?? member(server.scope)
        }
        let name = rule?.name ?? ""
        let places = logs.places(
            access: inherited(\.accessLog) ?? server.accessLog, error: inherited(\.errorLog) ?? server.errorLog)
        let balancing = rule?.balancing ?? server.balancing
        var heads = ScopeSettings()
        heads.forwarded = inherited(\.forwarded) ?? server.forwarded
        heads.requestEdits = inherited(\.requestEdits)
        heads.responseEdits = inherited(\.responseEdits)
        heads.strippedFields = inherited(\.strippedFields)
        let policy = RulePolicy(
            group: group, stickyCookie: policies.cookie(balancing.stickyCookie, in: arena),
            bodyGapNanoseconds: nanoseconds(rule?.bodyGapMilliseconds ?? server.timers.bodyGapMilliseconds),
            writeNanoseconds: nanoseconds(rule?.writeProgressMilliseconds ?? server.timers.writeProgressMilliseconds),
            accessLog: places.access, errorLog: places.error,
            rewriting: try rewriting(heads, rule, server),
            answers: surroundings.answers(of: rule),
            isPassthrough: rule?.isPassthrough ?? false,
            delegation: rule.flatMap { $0.isPassthrough ? nil : DelegationPolicy.compile($0.delegation, of: $0.name, in: arena) },
            admission: admission)
        return RulePlan(name: LastingBytes(interned: name), policy: policies.place(policy, in: arena), lasting: RulePlan.lasting(named: name))
    }

    /// A list in the memory of the plan; nil where everybody may come in.
    private func access(_ settings: AccessSettings) -> UnsafePointer<AccessList>? {
        let list = AccessList(settings, in: arena)
        return list.allowsEverybody ? nil : arena.place(list)
    }
}

/// What stands around a rule: its server and its host, and what they answer themselves, compiled once for all their rules.
private struct Surroundings {
    let server: ServerSettings
    private(set) var host: VirtualHostSettings?
    private let arena: PlanArena
    private var pages: [[ErrorPages.Page]]
    /// Of a rule that says nothing of its own, with and without backends of its own.
    private var inherited: (named: UnsafePointer<AnswerPlan>?, unnamed: UnsafePointer<AnswerPlan>?)

    init(_ server: ServerSettings, in arena: PlanArena) {
        self.server = server
        self.arena = arena
        pages = [AnswerPlan.pages(server.scope.answers, in: arena)]
        inherited = (nil, nil)
        inherit()
    }

    func within(_ host: VirtualHostSettings) -> Surroundings {
        var inner = self
        inner.host = host
        inner.pages.append(AnswerPlan.pages(host.scope.answers, in: arena))
        inner.inherit()
        return inner
    }

    private mutating func inherit() {
        let silent = [AnswerSettings()]
        inherited.unnamed = AnswerPlan.compile(levels + silent, pages: pages, namesBackends: false, in: arena)
        inherited.named = AnswerPlan.compile(levels + silent, pages: pages, namesBackends: true, in: arena)
    }

    private var levels: [AnswerSettings] { [server.scope.answers, host?.scope.answers].compactMap { $0 } }

    func answers(of rule: RuleSettings?) -> UnsafePointer<AnswerPlan>? {
        let namesBackends = rule?.backends.isEmpty == false
        guard let own = rule?.scope.answers, own != AnswerSettings() else { return namesBackends ? inherited.named : inherited.unnamed }
        return AnswerPlan.compile(
            levels + [own], pages: pages + [AnswerPlan.pages(own, in: arena)], namesBackends: namesBackends, in: arena)
    }
}

/// Policies and lists of rules of one plan, one for all that are equal: there are fewer than rules, so they stay in the cache.
private final class SharedPolicies {
    private var policies: [RulePolicy: UnsafePointer<RulePolicy>] = [:]
    private var arrays: [[RulePlan]: UnsafeBufferPointer<RulePlan>] = [:]
    private var cookies: [String: LastingBytes] = [:]

    func place(_ policy: RulePolicy, in arena: PlanArena) -> UnsafePointer<RulePolicy> {
        if let known = policies[policy] { return known }
        let place = arena.place(policy)
        policies[policy] = place
        return place
    }

    func array(_ plans: [RulePlan], in arena: PlanArena) -> UnsafeBufferPointer<RulePlan> {
        if let known = arrays[plans] { return known }
        let array = arena.array(plans)
        arrays[plans] = array
        return array
    }

    func cookie(_ name: String?, in arena: PlanArena) -> LastingBytes? {
        guard let name else { return nil }
        if let known = cookies[name] { return known }
        let bytes = arena.bytes(name)
        cookies[name] = bytes
        return bytes
    }
}

/// Gives rules with equal backends and equal balancing the same group.
private struct GroupCollector {
    private let arena: PlanArena
    private struct Key: Hashable {
        let members: [Int]
        let balancing: BalancingSettings
    }
    private var known: [Key: Int32] = [:]
    private(set) var plans: [BackendGroupPlan] = []

    init(_ settings: ServerSettings, arena: PlanArena) { self.arena = arena }

    mutating func group(_ members: [Int], _ balancing: BalancingSettings) -> Int32 {
        let combination = Key(members: members, balancing: balancing)
        if let place = known[combination] { return place }
        known[combination] = Int32(plans.count)
        let key: BackendGroupPlan.HashSource =
            switch (balancing.method, balancing.hashKey) {
            case (.hash, .source): .source
            case (.hash, .uri): .uri
            case (.hash, .header(let name)): .header(arena.bytes(name.lowercased()))
            case (.hash, .cookie(let name)): .cookie(arena.bytes(name))
            default: .none
            }
        plans.append(
            BackendGroupPlan(
                members: arena.array(members.map { Int32($0) }), method: balancing.method, hashKey: key,
                hashLoadPercentMax: balancing.hashLoadPercentMax, stickyCookie: arena.bytes(ifAny: balancing.stickyCookie)))
        return Int32(plans.count - 1)
    }
}

/// Which servers of a configuration are those of the plan before: they share an address to listen on, or have the same
/// place in the file.
struct ServerIdentities {
    /// One for each server of the new settings.
    private(set) var numbers: [Int32] = []
    private(set) var next: Int32

    init(_ settings: GlobalSettings, after previous: ServingPlan?) {
        next = previous?.nextIdentity ?? 0
        let old = previous?.settings.servers ?? []
        var taken = Set<Int>()
        var found = [Int?](repeating: nil, count: settings.servers.count)
        for (number, server) in settings.servers.enumerated() {
            found[number] = old.indices.first { place in
                !taken.contains(place) && old[place].addresses.contains { server.addresses.contains($0) }
            }
            if let place = found[number] { taken.insert(place) }
        }
        for number in settings.servers.indices where found[number] == nil && number < old.count && !taken.contains(number) {
            found[number] = number
            taken.insert(number)
        }
        for place in found {
            if let place, let previous {
                numbers.append(previous.servers[place].identity)
            } else {
                numbers.append(next)
                next += 1
            }
        }
    }
}
