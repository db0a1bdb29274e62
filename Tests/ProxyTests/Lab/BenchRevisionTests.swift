import Glibc
import TestSupport
import Testing

@testable import Proxy

@Suite("Other revisions, built to be compared with")
struct BenchRevisionTests {
    private let folder: TemporaryFolder
    private let project: String

    /// A project of two commits, whose builds are a line in a file and a program that does nothing.
    init() throws {
        folder = try TemporaryFolder()
        project = folder.path("project")
        let script = """
            set -e; git init -q -b main "$0"; cd "$0"; git config user.name t; git config user.email t@example.org; git config commit.gpgsign false
            echo one > Package.swift; git add .; git commit -qm one; echo two > Package.swift; git commit -qam two; echo pins > Package.resolved
            """
        let made = runToEnd(["sh", "-c", script, project], logPath: folder.path("git.log"))
        try #require(made?.code == 0, "git: \(made?.output ?? "is missing")")
    }

    private func revision(_ name: String, allocator: Allocator = .jemalloc, builds: String = "true") throws -> BenchRevision {
        var revision = BenchRevision(commit: try BenchRevision.commit(of: name, project: project, work: folder.path), allocator: allocator)
        revision.project = project
        let log = folder.path("builds")
        revision.command = { tree in
            let script = """
                cd \(tree); mkdir -p .build/release; cat Package.swift Package.resolved >> \(log); echo $WEIR_ALLOCATOR >> \(log)
                cp /bin/true .build/release/weir; \(builds)
                """
            return ["sh", "-c", script]
        }
        return revision
    }

    private var built: [String] { (textOfFile(folder.path("builds")) ?? "").split(separator: "\n").map(String.init) }

    @Test("a revision is built once, from its own files with the versions that this build has")
    func once() throws {
        let revision = try revision("HEAD~1")
        try revision.build(work: folder.path) { _ in }
        try revision.build(work: folder.path) { _ in }
        #expect(revision.isBuilt && built == ["one", "pins", "jemalloc"])
    }

    @Test("a build that failed is no build, though a program stands there, and is tried again")
    func failed() throws {
        #expect(throws: BenchFailure.self) { try revision("HEAD~1", builds: "false").build(work: folder.path) { _ in } }
        let again = try revision("HEAD~1")
        #expect(!again.isBuilt)
        try again.build(work: folder.path) { _ in }
        #expect(again.isBuilt)
    }

    @Test("builds with another allocator are others")
    func allocator() throws {
        let (one, other) = (try revision("HEAD"), try revision("HEAD", allocator: .glibc))
        #expect(one.program != other.program)
        try other.build(work: folder.path) { _ in }
        #expect(built == ["two", "pins", "glibc"] && !one.isBuilt)
    }

    @Test("a name that git does not know is told")
    func unknown() {
        #expect(throws: BenchFailure("git knows no revision 'nothing' here")) { try revision("nothing") }
    }

    @Test("worktrees that were used longest ago are old")
    func old() {
        #expect(BenchRevision.old([("a", 5), ("b", 1), ("c", 4), ("d", 3), ("e", 2)]) == ["e", "b"])
        #expect(BenchRevision.old([("a", 5)]).isEmpty)
    }

    @Test("old worktrees are removed when another one is made")
    func pruned() throws {
        for number in 0..<5 {
            let made = runToEnd(["git", "-C", project, "worktree", "add", "--detach", "\(project)/.build/bench/old\(number)", "HEAD"], logPath: folder.path("git.log"))
            try #require(made?.code == 0)
        }
        try revision("HEAD").build(work: folder.path) { _ in }
        let left = entries("\(project)/.build/bench").filter { $0.hasPrefix("old") }
        #expect(left.count == BenchRevision.keptMax)
    }
}
