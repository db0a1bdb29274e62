import CUring
import Glibc

/// The hidden sub-command of the process that puts settings back when the lab was killed.
let labWatchCommand = "lab-watch"

/// The lab's side of its watcher: a second process, which restores by the journal and empties the folder of the lab when the lab ends
/// without having said good-bye.
///
/// It is given the lock of the machine, so that nobody comes in between the end of the lab and what it puts back.
struct LabWatcher {
    private let process: pid_t
    private let link: Int32

    /// - Parameters:
    ///   - journal: empty where nothing is changed.
    ///   - scratch: empty where there is no folder.
    init(journal: String, scratch: String, lock: MachineLock) throws(LabFailure) {
        var ours: Int32 = -1
        var theirs: Int32 = -1
        guard cprocess_socket_pair(&ours, &theirs) == 0 else { throw LabFailure("cannot make a pair of sockets: \(errorText(errno))") }
        defer { close(theirs) }
        // Sent ahead: it waits in the socket, whatever becomes of the lab.
        var descriptor = lock.descriptor
        guard cprocess_send(ours, "l", 1, &descriptor, 1) == 0 else {
            close(ours)
            throw LabFailure("cannot hand over the lock of the lab; nothing was changed")
        }
        let started = spawnSelf(labWatchCommand, control: theirs, variables: [journalVariable: journal, scratchVariable: scratch])
        guard started > 0 else {
            close(ours)
            throw LabFailure("cannot start the process that restores settings: \(errorText(started)); nothing was changed")
        }
        process = started
        link = ours
    }

    /// Says good-bye: there is nothing left to do for it.
    func dismiss() {
        _ = cprocess_send(link, "e", 1, nil, 0)
        close(link)
        if !waitForEnds(of: [process], milliseconds: 1_000).isEmpty {
            kill(process, SIGKILL)
            waitForEnds(of: [process], milliseconds: 1_000)
        }
    }
}

private let journalVariable = "WEIR_LAB_JOURNAL"
private let scratchVariable = "WEIR_LAB_SCRATCH"

/// The watcher itself; its descriptor 3 is the connection to the lab.
///
/// It leads a process group of its own and ignores the signals of terminals and of people, because it has nothing else to do
/// than to outlive the lab for a moment.
public func runLabWatch() -> Int32 {
    for number in [SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGPIPE] { cprocess_ignore_signal(number) }
    let environment = currentEnvironment()
    var byte: UInt8 = 0
    var descriptor: Int32 = -1
    var count: UInt32 = 1
    // The lock comes first; it is held until this process ends.
    guard cprocess_receive(3, &byte, 1, &descriptor, &count) == 1, count == 1 else { return 2 }
    count = 0
    if cprocess_receive(3, &byte, 1, &descriptor, &count) > 0 { return 0 }
    defer { removeScratch(environment[scratchVariable] ?? "") }
    guard let path = environment[journalVariable], !path.isEmpty else { return 0 }
    do throws(LabFailure) {
        let outcomes = try ChangeJournal(path: path).restore()
        for outcome in outcomes { say("the lab was killed: \(outcome.sentence)") }
        return outcomes.contains(where: \.isFailure) ? 1 : 0
    } catch {
        say("\(error)")
        return 1
    }
}

/// Empties and removes a folder that the lab made.
func removeScratch(_ scratch: String) {
    guard scratch.hasPrefix("/tmp/weir-lab-") else { return }
    for name in directoryEntries(scratch) { unlink("\(scratch)/\(name)") }
    rmdir(scratch)
}

/// Waits for children of this process to end, whoever reaps them; those that run still when the time is over.
@discardableResult
func waitForEnds(of children: Set<pid_t>, milliseconds: Int) -> Set<pid_t> {
    let deadline = monotonicSeconds() + Double(milliseconds) / 1_000
    var left = children
    while true {
        left = left.filter { waitpid($0, nil, WNOHANG) == 0 }
        if left.isEmpty || monotonicSeconds() >= deadline { return left }
        poll(nil, 0, 10)
    }
}

/// Asks children to end, and makes them and all that they started after four seconds.
func endFamilies(_ children: Set<pid_t>) {
    // Looked for while their parents live: a server process of Weir leads a group of its own.
    let families = children.map { ProcessFamily(of: $0) }
    for child in children { kill(child, SIGTERM) }
    let left = waitForEnds(of: children, milliseconds: 4_000)
    for family in families { family.end() }
    for child in left { kill(-child, SIGKILL) }
    waitForEnds(of: left, milliseconds: 1_000)
}
