import CUring
import Glibc

// What the command line calls for `weir lab`: one function for each word, the exit code as its result.

/// Whether and how the lab may change things.
public struct LabOptions: Sendable {
    public var dryRun: Bool
    /// Changes are made without asking.
    public var agreed: Bool
    public var journal: String?

    public init(dryRun: Bool, agreed: Bool, journal: String?) {
        self.dryRun = dryRun
        self.agreed = agreed
        self.journal = journal
    }

    func journalPath(_ name: String) -> String {
        journal ?? ChangeJournal.usualPath(name: name, user: geteuid(), environment: currentEnvironment())
    }
}

/// `weir lab restore`: shows what a lab that was ended left behind, asks, and puts it back.
public func labRestore(_ options: LabOptions) -> Int32 {
    putBack(options.journalPath("lab"), otherwise: "nothing to restore: no lab left a change behind", options)
}

/// Shows what a journal says, asks, and puts it back.
private func putBack(_ path: String, otherwise: String, _ options: LabOptions) -> Int32 {
    do throws(LabFailure) {
        let lock = try MachineLock()
        defer { withExtendedLifetime(lock) {} }
        // A journal that is not there is not made only to find it empty.
        let journal = access(path, F_OK) == 0 ? try ChangeJournal(path: path) : nil
        guard let journal, !journal.changes.isEmpty else {
            write(otherwise + "\n", to: STDOUT_FILENO)
            return 0
        }
        for change in journal.changes { write("\(change.path): '\(change.shown ?? change.wanted)' -> '\(change.before)'\n", to: STDOUT_FILENO) }
        if options.dryRun { return 0 }
        try agree("put \(plural(journal.changes.count, "setting")) of this machine back", options)
        let outcomes = journal.restore()
        for outcome in outcomes { write(outcome.sentence + "\n", to: STDOUT_FILENO) }
        return outcomes.contains(where: \.isFailure) ? 1 : 0
    } catch {
        say("\(error)")
        return 1
    }
}

/// `weir lab profile list`.
public func labProfiles(folder: String?) -> Int32 {
    do throws(LabFailure) {
        let folder = TuningFolder(folder)
        let names = folder.profileNames
        if names.isEmpty { throw LabFailure("there are no profiles in \(folder.path)/profiles; name the folder with --directory") }
        for name in names { write("\(name): \(try folder.profile(name).purpose ?? "")\n", to: STDOUT_FILENO) }
        return 0
    } catch {
        say("\(error)")
        return 1
    }
}

/// `weir lab profile show NAME`.
public func labProfile(show name: String, folder: String?) -> Int32 {
    do throws(LabFailure) {
        let folder = TuningFolder(folder)
        write(ProfilePlan(try folder.profile(name)).text(folder), to: STDOUT_FILENO)
        return 0
    } catch {
        say("\(error)")
        return 1
    }
}

/// `weir lab profile apply NAME`: shows, asks, and changes what is the machine's; the rest is for the operator's files.
public func labProfile(apply name: String, folder: String?, _ options: LabOptions) -> Int32 {
    do throws(LabFailure) {
        let folder = TuningFolder(folder)
        let plan = ProfilePlan(try folder.profile(name))
        write(plan.text(folder) + "\n", to: STDOUT_FILENO)
        if options.dryRun { return 0 }
        if plan.changes.isEmpty {
            write("nothing to change on this machine\n", to: STDOUT_FILENO)
            return plan.lacks.isEmpty ? 0 : 1
        }
        try agree("change \(plan.changes.count) settings of this machine", options)
        let lock = try MachineLock()
        defer { withExtendedLifetime(lock) {} }
        let journal = try ChangeJournal(path: options.journalPath("profile"))
        try journal.changeAll(plan.changes)
        let count = plan.changes.count
        write("\(plural(count, "setting")) changed; 'weir lab profile revert' puts them back, and so does a restart of the machine\n", to: STDOUT_FILENO)
        return plan.lacks.isEmpty ? 0 : 1
    } catch {
        say("\(error)")
        return 1
    }
}

/// `weir lab profile revert`: puts back what `apply` changed since the machine started.
public func labProfileRevert(_ options: LabOptions) -> Int32 {
    putBack(options.journalPath("profile"), otherwise: "nothing to revert: no profile changed anything since the machine started", options)
}

/// Asks at the terminal; without one, nothing is changed unless `--yes` said so.
func agree(_ what: String, _ options: LabOptions) throws(LabFailure) {
    if options.agreed { return }
    guard isatty(STDIN_FILENO) == 1, isatty(STDOUT_FILENO) == 1 else {
        throw LabFailure("nothing was changed: add --yes to \(what)")
    }
    write("\(what)? [y/N] ", to: STDOUT_FILENO)
    guard let answer = readLine()?.lowercased(), answer == "y" || answer == "yes" else {
        throw LabFailure("nothing was changed")
    }
}
