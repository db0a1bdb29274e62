import CUring
import Glibc

/// What the Swift runtime writes about a crash, in memory of the supervisor that is reached by its path.
///
/// Finding lines takes it most of a second, so the copy of the crashed process that stays behind for it works while the
/// next server process serves already. One at a time: a process that starts meanwhile gets no backtrace.
struct BacktraceFile {
    /// How long a copy may work.
    static let patienceMilliseconds = 15_000

    /// Swift's backtracer comes with its shared libraries. A program that has them inside would look for it in vain, and
    /// complain at every start.
    private static let hasBacktracer = readTextFile("/proc/self/maps")?.firstRange(of: "/libswiftCore.so") != nil

    private let descriptor: Int32
    /// The copy that is at work, the server process it is of, and when it must be done.
    private var copy: (process: Int32, of: Int32, until: Int)?

    init?() {
        descriptor = cprocess_memory_file("weir-backtrace", 0)
        guard descriptor >= 0 else { return nil }
    }

    /// The value of SWIFT_BACKTRACE for the next server process: one thread, few frames, nothing asked.
    ///
    /// - Parameter sharesUser: whether it may open what belongs to this process; else the text goes to standard error.
    mutating func settingForNext(sharesUser: Bool) -> String {
        guard copy == nil, Self.hasBacktracer else { return "enable=no" }
        ftruncate(descriptor, 0)
        let output = sharesUser ? "/proc/\(getpid())/fd/\(descriptor)" : "stderr"
        return "enable=yes,color=no,interactive=no,threads=crashed,images=none,registers=none,limit=16,top=0,output-to=\(output)"
    }

    /// Takes note of the copy that a crash left behind.
    mutating func expect(_ crash: CrashReport?, of server: Int32, now: Int) {
        guard let crash, crash.copy > 0 else { return }
        copy = (crash.copy, server, now + Self.patienceMilliseconds)
    }

    /// When the copy at work must be done; nil without one.
    var deadline: Int? { copy?.until }

    /// Ends a copy that takes too long.
    func enforce(now: Int) {
        if let copy, copy.until <= now { kill(-copy.process, SIGKILL) }
    }

    /// Ends the copy at work, because nobody will read what it writes.
    func abandon() {
        if let copy { kill(-copy.process, SIGKILL) }
    }

    /// The sentence about a crash whose copy has ended; nil for any other process. The whole text goes to standard error.
    mutating func finish(_ process: Int32) -> String? {
        guard let done = copy, done.process == process else { return nil }
        copy = nil
        lseek(descriptor, 0, SEEK_SET)
        guard let bytes = readToEnd(descriptor), !bytes.isEmpty else { return nil }
        let text = String(decoding: bytes, as: UTF8.self)
        write(text, to: STDERR_FILENO)
        return BacktraceText.reason(text).map { "the crash of process \(done.of): \($0)" }
    }
}

/// Reads the text that Swift's backtracer writes.
enum BacktraceText {
    /// `Fatal error … in Proxy/Exchange.swift:12`: why it crashed and the first frame that names a file.
    static func reason(_ text: String) -> String? {
        var why: String?
        for line in text.split(separator: "\n").map(String.init) {
            if line.hasPrefix("*** "), line.hasSuffix(" ***"), why == nil {
                why = cause(String(line.dropFirst(4).dropLast(4)))
            }
            guard let at = line.lastRange(of: " at ") else { continue }
            let place = String(line[line.index(at, offsetBy: 4)...])
            guard !line.contains("[system]"), place.contains(".swift:") else { continue }
            return (why.map { "\($0) at " } ?? "") + place
        }
        return why
    }

    /// The headline without its opening words and without the address, which means nothing to anybody.
    private static func cause(_ headline: String) -> String {
        let opening = "Program crashed: "
        let cause = headline.hasPrefix(opening) ? String(headline.dropFirst(opening.count)) : headline
        return cause.lastRange(of: " at 0x").map { String(cause[..<$0]) } ?? cause
    }
}

extension String {
    /// Where the last occurrence of `text` begins.
    fileprivate func lastRange(of text: String) -> Index? {
        var found: Index?
        var place = startIndex
        while place < endIndex {
            if self[place...].hasPrefix(text) { found = place }
            place = index(after: place)
        }
        return found
    }
}
