import Glibc

/// Why a kernel refuses io_uring, told apart by its cause, because each cause has another remedy.
enum RingRefusal: Equatable {
    /// The kernel is older than 6.1, or was built without io_uring.
    case tooOld(release: String)
    case notBuiltIn(release: String)
    /// `kernel.io_uring_disabled` is 1 or 2; with 1, members of `group` may still use it.
    case disabledBySetting(value: Int, group: Int)
    /// A filter for system calls, as containers put one.
    case filtered(number: Int32)
    /// No filter and no setting: a security module (SELinux, AppArmor) or a missing right.
    case forbidden
    case lockedMemory(limitBytes: UInt64)
    case openFiles
    case lacks([RingProbe.Feature], release: String)
    case other(Int32)

    /// The cause, from what the set-up returned and what the machine says about itself; nil when nothing is refused.
    init?(_ facts: SystemFacts) {
        let refusal = abs(facts.ring.refusal)
        let isOld = facts.kernel.isOlder(than: KernelVersion(6, 1))
        let isFiltered = facts.seccompMode == 2
        switch refusal {
        case 0:
            let missing = facts.ring.missing
            if missing.isEmpty { return nil }
            self = isOld ? .tooOld(release: facts.kernel.release) : .lacks(missing, release: facts.kernel.release)
        case ENOSYS:
            if isFiltered && !isOld {
                self = .filtered(number: ENOSYS)
            } else if isOld {
                self = .tooOld(release: facts.kernel.release)
            } else {
                self = .notBuiltIn(release: facts.kernel.release)
            }
        case EPERM, EACCES:
            if let value = facts.ringDisabled, value != 0 {
                self = .disabledBySetting(value: value, group: facts.ringGroup ?? -1)
            } else {
                self = isFiltered ? .filtered(number: refusal) : .forbidden
            }
        case ENOMEM: self = .lockedMemory(limitBytes: facts.lockedMemory.soft)
        case EMFILE, ENFILE: self = .openFiles
        case EINVAL where isOld: self = .tooOld(release: facts.kernel.release)
        default: self = .other(refusal)
        }
    }

    /// What is the matter, in a few words.
    var cause: String {
        switch self {
        case .tooOld(let release): "kernel \(release) is too old: Weir needs 6.1 or newer"
        case .notBuiltIn(let release): "kernel \(release) was built without io_uring"
        case .disabledBySetting(2, _): "the setting kernel.io_uring_disabled = 2 forbids io_uring to everybody"
        case .disabledBySetting(let value, let group) where group >= 0:
            "the setting kernel.io_uring_disabled = \(value) allows io_uring only to root and to group \(group)"
        case .disabledBySetting(let value, _):
            "the setting kernel.io_uring_disabled = \(value) allows io_uring only to root"
        case .filtered: "a filter for system calls (seccomp) forbids io_uring, as containers often do"
        case .forbidden: "io_uring is forbidden by a security module (SELinux, AppArmor) or a missing right"
        case .lockedMemory(let limit): "no locked memory for a ring within the limit of \(byteCount(limit))"
        case .openFiles: "no descriptor for a ring within the limit of open files"
        case .lacks(let features, let release):
            "kernel \(release) lacks \(features.map(\.rawValue).joined(separator: ", "))"
        case .other(let number): "the kernel refuses io_uring: \(errorText(number))"
        }
    }

    /// What to do about that cause.
    var remedy: String {
        switch self {
        case .tooOld: "start a newer kernel (Debian 12 has 6.1)"
        case .notBuiltIn: "start a kernel with CONFIG_IO_URING=y"
        case .disabledBySetting(2, _): "set it to 0 (sysctl -w kernel.io_uring_disabled=0), or to 1 and kernel.io_uring_group to the group of Weir"
        case .disabledBySetting(_, let group) where group >= 0: "run Weir in group \(group), or sysctl -w kernel.io_uring_disabled=0"
        case .disabledBySetting: "set kernel.io_uring_group to the group of Weir, or sysctl -w kernel.io_uring_disabled=0"
        case .filtered:
            "allow io_uring_setup, io_uring_enter and io_uring_register in the container's profile "
                + "(docker run --security-opt seccomp=tuning/seccomp/weir.json, or =unconfined to try)"
        case .forbidden: "look for a denial of io_uring in the journal or audit log, and allow it for Weir"
        case .lockedMemory: "raise the limit (ulimit -l, LimitMEMLOCK=) or use kernel 5.12 or newer"
        case .openFiles: "raise the limit (ulimit -n, LimitNOFILE=)"
        case .lacks: "start the kernel that the distribution ships, 6.1 or newer"
        case .other: "run 'weir doctor' and compare with the kernel log (dmesg)"
        }
    }

    var sentence: String { "\(cause); \(remedy)" }
}

/// `64 KiB`, `8 MiB`, `unlimited`.
func byteCount(_ bytes: UInt64) -> String {
    if bytes == .max { return "unlimited" }
    for (unit, name) in [(UInt64(1) << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")] where bytes >= unit && bytes % unit == 0 {
        return "\(bytes / unit) \(name)"
    }
    return "\(bytes) bytes"
}
