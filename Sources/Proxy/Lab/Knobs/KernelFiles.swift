import Glibc

/// Reads and writes the files through which the kernel is set.
struct KernelFiles: Sendable {
    /// Put before every path: a folder of a test.
    var root = ""

    /// The value as the kernel shows it, blanks made single; of `always [madvise] never` the word in brackets.
    func read(_ path: String) -> String? {
        guard let line = readTextFile(root + path)?.trimmedLine else { return nil }
        return Self.value(in: line)
    }

    /// Whether the kernel has the setting at all; true also where this process may not look.
    func exists(_ path: String) -> Bool {
        access(root + path, F_OK) == 0 || (errno != ENOENT && errno != ENOTDIR)
    }

    static func value(in line: String) -> String {
        if let open = line.firstIndex(of: "["), let close = line[open...].firstIndex(of: "]") {
            return String(line[line.index(after: open)..<close])
        }
        return line.split(whereSeparator: { $0 == " " || $0 == "\t" }).joined(separator: " ")
    }

    /// Writes a value; nil when the kernel took it, else why not.
    func write(_ path: String, _ value: String) -> String? {
        let descriptor = open(root + path, O_WRONLY | O_CLOEXEC | O_NOFOLLOW)
        guard descriptor >= 0 else { return reason(errno) }
        defer { close(descriptor) }
        let bytes = Array((value + "\n").utf8)
        // One call: the kernel reads a value as a whole.
        let count = Glibc.write(descriptor, bytes, bytes.count)
        return count == bytes.count ? nil : reason(errno)
    }

    /// Why this process cannot set the file, as a sentence with the right that it lacks; nil when it can.
    func lack(_ path: String) -> String? {
        if access(root + path, F_OK) != 0 {
            return "this kernel has no \(path), or does not show it in this namespace"
        }
        var status = stat()
        if stat(root + path, &status) == 0, status.st_mode & 0o222 == 0 { return "\(path) tells something and cannot be set, by nobody" }
        if access(root + path, W_OK) == 0 { return nil }
        switch errno {
        case EROFS: return "\(path) is mounted read-only, as containers do; run on the host, or give the container a writable /proc/sys"
        default: return "\(path) can be written by root alone (CAP_NET_ADMIN for net.*, CAP_SYS_ADMIN for others); use sudo"
        }
    }

    private func reason(_ number: Int32) -> String {
        switch number {
        case EINVAL: "the kernel refuses that value"
        case EACCES, EPERM: "that takes rights which this process lacks"
        case EROFS: "it is mounted read-only"
        default: errorText(number)
        }
    }
}
