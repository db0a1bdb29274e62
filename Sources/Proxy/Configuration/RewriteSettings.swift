/// What becomes of the target and the host of a request on the way to its backend.
struct RewriteSettings: Sendable, Equatable {
    enum Path: Sendable, Equatable {
        case keep
        /// RProxy 1: the text, then what stands behind the last group of the pattern.
        case afterLastGroup(pattern: String, text: String)
        /// The text, with `$1` and its like for the groups of the pattern, is the new path.
        case replace(pattern: String, text: String)
        /// One beginning of a path for another, at the end of a segment; without slashes at their ends.
        case prefix(String, with: String)
    }
    enum Query: Sendable, Equatable {
        case keep, drop
        case replace(String)
        case append(String)
    }
    enum Host: Sendable, Equatable {
        /// What the client sent.
        case client
        /// As the chosen backend is configured.
        case backend
        case name(String)
    }
    var path = Path.keep
    var query = Query.keep
    var host = Host.client
    /// What a backend says about places under the prefix is mapped back; means something for prefixes only.
    var mapsBack = true
}

/// One `reverse` section: what a backend says about its place, and what clients shall read; pairs of both.
struct ReverseSettings: Sendable, Equatable {
    struct Pair: Sendable, Equatable {
        var from: String
        var to: String
    }
    /// Paths or URLs, without slashes at their ends.
    var location: Pair?
    var cookiePath: Pair?
    /// An empty `to` takes the attribute out.
    var cookieDomain: Pair?
}

/// Fields to add to a head, to replace and to take out of it.
struct HeaderEditSettings: Sendable, Hashable {
    struct Field: Sendable, Hashable {
        var name: String
        /// May have the tokens of the logs.
        var value: String
    }
    /// Take the place of all instances of their name.
    var set: [Field] = []
    /// Stand beside those that are there.
    var add: [Field] = []
    var remove: [String] = []
    /// Most bytes of all lines together, a token counted as 64: any head has to fit into a block beside them.
    static let bytesMax = 16_384

    /// What `bytesMax` is about.
    var bytes: Int {
        (set + add).reduce(0) { $0 + $1.name.utf8.count + 4 + $1.value.utf8.reduce(0) { $0 + ($1 == UInt8(ascii: "{") ? 64 : 1) } }
    }

    /// Of answers: also those that the proxy gives itself.
    var coversOwnAnswers = true
}
