import Glibc

/// A client whose every byte the test decides, and which reads answers strictly.
public final class ScriptedClient: ScriptedPeer, @unchecked Sendable {
    public init(to address: PeerAddress, receiveBuffer: Int? = nil) throws {
        super.init(
            descriptor: try SocketCalls.connect(to: address, receiveBuffer: receiveBuffer.map(Int32.init)),
            label: "client of \(address)")
    }

    /// The port that a log calls the client's.
    public var localPort: UInt16 { SocketCalls.localPort(descriptor) }

    /// One whole response to a request of `method`, interim responses included.
    public func receiveResponse(to method: String = "GET", deadline: Deadline = .step) throws -> ReceivedResponse {
        let response = try receiveResponsePart(to: method, deadline: deadline)
        guard response.content.isComplete else {
            throw ScenarioFailure("\(label): truncated after \(response.body.count) bytes of a body framed as \(response.content.framing)")
        }
        return response
    }

    /// A response that the other end gave up in the middle of its body, in a way that can be told.
    public func receiveTruncatedResponse(to method: String = "GET", deadline: Deadline = .step) throws -> ReceivedResponse {
        let response = try receiveResponsePart(to: method, deadline: deadline)
        guard !response.content.isComplete else { throw ScenarioFailure("\(label): a whole response where a truncated one was expected") }
        return response
    }

    /// The head of the next final response, with the interim ones before it; its body stays to be read.
    public func receiveResponseHead(deadline: Deadline = .step) throws -> ReceivedResponse {
        let reader = MessageReader(peer: self, deadline: deadline)
        var interim: [ReceivedResponse] = []
        while true {
            var response = try ReceivedResponse(head: try reader.head())
            if (100..<200).contains(response.status), response.status != 101 {
                interim.append(response)
                continue
            }
            response.interim = interim
            return response
        }
    }

    /// One interim response, while the request goes on.
    public func receiveInterim(deadline: Deadline = .step) throws -> ReceivedResponse {
        let response = try ReceivedResponse(head: try MessageReader(peer: self, deadline: deadline).head())
        guard (100..<200).contains(response.status) else { throw ScenarioFailure("\(label): \(response.status) where a 1xx was expected") }
        return response
    }

    /// A response that may be whole or truncated; its content tells.
    public func receiveResponsePart(to method: String = "GET", deadline: Deadline = .step) throws -> ReceivedResponse {
        var response = try receiveResponseHead(deadline: deadline)
        let bodiless = method == "HEAD" || response.status == 101 || response.status == 204 || response.status == 304
        let framing = try MessageReader.framing(response.fields, whenSilent: .untilClose)
        if response.version == "HTTP/1.0", framing == .chunked { throw ScenarioFailure("chunked in an HTTP/1.0 response") }
        if [101, 204].contains(response.status), framing != .untilClose {
            throw ScenarioFailure("\(response.status) with a body framing of \(framing)")
        }
        response.content = try MessageReader(peer: self, deadline: deadline).body(bodiless ? .none : framing)
        return response
    }

    /// Sends a request without body and reads its answer.
    public func get(_ target: String = "/", host: String = "test", fields: String = "", deadline: Deadline = .step) throws -> ReceivedResponse {
        try send("GET \(target) HTTP/1.1\r\nHost: \(host)\r\n\(fields)\r\n")
        return try receiveResponse(deadline: deadline)
    }
}
