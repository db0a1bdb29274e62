/// One thing that `weir doctor` found: what is so, why it matters, and what to do about it.
struct Finding: Equatable {
    enum Weight: String {
        /// As it should be.
        case good
        /// Works, and would work better otherwise.
        case advice
        /// Weir cannot serve like this.
        case problem
    }

    var weight: Weight
    /// What it is about, in a word or two: the same in every run, for scripts.
    var subject: String
    var state: String
    var reason: String
    var remedy: String?

    static func good(_ subject: String, _ state: String, because reason: String) -> Finding {
        Finding(weight: .good, subject: subject, state: state, reason: reason, remedy: nil)
    }

    static func advice(_ subject: String, _ state: String, because reason: String, remedy: String) -> Finding {
        Finding(weight: .advice, subject: subject, state: state, reason: reason, remedy: remedy)
    }

    static func problem(_ subject: String, _ state: String, because reason: String, remedy: String) -> Finding {
        Finding(weight: .problem, subject: subject, state: state, reason: reason, remedy: remedy)
    }

    /// Two or three lines for people.
    var text: String {
        let mark =
            switch weight {
            case .good: "ok     "
            case .advice: "advice "
            case .problem: "PROBLEM"
            }
        let space = String(repeating: " ", count: mark.count + 1)
        return "\(mark) \(subject): \(state)\n\(space)\(reason)\n" + (remedy.map { "\(space)-> \($0)\n" } ?? "")
    }

    var json: JSONText {
        .object([
            ("weight", .text(weight.rawValue)), ("subject", .text(subject)), ("state", .text(state)),
            ("reason", .text(reason)), ("remedy", remedy.map(JSONText.text) ?? .null),
        ])
    }
}
