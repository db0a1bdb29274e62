import Glibc

/// Upgraded connections of the origin: what comes goes back, as it is or as WebSocket messages.
extension Origin {
    /// `Upgrade: echo`, or any other protocol: the origin speaks none and returns every byte.
    mutating func answerTunnel(_ connection: UnsafeMutablePointer<OriginConnection>) {
        guard request.wantsUpgrade, !request.framing.hasBody, request.upgradeField >= 0 else {
            return answerShort(connection, 400)
        }
        let value = requestFields[request.upgradeField]
        let name = bytes(Int(value.valueStart), Int(value.valueLength))
        guard name.count <= 64, let place = connection.pointee.output.reserve(256, from: &blocks) else {
            return answerShort(connection, 400)
        }
        var writer = HeadWriter(base: place, capacity: 256)
        writer.append("HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: ")
        writer.append(name.span)
        writer.append("\r\n\r\n")
        connection.pointee.output.commit(writer.count)
        connection.pointee.webSocket = nil
        connection.pointee.state = .tunnel
    }

    mutating func answerWebSocket(_ connection: UnsafeMutablePointer<OriginConnection>) {
        guard request.wantsUpgrade, !request.framing.hasBody, request.method == .get,
            let key = field(named: "sec-websocket-key"), key.count == 24,
            let place = connection.pointee.output.reserve(256, from: &blocks)
        else { return answerShort(connection, 400) }
        var writer = HeadWriter(base: place, capacity: 256)
        writer.append(
            "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: ")
        var digest = SHA1()
        for byte in key { digest.add(byte) }
        for byte in "258EAFA5-E914-47DA-95CA-C5AB0DC85B11".utf8 { digest.add(byte) }
        digest.appendBase64(to: &writer)
        writer.append("\r\n\r\n")
        connection.pointee.output.commit(writer.count)
        connection.pointee.webSocket = WebSocketEcho()
        connection.pointee.state = .tunnel
    }

    private func field(named name: StaticString) -> UnsafeBufferPointer<UInt8>? {
        for index in 0..<request.fieldCount {
            let field = requestFields[index]
            let found = bytes(Int(field.nameStart), Int(field.nameLength))
            if equalsFolded(found.span, start: 0, length: found.count, name) {
                return bytes(Int(field.valueStart), Int(field.valueLength))
            }
        }
        return nil
    }

    mutating func takeTunnelBytes(_ connection: UnsafeMutablePointer<OriginConnection>) {
        guard let block = connection.pointee.input.head else { return }
        setTimer(connection, Self.progressNanoseconds)
        if connection.pointee.flags.contains(.closeAfterSend) {
            connection.pointee.input.clear(into: &blocks)
            return
        }
        guard var echo = connection.pointee.webSocket else {
            guard connection.pointee.output.append(block.begin, block.count, from: &blocks) else {
                return close(connection)
            }
            connection.pointee.input.consume(block.count, into: &blocks)
            return
        }
        let used: Int
        var isKept = true
        switch echo.part {
        case .head:
            used = echo.takeHead(block.begin, block.count)
            if echo.part == .failed {
                // A close frame with status 1002, protocol error (RFC 6455 §7.4.1).
                isKept = append(connection, 0x8802_03EA)
                connection.pointee.flags.insert(.closeAfterSend)
            } else if echo.part == .payload && echo.isEchoed {
                isKept = appendFrameHead(connection, echo)
            }
        case .payload:
            used = echo.unmask(block.begin, block.count)
            if echo.isEchoed { isKept = connection.pointee.output.append(block.begin, used, from: &blocks) }
        case .failed: used = block.count
        }
        if !isKept { return close(connection) }
        if echo.endFrame() && echo.isClose { connection.pointee.flags.insert(.closeAfterSend) }
        connection.pointee.webSocket = echo
        connection.pointee.input.consume(used, into: &blocks)
    }

    private mutating func appendFrameHead(
        _ connection: UnsafeMutablePointer<OriginConnection>, _ echo: WebSocketEcho
    ) -> Bool {
        guard let place = connection.pointee.output.reserve(10, from: &blocks) else { return false }
        var writer = HeadWriter(base: place, capacity: 10)
        echo.writeHead(to: &writer)
        connection.pointee.output.commit(writer.count)
        return true
    }

    private mutating func append(_ connection: UnsafeMutablePointer<OriginConnection>, _ fourBytes: UInt32) -> Bool {
        withUnsafeBytes(of: fourBytes.bigEndian) {
            connection.pointee.output.append($0.baseAddress!, $0.count, from: &blocks)
        }
    }
}
