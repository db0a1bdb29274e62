import CJemalloc
import CUring

/// The allocator of this process, and how it gives memory back.
///
/// Release builds bring jemalloc; debug and sanitizer builds, and `make build ALLOCATOR=glibc`, have glibc's.
enum Allocator: Equatable, Sendable {
    case jemalloc
    case glibc

    static var live: Allocator { weir_jemalloc_present() != 0 ? .jemalloc : .glibc }

    var name: String {
        switch self {
        case .jemalloc: "jemalloc"
        case .glibc: "glibc"
        }
    }

    /// The version that the library itself names; nil where it names none.
    var version: String? {
        guard self == .jemalloc else { return nil }
        var text: UnsafePointer<CChar>?
        var length = MemoryLayout<UnsafePointer<CChar>?>.size
        let result = weir_mallctl("version", &text, &length, nil, 0)
        guard result == 0, let text else { return nil }
        return String(cString: text)
    }

    /// Sets from how many free bytes on memory goes back to the kernel (`memtrim-sz`); 0 = the allocator's own habit.
    ///
    /// jemalloc knows no threshold but a time, so that any threshold makes it return unused pages within a second.
    /// glibc stops adjusting its threshold once one is set. Before the workers start; true when accepted.
    @discardableResult
    func setTrimThreshold(_ bytes: Int) -> Bool {
        guard bytes > 0 else { return true }
        switch self {
        case .jemalloc: return setDecay(milliseconds: 1_000)
        case .glibc: return cprocess_malloc_trim_threshold(Int32(clamping: bytes)) != 0
        }
    }

    /// What `memtrim-sz` makes of it, for the operator.
    func habit(_ trimBytes: Int) -> String {
        guard trimBytes > 0 else { return "given back as it sees fit" }
        switch self {
        case .jemalloc: return "given back within a second (it knows no threshold of \(trimBytes) bytes)"
        case .glibc: return "given back from \(trimBytes) free bytes on, a threshold that stays fixed"
        }
    }

    /// Gives everything that is free back to the kernel now. Costs milliseconds when much is free; any thread may call.
    func trim() {
        switch self {
        case .jemalloc:
            // 4096 stands for all arenas (MALLCTL_ARENAS_ALL).
            _ = weir_mallctl("arena.4096.purge", nil, nil, nil, 0)
        case .glibc: _ = cprocess_malloc_trim(0)
        }
    }

    /// How long unused pages stay before they go back, in arenas to come and in those that stand.
    private func setDecay(milliseconds: Int) -> Bool {
        var arenas: UInt32 = 0
        var length = MemoryLayout<UInt32>.size
        guard weir_mallctl("arenas.narenas", &arenas, &length, nil, 0) == 0 else { return false }
        var accepted = true
        for kind in ["dirty", "muzzy"] {
            var value = milliseconds
            accepted = weir_mallctl("arenas.\(kind)_decay_ms", nil, nil, &value, MemoryLayout<Int>.size) == 0 && accepted
            for arena in 0..<min(arenas, 4_096) {
                // An arena that no thread has used yet does not exist and takes the value above.
                var value = milliseconds
                _ = weir_mallctl("arena.\(arena).\(kind)_decay_ms", nil, nil, &value, MemoryLayout<Int>.size)
            }
        }
        return accepted
    }
}
