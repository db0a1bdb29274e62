/// One combination of the knobs' values, by name.
struct Variant: Equatable, Sendable {
    var name: String
    var values: [(knob: Knob, value: String)]

    static func == (left: Variant, right: Variant) -> Bool {
        left.name == right.name && left.values.elementsEqual(right.values) { $0.knob == $1.knob && $0.value == $1.value }
    }

    /// Values of one kind, in the order of the file.
    func of(_ kind: Knob.Kind) -> [(knob: Knob, value: String)] { values.filter { $0.knob.kind == kind } }

    /// Words of a command line.
    func options(_ kind: Knob.Kind) -> [String] { of(kind).flatMap { $0.knob.words(for: $0.value) } }

    /// Settings of the kernel that it needs.
    var machineChanges: [(path: String, value: String)] {
        values.compactMap { knob, value in knob.path.map { ($0, value) } }
    }
}

extension ExperimentSettings {
    /// Every combination of the knobs' values; the first one is what the others are compared with.
    var variants: [Variant] {
        var variants = [Variant(name: "", values: [])]
        for knob in knobs {
            variants = variants.flatMap { variant in
                knob.values.indices.map { at in
                    var name = variant.name
                    if knob.values.count > 1 { name += (name.isEmpty ? "" : ", ") + knob.label(at) }
                    return Variant(name: name, values: variant.values + [(knob.knob, knob.values[at])])
                }
            }
        }
        return variants
    }

    /// Which variant is measured when: forward in one round and backward in the next (A B B A …), so that what changes slowly with
    /// time weighs on all alike.
    var order: [(round: Int, variant: Int)] {
        let count = variants.count
        return (0..<rounds).flatMap { round in
            (0..<count).map { (round, round % 2 == 0 ? $0 : count - 1 - $0) }
        }
    }

    /// How long it takes, with half a second for the start of the programs.
    var milliseconds: Int {
        order.count * (scenario.durationMilliseconds + scenario.warmUpMilliseconds + scenario.restMilliseconds + 500)
    }

    /// The configuration of the proxy under test.
    ///
    /// - Parameter admin: path of its admin socket, where its counters are to be asked for.
    func configuration(_ variant: Variant, origin: String, admin: String? = nil) -> String {
        let settings = variant.of(.setting)
        func lines(_ place: String, _ indent: String, unless fixed: Set<String> = []) -> String {
            settings.filter { $0.knob.place == place }.map { "\(indent)\($0.knob.name) = \(quotedText($0.value))\n" }.joined()
        }
        let written = Set(settings.filter { $0.knob.place != "server" }.map { $0.knob.name.lowercased() })
        let port = origin.split(separator: ":").last ?? "80"
        let connections = scenario.backendConnections == 0 ? scenario.connections : scenario.backendConnections
        var backend = "        addr = 127.0.0.1\n        port = \(port)\n"
        if !written.contains("connections") { backend += "        connections = \(connections)\n" }
        if !written.contains("connections-max") { backend += "        connections-max = \(connections)\n" }
        let adminLine = admin.map { "admin-socket = \(quotedText($0))\n" } ?? ""
        return """
            \(adminLine)\(written.contains("workers") ? "" : "workers = 1\n")\(lines("global", ""))server {
                addr = 127.0.0.1
                port = 0
            \(lines("server", "    "))    \(backendWord) origin {
            \(backend)\(lines(backendWord, "        "))    }
            }

            """
    }
}
