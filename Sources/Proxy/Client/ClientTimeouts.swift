/// What happens when a client keeps us waiting.
extension Worker where Ring: ~Copyable {
    mutating func onClientTimer(_ client: UnsafeMutablePointer<ClientConnection>) {
        let server = servers + Int(client.pointee.server)
        switch client.pointee.waitingFor {
        case .nothing: break
        case .idle: close(client)
        // Not with a reset: what the peer has not taken yet is still on its way.
        case .linger: close(client)
        case .tunnelIdle: abort(client, .clientBodyTimeout)
        case .head:
            count(.timeouts)
            // Where no byte of a request has come, there is nothing to answer.
            if client.pointee.state == .idle { close(client) } else { refuse(client, 408, .clientHeadTimeout) }
        case .bodyGap:
            if client.pointee.state == .body, server.pointee.bodyGapNanoseconds > 0,
                clock.now &- client.pointee.progressAt >= server.pointee.bodyGapNanoseconds
            {
                count(.timeouts)
                onRequestBodyLate(client, .clientBodyTimeout)
            } else if isTooSlow(client, server.pointee) {
                count(.timeouts)
                onRequestBodyLate(client, .clientTooSlow)
            } else {
                waitForBody(client)
            }
        case .writeProgress:
            if server.pointee.writeNanoseconds > 0,
                clock.now &- client.pointee.progressAt >= server.pointee.writeNanoseconds
            {
                count(.timeouts)
                abort(client, .clientWriteTimeout)
            } else if isTooSlow(client, server.pointee) {
                count(.timeouts)
                abort(client, .clientTooSlow)
            } else {
                waitForWrite(client)
            }
        }
    }

    /// Whether the peer, waited for without a break, moved fewer bytes than it must.
    private func isTooSlow(_ client: UnsafeMutablePointer<ClientConnection>, _ server: borrowing ServerRuntime) -> Bool {
        guard server.rateMin > 0, client.pointee.rateSince > 0 else { return false }
        let waited = clock.now &- client.pointee.rateSince
        guard waited > server.rateGraceNanoseconds else { return false }
        return Double(client.pointee.rateBytes) < Double(server.rateMin) * Double(waited) / 1e9
    }
}
