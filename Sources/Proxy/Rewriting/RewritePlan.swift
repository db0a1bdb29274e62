/// What becomes of the heads of one rule's requests and answers: everything of this room, compiled once.
struct RewritePlan: BitwiseCopyable, @unchecked Sendable {
    enum HostChange: BitwiseCopyable {
        case client, backend
        case name(LastingBytes)
    }
    var forwarding = ForwardingHeaders.none
    var certificate = CertificateFields.none
    /// Taken out of requests: managed names, and what edits remove or replace.
    var dropped = FieldNameSet.empty
    /// The same where a trusted peer speaks.
    var droppedOfTrusted = FieldNameSet.empty
    /// Besides, where the connection itself is encrypted: what this proxy has seen of a certificate counts.
    var droppedOfTrustedUnderTLS = FieldNameSet.empty
    /// Names that only proxies say; with an underscore nobody does.
    var managed = FieldNameSet.empty
    /// The name of the field with the request's identifier alone.
    var identifier = FieldNameSet.empty
    var target: URIRewrite?
    var host = HostChange.client
    var requestEdits = HeaderEdits.none
    /// Taken out of answers.
    var droppedOfAnswers = FieldNameSet.empty
    var responseEdits = HeaderEdits.none
    /// Taken out of answers of our own.
    var droppedOfOwn: OwnAnswer.Fields = []
    /// Answers of our own get the lines of `responseEdits` too.
    var writesEditsOnOwn = false
    /// They get these lines, or the request's identifier.
    var editsOwnAnswers = false
    var reverse: LocationRewrite?
    /// Anything at all happens to an answer.
    var changesAnswers = false

    /// Changes nothing and takes nothing out; lives as long as the process.
    nonisolated(unsafe) static let neutral: UnsafePointer<RewritePlan> = {
        let place = UnsafeMutablePointer<RewritePlan>.allocate(capacity: 1)
        place.initialize(to: RewritePlan())
        return UnsafePointer(place)
    }()

    private init() {}

    /// - Parameters:
    ///   - scope: with everything resolved that is inherited.
    ///   - backends: those that the rule sends to.
    ///   - wants: what is told of clients' certificates anywhere in the configuration.
    init(
        rewrite: RewriteSettings?, reverses: [ReverseSettings], scope: ScopeSettings, backends: [BackendSettings],
        wants: CertificateWants = CertificateWants(), in arena: PlanArena
    ) throws(Pattern.Complaint) {
        requestEdits = scope.requestEdits.map { HeaderEdits($0, in: arena) } ?? .none
        responseEdits = HeaderEdits(scope.responseEdits ?? HeaderEditSettings(), in: arena)
        let settings = scope.forwarded ?? ForwardingSettings()
        let edits = scope.requestEdits ?? HeaderEditSettings()
        let written = FieldNameSet(edits.set.map(\.name), in: arena)
        forwarding = ForwardingHeaders(settings, written: written, in: arena)
        certificate = CertificateFields(settings.certificate, written: written, wants: wants, in: arena)
        let taken = edits.remove + edits.set.map(\.name) + ManagedFields.ownTalk + (settings.requestID ? [settings.requestIDName] : [])
        dropped = FieldNameSet(taken + ManagedFields.aboutClients + wants.fieldNames, in: arena)
        droppedOfTrusted = FieldNameSet(taken + forwarding.rewritten, in: arena)
        if certificate.saysAnything {
            droppedOfTrustedUnderTLS = FieldNameSet(ManagedFields.aboutCertificates + wants.fieldNames, in: arena)
        }
        managed = FieldNameSet(ManagedFields.ownTalk + ManagedFields.aboutClients + wants.fieldNames, in: arena)
        if settings.requestID { identifier = FieldNameSet([settings.requestIDName], in: arena) }
        target = try rewrite.map { settings throws(Pattern.Complaint) in try URIRewrite(settings, in: arena) } ?? nil
        switch rewrite?.host ?? .client {
        case .client: host = .client
        case .backend: host = .backend
        case .name(let name): host = .name(arena.bytes(name))
        }
        let responses = scope.responseEdits ?? HeaderEditSettings()
        let stripped = (scope.strippedFields ?? []) + responses.remove + responses.set.map(\.name)
        droppedOfAnswers = FieldNameSet(stripped + (forwarding.echoesRequestID ? [settings.requestIDName] : []), in: arena)
        droppedOfOwn = OwnAnswer.Fields(
            among: FieldNameSet(responses.coversOwnAnswers ? stripped : scope.strippedFields ?? [], in: arena))
        writesEditsOnOwn = responses.coversOwnAnswers && !responseEdits.isEmpty
        editsOwnAnswers = writesEditsOnOwn || forwarding.echoesRequestID
        reverse = LocationRewrite(rewrite: rewrite, reverses: reverses, backends: backends, in: arena)
        changesAnswers = !stripped.isEmpty || !responseEdits.lines.isEmpty || reverse != nil || forwarding.echoesRequestID
    }
}

/// The plans of rules that have no rewriting of their own, one for all that inherit the same; while a plan is compiled.
final class SharedRewritePlans {
    private struct Key: Hashable {
        let forwarded: ForwardingSettings?
        let requestEdits: HeaderEditSettings?
        let responseEdits: HeaderEditSettings?
        let strippedFields: [String]?
    }
    let wants: CertificateWants
    private var known: [Key: UnsafePointer<RewritePlan>] = [:]

    init(wants: CertificateWants) { self.wants = wants }

    func plan(_ scope: ScopeSettings, in arena: PlanArena) throws(Pattern.Complaint) -> UnsafePointer<RewritePlan> {
        let key = Key(
            forwarded: scope.forwarded, requestEdits: scope.requestEdits, responseEdits: scope.responseEdits,
            strippedFields: scope.strippedFields)
        if let twin = known[key] { return twin }
        let plan = arena.place(try RewritePlan(rewrite: nil, reverses: [], scope: scope, backends: [], wants: wants, in: arena))
        known[key] = plan
        return plan
    }
}

extension URIRewrite {
    /// nil when the target stays as it is.
    init?(_ settings: RewriteSettings, in arena: PlanArena) throws(Pattern.Complaint) {
        if settings.path == .keep && settings.query == .keep { return nil }
        switch settings.path {
        case .keep: path = .keep
        case .afterLastGroup(let pattern, let text): path = .afterLastGroup(try Pattern(pattern, in: arena), arena.bytes(text))
        case .replace(let pattern, let text): path = .replace(try Pattern(pattern, in: arena), RewriteTemplate(text, in: arena))
        case .prefix(let from, let to): path = .prefix(arena.bytes(from), with: arena.bytes(to))
        }
        switch settings.query {
        case .keep: query = .keep
        case .drop: query = .drop
        case .replace(let text): query = .replace(RewriteTemplate(text, in: arena))
        case .append(let text): query = .append(RewriteTemplate(text, in: arena))
        }
    }
}

extension LocationRewrite {
    /// nil when there is nothing to map.
    init?(rewrite: RewriteSettings?, reverses: [ReverseSettings], backends: [BackendSettings], in arena: PlanArena) {
        var locations = reverses.compactMap(\.location)
        var paths = reverses.compactMap(\.cookiePath)
        var domains = reverses.compactMap(\.cookieDomain)
        if let rewrite, rewrite.mapsBack, case .prefix(let client, let backend) = rewrite.path {
            locations.append(ReverseSettings.Pair(from: backend, to: client))
            paths.append(ReverseSettings.Pair(from: backend, to: client))
            // A browser refuses a cookie for another site; for the one it asked it needs no attribute.
            domains += backends.compactMap(\.hostName).map { ReverseSettings.Pair(from: $0, to: "") }
            if case .name(let host) = rewrite.host { domains.append(ReverseSettings.Pair(from: Self.place("http://\(host)").host, to: "")) }
        }
        if locations.isEmpty && paths.isEmpty && domains.isEmpty { return nil }
        var own = backends.compactMap { backend in
            backend.hostName.map { Own(host: arena.bytes($0), port: Int32(backend.port)) }
        }
        if let rewrite, case .name(let host) = rewrite.host {
            own.append(Own(host: arena.bytes(Self.place("http://\(host)").host), port: -1))
        }
        mappings = arena.array(
            locations.map { pair in
                let from = Self.place(pair.from)
                let to = withoutTrailingSlash(pair.to)
                return Mapping(
                    host: arena.bytes(from.host), port: from.port, isSecure: from.isSecure, path: arena.bytes(from.path),
                    to: arena.bytes(to), isInward: from.host.isEmpty && to.utf8.count > from.path.utf8.count && to.hasPrefix(from.path + "/"))
            })
        self.own = arena.array(own)
        cookiePaths = arena.array(paths.map { Substitute(from: arena.bytes(withoutTrailingSlash($0.from)), to: arena.bytes(withoutTrailingSlash($0.to))) })
        cookieDomains = arena.array(domains.map { Substitute(from: arena.bytes($0.from.lowercased()), to: arena.bytes($0.to)) })
        let longest = (locations + paths + domains).map(\.to.utf8.count).max() ?? 0
        growthBytesMax = longest + 16
    }

    /// A path or a URL taken apart; what is neither counts as a path.
    private static func place(_ text: String) -> (host: String, port: Int32, isSecure: Bool, path: String) {
        let bytes = Array(text.utf8)
        let reference = parseURIReference(bytes.span, start: 0, end: bytes.count)
        guard reference.form == .absolute else { return ("", 0, false, withoutTrailingSlash(text)) }
        let authority = reference.authority
        let host = String(decoding: bytes[authority.start..<(authority.start + authority.hostLength)], as: UTF8.self).lowercased()
        let port = authority.port >= 0 ? authority.port : reference.isSecure ? 443 : 80
        let path = String(decoding: bytes[reference.pathStart...], as: UTF8.self)
        return (host, Int32(port), reference.isSecure, withoutTrailingSlash(path))
    }
}

private func withoutTrailingSlash(_ text: String) -> String {
    var text = text[...]
    while text.hasSuffix("/") { text = text.dropLast() }
    return String(text)
}

extension BackendSettings {
    /// As it stands in a URL, in small letters; nil for a unix socket.
    fileprivate var hostName: String? {
        switch address {
        case .ipv4(let text), .name(let text): text.lowercased()
        case .ipv6(let text): "[\(text.lowercased())]"
        case .unix: nil
        }
    }
}
