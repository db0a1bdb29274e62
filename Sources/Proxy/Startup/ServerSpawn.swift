import CUring
import Glibc

/// The hidden sub-command under which the program serves.
let serverProcessCommand = "server-process"

/// Starts this program again under a hidden sub-command, `control` as its descriptor 3; its process id or a negative errno.
func spawnSelf(
    _ command: String, control: Int32, variables: [String: String] = [:], diesWithParent: Bool = false
) -> Int32 {
    let environment = variables.merging(currentEnvironment()) { _, inherited in inherited }
    return withCStrings(["weir", command]) { arguments in
        withCStrings(environment.map { "\($0.key)=\($0.value)" }) { variables in
            cprocess_spawn("/proc/self/exe", arguments, variables, control, diesWithParent ? 1 : 0)
        }
    }
}

/// The variables of this process.
func currentEnvironment() -> [String: String] {
    var variables: [String: String] = [:]
    guard let bytes = readBytes("/proc/self/environ") else { return variables }
    for entry in bytes.split(separator: 0) {
        guard let equals = entry.firstIndex(of: UInt8(ascii: "=")) else { continue }
        variables[String(decoding: entry[..<equals], as: UTF8.self)] =
            String(decoding: entry[(equals + 1)...], as: UTF8.self)
    }
    return variables
}

/// Lends an array of C strings that ends with NULL.
func withCStrings<R>(_ texts: [String], _ body: (UnsafePointer<UnsafeMutablePointer<CChar>?>) -> R) -> R {
    var pointers = texts.map { strdup($0) }
    pointers.append(nil)
    defer { for pointer in pointers { free(pointer) } }
    return body(pointers)
}

/// Where the Swift runtime of a crashing server writes its backtrace: memory of the supervisor, reached by its path.
struct BacktraceFile {
    private let descriptor: Int32

    init?() {
        descriptor = cprocess_memory_file("weir-backtrace", 0)
        guard descriptor >= 0 else { return nil }
    }

    /// The value of SWIFT_BACKTRACE: one thread, few frames, nothing asked, so that a crash does not last.
    var setting: String {
        "enable=yes,color=no,interactive=no,threads=crashed,images=none,registers=none,limit=16,top=0,"
            + "output-to=/proc/\(getpid())/fd/\(descriptor)"
    }

    func clear() { ftruncate(descriptor, 0) }

    /// The reason and the first place of our own in the backtrace; the whole of it goes to standard error.
    func reason() -> String? {
        lseek(descriptor, 0, SEEK_SET)
        guard let bytes = readToEnd(descriptor), !bytes.isEmpty else { return nil }
        let text = String(decoding: bytes, as: UTF8.self)
        write(text, to: STDERR_FILENO)
        return BacktraceText.reason(text)
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
            guard let at = line.lastRange(of: " at /") else { continue }
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
