import Glibc

/// The logs of one worker: a buffer each, written through the ring, one write in flight per log.
struct WorkerLogs: ~Copyable {
    /// What the worker tells the operator.
    let events: EventLog
    private let logs: UnsafeMutablePointer<UnsafeMutablePointer<LogBuffer>?>
    private let descriptors: UnsafeMutablePointer<Int32>
    /// A newly opened descriptor that waits for the end of a write; -1 = none.
    private let replacements: UnsafeMutablePointer<Int32>
    let count: Int
    /// Formats of the access and the error log of each server; nil = that log is off.
    let formats: UnsafeMutablePointer<LogFormat?>
    /// Some log prints the local port of backend connections.
    let wantsBackendPort: Bool
    private var isAnyOn = false

    init(_ start: WorkerStart, events: EventLog) {
        self.events = events
        let plan = LogPlan(start.settings)
        count = plan.logs.count
        logs = .allocate(capacity: count)
        descriptors = .allocate(capacity: count)
        replacements = .allocate(capacity: count)
        formats = .allocate(capacity: count)
        var wantsPort = false
        for (place, settings) in plan.logs.enumerated() {
            let descriptor = place < start.logDescriptors.count ? start.logDescriptors[place] : -1
            (descriptors + place).initialize(to: descriptor)
            (replacements + place).initialize(to: -1)
            var format: LogFormat?
            // The operator's log belongs to the control thread; an error log prints what its access log captured too.
            if place > 0, settings.enabled, settings.includesRequests, descriptor >= 0 {
                let isError = place == LogPlan.errorLog(server: (place - 1) / 2)
                format = try? LogFormat.compile(settings.format, after: isError ? formats[place - 1] : nil).get()
                if settings.format.uppercased().contains("DS_SPORT") || settings.format == "json" { wantsPort = true }
            }
            (formats + place).initialize(to: format)
            if let format {
                let buffer = UnsafeMutablePointer<LogBuffer>.allocate(capacity: 1)
                buffer.initialize(
                    to: LogBuffer(framing: .of(descriptor: descriptor, facility: settings.facility), style: format.style))
                (logs + place).initialize(to: buffer)
                isAnyOn = true
            } else {
                (logs + place).initialize(to: nil)
            }
        }
        wantsBackendPort = wantsPort
    }

    var isOn: Bool { isAnyOn }

    /// Prints an exchange to a log; false when the line was dropped.
    @inline(__always)
    mutating func append(_ record: borrowing LogRecord, to place: Int) {
        guard let format = formats[place] else { return }
        format.append(record, to: &logs[place]!.pointee)
    }

    mutating func appendError(_ record: borrowing LogRecord, message: StaticString, to place: Int) {
        guard let format = formats[place] else { return }
        format.appendError(record, message: message, to: &logs[place]!.pointee)
    }

    /// When a log wants to be written next.
    func nanosecondsToFlush(now: UInt64) -> UInt64? {
        guard isAnyOn else { return nil }
        var soonest: UInt64?
        for place in 0..<count where formats[place] != nil {
            guard let deadline = logs[place]!.pointee.flushDeadline else {
                // Lines that nobody has asked about yet are looked at soon.
                if !logs[place]!.pointee.isEmpty && !logs[place]!.pointee.isWriting { soonest = min(soonest ?? .max, LogBuffer.flushNanoseconds) }
                continue
            }
            soonest = min(soonest ?? .max, deadline > now ? deadline - now : 0)
        }
        return soonest
    }

    /// The bytes of the next write of a log, with its descriptor; nil when none is due.
    mutating func nextWrite(_ place: Int, now: UInt64, atEnd: Bool) -> (descriptor: Int32, start: UnsafeRawPointer, count: Int)? {
        guard formats[place] != nil else { return nil }
        takeReplacement(place)
        guard logs[place]!.pointee.wantsFlush(at: now) || atEnd else { return nil }
        if logs[place]!.pointee.framing.isDatagram {
            _ = logs[place]!.pointee.sendLines(to: descriptors[place])
            if logs[place]!.pointee.needsReconnect { connectAgain(place) }
            return nil
        }
        guard let (start, count) = logs[place]!.pointee.takeForWrite() else { return nil }
        return (descriptors[place], start, count)
    }

    /// Never inlined: the path of the socket is a string, and strings have no business in a tick.
    @inline(never)
    private func connectAgain(_ place: Int) {
        if connectSyslog(descriptors[place]) == 0 { logs[place]!.pointee.onDescriptorChanged() }
    }

    mutating func onWritten(_ place: Int, _ result: Int32) {
        logs[place]!.pointee.onWritten(result)
        takeReplacement(place)
    }

    /// Totals over all logs, for the counters.
    func totals() -> (written: UInt64, dropped: UInt64, errors: UInt64) {
        var totals: (written: UInt64, dropped: UInt64, errors: UInt64) = (0, 0, 0)
        for place in 0..<count where formats[place] != nil {
            totals.written &+= logs[place]!.pointee.writtenLines
            totals.dropped &+= logs[place]!.pointee.droppedLines
            totals.errors &+= logs[place]!.pointee.writeErrors
        }
        return totals
    }

    /// Takes newly opened descriptors; each is used from the next line on.
    mutating func replaceDescriptors(_ new: [Int32]) {
        for (place, descriptor) in new.enumerated() {
            guard place < count, formats[place] != nil else {
                close(descriptor)
                continue
            }
            if replacements[place] >= 0 { close(replacements[place]) }
            replacements[place] = descriptor
            takeReplacement(place)
        }
    }

    private mutating func takeReplacement(_ place: Int) {
        guard replacements[place] >= 0, logs[place]!.pointee.isBetweenLines else { return }
        close(descriptors[place])
        descriptors[place] = replacements[place]
        replacements[place] = -1
        logs[place]!.pointee.onDescriptorChanged()
    }

    /// Writes what is left, when no write is in flight any more.
    mutating func finish() {
        for place in 0..<count where formats[place] != nil && !logs[place]!.pointee.isWriting {
            logs[place]!.pointee.finish(to: descriptors[place])
        }
    }

    func isWriting() -> Bool {
        for place in 0..<count where formats[place] != nil && logs[place]!.pointee.isWriting { return true }
        return false
    }
}

extension Worker where Ring: ~Copyable {
    /// Starts the writes that are due; at the end waits for them and writes the rest.
    mutating func flushLogs(atEnd: Bool) {
        guard logs.isOn else { return }
        for place in 1..<logs.count {
            guard let write = logs.nextWrite(place, now: clock.now, atEnd: false) else { continue }
            ring.startWrite(write.descriptor, write.start, write.count, token: OperationToken(.logWrite, slot: UInt32(place)))
        }
        guard atEnd else { return }
        var rounds = 0
        while logs.isWriting() && rounds < 100 {
            rounds += 1
            _ = ring.enter(waitNanoseconds: 20_000_000, minWaitMicroseconds: 0)
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

    private func publishLogCounters() {
        let totals = logs.totals()
        counters.store(totals.written, at: WorkerCounter.logLines.rawValue)
        counters.store(totals.dropped, at: WorkerCounter.logLinesDropped.rawValue)
        counters.store(totals.errors, at: WorkerCounter.logWriteErrors.rawValue)
    }
}
