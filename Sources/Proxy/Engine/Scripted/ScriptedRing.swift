/// The ring of a worker that runs against a script: same contract as the kernel's, manual clock, seeded faults.
///
/// All state lives in a `ScriptedKernel` that the script holds too.
struct ScriptedRing: ~Copyable, RingPort {
    private let kernel: ScriptedKernel

    init(_ kernel: ScriptedKernel) { self.kernel = kernel }

    /// The kernel, for a call that would be a system call. Inlined, because a profiler tells the methods of this type by name.
    @inline(__always)
    private var tallied: ScriptedKernel {
        kernel.tallies.calls += 1
        return kernel
    }

    @inline(never)
    mutating func startAccept(_ listener: Int32, token: OperationToken) {
        kernel.prepare(.accept, listener, token)
    }

    @inline(never)
    mutating func startReceiveMultishot(_ socket: Int32, group: BufferGroup, token: OperationToken) {
        kernel.prepare(.receiveMultishot, socket, token) { $0.group = group }
    }

    @inline(never)
    mutating func startReceive(_ socket: Int32, group: BufferGroup, pollFirst: Bool, token: OperationToken) {
        kernel.prepare(.receive, socket, token) { $0.group = group }
    }

    @inline(never)
    mutating func startSend(_ socket: Int32, _ bytes: UnsafeRawPointer, _ count: Int, more: Bool, token: OperationToken) {
        var pieces = SendPieces()
        pieces.append(bytes, count)
        kernel.prepareSend(socket, pieces, token)
    }

    @inline(never)
    mutating func startSend(_ socket: Int32, pieces: borrowing SendPieces, more: Bool, token: OperationToken) {
        kernel.prepareSend(socket, pieces, token)
    }

    @inline(never)
    mutating func startPoll(_ descriptor: Int32, writable: Bool, token: OperationToken) {
        kernel.prepare(writable ? .pollWritable : .pollReadable, descriptor, token)
    }

    @inline(never)
    mutating func startConnect(_ socket: Int32, to address: UnsafePointer<SocketAddress>, token: OperationToken) {
        kernel.prepare(.connect, socket, token) { $0.address = address }
    }

    @inline(never)
    mutating func startCancel(_ target: OperationToken) { kernel.prepareCancel(target) }

    @inline(never)
    mutating func startWrite(_ descriptor: Int32, _ bytes: UnsafeRawPointer, _ count: Int, token: OperationToken) {
        kernel.prepareWrite(descriptor, bytes, count, token)
    }

    @inline(never)
    mutating func startRead(_ descriptor: Int32, into bytes: UnsafeMutableRawPointer, _ count: Int, token: OperationToken) {
        kernel.prepare(.read, descriptor, token) { $0.target = bytes }
    }

    @inline(never)
    mutating func shutdownSend(_ socket: Int32) { tallied.shutdownSend(socket) }

    @inline(never)
    mutating func startClose(_ descriptor: Int32) { kernel.prepareClose(descriptor) }

    @inline(never)
    mutating func enter(waitNanoseconds: UInt64?, gathering: Gathering) -> Int32 {
        kernel.gathering = gathering
        return kernel.enter(waitNanoseconds: waitNanoseconds)
    }

    var enters: UInt64 {
        @inline(never) get { UInt64(kernel.tallies.enters) }
    }

    @inline(never)
    func completionCount() -> Int { kernel.visibleCompletions }

    @inline(never)
    func completion(at index: Int) -> Completion { kernel.showCompletion(at: index) }

    @inline(never)
    mutating func consumeCompletions(_ count: Int) { kernel.consumeCompletions(count) }

    @inline(never)
    func bufferBytes(_ group: BufferGroup) -> Int { kernel.buffers(group).bytes }

    @inline(never)
    func bufferAddress(_ group: BufferGroup, _ buffer: UInt16) -> UnsafeRawPointer { kernel.buffers(group).address(buffer) }

    @inline(never)
    mutating func returnBuffer(_ group: BufferGroup, _ buffer: UInt16) { kernel.returnBuffer(group, buffer) }

    @inline(never)
    mutating func growBackendBuffers(forConnections count: Int) {}

    @inline(never)
    mutating func readClock() -> RingClock { kernel.clock }

    @inline(never)
    mutating func openSocket(family: Int32) -> Int32 { tallied.openSocket() }

    @inline(never)
    mutating func acceptNow(_ listener: Int32) -> Int32 { tallied.acceptNow(listener) }

    @inline(never)
    mutating func setOptions(_ socket: Int32, _ options: SocketOptions) { tallied.mustBeOpen(socket, "setsockopt") }

    @inline(never)
    mutating func peerAddress(_ socket: Int32) -> SocketAddress { tallied.peerAddress(socket) }

    @inline(never)
    mutating func localPort(_ socket: Int32) -> UInt16 { tallied.localPort(socket) }
    mutating func localAddress(_ socket: Int32) -> SocketAddress {
        SocketAddress(literal: "192.0.2.1", port: tallied.localPort(socket)) ?? SocketAddress()
    }

    @inline(never)
    mutating func shutdownBoth(_ socket: Int32) { tallied.shutdownBoth(socket) }

    @inline(never)
    mutating func sendNow(_ socket: Int32, _ bytes: UnsafeRawPointer, _ count: Int) -> Int {
        tallied.sendNow(socket, bytes, count)
    }

    @inline(never)
    mutating func openPipe(capacityBytes: Int) -> Pipe? { tallied.openPipe() }

    @inline(never)
    mutating func splice(from: Int32, to: Int32, count: Int, more: Bool) -> Int { tallied.splice(from: from, to: to, count) }

    @inline(never)
    mutating func receiveNow(_ socket: Int32, into bytes: UnsafeMutableRawPointer, _ count: Int) -> Int {
        tallied.receiveNow(socket, into: bytes, count)
    }

    @inline(never)
    mutating func readNow(_ descriptor: Int32, into bytes: UnsafeMutableRawPointer, _ count: Int) -> Int {
        tallied.readNow(descriptor, into: bytes, count)
    }

    @inline(never)
    mutating func setNonBlocking(_ socket: Int32) { tallied.setNonBlocking(socket) }

    @inline(never)
    mutating func resetOnClose(_ socket: Int32) { tallied.resetOnClose(socket) }
}
