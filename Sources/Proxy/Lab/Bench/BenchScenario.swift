/// One kind of work that proxies are measured at, as a file of `Benchmarks/Scenarios` says it.
struct BenchScenario: Equatable, Sendable {
    /// The file's name without its ending.
    var name = ""
    var sentence: String?
    /// Whether `make bench` takes it, which has five minutes.
    var isQuick = false
    /// Of one measurement.
    var durationMilliseconds = 2_000
    /// Of the load that goes ahead of each.
    var warmUpMilliseconds = 1_000
    /// How long one has the load before it is the next one's turn, all running at the same time; 0 = each has its time in one piece.
    var sliceMilliseconds = 0
    /// What of a hundred requests may fail; for scenarios that overload on purpose.
    var failuresPercentMax = 0
    var proxy = ProxyWork()
    var origin = OriginWork()
    var load = LoadWork()

    /// What the proxies are set to.
    struct ProxyWork: Equatable, Sendable {
        var tls = false
        var resumption = true
        var accessLog = false
        /// Rules that are looked through for each request; 0 = everything goes to the one backend.
        var rules = 0
        var backendConnections = 512
        /// Requests of one moment that share a backend connection, where the proxy can do that; 1 = none.
        var pipeline = 1
    }

    struct OriginWork: Equatable, Sendable {
        var bodyBytes = 1_024
        var chunked = false
        var delayMilliseconds = 0
    }

    struct LoadWork: Equatable, Sendable {
        var path: String? = "/"
        var connections = 64
        /// Requests per second by timetable; 0 = each connection asks as soon as it is answered.
        var rate = 0
        /// At random distances around that rate.
        var poisson = false
        var close = false
        var websocket = false
        /// Bytes per second that a client takes at most; 0 = all it gets.
        var readRateBytes = 0
        var pipeline = 1
        var requestBodyBytes = 0
        /// A file of weighted requests.
        var mix: String?
    }

    /// Whether bytes are what costs, and figures are given for them.
    var movesBodies: Bool { origin.bodyBytes >= 65_536 || load.requestBodyBytes >= 65_536 }

    /// What a proxy must be able to do, in the words by which rivals say what they lack.
    var needs: [String] {
        var needs: [String] = []
        if proxy.tls { needs.append("tls") }
        if proxy.tls && proxy.resumption && load.close { needs.append("resumption") }
        if proxy.accessLog { needs.append("access-log") }
        if proxy.rules > 0 { needs.append("rules") }
        if load.websocket { needs.append("websocket") }
        return needs
    }

    /// The options of `weir load`, but for URL, time and results.
    var loadOptions: [String] {
        var options = ["--connections", "\(load.connections)"]
        if load.rate > 0 { options += [load.poisson ? "--poisson" : "--rate", "\(load.rate)"] } else { options.append("--closed") }
        if load.close { options.append("--close") }
        if load.websocket { options.append("--websocket") }
        if load.readRateBytes > 0 { options += ["--read-rate", "\(load.readRateBytes)"] }
        if load.pipeline > 1 { options += ["--pipeline", "\(load.pipeline)"] }
        if load.requestBodyBytes > 0 { options += ["--method", "POST", "--body-size", "\(load.requestBodyBytes)"] }
        if let mix = load.mix { options += ["--mix", mix] }
        if proxy.tls { options.append("--insecure") }
        if proxy.tls && !proxy.resumption { options.append("--no-resumption") }
        if failuresPercentMax > 0 { options += ["--allow-failures", "\(failuresPercentMax)%"] }
        return options
    }

    var originOptions: [String] {
        var options = ["--size", "\(origin.bodyBytes)"]
        if origin.chunked { options.append("--chunked") }
        if origin.delayMilliseconds > 0 { options += ["--delay", "\(origin.delayMilliseconds)ms"] }
        return options
    }

    /// What templates of configurations may name, besides ports and paths.
    var templateValues: [String: ConfigTemplate.Value] {
        [
            "tls": .flag(proxy.tls), "resumption": .flag(proxy.resumption), "access-log": .flag(proxy.accessLog), "rules": .number(proxy.rules),
            "pool": .number(proxy.backendConnections), "pool-max": .number(max(proxy.backendConnections, load.connections)),
            "pipeline": .number(proxy.pipeline > 1 ? proxy.pipeline : 0), "websocket": .flag(load.websocket),
        ]
    }

    /// What it is about, for results and reports.
    var json: JSONText {
        .object([
            ("duration_ms", .number(durationMilliseconds)), ("warm_up_ms", .number(warmUpMilliseconds)),
            ("slice_ms", sliceMilliseconds > 0 ? .number(sliceMilliseconds) : .null),
            ("load", .list(loadOptions.map(JSONText.text))), ("path", .text(load.path ?? "/")),
            ("origin", .list(originOptions.map(JSONText.text))),
            ("proxy", .object(templateValues.sorted { $0.key < $1.key }.map { ($0.key, .text($0.value.text)) })),
        ])
    }
}
