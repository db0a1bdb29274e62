import Glibc

/// The logs of one worker: a buffer each, written through the ring, one write in flight per log.
///
/// A table of entries that outlives plans: a plan takes an entry for each of its logs, finds the one that is there
/// already when its settings are equal, and lets go of them when nothing uses it any more. Tunnels hold theirs beside
/// that. An entry that nobody holds writes what it has and closes its descriptor.
struct WorkerLogs: ~Copyable {
    /// What the worker tells the operator.
    let events: EventLog
    private var entries: UnsafeMutablePointer<Entry>
    private var capacity: Int
    private(set) var count = 0
    /// By entry; for cold paths.
    private var keys: [LogPlan.Entry?] = []
    /// Some log prints the local port of backend connections.
    private(set) var wantsBackendPort = false
    private var retiredTotals = Totals()

    struct Totals: BitwiseCopyable {
        var written: UInt64 = 0
        var dropped: UInt64 = 0
        var errors: UInt64 = 0
    }

    private struct Entry: BitwiseCopyable {
        /// nil = the place is free.
        var buffer: UnsafeMutablePointer<LogBuffer>?
        var format: LogFormat
        var descriptor: Int32
        /// A newly opened descriptor that waits for the end of a write; -1 = none.
        var replacement: Int32 = -1
        /// Plans and tunnels that write here.
        var holders = 1
    }

    init(events: EventLog) {
        self.events = events
        capacity = 8
        entries = .allocate(capacity: capacity)
    }

    deinit { entries.deallocate() }

    var isOn: Bool { count > 0 }
    /// Entries that are in use, those that nobody writes to any more included.
    var openCount: Int { (0..<count).count { entries[$0].buffer != nil } }

    // MARK: - Entries

    /// Takes an entry for every log of a plan; the descriptors become the table's.
    ///
    /// - Parameter descriptors: one for each place of the plan, this worker's own; -1 = go on with the one that is there.
    /// - Returns: entry of each place, -1 = off; the caller gives it to `letGo` in the end.
    mutating func take(_ plan: LogPlan, descriptors: [Int32]) -> UnsafeMutablePointer<Int32> {
        let map = UnsafeMutablePointer<Int32>.allocate(capacity: plan.entries.count)
        map.initialize(repeating: -1, count: plan.entries.count)
        for (place, wanted) in plan.entries.enumerated() {
            let descriptor = place < descriptors.count ? descriptors[place] : -1
            // The operator's log belongs to the control thread.
            guard place > 0 else {
                if descriptor >= 0 { close(descriptor) }
                continue
            }
            // Equal means: equal settings, printed from the same record as an access log that is equal too.
            var key = wanted
            key.companion = wanted.companion > 0 ? Int(map[wanted.companion]) + 1 : 0
            if let known = keys.firstIndex(of: key) {
                entries[known].holders += 1
                if descriptor >= 0 { replace(known, descriptor) }
                map[place] = Int32(known)
            } else if descriptor >= 0 {
                map[place] = open(key, descriptor)
            }
        }
        lookForPorts()
        return map
    }

    /// A plan is used no more.
    mutating func letGo(_ map: UnsafeMutablePointer<Int32>, count: Int) {
        for place in 0..<count { letGo(map[place]) }
        map.deallocate()
    }

    /// Counts a tunnel among those who write to an entry.
    mutating func hold(_ entry: Int32) { if entry >= 0 { entries[Int(entry)].holders &+= 1 } }

    /// One less writes to an entry; the last one's lines still go out.
    mutating func letGo(_ entry: Int32) {
        guard entry >= 0 else { return }
        entries[Int(entry)].holders &-= 1
        if entries[Int(entry)].holders == 0 { retire(Int(entry)) }
    }

    private mutating func open(_ key: LogPlan.Entry, _ descriptor: Int32) -> Int32 {
        // An error log prints what its access log captured too.
        let companion = key.companion > 0 ? entries[key.companion - 1].format : nil
        guard let format = try? LogFormat.compile(key.settings.format, after: companion).get() else {
            close(descriptor)
            return -1
        }
        let buffer = UnsafeMutablePointer<LogBuffer>.allocate(capacity: 1)
        buffer.initialize(
            to: LogBuffer(
                framing: .of(descriptor: descriptor, facility: key.settings.facility, severity: key.severity), style: format.style))
        let place = keys.firstIndex(of: nil) ?? count
        if place == capacity { grow() }
        (entries + place).initialize(to: Entry(buffer: buffer, format: format, descriptor: descriptor))
        if place == count {
            count += 1
            keys.append(key)
        } else {
            keys[place] = key
        }
        return Int32(place)
    }

    private mutating func grow() {
        let larger = UnsafeMutablePointer<Entry>.allocate(capacity: capacity * 2)
        larger.moveInitialize(from: entries, count: count)
        entries.deallocate()
        entries = larger
        capacity *= 2
    }

    /// Nobody writes to the entry any more: nobody finds it again, and it ends when its last line is out.
    @inline(never)
    private mutating func retire(_ place: Int) {
        keys[place]?.companion = -1
        endIfRetired(place)
        lookForPorts()
    }

    @inline(never)
    private mutating func endIfRetired(_ place: Int) {
        guard let buffer = entries[place].buffer, entries[place].holders == 0, !buffer.pointee.isWriting else { return }
        buffer.pointee.finish(to: entries[place].descriptor)
        retiredTotals.written &+= buffer.pointee.writtenLines
        retiredTotals.dropped &+= buffer.pointee.droppedLines
        retiredTotals.errors &+= buffer.pointee.writeErrors
        close(entries[place].descriptor)
        if entries[place].replacement >= 0 { close(entries[place].replacement) }
        entries[place].format.release()
        buffer.deinitialize(count: 1)
        buffer.deallocate()
        entries[place].buffer = nil
        keys[place] = nil
    }

    private mutating func lookForPorts() {
        wantsBackendPort = keys.contains { key in
            guard let format = key?.settings.format else { return false }
            return format.uppercased().contains("DS_SPORT") || format == "json"
        }
    }

    // MARK: - Lines

    /// The format of an entry; nil = it is off.
    @inline(__always)
    func format(_ entry: Int32) -> LogFormat? { entry < 0 ? nil : entries[Int(entry)].format }

    /// Prints an exchange to a log.
    @inline(__always)
    mutating func append(_ record: borrowing LogRecord, to entry: Int32) {
        guard entry >= 0, let buffer = entries[Int(entry)].buffer else { return }
        entries[Int(entry)].format.append(record, to: &buffer.pointee)
    }

    mutating func appendError(_ record: borrowing LogRecord, message: StaticString, to entry: Int32) {
        guard entry >= 0, let buffer = entries[Int(entry)].buffer else { return }
        entries[Int(entry)].format.appendError(record, message: message, to: &buffer.pointee)
    }

    /// When a log wants to be written next.
    func nanosecondsToFlush(now: UInt64) -> UInt64? {
        var soonest: UInt64?
        for place in 0..<count {
            guard let buffer = entries[place].buffer else { continue }
            guard let deadline = buffer.pointee.flushDeadline else {
                // Lines that nobody has asked about yet are looked at soon.
                if !buffer.pointee.isEmpty && !buffer.pointee.isWriting { soonest = min(soonest ?? .max, LogBuffer.flushNanoseconds) }
                continue
            }
            soonest = min(soonest ?? .max, deadline > now ? deadline - now : 0)
        }
        return soonest
    }

    /// The bytes of the next write of a log, with its descriptor; nil when none is due.
    mutating func nextWrite(_ place: Int, now: UInt64) -> (descriptor: Int32, start: UnsafeRawPointer, count: Int)? {
        guard let buffer = entries[place].buffer else { return nil }
        takeReplacement(place)
        guard buffer.pointee.wantsFlush(at: now) else { return nil }
        if buffer.pointee.framing.isDatagram {
            _ = buffer.pointee.sendLines(to: entries[place].descriptor)
            if buffer.pointee.needsReconnect { connectAgain(place) }
            return nil
        }
        guard let (start, count) = buffer.pointee.takeForWrite() else { return nil }
        return (entries[place].descriptor, start, count)
    }

    /// Never inlined: the path of the socket is a string, and strings have no business in a tick.
    @inline(never)
    private func connectAgain(_ place: Int) {
        if connectSyslog(entries[place].descriptor) == 0 { entries[place].buffer!.pointee.onDescriptorChanged() }
    }

    mutating func onWritten(_ place: Int, _ result: Int32) {
        guard let buffer = entries[place].buffer else { return }
        buffer.pointee.onWritten(result)
        takeReplacement(place)
        if entries[place].holders == 0 { endIfRetired(place) }
    }

    /// Totals over all logs, for the counters.
    func totals() -> Totals {
        var totals = retiredTotals
        for place in 0..<count {
            guard let buffer = entries[place].buffer else { continue }
            totals.written &+= buffer.pointee.writtenLines
            totals.dropped &+= buffer.pointee.droppedLines
            totals.errors &+= buffer.pointee.writeErrors
        }
        return totals
    }

    /// Takes newly opened descriptors of the logs of a plan; each is used from the next line on.
    mutating func replaceDescriptors(_ new: [Int32], _ map: UnsafeMutablePointer<Int32>, count: Int) {
        for (place, descriptor) in new.enumerated() {
            guard place < count, map[place] >= 0 else {
                close(descriptor)
                continue
            }
            replace(Int(map[place]), descriptor)
        }
    }

    private mutating func replace(_ place: Int, _ descriptor: Int32) {
        if entries[place].replacement >= 0 { close(entries[place].replacement) }
        entries[place].replacement = descriptor
        takeReplacement(place)
    }

    private mutating func takeReplacement(_ place: Int) {
        guard entries[place].replacement >= 0, let buffer = entries[place].buffer, buffer.pointee.isBetweenLines else { return }
        close(entries[place].descriptor)
        entries[place].descriptor = entries[place].replacement
        entries[place].replacement = -1
        buffer.pointee.onDescriptorChanged()
    }

    /// Writes what is left, when no write is in flight any more.
    mutating func finish() {
        for place in 0..<count {
            guard let buffer = entries[place].buffer, !buffer.pointee.isWriting else { continue }
            buffer.pointee.finish(to: entries[place].descriptor)
        }
    }

    func isWriting() -> Bool {
        for place in 0..<count { if let buffer = entries[place].buffer, buffer.pointee.isWriting { return true } }
        return false
    }
}

extension Worker where Ring: ~Copyable {
    /// Starts the writes that are due; at the end waits for them and writes the rest.
    mutating func flushLogs(atEnd: Bool) {
        guard logs.isOn else { return }
        for place in 0..<logs.count {
            guard let write = logs.nextWrite(place, now: clock.now) else { continue }
            ring.startWrite(write.descriptor, write.start, write.count, token: OperationToken(.logWrite, slot: UInt32(place)))
        }
        guard atEnd else { return }
        var rounds = 0
        while logs.isWriting() && rounds < 100 {
            rounds += 1
            _ = ring.enter(waitNanoseconds: 20_000_000, gathering: .none)
            let ready = ring.completionCount()
            for at in 0..<ready {
                let completion = ring.completion(at: at)
                if completion.token.kind == .logWrite { onLogWritten(completion) }
            }
            ring.consumeCompletions(ready)
        }
        logs.finish()
        publishLogCounters()
    }

    mutating func onLogWritten(_ completion: Completion) {
        logs.onWritten(Int(completion.token.slot), completion.result)
        publishLogCounters()
    }

    private mutating func publishLogCounters() {
        let totals = logs.totals()
        counters.store(totals.written, at: WorkerCounter.logLines.rawValue)
        counters.store(totals.dropped, at: WorkerCounter.logLinesDropped.rawValue)
        counters.store(totals.errors, at: WorkerCounter.logWriteErrors.rawValue)
    }
}
