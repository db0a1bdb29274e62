/// The two rings of receive buffers of a worker.
enum BufferGroup: UInt16 {
    /// 4 KiB each: requests.
    case client = 1
    /// 16 KiB each: answers.
    case backend = 2
}

/// Everything a worker asks of the kernel, so that a scripted ring with a manual clock can stand in its place.
///
/// Methods named `start…` prepare one ring entry and never block; the completion carries the token. The others are
/// system calls made on the spot. Results are counts or negative errno values. Memory given to a `start…` must stay
/// untouched until its completion; vectors and addresses only until the next `enter`.
protocol RingPort: ~Copyable {
    mutating func startAccept(_ listener: Int32, token: OperationToken)
    mutating func startReceiveMultishot(_ socket: Int32, group: BufferGroup, token: OperationToken)
    /// `pollFirst` saves a useless attempt where no bytes can have come yet.
    mutating func startReceive(_ socket: Int32, group: BufferGroup, pollFirst: Bool, token: OperationToken)
    mutating func startSend(_ socket: Int32, _ bytes: UnsafeRawPointer, _ count: Int, more: Bool, token: OperationToken)
    /// The pieces are copied into scratch memory of the ring before this returns.
    mutating func startSend(_ socket: Int32, pieces: borrowing SendPieces, more: Bool, token: OperationToken)
    mutating func startPoll(_ descriptor: Int32, writable: Bool, token: OperationToken)
    mutating func startConnect(_ socket: Int32, to address: UnsafePointer<SocketAddress>, token: OperationToken)
    /// Asks to end the operation `target`; its own completion tells the end, the cancellation is silent.
    mutating func startCancel(_ target: OperationToken)
    mutating func startWrite(_ descriptor: Int32, _ bytes: UnsafeRawPointer, _ count: Int, token: OperationToken)
    mutating func startRead(_ descriptor: Int32, into bytes: UnsafeMutableRawPointer, _ count: Int, token: OperationToken)
    /// Closes; silent. No operation may be in flight on the descriptor.
    mutating func startClose(_ descriptor: Int32)

    /// Submits what was prepared and waits for completions as `gathering` says, or for the timeout (nil = none).
    mutating func enter(waitNanoseconds: UInt64?, gathering: Gathering) -> Int32
    /// Calls of the kernel so far to submit or to wait: one for each `enter`, and those that a full queue made necessary between.
    var enters: UInt64 { get }
    /// Completions that can be taken now.
    func completionCount() -> Int
    func completion(at index: Int) -> Completion
    mutating func consumeCompletions(_ count: Int)

    /// Size of one buffer.
    func bufferBytes(_ group: BufferGroup) -> Int
    func bufferAddress(_ group: BufferGroup, _ buffer: UInt16) -> UnsafeRawPointer
    mutating func returnBuffer(_ group: BufferGroup, _ buffer: UInt16)
    /// Lends the kernel more backend buffers when that many connections are active.
    mutating func growBackendBuffers(forConnections count: Int)

    /// Reads both clocks once; called at the start of every tick.
    mutating func readClock() -> RingClock

    mutating func openSocket(family: Int32) -> Int32
    /// Accepts one connection that waits, on a listener without an accept in flight.
    mutating func acceptNow(_ listener: Int32) -> Int32
    mutating func setOptions(_ socket: Int32, _ options: SocketOptions)
    mutating func peerAddress(_ socket: Int32) -> SocketAddress
    mutating func localPort(_ socket: Int32) -> UInt16
    /// Where a connection came in.
    mutating func localAddress(_ socket: Int32) -> SocketAddress
    /// Half-closes the sending side. Not through the ring: there a shutdown always goes to a helper thread, which looks the
    /// descriptor up late, when it may already belong to another connection.
    mutating func shutdownSend(_ socket: Int32)
    /// Ends both directions at once, so that everything in flight on the socket completes.
    mutating func shutdownBoth(_ socket: Int32)
    /// Tries to send without waiting; for refusals.
    mutating func sendNow(_ socket: Int32, _ bytes: UnsafeRawPointer, _ count: Int) -> Int
    mutating func openPipe(capacityBytes: Int) -> Pipe?
    mutating func splice(from: Int32, to: Int32, count: Int, more: Bool) -> Int
    /// Bytes that a socket has taken and not sent yet.
    mutating func unsentBytes(_ socket: Int32) -> Int
    /// Takes what a socket holds already, at most `count` bytes: 0 = its peer has ended, -EAGAIN = it holds nothing. No receive
    /// may be in flight on it.
    mutating func receiveNow(_ socket: Int32, into bytes: UnsafeMutableRawPointer, _ count: Int) -> Int
    mutating func readNow(_ descriptor: Int32, into bytes: UnsafeMutableRawPointer, _ count: Int) -> Int
    /// Makes the next inline splice on a socket non-blocking.
    mutating func setNonBlocking(_ socket: Int32)
    /// Closes the sending side with a reset, so that the peer can tell an abort from an end.
    mutating func resetOnClose(_ socket: Int32)
}

extension RingPort where Self: ~Copyable {
    /// A kernel without sockets of its own keeps none back.
    mutating func unsentBytes(_ socket: Int32) -> Int { 0 }
}

/// Time as a worker sees it during one tick.
struct RingClock {
    /// Monotonic, in nanoseconds.
    var now: UInt64 = 0
    /// Wall clock, in nanoseconds since 1970.
    var wall: UInt64 = 0
}

/// A pipe of the splice path: empty whenever it is not in use.
struct Pipe {
    var readEnd: Int32
    var writeEnd: Int32
    var capacityBytes: Int
}

/// Options of a socket that a worker sets itself.
struct SocketOptions {
    var noDelay = true
    var keepAlive = true
    var userTimeoutMilliseconds: Int32 = 0
    var notSentLowBytes: Int32 = 0
    /// Name of the congestion control, kept for the life of the process; absent = the system's.
    var congestionControl = ByteSlice.none
}

/// Up to sixteen pieces of memory that go out in one send.
struct SendPieces {
    static let countMax = 16
    var count = 0
    var starts = InlineArray<16, UnsafeRawPointer?>(repeating: nil)
    var lengths = InlineArray<16, Int>(repeating: 0)

    mutating func append(_ start: UnsafeRawPointer, _ length: Int) {
        starts[count] = start
        lengths[count] = length
        count += 1
    }
}
