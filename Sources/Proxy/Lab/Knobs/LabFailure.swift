/// Why the lab cannot go on: one sentence that says what to do about it, without a full stop.
struct LabFailure: Error, Equatable, CustomStringConvertible {
    var description: String
    init(_ sentence: String) { description = sentence }
}
