import Glibc

/// What changes in a request on its way to a backend, decided once its rule is known.
extension Worker where Ring: ~Copyable {
    /// Marks the fields that backends must not get from this client, and makes the target that they get.
    ///
    /// May run again for the same request under another plan: it begins from the head as it came.
    mutating func rewrite(_ exchange: UnsafeMutablePointer<Exchange>) -> StepResult {
        let plan = exchange.pointee.rule.pointee.rewriting
        let isTrusted = isFromTrustedPeer(exchange)
        if isTrusted { exchange.pointee.flags.insert(.fromTrustedPeer) } else { exchange.pointee.flags.remove(.fromTrustedPeer) }
        markFields(exchange, plan, isTrusted: isTrusted)
        if let block = exchange.pointee.target {
            exchange.pointee.target = nil
            blocks.giveBack(block)
        }
        let form = exchange.pointee.head.form
        guard let target = plan.pointee.target, form == .origin || form == .absolute else { return .next(.selectBackend) }
        return rewriteTarget(exchange, target)
    }

    private mutating func isFromTrustedPeer(_ exchange: UnsafeMutablePointer<Exchange>) -> Bool {
        let server = servers + Int(exchange.pointee.server)
        guard server.pointee.plan.trustsPeers else { return false }
        return server.pointee.plan.trustedPeers.allows(clientAddress(clients[exchange.pointee.client]).pointee.host)
    }

    private mutating func markFields(_ exchange: UnsafeMutablePointer<Exchange>, _ plan: UnsafePointer<RewritePlan>, isTrusted: Bool) {
        let fields = exchange.pointee.fields
        let bytes = slice(exchange, 0, exchange.pointee.head.headLength).span
        var dropsHost = true
        if case .client = plan.pointee.host { dropsHost = false }
        exchange.pointee.identifierField = -1
        let isEncrypted = clients[exchange.pointee.client].pointee.tls != nil
        var at = 0
        while at < exchange.pointee.fieldCount {
            let field = fields[at]
            var drops: Bool
            if isTrusted {
                drops =
                    plan.pointee.droppedOfTrusted.contains(field, bytes)
                    || isEncrypted && plan.pointee.droppedOfTrustedUnderTLS.contains(field, bytes)
                    || ManagedFields.hasUnderscore(field, bytes) && plan.pointee.managed.contains(field, bytes)
                if exchange.pointee.identifierField < 0, plan.pointee.identifier.contains(field, bytes),
                    isRequestIdentifier(bytes, start: Int(field.valueStart), length: Int(field.valueLength))
                {
                    exchange.pointee.identifierField = Int16(truncatingIfNeeded: at)
                }
            } else {
                drops = plan.pointee.dropped.contains(field, bytes)
            }
            if dropsHost && at == exchange.pointee.head.hostField { drops = true }
            if drops { fields[at].flags.insert(.dropped) } else { fields[at].flags.remove(.dropped) }
            at &+= 1
        }
    }

    /// Writes the new target into a block of the exchange; a request whose target can't be made is answered.
    private mutating func rewriteTarget(_ exchange: UnsafeMutablePointer<Exchange>, _ change: URIRewrite) -> StepResult {
        guard let path = normalPath(exchange) else {
            answer(exchange, 400, .pathRefused)
            return .done
        }
        var groups = MatchGroups.none
        if let pattern = change.pattern {
            guard let found = MatchGroups.of(pattern, in: path, patterns) else {
                answer(exchange, 500, .patternLimit)
                return .done
            }
            groups = found
        }
        let head = exchange.pointee.head
        let query =
            head.hasQuery
            ? ByteSlice(start: UnsafeRawPointer(exchange.pointee.headBlock.begin + head.queryStart), count: head.queryLength) : .none
        let lineBytesMax = servers[Int(exchange.pointee.server)].plan.limits.lineBytesMaxInUse
        var writer = HeadWriter(base: targetRoom, capacity: min(lineBytesMax, Self.targetRoomBytes))
        let subject = UnsafeBufferPointer(start: path.baseAddress?.assumingMemoryBound(to: UInt8.self), count: path.count)
        let outcome = change.write(path: subject.span, query: query, groups: groups, into: &writer)
        guard !writer.overflowed else {
            answer(exchange, 414, .targetTooLong)
            return .done
        }
        guard outcome == .written else {
            answer(exchange, 400, .pathRefused)
            return .done
        }
        guard let size = BlockSize.holding(writer.count), let block = blocks.take(size) else {
            answer(exchange, 503, .outOfMemory)
            return .done
        }
        memcpy(block.bytes, targetRoom, writer.count)
        block.pointee.end = Int32(truncatingIfNeeded: writer.count)
        exchange.pointee.target = block
        return .next(.selectBackend)
    }

    /// The identifier that a trusted peer gave the request; absent = ours counts.
    mutating func peerRequestID(_ exchange: UnsafeMutablePointer<Exchange>) -> ByteSlice {
        let at = Int(exchange.pointee.identifierField)
        guard at >= 0, at < exchange.pointee.fieldCount else { return .none }
        let value = slice(exchange, valueOf: exchange.pointee.fields[at])
        return ByteSlice(start: UnsafeRawPointer(value.baseAddress), count: value.count)
    }

    // MARK: - Fields that the operator adds

    /// Room for the lines of edits: what is fixed, and what the request's bytes may add to it.
    mutating func editRoom(_ edits: HeaderEdits, headLength: Int) -> Int {
        edits.fixedBytes &+ (edits.needsRecord ? min(2 &* headLength &+ 1_024, 16_384) : 0)
    }

    /// Writes the lines of edits; a value that comes out empty has none.
    ///
    /// - Parameter isAnswer: `responseHead` and its fields are those of the answer that the lines belong to.
    mutating func appendEdits(
        _ edits: HeaderEdits, _ exchange: UnsafeMutablePointer<Exchange>, isAnswer: Bool, to writer: inout HeadWriter
    ) {
        guard edits.lines.count > 0 else { return }
        var record = LogRecord()
        if edits.needsRecord { fill(&record, exchange) }
        if isAnswer { record.status = responseHead.status }
        var index = 0
        while index < edits.lines.count {
            let line = edits.lines[index]
            index &+= 1
            if let value = line.value {
                captureRequestFields(&record, exchange, value.requestFieldNames)
                if isAnswer { captureAnswerFields(&record, value.responseFieldNames) }
            }
            appendEdit(line, record, to: &writer)
        }
    }

    private mutating func appendEdit(_ line: HeaderEdits.Line, _ record: LogRecord, to writer: inout HeadWriter) {
        let mark = writer.count
        writer.append(line.text.bytes.span)
        guard let value = line.value else { return }
        let free = writer.free
        guard let length = value.write(record, to: free.place, room: free.room, clock: &valueClock) else {
            writer.overflow()
            return
        }
        if length == 0 {
            writer.truncate(to: mark)
        } else {
            writer.advance(by: length)
            writer.append("\r\n")
        }
    }

    // MARK: - Answers of our own

    /// Room that `appendOwnEdits` needs.
    mutating func ownEditRoom(_ plan: UnsafePointer<RewritePlan>, headLength: Int) -> Int {
        editRoom(plan.pointee.responseEdits, headLength: headLength) &+ requestIdentifierBytesMax
            &+ plan.pointee.forwarding.requestID.byteCount
    }

    /// Writes what answers of our own get like those of backends: the lines of the edits, the request's identifier.
    ///
    /// - Parameter exchange: nil where the request was refused before it was one; then little is known of it.
    mutating func appendOwnEdits(
        _ plan: UnsafePointer<RewritePlan>, _ exchange: UnsafeMutablePointer<Exchange>?,
        _ client: UnsafeMutablePointer<ClientConnection>, _ status: UInt16, to writer: inout HeadWriter
    ) {
        let edits = plan.pointee.responseEdits
        if plan.pointee.writesEditsOnOwn { appendOwnEdits(edits, exchange, client, status, to: &writer) }
        guard plan.pointee.forwarding.echoesRequestID else { return }
        if let exchange {
            plan.pointee.forwarding.appendRequestID(
                peerRequestID(exchange), requestID(exchange.pointee.startedWall, exchange.pointee.sequence), to: &writer)
        } else {
            plan.pointee.forwarding.appendRequestID(.none, requestID(clock.wall, requestsSeen), to: &writer)
        }
    }

    private mutating func appendOwnEdits(
        _ edits: HeaderEdits, _ exchange: UnsafeMutablePointer<Exchange>?, _ client: UnsafeMutablePointer<ClientConnection>,
        _ status: UInt16, to writer: inout HeadWriter
    ) {
        var record = LogRecord()
        if edits.needsRecord {
            if let exchange { fill(&record, exchange) } else { fill(&record, refused: client, status) }
            // There is no backend's answer whose fields could be named; what the logs keep of one stands in another order.
            for at in 0..<LogRecord.capturedMax { record.capturedResponseFields[at] = .none }
        }
        record.status = status
        var index = 0
        while index < edits.lines.count {
            let line = edits.lines[index]
            index &+= 1
            if line.isAboutCaching && status >= 400 { continue }
            if let value = line.value, let exchange { captureRequestFields(&record, exchange, value.requestFieldNames) }
            appendEdit(line, record, to: &writer)
        }
    }

    private mutating func captureRequestFields(
        _ record: inout LogRecord, _ exchange: UnsafeMutablePointer<Exchange>, _ names: UnsafeBufferPointer<ByteSlice>
    ) {
        var at = 0
        while at < names.count && at < LogRecord.capturedMax {
            record.capturedRequestFields[at] = .none
            if let start = names[at].start, let found = findField(exchange, named: LastingBytes(start: start, count: names[at].count)) {
                record.capturedRequestFields[at] = ByteSlice(start: UnsafeRawPointer(found.baseAddress), count: found.count)
            }
            at &+= 1
        }
    }

    private mutating func captureAnswerFields(_ record: inout LogRecord, _ names: UnsafeBufferPointer<ByteSlice>) {
        var at = 0
        while at < names.count && at < LogRecord.capturedMax {
            record.capturedResponseFields[at] = .none
            var field = 0
            while let start = names[at].start, field < responseHead.fieldCount {
                let range = scratchFields[field]
                field &+= 1
                guard Int(range.nameLength) == names[at].count else { continue }
                let name = UnsafeBufferPointer(
                    start: (responseBytes + Int(range.nameStart)).assumingMemoryBound(to: UInt8.self), count: names[at].count)
                guard equalsFolded(name, LastingBytes(start: start, count: names[at].count)) else { continue }
                record.capturedResponseFields[at] = ByteSlice(start: responseBytes + Int(range.valueStart), count: Int(range.valueLength))
                break
            }
            at &+= 1
        }
    }
}
