import Glibc

/// A network device as far as it spreads its packets over processors.
struct NetworkDevice: Equatable {
    var name: String
    var driver: String
    var receiveQueues: Int
    var sendQueues: Int
    /// Queues whose packets are handed on to other processors by the kernel (RPS).
    var steeredQueues: Int
    /// The processors that take each interrupt of the device, as `0-1` or `3`; empty when the kernel does not tell.
    var interruptProcessors: [String]

    /// The devices with hardware, real or a hypervisor's, behind them; loopback and tunnels have no queues to set.
    static func all() -> [NetworkDevice] {
        directoryEntries("/sys/class/net").filter { access("/sys/class/net/\($0)/device", F_OK) == 0 }.map(read)
    }

    private static func read(_ name: String) -> NetworkDevice {
        let folder = "/sys/class/net/\(name)"
        let queues = directoryEntries(folder + "/queues")
        let receiving = queues.filter { $0.hasPrefix("rx-") }
        let steered = receiving.filter { queue in
            readTextFile("\(folder)/queues/\(queue)/rps_cpus")?.trimmedLine.contains { $0 != "0" && $0 != "," } ?? false
        }
        return NetworkDevice(
            name: name, driver: linkName(folder + "/device/driver") ?? "unknown", receiveQueues: receiving.count,
            sendQueues: queues.count { $0.hasPrefix("tx-") }, steeredQueues: steered.count,
            interruptProcessors: interrupts(of: name, folder).compactMap { number in
                (readTextFile("/proc/irq/\(number)/effective_affinity_list") ?? readTextFile("/proc/irq/\(number)/smp_affinity_list"))?
                    .trimmedLine
            }.filter { !$0.isEmpty })
    }

    /// Numbers of the interrupts: of the device itself, of the one that carries it, or of the line that names either.
    private static func interrupts(of name: String, _ folder: String) -> [String] {
        for place in ["/device/msi_irqs", "/device/../msi_irqs"] {
            let found = directoryEntries(folder + place)
            if !found.isEmpty { return found }
        }
        let names = [name, linkName(folder + "/device")].compactMap { $0 }
        var found: [String] = []
        for line in (readTextFile("/proc/interrupts") ?? "").split(separator: "\n") {
            guard let colon = line.firstIndex(of: ":"), let last = line.split(separator: " ").last else { continue }
            if names.contains(where: { last == $0 || last.hasPrefix($0 + "-") }) {
                found.append(String(line[..<colon].drop { $0 == " " }))
            }
        }
        return found
    }

    private static func linkName(_ path: String) -> String? {
        var room = [UInt8](repeating: 0, count: 4_096)
        let length = room.withUnsafeMutableBytes {
            readlink(path, $0.baseAddress!.assumingMemoryBound(to: CChar.self), $0.count)
        }
        guard length > 0 else { return nil }
        return String(decoding: room[..<length], as: UTF8.self).split(separator: "/").last.map(String.init)
    }
}

/// Names in a folder, sorted, without the hidden ones; none when it cannot be read.
func directoryEntries(_ path: String) -> [String] {
    guard let folder = opendir(path) else { return [] }
    defer { closedir(folder) }
    var names: [String] = []
    while let entry = readdir(folder) {
        let name = withUnsafeBytes(of: entry.pointee.d_name) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
        if !name.hasPrefix(".") { names.append(name) }
    }
    return names.sorted()
}
