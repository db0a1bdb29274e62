import Glibc

/// Where experiments, profiles and results stand: `tuning` here, else what the package installed beside the program.
struct TuningFolder {
    let path: String

    init(_ wanted: String?) {
        if let wanted {
            path = wanted
        } else if access("tuning/profiles", F_OK) == 0 {
            path = "tuning"
        } else {
            var room = [UInt8](repeating: 0, count: 4_096)
            let length = room.withUnsafeMutableBytes {
                readlink("/proc/self/exe", $0.baseAddress!.assumingMemoryBound(to: CChar.self), $0.count)
            }
            let parts = String(decoding: room[..<max(0, length)], as: UTF8.self).split(separator: "/").dropLast(2)
            path = "/" + parts.joined(separator: "/") + "/share/weir/tuning"
        }
    }

    /// The page of an experiment's result, and its file; nil when they are not there.
    func page(ofExperiment name: String) -> String? { existing("\(path)/results/\(name)/index.html") }
    func file(ofExperiment name: String) -> String? { existing("\(path)/experiments/\(name).conf") }

    private func existing(_ file: String) -> String? { access(file, F_OK) == 0 ? file : nil }

    /// Names of the profiles that are there.
    var profileNames: [String] { directoryEntries(path + "/profiles").filter { $0.hasSuffix(".conf") }.map(fileName) }

    /// The profile of a name, or of a path.
    func profile(_ name: String) throws(LabFailure) -> ProfileSettings {
        let isPath = name.contains("/") || name.hasSuffix(".conf")
        let file = isPath ? name : "\(path)/profiles/\(name).conf"
        if !isPath, access(file, F_OK) != 0 {
            let near = nearest(to: name, among: profileNames).map { "; did you mean '\($0)'?" } ?? ""
            throw LabFailure("there is no profile '\(name)' in \(path)/profiles\(near)")
        }
        let (profile, diagnostics) = loadProfile(path: file, environment: currentEnvironment(), read: readConfigurationFile)
        for diagnostic in diagnostics { say("\(diagnostic)") }
        guard let profile else { throw LabFailure("the profile '\(name)' cannot be used") }
        return profile
    }
}
