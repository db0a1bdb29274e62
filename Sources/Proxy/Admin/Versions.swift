import CCares
import CPCRE2
import CUring
import Glibc

/// The version of this program and of the libraries it runs with.
struct Versions: Equatable {
    static let weir = "0.1.0"

    /// Names and versions in the order of printing.
    static var all: [(name: String, version: String)] {
        [
            ("weir", weir), ("swift", swift), ("liburing", loadedVersion("liburing") ?? "unknown"),
            ("c-ares", String(cString: ares_version(nil))),
            ("pcre2", loadedVersion("libpcre2-8") ?? "\(PCRE2_MAJOR).\(PCRE2_MINOR)"),
            ("allocator", Allocator.live.name + (Allocator.live.version.map { " \($0)" } ?? "")),
            ("kernel", readTextFile("/proc/sys/kernel/osrelease")?.trimmedLine ?? "unknown"),
        ]
    }

    static var text: String { all.map { "\($0.name) \($0.version)\n" }.joined() }

    /// The version in the file name of a shared library of this process, for libraries that do not tell it otherwise.
    static func loadedVersion(_ library: String, maps: String? = readTextFile("/proc/self/maps")) -> String? {
        for line in (maps ?? "").split(separator: "\n") {
            guard let name = line.split(separator: "/").last, name.hasPrefix(library + ".so.") else { continue }
            return String(name.dropFirst(library.count + 4))
        }
        return nil
    }

    /// The compiler's, as far as the language tells it.
    private static var swift: String {
        #if compiler(>=6.4)
        "6.4 or newer"
        #elseif compiler(>=6.3)
        "6.3"
        #else
        "6.2"
        #endif
    }
}
