import Glibc

/// The proxy's own answers: short, complete, and closing the connection where the request can't be trusted.
extension Worker where Ring: ~Copyable {
    /// Refuses a head that could not be parsed.
    mutating func refuse(_ client: UnsafeMutablePointer<ClientConnection>, _ failure: ParseFailure) {
        count(.parseFailures)
        refuse(client, failure.status, .badRequest, word: failure.word)
    }

    /// Refuses what has come so far of a request: there is no exchange yet.
    mutating func refuse(
        _ client: UnsafeMutablePointer<ClientConnection>, _ status: UInt16, _ reason: FailureReason,
        word: StaticString? = nil
    ) {
        guard !client.pointee.flags.contains(.encrypted) || client.pointee.tls.map({ $0.pointee.isOpen }) ?? false else {
            // There is nothing yet that an answer could be read from.
            logRefusal(client, 0, word ?? reason.word, bytes: 0, bodyBytes: 0)
            close(client)
            return
        }
        count(.requests)
        client.pointee.requestCount &+= 1
        if let block = client.pointee.headBlock {
            client.pointee.headBlock = nil
            blocks.giveBack(block)
        }
        client.pointee.flags.insert(.closeAfterSend)
        client.pointee.state = .lingering
        client.pointee.rateSince = 0
        let rule = servers[Int(client.pointee.server)].plan.fallback
        var own = OwnAnswer(status: status)
        own.closes = true
        own.body = errorPage(rule, status)
        requestsSeen &+= 1
        let written = writeAnswer(client, own, nil, rule.pointee.rewriting)
        guard written > 0 else {
            close(client)
            return
        }
        countAnswer(status)
        count(.ownAnswers)
        logRefusal(client, status, word ?? reason.word, bytes: written, bodyBytes: own.bodyLength)
        client.pointee.waitingFor = .linger
        wheel.set(&client.pointee.timer, clock.now &+ Self.lingerNanoseconds)
        markDirty(client)
    }

    /// Answers an exchange with what went wrong, or cuts it off where an answer has begun already.
    ///
    /// - Parameter retrySeconds: what Retry-After says, with the statuses that have one.
    mutating func answer(
        _ exchange: UnsafeMutablePointer<Exchange>, _ status: UInt16, _ reason: FailureReason, retrySeconds: UInt32 = 1
    ) {
        if exchange.pointee.failure == .none { exchange.pointee.failure = reason }
        var own = OwnAnswer(status: status, retrySeconds: retrySeconds)
        own.body = errorPage(exchange.pointee.rule, status)
        own.closes = status == 400 || status == 421 || status == 503 && reason != .maintenance
        answer(exchange, own)
    }

    /// The body that the operator has given the answers of a rule with this status.
    @inline(__always)
    private mutating func errorPage(_ rule: UnsafePointer<RulePlan>, _ status: UInt16) -> BodyPlan? {
        rule.pointee.answers.flatMap { $0.pointee.pages.body(for: status) }
    }

    /// Answers an exchange ourselves, or cuts it off where an answer has begun already.
    mutating func answer(_ exchange: UnsafeMutablePointer<Exchange>, _ own: OwnAnswer) {
        let client = clients[exchange.pointee.client]
        if exchange.pointee.flags.contains(.answerBegun), !takeBackAnswer(exchange, client) {
            abort(client, exchange.pointee.failure)
            return
        }
        detachForAnswer(exchange)
        // Where the request's end has not been seen, what follows can't be told from its body.
        var own = own
        own.closes =
            own.closes || !exchange.pointee.flags.contains(.keepsClient) || !exchange.pointee.flags.contains(.requestWhole)
            || endsClients(client.pointee.server)
        own.isForHead = exchange.pointee.head.method == .head
        own.isForOldClient = exchange.pointee.head.versionMinor == 0
        guard writeAnswer(client, own, exchange, exchange.pointee.rule.pointee.rewriting) > 0 else {
            abort(client, .outOfMemory)
            return
        }
        exchange.pointee.status = own.status
        exchange.pointee.answerBodyBytes = own.isForHead ? 0 : UInt64(own.bodyLength)
        exchange.pointee.flags.formUnion([.answerBegun, .answerWhole])
        if own.closes { exchange.pointee.flags.remove(.keepsClient) } else { exchange.pointee.flags.insert(.keepsClient) }
        if client.pointee.state == .body { client.pointee.state = .answering }
        count(.ownAnswers)
        countAnswer(own.status)
        markDirty(client)
    }

    /// Takes an answer back of which the client has seen nothing; false when it is too late.
    private mutating func takeBackAnswer(
        _ exchange: UnsafeMutablePointer<Exchange>, _ client: UnsafeMutablePointer<ClientConnection>
    ) -> Bool {
        guard !client.pointee.flags.contains(.sending), exchange.pointee.splicedBytes == 0,
            client.pointee.bytesSent == exchange.pointee.clientBytesSentBefore,
            client.pointee.tls == nil || client.pointee.tls!.pointee.sealedBytes == 0
        else { return false }
        client.pointee.output.clear(into: &blocks)
        leavePacing(exchange)
        exchange.pointee.flags.remove([.answerBegun, .splicingAnswer])
        exchange.pointee.answerBodyBytes = 0
        if exchange.pointee.head.keepAlive { exchange.pointee.flags.insert(.keepsClient) }
        return true
    }

    /// Takes an exchange that will be answered by us off its backend; others on the same connection go on or elsewhere.
    private mutating func detachForAnswer(_ exchange: UnsafeMutablePointer<Exchange>) {
        guard exchange.pointee.connection != noSlot, exchange.pointee.flags.contains(.pipelined) else {
            detach(exchange)
            return
        }
        let connection = connections[exchange.pointee.connection]
        let isSent = exchange.pointee.flags.contains(.requestSent)
        release(connection, of: exchange)
        exchange.pointee.flags.remove(.pipelined)
        if isSent {
            onIrregular(connection)
        } else if connection.pointee.exchanges.isEmpty {
            putBack(connection)
        }
    }

    /// Writes head and body; returns the bytes written, 0 when there was no room.
    ///
    /// - Parameters:
    ///   - exchange: whose answer it is; nil = of a request that was refused before it was one.
    ///   - plan: of its rule, or of its server as a whole.
    private mutating func writeAnswer(
        _ client: UnsafeMutablePointer<ClientConnection>, _ own: OwnAnswer, _ exchange: UnsafeMutablePointer<Exchange>?,
        _ plan: UnsafePointer<RewritePlan>
    ) -> Int {
        updateDate()
        var own = own
        own.dropped = plan.pointee.droppedOfOwn
        let headLength = exchange.map { $0.pointee.head.headLength } ?? 0
        let room = own.headRoom &+ (plan.pointee.editsOwnAnswers ? ownEditRoom(plan, headLength: headLength) : 0)
        guard let place = client.pointee.output.reserve(room, from: &blocks) else { return 0 }
        var writer = HeadWriter(base: place, capacity: room)
        own.writeHead(to: &writer, date: UnsafeRawPointer(dateText))
        if plan.pointee.editsOwnAnswers { appendOwnEdits(plan, exchange, client, own.status, to: &writer) }
        writer.append("\r\n")
        if own.body == nil && !own.isForHead { own.writeLine(to: &writer) }
        guard !writer.overflowed else { return 0 }
        client.pointee.output.commit(writer.count)
        guard let body = own.body, body.bytes.count > 0, !own.isForHead else { return writer.count }
        guard client.pointee.output.append(body.bytes.start, body.bytes.count, from: &blocks) else { return 0 }
        return writer.count &+ body.bytes.count
    }

    /// Prints the date anew when the second has changed.
    private mutating func updateDate() {
        let second = clock.wall / 1_000_000_000
        guard second != dateSecond else { return }
        dateSecond = second
        var writer = HeadWriter(base: dateText, capacity: 32)
        HTTPDate(unixSeconds: Int64(second)).write(into: &writer)
    }

    @inline(__always)
    mutating func countAnswer(_ status: UInt16) {
        switch status {
        case 200..<300: count(.responses2xx)
        case 300..<400: count(.responses3xx)
        case 400..<500: count(.responses4xx)
        case 500..<600: count(.responses5xx)
        default: break
        }
    }
}
