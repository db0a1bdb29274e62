import Glibc

extension ChangeJournal {
    /// Where the lab's journal stands unless the command line names another place.
    static func usualPath(name: String, user: uid_t, environment: [String: String]) -> String {
        if user == 0 { return "/var/lib/weir/\(name).journal" }
        if let state = environment["XDG_STATE_HOME"], state.hasPrefix("/") { return "\(state)/weir/\(name).journal" }
        return "\(environment["HOME"] ?? "/tmp")/.local/state/weir/\(name).journal"
    }

    /// What stands in the journal of somebody who ended without restoring; read without its lock, and without making it.
    static func leftBehind(at path: String) -> [Change] {
        let boot = readTextFile("/proc/sys/kernel/random/boot_id")?.trimmedLine ?? "unknown"
        let text = readTextFile(path) ?? ""
        let lines = text.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
        return lines.first == "\(signature) \(boot)" ? read(lines.dropFirst(), isWhole: text.hasSuffix("\n")) : []
    }
}

/// Makes a folder and those around it; failures show when something is put there.
func ensureFolders(_ path: String) {
    var at = path.startIndex
    while let slash = path[at...].dropFirst().firstIndex(of: "/") {
        mkdir(String(path[..<slash]), 0o755)
        at = slash
    }
    mkdir(path, 0o755)
}
