import Glibc

/// What the logs learn of an exchange.
extension Worker where Ring: ~Copyable {
    /// Prints the exchange to the logs of its server, once.
    mutating func logOnce(_ exchange: UnsafeMutablePointer<Exchange>) {
        guard !exchange.pointee.flags.contains(.logged) else { return }
        exchange.pointee.flags.insert(.logged)
        let (access, error) = logEntries(exchange)
        let wantsError = exchange.pointee.failure != .none && error >= 0
        guard access >= 0 || wantsError else { return }
        var record = LogRecord()
        fill(&record, exchange)
        if access >= 0 { logs.append(record, to: access) }
        if wantsError { logs.appendError(record, message: exchange.pointee.failure.word, to: error) }
    }

    /// Entries of the two logs that the exchange is printed to; -1 = off.
    @inline(__always)
    mutating func logEntries(_ exchange: UnsafeMutablePointer<Exchange>) -> (access: Int32, error: Int32) {
        if exchange.pointee.flags.contains(.tunnel) { return (exchange.pointee.tunnelAccessLog, exchange.pointee.tunnelErrorLog) }
        return logEntries(exchange.pointee.rule, exchange.pointee.planUse)
    }

    @inline(__always)
    private mutating func logEntries(_ rule: UnsafePointer<RulePlan>, _ planUse: Int32) -> (access: Int32, error: Int32) {
        let entries = planUses[Int(planUse)].logEntries
        return (entries[Int(rule.pointee.accessLog)], entries[Int(rule.pointee.errorLog)])
    }

    /// Tells a record what is known of an exchange by now; its slices are good while the exchange lives.
    mutating func fill(_ record: inout LogRecord, _ exchange: UnsafeMutablePointer<Exchange>) {
        let client = clients[exchange.pointee.client]
        let head = exchange.pointee.head
        record.client = UnsafePointer(clientAddress(client))
        record.workerIndex = UInt32(index)
        record.requestID = requestID(exchange.pointee.startedWall, exchange.pointee.sequence)
        record.peerRequestID = peerRequestID(exchange)
        record.startNanoseconds = exchange.pointee.startedWall
        record.endNanoseconds = clock.wall
        record.totalNanoseconds = Int64(clock.now &- exchange.pointee.startedAt)
        record.pendingNanoseconds = Int64(exchange.pointee.pendingNanoseconds)
        if exchange.pointee.firstByteAt >= exchange.pointee.sentAt, exchange.pointee.sentAt > 0 {
            record.firstByteNanoseconds = Int64(exchange.pointee.firstByteAt &- exchange.pointee.sentAt)
        }
        if exchange.pointee.rule.pointee.name.count > 0 { record.ruleName = exchange.pointee.rule.pointee.name.slice }
        record.method = byteSlice(exchange, head.methodStart, head.methodLength)
        record.target = byteSlice(exchange, head.targetStart, head.targetLength)
        record.path =
            head.form == .origin || head.pathLength > 0
            ? byteSlice(exchange, head.pathStart, head.pathLength) : head.form == .asterisk ? record.target : ByteSlice("/")
        if head.hasQuery { record.query = byteSlice(exchange, head.queryStart, head.queryLength) }
        if head.hostLength > 0 {
            record.host = byteSlice(exchange, head.hostStart, head.hostLength)
            record.hostName = byteSlice(exchange, head.hostStart, head.hostNameLength)
        }
        record.protocolName = head.versionMinor == 0 ? ByteSlice("HTTP/1.0") : ByteSlice("HTTP/1.1")
        record.status = exchange.pointee.status
        record.backendStatus = exchange.pointee.backendStatus
        record.reason = exchange.pointee.failure.word
        record.clientBytesReceived = UInt64(head.headLength) &+ exchange.pointee.requestBodyBytes
        record.clientBytesSent = client.pointee.bytesSent &- exchange.pointee.clientBytesSentBefore
        record.bodyBytesSent = exchange.pointee.answerBodyBytes
        record.bodyBytesReceived = exchange.pointee.requestBodyBytes
        record.backendBytesReceived = exchange.pointee.backendBytesReceived
        record.backendBytesSent = exchange.pointee.backendBytesSent &+ exchange.pointee.requestBodyBytes
        record.splicedBytes = exchange.pointee.splicedBytes
        record.requestNumber = exchange.pointee.requestNumber
        record.retries = UInt32(exchange.pointee.retries)
        record.batchSize = exchange.pointee.batchSize
        record.pipelined = exchange.pointee.flags.contains(.pipelined)
        if exchange.pointee.flags.contains(.usedBackend), let names = exchange.pointee.backendNames {
            record.usedBackend = true
            record.reusedBackendConnection = exchange.pointee.flags.contains(.reusedConnection)
            record.backendName = names.pointee.name.slice
            record.backendAddress = delegationText(exchange) ?? names.pointee.label.slice
            record.backendLocalPort = exchange.pointee.backendLocalPort
            record.connectNanoseconds = Int64(exchange.pointee.connectNanoseconds)
        }
        if let link = client.pointee.tls { fill(&record, link) }
        fillCaptured(&record, exchange)
    }

    private mutating func fill(_ record: inout LogRecord, _ link: UnsafeMutablePointer<TLSLink>) {
        guard link.pointee.stream.isDone else { return }
        record.tlsVersion = ByteSlice(link.pointee.stream.version.word)
        record.tlsCipher = link.pointee.stream.cipherName
        record.tlsServerName = link.pointee.stream.requestedName
        record.tlsResumed = link.pointee.stream.isResumed
        guard let certificate = clientCertificate(link) else { return }
        record.clientSubject = certificate.subject
        record.clientSerial = certificate.serial
    }

    /// `host:port` of the place that an exchange was sent on to.
    mutating func delegationText(_ exchange: UnsafeMutablePointer<Exchange>) -> ByteSlice? {
        guard exchange.pointee.flags.contains(.delegated), let block = exchange.pointee.delegation else { return nil }
        let text = block.bytes.assumingMemoryBound(to: DelegationState.self).textBytes
        return ByteSlice(start: text.baseAddress, count: text.count)
    }

    /// Names a request: worker, time, and a number that no other of its requests has.
    mutating func requestID(_ wallNanoseconds: UInt64, _ sequence: UInt64) -> UInt64 {
        (wallNanoseconds / 1_000_000) &<< 24 ^ UInt64(index) &<< 52 ^ sequence & 0xFF_FFFF
    }

    private mutating func byteSlice(_ exchange: UnsafeMutablePointer<Exchange>, _ start: Int, _ length: Int) -> ByteSlice {
        ByteSlice(start: UnsafeRawPointer(exchange.pointee.headBlock.begin + start), count: length)
    }

    /// The format that asked last for fields: the error log's knows those of the access log too.
    private mutating func capturingFormat(_ exchange: UnsafeMutablePointer<Exchange>) -> LogFormat? {
        let (access, error) = logEntries(exchange)
        return logs.format(error >= 0 ? error : access)
    }

    private mutating func fillCaptured(_ record: inout LogRecord, _ exchange: UnsafeMutablePointer<Exchange>) {
        guard let format = capturingFormat(exchange) else { return }
        for (at, name) in format.requestFieldNames.enumerated() where at < LogRecord.capturedMax {
            guard let start = name.start else { continue }
            let found = findField(exchange, named: LastingBytes(start: start, count: name.count))
            if let found { record.capturedRequestFields[at] = ByteSlice(start: UnsafeRawPointer(found.baseAddress), count: found.count) }
        }
        guard let captured = exchange.pointee.captured else { return }
        let lengths = captured.bytes.assumingMemoryBound(to: Int32.self)
        var place = captured.bytes + LogRecord.capturedMax &* MemoryLayout<Int32>.stride
        for at in 0..<min(format.responseFieldNames.count, LogRecord.capturedMax) where lengths[at] >= 0 {
            record.capturedResponseFields[at] = ByteSlice(start: UnsafeRawPointer(place), count: Int(lengths[at]))
            place += Int(lengths[at])
        }
    }

    /// Keeps the fields of the answer that a log will print; they are gone when it does.
    mutating func captureResponseFields(_ exchange: UnsafeMutablePointer<Exchange>) {
        guard let format = capturingFormat(exchange), format.responseFieldNames.count > 0 else { return }
        if exchange.pointee.captured == nil { exchange.pointee.captured = blocks.take(.small) }
        guard let block = exchange.pointee.captured else { return }
        let lengths = block.bytes.assumingMemoryBound(to: Int32.self)
        for at in 0..<LogRecord.capturedMax { lengths[at] = -1 }
        var offset = LogRecord.capturedMax &* MemoryLayout<Int32>.stride
        for (at, name) in format.responseFieldNames.enumerated() where at < LogRecord.capturedMax {
            guard let start = name.start else { continue }
            let wanted = LastingBytes(start: start, count: name.count)
            for field in 0..<responseHead.fieldCount where Int(scratchFields[field].nameLength) == name.count {
                let found = UnsafeBufferPointer(
                    start: (responseBytes + Int(scratchFields[field].nameStart)).assumingMemoryBound(to: UInt8.self),
                    count: name.count)
                guard equalsFolded(found, wanted) else { continue }
                let length = min(Int(scratchFields[field].valueLength), Int(block.pointee.capacity) &- offset, 1024)
                memcpy(block.bytes + offset, responseBytes + Int(scratchFields[field].valueStart), length)
                lengths[at] = Int32(truncatingIfNeeded: length)
                offset &+= length
                break
            }
        }
    }

    /// Tells a record what is known of a request that was refused before it became an exchange, the last one seen.
    mutating func fill(
        _ record: inout LogRecord, refused client: UnsafeMutablePointer<ClientConnection>, _ status: UInt16
    ) {
        record.client = UnsafePointer(clientAddress(client))
        record.workerIndex = UInt32(index)
        record.requestID = requestID(clock.wall, requestsSeen)
        record.startNanoseconds = clock.wall
        record.endNanoseconds = clock.wall
        record.status = status
        record.requestNumber = client.pointee.requestCount
        record.batchSize = batchSize
    }

    /// Logs a request that was refused before it became an exchange, the last one seen.
    mutating func logRefusal(
        _ client: UnsafeMutablePointer<ClientConnection>, _ status: UInt16, _ word: StaticString, bytes: Int, bodyBytes: Int
    ) {
        let server = servers + Int(client.pointee.server)
        let (access, error) = logEntries(server.pointee.plan.fallback, server.pointee.planUse)
        guard access >= 0 || error >= 0 else { return }
        var record = LogRecord()
        fill(&record, refused: client, status)
        record.reason = word
        record.clientBytesSent = UInt64(bytes)
        record.bodyBytesSent = UInt64(bodyBytes)
        if access >= 0 { logs.append(record, to: access) }
        if error >= 0 { logs.appendError(record, message: word, to: error) }
    }
}
