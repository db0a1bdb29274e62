/// The processor quota of the cgroup this process is in, of version 2 or 1.
enum CgroupQuota {
    static func current(read: (String) -> String? = readTextFile) -> Double? {
        guard let membership = read("/proc/self/cgroup") else { return nil }
        var tightest: Double?
        for path in directories(membership) {
            guard let quota = quota(in: path, read: read) else { continue }
            tightest = min(tightest ?? quota, quota)
        }
        return tightest
    }

    /// Directories whose quota binds: the process's own and all above it. In a container the own path is often not
    /// visible, and the mount's root is the container's; it is among them.
    private static func directories(_ membership: String) -> [String] {
        var found: [String] = []
        for line in membership.split(separator: "\n") {
            let parts = line.split(separator: ":", maxSplits: 2, omittingEmptySubsequences: false).map(String.init)
            guard parts.count == 3 else { continue }
            let roots: [String]
            if parts[0] == "0", parts[1].isEmpty {
                roots = ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"]
            } else if parts[1].split(separator: ",").contains("cpu") {
                roots = ["/sys/fs/cgroup/cpu", "/sys/fs/cgroup/cpu,cpuacct", "/sys/fs/cgroup/\(parts[1])"]
            } else {
                continue
            }
            var names = parts[2].split(separator: "/").map(String.init)
            while true {
                for root in roots { found.append(([root] + names).joined(separator: "/")) }
                if names.popLast() == nil { break }
            }
        }
        return found
    }

    private static func quota(in directory: String, read: (String) -> String?) -> Double? {
        if let words = read(directory + "/cpu.max")?.trimmedLine.split(separator: " "), words.count == 2 {
            return ratio(Int(words[0]), Int(words[1]))
        }
        guard let quota = read(directory + "/cpu.cfs_quota_us"), let period = read(directory + "/cpu.cfs_period_us")
        else { return nil }
        return ratio(Int(quota.trimmedLine), Int(period.trimmedLine))
    }

    /// nil where there is no quota: the word `max`, or -1.
    private static func ratio(_ quota: Int?, _ period: Int?) -> Double? {
        guard let quota, let period, quota > 0, period > 0 else { return nil }
        return Double(quota) / Double(period)
    }
}
