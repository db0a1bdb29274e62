import CUring
import Glibc

/// One piece of work on a thread of its own, which ends with it; a descriptor becomes readable when it is done.
///
/// For work that would hold up the control thread. Whoever wants the result polls; when nobody does any more, the work goes
/// on to its end and is forgotten.
final class ShortThread<Value: Sendable>: Sendable {
    /// Readable once `take` has something to give; -1 when there was none to be had, and then no thread either.
    let doneDescriptor: Int32
    private let value = Locked<Value?>(nil)

    init() {
        doneDescriptor = clinux_eventfd()
    }

    deinit { if doneDescriptor >= 0 { close(doneDescriptor) } }

    /// Begins; 0 or an errno. Called once.
    func start(_ name: String, _ work: @escaping @Sendable () -> Value) -> Int32 {
        guard doneDescriptor >= 0 else { return -doneDescriptor }
        return startThread(name) { [self] in
            let made = work()
            value.withLock { $0 = made }
            var one: UInt64 = 1
            _ = write(doneDescriptor, &one, MemoryLayout<UInt64>.size)
        }
    }

    /// The result, once.
    func take() -> Value? {
        value.withLock { held in
            defer { held = nil }
            return held
        }
    }
}

/// Starts a detached thread that takes no signals; 0 or an errno.
func startThread(_ name: String, _ body: @escaping @Sendable () -> Void) -> Int32 {
    let errand = Errand(name: name, body: body)
    let context = Unmanaged.passRetained(errand).toOpaque()
    var thread = pthread_t()
    let made = pthread_create(
        &thread, nil,
        { raw in
            let errand = Unmanaged<Errand>.fromOpaque(raw!).takeRetainedValue()
            clinux_name_thread(errand.name)
            errand.body()
            return nil
        }, context)
    if made == 0 {
        pthread_detach(thread)
    } else {
        Unmanaged<Errand>.fromOpaque(context).release()
    }
    return made
}

private final class Errand: Sendable {
    let name: String
    let body: @Sendable () -> Void
    init(name: String, body: @escaping @Sendable () -> Void) {
        self.name = name
        self.body = body
    }
}
