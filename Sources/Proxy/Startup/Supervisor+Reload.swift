import CUring
import Glibc

/// What the supervisor knows about reloads: the wish, the one under way, and what became of the last one.
struct PendingReload {
    /// How long a server process may take before the operator is told.
    static let patienceMilliseconds = 15_000

    /// Why one is wanted: SIGHUP, or a change of the files that `ssl` sections name. Any number of reasons are one wish, also
    /// those that come while a reload is under way, and SIGHUP reads those files too.
    enum Wish { case none, materials, all }
    var wish = Wish.none
    /// What was said when changed files could not be taken: they are tried again now and then, and told of again when that is
    /// something else. nil = there are none, or the server process refused them, which a second trial may kill.
    var unusable: [String]?
    /// When they are tried again at the earliest.
    var retriesAt = 0
    /// Reading large lists takes the thread that also looks after the server process.
    static let retryMilliseconds = 1_000
    /// Handed to the server process, which has not answered yet.
    var candidate: ReloadCandidate?
    /// When to tell that the answer is long in coming.
    var warnsAt: Int?
    /// SIGUSR1 came meanwhile.
    var reopensLogs = false
    var record = ReloadRecord()

    /// Nothing is under way or waits.
    var isIdle: Bool { wish == .none && candidate == nil }
}

/// SIGHUP: the configuration is read again, and taken as a whole or not at all. When a file that an `ssl` section names has
/// changed, the same happens with the texts that are in force.
///
///     read the files ─ errors ──────────────────────────────────────────┐
///          │                                                            │
///     open listeners and logs ─ a taken port, a missing right ──────────┤ all that was opened is closed,
///          │                                                            │ the old configuration stays,
///     hand over ─ the server process cannot compile it, or dies ────────┘ the log says why
///          │
///     reloaded: all workers go by it ─ old listeners are closed here, then emptied and closed there
///
/// What the server process starts with after a crash changes in the last step alone, so that a configuration that kills
/// it is not the one it is started with again.
extension Supervisor {
    /// Begins the reload that was asked for once nothing is in its way, and looks after the one under way.
    func advanceReload(now: Int) {
        if let warnsAt = reload.warnsAt, now >= warnsAt {
            reload.warnsAt = nil
            report(.warn, "the server process has not taken the new configuration for \(seconds(PendingReload.patienceMilliseconds)); the old one is in use")
        }
        lookForChanges(now: now)
        guard reload.wish != .none, reload.candidate == nil else { return }
        switch phase {
        case .starting, .dying: return  // a process that has not begun, or is about to end, cannot take anything
        case .draining, .ending: if reload.wish == .all { report(.notice, "SIGHUP: nothing is read while stopping") }
        case .serving, .pausing: beginReload(ofAll: reload.wish == .all, now: now)
        }
        reload.wish = .none
    }

    /// Looks for files that have changed, when it is time.
    private func lookForChanges(now: Int) {
        guard reload.isIdle, phase == .serving, let looksAt = watch?.looksAt, now >= looksAt else { return }
        if watch?.hasChanged(now: now) == true {
            reload.unusable = nil
            reload.wish = .materials
        } else if reload.unusable != nil, now >= reload.retriesAt {
            reload.wish = .materials
        }
    }

    /// - Parameter ofAll: the texts of the configuration are read again too.
    private func beginReload(ofAll: Bool, now: Int) {
        guard case .file(let path, _, _) = prepared.assignment.source else {
            return report(.notice, "SIGHUP: nothing to read again; the configuration stands on the command line")
        }
        let before = ofAll ? nil : reload.unusable
        if before == nil {
            if !ofAll { report(.info, "a file that an 'ssl' section names has changed") }
            tellServiceManagerReloading()
        }
        var source = prepared.assignment.source
        let loaded = ofAll ? source.loadRecording() : source.refreshMaterials()
        let said = loaded.diagnostics.map(\.description)
        if !ofAll { reload.retriesAt = now + PendingReload.retryMilliseconds }
        if let before {
            if loaded.settings == nil, said == before { return }
            tellServiceManagerReloading()
        }
        for diagnostic in loaded.diagnostics {
            report(diagnostic.severity == .error ? .error : .warn, "\(diagnostic.location): \(diagnostic.message)")
        }
        guard let settings = loaded.settings else {
            if !ofAll { reload.unusable = said }
            let errors = loaded.diagnostics.filter { $0.severity == .error }
            let count = errors.count == 1 ? "an error" : "\(errors.count) errors"
            return fail(.invalid, ofAll ? "\(path) has \(count)" : "\(count) in the files that have changed", first: errors.first?.description)
        }
        let candidate: ReloadCandidate
        do throws(LaunchFailure) {
            candidate = try ReloadCandidate(settings, source, after: prepared)
        } catch {
            if !ofAll { reload.unusable = [error.description] }
            return before == [error.description] ? finishReload() : fail(.refused, error.description)
        }
        reload.unusable = nil
        guard let channel else { return take(candidate) }  // between two processes: the next one starts with it
        reload.candidate = candidate
        reload.warnsAt = now + PendingReload.patienceMilliseconds
        do throws(LaunchFailure) {
            try handOver(candidate, to: channel)
        } catch {
            giveUpReload(error.description)
        }
    }

    private func handOver(_ candidate: ReloadCandidate, to channel: ControlChannel) throws(LaunchFailure) {
        let file = try memoryFile("weir-reload", wiping: candidate.assignment.encoded())
        defer { close(file) }
        // A process that dies meanwhile is told about by SIGCHLD, which gives the candidate up.
        channel.send(.reload, [file])
        channel.sendBatches(.descriptors, candidate.descriptors)
    }

    /// Every worker goes by the new configuration.
    func onReloaded() {
        guard let candidate = reload.candidate else { return }  // given up by a stop
        reload.candidate = nil
        reload.warnsAt = nil
        take(candidate)
    }

    /// Makes a candidate what runs.
    private func take(_ candidate: ReloadCandidate) {
        let change = candidate.listeners
        // Only the server process holds what goes now: what is still in those queues is answered, the next is refused.
        for listener in change.dropped { close(listener.descriptor) }
        change.dropped.removeUnixFiles()
        let oldLogs = prepared.logs
        prepared = candidate.next
        let newLogs = prepared.logs
        prepared.logs = oldLogs
        use(logs: newLogs)
        prepared.listeners.refresh(prepared.settings, crew: prepared.crew)
        watch = MaterialWatch(
            prepared.assignment.source, every: prepared.settings.materialReloadMilliseconds, now: monotonicMilliseconds())
        channel?.send(.listenersReleased)
        reload.record.note(.taken)
        for word in candidate.postponed { report(.warn, "'\(word)' takes effect at the next start") }
        for warning in prepared.listeners.warnings { report(.warn, warning) }
        announce(change)
        finishReload()
    }

    private func announce(_ change: ListenerSet.Change) {
        let opened = Set(change.opened.map(\.id))
        let old = Set(change.set.listeners.filter { !opened.contains($0.id) }.map(\.group))
        let added = change.opened.filter { !old.contains($0.group) }
        prepared.outside.announce(added.addresses)
        var sentence = "configuration \(prepared.assignment.generation) is in use"
        if !added.isEmpty { sentence += "; listening on " + added.addresses.map(\.description).joined(separator: ", ") }
        if !change.dropped.isEmpty {
            sentence += "; no longer on " + change.dropped.addresses.map(\.description).joined(separator: ", ")
        }
        report(.notice, sentence)
    }

    /// The candidate is not taken, for this reason; does nothing without one.
    func giveUpReload(_ reason: String) {
        guard let candidate = reload.candidate else { return }
        reload.candidate = nil
        reload.warnsAt = nil
        candidate.giveUp()
        fail(.refused, reason)
    }

    private func fail(_ outcome: ReloadRecord.Outcome, _ reason: String, first: String? = nil) {
        report(.error, "\(reason); configuration \(prepared.assignment.generation) stays in use")
        reload.record.note(outcome, reason: first ?? reason)
        finishReload()
    }

    private func finishReload() {
        channel?.send(.lastReload(reload.record))
        tellServiceManagerReady()
        reopenLogsIfAsked()
    }

    // MARK: The service manager

    private func tellServiceManagerReloading() { prepared.outside.manager?.tell(.reloading) }

    /// The reload has ended, well or not.
    private func tellServiceManagerReady() { prepared.outside.manager?.tell(.ready(prepared.listeners.addresses)) }
}
