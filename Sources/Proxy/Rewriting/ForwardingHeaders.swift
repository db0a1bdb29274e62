/// What backends are told about the client and its connection: compiled from a `headers` section.
struct ForwardingHeaders: BitwiseCopyable, @unchecked Sendable {
    var forwardedFor = ForwardingSettings.ForwardedFor.off
    var forwarded = ForwardingSettings.Forwarded.off
    var proto = false
    var host = false
    var port = false
    /// Name of the field with the request's identifier, with its colon and space; nil = none.
    var requestID: LastingBytes?
    /// The answer repeats the identifier to the client.
    var echoesRequestID = false

    static let none = ForwardingHeaders()

    /// Anything is written at all.
    var saysAnything: Bool { forwardedFor != .off || forwarded != .off || proto || host || port || requestID != nil }

    /// Most bytes that the fields take, beside what a trusted peer said and what the client asked for.
    static let bytesMax = 512

    init() {}

    /// - Parameter written: names that the operator's own edits set; what they say counts.
    init(_ settings: ForwardingSettings, written: FieldNameSet, in arena: PlanArena) {
        forwardedFor = written.contains("X-Forwarded-For") ? .off : settings.forwardedFor
        forwarded = written.contains("Forwarded") ? .off : settings.forwarded
        proto = settings.proto && !written.contains("X-Forwarded-Proto")
        host = settings.host && !written.contains("X-Forwarded-Host")
        port = settings.port && !written.contains("X-Forwarded-Port")
        if settings.requestID && !written.contains(settings.requestIDName) {
            requestID = arena.bytes("\(settings.requestIDName): ")
            echoesRequestID = settings.requestIDEcho
        }
    }

    /// What a client's own connection says, as far as it is told.
    struct Facts {
        /// The client, or the peer that speaks for it.
        let client: UnsafePointer<SocketAddress>
        /// Its fields about its own clients count.
        let isTrusted: Bool
        let isSecure: Bool
        /// Port that the client connected to.
        let localPort: UInt16
        /// Authority that was asked for; absent where none was said.
        let host: ByteSlice
        /// Value of the identifier that a trusted peer gave; absent = ours counts.
        let peerRequestID: ByteSlice
        let requestID: UInt64
    }

    /// Writes the fields after the client's own have been left out.
    ///
    /// - Parameter fields: the table of the request, in which a trusted peer's fields are found by name.
    func append(_ facts: Facts, _ bytes: Span<UInt8>, _ fields: Span<FieldRange>, to writer: inout HeadWriter) {
        if forwardedFor != .off || forwarded != .off { appendClient(facts, bytes, fields, to: &writer) }
        if proto && !passes(.xForwardedProto, facts, fields) {
            writer.append(facts.isSecure ? "X-Forwarded-Proto: https\r\n" : "X-Forwarded-Proto: http\r\n")
        }
        if host, let host = facts.host.buffer, host.count > 0, !passes(.xForwardedHost, facts, fields) {
            writer.append("X-Forwarded-Host: ")
            writer.append(host.span)
            writer.append("\r\n")
        }
        if port && facts.localPort > 0 && !passes(.xForwardedPort, facts, fields) {
            writer.append("X-Forwarded-Port: ")
            writer.append(decimal: UInt64(facts.localPort))
            writer.append("\r\n")
        }
        appendRequestID(facts.peerRequestID, facts.requestID, to: &writer)
    }

    private func appendClient(_ facts: Facts, _ bytes: Span<UInt8>, _ fields: Span<FieldRange>, to writer: inout HeadWriter) {
        let client = ClientText(facts.client)
        switch forwardedFor {
        case .off: break
        case .rproxy:
            writer.append("X-Forwarded-For: ")
            client.appendWithPort(to: &writer)
            writer.append("\r\n")
        case .replace, .append:
            writer.append("X-Forwarded-For: ")
            if forwardedFor == .append && facts.isTrusted { appendEarlier(.xForwardedFor, bytes, fields, to: &writer) }
            client.append(to: &writer)
            writer.append("\r\n")
        }
        if forwarded != .off {
            writer.append("Forwarded: ")
            if forwarded == .append && facts.isTrusted { appendEarlier(.forwarded, bytes, fields, to: &writer) }
            client.appendForwarded(to: &writer)
            if let host = facts.host.buffer, host.count > 0 { writer.appendForwardedHost(host.span) }
            writer.append(facts.isSecure ? ";proto=https\r\n" : ";proto=http\r\n")
        }
    }

    /// Writes the line with the identifier, where there is one.
    func appendRequestID(_ peers: ByteSlice, _ ours: UInt64, to writer: inout HeadWriter) {
        guard let requestID else { return }
        writer.append(requestID.bytes.span)
        if let peers = peers.buffer { writer.append(peers.span) } else { writer.append(hex16: ours) }
        writer.append("\r\n")
    }

    /// Bytes that `append` repeats of what a trusted peer said.
    func earlierLength(_ fields: Span<FieldRange>) -> Int {
        guard forwardedFor == .append || forwarded == .append else { return 0 }
        var length = 0
        var index = 0
        while index < fields.count {
            let field = fields[index]
            if field.name == .xForwardedFor || field.name == .forwarded { length &+= Int(field.valueLength) &+ 2 }
            index &+= 1
        }
        return length
    }

    /// Whether a trusted peer's own word about the connection is taken over: it saw the client, we did not.
    private func passes(_ name: HeaderName, _ facts: Facts, _ fields: Span<FieldRange>) -> Bool {
        guard facts.isTrusted else { return false }
        var index = 0
        while index < fields.count {
            if fields[index].name == name && fields[index].flags.isDisjoint(with: .notForwarded) { return true }
            index &+= 1
        }
        return false
    }

    /// The values of all instances of a field, each followed by a comma.
    private func appendEarlier(_ name: HeaderName, _ bytes: Span<UInt8>, _ fields: Span<FieldRange>, to writer: inout HeadWriter) {
        var index = 0
        while index < fields.count {
            let field = fields[index]
            index &+= 1
            guard field.name == name, field.valueLength > 0 else { continue }
            writer.append(bytes.extracting(field.valueRange))
            writer.append(", ")
        }
    }

    /// Names that a trusted peer may not say either, because this proxy writes them anew.
    var rewritten: [String] {
        var names: [String] = []
        if forwardedFor != .off { names.append("X-Forwarded-For") }
        if forwarded != .off { names.append("Forwarded") }
        return names
    }
}
