import Glibc

/// Which virtual host and which of its rules a request belongs to.
extension Worker where Ring: ~Copyable {
    mutating func route(_ exchange: UnsafeMutablePointer<Exchange>) -> StepResult {
        let server = servers + Int(exchange.pointee.server)
        let head = exchange.pointee.head
        let number = server.pointee.plan.hosts.find(UnsafeRawBufferPointer(slice(exchange, head.hostStart, head.hostNameLength)))
        guard number >= 0 else {
            return refuseUnlessAnswered(exchange, .noVirtualHost)
        }
        let host = server.pointee.plan.virtualHosts.baseAddress! + Int(number)
        exchange.pointee.rule = host.pointee.fallback
        if let tls = server.pointee.plan.tls, isMisdirected(exchange, tls, number) {
            answer(exchange, 421, .misdirected)
            return .done
        }
        var path = UnsafeRawBufferPointer(start: nil, count: 0)
        if host.pointee.rules.readsPath {
            guard let normal = normalPath(exchange) else {
                answer(exchange, 400, .pathRefused)
                return .done
            }
            path = normal
        }
        let match = host.pointee.rules.match(path, patterns)
        if match.gaveUp >= 0 { tellOfGivingUp(host.pointee.rules.label(match.gaveUp)) }
        guard match.rule >= 0 else {
            return refuseUnlessAnswered(exchange, .noRule)
        }
        exchange.pointee.rule = host.pointee.plans.baseAddress! + Int(match.rule)
        return .next(.limit)
    }

    /// Whether a host asks more, or something else, of a client's certificate than what its connection was checked for.
    private mutating func isMisdirected(
        _ exchange: UnsafeMutablePointer<Exchange>, _ tls: UnsafePointer<ListenerTLS>, _ host: Int32
    ) -> Bool {
        guard let link = clients[exchange.pointee.client].pointee.tls else { return false }
        return tls.pointee.marks[Int(tls.pointee.contextOfHost[Int(host)])] != link.pointee.contextMark
    }

    /// No rule takes the request: 404, where host or server have no answer for whatever is asked.
    private mutating func refuseUnlessAnswered(
        _ exchange: UnsafeMutablePointer<Exchange>, _ reason: FailureReason
    ) -> StepResult {
        if let answers = exchange.pointee.rule.pointee.answers, answers.pointee.answersAll { return .next(.limit) }
        answer(exchange, 404, reason)
        return .done
    }

    /// The request's path in its normal form, good until the next request is routed; nil where it has none. `*` for
    /// OPTIONS of the server as a whole.
    mutating func normalPath(_ exchange: UnsafeMutablePointer<Exchange>) -> UnsafeRawBufferPointer? {
        let head = exchange.pointee.head
        if head.form == .asterisk { return UnsafeRawBufferPointer(slice(exchange, head.targetStart, head.targetLength)) }
        // `http://host` means its root, but with OPTIONS the server as a whole (RFC 9112 §3.2.4).
        guard head.pathLength > 0 else {
            let whole: StaticString = head.method == .options && !head.hasQuery ? "*" : "/"
            return UnsafeRawBufferPointer(start: whole.utf8Start, count: 1)
        }
        let path = slice(exchange, head.pathStart, head.pathLength)
        let bytes = path.span
        if isNormalPath(bytes) { return UnsafeRawBufferPointer(path) }
        var room = pathRoom.mutableSpan
        switch normalizePath(bytes, start: 0, length: head.pathLength, into: &room) {
        case .complete(let length): return UnsafeRawBufferPointer(start: pathRoom.baseAddress, count: length)
        case .failed: return nil
        }
    }

    @inline(never)
    private mutating func tellOfGivingUp(_ label: LastingBytes) {
        logs.events.emit(.warning, "a search took too many steps and counts as not found", subject: label.slice)
    }

    /// Where an exchange goes on that has to be sent once more: at its rule's backends, or, when the plan has changed
    /// since it was routed, at the choice of the rule.
    mutating func stepOfNewTry(_ exchange: UnsafeMutablePointer<Exchange>) -> Step {
        let server = servers + Int(exchange.pointee.server)
        // Where it is sent on to was decided under its own plan.
        if exchange.pointee.planUse == server.pointee.planUse || exchange.pointee.flags.contains(.delegated) { return .selectBackend }
        changePlan(exchange, server)
        return .route
    }

    /// Makes an exchange a user of the plan that its server runs by now.
    private mutating func changePlan(
        _ exchange: UnsafeMutablePointer<Exchange>, _ server: UnsafeMutablePointer<ServerRuntime>
    ) {
        leaveLimits(exchange)
        leavePlan(exchange)
        enterPlan(exchange, server)
        exchange.pointee.limits.server = server.pointee.plan.limit
        notePacing(exchange)
        exchange.pointee.flags.insert(.rerouted)
    }
}
