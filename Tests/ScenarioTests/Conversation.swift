import TestSupport
import Testing

extension ScriptedClient {
    /// A request whose answer the test plays on the backend in between: the plainest exchange there is.
    func get(
        _ target: String, fields: String = "", answeredBy backend: ScriptedBackend, body: Bytes = Bytes("ok"), responseFields: String = ""
    ) throws -> ReceivedResponse {
        try send("GET \(target) HTTP/1.1\r\nHost: test\r\n\(fields)\r\n")
        let (request, connection) = try backend.receiveRequest()
        guard request.target == target else { throw ScenarioFailure("the backend was asked for \(request.target) instead of \(target)") }
        try connection.respond(body: body, fields: responseFields)
        return try receiveResponse()
    }

    func sendRequest(_ target: String, method: String = "GET", fields: String = "", body: Bytes? = nil) throws {
        let length = body.map { "Content-Length: \($0.count)\r\n" } ?? ""
        try send(Bytes("\(method) \(target) HTTP/1.1\r\nHost: test\r\n\(length)\(fields)\r\n") + (body ?? []))
    }
}

extension ScriptedBackend {
    /// The proxy gives up whatever it had begun to send: no connection ever carries a whole request.
    func expectNoWholeRequest() throws {
        try? expectNoRequest(for: .milliseconds(30))
        for connection in connections where !connection.received.isEmpty {
            if let request = try? connection.receiveRequest() {
                throw ScenarioFailure("the backend got a whole request: \(request.method) \(request.target) \(request.body.readable)")
            }
        }
    }
}
