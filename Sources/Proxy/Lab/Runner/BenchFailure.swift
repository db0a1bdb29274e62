/// Why a measurement cannot be made: one sentence that says what to do about it, without a full stop.
struct BenchFailure: Error, Equatable, CustomStringConvertible {
    var description: String
    init(_ sentence: String) { description = sentence }
}
