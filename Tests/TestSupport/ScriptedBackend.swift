import Glibc

/// Whatever a `downstream` section of a configuration can point at.
public protocol TestBackend: AnyObject {
    var address: PeerAddress { get }
    /// Ends listening and every connection.
    func close()
}

/// A backend whose connections the test plays by hand.
public final class ScriptedBackend: TestBackend {
    public private(set) var address: PeerAddress
    private var listener: Int32
    /// Every connection accepted so far, in order.
    public private(set) var connections: [BackendConnection] = []

    /// Listens on a free port of 127.0.0.1, or where it is told.
    public init(on wanted: PeerAddress = .ipv4(port: 0), backlog: Int = 128) throws {
        (listener, address) = try SocketCalls.listen(on: wanted, backlog: Int32(backlog))
    }

    deinit { close() }

    /// The next new connection.
    public func accept(deadline: Deadline = .step) throws -> BackendConnection {
        guard let connection = try acceptIfAny(until: deadline) else { throw ScenarioFailure("no connection came to \(address)") }
        return connection
    }

    private func acceptIfAny(until deadline: Deadline) throws -> BackendConnection? {
        guard listener >= 0, let fd = try SocketCalls.accept(listener, until: deadline) else { return nil }
        let connection = BackendConnection(descriptor: fd, number: connections.count + 1, at: address)
        connections.append(connection)
        return connection
    }

    /// The connection, new or old, on which bytes are waiting; connections that ended meanwhile are passed over.
    public func activeConnection(deadline: Deadline = .step) throws -> BackendConnection {
        while true {
            if let ready = connections.first(where: \.hasUnread) { return ready }
            let open = connections.filter { $0.descriptor >= 0 && !$0.isOver }
            let descriptors = open.map(\.descriptor) + (listener >= 0 ? [listener] : [])
            let places = try SocketCalls.ready(descriptors, for: POLLIN, until: deadline)
            guard !places.isEmpty else { throw ScenarioFailure("no request came to \(address) on \(connections.count) connections\(history)") }
            for place in places {
                if place < open.count { _ = try open[place].fill(until: deadline) } else { _ = try acceptIfAny(until: deadline) }
            }
        }
    }

    /// What was received on each connection, for a report; long histories from their end.
    private var history: String {
        connections.map { connection in
            let lines = connection.received.text.split(separator: "\r\n").filter { $0.contains(" HTTP/1.") }.suffix(5).joined(separator: ", ")
            return "\n  \(connection.number)\(connection.isOver ? " (ended)" : ""): \(lines)"
        }.joined()
    }

    /// The next request, on whichever connection it comes, with its whole body.
    public func receiveRequest(deadline: Deadline = .step) throws -> (request: ReceivedRequest, connection: BackendConnection) {
        let connection = try activeConnection(deadline: deadline)
        return (try connection.receiveRequest(deadline: deadline), connection)
    }

    /// The head of the next request; its body stays to be read from the connection.
    public func receiveRequestHead(deadline: Deadline = .step) throws -> (request: ReceivedRequest, connection: BackendConnection) {
        let connection = try activeConnection(deadline: deadline)
        return (try connection.receiveRequestHead(deadline: deadline), connection)
    }

    /// No byte comes on any connection for a while; connections without bytes do not matter.
    public func expectNoRequest(for duration: Duration = Patience.silence) throws {
        let deadline = Deadline(after: duration)
        while true {
            if let loud = connections.first(where: \.hasUnread) {
                throw ScenarioFailure("unexpected bytes at \(address): \(loud.received.readable)")
            }
            let open = connections.filter { $0.descriptor >= 0 && !$0.isOver }
            let places = try SocketCalls.ready(open.map(\.descriptor) + (listener >= 0 ? [listener] : []), for: POLLIN, until: deadline)
            if places.isEmpty { return }
            for place in places {
                if place < open.count { _ = try open[place].fill(until: deadline) } else { _ = try acceptIfAny(until: deadline) }
            }
        }
    }

    /// Stops listening: further connects are refused, open connections live on.
    public func stopListening() {
        guard listener >= 0 else { return }
        Glibc.close(listener)
        listener = -1
        if case .unix(let path) = address { unlink(path) }
    }

    /// Listens again where it did.
    public func listenAgain() throws {
        guard listener < 0 else { return }
        (listener, address) = try SocketCalls.listen(on: address, backlog: 128)
    }

    public func close() {
        stopListening()
        connections.forEach { $0.close() }
    }
}

/// One connection of the proxy to a scripted backend.
public final class BackendConnection: ScriptedPeer, @unchecked Sendable {
    /// One for the first connection that the backend accepted.
    public let number: Int

    init(descriptor: Int32, number: Int, at address: PeerAddress) {
        self.number = number
        super.init(descriptor: descriptor, label: "connection \(number) of backend \(address)")
        if address.family != AF_UNIX { SocketCalls.setOption(descriptor, Int32(IPPROTO_TCP), TCP_NODELAY, 1) }
    }

    public func receiveRequestHead(deadline: Deadline = .step) throws -> ReceivedRequest {
        try ReceivedRequest(head: MessageReader(peer: self, deadline: deadline).head())
    }

    /// One whole request; a proxy that frames it in a doubtful way fails here.
    public func receiveRequest(deadline: Deadline = .step) throws -> ReceivedRequest {
        let request = try receiveRequestPart(deadline: deadline)
        guard request.content.isComplete else { throw ScenarioFailure("\(label): the request ended early: \(received.readable)") }
        return request
    }

    /// A request that the proxy gave up in the middle of its body.
    public func receiveTruncatedRequest(deadline: Deadline = .step) throws -> ReceivedRequest {
        let request = try receiveRequestPart(deadline: deadline)
        guard !request.content.isComplete else { throw ScenarioFailure("\(label): a whole request where a truncated one was expected") }
        return request
    }

    private func receiveRequestPart(deadline: Deadline) throws -> ReceivedRequest {
        var request = try receiveRequestHead(deadline: deadline)
        request.content = try receiveBody(of: request, deadline: deadline)
        return request
    }

    /// The body of a request whose head was read before.
    public func receiveBody(of request: ReceivedRequest, deadline: Deadline = .step) throws -> MessageBody {
        try MessageReader(peer: self, deadline: deadline).body(MessageReader.framing(request.fields, whenSilent: .none))
    }

    /// Answers with a body of known length.
    public func respond(_ status: String = "200 OK", body: Bytes, fields: String = "") throws {
        try send(Bytes("HTTP/1.1 \(status)\r\nContent-Length: \(body.count)\r\n\(fields)\r\n") + body)
    }
    public func respond(_ status: String = "200 OK", body: String = "", fields: String = "") throws {
        try respond(status, body: Bytes(body), fields: fields)
    }
}
