import CUring
import Glibc

/// The limit of open descriptors that a run gives itself, and what it means.
struct OpenFiles: Equatable {
    /// What to ask the kernel for; nil when it stays as it is.
    var request: ResourceLimit?
    var applied: ResourceLimit

    /// Decides from what is wanted (`max-nofile`), what there is, and whether the hard limit may be raised.
    ///
    /// Never goes above what was asked for, and says no rather than serving with less than was asked for.
    init(wanted: Int?, present: ResourceLimit, ceiling: UInt64, mayRaise: Bool) throws(LaunchFailure) {
        guard let wanted else {
            let all = ResourceLimit(soft: present.hard, hard: present.hard)
            self.init(present, all)
            return
        }
        let count = UInt64(max(wanted, 1))
        if count <= present.hard {
            self.init(present, ResourceLimit(soft: count, hard: present.hard))
        } else if !mayRaise {
            throw LaunchFailure(
                "max-nofile = \(wanted) is above the hard limit of \(present.hard) open files, which only root may raise; "
                    + "raise it before the start (LimitNOFILE= of systemd, limits.conf) or lower max-nofile")
        } else if count > ceiling {
            throw LaunchFailure(
                "max-nofile = \(wanted) is above what the kernel allows to anybody; raise that with: "
                    + "sysctl -w fs.nr_open=\(wanted)")
        } else {
            self.init(present, ResourceLimit(soft: count, hard: count))
        }
    }

    private init(_ present: ResourceLimit, _ wanted: ResourceLimit) {
        request = present == wanted ? nil : wanted
        applied = wanted
    }

    /// Sets the limit for this process and all it starts.
    func apply() throws(LaunchFailure) {
        guard let request else { return }
        let result = cprocess_set_limit(cprocess_open_files, request.soft, request.hard)
        guard result == 0 else {
            throw LaunchFailure("cannot set the limit of open files to \(request.soft): \(errorText(result))")
        }
    }

    /// What `settings` mean on this machine.
    static func decide(_ settings: GlobalSettings) throws(LaunchFailure) -> OpenFiles {
        let present = SystemFacts.limit(cprocess_open_files) ?? ResourceLimit(soft: 1_024, hard: 1_024)
        let ceiling = readNumber("/proc/sys/fs/nr_open").map { UInt64($0) } ?? .max
        return try OpenFiles(
            wanted: settings.openFilesMax, present: present, ceiling: ceiling, mayRaise: geteuid() == 0)
    }
}

/// Kernels before 5.12 charge rings to the limit of locked memory: take all of it that may be had.
func raiseLockedMemory() {
    guard let present = SystemFacts.limit(cprocess_locked_memory), present.soft < present.hard else { return }
    _ = cprocess_set_limit(cprocess_locked_memory, present.hard, present.hard)
}
