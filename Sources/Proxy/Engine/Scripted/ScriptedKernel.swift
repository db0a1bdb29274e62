import CUring
import Glibc

/// Sizes of a scripted kernel, by seed as far as a test likes.
struct ScriptedSizes: Sendable {
    var clientBuffers = 64
    var clientBufferBytes = 4096
    var backendBuffers = 64
    var backendBufferBytes = 16384
    var socketBytes = 64 * 1024
    var pipeBytes = 256 * 1024
    /// How long things take at most, in nanoseconds.
    var delayMax = 200_000
    /// How much longer late completions take.
    var latenessMax = 20_000_000
    /// Whether memory of sends is compared and returned buffers are poisoned; off where instructions are counted.
    var checksMemory = true
}

/// Plays the kernel for a worker: sockets, pipes, buffers, completions, and a clock that moves only when it waits.
///
/// Everything follows from the seed. What the worker does against the contract of `RingPort` is noted in `complaints`.
final class ScriptedKernel {
    /// Descriptors count from here, so that none is ever one of the test's own.
    static let firstDescriptor: Int32 = 1_000_000
    private static let descriptorsMax = 4096
    private static let operationsMax = 4096
    private static let completionsMax = 16_384

    let sizes: ScriptedSizes
    let faults: ScriptedFaults
    var random: ScriptedRandom
    private(set) var clock: RingClock
    var agenda = ScriptedAgenda()
    /// What was done against the contract; the first few.
    private(set) var complaints: [String] = []
    private(set) var complaintCount = 0
    /// Nothing can happen any more unless somebody outside does something.
    private(set) var isStuck = false
    var tracing = false
    /// What the last wait was told; time moves from one event to the next all the same.
    var gathering = Gathering.none

    let descriptors: UnsafeMutablePointer<ScriptedDescriptor>
    private var descriptorsUsed = 0
    var descriptorCount: Int { descriptorsUsed }
    let operations: UnsafeMutablePointer<ScriptedOperation>
    private var operationsUsed: Int32 = 0
    var operationCount: Int { Int(operationsUsed) }
    private var freeOperation: Int32 = -1

    var sockets: [ScriptedSocket?] = []
    var listeners: [ScriptedListener] = []
    var pipes: [ScriptedPipe?] = []
    private var peers: [any ScriptedPeer] = []
    private var peerIsWoken: [Bool] = []
    var doors: [(port: UInt16, door: any ScriptedDoor)] = []
    private let clientBuffers: ScriptedBuffers
    private let backendBuffers: ScriptedBuffers
    var nextPort: UInt16 = 10_000
    /// Announcements of mail that no read has taken yet.
    var mailCount: UInt64 = 0

    /// What was started since the last `enter`.
    private enum Submission: BitwiseCopyable {
        case operation(Int32)
        case cancel(OperationToken)
        case close(Int32)
    }
    private var submissions: [Submission] = []

    private struct Posted: BitwiseCopyable {
        var completion: Completion
        /// The operation whose last completion this is; -1 = it goes on, or is seen already.
        var operation: Int32
    }
    private let posted: UnsafeMutablePointer<Posted>
    private var postedFirst = 0
    private var postedCount = 0
    private(set) var visibleCompletions = 0
    var tallies = ScriptedTallies()

    init(seed: UInt64, sizes: ScriptedSizes) {
        self.sizes = sizes
        faults = ScriptedFaults(seed: seed)
        random = ScriptedRandom(seed: seed)
        clock = RingClock(now: 1_000_000_000_000, wall: 1_750_000_000_000_000_000)
        descriptors = .allocate(capacity: Self.descriptorsMax)
        descriptors.initialize(repeating: ScriptedDescriptor(), count: Self.descriptorsMax)
        operations = .allocate(capacity: Self.operationsMax)
        posted = .allocate(capacity: Self.completionsMax)
        clientBuffers = ScriptedBuffers(
            count: sizes.clientBuffers, bytes: sizes.clientBufferBytes, poisons: sizes.checksMemory)
        backendBuffers = ScriptedBuffers(
            count: sizes.backendBuffers, bytes: sizes.backendBufferBytes, poisons: sizes.checksMemory)
        submissions.reserveCapacity(4096)
    }

    deinit {
        for at in 0..<Int(operationsUsed) { free(operations[at].copy) }
        descriptors.deallocate()
        operations.deallocate()
        posted.deallocate()
    }

    func complain(_ text: @autoclosure () -> String) {
        complaintCount += 1
        if complaints.count < 20 { complaints.append(text()) }
    }

    @inline(__always)
    func trace(_ text: @autoclosure () -> String) {
        if tracing { print("\((clock.now - 1_000_000_000_000) / 1000) µs: \(text())") }
    }

    func buffers(_ group: BufferGroup) -> ScriptedBuffers { group == .client ? clientBuffers : backendBuffers }

    func returnBuffer(_ group: BufferGroup, _ buffer: UInt16) {
        if !buffers(group).giveBack(buffer) { complain("buffer \(buffer) of \(group) is returned and was not lent") }
    }

    /// Some time that something takes.
    func delay() -> UInt64 { UInt64(random.below(sizes.delayMax + 1)) }

    // MARK: - Peers

    func register(_ peer: any ScriptedPeer) -> Int32 {
        peers.append(peer)
        peerIsWoken.append(false)
        return Int32(peers.count - 1)
    }

    /// Wakes a peer soon.
    func wakeSoon(_ peer: Int32) {
        guard peer >= 0, !peerIsWoken[Int(peer)] else { return }
        peerIsWoken[Int(peer)] = true
        agenda.add(at: clock.now + delay(), .wake, peer, 1)
    }

    /// Wakes a peer after some time, besides what else wakes it.
    func wake(_ peer: Int32, after nanoseconds: UInt64) { agenda.add(at: clock.now + nanoseconds, .wake, peer) }

    // MARK: - Descriptors

    func takeDescriptor(_ kind: ScriptedDescriptor.Kind, _ index: Int) -> Int32 {
        var at = 0
        while at < descriptorsUsed, descriptors[at].kind != .free { at += 1 }
        precondition(at < Self.descriptorsMax, "the script opens too many descriptors")
        descriptorsUsed = max(descriptorsUsed, at + 1)
        descriptors[at] = ScriptedDescriptor()
        descriptors[at].kind = kind
        descriptors[at].index = Int32(index)
        return Self.firstDescriptor + Int32(at)
    }

    /// The entry of an open descriptor; complains and answers nil for any other.
    func open(_ descriptor: Int32, _ call: StaticString) -> UnsafeMutablePointer<ScriptedDescriptor>? {
        let at = Int(descriptor) - Int(Self.firstDescriptor)
        guard at >= 0, at < descriptorsUsed, descriptors[at].kind != .free, !descriptors[at].isClosing else {
            complain("\(call) on descriptor \(descriptor), which is closed")
            return nil
        }
        return descriptors + at
    }

    func mustBeOpen(_ descriptor: Int32, _ call: StaticString) { _ = open(descriptor, call) }

    /// Descriptors of that kind that are open now.
    func openCount(_ kind: ScriptedDescriptor.Kind) -> Int {
        (0..<descriptorsUsed).count { descriptors[$0].kind == kind }
    }

    // MARK: - Starting

    func prepare(
        _ kind: ScriptedOperation.Kind, _ descriptor: Int32, _ token: OperationToken,
        _ fill: (inout ScriptedOperation) -> Void = { _ in }
    ) {
        let isReal = kind == .write || kind == .read
        var entry: UnsafeMutablePointer<ScriptedDescriptor>?
        if !isReal {
            entry = open(descriptor, "an operation")
            if entry == nil { return }
        }
        let number: Int32
        if freeOperation >= 0 {
            number = freeOperation
            freeOperation = operations[Int(number)].nextFree
        } else {
            precondition(operationsUsed < Int32(Self.operationsMax), "the worker starts operations without end")
            number = operationsUsed
            operationsUsed += 1
            (operations + Int(number)).initialize(to: ScriptedOperation())
        }
        let operation = operations + Int(number)
        operation.pointee.kind = kind
        operation.pointee.stage = .prepared
        operation.pointee.generation &+= 1
        operation.pointee.token = token
        operation.pointee.descriptor = descriptor
        fill(&operation.pointee)
        if let entry {
            entry.pointee.inFlight += 1
            switch kind {
            case .receive, .receiveMultishot: claim(&entry.pointee.receiving, number, "receives", descriptor)
            case .send: claim(&entry.pointee.sending, number, "sends", descriptor)
            case .pollReadable: claim(&entry.pointee.pollingReadable, number, "polls for reading", descriptor)
            case .pollWritable: claim(&entry.pointee.pollingWritable, number, "polls for writing", descriptor)
            default: break
            }
        }
        submissions.append(.operation(number))
        trace("start \(kind) fd \(descriptor)")
    }

    private func claim(_ place: inout Int32, _ number: Int32, _ what: StaticString, _ descriptor: Int32) {
        if place >= 0 { complain("two \(what) in flight on descriptor \(descriptor)") }
        place = number
    }

    func prepareSend(_ socket: Int32, _ pieces: borrowing SendPieces, _ token: OperationToken) {
        var total = 0
        for at in 0..<pieces.count { total += pieces.lengths[at] }
        if total == 0 { complain("a send of nothing") }
        let copied = copy pieces
        let checks = sizes.checksMemory
        prepare(.send, socket, token) {
            $0.pieces = copied
            $0.byteCount = total
            if checks { $0.keepCopy() }
        }
    }

    func prepareWrite(_ descriptor: Int32, _ bytes: UnsafeRawPointer, _ count: Int, _ token: OperationToken) {
        let checks = sizes.checksMemory
        prepare(.write, descriptor, token) {
            $0.pieces = SendPieces()
            $0.pieces.append(bytes, count)
            $0.byteCount = count
            if checks { $0.keepCopy() }
        }
    }

    func prepareCancel(_ target: OperationToken) { submissions.append(.cancel(target)) }

    func prepareClose(_ descriptor: Int32) {
        guard let entry = open(descriptor, "close") else { return }
        if entry.pointee.inFlight > 0 {
            complain("close of descriptor \(descriptor) with \(entry.pointee.inFlight) operations in flight")
        }
        entry.pointee.isClosing = true
        trace("close fd \(descriptor)")
        submissions.append(.close(descriptor))
    }

    // MARK: - The clock and the queue

    /// Submits, then lets time pass until something is completed or the wait is over.
    func enter(waitNanoseconds: UInt64?) -> Int32 {
        let submitted = Int32(submissions.count)
        tallies.enters += 1
        tallies.submissions += submissions.count
        submit()
        for pipe in pipes where pipe != nil && pipe!.bytes.count > 0 {
            complain("a pipe holds \(pipe!.bytes.count) bytes while the worker waits")
        }
        if faults.strikes(.interruption) {
            advance(to: clock.now + 1_000)
            show()
            return -EINTR
        }
        advance(to: clock.now + 1_000)
        let deadline = waitNanoseconds.map { clock.now &+ $0 } ?? .max
        runDue()
        while postedCount == 0 {
            guard let next = agenda.nextTime, next <= deadline else {
                isStuck = agenda.isEmpty && deadline == .max
                advance(to: deadline == .max ? clock.now + 1_000_000_000 : deadline)
                return -ETIME
            }
            advance(to: next)
            runDue()
        }
        isStuck = false
        // What completes at almost the same time is seen together.
        if random.below(2) == 0 {
            let until = clock.now + delay() / 4
            while let next = agenda.nextTime, next <= until {
                advance(to: next)
                runDue()
            }
        }
        show()
        return submitted
    }

    private func show() {
        visibleCompletions = postedCount
        if postedCount > 1, faults.strikes(.piecemealCompletions) { visibleCompletions = 1 + random.below(postedCount - 1) }
    }

    private func advance(to time: UInt64) {
        guard time > clock.now else { return }
        clock.wall += time - clock.now
        clock.now = time
    }

    private func runDue() {
        while let next = agenda.nextTime, next <= clock.now {
            let event = agenda.takeFirst()
            let number = Int(event.subject)
            switch event.kind {
            case .wake:
                if event.generation == 1 { peerIsWoken[number] = false }
                peers[number].wake()
            case .run:
                if isLive(event, .armed) { run(event.subject) }
            case .post:
                if isLive(event, .executed) { post(event.subject, operations[number].result) }
            case .cancel:
                if isLive(event, .armed) { post(event.subject, -ECANCELED) }
            }
        }
    }

    private func isLive(_ event: ScriptedEvent, _ stage: ScriptedOperation.Stage) -> Bool {
        let operation = operations + Int(event.subject)
        return operation.pointee.generation == event.generation && operation.pointee.stage == stage
    }

    private func submit() {
        for submission in submissions {
            switch submission {
            case .operation(let number):
                operations[Int(number)].stage = .armed
                runSoon(number)
            case .cancel(let token): cancel(token)
            case .close(let descriptor): closeNow(descriptor)
            }
        }
        submissions.removeAll(keepingCapacity: true)
    }

    /// Tries an operation in a while.
    func runSoon(_ number: Int32) {
        let late = faults.strikes(.lateCompletion) ? UInt64(random.below(sizes.latenessMax)) : 0
        agenda.add(at: clock.now + delay() + late, .run, number, operations[Int(number)].generation)
    }

    private func cancel(_ token: OperationToken) {
        for number in 0..<operationsUsed where operations[Int(number)].token == token {
            let operation = operations + Int(number)
            guard operation.pointee.kind != .free, operation.pointee.stage == .armed else { continue }
            agenda.add(at: clock.now + delay(), .cancel, number, operation.pointee.generation)
            return
        }
        append(Completion(token: OperationToken(.none, slot: 0), result: -ENOENT, flags: 0), of: -1)
    }

    /// Posts the last completion of an operation.
    func post(_ number: Int32, _ result: Int32, flags: UInt32 = 0) {
        let operation = operations + Int(number)
        operation.pointee.stage = .posted
        append(Completion(token: operation.pointee.token, result: result, flags: flags), of: number)
    }

    /// Posts a completion after which the operation goes on.
    func postMore(_ number: Int32, _ result: Int32, flags: UInt32 = 0) {
        append(
            Completion(token: operations[Int(number)].token, result: result, flags: flags | UInt32(IORING_CQE_F_MORE)), of: -1)
    }

    private func append(_ completion: Completion, of operation: Int32) {
        precondition(postedCount < Self.completionsMax, "the completion queue overflows")
        posted[(postedFirst + postedCount) % Self.completionsMax] = Posted(completion: completion, operation: operation)
        postedCount += 1
    }

    /// A completion as the worker reads it; from then on the operation is over for it too.
    func showCompletion(at index: Int) -> Completion {
        let place = (postedFirst + index) % Self.completionsMax
        let number = posted[place].operation
        let completion = posted[place].completion
        if number >= 0 {
            posted[place].operation = -1
            trace("\(completion.token.kind) slot \(completion.token.slot) fd \(operations[Int(number)].descriptor) -> \(completion.result)")
            release(number)
        } else {
            trace("\(completion.token.kind) slot \(completion.token.slot) -> \(completion.result) flags \(completion.flags & 0xFFFF)")
        }
        return completion
    }

    func consumeCompletions(_ count: Int) {
        postedFirst = (postedFirst + count) % Self.completionsMax
        postedCount -= count
        tallies.completions += count
        visibleCompletions -= count
    }

    private func release(_ number: Int32) {
        let operation = operations + Int(number)
        if sizes.checksMemory, operation.pointee.kind == .send || operation.pointee.kind == .write, !operation.pointee.isUntouched {
            complain("memory of a \(operation.pointee.kind) on descriptor \(operation.pointee.descriptor) changed before its completion")
        }
        if operation.pointee.kind != .write && operation.pointee.kind != .read {
            let entry = descriptors + Int(operation.pointee.descriptor - Self.firstDescriptor)
            entry.pointee.inFlight -= 1
            if entry.pointee.receiving == number { entry.pointee.receiving = -1 }
            if entry.pointee.sending == number { entry.pointee.sending = -1 }
            if entry.pointee.pollingReadable == number { entry.pointee.pollingReadable = -1 }
            if entry.pointee.pollingWritable == number { entry.pointee.pollingWritable = -1 }
        }
        operation.pointee.kind = .free
        operation.pointee.nextFree = freeOperation
        freeOperation = number
    }

    /// Operations in flight of any kind but those that watch for ever.
    func describeInFlight() -> String {
        (0..<operationsUsed).compactMap { number in
            let operation = operations[Int(number)]
            return operation.kind == .free ? nil : "\(operation.kind) fd \(operation.descriptor) \(operation.stage)"
        }.joined(separator: ", ")
    }
}

/// What a worker has asked of a scripted kernel so far.
struct ScriptedTallies: BitwiseCopyable {
    /// Calls of `enter`.
    var enters = 0
    /// Calls on the spot, each a system call of its own where the kernel is a real one.
    var calls = 0
    var submissions = 0
    var completions = 0
    /// Bytes read into the worker's memory and written out of it.
    var movedBytes = 0
}

/// A listening socket: connections wait until the worker accepts them.
final class ScriptedListener {
    let descriptor: Int32
    var waiting: [ScriptedSocket] = []
    init(descriptor: Int32) { self.descriptor = descriptor }
}

/// A pipe of the worker.
final class ScriptedPipe {
    var bytes: ScriptedBytes
    init(capacity: Int) { bytes = ScriptedBytes(capacity: capacity) }
}
