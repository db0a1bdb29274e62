import CUring
import Glibc

/// What becomes of operations once they are submitted.
extension ScriptedKernel {
    /// Tries an operation: posts what came of it, or leaves it armed.
    func run(_ number: Int32) {
        let operation = operations + Int(number)
        switch operation.pointee.kind {
        case .free: break
        case .accept: runAccept(number)
        case .receive, .receiveMultishot: runReceive(number)
        case .send: runSend(number)
        case .pollReadable:
            guard let socket = socket(operation.pointee.descriptor) else { return }
            if isReadable(socket) { post(number, POLLIN) }
        case .pollWritable:
            guard let socket = socket(operation.pointee.descriptor) else { return }
            if socket.toPeer.room * 3 >= socket.toPeer.capacity || isDead(socket) { post(number, POLLOUT) }
        case .connect: runConnect(number)
        case .write: runWrite(number)
        case .read: runRead(number)
        }
    }

    /// The socket behind a descriptor that an operation is in flight on.
    private func socket(_ descriptor: Int32) -> ScriptedSocket? {
        let entry = descriptors[Int(descriptor - Self.firstDescriptor)]
        return entry.kind == .socket ? sockets[Int(entry.index)] : nil
    }

    private func entry(_ descriptor: Int32) -> UnsafeMutablePointer<ScriptedDescriptor> {
        descriptors + Int(descriptor - Self.firstDescriptor)
    }

    private func isReadable(_ socket: ScriptedSocket) -> Bool {
        socket.toProxy.count > 0 || socket.peerEnded || socket.isResetForProxy || socket.proxyStoppedReading
    }

    private func isDead(_ socket: ScriptedSocket) -> Bool { socket.isResetForProxy || socket.proxyEnded }

    /// Tells operations of the proxy that wait for bytes, or for the end.
    func kickReaders(_ socket: ScriptedSocket) {
        guard socket.descriptor >= 0 else { return }
        let entry = entry(socket.descriptor)
        if entry.pointee.receiving >= 0 { kick(entry.pointee.receiving) }
        if entry.pointee.pollingReadable >= 0 { kick(entry.pointee.pollingReadable) }
    }

    /// Tells operations of the proxy that wait for room.
    func kickWriters(_ socket: ScriptedSocket) {
        guard socket.descriptor >= 0 else { return }
        let entry = entry(socket.descriptor)
        if entry.pointee.sending >= 0 { kick(entry.pointee.sending) }
        if entry.pointee.pollingWritable >= 0 { kick(entry.pointee.pollingWritable) }
    }

    private func kick(_ number: Int32) {
        if operations[Int(number)].stage == .armed { runSoon(number) }
    }

    private func kickAll(_ socket: ScriptedSocket) {
        kickReaders(socket)
        kickWriters(socket)
        wakeSoon(socket.peer)
    }

    // MARK: - Accepting and connecting

    /// Opens a listening socket for the worker.
    func listen() -> ScriptedListener {
        let listener = ScriptedListener(descriptor: takeDescriptor(.listener, listeners.count))
        listeners.append(listener)
        return listener
    }

    /// A scripted client connects.
    func connect(to listener: ScriptedListener, peer: Int32) -> ScriptedSocket {
        nextPort = nextPort == .max ? 10_000 : nextPort + 1
        let socket = makeSocket(port: nextPort)
        socket.peer = peer
        listener.waiting.append(socket)
        for number in 0..<Int32(operationCount) {
            let operation = operations + Int(number)
            if operation.pointee.kind == .accept, operation.pointee.descriptor == listener.descriptor { kick(number) }
        }
        return socket
    }

    private func makeSocket(port: UInt16) -> ScriptedSocket {
        ScriptedSocket(
            kernel: self, capacityToProxy: sizes.socketBytes, capacityToPeer: sizes.socketBytes, port: port)
    }

    private func runAccept(_ number: Int32) {
        let operation = operations + Int(number)
        let listener = listeners[Int(entry(operation.pointee.descriptor).pointee.index)]
        while let socket = listener.waiting.first {
            if faults.strikes(.noDescriptors) {
                post(number, -EMFILE)
                return
            }
            listener.waiting.removeFirst()
            let descriptor = takeDescriptor(.socket, place(socket))
            socket.descriptor = descriptor
            if faults.strikes(.endedMultishot) {
                post(number, descriptor)
                return
            }
            postMore(number, descriptor)
        }
    }

    func acceptNow(_ descriptor: Int32) -> Int32 {
        guard let entry = open(descriptor, "accept"), entry.pointee.kind == .listener else { return -EBADF }
        let listener = listeners[Int(entry.pointee.index)]
        guard !listener.waiting.isEmpty else { return -EAGAIN }
        if faults.strikes(.noDescriptors) { return -EMFILE }
        let socket = listener.waiting.removeFirst()
        socket.descriptor = takeDescriptor(.socket, place(socket))
        return socket.descriptor
    }

    private func place(_ socket: ScriptedSocket) -> Int {
        if let free = sockets.firstIndex(where: { $0 == nil }) {
            sockets[free] = socket
            return free
        }
        sockets.append(socket)
        return sockets.count - 1
    }

    private func runConnect(_ number: Int32) {
        let operation = operations + Int(number)
        guard let address = operation.pointee.address else { return }
        let descriptor = operation.pointee.descriptor
        guard let door = doors.first(where: { $0.port == address.pointee.port })?.door else {
            post(number, -ECONNREFUSED)
            return
        }
        let socket = makeSocket(port: address.pointee.port)
        socket.descriptor = descriptor
        switch door.onConnect(socket) {
        case .silence: operation.pointee.address = nil
        case .refused: post(number, -ECONNREFUSED)
        case .accepted:
            entry(descriptor).pointee.kind = .socket
            entry(descriptor).pointee.index = Int32(place(socket))
            post(number, 0)
        }
    }

    // MARK: - Bytes

    private func runReceive(_ number: Int32) {
        let operation = operations + Int(number)
        guard let socket = socket(operation.pointee.descriptor) else {
            post(number, -ENOTCONN)
            return
        }
        if faults.strikes(.reset) { breakDown(socket) }
        let isMultishot = operation.pointee.kind == .receiveMultishot
        var left = 1 + random.below(3)
        while true {
            if socket.toProxy.count == 0 {
                if socket.isResetForProxy {
                    post(number, -ECONNRESET)
                } else if socket.peerEnded || socket.proxyStoppedReading {
                    post(number, 0)
                }
                return
            }
            if left == 0 {
                runSoon(number)
                return
            }
            left -= 1
            let group = buffers(operation.pointee.group)
            guard !faults.strikes(.noBuffers), let buffer = group.take() else {
                post(number, -ENOBUFS)
                return
            }
            var room = group.bytes
            if faults.strikes(.shortRead) { room = 1 + random.below(min(room, socket.toProxy.count)) }
            let got = socket.toProxy.read(into: group.fill(buffer), room)
            tallies.movedBytes += got
            wakeSoon(socket.peer)
            let flags = UInt32(IORING_CQE_F_BUFFER) | UInt32(buffer) << 16
            if isMultishot && !faults.strikes(.endedMultishot) {
                postMore(number, Int32(got), flags: flags)
            } else {
                post(number, Int32(got), flags: flags)
                return
            }
        }
    }

    private func runSend(_ number: Int32) {
        let operation = operations + Int(number)
        guard let socket = socket(operation.pointee.descriptor) else {
            post(number, -ENOTCONN)
            return
        }
        if faults.strikes(.reset) { breakDown(socket) }
        if socket.proxyEnded || socket.isResetForProxy {
            execute(number, socket.proxyEnded ? -EPIPE : -ECONNRESET)
            return
        }
        if socket.peerClosed {
            // Taken by our side; the answer of the peer's is a reset.
            execute(number, Int32(operation.pointee.byteCount))
            socket.isResetForProxy = true
            kickReaders(socket)
            return
        }
        var room = min(socket.toPeer.room, operation.pointee.byteCount)
        guard room > 0 else { return }
        if faults.strikes(.shortWrite) { room = 1 + random.below(room) }
        if sizes.checksMemory, !operation.pointee.isUntouched {
            complain("memory of a send on descriptor \(operation.pointee.descriptor) changed before it was sent")
        }
        var left = room
        for piece in 0..<operation.pointee.pieces.count where left > 0 {
            let length = min(left, operation.pointee.pieces.lengths[piece])
            _ = socket.toPeer.write(operation.pointee.pieces.starts[piece]!, length)
            tallies.movedBytes += length
            left -= length
        }
        execute(number, Int32(room))
        wakeSoon(socket.peer)
    }

    /// The operation is done; its completion may come later than what follows from it.
    private func execute(_ number: Int32, _ result: Int32) {
        guard faults.strikes(.lateCompletion) else {
            post(number, result)
            return
        }
        operations[Int(number)].stage = .executed
        operations[Int(number)].result = result
        agenda.add(
            at: clock.now + UInt64(random.below(sizes.latenessMax)), .post, number, operations[Int(number)].generation)
    }

    /// Breaks a connection for both ends.
    private func breakDown(_ socket: ScriptedSocket) {
        guard !socket.isResetForProxy else { return }
        socket.isResetForProxy = true
        socket.isResetForPeer = true
        if random.below(2) == 0 { socket.toProxy.clear() }
        if random.below(2) == 0 { socket.toPeer.clear() }
        kickAll(socket)
    }

    /// Log files are real, so that what the worker writes at its end, without its ring, goes to the same place.
    private func runWrite(_ number: Int32) {
        let operation = operations + Int(number)
        if faults.strikes(.logWriteError) {
            post(number, random.below(2) == 0 ? -EAGAIN : -EINTR)
            return
        }
        var count = operation.pointee.byteCount
        if faults.strikes(.shortWrite) { count = 1 + random.below(count) }
        let written = Glibc.write(operation.pointee.descriptor, operation.pointee.pieces.starts[0]!, count)
        post(number, written < 0 ? -errno : Int32(written))
    }

    /// Wakes the worker by its mailbox: completes its read, or the next one, as an eventfd that has counted.
    func announceMail() {
        mailCount += 1
        for number in 0..<Int32(operationCount) where operations[Int(number)].kind == .read && operations[Int(number)].stage == .armed {
            return runRead(number)
        }
    }

    private func runRead(_ number: Int32) {
        guard mailCount > 0 else { return }
        operations[Int(number)].target?.storeBytes(of: mailCount, as: UInt64.self)
        mailCount = 0
        post(number, 8)
    }

    // MARK: - Closing

    func closeNow(_ descriptor: Int32) {
        let entry = entry(descriptor)
        switch entry.pointee.kind {
        case .socket:
            let socket = sockets[Int(entry.pointee.index)]!
            sockets[Int(entry.pointee.index)] = nil
            socket.descriptor = -1
            socket.proxyClosed = true
            if entry.pointee.resetsOnClose {
                socket.isResetForPeer = true
                if random.below(2) == 0 { socket.toPeer.clear() }
            } else if socket.toProxy.count > 0 {
                // Closing with bytes unread throws away what is on its way too, or some of it.
                socket.isResetForPeer = true
                if random.below(2) == 0 { socket.toPeer.clear() }
            }
            wakeSoon(socket.peer)
        case .pipeRead, .pipeWrite:
            let index = Int(entry.pointee.index)
            let other: ScriptedDescriptor.Kind = entry.pointee.kind == .pipeRead ? .pipeWrite : .pipeRead
            if !isOpen(other, index) { pipes[index] = nil }
        default: break
        }
        entry.pointee = ScriptedDescriptor()
    }

    private func isOpen(_ kind: ScriptedDescriptor.Kind, _ index: Int) -> Bool {
        (0..<descriptorCount).contains { descriptors[$0].kind == kind && Int(descriptors[$0].index) == index }
    }
}
