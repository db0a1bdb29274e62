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
