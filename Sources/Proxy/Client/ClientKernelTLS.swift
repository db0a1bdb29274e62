/// Clients under TLS whose records the kernel seals, so that bodies can be spliced to them: from the first large body to the end of
/// the connection.
///
/// What is sent then is plain until it is in the kernel, and never more than its socket has room for (`KernelSendRoom`). Alerts go as
/// control messages; how such a connection ends stands in `ClientKernelEnd.swift`.
extension Worker where Ring: ~Copyable {
    @inline(__always)
    mutating func isSealedByKernel(_ client: UnsafeMutablePointer<ClientConnection>) -> Bool {
        guard let link = client.pointee.tls else { return false }
        return link.pointee.kernelSeals
    }

    /// Whether a body may be spliced to a client as far as TLS is concerned: it speaks none, or the kernel can seal for it.
    @inline(__always)
    mutating func maySpliceSealed(_ client: UnsafeMutablePointer<ClientConnection>, isTunnel: Bool) -> Bool {
        guard let link = client.pointee.tls else { return true }
        return !isTunnel && mayLetKernelSeal(client, link)
    }

    private mutating func mayLetKernelSeal(
        _ client: UnsafeMutablePointer<ClientConnection>, _ link: UnsafeMutablePointer<TLSLink>
    ) -> Bool {
        guard link.pointee.isOpen, !link.pointee.endIsSealed, !link.pointee.kernelRefused else { return false }
        if link.pointee.kernelSeals { return true }
        let server = servers + Int(client.pointee.server)
        return link.pointee.stream.hasLeftOpenSSL && server.pointee.plan.kernelTLS.suites.contains(link.pointee.stream.records.suite)
            // It fills records up, whatever their size was to be.
            && link.pointee.stream.records.contentMax == TLSStream.recordBytesMax
            && (server.pointee.plan.recordBytes == 0 || server.pointee.plan.recordBytes == TLSStream.recordBytesMax)
    }

    // MARK: - Handing the key over

    /// Gives the kernel the key, once all records of ours are in the socket; false = not this time, or the connection has ended.
    mutating func letKernelSeal(_ client: UnsafeMutablePointer<ClientConnection>, _ link: UnsafeMutablePointer<TLSLink>) -> Bool {
        guard mayLetKernelSeal(client, link), link.pointee.sealedBytes == 0, client.pointee.output.isEmpty else { return false }
        switch kernelFit(client, link) {
        case .fits(let bytesPerByte): link.pointee.kernelBytesPerByte = UInt8(truncatingIfNeeded: bytesPerByte)
        case .notNow: return false
        case .never, .bufferTooSmall:
            link.pointee.kernelRefused = true
            count(.kernelTLSRefused)
            return false
        }
        guard case .bytes(let written) = KernelSealing.written(client.pointee.fd), KernelSealing.attach(client.pointee.fd) == 0,
            var key = link.pointee.stream.handOutSendingKey()
        else {
            link.pointee.kernelRefused = true
            count(.kernelTLSRefused)
            return false
        }
        let result = KernelSealing.install(client.pointee.fd, key)
        let overhead = UInt64(link.pointee.stream.records.overheadBytes)
        // What has been written is this, the bytes that were sent, and what each record has beside them.
        link.pointee.kernelMark = written &- client.pointee.bytesSent &- key.sequence &* overhead
        link.pointee.kernelLookAt = client.pointee.bytesSent
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

    /// Looks whether the connection is one to hand over; makes its send buffer larger where that is what it lacks.
    private mutating func kernelFit(
        _ client: UnsafeMutablePointer<ClientConnection>, _ link: UnsafeMutablePointer<TLSLink>
    ) -> KernelFit {
        guard let peer = KernelSealing.peer(client.pointee.fd) else { return .never }
        let system = servers[Int(client.pointee.server)].plan.kernelTLS.unsentLowBytes
        let unsentLow = peer.unsentLowBytes > 0 ? peer.unsentLowBytes : system
        link.pointee.kernelUnsentLow = UInt32(clamping: unsentLow)
        for attempt in 0..<2 {
            guard let room = kernelRoom(client, link) else { return .never }
            let fit = KernelFit(
                bufferBytes: room.bufferBytes, unsentLowBytes: unsentLow, window: peer.windowBytes, segment: peer.segmentBytes)
            guard fit == .bufferTooSmall, attempt == 0 else { return fit }
            KernelSealing.enlargeBuffer(client.pointee.fd)
        }
        return .bufferTooSmall
    }

    // MARK: - Sending

    /// The room that the socket of a client has; nil when it is none any more.
    mutating func kernelRoom(
        _ client: UnsafeMutablePointer<ClientConnection>, _ link: UnsafeMutablePointer<TLSLink>
    ) -> KernelSendRoom? {
        KernelSealing.room(
            client.pointee.fd, unsentLowBytes: Int(link.pointee.kernelUnsentLow), bytesPerByte: Int(link.pointee.kernelBytesPerByte))
    }

    /// How many of `wanted` bytes the kernel may be given now: 0 = wait until the socket is writable, nil = the connection has ended.
    mutating func kernelHelping(
        _ client: UnsafeMutablePointer<ClientConnection>, _ link: UnsafeMutablePointer<TLSLink>, of wanted: Int
    ) -> Int? {
        guard isKeyGood(client, link) else { return nil }
        for attempt in 0..<2 {
            guard let room = kernelRoom(client, link) else { break }
            switch room.helping(of: wanted) {
            case .give(let count): return count
            case .waitUntilWritable: return 0
            case .bufferTooSmall where attempt == 0:
                // The kernel has taken some of it away, which it does when the machine runs short of memory for sockets.
                KernelSealing.enlargeBuffer(client.pointee.fd)
            case .bufferTooSmall: break
            }
        }
        abort(client, .outOfMemory)
        return nil
    }

    /// Whether the key may seal on; else the connection has ended, as there is no other one for it: kernels take one for a direction.
    ///
    /// A record has at least one byte, so that the kernel need not be asked before as many bytes have been sent as there are records left.
    @inline(__always)
    private mutating func isKeyGood(_ client: UnsafeMutablePointer<ClientConnection>, _ link: UnsafeMutablePointer<TLSLink>) -> Bool {
        client.pointee.bytesSent < link.pointee.kernelLookAt || lookAtKey(client, link)
    }

    /// Records that are not asked of a key at its end, so that looking at it stays rare.
    private static var recordsLeftMin: UInt64 { 65_536 }

    @inline(never)
    private mutating func lookAtKey(_ client: UnsafeMutablePointer<ClientConnection>, _ link: UnsafeMutablePointer<TLSLink>) -> Bool {
        let suite = link.pointee.stream.records.suite
        if let next = KernelSealing.nextRecord(client.pointee.fd, suite), next < suite.recordsMax &- Self.recordsLeftMin {
            // Whatever is sent before that counts is one helping.
            let left = min(suite.recordsMax &- next &- Self.recordsLeftMin, 1 << 32)
            link.pointee.kernelLookAt = client.pointee.bytesSent &+ left
            return true
        }
        abort(client, .tlsBroken)
        return false
    }

    /// Waits until the socket of a client takes more of what is queued for it.
    mutating func waitForKernelRoom(_ client: UnsafeMutablePointer<ClientConnection>) {
        if client.pointee.rateSince == 0 { startWaitingForClient(client) }
        waitForWrite(client)
        client.pointee.flags.insert(.polling)
        client.pointee.inFlight &+= 1
        ring.startPoll(client.pointee.fd, writable: true, token: token(.clientWritable, client))
    }

    /// Says what the record layer has to say beside data; false = that ended the connection. A peer that wants to see other keys cannot
    /// be answered, since kernels take one key for a direction.
    mutating func sayByKernel(_ client: UnsafeMutablePointer<ClientConnection>, _ link: UnsafeMutablePointer<TLSLink>) -> Bool {
        guard link.pointee.kernelSeals else { return true }
        while let message = link.pointee.stream.takeControl() {
            guard message.contentType == RecordType.alert else {
                abort(client, .tlsBroken)
                return false
            }
            // Where there is no room a warning is not said, and a fatal alert neither: the connection ends.
            _ = sayControl(client, link, message)
        }
        return true
    }

    /// Says something beside data where there is room for it; whether it was said.
    mutating func sayControl(
        _ client: UnsafeMutablePointer<ClientConnection>, _ link: UnsafeMutablePointer<TLSLink>, _ message: TLSControlMessage
    ) -> Bool {
        guard let room = kernelRoom(client, link), room.takesControl, KernelSealing.say(client.pointee.fd, message) == message.count else {
            return false
        }
        link.pointee.kernelMark &+= UInt64(message.count)
        return true
    }
}
