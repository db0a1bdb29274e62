import Glibc

/// The request's head on its way to the backend.
extension Worker where Ring: ~Copyable {
    mutating func sendRequest(_ exchange: UnsafeMutablePointer<Exchange>) -> StepResult {
        let connection = connections[exchange.pointee.connection]
        let proxyHead = backends[UInt32(connection.pointee.backend)].pointee.limits.proxyHead
        if proxyHead != .off, connection.pointee.owner == 0, !sendProxyHead(of: exchange, on: connection, proxyHead) {
            answer(exchange, 503, .outOfMemory)
            return .done
        }
        let head = exchange.pointee.head
        let server = servers + Int(exchange.pointee.server)
        let label =
            delegationText(exchange).map { LastingBytes(start: $0.start!, count: $0.count) }
            ?? backends[UInt32(connection.pointee.backend)].pointee.names.pointee.label
        let isDelegated = exchange.pointee.flags.contains(.delegated)
        let plan = exchange.pointee.rule.pointee.rewriting
        let room =
            head.headLength &+ addedLength(exchange, plan, label) &+ server.pointee.plan.via.byteCount
            &+ (isDelegated ? viaRule(exchange).count &+ 32 : 0)
        guard let place = connection.pointee.output.reserve(room, from: &blocks) else {
            let isTooLarge = BlockSize.holding(room) == nil
            answer(exchange, isTooLarge ? 431 : 503, isTooLarge ? .badRequest : .outOfMemory)
            return .done
        }
        var writer = HeadWriter(base: place, capacity: room)
        let bytes = slice(exchange, 0, head.headLength).span
        writer.append(bytes.extracting(head.methodStart..<(head.methodStart &+ head.methodLength)))
        writer.append(" ")
        if let target = exchange.pointee.target {
            writer.append(UnsafeBufferPointer(start: target.begin.assumingMemoryBound(to: UInt8.self), count: target.count).span)
        } else {
            appendTarget(head, bytes, to: &writer)
        }
        let isPassthrough = exchange.pointee.rule.pointee.isPassthrough
        // What the backend answers passes unread, so it must answer in the client's version.
        writer.append(isPassthrough && head.versionMinor == 0 ? " HTTP/1.0\r\n" : " HTTP/1.1\r\n")
        let table = UnsafeBufferPointer(start: fields(exchange), count: exchange.pointee.fieldCount).span
        switch plan.pointee.host {
        case .client: if head.hostField < 0 { appendHost(head, bytes, label, to: &writer) }
        case .backend: appendHost(label, to: &writer)
        case .name(let name): appendHost(name, to: &writer)
        }
        writer.appendKeptFields(
            bytes: bytes, fields: table, count: exchange.pointee.fieldCount, fieldsEnd: head.headLength &- 2)
        appendConnectionFields(exchange, head, bytes, table, to: &writer)
        appendForwardingFields(exchange, plan, bytes, table, to: &writer)
        appendEdits(plan.pointee.requestEdits, exchange, isAnswer: false, to: &writer)
        if isDelegated {
            writer.append("X-Redirected-Via: ")
            writer.append(viaRule(exchange).bytes.span)
            writer.append("\r\n")
        }
        if case .chunked = head.framing { writer.append("Transfer-Encoding: chunked\r\n") }
        writer.append("\r\n")
        guard !writer.overflowed else {
            answer(exchange, 431, .badRequest)
            return .done
        }
        connection.pointee.output.commit(writer.count)
        exchange.pointee.sentAt = clock.now
        exchange.pointee.backendBytesSent &+= UInt64(writer.count)
        exchange.pointee.step = .receiveHead
        markDirty(connection)
        if isPassthrough {
            startPassthrough(exchange, connection)
            return exchanges.isTaken(exchange.pointee.slot) ? .park(.receiveHead) : .done
        }
        if exchange.pointee.flags.contains(.requestWhole) { exchange.pointee.flags.insert(.requestSent) }
        if isDelegated, exchange.pointee.flags.contains(.bodyConsumed), !sendKeptBody(exchange, connection) {
            answer(exchange, 503, .outOfMemory)
            return .done
        }
        let client = clients[exchange.pointee.client]
        if client.pointee.state == .body {
            resumeWaitingForBody(client)
            // Who waits for 100 is not slow.
            if head.expectsContinue { client.pointee.rateSince = 0 }
            useInput(client)
        }
        return exchanges.isTaken(exchange.pointee.slot) ? .park(.receiveHead) : .done
    }

    /// By which rule a request is sent on.
    private mutating func viaRule(_ exchange: UnsafeMutablePointer<Exchange>) -> LastingBytes {
        guard let policy = exchange.pointee.rule.pointee.delegation else { return .empty }
        return policy.pointee.via
    }

    /// HTTP/1.0 without a Host field: the target's host, else the backend's own name, which is as good as any.
    private mutating func appendHost(_ head: RequestHead, _ bytes: Span<UInt8>, _ label: LastingBytes, to writer: inout HeadWriter) {
        guard head.hostLength > 0 else { return appendHost(label, to: &writer) }
        writer.append("Host: ")
        writer.append(bytes.extracting(head.hostStart..<(head.hostStart &+ head.hostLength)))
        writer.append("\r\n")
    }

    /// A name of ours, or the label of a backend; a unix socket has no name.
    private mutating func appendHost(_ name: LastingBytes, to writer: inout HeadWriter) {
        writer.append("Host: ")
        if name.bytes.first == UInt8(ascii: "/") { writer.append("localhost") } else { writer.append(name.bytes.span) }
        writer.append("\r\n")
    }

    /// Origin form always (RFC 9112 §3.2.1): an absolute target was for us.
    private mutating func appendTarget(_ head: RequestHead, _ bytes: Span<UInt8>, to writer: inout HeadWriter) {
        switch head.form {
        case .origin, .authority, .asterisk:
            writer.append(bytes.extracting(head.targetStart..<(head.targetStart &+ head.targetLength)))
        case .absolute:
            if head.pathLength == 0 && head.method == .options && !head.hasQuery {
                writer.append("*")
                return
            }
            if head.pathLength == 0 { writer.append("/") }
            writer.append(bytes.extracting(head.pathStart..<(head.pathStart &+ head.pathLength)))
            if head.hasQuery {
                writer.append("?")
                writer.append(bytes.extracting(head.queryStart..<(head.queryStart &+ head.queryLength)))
            }
        }
    }

    /// `Connection`, `Upgrade` and `TE` speak to the next hop alone, so they are ours to write.
    private mutating func appendConnectionFields(
        _ exchange: UnsafeMutablePointer<Exchange>, _ head: RequestHead, _ bytes: Span<UInt8>,
        _ table: Span<FieldRange>, to writer: inout HeadWriter
    ) {
        let isPassthrough = exchange.pointee.rule.pointee.isPassthrough
        if head.wantsUpgrade && head.upgradeField >= 0 && (isPassthrough || exchange.pointee.flags.contains(.requestWhole)) {
            writer.append("Connection: Upgrade\r\nUpgrade: ")
            writer.append(bytes.extracting(table[head.upgradeField].valueRange))
            writer.append("\r\n")
        } else if isPassthrough {
            // A second request would pass unread, with fields that only we may write.
            writer.append("Connection: close\r\n")
        } else if head.acceptsTrailers {
            writer.append("Connection: TE\r\nTE: trailers\r\n")
        }
    }

    /// Bytes that a head may grow by on its way to the backend, without Via.
    private mutating func addedLength(
        _ exchange: UnsafeMutablePointer<Exchange>, _ plan: UnsafePointer<RewritePlan>, _ label: LastingBytes
    ) -> Int {
        let head = exchange.pointee.head
        let fields = UnsafeBufferPointer(start: fields(exchange), count: exchange.pointee.fieldCount).span
        var length = 256 &+ ForwardingHeaders.bytesMax &+ label.count &+ 3 &* head.hostLength
        length &+= plan.pointee.forwarding.earlierLength(fields)
        length &+= editRoom(plan.pointee.requestEdits, headLength: head.headLength)
        if plan.pointee.certificate.saysAnything, let link = clients[exchange.pointee.client].pointee.tls {
            let certificate = clientCertificate(link)
            length &+= plan.pointee.certificate.overheadBytes
            length &+= plan.pointee.certificate.valueBytes(certificate, cipher: link.pointee.stream.cipherName)
        }
        if let target = exchange.pointee.target { length &+= target.count }
        if case .name(let name) = plan.pointee.host { length &+= name.count }
        return length
    }

    private mutating func appendForwardingFields(
        _ exchange: UnsafeMutablePointer<Exchange>, _ plan: UnsafePointer<RewritePlan>, _ bytes: Span<UInt8>,
        _ table: Span<FieldRange>, to writer: inout HeadWriter
    ) {
        let head = exchange.pointee.head
        if plan.pointee.forwarding.saysAnything {
            let client = clients[exchange.pointee.client]
            let host = ByteSlice(
                start: head.hostLength > 0 ? UnsafeRawPointer(exchange.pointee.headBlock.begin + head.hostStart) : nil, count: head.hostLength)
            let facts = ForwardingHeaders.Facts(
                client: UnsafePointer(clientAddress(client)), isTrusted: exchange.pointee.flags.contains(.fromTrustedPeer),
                isSecure: client.pointee.tls != nil,
                localPort: plan.pointee.forwarding.port ? localPort(client) : 0, host: host, peerRequestID: peerRequestID(exchange),
                requestID: requestID(exchange.pointee.startedWall, exchange.pointee.sequence))
            plan.pointee.forwarding.append(facts, bytes, table, to: &writer)
        }
        if plan.pointee.certificate.saysAnything, let link = clients[exchange.pointee.client].pointee.tls {
            plan.pointee.certificate.append(clientCertificate(link), cipher: link.pointee.stream.cipherName, to: &writer)
        }
        if let via = servers[Int(exchange.pointee.server)].plan.via {
            writer.append(head.versionMinor == 0 ? "Via: 1.0 " : "Via: 1.1 ")
            writer.append(via.bytes.span)
            writer.append("\r\n")
        }
    }

    /// The port that a client connected to, asked from the kernel when first needed; 0 for unix sockets.
    private mutating func localPort(_ client: UnsafeMutablePointer<ClientConnection>) -> UInt16 {
        if client.pointee.localPort == 0 { client.pointee.localPort = ring.localPort(client.pointee.fd) }
        return client.pointee.localPort
    }

    /// The client's address, asked from the kernel when first needed.
    @inline(__always)
    mutating func clientAddress(
        _ client: UnsafeMutablePointer<ClientConnection>
    ) -> UnsafeMutablePointer<SocketAddress> {
        let address = UnsafeMutableRawPointer(client).advanced(by: MemoryLayout<ClientConnection>.offset(of: \.address)!)
            .assumingMemoryBound(to: SocketAddress.self)
        if address.pointee.length == 0 { address.pointee = ring.peerAddress(client.pointee.fd) }
        return address
    }
}
