import Proxy

// Prints what small exchanges cost: `weir-counts EXCHANGES [rewriting]`.

let exchanges = CommandLine.arguments.dropFirst().first.flatMap { Int($0) } ?? 10_000
let counts = countExchanges(exchanges, rewrites: CommandLine.arguments.contains("rewriting"))
let allocated = counts.allocatedBytes.map { "\($0)" } ?? "null"
print(
    #"{"exchanges": \#(counts.exchanges), "allocated_bytes": \#(allocated), "ticks": \#(counts.ticks), "complaints": \#(counts.complaints)}"#)
