import CUring

/// Where the parts of a measurement run.
struct CPULayout: Equatable, Sendable {
    /// The proxy under test.
    var subject: [Int]
    var origin: [Int]
    var load: [Int]
    /// Whether the proxy shares a core with those who measure it, because there is no other: their speed is then its speed.
    var sharesCore = false

    /// The proxy alone on the first CPU that this process may use; origin and load on CPUs of other cores, and apart from each
    /// other where there are CPUs enough. Empty lists where nothing can be kept apart.
    ///
    /// - Parameter siblings: CPUs that are threads of one core, a list for each core; a CPU that is in none is a core of its own.
    init(cpus: [Int], siblings: [[Int]] = []) {
        guard cpus.count > 1 else {
            (subject, origin, load) = ([], [], [])
            return
        }
        func shareCore(_ one: Int, _ other: Int) -> Bool { siblings.contains { $0.contains(one) && $0.contains(other) } }
        let apart = cpus.dropFirst().filter { !shareCore($0, cpus[0]) }
        sharesCore = apart.isEmpty
        let others = sharesCore ? Array(cpus.dropFirst()) : apart
        let second = others.dropFirst().first { !shareCore($0, others[0]) } ?? others.dropFirst().first ?? others[0]
        (subject, origin, load) = ([cpus[0]], [others[0]], [second])
    }

    static func ofThisProcess() -> CPULayout {
        var cpus = [Int32](repeating: 0, count: 1_024)
        let count = Int(clinux_affinity(&cpus, Int32(cpus.count)))
        let allowed = cpus.prefix(max(count, 0)).map(Int.init)
        let siblings = allowed.compactMap { textOfFile("/sys/devices/system/cpu/cpu\($0)/topology/thread_siblings_list") }
        return CPULayout(cpus: allowed, siblings: siblings.map(Self.list))
    }

    /// `0-1,8` as the kernel writes lists of CPUs.
    static func list(_ text: String) -> [Int] {
        text.trimmedOfSpace.split(separator: ",").flatMap { part -> [Int] in
            let ends = part.split(separator: "-").compactMap { Int($0) }
            guard let first = ends.first, let last = ends.last, last >= first, last - first < 4_096 else { return [] }
            return Array(first...last)
        }
    }
}
