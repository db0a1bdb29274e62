/// How a connection ends whose records the kernel seals.
///
/// A shutdown or a close throws away what the kernel has sealed and not put into the socket. Since it is never given more than there
/// is room for, there should be nothing of that kind; here it is proved, by counting: what was written to the connection must be what was
/// sent, and what each record has beside it. Only then a shutdown follows. Where that does not become true (the machine has no memory
/// for sockets, or a processor beside this one seals) it is looked at again, and in the end the connection is reset: its
/// peer must not take what it has for the whole.
extension Worker where Ring: ~Copyable {
    private static var kernelRetryNanoseconds: UInt64 { 20_000_000 }
    /// How long the socket is looked at without anything leaving it.
    private static var kernelPatienceNanoseconds: UInt64 { 30_000_000_000 }

    /// Says the end; true = all is in the socket, so that a shutdown or a close may follow. False: it is looked at again later, and
    /// `onKernelEnd` goes on.
    mutating func endByKernel(_ client: UnsafeMutablePointer<ClientConnection>, _ link: UnsafeMutablePointer<TLSLink>) -> Bool {
        if link.pointee.kernelEndIsOut || client.pointee.flags.contains(.reset) || !link.pointee.isOpen { return true }
        if !link.pointee.endIsSealed, sayControl(client, link, .alert(RecordAlert.closeNotify.rawValue, isFatal: false)) {
            link.pointee.endIsSealed = true
            // The record layer shall know, and has said it by now.
            var none = ByteQueue()
            _ = link.pointee.stream.sealEnd(to: &none, &blocks)
            none.clear(into: &blocks)
            _ = link.pointee.stream.takeControl()
        }
        if isOver(client, link) {
            link.pointee.kernelEndIsOut = true
            return true
        }
        let queued = kernelRoom(client, link)?.queuedBytes ?? 0
        if link.pointee.kernelEndSince == 0 || queued != Int(link.pointee.kernelEndQueued) {
            link.pointee.kernelEndSince = clock.now
            link.pointee.kernelEndQueued = UInt32(clamping: queued)
        }
        client.pointee.waitingFor = .kernelEnd
        wheel.set(&client.pointee.timer, clock.now &+ Self.kernelRetryNanoseconds)
        return false
    }

    /// Whether the kernel has put every byte that it took into the socket, sealed, and close_notify behind them; or the peer is gone.
    private mutating func isOver(_ client: UnsafeMutablePointer<ClientConnection>, _ link: UnsafeMutablePointer<TLSLink>) -> Bool {
        switch KernelSealing.written(client.pointee.fd) {
        case .gone: return true
        case .moving: return false
        case .bytes(let written):
            guard link.pointee.endIsSealed,
                let records = KernelSealing.nextRecord(client.pointee.fd, link.pointee.stream.records.suite)
            else { return false }
            let overhead = UInt64(link.pointee.stream.records.overheadBytes)
            return written == link.pointee.kernelMark &+ client.pointee.bytesSent &+ records &* overhead
        }
    }

    /// It is time for another look.
    mutating func onKernelEnd(_ client: UnsafeMutablePointer<ClientConnection>) {
        guard let link = client.pointee.tls else { return }
        if !endByKernel(client, link) {
            guard clock.now &- link.pointee.kernelEndSince > Self.kernelPatienceNanoseconds else { return }
            count(.kernelTLSLost)
            client.pointee.flags.insert(.reset)
            if client.pointee.state != .closing {
                abort(client, .clientWriteTimeout)
                return
            }
            ring.resetOnClose(client.pointee.fd)
        }
        switch client.pointee.state {
        case .closing:
            wheel.clear(&client.pointee.timer)
            releaseIfDone(client)
        case .tunnel:
            client.pointee.waitingFor = .tunnelIdle
            touchTunnel(client)
            onTunnelDrained(client)
        case .lingering: linger(client)
        case .proxyHead, .handshaking, .idle, .head, .body, .answering: break
        }
    }

    /// A connection is about to be closed: whether that may be done at once. Where something is still under way, or has ended in the
    /// middle, there is nothing to wait for: its peer is owed more, and is not told that it has all.
    mutating func mayCloseNow(_ client: UnsafeMutablePointer<ClientConnection>) -> Bool {
        guard let link = client.pointee.tls, link.pointee.kernelSeals else { return true }
        let isWhole = client.pointee.output.isEmpty && client.pointee.flags.isDisjoint(with: [.sending, .sendSideClosed])
        if !isWhole || endByKernel(client, link) {
            link.pointee.kernelEndIsOut = true
            return true
        }
        return false
    }

    /// Whether a connection that is closing waits for another look.
    @inline(__always)
    mutating func waitsForKernel(_ client: UnsafeMutablePointer<ClientConnection>) -> Bool {
        guard let link = client.pointee.tls, link.pointee.kernelSeals else { return false }
        return !link.pointee.kernelEndIsOut && !client.pointee.flags.contains(.reset) && link.pointee.isOpen
    }
}
