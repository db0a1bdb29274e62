import Glibc

/// The machine as far as its figures depend on it: stands in every result.
struct MachineFacts: Equatable, Sendable {
    var processor = "unknown"
    var cpus = 0
    var memoryGiB = 0.0
    var kernel = "unknown"
    var isVirtual = false
    var governor = "unknown"
    var congestionControl = "unknown"

    static func gather() -> MachineFacts {
        var facts = MachineFacts()
        let information = textOfFile("/proc/cpuinfo") ?? ""
        for line in information.split(separator: "\n") {
            let parts = line.split(separator: ":", maxSplits: 1).map { String($0).trimmedOfSpace }
            guard parts.count == 2 else { continue }
            if parts[0] == "model name", facts.processor == "unknown" { facts.processor = parts[1] }
            if parts[0] == "processor" { facts.cpus += 1 }
            if parts[0] == "flags" { facts.isVirtual = parts[1].split(separator: " ").contains("hypervisor") }
        }
        for line in (textOfFile("/proc/meminfo") ?? "").split(separator: "\n") where line.hasPrefix("MemTotal:") {
            let kibibytes = line.split(whereSeparator: \.isWhitespace).dropFirst().first.flatMap { Double($0) } ?? 0
            facts.memoryGiB = (kibibytes / 1_048_576 * 10).rounded() / 10
        }
        facts.kernel = textOfFile("/proc/sys/kernel/osrelease")?.trimmedOfSpace ?? "unknown"
        facts.governor = textOfFile("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")?.trimmedOfSpace ?? "unknown"
        facts.congestionControl = textOfFile("/proc/sys/net/ipv4/tcp_congestion_control")?.trimmedOfSpace ?? "unknown"
        return facts
    }

    var json: JSONText {
        .object([
            ("processor", .text(processor)), ("cpus", .number(cpus)), ("memory_gib", .decimal(memoryGiB)), ("kernel", .text(kernel)),
            ("virtual", .truth(isVirtual)), ("governor", .text(governor)), ("congestion_control", .text(congestionControl)),
        ])
    }

    /// `8 × Intel Xeon, 24 GiB, Linux 6.18.1, virtual`.
    static func sentence(_ json: JSONText?) -> String {
        guard let json else { return "unknown machine" }
        let memory = FigureText.fixed(json["memory_gib"]?.real ?? .nan, 0)
        let virtual = json["virtual"]?.isTrue == true ? ", virtual" : ""
        return "\(json["cpus"]?.whole ?? 0) × \(json["processor"]?.string ?? "unknown"), \(memory) GiB, Linux \(json["kernel"]?.string ?? "unknown")\(virtual)"
    }
}

extension String {
    /// Without blanks and line ends on both sides.
    var trimmedOfSpace: String {
        var rest = self[...]
        while rest.first?.isWhitespace == true { rest = rest.dropFirst() }
        while rest.last?.isWhitespace == true { rest = rest.dropLast() }
        return String(rest)
    }
}
