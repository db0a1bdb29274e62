import Glibc

/// The stages of a request, in the order in which it passes them.
///
/// What is before `admit` (accept, parse) belongs to the client connection, because there is no exchange yet.
enum Step: UInt8 {
    /// May this request be served at all?
    case admit
    /// Which backends can serve it?
    case route
    /// May it be served now, or has its rule had enough?
    case limit
    /// Is a backend needed at all, or have we an answer of our own?
    case answer
    /// What changes on its way to them?
    case rewrite
    /// Which of them serves it; waits where none is free.
    case selectBackend
    /// Head into the backend connection's queue; the body follows by `RequestBody`.
    case sendRequest
    /// The answer's head is due.
    case receiveHead
    /// The backend has asked for another place to serve it: may that be?
    case delegate
    /// What changes on its way to the client?
    case editResponse
    /// The answer's body is moved by `ResponseBody` or `SpliceRelay`.
    case deliver
    /// One line in the access log.
    case log
    case release
}

/// What a step says to the walk.
enum StepResult {
    case next(Step)
    /// The exchange waits; who wakes it walks on from the step given.
    case park(Step)
    /// The exchange is over or answered otherwise; the walk must not touch it again.
    case done
}

extension Worker where Ring: ~Copyable {
    /// THE list: walks an exchange from its step to the next place where it has to wait.
    mutating func walk(_ exchange: UnsafeMutablePointer<Exchange>) {
        while true {
            let step = exchange.pointee.step
            crashNote.note(step: step.rawValue)
            let result: StepResult
            switch step {
            case .admit: result = admit(exchange)
            case .route: result = route(exchange)
            case .limit: result = limit(exchange)
            case .answer: result = answerOurselves(exchange)
            case .rewrite: result = rewrite(exchange)
            case .selectBackend: result = selectBackend(exchange)
            case .sendRequest: result = sendRequest(exchange)
            case .receiveHead: result = receiveHead(exchange)
            case .delegate: result = delegate(exchange)
            case .editResponse: result = editResponse(exchange)
            case .deliver: result = deliver(exchange)
            case .log: result = log(exchange)
            case .release: result = release(exchange)
            }
            switch result {
            case .next(let following): exchange.pointee.step = following
            case .park(let following):
                exchange.pointee.step = following
                return
            case .done: return
            }
        }
    }

    /// Makes the exchange of a head that is whole; the block with its bytes becomes the exchange's.
    mutating func begin(_ client: UnsafeMutablePointer<ClientConnection>, _ block: UnsafeMutablePointer<Block>) {
        guard let slot = exchanges.take() else {
            blocks.giveBack(block)
            refuse(client, 503, .outOfMemory)
            return
        }
        let exchange = exchanges[slot]
        let server = servers + Int(client.pointee.server)
        exchange.initialize(
            to: Exchange(
                slot: slot, client: client.pointee.timer.slot, server: client.pointee.server,
                rule: server.pointee.plan.fallback, headBlock: block,
                fields: exchanges.tail(slot).assumingMemoryBound(to: FieldRange.self), clock: clock))
        exchange.pointee.head = requestHead
        exchange.pointee.fieldCount = requestHead.fieldCount
        guard requestHead.fieldCount <= fieldsRoom || takeFieldBlock(exchange) else {
            exchanges.giveBack(slot)
            blocks.giveBack(block)
            refuse(client, 503, .outOfMemory)
            return
        }
        memcpy(exchange.pointee.fields, scratchFields, requestHead.fieldCount &* MemoryLayout<FieldRange>.stride)
        enterPlan(exchange, server)
        exchange.pointee.limits.server = server.pointee.plan.limit
        client.pointee.exchange = slot
        client.pointee.requestCount &+= 1
        exchange.pointee.requestNumber = client.pointee.requestCount
        exchange.pointee.clientBytesReceivedBefore = client.pointee.bytesReceived
        exchange.pointee.clientBytesSentBefore = client.pointee.bytesSent
        requestsSeen &+= 1
        exchange.pointee.sequence = requestsSeen
        batchSize &+= 1
        exchange.pointee.batchSize = batchSize
        count(.requests)
        count(.exchangesOpen)
        if requestHead.keepAlive { exchange.pointee.flags.insert(.keepsClient) }
        switch requestHead.framing {
        case .none, .untilClose, .length(0):
            exchange.pointee.flags.formUnion([.requestWhole])
            client.pointee.state = .answering
        case .length(let length):
            exchange.pointee.requestRemaining = length
            client.pointee.state = .body
        case .chunked: client.pointee.state = .body
        }
        // The body's timers begin when a backend can take it.
        client.pointee.rateSince = 0
        client.pointee.waitingFor = .nothing
        wheel.disarm(&client.pointee.timer)
        walk(exchange)
    }

    /// Finds room for more fields than a slot has, which a later plan may allow.
    private mutating func takeFieldBlock(_ exchange: UnsafeMutablePointer<Exchange>) -> Bool {
        guard let size = BlockSize.holding(exchange.pointee.fieldCount &* MemoryLayout<FieldRange>.stride),
            let block = blocks.take(size)
        else { return false }
        exchange.pointee.fieldBlock = block
        exchange.pointee.fields = block.bytes.assumingMemoryBound(to: FieldRange.self)
        return true
    }

    /// Fields of the request's head.
    @inline(__always)
    mutating func fields(_ exchange: UnsafeMutablePointer<Exchange>) -> UnsafeMutablePointer<FieldRange> {
        exchange.pointee.fields
    }

    /// A value of the request's head: valid while the exchange lives.
    @inline(__always)
    mutating func slice(_ exchange: UnsafeMutablePointer<Exchange>, _ start: Int, _ length: Int) -> UnsafeBufferPointer<UInt8> {
        UnsafeBufferPointer(
            start: exchange.pointee.headBlock.begin.assumingMemoryBound(to: UInt8.self) + start, count: length)
    }

    mutating func slice(_ exchange: UnsafeMutablePointer<Exchange>, valueOf field: FieldRange) -> UnsafeBufferPointer<UInt8> {
        slice(exchange, Int(field.valueStart), Int(field.valueLength))
    }

    // MARK: - The first steps

    private mutating func admit(_ exchange: UnsafeMutablePointer<Exchange>) -> StepResult {
        if debug.isOn { debug.atRequest(requestsSeen) }
        let server = servers + Int(exchange.pointee.server)
        let client = clients[exchange.pointee.client]
        let isOverLimit = client.pointee.flags.contains(.overLimit)
        if isOverLimit { exchange.pointee.flags.remove(.keepsClient) }
        if let path = server.pointee.plan.healthPath, isHealthCheck(exchange, path) {
            answerHealth(exchange)
            return .done
        }
        if isOverLimit {
            count(.connectionsLimited)
            answer(exchange, 429, .connectionLimit)
            return .done
        }
        switch exchange.pointee.head.method {
        case .connect:
            answer(exchange, 405, .methodRefused)
            return .done
        case .trace where !server.pointee.plan.allowsTrace:
            answer(exchange, 405, .methodRefused)
            return .done
        default: break
        }
        if exchange.pointee.requestRemaining > server.pointee.plan.bodyBytesMax {
            answer(exchange, 413, .bodyTooLarge)
            return .done
        }
        let most = server.pointee.plan.requestsPerConnectionMax
        if endsClients(exchange.pointee.server) || most > 0 && exchange.pointee.requestNumber >= most {
            exchange.pointee.flags.remove(.keepsClient)
        }
        return admitByServer(exchange) ? .next(.route) : .done
    }

}
