/// Field lines in the order in which they came.
public struct Fields: Sendable, Equatable {
    public var lines: [(name: String, value: String)] = []

    /// Every value of a name, compared without case.
    public subscript(name: String) -> [String] {
        lines.filter { $0.name.lowercased() == name.lowercased() }.map(\.value)
    }
    /// The value of a field that must not be there twice; nil when absent.
    public func only(_ name: String) -> String? {
        let values = self[name]
        return values.count == 1 ? values[0] : nil
    }
    public func has(_ name: String) -> Bool { !self[name].isEmpty }

    public static func == (left: Fields, right: Fields) -> Bool {
        left.lines.elementsEqual(right.lines) { $0 == $1 }
    }
}

/// A start line and its fields, as they came.
public struct MessageHead: Sendable {
    public var startLine: String
    public var fields: Fields
    public var byteCount: Int
}

/// How the end of a body was told.
public enum Framing: Sendable, Equatable { case none, length(Int), chunked, untilClose }

/// A body as it was read, with what its framing showed.
public struct MessageBody: Sendable {
    public var framing = Framing.none
    public var bytes: Bytes = []
    /// Whether the end was reached as the framing tells it.
    public var isComplete = true
    public var chunkSizes: [Int] = []
    public var hadChunkExtensions = false
    public var trailers = Fields()
}

/// A request as a backend received it.
public struct ReceivedRequest: Sendable {
    public var method: String
    public var target: String
    public var version: String
    public var fields: Fields
    public var content: MessageBody
    public var body: Bytes { content.bytes }

    init(head: MessageHead) throws {
        let parts = head.startLine.split(separator: " ", omittingEmptySubsequences: false).map(String.init)
        guard parts.count == 3, parts[2].hasPrefix("HTTP/1.") else {
            throw ScenarioFailure("not a request line: \(head.startLine)")
        }
        (method, target, version) = (parts[0], parts[1], parts[2])
        fields = head.fields
        content = MessageBody()
    }
}

/// A response as a client received it.
public struct ReceivedResponse: Sendable {
    public var version: String
    public var status: Int
    public var reason: String
    public var fields: Fields
    public var content = MessageBody()
    public var body: Bytes { content.bytes }
    /// The 1xx responses that came before, 101 excepted.
    public var interim: [ReceivedResponse] = []

    init(head: MessageHead) throws {
        let parts = head.startLine.split(separator: " ", maxSplits: 2, omittingEmptySubsequences: false).map(String.init)
        guard parts.count >= 2, ["HTTP/1.1", "HTTP/1.0"].contains(parts[0]), parts[1].utf8.count == 3,
            let status = Int(parts[1]), (100...999).contains(status)
        else { throw ScenarioFailure("not a status line: \(head.startLine)") }
        version = parts[0]
        self.status = status
        reason = parts.count == 3 ? parts[2] : ""
        fields = head.fields
    }

    /// Whether the sender says that the connection ends with this response.
    public var announcesClose: Bool {
        fields["Connection"].contains { $0.lowercased().split(separator: ",").contains { $0.filter { $0 != " " } == "close" } }
    }
}
