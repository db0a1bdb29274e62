import Glibc

/// A backend that answers by itself, on one thread per connection: for scenarios about many requests.
public final class HandlerBackend: TestBackend, Sendable {
    public enum Reply: Sendable {
        case bytes(Bytes)
        /// The connection ends after these bytes.
        case bytesThenClose(Bytes)
    }
    /// What the handler is told beside the request: which connection of this backend it came on, from 1.
    public typealias Handler = @Sendable (_ request: ReceivedRequest, _ connection: Int) throws -> Reply

    private struct State {
        var listener: Int32
        var connections: [BackendConnection] = []
        var requests = 0
        var isClosed = false
    }

    public let address: PeerAddress
    private let state: Monitor<State>

    public init(on wanted: PeerAddress = .ipv4(port: 0), _ handler: @escaping Handler) throws {
        let (listener, address) = try SocketCalls.listen(on: wanted, backlog: 1024)
        self.address = address
        let state = Monitor(State(listener: listener))
        self.state = state
        startThread {
            while let fd = try? SocketCalls.accept(listener, until: Deadline(after: .seconds(600))) {
                let connection = state.with { state -> BackendConnection? in
                    guard !state.isClosed else { return nil }
                    state.connections.append(BackendConnection(descriptor: fd, number: state.connections.count + 1, at: address))
                    return state.connections.last
                }
                guard let connection else { break }
                startThread { Self.serve(connection, state, handler) }
            }
            Glibc.close(listener)
        }
    }

    deinit { close() }

    /// Answers every request with its own name and a body that tells what came: the target and the body's bytes.
    public static func named(_ name: String, on wanted: PeerAddress = .ipv4(port: 0)) throws -> HandlerBackend {
        try HandlerBackend(on: wanted) { request, _ in
            .bytes(Self.response(fields: "X-Backend: \(name)\r\nX-Target: \(request.target)\r\n", body: request.body))
        }
    }

    public static func response(_ status: String = "200 OK", fields: String = "", body: Bytes) -> Bytes {
        Bytes("HTTP/1.1 \(status)\r\nContent-Length: \(body.count)\r\n\(fields)\r\n") + body
    }

    private static func serve(_ connection: BackendConnection, _ state: Monitor<State>, _ handler: Handler) {
        defer { state.with { _ in connection.close() } }
        while let request = try? connection.receiveRequest(deadline: Deadline(after: .seconds(600))) {
            state.with { $0.requests += 1 }
            guard let reply = try? handler(request, connection.number) else { return }
            switch reply {
            case .bytes(let bytes):
                // A HEAD request is answered with the head alone.
                let sent = request.method == "HEAD" ? Bytes(bytes.prefix((bytes.firstOffset(of: Bytes("\r\n\r\n")) ?? 0) + 4)) : bytes
                guard (try? connection.send(sent, deadline: Deadline(after: .seconds(600)))) != nil else { return }
            case .bytesThenClose(let bytes):
                _ = try? connection.send(bytes)
                return
            }
        }
    }

    /// How many requests were received so far.
    public var requestCount: Int { state.with(\.requests) }
    /// How many connections were accepted so far.
    public var connectionCount: Int { state.with(\.connections.count) }

    public func close() {
        state.with { state in
            guard !state.isClosed else { return }
            state.isClosed = true
            // Shutting down wakes the threads that wait in poll; they close their descriptors themselves.
            _ = shutdown(state.listener, Int32(SHUT_RDWR))
            for connection in state.connections where connection.descriptor >= 0 {
                _ = shutdown(connection.descriptor, Int32(SHUT_RDWR))
            }
        }
    }
}
