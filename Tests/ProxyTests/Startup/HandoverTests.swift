import CUring
import Glibc
import Testing

@testable import Proxy

@Suite("Hand-over to the server process")
struct HandoverTests {
    private let assignment = ServerAssignment(
        source: .file(
            path: "weir.conf", texts: [.init(path: "weir.conf", bytes: [0, 255, 10]), .init(path: "b", bytes: [])],
            materials: [.init(path: "k", content: .file(SecretBytes([1, 2]))), .init(path: "d", content: .directory(["a", "b"]))]),
        workers: 3, cpus: [4, 5, 6], listeners: [.init(worker: 0, server: 0, id: 4), .init(worker: 2, server: 1, id: 9)], logCount: 5,
        hasAdminListener: true, rights: .init(user: 33, group: 44), restarts: 7, ticketSecret: SecretBytes([9, 8]))

    @Test("an assignment arrives as it was sent")
    func roundTrip() {
        #expect(ServerAssignment(encoded: assignment.encoded()) == assignment)
        var quick = assignment
        quick.source = .quick(listen: ["127.0.0.1:0"], to: ["a", ""])
        quick.rights = nil
        #expect(ServerAssignment(encoded: quick.encoded()) == quick)
    }

    @Test("a reload arrives as it was sent, and is refused when it is cut or longer")
    func reload() {
        let reload = ReloadAssignment(
            generation: 3, source: assignment.source, listeners: assignment.listeners, handed: [9], logCount: 2)
        let bytes = reload.encoded()
        #expect(ReloadAssignment(encoded: bytes) == reload)
        #expect(reload.descriptorCount == 3)
        for length in 0..<bytes.count { #expect(ReloadAssignment(encoded: Array(bytes[..<length])) == nil) }
        #expect(ReloadAssignment(encoded: bytes + [0]) == nil)
    }

    @Test("the record of reloads counts, and tells the last one")
    func record() {
        var record = ReloadRecord()
        record.note(.taken, at: 5_000_000_000)
        record.note(.invalid, reason: "a.conf:1:1", at: 7_000_000_000)
        #expect(record.takenCount == 1)
        #expect(record.failedCount == 1)
        #expect(record.unixMilliseconds == 7_000)
        #expect(record.reason == "a.conf:1:1")
        #expect(ReloadRecord(encoded: record.encoded) == record)
        #expect(ReloadRecord(encoded: record.encoded + [0]) == nil)
        #expect(ReloadRecord(encoded: record.encoded.dropLast()) == nil)
    }

    @Test("an assignment that is cut or longer is refused, never trusted")
    func cut() {
        let bytes = assignment.encoded()
        for length in 0..<bytes.count { #expect(ServerAssignment(encoded: Array(bytes[..<length])) == nil) }
        #expect(ServerAssignment(encoded: bytes + [0]) == nil)
    }

    @Test(
        "every message arrives as it was sent",
        arguments: [
            .assignment, .descriptors, .logs, .drain(deadlineMilliseconds: 30_000), .stopNow, .ready, .failed("why"), .notice(.warn, "why"), .crashed,
            .reload, .reloaded, .reloadRefused("why"), .listenersReleased, .lastReload(ReloadRecord()),
        ] as [ControlMessage])
    func messages(message: ControlMessage) { #expect(ControlMessage(bytes: message.bytes) == message) }

    @Test("bytes that are no message are refused", arguments: [[], [200], [3], [3, 120], [11], [11, 1]] as [[UInt8]])
    func noMessage(bytes: [UInt8]) { #expect(ControlMessage(bytes: bytes) == nil) }

    @Test("any number of descriptors goes over, in batches and in order")
    func manyDescriptors() throws {
        var ends: (Int32, Int32) = (-1, -1)
        try #require(cprocess_socket_pair(&ends.0, &ends.1) == 0)
        let (sender, receiver) = (ControlChannel(descriptor: ends.0), ControlChannel(descriptor: ends.1))
        defer {
            close(ends.0)
            close(ends.1)
        }
        let sent = (0..<600).map { _ in eventfd() }
        try #require(sent.allSatisfy { $0 >= 0 })
        #expect(sender.sendBatches(.descriptors, sent))
        var received: [Int32] = []
        for expected in [250, 250, 100] {
            guard case .message(.descriptors, let batch) = receiver.receive() else {
                Issue.record("no batch")
                return
            }
            #expect(batch.count == expected)
            received += batch
        }
        for (mine, theirs) in zip(sent, received) {
            #expect(fcntl(theirs, F_GETFD) == FD_CLOEXEC)
            #expect(inode(mine) == inode(theirs))
            close(mine)
            close(theirs)
        }
    }

    @Test("the end of the other process is told from a message")
    func closed() throws {
        var ends: (Int32, Int32) = (-1, -1)
        try #require(cprocess_socket_pair(&ends.0, &ends.1) == 0)
        let channel = ControlChannel(descriptor: ends.0)
        close(ends.1)
        #expect(channel.hasNews)
        guard case .closed = channel.receive() else {
            Issue.record("not closed")
            return
        }
        #expect(!channel.send(.ready))
        close(ends.0)
    }

    @Test("a program that cannot be started is an error, not a dead child")
    func spawnFails() {
        let result = withCStrings(["none"]) { words in cprocess_spawn("/no/such/program", words, words, 0, 0) }
        #expect(result == -ENOENT)
    }

    /// A descriptor of its own identity: a memory file.
    private func eventfd() -> Int32 { cprocess_memory_file("test", 0) }

    private func inode(_ descriptor: Int32) -> UInt {
        var status = stat()
        fstat(descriptor, &status)
        return UInt(status.st_ino)
    }
}

@Suite("Crash notes", .serialized)
struct CrashNoteTests {
    @Test("what was noted last before a crash is read back, with file and line")
    func report() throws {
        let descriptor = cprocess_memory_file("test", CrashNotes.memoryBytes)
        let memory = try #require(CrashNotes.map(descriptor))
        close(descriptor)
        defer { munmap(memory, CrashNotes.memoryBytes) }
        CrashNotes.prepare(memory)
        #expect(CrashNotes.read(memory) == nil)
        let note = CrashNote(worker: 3, in: memory)
        note.note(step: 9); let line = #line
        memory[0] = UInt64(SIGILL)
        memory[3] = UInt64(cprocess_thread_id())
        let report = try #require(CrashNotes.read(memory))
        #expect(report == CrashReport(signal: SIGILL, worker: 3, step: 9, file: #fileID, line: line))
        note.clear()
        #expect(CrashNotes.read(memory) == CrashReport(signal: SIGILL, worker: 3))
        memory[3] = 1
        #expect(CrashNotes.read(memory) == CrashReport(signal: SIGILL))
    }

    @Test("a sentence says who died of what, where")
    func sentence() {
        let crash = CrashReport(signal: SIGILL, worker: 1, step: 0, file: "Proxy/A.swift", line: 7)
        let killed = Ending(process: 12, signal: SIGKILL, crash: crash)
        #expect(killed.sentence.hasPrefix("the server process 12 died of SIGILL (a trap) in worker 1 at step "))
        #expect(killed.sentence.contains("(begun at Proxy/A.swift:7)"))
        #expect(Ending(process: 12, exitCode: 3).sentence == "the server process 12 ended by itself with exit code 3")
    }

    @Test("the reason and the first frame of ours are found in a backtrace")
    func backtrace() {
        let text = """

            *** Swift runtime failure: arithmetic overflow ***

            Thread 2 "worker 1" crashed:

              0 [inlined] [system] 0x0000564171 Swift runtime failure: arithmetic overflow in weir at //<compiler-generated>
              1                    0x0000564171 Worker.loop() + 1325 in weir at /src/Proxy/Worker.swift:46:68
              2 [ra]               0x0000564172 start() in weir at /src/Proxy/Start.swift:1:1
            """
        #expect(BacktraceText.reason(text) == "Swift runtime failure: arithmetic overflow at /src/Proxy/Worker.swift:46:68")
        let relative = text.replacing("/src/", with: "Sources/")
        #expect(BacktraceText.reason(relative) == "Swift runtime failure: arithmetic overflow at Sources/Proxy/Worker.swift:46:68")
        #expect(BacktraceText.reason("*** Program crashed: Bad pointer dereference at 0x00 ***") == "Bad pointer dereference")
        #expect(BacktraceText.reason("") == nil)
    }
}
