import Glibc

/// What a lab or a profile changed on the machine, on disk before each change, so that it can be put back after any end.
///
/// A line for each change: the file, its value before, the value wanted; another line when the kernel showed what it made of that,
/// and when the change was undone while others stay.
/// The file is locked while somebody works by it, and emptied, never removed: a lock on a removed file protects nothing.
/// The kernel forgets its settings at a restart of the machine, so a journal of an earlier boot restores nothing.
final class ChangeJournal {
    /// One setting that was changed: the first value it had, and the last one it was given.
    struct Change: Equatable {
        var path: String
        var before: String
        var wanted: String
        /// As the kernel showed it afterwards; nil when that was not reached.
        var shown: String?
    }

    let path: String
    private let descriptor: Int32
    private let boot: String
    private let files: KernelFiles
    private(set) var changes: [Change] = []

    static let signature = "weir lab journal 1"

    /// Opens and locks the journal, or makes it; waits up to `patienceMilliseconds` for who holds it.
    init(path: String, files: KernelFiles = KernelFiles(), patienceMilliseconds: Int = 10_000) throws(LabFailure) {
        self.path = path
        self.files = files
        boot = readTextFile("/proc/sys/kernel/random/boot_id")?.trimmedLine ?? "unknown"
        if let slash = path.lastIndex(of: "/"), slash > path.startIndex { ensureFolders(String(path[..<slash])) }
        descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard descriptor >= 0 else {
            throw LabFailure("cannot open the journal \(path): \(errorText(errno)); name another one with --journal")
        }
        var status = stat()
        guard fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG, status.st_uid == geteuid() else {
            throw LabFailure("the journal \(path) is no file of this user; name another one with --journal")
        }
        var waited = 0
        while flock(descriptor, LOCK_EX | LOCK_NB) != 0 {
            guard waited < patienceMilliseconds else {
                throw LabFailure("another lab works by the journal \(path); wait until it has ended")
            }
            poll(nil, 0, 20)
            waited += 20
        }
        syncFolder()
        let text = readTextFile(path) ?? ""
        let lines = text.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
        guard let first = lines.first, !first.isEmpty else { return }
        guard first.hasPrefix(Self.signature) else {
            throw LabFailure("\(path) is no journal of the lab; nothing was changed")
        }
        if first == "\(Self.signature) \(boot)" { changes = Self.read(lines.dropFirst(), isWhole: text.hasSuffix("\n")) }
        if changes.isEmpty { empty() }
    }

    deinit { if descriptor >= 0 { close(descriptor) } }

    /// A last line without an end was being written when the machine stopped, so the change that it announces was not made.
    static func read(_ lines: ArraySlice<String>, isWhole: Bool) -> [Change] {
        var changes: [Change] = []
        for line in isWhole ? lines : lines.dropLast() {
            let parts = line.split(separator: "\t", omittingEmptySubsequences: false).map(unescaped)
            if parts.count == 4, parts[0] == "set" {
                note(Change(path: parts[1], before: parts[2], wanted: parts[3], shown: nil), in: &changes)
            } else if parts.count == 3, parts[0] == "shown", let at = changes.firstIndex(where: { $0.path == parts[1] }) {
                changes[at].shown = parts[2]
            } else if parts.count == 2, parts[0] == "undone" {
                changes.removeAll { $0.path == parts[1] }
            }
        }
        return changes
    }

    /// The first value before counts, however often a setting is changed after.
    private static func note(_ change: Change, in changes: inout [Change]) {
        if let at = changes.firstIndex(where: { $0.path == change.path }) {
            changes[at].wanted = change.wanted
            changes[at].shown = nil
        } else {
            changes.append(change)
        }
    }

    /// Changes one file of the kernel: the journal is on disk first.
    func change(_ path: String, to wanted: String) throws(LabFailure) {
        guard let before = files.read(path) else { throw LabFailure("cannot read \(path): \(errorText(errno))") }
        if before == KernelFiles.value(in: wanted) { return }
        if changes.isEmpty { try append("\(Self.signature) \(boot)\n", at: .start) }
        let change = Change(path: path, before: before, wanted: wanted, shown: nil)
        try append(Self.line(change), at: .end)
        Self.note(change, in: &changes)
        if let reason = files.write(path, wanted) { throw LabFailure("cannot set \(path) to '\(wanted)': \(reason)") }
        let shown = files.read(path) ?? wanted
        if let at = changes.firstIndex(where: { $0.path == path }) { changes[at].shown = shown }
        try append("shown\t\(Self.escaped(path))\t\(Self.escaped(shown))\n", at: .end)
    }

    private static func line(_ change: Change) -> String {
        "set\t\(escaped(change.path))\t\(escaped(change.before))\t\(escaped(change.wanted))\n"
    }

    /// Changes several files or none: when one fails, what this call has changed is put back, and what was changed before stays.
    func changeAll(_ wanted: [(path: String, value: String)]) throws(LabFailure) {
        let earlier = changes
        do throws(LabFailure) {
            for one in wanted { try change(one.path, to: one.value) }
        } catch {
            for outcome in undo(to: earlier) { say(outcome.sentence) }
            throw error
        }
    }

    /// Puts everything back, the last change first, and empties the journal; what failed stays in it for another try.
    @discardableResult
    func restore() -> [Outcome] {
        var outcomes: [Outcome] = []
        var kept: [Change] = []
        for change in changes.reversed() {
            let outcome = restore(change)
            outcomes.append(outcome)
            if outcome.isFailure { kept.insert(change, at: 0) }
        }
        changes = kept
        if kept.isEmpty { empty() }
        return outcomes
    }

    /// Puts back what was changed since `earlier`, the last change first: to the value that it had then. What was changed before
    /// stays as it is, and in the journal.
    func undo(to earlier: [Change]) -> [Outcome] {
        var outcomes: [Outcome] = []
        for change in changes.reversed() where !earlier.contains(change) {
            var target = change
            let former = earlier.first { $0.path == change.path }
            if let former {
                target.before = former.shown ?? former.wanted
                // Ahead, like every change: whoever comes after a crash in between goes by the first value, whatever is set then.
                try? append(Self.line(former), at: .end)
            }
            let outcome = restore(target)
            outcomes.append(outcome)
            if outcome.isFailure { continue }
            if let former {
                Self.note(former, in: &changes)
                noteShown(change.path, files.read(change.path) ?? target.before)
            } else {
                changes.removeAll { $0.path == change.path }
                try? append("undone\t\(Self.escaped(change.path))\n", at: .end)
            }
        }
        if changes.isEmpty { empty() }
        return outcomes
    }

    private func noteShown(_ path: String, _ shown: String) {
        if let at = changes.firstIndex(where: { $0.path == path }) { changes[at].shown = shown }
        try? append("shown\t\(Self.escaped(path))\t\(Self.escaped(shown))\n", at: .end)
    }

    private func restore(_ change: Change) -> Outcome {
        if !files.exists(change.path) { return .gone(path: change.path) }
        guard let now = files.read(change.path) else {
            return .failed(path: change.path, before: change.before, reason: "it cannot be read: \(errorText(errno))")
        }
        if now == change.before { return .unchanged(path: change.path) }
        if let shown = change.shown, now != shown {
            return .changedByOthers(path: change.path, now: now, before: change.before)
        }
        if let reason = files.write(change.path, change.before) {
            return .failed(path: change.path, before: change.before, reason: reason)
        }
        return .restored(path: change.path, to: change.before)
    }

    private enum Place { case start, end }

    private func append(_ text: String, at place: Place) throws(LabFailure) {
        if place == .start { ftruncate(descriptor, 0) }
        lseek(descriptor, 0, SEEK_END)
        let bytes = Array(text.utf8)
        guard Glibc.write(descriptor, bytes, bytes.count) == bytes.count, fsync(descriptor) == 0 else {
            throw LabFailure("cannot write the journal \(path): \(errorText(errno)); nothing more is changed")
        }
    }

    private func empty() {
        ftruncate(descriptor, 0)
        fsync(descriptor)
    }

    /// A new file is on disk only when its folder is.
    private func syncFolder() {
        let folder = path.lastIndex(of: "/").map { String(path[..<$0]) } ?? "."
        let descriptor = open(folder.isEmpty ? "/" : folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard descriptor >= 0 else { return }
        fsync(descriptor)
        close(descriptor)
    }

    private static func escaped(_ text: String) -> String {
        text.replacing("\\", with: "\\\\").replacing("\t", with: "\\t").replacing("\n", with: "\\n")
    }

    private static func unescaped(_ text: some StringProtocol) -> String {
        var result = ""
        var isEscape = false
        for character in text {
            if isEscape {
                result.append(character == "t" ? "\t" : character == "n" ? "\n" : character)
                isEscape = false
            } else if character == "\\" {
                isEscape = true
            } else {
                result.append(character)
            }
        }
        return result
    }
}
