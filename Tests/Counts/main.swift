import Proxy

// Prints what small exchanges cost, or runs the parts of one over and over:
//   weir-counts EXCHANGES [rewriting] [answers] [burning]
//   weir-counts parts REPETITIONS

let words = CommandLine.arguments.dropFirst()
if words.first == "parts" {
    countParts(repetitions: words.dropFirst().first.flatMap { Int($0) } ?? 1_000)
} else {
    let counts = countExchanges(
        words.first.flatMap { Int($0) } ?? 10_000, rewrites: words.contains("rewriting"), answers: words.contains("answers"),
        burnNanoseconds: words.contains("burning") ? 300 : 0)
    let allocated = counts.allocatedBytes.map { "\($0)" } ?? "null"
    print(
        #"{"exchanges": \#(counts.exchanges), "allocated_bytes": \#(allocated), "ticks": \#(counts.ticks), "complaints": \#(counts.complaints), "#
            + #""enters": \#(counts.enters), "calls": \#(counts.calls), "submissions": \#(counts.submissions), "#
            + #""completions": \#(counts.completions), "moved_bytes": \#(counts.movedBytes), "copied_body_bytes": \#(counts.copiedBodyBytes)}"#)
}
