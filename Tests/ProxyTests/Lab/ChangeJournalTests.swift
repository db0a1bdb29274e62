import Glibc
import Testing

@testable import Proxy

/// Files of a kernel that a test may change: a folder in place of the root.
private final class MadeKernel {
    let folder: Folder
    let files: KernelFiles

    init(_ values: [String: String]) throws {
        folder = try Folder()
        files = KernelFiles(root: folder.path)
        for (name, value) in values { _ = try folder.write(name, value + "\n") }
    }

    var journalPath: String { folder.path + "/journal" }

    func journal() throws -> ChangeJournal { try ChangeJournal(path: journalPath, files: files, patienceMilliseconds: 40) }
}

@Suite("The lab's journal")
struct ChangeJournalTests {
    @Test("a value is put back, the first one of several changes")
    func restores() throws {
        let kernel = try MadeKernel(["queue": "128", "words": "4096\t16384\t4194304"])
        let journal = try kernel.journal()
        try journal.change("/queue", to: "256")
        try journal.change("/queue", to: "512")
        try journal.change("/words", to: "1 2 3")
        #expect(kernel.files.read("/queue") == "512" && kernel.files.read("/words") == "1 2 3")
        let outcomes = journal.restore()
        #expect(outcomes == [.restored(path: "/words", to: "4096 16384 4194304"), .restored(path: "/queue", to: "128")])
        #expect(kernel.files.read("/queue") == "128" && kernel.files.read("/words") == "4096 16384 4194304")
        #expect(journal.changes.isEmpty && journal.restore().isEmpty)
    }

    @Test("who comes later finds the changes of one that ended without restoring")
    func later() throws {
        let kernel = try MadeKernel(["queue": "128"])
        var first: ChangeJournal? = try kernel.journal()
        try first?.change("/queue", to: "256")
        first = nil
        let second = try kernel.journal()
        #expect(second.changes == [.init(path: "/queue", before: "128", wanted: "256", shown: "256")])
        #expect(second.restore() == [.restored(path: "/queue", to: "128")])
        #expect(readTextFile(kernel.journalPath) == "")
    }

    @Test("the value before stands in the journal before the setting is changed")
    func ahead() throws {
        let kernel = try MadeKernel(["real": "128"])
        // A kernel that refuses whoever asks: what stands in the journal then was there before the refusal.
        symlink("real", kernel.folder.path + "/queue")
        let journal = try kernel.journal()
        #expect(throws: LabFailure.self) { try journal.change("/queue", to: "256") }
        #expect(kernel.files.read("/queue") == "128")
        #expect(readTextFile(kernel.journalPath)?.hasSuffix("set\t/queue\t128\t256\n") == true)
    }

    @Test("a line that was being written when the machine stopped is not taken for a change")
    func torn() throws {
        let kernel = try MadeKernel(["queue": "128", "other": "1"])
        var journal: ChangeJournal? = try kernel.journal()
        try journal?.change("/queue", to: "256")
        journal = nil
        let whole = try #require(readTextFile(kernel.journalPath))
        _ = try kernel.folder.write("journal", whole + "set\t/other\t1\t2")
        #expect(try kernel.journal().changes.map(\.path) == ["/queue"])
    }

    @Test("what somebody else set meanwhile stays as they want it")
    func others() throws {
        let kernel = try MadeKernel(["queue": "128"])
        let journal = try kernel.journal()
        try journal.change("/queue", to: "256")
        _ = try kernel.folder.write("queue", "999\n")
        #expect(journal.restore() == [.changedByOthers(path: "/queue", now: "999", before: "128")])
        #expect(kernel.files.read("/queue") == "999" && journal.changes.isEmpty)
    }

    @Test("what cannot be put back stays in the journal for another try")
    func kept() throws {
        let kernel = try MadeKernel(["queue": "128"])
        let journal = try kernel.journal()
        try journal.change("/queue", to: "256")
        let path = kernel.folder.path + "/queue"
        rename(path, path + ".real")
        symlink("queue.real", path)
        #expect(journal.restore().first?.isFailure == true)
        rename(path + ".real", path)
        #expect(journal.restore() == [.restored(path: "/queue", to: "128")])
    }

    @Test("a setting that the kernel has no more is forgotten, with a word")
    func gone() throws {
        let kernel = try MadeKernel(["queue": "128", "other": "1"])
        let journal = try kernel.journal()
        try journal.change("/queue", to: "256")
        try journal.change("/other", to: "2")
        unlink(kernel.folder.path + "/queue")
        let outcomes = journal.restore()
        #expect(outcomes == [.restored(path: "/other", to: "1"), .gone(path: "/queue")])
        #expect(!outcomes.contains(where: \.isFailure) && outcomes[1].sentence.contains("/queue is no more"))
        #expect(journal.changes.isEmpty && readTextFile(kernel.journalPath) == "")
    }

    @Test("of several changes all are made or none, and what was changed before stays")
    func allOrNone() throws {
        let kernel = try MadeKernel(["queue": "128", "other": "1", "third": "5", "real": "0"])
        symlink("real", kernel.folder.path + "/refused")
        var journal: ChangeJournal? = try kernel.journal()
        try journal?.changeAll([("/queue", "256"), ("/third", "6")])
        #expect(throws: LabFailure.self) { try journal?.changeAll([("/queue", "512"), ("/other", "2"), ("/refused", "1")]) }
        #expect(kernel.files.read("/queue") == "256" && kernel.files.read("/other") == "1" && kernel.files.read("/third") == "6")
        // On disk as in memory: who comes later goes by the file.
        #expect(journal?.changes.map(\.path) == ["/queue", "/third"])
        journal = nil
        let later = try kernel.journal()
        #expect(later.changes.map(\.path) == ["/queue", "/third"] && later.changes.map(\.before) == ["128", "5"])
        #expect(later.restore() == [.restored(path: "/third", to: "5"), .restored(path: "/queue", to: "128")])
    }

    @Test("what a journal holds can be told without its lock, and without making it")
    func leftBehind() throws {
        let kernel = try MadeKernel(["queue": "128"])
        #expect(ChangeJournal.leftBehind(at: kernel.journalPath).isEmpty && access(kernel.journalPath, F_OK) != 0)
        let journal = try kernel.journal()
        try journal.change("/queue", to: "256")
        #expect(ChangeJournal.leftBehind(at: kernel.journalPath).map(\.path) == ["/queue"])
    }

    @Test("a journal of an earlier start of the machine restores nothing, because the kernel has forgotten too")
    func earlierBoot() throws {
        let kernel = try MadeKernel(["queue": "128"])
        _ = try kernel.folder.write("journal", "\(ChangeJournal.signature) 00000000-0000-0000-0000-000000000000\nset\t/queue\t1\t2\n")
        #expect(try kernel.journal().changes.isEmpty)
        #expect(kernel.files.read("/queue") == "128")
    }

    @Test("whoever changes the machine excludes all others, whatever their journals are, until the last who holds the lock has ended")
    func machineLock() throws {
        let folder = try Folder()
        var first: MachineLock? = try MachineLock(place: folder.path, patienceMilliseconds: 0)
        let failure = #expect(throws: LabFailure.self) { try MachineLock(place: folder.path, patienceMilliseconds: 40) }
        #expect(failure?.description.hasPrefix("another lab or profile is at work on this machine") == true)
        // As a watcher holds it, which got the descriptor.
        let copy = dup(try #require(first).descriptor)
        first = nil
        #expect(throws: LabFailure.self) { try MachineLock(place: folder.path, patienceMilliseconds: 0) }
        close(copy)
        #expect(throws: Never.self) { try MachineLock(place: folder.path, patienceMilliseconds: 0) }
    }

    @Test("two cannot work by one journal at one time")
    func locked() throws {
        let kernel = try MadeKernel(["queue": "128"])
        let first = try kernel.journal()
        #expect(throws: LabFailure.self) { try kernel.journal() }
        withExtendedLifetime(first) {}
    }

    @Test("a file that is no journal is refused and left alone")
    func foreign() throws {
        let kernel = try MadeKernel(["queue": "128", "journal": "somebody's notes"])
        #expect(throws: LabFailure.self) { try kernel.journal() }
        #expect(readTextFile(kernel.journalPath) == "somebody's notes\n")
    }

    @Test("values with tabs and odd marks come back as they were")
    func marks() throws {
        let kernel = try MadeKernel(["queue": "a\\tb \\ c"])
        var journal: ChangeJournal? = try kernel.journal()
        try journal?.change("/queue", to: "x")
        journal = nil
        _ = try kernel.journal().restore()
        #expect(kernel.files.read("/queue") == "a\\tb \\ c")
    }

    @Test("of several words the one in brackets is the value")
    func brackets() {
        #expect(KernelFiles.value(in: "always [madvise] never") == "madvise")
        #expect(KernelFiles.value(in: "4096\t131072\t6291456") == "4096 131072 6291456")
    }

    @Test("what cannot be set is said with why, and what can be is not")
    func lacks() throws {
        let kernel = try MadeKernel(["queue": "128", "told": "6.18"])
        chmod(kernel.folder.path + "/told", 0o444)
        #expect(kernel.files.lack("/queue") == nil)
        #expect(kernel.files.lack("/told") == "/told tells something and cannot be set, by nobody")
        #expect(kernel.files.lack("/nothing")?.hasPrefix("this kernel has no /nothing") == true)
        #expect(KernelFiles().lack("/proc/sys/kernel/osrelease")?.hasSuffix("cannot be set, by nobody") == true)
    }

    @Test("only settings of the kernel may be named")
    func names() {
        #expect(Knob(kind: .sysctl, name: "net.core.somaxconn").complaint == nil)
        #expect(Knob(kind: .sysctl, name: "net.core.somaxconn").path == "/proc/sys/net/core/somaxconn")
        #expect(Knob(kind: .sysctl, name: "net.ipv4.conf.eth0/1.forwarding").path == "/proc/sys/net/ipv4/conf/eth0.1/forwarding")
        for name in ["", "somaxconn", "a..b", "net./.b", "../etc.passwd", "a.", ".a.b", "a//b.c"] {
            let knob = Knob(kind: .sysctl, name: name)
            #expect(knob.complaint != nil || knob.path?.split(separator: "/").contains("..") == false, "\(name)")
        }
        for name in ["/etc/passwd", "/sys/../etc/passwd", "sys/x"] { #expect(Knob(kind: .file, name: name).complaint != nil) }
    }
}
