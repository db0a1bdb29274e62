import TestSupport
import Testing

/// A proxy that may share backend connections, with clients that it knows and a backend it knows to be quick.
struct SharedConnectionScene {
    typealias Arrived = (request: ReceivedRequest, connection: BackendConnection)

    let proxy: ProxyUnderTest
    let backend: ScriptedBackend
    let clients: [ScriptedClient]

    /// Runs `body` with a proxy that shares up to `depth` requests, and with `count` connected clients. No machine is so busy
    /// that its backend looks slow, unless `latency` (milliseconds) says what slow is.
    static func run(
        clients count: Int, depth: Int = 8, latency: Int = 60_000, server: [Setting] = [], accessLog: String? = nil,
        _ body: (SharedConnectionScene) throws -> Void
    ) throws {
        let backend = try ScriptedBackend()
        let downstream: [Setting] = [.pipeline(depth), .pipelineLatency(latency), .connectionsMax(count + 2)]
        try withProxy(to: backend, server: server, downstream: downstream, connections: 1, accessLog: accessLog) { proxy in
            let clients = try (0..<count).map { _ in try proxy.connect() }
            let scene = SharedConnectionScene(proxy: proxy, backend: backend, clients: clients)
            for client in clients { _ = try client.get("/known", answeredBy: backend) }
            try body(scene)
        }
    }

    /// Answers a few requests at once, so that the proxy believes the backend to be quick.
    func warm() throws {
        for _ in 0..<20 { _ = try clients[0].get("/warm", answeredBy: backend) }
    }

    /// Sends one request per client in a single tick and gives them as they arrive at the backend, unanswered.
    func burst(_ requests: [Bytes]) throws -> [Arrived] {
        try proxy.whileHeld {
            for (client, request) in zip(clients, requests) { try client.send(request) }
        }
        return try requests.map { _ in try backend.receiveRequest() }
    }

    /// GETs of `/0`, `/1` … in one tick, all on one backend connection in some order; a machine that is busy may
    /// spread what was sent over several ticks, so it is tried several times.
    func shared() throws -> [Arrived] {
        let deadline = Deadline(after: Patience.step * 3)
        while !deadline.isOver {
            try warm()
            let arrived = try burst(clients.indices.map { Bytes("GET /\($0) HTTP/1.1\r\nHost: test\r\n\r\n") })
            if Set(arrived.map(\.connection.number)).count == 1 { return arrived }
            for (request, connection) in arrived { try connection.respond(body: request.target) }
            for client in clients { _ = try client.receiveResponse() }
        }
        throw ScenarioFailure("\(clients.count) requests of one tick never shared a connection")
    }

    /// Which client asked for a target of `shared`.
    func client(of arrived: Arrived) -> ScriptedClient { clients[Int(arrived.request.target.dropFirst()) ?? 0] }
}
