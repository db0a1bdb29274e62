import CUring
import Glibc

// What the command line calls for `weir lab`: one function for each word, the exit code as its result.

/// Whether and how the lab may change things.
public struct LabOptions: Sendable {
    public var dryRun: Bool
    /// Changes are made without asking.
    public var agreed: Bool
    public var journal: String?
    /// Folder of experiments, profiles and results.
    public var folder: String?

    public init(dryRun: Bool, agreed: Bool, journal: String?, folder: String?) {
        self.dryRun = dryRun
        self.agreed = agreed
        self.journal = journal
        self.folder = folder
    }

    func journalPath(_ name: String) -> String {
        journal ?? ChangeJournal.usualPath(name: name, user: geteuid(), environment: currentEnvironment())
    }
}

/// `weir lab restore`: puts back what a lab that was ended left behind.
public func labRestore(_ options: LabOptions) -> Int32 {
    do throws(LabFailure) {
        let journal = try ChangeJournal(path: options.journalPath("lab"))
        if journal.changes.isEmpty {
            write("nothing to restore: no lab left a change behind\n", to: STDOUT_FILENO)
            return 0
        }
        if options.dryRun {
            for change in journal.changes { write("would set \(change.path) back to '\(change.before)'\n", to: STDOUT_FILENO) }
            return 0
        }
        let outcomes = journal.restore()
        for outcome in outcomes { write(outcome.sentence + "\n", to: STDOUT_FILENO) }
        return outcomes.contains(where: \.isFailure) ? 1 : 0
    } catch {
        say("\(error)")
        return 1
    }
}

/// `weir lab profile list`.
public func labProfiles(_ options: LabOptions) -> Int32 {
    do throws(LabFailure) {
        let folder = TuningFolder(options.folder)
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
public func labProfile(show name: String, _ options: LabOptions) -> Int32 {
    do throws(LabFailure) {
        write(ProfilePlan(try TuningFolder(options.folder).profile(name)).text, to: STDOUT_FILENO)
        return 0
    } catch {
        say("\(error)")
        return 1
    }
}

/// `weir lab profile apply NAME`: shows, asks, and changes what is the machine's; the rest is for the operator's files.
public func labProfile(apply name: String, _ options: LabOptions) -> Int32 {
    do throws(LabFailure) {
        let profile = try TuningFolder(options.folder).profile(name)
        let plan = ProfilePlan(profile)
        write(plan.text + "\n", to: STDOUT_FILENO)
        if options.dryRun { return 0 }
        if plan.changes.isEmpty {
            write("nothing to change on this machine\n", to: STDOUT_FILENO)
            return plan.lacks.isEmpty ? 0 : 1
        }
        try agree("change \(plan.changes.count) settings of this machine", options)
        let journal = try ChangeJournal(path: options.journalPath("profile"))
        do throws(LabFailure) {
            for change in plan.changes { try journal.change(change.path, to: change.value) }
        } catch {
            for outcome in journal.restore() { say(outcome.sentence) }
            throw error
        }
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
    do throws(LabFailure) {
        let journal = try ChangeJournal(path: options.journalPath("profile"))
        if journal.changes.isEmpty {
            write("nothing to revert: no profile changed anything since the machine started\n", to: STDOUT_FILENO)
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
