import Glibc

/// Requests that need no backend: redirects, fixed answers, maintenance, and the health path of a balancer in front.
extension Worker where Ring: ~Copyable {
    /// Answers where the rule has an answer of its own; most have none.
    @inline(__always)
    mutating func answerOurselves(_ exchange: UnsafeMutablePointer<Exchange>) -> StepResult {
        guard let answers = exchange.pointee.rule.pointee.answers else { return .next(.rewrite) }
        return answerOurselves(exchange, answers)
    }

    private mutating func answerOurselves(
        _ exchange: UnsafeMutablePointer<Exchange>, _ answers: UnsafePointer<AnswerPlan>
    ) -> StepResult {
        if answers.pointee.maintenance.isOn {
            answer(exchange, 503, .maintenance, retrySeconds: answers.pointee.maintenance.retrySeconds)
            return .done
        }
        switch answers.pointee.whole {
        case .none: return .next(.rewrite)
        case .respond(let respond):
            var own = OwnAnswer(status: respond.status)
            let hasNoText = respond.body.contentType == nil
            own.body = hasNoText && respond.status >= 400 ? answers.pointee.pages.body(for: respond.status) : respond.body
            answer(exchange, own)
        case .redirect(let redirect): self.redirect(exchange, redirect)
        }
        return .done
    }

    // MARK: - Redirects

    /// Sends the client elsewhere; 414 where the target that the request asks for is too long for a head.
    private mutating func redirect(_ exchange: UnsafeMutablePointer<Exchange>, _ plan: RedirectPlan) {
        let head = exchange.pointee.head
        // Each byte of the request may become three.
        let wanted = plan.target.fixedBytes &+ 3 &* head.headLength &+ 1
        let room = min(wanted, BlockSize.large.payloadBytes)
        guard let size = BlockSize.holding(room), let block = blocks.take(size) else {
            answer(exchange, 503, .outOfMemory)
            return
        }
        defer { blocks.giveBack(block) }
        guard let length = writeTarget(exchange, plan, to: block.bytes, room: room) else {
            answer(exchange, 414, .targetTooLong)
            return
        }
        var own = OwnAnswer(status: plan.status)
        own.location = ByteSlice(start: UnsafeRawPointer(block.bytes), count: length)
        answer(exchange, own)
    }

    /// Prints a redirect's target; nil when it does not fit, or is longer than any head that we would take ourselves.
    private mutating func writeTarget(
        _ exchange: UnsafeMutablePointer<Exchange>, _ plan: RedirectPlan, to place: UnsafeMutableRawPointer, room: Int
    ) -> Int? {
        var record = LogRecord()
        fill(&record, exchange)
        // `*` is no path that could be appended to a target.
        if exchange.pointee.head.form == .asterisk { record.path = ByteSlice("/") }
        fillRequestFields(&record, exchange, plan.target.requestFieldNames)
        guard var length = plan.target.write(record, to: place, room: room, clock: &valueClock) else { return nil }
        let query = record.query
        if plan.separator != 0, let start = query.start, query.count > 0 {
            guard room &- length > 1 else { return nil }
            let text = place.assumingMemoryBound(to: UInt8.self)
            text[length] = plan.separator
            length &+= 1
            let (taken, written) = escape(start, count: query.count, into: text + length, room: room &- length, style: .target)
            guard taken == query.count else { return nil }
            length &+= written
        }
        return length <= locationBytesMax(exchange) ? length : nil
    }

    /// Longer than any head that a peer may be expected to read, and what fits beside the operator's own fields.
    private mutating func locationBytesMax(_ exchange: UnsafeMutablePointer<Exchange>) -> Int {
        let plan = exchange.pointee.rule.pointee.rewriting
        let edits = plan.pointee.editsOwnAnswers ? ownEditRoom(plan, headLength: exchange.pointee.head.headLength) : 0
        return min(60_000, BlockSize.large.payloadBytes &- OwnAnswer.plainHeadBytesMax &- edits)
    }

    /// Brings the fields of the request that a value asks for, in its order.
    private mutating func fillRequestFields(
        _ record: inout LogRecord, _ exchange: UnsafeMutablePointer<Exchange>, _ names: UnsafeBufferPointer<ByteSlice>
    ) {
        for at in 0..<min(names.count, LogRecord.capturedMax) {
            guard let start = names[at].start else { continue }
            let found = findField(exchange, named: LastingBytes(start: start, count: names[at].count))
            record.capturedRequestFields[at] = found.map { ByteSlice(start: UnsafeRawPointer($0.baseAddress), count: $0.count) } ?? .none
        }
    }

    // MARK: - Health

    /// Whether a request asks how we are: GET or HEAD of exactly that path, whatever the host and the query.
    mutating func isHealthCheck(_ exchange: UnsafeMutablePointer<Exchange>, _ path: LastingBytes) -> Bool {
        let head = exchange.pointee.head
        guard head.method == .get || head.method == .head, head.pathLength == path.count else { return false }
        return memcmp(exchange.pointee.headBlock.begin + head.pathStart, path.start, path.count) == 0
    }

    /// 200 while the server takes requests, 503 when a balancer should look elsewhere.
    mutating func answerHealth(_ exchange: UnsafeMutablePointer<Exchange>) {
        let server = servers + Int(exchange.pointee.server)
        var isInMaintenance = false
        if let answers = server.pointee.plan.fallback.pointee.answers { isInMaintenance = answers.pointee.maintenance.isOn }
        let isServing = !isInMaintenance && !endsClients(exchange.pointee.server)
        if !server.pointee.plan.logsHealth { exchange.pointee.flags.insert(.logged) }
        var own = OwnAnswer(status: isServing ? 200 : 503)
        own.body = BodyPlan(text: isServing ? "ok\n" : "unavailable\n")
        answer(exchange, own)
    }
}
