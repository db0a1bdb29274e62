import Glibc

/// The request's head on its way to the backend.
extension Worker where Ring: ~Copyable {
    mutating func sendRequest(_ exchange: UnsafeMutablePointer<Exchange>) -> StepResult {
        let connection = connections[exchange.pointee.connection]
        let head = exchange.pointee.head
        let server = servers + Int(exchange.pointee.server)
        let label = backends[UInt32(connection.pointee.backend)].pointee.names.pointee.label
        let extra = 512 &+ label.count &+ head.hostLength &+ forwardedLength(exchange) &+ (server.pointee.plan.via?.count ?? 0)
        let room = head.headLength &+ extra
        guard let place = connection.pointee.output.reserve(room, from: &blocks) else {
            let isTooLarge = BlockSize.holding(room) == nil
            answer(exchange, isTooLarge ? 431 : 503, isTooLarge ? .badRequest : .outOfMemory)
            return .done
        }
        var writer = HeadWriter(base: place, capacity: room)
        let bytes = slice(exchange, 0, head.headLength).span
        writer.append(bytes.extracting(head.methodStart..<(head.methodStart &+ head.methodLength)))
        writer.append(" ")
        appendTarget(head, bytes, to: &writer)
        writer.append(" HTTP/1.1\r\n")
        let table = UnsafeBufferPointer(start: fields(exchange), count: exchange.pointee.fieldCount).span
        if head.hostField < 0 {
            appendHost(head, bytes, label, to: &writer)
        }
        writer.appendKeptFields(
            bytes: bytes, fields: table, count: exchange.pointee.fieldCount, fieldsEnd: head.headLength &- 2)
        appendConnectionFields(exchange, head, bytes, table, to: &writer)
        appendForwardingFields(exchange, head, bytes, table, to: &writer)
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
        if exchange.pointee.flags.contains(.requestWhole) { exchange.pointee.flags.insert(.requestSent) }
        markDirty(connection)
        let client = clients[exchange.pointee.client]
        if client.pointee.state == .body {
            resumeWaitingForBody(client)
            // Who waits for 100 is not slow.
            if head.expectsContinue { client.pointee.rateSince = 0 }
            useInput(client)
        }
        return exchanges.isTaken(exchange.pointee.slot) ? .park(.receiveHead) : .done
    }

    /// HTTP/1.0 without a Host field: the target's host, else the backend's own name, which is as good as any.
    private mutating func appendHost(_ head: RequestHead, _ bytes: Span<UInt8>, _ label: LastingBytes, to writer: inout HeadWriter) {
        writer.append("Host: ")
        if head.hostLength > 0 {
            writer.append(bytes.extracting(head.hostStart..<(head.hostStart &+ head.hostLength)))
        } else if label.bytes.first == UInt8(ascii: "/") {
            writer.append("localhost")
        } else {
            writer.append(label.bytes.span)
        }
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
        if head.wantsUpgrade && head.upgradeField >= 0 && exchange.pointee.flags.contains(.requestWhole) {
            writer.append("Connection: Upgrade\r\nUpgrade: ")
            writer.append(bytes.extracting(table[head.upgradeField].valueRange))
            writer.append("\r\n")
        } else if head.acceptsTrailers {
            writer.append("Connection: TE\r\nTE: trailers\r\n")
        }
    }

    /// How many bytes the client's own X-Forwarded-For values take once more.
    private mutating func forwardedLength(_ exchange: UnsafeMutablePointer<Exchange>) -> Int {
        guard exchange.pointee.rule.pointee.forwarding.forwardedFor == .append else { return 0 }
        let fields = fields(exchange)
        var length = 0
        for at in 0..<exchange.pointee.fieldCount where fields[at].name == .xForwardedFor {
            length &+= Int(fields[at].valueLength) &+ 2
        }
        return length
    }

    private mutating func appendForwardingFields(
        _ exchange: UnsafeMutablePointer<Exchange>, _ head: RequestHead, _ bytes: Span<UInt8>,
        _ table: Span<FieldRange>, to writer: inout HeadWriter
    ) {
        let server = servers + Int(exchange.pointee.server)
        let forwarding = exchange.pointee.rule.pointee.forwarding
        switch forwarding.forwardedFor {
        case .off: break
        case .rproxy:
            writer.append("X-Forwarded-For: ")
            clientAddress(clients[exchange.pointee.client]).pointee.append(to: &writer, withPort: true)
            writer.append("\r\n")
        case .replace:
            writer.append("X-Forwarded-For: ")
            clientAddress(clients[exchange.pointee.client]).pointee.append(to: &writer, withPort: false)
            writer.append("\r\n")
        case .append:
            writer.append("X-Forwarded-For: ")
            var at = 0
            while at < exchange.pointee.fieldCount {
                if table[at].name == .xForwardedFor && table[at].valueLength > 0 {
                    writer.append(bytes.extracting(table[at].valueRange))
                    writer.append(", ")
                }
                at &+= 1
            }
            clientAddress(clients[exchange.pointee.client]).pointee.append(to: &writer, withPort: false)
            writer.append("\r\n")
        }
        if forwarding.proto { writer.append("X-Forwarded-Proto: http\r\n") }
        if forwarding.host && head.hostLength > 0 {
            writer.append("X-Forwarded-Host: ")
            writer.append(bytes.extracting(head.hostStart..<(head.hostStart &+ head.hostLength)))
            writer.append("\r\n")
        }
        if let via = server.pointee.plan.via {
            writer.append(head.versionMinor == 0 ? "Via: 1.0 " : "Via: 1.1 ")
            writer.append(UnsafeBufferPointer(start: via.start.assumingMemoryBound(to: UInt8.self), count: via.count).span)
            writer.append("\r\n")
        }
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
