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
        let kernel = try MadeKernel(["queue": "128"])
        let journal = try kernel.journal()
        // The kernel that refuses: the change is announced, and not made.
        chmod(kernel.folder.path + "/queue", 0o444)
        let isRefused = geteuid() != 0
        if isRefused {
            #expect(throws: LabFailure.self) { try journal.change("/queue", to: "256") }
        } else {
            try journal.change("/queue", to: "256")
        }
        #expect(readTextFile(kernel.journalPath)?.contains("set\t/queue\t128\t256\n") == true)
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
        unlink(kernel.folder.path + "/queue")
        #expect(journal.restore().first?.isFailure == true)
        _ = try kernel.folder.write("queue", "256\n")
        #expect(journal.restore() == [.restored(path: "/queue", to: "128")])
    }

    @Test("a journal of an earlier start of the machine restores nothing, because the kernel has forgotten too")
    func earlierBoot() throws {
        let kernel = try MadeKernel(["queue": "128"])
        _ = try kernel.folder.write("journal", "\(ChangeJournal.signature) 00000000-0000-0000-0000-000000000000\nset\t/queue\t1\t2\n")
        #expect(try kernel.journal().changes.isEmpty)
        #expect(kernel.files.read("/queue") == "128")
    }

    @Test("two labs cannot work at one time")
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

    @Test("what a process may not set is said with the right that it lacks", .enabled(if: geteuid() == 0))
    func lacks() {
        #expect(KernelFiles().lack("/proc/sys/net/core/nothing")?.contains("this kernel has no") == true)
        #expect(KernelFiles().lack("/proc/sys/kernel/osrelease") == nil || KernelFiles().lack("/proc/sys/kernel/osrelease")?.isEmpty == false)
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
