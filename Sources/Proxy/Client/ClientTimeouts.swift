/// What happens when a client keeps us waiting.
extension Worker where Ring: ~Copyable {
    mutating func onClientTimer(_ client: UnsafeMutablePointer<ClientConnection>) {
        switch client.pointee.waitingFor {
        case .nothing: break
        case .idle: close(client)
        // Not with a reset: what the peer has not taken yet is still on its way.
        case .linger: close(client)
        case .tunnelIdle: onTunnelIdle(client)
        case .kernelEnd: onKernelEnd(client)
        case .head where client.pointee.flags.contains(.overLimit): refuseOverLimit(client)
        case .head:
            // One that was told to hurry because the worker ends is not late.
            if !isDraining { count(.timeouts) }
            switch client.pointee.state {
            // Where no byte of a request has come, there is nothing to answer.
            case .idle, .proxyHead: close(client)
            case .handshaking: onHandshakeLate(client)
            default: refuse(client, 408, .clientHeadTimeout)
            }
        case .bodyGap:
            let limit = rule(of: client).pointee.bodyGapNanoseconds
            if client.pointee.state == .body, limit > 0, clock.now &- client.pointee.progressAt >= limit {
                count(.timeouts)
                onRequestBodyLate(client, .clientBodyTimeout)
            } else if isTooSlow(client) {
                count(.timeouts)
                onRequestBodyLate(client, .clientTooSlow)
            } else {
                waitForBody(client)
            }
        case .writeProgress:
            let limit = rule(of: client).pointee.writeNanoseconds
            if limit > 0, clock.now &- client.pointee.progressAt >= limit {
                count(.timeouts)
                abort(client, .clientWriteTimeout)
            } else if isTooSlow(client) {
                count(.timeouts)
                abort(client, .clientTooSlow)
            } else {
                waitForWrite(client)
            }
        }
    }

    /// A handshake that was begun and not ended in time leaves a line in the log; who never said a word leaves none.
    private mutating func onHandshakeLate(_ client: UnsafeMutablePointer<ClientConnection>) {
        if client.pointee.bytesReceived > 0, !isDraining {
            count(.tlsFailures)
            logRefusal(client, 0, FailureReason.handshakeTimeout.word, bytes: 0, bodyBytes: 0)
        }
        close(client)
    }

    /// Neither side of a tunnel has sent anything for too long; who waits for the backend's first byte is told.
    private mutating func onTunnelIdle(_ client: UnsafeMutablePointer<ClientConnection>) {
        count(.timeouts)
        if client.pointee.exchange != noSlot, awaitsPassedAnswer(exchanges[client.pointee.exchange]) {
            let exchange = exchanges[client.pointee.exchange]
            onConnectionLost(connections[exchange.pointee.connection], .backendReadTimeout)
        } else {
            abort(client, .clientBodyTimeout)
        }
    }

    /// Whether the peer, waited for without a break, moved fewer bytes than it must.
    private mutating func isTooSlow(_ client: UnsafeMutablePointer<ClientConnection>) -> Bool {
        let server = servers + Int(client.pointee.server)
        guard server.pointee.plan.rateMin > 0, client.pointee.rateSince > 0 else { return false }
        let waited = clock.now &- client.pointee.rateSince
        guard waited > server.pointee.plan.rateGraceNanoseconds else { return false }
        return Double(client.pointee.rateBytes) < Double(server.pointee.plan.rateMin) * Double(waited) / 1e9
    }
}
