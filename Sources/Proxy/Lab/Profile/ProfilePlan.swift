/// What applying a profile would do on this machine, line by line.
struct ProfilePlan {
    enum Effect: Equatable {
        /// Changed by `apply`, put back by `revert`.
        case change(from: String)
        case alreadySo
        /// Cannot be done, and why.
        case lack(String)
        /// Not the machine's: a line for a file of the operator.
        case byHand(String)
    }

    let profile: ProfileSettings
    let effects: [Effect]

    init(_ profile: ProfileSettings, files: KernelFiles = KernelFiles()) {
        self.profile = profile
        effects = profile.lines.map { line in
            let value = line.value ?? ""
            guard let path = line.knob.path else { return .byHand(Self.hand(line.knob)) }
            guard let now = files.read(path) else { return .lack(files.lack(path) ?? "\(path) cannot be read") }
            if now == KernelFiles.value(in: value) { return .alreadySo }
            if let lack = files.lack(path) { return .lack(lack) }
            return .change(from: now)
        }
    }

    private static func hand(_ knob: Knob) -> String {
        switch knob.kind {
        case .setting: knob.place == "global" ? "write it at the top level of weir.conf" : "write it in '\(knob.place)' of weir.conf"
        case .environment: "give it to the service: Environment= of the unit"
        case .unit: "a line of the unit: tuning/systemd/weir.conf has it"
        case .limit: "a line of limits.conf: tuning/limits/weir.conf has it"
        case .sysctl, .file, .originOption, .loadOption: ""
        }
    }

    /// What `apply` has to change, in the order of the file.
    var changes: [(path: String, value: String)] {
        zip(profile.lines, effects).compactMap { line, effect in
            guard case .change = effect, let path = line.knob.path, let value = line.value else { return nil }
            return (path, value)
        }
    }

    var lacks: [String] {
        effects.compactMap { effect in
            if case .lack(let sentence) = effect { return sentence }
            return nil
        }
    }

    /// Every line with its effect, its reason and where it was measured.
    func text(_ folder: TuningFolder) -> String {
        var text = "\(profile.name): \(profile.purpose ?? "")\n"
        for (line, effect) in zip(profile.lines, effects) {
            let value = line.value ?? ""
            let head =
                switch effect {
                case .change(let now): "change  \(line.knob.name): '\(now)' -> '\(value)'"
                case .alreadySo: "is so   \(line.knob.name) = '\(value)'"
                case .lack: "LACKS   \(line.knob.name) = '\(value)'"
                case .byHand:
                    "by hand \(line.knob.kind == .limit || line.knob.kind == .unit ? "\(line.knob.name)\(line.knob.kind == .unit ? "=" : " ")\(value)" : line.knob.command(for: value) ?? value)"
                }
            text += "\n\(head)\n        \(line.reason ?? "")\n        \(line.evidence(in: folder))\n"
            switch effect {
            case .lack(let sentence), .byHand(let sentence): text += "        -> \(sentence)\n"
            case .change: text += "        -> \(line.knob.command(for: value) ?? "")\n"
            case .alreadySo: break
            }
        }
        return text
    }
}
