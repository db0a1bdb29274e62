import CUring
import Glibc

/// What this kernel's io_uring does, found by trying it: versions lie where distributions port features back.
struct RingProbe: Equatable {
    /// A feature that Weir uses.
    enum Feature: String, CaseIterable {
        case deferredTaskRun = "completions only when asked for (DEFER_TASKRUN)"
        case bufferRings = "buffer rings"
        case multishotAccept = "multishot accept"
        case multishotReceive = "multishot receive"
        case messages = "messages between rings (MSG_RING)"
        case minimumWait = "minimum wait (gathering)"

        /// The first kernel of the main line that has it.
        var since: String {
            switch self {
            case .deferredTaskRun: "6.1"
            case .bufferRings, .multishotAccept: "5.19"
            case .messages: "5.18"
            case .multishotReceive: "6.0"
            case .minimumWait: "6.12"
            }
        }

        /// Without these nothing runs.
        var isNeeded: Bool { self != .minimumWait }
    }

    /// What newer kernels have besides, and Weir leaves alone, each for the reason that it was measured by.
    enum Spare: String, CaseIterable {
        case zeroCopySend = "zero-copy send"
        case receiveBundles = "receive bundles"
        case submissionThread = "a submission thread (SQPOLL)"
    }

    /// Negative errno of the first set-up; 0 when rings can be made.
    var refusal: Int32 = 0
    var features: Set<Feature> = []
    var spares: Set<Spare> = []

    var missing: [Feature] { Feature.allCases.filter { $0.isNeeded && !features.contains($0) } }

    /// Makes and drops small rings in this process. A few system calls, no traffic.
    static func run() -> RingProbe {
        var probe = RingProbe()
        var plain = io_uring_params()
        probe.refusal = withRing(&plain) { ring in
            probe.examine(&ring)
        }
        guard probe.refusal == 0 else { return probe }
        if plain.features & curing_FEAT_MIN_TIMEOUT != 0 { probe.features.insert(.minimumWait) }
        if plain.features & receiveBundleFeature != 0 { probe.spares.insert(.receiveBundles) }
        var polled = io_uring_params()
        polled.flags = UInt32(IORING_SETUP_SQPOLL)
        if withRing(&polled, { _ in }) == 0 { probe.spares.insert(.submissionThread) }
        var deferred = io_uring_params()
        deferred.flags =
            UInt32(IORING_SETUP_DEFER_TASKRUN) | UInt32(IORING_SETUP_SINGLE_ISSUER) | UInt32(IORING_SETUP_SUBMIT_ALL)
            | UInt32(IORING_SETUP_CLAMP) | UInt32(IORING_SETUP_CQSIZE)
        deferred.cq_entries = 64
        if withRing(&deferred, { _ in }) == 0 { probe.features.insert(.deferredTaskRun) }
        return probe
    }

    /// IORING_FEAT_RECVSEND_BUNDLE, which the library's header does not have yet.
    private static var receiveBundleFeature: UInt32 { 1 &<< 14 }

    private static func withRing(_ parameters: inout io_uring_params, _ body: (inout io_uring) -> Void) -> Int32 {
        var ring = io_uring()
        let result = io_uring_queue_init_params(32, &ring, &parameters)
        guard result == 0 else { return result }
        body(&ring)
        io_uring_queue_exit(&ring)
        return 0
    }

    private mutating func examine(_ ring: inout io_uring) {
        if let operations = io_uring_get_probe_ring(&ring) {
            if io_uring_opcode_supported(operations, Int32(IORING_OP_MSG_RING.rawValue)) != 0 { features.insert(.messages) }
            if io_uring_opcode_supported(operations, Int32(IORING_OP_SEND_ZC.rawValue)) != 0 { spares.insert(.zeroCopySend) }
            io_uring_free_probe(operations)
        }
        tryMultishotAccept(&ring)
        tryMultishotReceive(&ring)
    }

    /// A listener without a name takes one connection; a multishot accept then says that more will come.
    private mutating func tryMultishotAccept(_ ring: inout io_uring) {
        let listener = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        let client = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        defer {
            close(listener)
            close(client)
        }
        // The family alone: the kernel chooses a name.
        var nameless = sa_family_t(AF_UNIX)
        let address = SocketAddress(copying: &nameless, length: MemoryLayout<sa_family_t>.size)
        guard address.bind(listener) == 0, listen(listener, 1) == 0, let bound = boundAddress(of: listener),
            let entry = io_uring_get_sqe(&ring)
        else { return }
        io_uring_prep_multishot_accept(entry, listener, nil, nil, Int32(SOCK_CLOEXEC.rawValue))
        io_uring_submit(&ring)
        guard bound.connect(client) == 0, let completion = awaitCompletion(&ring) else { return }
        if completion.result >= 0 { close(completion.result) }
        if completion.result >= 0, completion.flags & UInt32(IORING_CQE_F_MORE) != 0 { features.insert(.multishotAccept) }
    }

    private mutating func tryMultishotReceive(_ ring: inout io_uring) {
        var failure: Int32 = 0
        let entries: UInt32 = 4
        guard let buffers = curing_setup_buffer_ring(&ring, entries, 7, &failure) else { return }
        features.insert(.bufferRings)
        let memory = UnsafeMutableRawPointer.allocate(byteCount: 64, alignment: 16)
        curing_buffer_ring_add(buffers, memory, 64, 0, io_uring_buf_ring_mask(entries), 0)
        curing_buffer_ring_advance(buffers, 1)
        var reader: Int32 = -1
        var writer: Int32 = -1
        defer {
            close(reader)
            close(writer)
            io_uring_unregister_buf_ring(&ring, 7)
            munmap(buffers, Int(entries) * MemoryLayout<io_uring_buf>.size)
            memory.deallocate()
        }
        guard cprocess_socket_pair(&reader, &writer) == 0, let entry = io_uring_get_sqe(&ring) else { return }
        io_uring_prep_recv_multishot(entry, reader, nil, 0, 0)
        entry.pointee.flags |= curing_IOSQE_BUFFER_SELECT
        entry.pointee.buf_group = 7
        io_uring_submit(&ring)
        guard Glibc.write(writer, "x", 1) == 1, let completion = awaitCompletion(&ring) else { return }
        if completion.result == 1, completion.flags & UInt32(IORING_CQE_F_MORE) != 0 { features.insert(.multishotReceive) }
    }

    private func awaitCompletion(_ ring: inout io_uring) -> (result: Int32, flags: UInt32)? {
        var completion: UnsafeMutablePointer<io_uring_cqe>?
        var patience = __kernel_timespec(tv_sec: 0, tv_nsec: 100_000_000)
        guard io_uring_wait_cqe_timeout(&ring, &completion, &patience) == 0, let completion else { return nil }
        let outcome = (completion.pointee.res, completion.pointee.flags)
        io_uring_cq_advance(&ring, 1)
        return outcome
    }
}
