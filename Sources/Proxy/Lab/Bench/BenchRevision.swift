import Glibc

/// Another revision of the source, built to be measured beside this one.
///
/// Each has a worktree below `.build/bench` with a build of its own, which is kept for the next comparison; the oldest go.
struct BenchRevision {
    let commit: String
    /// Whether it was built as this program: with jemalloc or without.
    let allocator: Allocator
    /// The folder of the project, where git is asked.
    var project = "."
    /// What builds the program in a worktree; for tests.
    var command: (_ tree: String) -> [String] = { ["swift", "build", "-c", "release", "--product", "weir", "--package-path", $0] }

    /// Builds that are kept beside the one that is asked for.
    static let keptMax = 3

    private var root: String { "\(project)/.build/bench" }
    var tree: String { "\(root)/\(commit)" + (allocator == .jemalloc ? "" : "-\(allocator.name)") }
    var program: String { "\(tree)/.build/release/weir" }
    /// Written when a build has come to its end: a program that stands there may be of a build that failed half way.
    var stamp: String { "\(tree)/.build/bench-built" }

    var isBuilt: Bool { access(stamp, F_OK) == 0 && access(program, X_OK) == 0 }

    /// The commit that a name stands for.
    static func commit(of revision: String, project: String = ".", work: String) throws(BenchFailure) -> String {
        let found = runToEnd(["git", "-C", project, "rev-parse", "--verify", "--quiet", "--short=12", revision + "^{commit}"], logPath: "\(work)/git.log")
        guard let found, found.code == 0 else { throw BenchFailure("git knows no revision '\(revision)' here") }
        return found.output.trimmedOfSpace
    }

    /// Makes the worktree and builds, unless that was done before.
    func build(work: String, say: (String) -> Void) throws(BenchFailure) {
        prune(work: work)
        if isBuilt {
            // The time of its last use.
            utimes(stamp, nil)
            return
        }
        try checkOut(work: work)
        // Not kept in git, and other versions of what is depended on would be another build.
        if let resolved = textOfFile("\(project)/Package.resolved") { try writeFile("\(tree)/Package.resolved", resolved) }
        say("building \(commit) in \(tree); this takes some minutes")
        unlink(stamp)
        let log = "\(work)/build.log"
        let built = runToEnd(["env", "WEIR_ALLOCATOR=\(allocator.name)"] + command(tree), seconds: 3_600, logPath: log)
        guard let built, built.code == 0, access(program, X_OK) == 0 else {
            let words = (textOfFile(log) ?? "").split(separator: "\n").filter { $0.contains("error:") }.prefix(3)
            let last = words.isEmpty ? Array((textOfFile(log) ?? "").split(separator: "\n").suffix(3)) : Array(words)
            throw BenchFailure("\(commit) does not build: \(last.joined(separator: " / "))")
        }
        try writeFile(stamp, commit + "\n")
    }

    private func checkOut(work: String) throws(BenchFailure) {
        let log = "\(work)/git.log"
        // Whatever an earlier attempt left there, or a person changed.
        if access("\(tree)/.git", F_OK) == 0, runToEnd(["git", "-C", tree, "checkout", "--force", "--detach", commit], seconds: 120, logPath: log)?.code == 0 { return }
        guard let made = runToEnd(["git", "-C", project, "worktree", "add", "--force", "--detach", tree, commit], seconds: 120, logPath: log), made.code == 0 else {
            throw BenchFailure("cannot make a worktree of \(commit) in \(tree): \(textOfFile(log)?.trimmedOfSpace ?? "no git")")
        }
    }

    /// Removes the worktrees that were used longest ago, and what git remembers of those that are gone.
    private func prune(work: String) {
        let log = "\(work)/git.log"
        let others = entries(root).filter { "\(root)/\($0)" != tree }.map { name -> (name: String, used: Int) in
            var status = Glibc.stat()
            let path = "\(root)/\(name)"
            return (name, stat("\(path)/.build/bench-built", &status) == 0 || stat(path, &status) == 0 ? status.st_mtim.tv_sec : 0)
        }
        for name in Self.old(others) { _ = runToEnd(["git", "-C", project, "worktree", "remove", "--force", "--force", "\(root)/\(name)"], seconds: 120, logPath: log) }
        _ = runToEnd(["git", "-C", project, "worktree", "prune"], logPath: log)
    }

    /// The names beyond the newest `keptMax`.
    static func old(_ trees: [(name: String, used: Int)]) -> [String] {
        trees.sorted { ($0.used, $0.name) > ($1.used, $1.name) }.dropFirst(keptMax).map(\.name)
    }
}
