extension Knob {
    /// The options of `weir origin`, as its help lists them.
    static let originOptions = [
        "--listen", "--size", "--sizes", "--chunked", "--status", "--close", "--delay", "--delay-distribution", "--fault", "--stall-time",
        "--tls", "--no-resumption", "--threads", "--cpu", "--seed", "--ready-fd", "--lab-no-defer", "--lab-cooperative", "--lab-sqpoll",
        "--lab-single-shot", "--lab-buffer-bytes", "--lab-buffers", "--lab-ring", "--lab-min-wait",
    ]

    /// The options of `weir load`, as its help lists them.
    static let loadOptions = [
        "--rate", "--ramp", "--steps", "--poisson", "--closed", "--duration", "--warm-up", "--requests", "--connections", "--pipeline",
        "--close", "--connect", "--mix", "--method", "--header", "--body", "--body-size", "--websocket", "--insecure", "--ca",
        "--server-name", "--no-resumption", "--read-rate", "--write-rate", "--timeout", "--queue", "--threads", "--cpu", "--seed", "--json",
        "--hdr", "--progress", "--allow-failures", "--report-anyway", "--histogram",
    ]

    /// Why the name is no option of the program that is given it, as the rest of a sentence; nil when it is one.
    var optionComplaint: String? {
        let isOrigin = kind == .originOption
        let options = isOrigin ? Self.originOptions : Self.loadOptions
        if options.contains(name) { return nil }
        let near = nearest(to: name, among: options).map { "; did you mean '\($0)'?" } ?? ""
        return "is no option of 'weir \(isOrigin ? "origin" : "load")'\(near)"
    }
}
