import CUring
import Glibc

/// Why a ring could not be made: the call that failed and its errno.
struct RingFailure: Error {
    var call: StaticString
    var errno: Int32
}

/// Owns one io_uring, its two rings of receive buffers and the scratch memory of vectored sends.
///
/// Made in the thread that uses it (SINGLE_ISSUER); flags and sizes as measured: DEFER_TASKRUN saves 40 % CPU.
struct KernelRing: ~Copyable, RingPort {
    static let submissionEntries: UInt32 = 1024
    static let completionEntries: UInt32 = 16384
    static let clientBuffers = 1024
    static let clientBufferBytes = 4096
    static let backendBuffersMax = 2048
    static let backendBuffersSlice = 256
    static let backendBufferBytes = 16384

    private let ring: UnsafeMutablePointer<io_uring>
    private var clientRing: ReceiveBuffers
    private var backendRing: ReceiveBuffers
    private let vectors: UnsafeMutablePointer<SendVector>
    private var vectorIndex = 0
    private let vectorMask: Int
    let hasMinWait: Bool
    private(set) var enters: UInt64 = 0

    /// One message header with its pieces, used until the entry that names it is submitted.
    private struct SendVector {
        var header = msghdr()
        var pieces = InlineArray<16, iovec>(repeating: iovec())
    }

    init(_ settings: RingSettings = RingSettings()) throws(RingFailure) {
        let made = try Self.makeRing(settings)
        ring = made.ring
        hasMinWait = made.features & curing_FEAT_MIN_TIMEOUT != 0
        clientRing = ReceiveBuffers(
            made.client, slots: Self.clientBuffers, bytes: Self.clientBufferBytes, provided: Self.clientBuffers)
        backendRing = ReceiveBuffers(
            made.backend, slots: settings.backendBuffersMax, bytes: settings.backendBufferBytes,
            provided: Self.backendBuffersSlice)
        let vectorCount = Int(max(settings.submissionEntries, Self.submissionEntries))
        vectorMask = vectorCount - 1
        vectors = .allocate(capacity: vectorCount)
        vectors.initialize(repeating: SendVector(), count: vectorCount)
    }

    private struct Made {
        var ring: UnsafeMutablePointer<io_uring>
        var features: UInt32
        var client: UnsafeMutablePointer<io_uring_buf_ring>
        var backend: UnsafeMutablePointer<io_uring_buf_ring>
    }

    private static func makeRing(_ settings: RingSettings) throws(RingFailure) -> Made {
        let ring = UnsafeMutablePointer<io_uring>.allocate(capacity: 1)
        ring.initialize(to: io_uring())
        var parameters = io_uring_params()
        parameters.flags =
            UInt32(IORING_SETUP_SINGLE_ISSUER) | UInt32(IORING_SETUP_SUBMIT_ALL) | UInt32(IORING_SETUP_CLAMP)
            | UInt32(IORING_SETUP_CQSIZE)
        if settings.isPolledByKernel {
            parameters.flags |= UInt32(IORING_SETUP_SQPOLL)
            parameters.sq_thread_idle = 50
        } else if settings.defersTaskRun {
            parameters.flags |= UInt32(IORING_SETUP_DEFER_TASKRUN)
        } else if settings.isCooperative {
            parameters.flags |= UInt32(IORING_SETUP_COOP_TASKRUN)
        }
        parameters.cq_entries = settings.completionEntries
        let made = io_uring_queue_init_params(settings.submissionEntries, ring, &parameters)
        guard made == 0 else { throw RingFailure(call: "io_uring_setup", errno: -made) }
        _ = io_uring_register_ring_fd(ring)
        // A copy of a crashed process, which writes its backtrace, must not keep what the ring has armed alive.
        _ = io_uring_ring_dontfork(ring)
        var error: Int32 = 0
        guard
            let client = curing_setup_buffer_ring(ring, UInt32(clientBuffers), Int32(BufferGroup.client.rawValue), &error),
            let backend = curing_setup_buffer_ring(
                ring, UInt32(settings.backendBuffersMax), Int32(BufferGroup.backend.rawValue), &error)
        else {
            io_uring_queue_exit(ring)
            throw RingFailure(call: "io_uring_register(PBUF_RING)", errno: -error)
        }
        return Made(ring: ring, features: parameters.features, client: client, backend: backend)
    }

    deinit {
        io_uring_queue_exit(ring)
        ring.deallocate()
        vectors.deallocate()
    }

    /// The next free entry; submits what is there when the queue is full.
    @inline(__always)
    private mutating func entry() -> UnsafeMutablePointer<io_uring_sqe> {
        while true {
            if let entry = io_uring_get_sqe(ring) { return entry }
            enters &+= 1
            _ = curing_enter(ring, 0, 0, 0)
        }
    }

    @inline(__always)
    private func name(_ entry: UnsafeMutablePointer<io_uring_sqe>, _ token: OperationToken) {
        entry.pointee.user_data = token.raw
    }

    mutating func startAccept(_ listener: Int32, token: OperationToken) {
        let entry = entry()
        io_uring_prep_multishot_accept(entry, listener, nil, nil, Int32(SOCK_CLOEXEC.rawValue))
        name(entry, token)
    }

    mutating func startReceiveMultishot(_ socket: Int32, group: BufferGroup, token: OperationToken) {
        let entry = entry()
        io_uring_prep_recv_multishot(entry, socket, nil, 0, 0)
        entry.pointee.flags |= curing_IOSQE_BUFFER_SELECT
        entry.pointee.buf_group = group.rawValue
        name(entry, token)
    }

    mutating func startReceive(_ socket: Int32, group: BufferGroup, pollFirst: Bool, token: OperationToken) {
        let entry = entry()
        io_uring_prep_recv(entry, socket, nil, 0, 0)
        entry.pointee.flags |= curing_IOSQE_BUFFER_SELECT
        entry.pointee.buf_group = group.rawValue
        if pollFirst { entry.pointee.ioprio |= UInt16(IORING_RECVSEND_POLL_FIRST) }
        name(entry, token)
    }

    mutating func startSend(
        _ socket: Int32, _ bytes: UnsafeRawPointer, _ count: Int, more: Bool, token: OperationToken
    ) {
        let entry = entry()
        io_uring_prep_send(entry, socket, bytes, count, Self.sendFlags(more: more))
        name(entry, token)
    }

    mutating func startSend(_ socket: Int32, pieces: borrowing SendPieces, more: Bool, token: OperationToken) {
        let entry = entry()
        // An entry is submitted at the latest when the queue has gone round once, and so is its vector.
        let vector = vectors + vectorIndex
        vectorIndex = (vectorIndex &+ 1) & vectorMask
        for index in 0..<pieces.count {
            vector.pointee.pieces[index] = iovec(
                iov_base: UnsafeMutableRawPointer(mutating: pieces.starts[index]), iov_len: pieces.lengths[index])
        }
        let first = UnsafeMutableRawPointer(vector).advanced(by: MemoryLayout<SendVector>.offset(of: \.pieces)!)
        vector.pointee.header.msg_iov = first.assumingMemoryBound(to: iovec.self)
        vector.pointee.header.msg_iovlen = pieces.count
        io_uring_prep_sendmsg(entry, socket, UnsafeRawPointer(vector).assumingMemoryBound(to: msghdr.self), UInt32(Self.sendFlags(more: more)))
        name(entry, token)
    }

    private static func sendFlags(more: Bool) -> Int32 {
        Int32(MSG_NOSIGNAL) | (more ? Int32(MSG_MORE) : 0)
    }

    mutating func startPoll(_ descriptor: Int32, writable: Bool, token: OperationToken) {
        let entry = entry()
        io_uring_prep_poll_add(entry, descriptor, UInt32(writable ? POLLOUT : POLLIN | Int32(0x2000)))
        name(entry, token)
    }

    mutating func startConnect(_ socket: Int32, to address: UnsafePointer<SocketAddress>, token: OperationToken) {
        let entry = entry()
        io_uring_prep_connect(
            entry, socket, UnsafeRawPointer(address).assumingMemoryBound(to: sockaddr.self), address.pointee.length)
        name(entry, token)
    }

    mutating func startCancel(_ target: OperationToken) {
        let entry = entry()
        io_uring_prep_cancel64(entry, target.raw, 0)
        entry.pointee.flags |= curing_IOSQE_CQE_SKIP_SUCCESS
        name(entry, OperationToken(.none, slot: 0))
    }

    mutating func startWrite(_ descriptor: Int32, _ bytes: UnsafeRawPointer, _ count: Int, token: OperationToken) {
        let entry = entry()
        // Offset -1: the file's own position, which O_APPEND overrides.
        io_uring_prep_write(entry, descriptor, bytes, UInt32(clamping: count), UInt64.max)
        name(entry, token)
    }

    mutating func startRead(
        _ descriptor: Int32, into bytes: UnsafeMutableRawPointer, _ count: Int, token: OperationToken
    ) {
        let entry = entry()
        io_uring_prep_read(entry, descriptor, bytes, UInt32(clamping: count), UInt64.max)
        name(entry, token)
    }

    mutating func startClose(_ descriptor: Int32) {
        let entry = entry()
        io_uring_prep_close(entry, descriptor)
        entry.pointee.flags |= curing_IOSQE_CQE_SKIP_SUCCESS
        name(entry, OperationToken(.none, slot: 0))
    }

    mutating func enter(waitNanoseconds: UInt64?, gathering: Gathering) -> Int32 {
        enters &+= 1
        let timeout = waitNanoseconds ?? UInt64.max
        guard hasMinWait, gathering.microseconds > 0 else { return curing_enter(ring, 1, timeout, 0) }
        // Sends complete while they are submitted: they are not what is waited for.
        let completions = curing_sq_pending(ring) &+ gathering.completions
        return curing_enter(ring, completions, timeout, gathering.microseconds)
    }

    func completionCount() -> Int { Int(curing_cq_ready(ring)) }

    @inline(__always)
    func completion(at index: Int) -> Completion {
        let entry = curing_cqe_at(ring, UInt32(truncatingIfNeeded: index))!
        return Completion(
            token: OperationToken(raw: entry.pointee.user_data), result: entry.pointee.res, flags: entry.pointee.flags)
    }

    mutating func consumeCompletions(_ count: Int) { io_uring_cq_advance(ring, UInt32(truncatingIfNeeded: count)) }

    @inline(__always)
    func bufferBytes(_ group: BufferGroup) -> Int {
        switch group {
        case .client: Self.clientBufferBytes
        case .backend: Self.backendBufferBytes
        }
    }

    @inline(__always)
    func bufferAddress(_ group: BufferGroup, _ buffer: UInt16) -> UnsafeRawPointer {
        switch group {
        case .client: clientRing.address(buffer)
        case .backend: backendRing.address(buffer)
        }
    }

    @inline(__always)
    mutating func returnBuffer(_ group: BufferGroup, _ buffer: UInt16) {
        switch group {
        case .client: clientRing.giveBack(buffer)
        case .backend: backendRing.giveBack(buffer)
        }
    }

    mutating func growBackendBuffers(forConnections count: Int) { backendRing.provide(atLeast: count) }
}

/// A ring of receive buffers lent to the kernel, and the memory behind it.
private struct ReceiveBuffers: ~Copyable {
    private let ring: UnsafeMutablePointer<io_uring_buf_ring>
    private let memory: UnsafeMutableRawPointer
    private let bytes: Int
    private let slots: Int
    private var provided = 0

    init(_ ring: UnsafeMutablePointer<io_uring_buf_ring>, slots: Int, bytes: Int, provided: Int) {
        self.ring = ring
        memory = reserveHuge(slots * bytes)
        self.bytes = bytes
        self.slots = slots
        provide(atLeast: provided)
    }

    /// Lends more buffers in whole slices; each is touched first, so that memory is not found missing under load.
    mutating func provide(atLeast wanted: Int) {
        while provided < min(wanted, slots) {
            let slice = min(KernelRing.backendBuffersSlice, slots - provided)
            for id in provided..<(provided + slice) {
                (memory + id * bytes).storeBytes(of: 0, as: UInt8.self)
                curing_buffer_ring_add(
                    ring, memory + id * bytes, UInt32(bytes), UInt16(id), Int32(slots - 1), Int32(id - provided))
            }
            curing_buffer_ring_advance(ring, Int32(slice))
            provided += slice
        }
    }

    @inline(__always)
    func address(_ buffer: UInt16) -> UnsafeRawPointer { UnsafeRawPointer(memory + Int(buffer) &* bytes) }

    @inline(__always)
    mutating func giveBack(_ buffer: UInt16) {
        curing_buffer_ring_add(ring, memory + Int(buffer) &* bytes, UInt32(truncatingIfNeeded: bytes), buffer, Int32(truncatingIfNeeded: slots &- 1), 0)
        curing_buffer_ring_advance(ring, 1)
    }
}
