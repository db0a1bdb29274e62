import Glibc

/// The answer's head: understood, changed, passed on.
extension Worker where Ring: ~Copyable {
    mutating func receiveHead(_ exchange: UnsafeMutablePointer<Exchange>) -> StepResult {
        let connection = connections[exchange.pointee.connection]
        exchange.pointee.backendBytesReceived &+= UInt64(responseHead.headLength)
        if exchange.pointee.flags.contains(.pipelined), isIrregularForSharing(connection) {
            onIrregular(connection)
            return .done
        }
        if responseHead.isInterim {
            relayInterim(exchange)
            return .park(.receiveHead)
        }
        exchange.pointee.backendStatus = responseHead.status
        if responseHead.isSwitch {
            guard exchange.pointee.head.wantsUpgrade, exchange.pointee.flags.contains(.requestSent),
                exchange.pointee.head.framing == .none || exchange.pointee.requestBodyBytes == 0
            else {
                onConnectionLost(connection, .badAnswer)
                return .done
            }
        }
        if !responseHead.keepAlive { connection.pointee.flags.insert(.doomed) }
        if !responseHead.framing.hasBody, !responseHead.isSwitch, bytesBehindHead > 0, connection.pointee.exchanges.count == 1 {
            // Bytes behind an answer that has no body belong to nobody.
            connection.pointee.flags.insert(.doomed)
        }
        switch responseHead.framing {
        case .none: connection.pointee.remaining = 0
        case .length(let length):
            connection.pointee.phase = .length
            connection.pointee.remaining = length
        case .chunked:
            connection.pointee.phase = .chunked
            connection.pointee.decoder = ChunkedDecoder()
        case .untilClose: connection.pointee.phase = .untilClose
        }
        if exchange.pointee.flags.contains(.abandoned) { return .next(.deliver) }
        backends[UInt32(connection.pointee.backend)].pointee.responses &+= 1
        // What failed before a retry has been made good; the count of retries tells of it.
        exchange.pointee.failure = .none
        return .next(responseHead.status == Self.delegatingStatus ? .delegate : .editResponse)
    }

    /// 100, 102, 103 pass with their fields; a client of HTTP/1.0 does not know them.
    private mutating func relayInterim(_ exchange: UnsafeMutablePointer<Exchange>) {
        guard !exchange.pointee.flags.contains(.abandoned), exchange.pointee.head.versionMinor > 0 else { return }
        let client = clients[exchange.pointee.client]
        // A backend that sends them without end gets no further than the watermark.
        guard client.pointee.output.count < servers[Int(client.pointee.server)].plan.highBytes else { return }
        let room = responseHead.headLength &+ 64
        guard let place = client.pointee.output.reserve(room, from: &blocks) else { return }
        _ = markAnswerFields(exchange.pointee.rule.pointee.rewriting, maps: false)
        var writer = HeadWriter(base: place, capacity: room)
        appendStatusLine(to: &writer, isStatusOurs: false)
        appendResponseFields(to: &writer)
        writer.append("\r\n")
        guard !writer.overflowed else { return }
        client.pointee.output.commit(writer.count)
        markDirty(client)
    }

    /// Our status line with the backend's words, unless the status is ours too.
    private mutating func appendStatusLine(to writer: inout HeadWriter, isStatusOurs: Bool) {
        writer.append("HTTP/1.1 ")
        writer.append(decimal: UInt64(responseHead.status))
        writer.append(" ")
        if isStatusOurs {
            writer.append(StatusCode(responseHead.status).reason)
        } else {
            let bytes = responseBuffer.span
            writer.append(bytes.extracting(responseHead.reasonStart..<(responseHead.reasonStart &+ responseHead.reasonLength)))
        }
        writer.append("\r\n")
    }

    private mutating func appendResponseFields(to writer: inout HeadWriter) {
        writer.appendKeptFields(
            bytes: responseBuffer.span, fields: UnsafeBufferPointer(start: scratchFields, count: responseHead.fieldCount).span,
            count: responseHead.fieldCount, fieldsEnd: responseHead.headLength &- 2)
    }

    /// The bytes of the head, valid during the steps of the answer.
    @inline(__always)
    private var responseBuffer: UnsafeBufferPointer<UInt8> {
        UnsafeBufferPointer(start: responseBytes.assumingMemoryBound(to: UInt8.self), count: responseHead.headLength)
    }

    mutating func editResponse(_ exchange: UnsafeMutablePointer<Exchange>) -> StepResult {
        let client = clients[exchange.pointee.client]
        let server = servers + Int(exchange.pointee.server)
        captureResponseFields(exchange)
        let isModern = exchange.pointee.head.versionMinor > 0
        // An answer before the request's end leaves a body that nobody wants: the connection ends with it.
        var keeps =
            exchange.pointee.flags.contains(.keepsClient) && exchange.pointee.flags.contains(.requestWhole)
            && !endsClients(exchange.pointee.server)
        switch responseHead.framing {
        case .none: exchange.pointee.answerFraming = .none
        case .length: exchange.pointee.answerFraming = .length
        case .chunked, .untilClose:
            exchange.pointee.answerFraming = isModern && (keeps || responseHead.framing == .chunked) ? .chunked : .untilClose
            if exchange.pointee.answerFraming == .untilClose { keeps = false }
        }
        if keeps { exchange.pointee.flags.insert(.keepsClient) } else { exchange.pointee.flags.remove(.keepsClient) }
        let cookie = exchange.pointee.flags.contains(.setsCookie) ? exchange.pointee.rule.pointee.stickyCookie : nil
        let plan = exchange.pointee.rule.pointee.rewriting
        var added = 0
        if plan.pointee.changesAnswers {
            added = markAnswerFields(plan, maps: true) &+ editRoom(plan.pointee.responseEdits, headLength: exchange.pointee.head.headLength &+ responseHead.headLength)
            if plan.pointee.forwarding.echoesRequestID { added &+= requestIdentifierBytesMax &+ plan.pointee.forwarding.requestID.byteCount }
        }
        let room = responseHead.headLength &+ 256 &+ added &+ server.pointee.plan.via.byteCount &+ cookie.byteCount
        guard let place = client.pointee.output.reserve(room, from: &blocks) else {
            answer(exchange, 503, .outOfMemory)
            return .done
        }
        var writer = HeadWriter(base: place, capacity: room)
        appendStatusLine(to: &writer, isStatusOurs: responseHead.status != exchange.pointee.backendStatus)
        appendResponseFields(to: &writer)
        if plan.pointee.changesAnswers { appendChanges(plan, exchange, to: &writer) }
        if responseHead.isSwitch {
            appendUpgrade(to: &writer)
        } else if !keeps {
            writer.append("Connection: close\r\n")
        } else if !isModern {
            writer.append("Connection: keep-alive\r\n")
        }
        if exchange.pointee.answerFraming == .chunked { writer.append("Transfer-Encoding: chunked\r\n") }
        if let via = server.pointee.plan.via {
            writer.append(responseHead.versionMinor == 0 ? "Via: 1.0 " : "Via: 1.1 ")
            writer.append(UnsafeBufferPointer(start: via.start.assumingMemoryBound(to: UInt8.self), count: via.count).span)
            writer.append("\r\n")
        }
        if let cookie { appendCookie(cookie, exchange, to: &writer) }
        writer.append("\r\n")
        guard !writer.overflowed else {
            onConnectionLost(connections[exchange.pointee.connection], .badAnswer)
            return .done
        }
        client.pointee.output.commit(writer.count)
        exchange.pointee.status = responseHead.status
        exchange.pointee.flags.insert(.answerBegun)
        markDirty(client)
        return .next(.deliver)
    }

    private mutating func appendChanges(
        _ plan: UnsafePointer<RewritePlan>, _ exchange: UnsafeMutablePointer<Exchange>, to writer: inout HeadWriter
    ) {
        appendMappedFields(plan, exchange, to: &writer)
        appendEdits(plan.pointee.responseEdits, exchange, isAnswer: true, to: &writer)
        guard plan.pointee.forwarding.echoesRequestID else { return }
        plan.pointee.forwarding.appendRequestID(
            peerRequestID(exchange), requestID(exchange.pointee.startedWall, exchange.pointee.sequence), to: &writer)
    }

    private mutating func appendUpgrade(to writer: inout HeadWriter) {
        writer.append("Connection: Upgrade\r\n")
        guard responseHead.upgradeField >= 0 else { return }
        writer.append("Upgrade: ")
        writer.append(responseBuffer.span.extracting(scratchFields[responseHead.upgradeField].valueRange))
        writer.append("\r\n")
    }

    private mutating func appendCookie(
        _ cookie: LastingBytes, _ exchange: UnsafeMutablePointer<Exchange>, to writer: inout HeadWriter
    ) {
        let backend = backends[UInt32(exchange.pointee.backend)]
        guard backend.pointee.candidate >= 0 else { return }
        writer.append("Set-Cookie: ")
        writer.append(UnsafeBufferPointer(start: cookie.start.assumingMemoryBound(to: UInt8.self), count: cookie.count).span)
        writer.append("=")
        withUnsafeTemporaryAllocation(byteCount: StickyCookie.lengthBytes, alignment: 1) { buffer in
            StickyCookie.write(candidate(backend).pointee.stickyToken, into: buffer)
            writer.append(buffer.bindMemory(to: UInt8.self).span)
        }
        writer.append("; Path=/; HttpOnly\r\n")
    }
}
