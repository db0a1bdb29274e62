import CUring

extension ExperimentSettings {
    /// With CPUs for what its file leaves open, of those that this process may use: the first one for the program under test, the next
    /// two (or one, or the same one) for the rest.
    func placed(on cpus: [Int]) -> ExperimentSettings {
        var placed = self
        if scenario.testedCPUs.isEmpty { placed.scenario.testedCPUs = Array(cpus.prefix(1)) }
        if scenario.otherCPUs.isEmpty {
            let free = cpus.filter { !placed.scenario.testedCPUs.contains($0) }
            placed.scenario.otherCPUs = Array((free.isEmpty ? cpus : free).prefix(2))
        }
        return placed
    }
}

/// The CPUs that this thread may use.
func usableCPUs() -> [Int] {
    var cpus = [Int32](repeating: 0, count: 1_024)
    let count = Int(clinux_affinity(&cpus, Int32(cpus.count)))
    return cpus.prefix(max(count, 0)).map(Int.init)
}
