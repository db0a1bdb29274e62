/// One thing that an experiment varies or a profile sets.
struct Knob: Equatable, Sendable {
    enum Kind: String, CaseIterable, Sendable {
        /// A setting of the running kernel, by its dotted name.
        case sysctl
        /// A file of the kernel that takes a word, such as that of transparent huge pages.
        case file
        /// A word of Weir's configuration.
        case setting
        /// A variable of the environment of the program under test.
        case environment
        /// An option of `weir origin`; `on` gives it without a value, `off` and `default` leave it out.
        case originOption = "origin-option"
        /// An option of `weir load`, in the same way.
        case loadOption = "load-option"
        /// A line of a systemd unit, for profiles.
        case unit
        /// A line of limits.conf(5), for profiles.
        case limit

        /// Whether it changes the machine for everybody, and so has to be put back.
        var changesMachine: Bool { self == .sysctl || self == .file }

        /// What only profiles have: an experiment could not set it for one process.
        var isForProfiles: Bool { self == .unit || self == .limit }
    }

    var kind: Kind
    var name: String
    /// For a setting: where the word stands: `global`, `server`, or the word of a backend's section.
    var place = "server"

    /// The file that holds it; nil for what does not change the machine.
    var path: String? {
        switch kind {
        case .sysctl: Self.path(ofSysctl: name)
        case .file: name
        case .setting, .environment, .originOption, .loadOption, .unit, .limit: nil
        }
    }

    /// `net.core.somaxconn` → its file. A slash stands for a dot within a part, as sysctl(8) has it.
    static func path(ofSysctl name: String) -> String {
        "/proc/sys/" + String(name.map { $0 == "." ? "/" : $0 == "/" ? "." : $0 })
    }

    /// What is wrong with the name of a knob, as the rest of a sentence; nil when it may be used.
    ///
    /// Only files of the kernel's settings may be named: a lab that runs as root must not become a way to write elsewhere.
    var complaint: String? {
        switch kind {
        case .sysctl:
            let parts = name.split(separator: ".", omittingEmptySubsequences: false)
            let isName = parts.count > 1 && !name.contains("..") && !name.contains("//") && parts.allSatisfy { !$0.isEmpty && !$0.hasPrefix("/") }
            return isName ? nil : "is no name of a sysctl, such as net.core.somaxconn"
        case .file:
            if name.split(separator: "/").contains("..") || !name.hasPrefix("/sys/") { return "must be a file below /sys" }
            return nil
        case .originOption, .loadOption:
            return optionComplaint
        case .environment:
            return name.isEmpty || name.contains("=") ? "is no name of a variable" : nil
        case .setting, .unit, .limit:
            return nil
        }
    }

    /// A value of an option as words of a command line.
    func words(for value: String) -> [String] {
        switch value {
        case "on": [name]
        case "off", "default": []
        default: [name, value]
        }
    }

    /// The command that sets it by hand; nil where there is none.
    func command(for value: String) -> String? {
        switch kind {
        case .sysctl: "sysctl -w \(name)=\(value.contains(" ") ? "'\(value)'" : value)"
        case .file: "echo \(value) > \(name)"
        case .environment: "\(name)=\(value)"
        case .setting: "\(name) = \(value)"
        case .originOption, .loadOption: words(for: value).joined(separator: " ")
        case .unit, .limit: nil
        }
    }
}
