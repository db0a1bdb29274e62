/// What the proxy answers itself for the requests of one rule: resolved, trivial, in the memory of a plan.
struct AnswerPlan: BitwiseCopyable {
    /// Instead of asking a backend.
    enum Whole: BitwiseCopyable {
        case none
        case redirect(RedirectPlan)
        case respond(RespondPlan)
    }

    let whole: Whole
    let pages: ErrorPages
    let maintenance: MaintenancePlan

    /// Whatever is asked has an answer here.
    var answersAll: Bool {
        switch whole {
        case .none: false
        case .redirect, .respond: true
        }
    }
}

/// An answer that sends the client elsewhere.
struct RedirectPlan: BitwiseCopyable {
    let status: UInt16
    let target: ValueFormat
    /// Between the target and the query of the request; 0 = the query is not kept.
    let separator: UInt8
}

/// A whole answer with a fixed body.
struct RespondPlan: BitwiseCopyable {
    let status: UInt16
    let body: BodyPlan
}

/// Bytes and their media type; no type = no body at all.
struct BodyPlan: BitwiseCopyable {
    let bytes: LastingBytes
    let contentType: LastingBytes?

    init(bytes: LastingBytes, contentType: LastingBytes?) {
        self.bytes = bytes
        self.contentType = contentType
    }

    /// One of our own texts.
    init(text: StaticString) {
        let type: StaticString = "text/plain"
        bytes = LastingBytes(start: text.utf8Start, count: text.utf8CodeUnitCount)
        contentType = LastingBytes(start: type.utf8Start, count: type.utf8CodeUnitCount)
    }

    static var none: BodyPlan { BodyPlan(bytes: .empty, contentType: nil) }
}

/// Bodies of the proxy's own answers by status.
struct ErrorPages: BitwiseCopyable {
    struct Page: BitwiseCopyable {
        let status: UInt16
        let body: BodyPlan
    }
    let pages: UnsafeBufferPointer<Page>

    static var none: ErrorPages { ErrorPages(pages: UnsafeBufferPointer(start: nil, count: 0)) }

    /// The body for a status; nil = one line of text, as without pages.
    func body(for status: UInt16) -> BodyPlan? {
        for page in pages where page.status == status { return page.body }
        return nil
    }
}

/// Whether requests are answered 503 because of work on what stands behind.
struct MaintenancePlan: BitwiseCopyable {
    /// Until the next reload.
    var isAlwaysOn = false
    /// Not 0 while the file exists; nil = no file.
    var file: MaintenanceFlag?
    var retrySeconds: UInt32 = 0

    /// One load from memory at most; the file system is asked by the control thread.
    @inline(__always)
    var isOn: Bool {
        if isAlwaysOn { return true }
        guard let file else { return false }
        return file.isSet
    }
}

extension AnswerPlan {
    /// Resolves what holds for a rule, a host or a server as a whole, from the outermost level to the innermost.
    ///
    /// - Parameters:
    ///   - pages: of each of the levels, in the memory of the plan; rules of the same host share those of their surroundings.
    ///   - namesBackends: the innermost level says itself who serves, so that a redirect or a fixed answer of its
    ///     surroundings is not meant for it.
    /// - Returns: nil where nothing is said, which is what most rules say.
    static func compile(
        _ levels: [AnswerSettings], pages: [[ErrorPages.Page]], namesBackends: Bool, in arena: PlanArena
    ) -> UnsafePointer<AnswerPlan>? {
        let nearestFirst = Array(levels.reversed())
        let whole: Whole
        let answering = namesBackends ? Array(nearestFirst.prefix(1)) : nearestFirst
        if let nearest = answering.first(where: { $0.redirect != nil || $0.respond != nil }) {
            whole = nearest.redirect.flatMap { redirect($0, in: arena) } ?? nearest.respond.map { respond($0, in: arena) } ?? .none
        } else {
            whole = .none
        }
        var known = Set<UInt16>()
        let merged = pages.reversed().joined().filter { known.insert($0.status).inserted }
        let maintenance = nearestFirst.map(\.maintenance).first(where: \.saysAnything).map(MaintenancePlan.init) ?? MaintenancePlan()
        if case .none = whole, merged.isEmpty, !maintenance.isAlwaysOn, maintenance.file == nil { return nil }
        return arena.place(AnswerPlan(whole: whole, pages: ErrorPages(pages: arena.array(merged)), maintenance: maintenance))
    }

    /// The pages of one level, the last one of a status alone, as with every other word.
    static func pages(_ level: AnswerSettings, in arena: PlanArena) -> [ErrorPages.Page] {
        var known = Set<Int>()
        return level.errorPages.reversed().flatMap { page in
            let fresh = page.statuses.filter { known.insert($0).inserted }
            if fresh.isEmpty { return [ErrorPages.Page]() }
            let body = self.body(page.body, in: arena)
            return fresh.map { ErrorPages.Page(status: UInt16($0), body: body) }
        }
    }

    private static func redirect(_ settings: RedirectSettings, in arena: PlanArena) -> Whole? {
        guard let target = try? ValueFormat.compile(settings.target, style: .target).get() else { return nil }
        arena.atEnd { target.release() }
        let keepsQuery = settings.keepsQuery ?? !(target.namesQuery || settings.target.contains("#"))
        let separator = settings.target.contains("?") ? UInt8(ascii: "&") : UInt8(ascii: "?")
        return .redirect(RedirectPlan(status: UInt16(settings.status), target: target, separator: keepsQuery ? separator : 0))
    }

    private static func respond(_ settings: RespondSettings, in arena: PlanArena) -> Whole {
        .respond(RespondPlan(status: UInt16(settings.status), body: settings.body.map { body($0, in: arena) } ?? .none))
    }

    private static func body(_ settings: AnswerBodySettings, in arena: PlanArena) -> BodyPlan {
        BodyPlan(bytes: arena.bytes(settings.bytes), contentType: arena.bytes(settings.contentType))
    }
}

extension MaintenancePlan {
    fileprivate init(_ settings: MaintenanceSettings) {
        isAlwaysOn = settings.isOn ?? false
        // A level that says no, and nothing about a file, is exempt from the file of its surroundings too.
        file = settings.file.map(MaintenanceFlag.of)
        retrySeconds = UInt32(clamping: settings.retrySeconds ?? MaintenanceSettings.retrySecondsDefault)
    }
}
