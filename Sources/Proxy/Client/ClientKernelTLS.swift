import Glibc

/// Clients under TLS whose records the kernel seals, so that bodies can be spliced to them: from the first large body to the end of
/// the connection.
///
/// What is sent then is plain until it is in the kernel. Alerts and close_notify go as control messages. A shutdown or a close
/// throws away what the kernel has sealed and its socket had no room for, so both wait until the socket is empty
/// (docs/internals/kernel-tls.md).
extension Worker where Ring: ~Copyable {
    private static var kernelRetryNanoseconds: UInt64 { 20_000_000 }
    /// For how long it must look empty: what the kernel has sealed it passes on by a thread of its own, as soon as there is room.
    private static var kernelEmptyNanoseconds: UInt64 { 500_000_000 }
    /// How long the socket is looked at in vain before a slow peer is given up.
    private static var kernelPatienceNanoseconds: UInt64 { 30_000_000_000 }

    @inline(__always)
    mutating func isSealedByKernel(_ client: UnsafeMutablePointer<ClientConnection>) -> Bool {
        guard let link = client.pointee.tls else { return false }
        return link.pointee.kernelSeals
    }

    /// Whether a body may be spliced to a client as far as TLS is concerned: it speaks none, or the kernel can seal for it.
    mutating func maySpliceSealed(_ client: UnsafeMutablePointer<ClientConnection>, isTunnel: Bool) -> Bool {
        guard let link = client.pointee.tls else { return true }
        guard !isTunnel, link.pointee.isOpen, !link.pointee.endIsSealed, !link.pointee.kernelRefused else { return false }
        return link.pointee.kernelSeals
            || servers[Int(client.pointee.server)].plan.usesKernelTLS && link.pointee.stream.hasLeftOpenSSL
                && kernelSuites.contains(link.pointee.stream.records.suite)
    }

    /// Gives the kernel the key, once all records of ours are in the socket; false = it will not, or the connection has ended.
    mutating func letKernelSeal(_ client: UnsafeMutablePointer<ClientConnection>, _ link: UnsafeMutablePointer<TLSLink>) -> Bool {
        guard link.pointee.isOpen, link.pointee.sealedBytes == 0, client.pointee.output.isEmpty,
            KernelSealing.attach(client.pointee.fd) == 0, var key = link.pointee.stream.handOutSendingKey()
        else {
            link.pointee.kernelRefused = true
            return false
        }
        let result = KernelSealing.install(client.pointee.fd, key)
        link.pointee.kernelRecords = key.sequence
        key.wipe()
        link.pointee.kernelSeals = true
        guard result == 0 else {
            // Nobody has the key any more.
            client.pointee.flags.insert(.reset)
            abort(client, .tlsBroken)
            return false
        }
        count(.kernelTLSClients)
        return true
    }

    /// Counts what the kernel may have sealed; false = it has reached the limit of its key, and the connection has ended: there is no
    /// other key for it on kernels that we know.
    mutating func countKernelRecords(_ client: UnsafeMutablePointer<ClientConnection>, _ bytes: Int) -> Bool {
        guard let link = client.pointee.tls else { return true }
        link.pointee.kernelRecords &+= UInt64(bytes) / UInt64(TLSStream.recordBytesMax) &+ 2
        guard link.pointee.kernelRecords > link.pointee.stream.records.suite.recordsMax else { return true }
        abort(client, .tlsBroken)
        return false
    }

    /// Says what the record layer has to say beside data; false = that ended the connection. A peer that wants to see other keys cannot be
    /// answered, since kernels take one key for a direction.
    mutating func sayByKernel(_ client: UnsafeMutablePointer<ClientConnection>, _ link: UnsafeMutablePointer<TLSLink>) -> Bool {
        guard link.pointee.kernelSeals else { return true }
        while let message = link.pointee.stream.takeControl() {
            guard message.contentType == 21 else {
                abort(client, .tlsBroken)
                return false
            }
            _ = KernelSealing.say(client.pointee.fd, message)
        }
        return true
    }

    /// Says close_notify; false = there is no room for it just now.
    mutating func sayEndByKernel(_ client: UnsafeMutablePointer<ClientConnection>, _ link: UnsafeMutablePointer<TLSLink>) -> Bool {
        if link.pointee.endIsSealed { return true }
        let result = KernelSealing.say(client.pointee.fd, .alert(0, isFatal: false))
        if result == Int(-EAGAIN) { return false }
        link.pointee.endIsSealed = true
        // The record layer shall know, and has said it by now.
        var none = ByteQueue()
        _ = link.pointee.stream.sealEnd(to: &none, &blocks)
        none.clear(into: &blocks)
        _ = link.pointee.stream.takeControl()
        return true
    }

    /// The same where something follows; true = it has to wait, and is tried again.
    mutating func mustSayEndByKernel(_ client: UnsafeMutablePointer<ClientConnection>, _ link: UnsafeMutablePointer<TLSLink>) -> Bool {
        if sayEndByKernel(client, link) { return false }
        if link.pointee.endProgressAt == 0 { link.pointee.endProgressAt = clock.now }
        lookAgain(client)
        return true
    }

    private mutating func lookAgain(_ client: UnsafeMutablePointer<ClientConnection>) {
        client.pointee.waitingFor = .kernelEnd
        wheel.set(&client.pointee.timer, clock.now &+ Self.kernelRetryNanoseconds)
    }

    /// It is time for another look.
    mutating func onKernelEnd(_ client: UnsafeMutablePointer<ClientConnection>) {
        guard let link = client.pointee.tls else { return }
        if client.pointee.state == .closing {
            releaseIfDone(client)
        } else if clock.now &- link.pointee.endProgressAt > Self.kernelPatienceNanoseconds {
            client.pointee.flags.insert(.reset)
            abort(client, .clientWriteTimeout)
        } else if client.pointee.state == .tunnel {
            onTunnelDrained(client)
        } else {
            linger(client)
        }
    }

    /// Whether a connection that is to be closed must stay until its socket is empty; then another look is due. Empty is what looks
    /// empty for a while.
    mutating func waitsForKernel(_ client: UnsafeMutablePointer<ClientConnection>) -> Bool {
        guard let link = client.pointee.tls, link.pointee.kernelSeals, !client.pointee.flags.contains(.reset) else { return false }
        if client.pointee.timer.isSet, client.pointee.waitingFor == .kernelEnd { return true }
        let hasSaidEnd = !link.pointee.isOpen || sayEndByKernel(client, link)
        let queued = KernelSealing.queuedBytes(client.pointee.fd)
        if link.pointee.endProgressAt == 0 || queued != link.pointee.endQueuedBytes { link.pointee.endProgressAt = clock.now }
        link.pointee.endQueuedBytes = queued
        if queued > 0 || !hasSaidEnd {
            link.pointee.endEmptyAt = 0
            if clock.now &- link.pointee.endProgressAt > Self.kernelPatienceNanoseconds { return false }
        } else if link.pointee.endEmptyAt == 0 {
            link.pointee.endEmptyAt = clock.now
        } else if clock.now &- link.pointee.endEmptyAt >= Self.kernelEmptyNanoseconds {
            return false
        }
        lookAgain(client)
        return true
    }
}
