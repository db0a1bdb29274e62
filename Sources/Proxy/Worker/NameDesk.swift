import CUring
import Glibc

/// A name whose addresses an exchange of a worker waits for.
struct NameQuestion: Sendable {
    var worker: Int
    var slot: UInt32
    /// Of the slot: the exchange may be gone when the answer comes.
    var generation: UInt32
    /// In small letters, without port.
    var name: String
}

/// What became of it; no address = the name has none, or nobody could be asked.
struct NameAnswer: Sendable {
    var slot: UInt32
    var generation: UInt32
    var addresses: [SocketAddress]
}

/// Where workers leave names to be resolved; the control thread takes them and posts the answers to their mailboxes.
final class NameDesk: Sendable {
    /// Readable when there are questions; the control thread polls it.
    let wakeDescriptor: Int32
    private let questions = Locked<[NameQuestion]>([])

    init() {
        wakeDescriptor = clinux_eventfd()
        precondition(wakeDescriptor >= 0, "no descriptor left for names: raise max-nofile")
        clinux_set_nonblocking(wakeDescriptor)
    }

    deinit { close(wakeDescriptor) }

    /// From a worker: one lock and one write, for a request that has to wait for the network anyway.
    func post(_ question: NameQuestion) {
        questions.withLock { $0.append(question) }
        var one: UInt64 = 1
        _ = write(wakeDescriptor, &one, MemoryLayout<UInt64>.size)
    }

    /// From the control thread: what came since the last call.
    func take() -> [NameQuestion] {
        var count: UInt64 = 0
        _ = read(wakeDescriptor, &count, MemoryLayout<UInt64>.size)
        return questions.withLock { held in
            defer { held = [] }
            return held
        }
    }
}
