import CUring
import Glibc

/// Where notes of workers lie; nil until `CrashNotes.install`. Statically initialised, so that reading it is one load.
nonisolated(unsafe) private var sharedNotes: UnsafeMutablePointer<UInt64>?

/// What one worker is doing, in memory that outlives the process, so that a crash leaves it to the supervisor.
///
/// Trivial: a worker keeps it beside its other state. A note is two stores, plain moves on this machine; nobody reads
/// them before the process has ended, so they need no order.
struct CrashNote: Sendable {
    nonisolated(unsafe) let words: UnsafeMutablePointer<UInt64>

    /// The note of a worker; where no memory is shared (tests, worker numbers beyond the memory) a private one.
    ///
    /// Called once by the worker's own thread, which it remembers.
    init(worker: Int) { self.init(worker: worker, in: sharedNotes) }

    init(worker: Int, in memory: UnsafeMutablePointer<UInt64>?) {
        if let memory, worker >= 0, worker < CrashNotes.workersMax {
            words = memory + (worker + 1) * CrashNotes.wordsEach
        } else {
            words = .allocate(capacity: CrashNotes.wordsEach)
            words.initialize(repeating: 0, count: CrashNotes.wordsEach)
        }
        words[2] = UInt64(bitPattern: Int64(cprocess_thread_id()))
    }

    /// Notes the step that begins; `file` and `line` are the caller's.
    @inline(__always)
    func note(step: UInt8, file: StaticString = #fileID, line: UInt32 = #line) {
        // Relaxed and not plain: a plain store with nothing but a trap behind it is dead to the optimiser.
        clinux_store_relaxed(words, UInt64(line) &<< 8 | UInt64(step))
        clinux_store_relaxed(words + 1, UInt64(UInt(bitPattern: file.utf8Start)))
    }

    /// Notes that the worker waits and does nothing for anybody.
    @inline(__always)
    func clear() { clinux_store_relaxed(words, 0) }
}

/// The shared memory of all notes: written by the server process, read by the supervisor after a crash.
enum CrashNotes {
    static let workersMax = 1_023
    /// A cache line each, so that workers do not disturb one another.
    static let wordsEach = 8
    static let memoryBytes = (workersMax + 1) * wordsEach * MemoryLayout<UInt64>.size
    /// The first line is the process's: the mark of the signal (`cprocess_crash_mark`), then where the program lies.
    private static let imageWord = 5

    /// Maps the memory behind `descriptor`; nil when the kernel refuses.
    static func map(_ descriptor: Int32) -> UnsafeMutablePointer<UInt64>? {
        let memory = mmap(nil, memoryBytes, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0)
        guard memory != MAP_FAILED else { return nil }
        return memory?.assumingMemoryBound(to: UInt64.self)
    }

    /// Makes this process write its notes to `memory`, mark deadly signals there, and send the byte `word` to `control`
    /// when one comes. Before any worker starts.
    static func install(_ memory: UnsafeMutablePointer<UInt64>, control: Int32 = -1, word: UInt8 = 0) {
        prepare(memory)
        sharedNotes = memory
        cprocess_mark_crashes(
            UnsafeMutableRawPointer(memory).assumingMemoryBound(to: cprocess_crash_mark.self), control, word)
    }

    /// Forgets what a process before this one noted.
    static func prepare(_ memory: UnsafeMutablePointer<UInt64>) {
        memory.update(repeating: 0, count: memoryBytes / MemoryLayout<UInt64>.size)
        memory[imageWord] = imageAddress()
    }

    /// What the memory tells about a crash; nil when nothing was noted.
    ///
    /// The writer must be the same program as the reader: names of files are looked up in the reader's own image.
    static func read(_ memory: UnsafeMutablePointer<UInt64>) -> CrashReport? {
        let signal = memory[0]
        guard signal != 0 else { return nil }
        let thread = memory[3]
        let copy = Int32(truncatingIfNeeded: memory[4])
        for worker in 0..<workersMax {
            let words = memory + (worker + 1) * wordsEach
            guard words[2] == thread, thread != 0 else { continue }
            guard words[0] != 0 else {
                return CrashReport(signal: Int32(truncatingIfNeeded: signal), copy: copy, worker: worker)
            }
            return CrashReport(
                signal: Int32(truncatingIfNeeded: signal), copy: copy, worker: worker,
                step: UInt8(truncatingIfNeeded: words[0]), file: fileName(words[1], image: memory[imageWord]),
                line: Int(words[0] >> 8))
        }
        return CrashReport(signal: Int32(truncatingIfNeeded: signal), copy: copy)
    }

    /// An address within this program: others of its constants lie at fixed distances from it.
    private static func imageAddress() -> UInt64 { UInt64(UInt(bitPattern: #dsohandle)) }

    /// The name that the writer's pointer meant: the program lies elsewhere in our memory, at the same distances.
    private static func fileName(_ pointer: UInt64, image: UInt64) -> String? {
        let distance = Int64(bitPattern: pointer &- image)
        // Names of files are constants of the program itself, which is smaller than this.
        guard image != 0, pointer != 0, distance.magnitude < 1 << 30 else { return nil }
        let here = UInt(truncatingIfNeeded: imageAddress() &+ UInt64(bitPattern: distance))
        var bytes = [UInt8](repeating: 0, count: 200)
        let count = cprocess_peek(here, &bytes, bytes.count)
        guard count > 0, let end = bytes[..<count].firstIndex(of: 0) else { return nil }
        return String(decoding: bytes[..<end], as: UTF8.self)
    }
}

/// What a crashed server process had noted.
struct CrashReport: Equatable, Sendable {
    var signal: Int32
    /// The process that stayed behind to write the backtrace; 0 = none.
    var copy: Int32 = 0
    /// The worker whose thread crashed; nil when it was the control thread.
    var worker: Int?
    var step: UInt8?
    /// File and line of the last note: where the step began.
    var file: String?
    var line = 0
}
