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
            ("pcre2", pcre2),
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

    /// What the loaded library says of itself, without the date; its file name counts its interface and not its releases.
    private static var pcre2: String {
        let most = max(0, Int(pcre2_config_8(UInt32(PCRE2_CONFIG_VERSION), nil)))
        return withUnsafeTemporaryAllocation(byteCount: most + 1, alignment: 1) { room in
            guard pcre2_config_8(UInt32(PCRE2_CONFIG_VERSION), room.baseAddress) > 0 else { return "unknown" }
            let text = String(cString: room.baseAddress!.assumingMemoryBound(to: CChar.self))
            return text.split(separator: " ").first.map(String.init) ?? "unknown"
        }
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
