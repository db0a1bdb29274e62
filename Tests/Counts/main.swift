import Proxy

// Prints what small exchanges cost: `weir-counts EXCHANGES [rewriting] [answers]`.

let exchanges = CommandLine.arguments.dropFirst().first.flatMap { Int($0) } ?? 10_000
let counts = countExchanges(
    exchanges, rewrites: CommandLine.arguments.contains("rewriting"), answers: CommandLine.arguments.contains("answers"))
let allocated = counts.allocatedBytes.map { "\($0)" } ?? "null"
print(
    #"{"exchanges": \#(counts.exchanges), "allocated_bytes": \#(allocated), "ticks": \#(counts.ticks), "complaints": \#(counts.complaints)}"#)
