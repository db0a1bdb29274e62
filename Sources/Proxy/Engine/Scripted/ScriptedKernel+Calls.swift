import CUring
import Glibc

/// The system calls that a worker makes on the spot.
extension ScriptedKernel {
    func openSocket() -> Int32 {
        if faults.strikes(.noDescriptors) { return -EMFILE }
        return takeDescriptor(.unconnected, -1)
    }

    private func openedSocket(_ descriptor: Int32, _ call: StaticString) -> ScriptedSocket? {
        guard let entry = open(descriptor, call), entry.pointee.kind == .socket else { return nil }
        return sockets[Int(entry.pointee.index)]
    }

    func peerAddress(_ descriptor: Int32) -> SocketAddress {
        guard let socket = openedSocket(descriptor, "getpeername") else { return SocketAddress() }
        return SocketAddress(literal: "192.0.2.9", port: socket.port) ?? SocketAddress()
    }

    func localPort(_ descriptor: Int32) -> UInt16 { openedSocket(descriptor, "getsockname")?.port ?? 0 }

    func shutdownBoth(_ descriptor: Int32) {
        guard let socket = openedSocket(descriptor, "shutdown") else { return }
        socket.proxyEnded = true
        socket.proxyStoppedReading = true
        kickReaders(socket)
        kickWriters(socket)
        wakeSoon(socket.peer)
    }

    func shutdownSend(_ descriptor: Int32) {
        guard let entry = open(descriptor, "shutdown") else { return }
        if entry.pointee.sending >= 0 { complain("half-close of descriptor \(descriptor) with a send in flight") }
        guard let socket = openedSocket(descriptor, "shutdown") else { return }
        socket.proxyEnded = true
        wakeSoon(socket.peer)
    }

    func sendNow(_ descriptor: Int32, _ bytes: UnsafeRawPointer, _ count: Int) -> Int {
        guard let socket = openedSocket(descriptor, "send") else { return Int(-EBADF) }
        if socket.isResetForProxy || socket.proxyEnded { return Int(-EPIPE) }
        if socket.peerClosed { return count }
        let sent = socket.toPeer.write(bytes, count)
        tallies.movedBytes += sent
        wakeSoon(socket.peer)
        return sent == 0 ? Int(-EAGAIN) : sent
    }

    func setNonBlocking(_ descriptor: Int32) {
        guard let entry = open(descriptor, "fcntl") else { return }
        entry.pointee.isNonBlocking = true
    }

    func resetOnClose(_ descriptor: Int32) {
        guard let entry = open(descriptor, "setsockopt") else { return }
        entry.pointee.resetsOnClose = true
    }

    // MARK: - Pipes

    func openPipe() -> Pipe? {
        if faults.strikes(.noPipe) { return nil }
        pipes.append(ScriptedPipe(capacity: sizes.pipeBytes))
        let readEnd = takeDescriptor(.pipeRead, pipes.count - 1)
        let writeEnd = takeDescriptor(.pipeWrite, pipes.count - 1)
        return Pipe(readEnd: readEnd, writeEnd: writeEnd, capacityBytes: sizes.pipeBytes)
    }

    func splice(from: Int32, to: Int32, _ count: Int) -> Int {
        guard let source = open(from, "splice"), let sink = open(to, "splice") else { return Int(-EBADF) }
        if count <= 0 { complain("a splice of \(count) bytes") }
        var count = count
        if faults.strikes(.spliceRefusal) {
            switch random.below(3) {
            case 0: return Int(-EAGAIN)
            case 1: return Int(-EINTR)
            default: count = 1 + random.below(count)
            }
        }
        switch (source.pointee.kind, sink.pointee.kind) {
        case (.socket, .pipeWrite): return fillPipe(source, from, sink, count)
        case (.pipeRead, .socket): return emptyPipe(source, sink, to, count)
        default:
            complain("a splice from \(source.pointee.kind) to \(sink.pointee.kind)")
            return Int(-EINVAL)
        }
    }

    private func fillPipe(
        _ source: UnsafeMutablePointer<ScriptedDescriptor>, _ from: Int32,
        _ sink: UnsafeMutablePointer<ScriptedDescriptor>, _ count: Int
    ) -> Int {
        guard let socket = sockets[Int(source.pointee.index)], let pipe = pipes[Int(sink.pointee.index)] else { return Int(-EBADF) }
        if !source.pointee.isNonBlocking { complain("a splice from descriptor \(from), which may block") }
        if source.pointee.receiving >= 0 { complain("a splice from descriptor \(from), where a receive is in flight") }
        if socket.toProxy.count == 0 {
            if socket.isResetForProxy { return Int(-ECONNRESET) }
            return socket.peerEnded || socket.proxyStoppedReading ? 0 : Int(-EAGAIN)
        }
        if pipe.bytes.room == 0 { return Int(-EAGAIN) }
        let moved = socket.toProxy.move(to: &pipe.bytes, count)
        wakeSoon(socket.peer)
        return moved
    }

    private func emptyPipe(
        _ source: UnsafeMutablePointer<ScriptedDescriptor>, _ sink: UnsafeMutablePointer<ScriptedDescriptor>, _ to: Int32,
        _ count: Int
    ) -> Int {
        guard let socket = sockets[Int(sink.pointee.index)], let pipe = pipes[Int(source.pointee.index)] else { return Int(-EBADF) }
        if !sink.pointee.isNonBlocking { complain("a splice to descriptor \(to), which may block") }
        if sink.pointee.sending >= 0 { complain("a splice to descriptor \(to), where a send is in flight") }
        if socket.isResetForProxy || socket.proxyEnded { return Int(-EPIPE) }
        if pipe.bytes.count == 0 { return Int(-EAGAIN) }
        if socket.peerClosed {
            socket.isResetForProxy = true
            kickReaders(socket)
            let gone = min(count, pipe.bytes.count)
            withUnsafeTemporaryAllocation(byteCount: gone, alignment: 1) { _ = pipe.bytes.read(into: $0.baseAddress!, gone) }
            return gone
        }
        if socket.toPeer.room == 0 { return Int(-EAGAIN) }
        let moved = pipe.bytes.move(to: &socket.toPeer, count)
        wakeSoon(socket.peer)
        return moved
    }

    func receiveNow(_ descriptor: Int32, into bytes: UnsafeMutableRawPointer, _ count: Int) -> Int {
        guard let entry = open(descriptor, "receive"), let socket = openedSocket(descriptor, "receive") else { return Int(-EBADF) }
        if entry.pointee.receiving >= 0 { complain("bytes taken from descriptor \(descriptor), where a receive is in flight") }
        guard socket.toProxy.count > 0 else {
            if socket.isResetForProxy { return Int(-ECONNRESET) }
            return socket.peerEnded || socket.proxyStoppedReading ? 0 : Int(-EAGAIN)
        }
        var room = min(count, socket.toProxy.count)
        if faults.strikes(.shortRead) { room = 1 + random.below(room) }
        let got = socket.toProxy.read(into: bytes, room)
        tallies.movedBytes += got
        wakeSoon(socket.peer)
        return got
    }

    func readNow(_ descriptor: Int32, into bytes: UnsafeMutableRawPointer, _ count: Int) -> Int {
        guard let entry = open(descriptor, "read"), entry.pointee.kind == .pipeRead, let pipe = pipes[Int(entry.pointee.index)] else {
            return Int(-EBADF)
        }
        if pipe.bytes.count == 0 {
            complain("a read of an empty pipe, which would block")
            return Int(-EAGAIN)
        }
        return pipe.bytes.read(into: bytes, count)
    }
}
