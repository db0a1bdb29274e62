import CUring

/// The command line of `weir load`, understood: every mistake in it has been told by then.
struct LoadArguments {
    let urlTexts: [String]
    private let urls: [LoadURL]
    private let pace: Timetable.Pace?
    private let mode: String
    private let rates: [Double]
    private let durationNanoseconds: UInt64?
    private let request: LoadRequest
    /// All but what needs files and names.
    private var numbers = Numbers()

    private struct Numbers {
        var warmUp: UInt64 = 0
        var timeout: UInt64 = 0
        var bodyBytes: UInt64?
        var readRate = 0
        var writeRate = 0
        var cpus: [Int] = []
    }

    init(_ request: LoadRequest) throws(CommandComplaint) {
        self.request = request
        urlTexts = request.urls
        urls = try Self.urls(request.urls)
        (pace, mode, rates) = try Self.pace(request)
        let isEndedByCount = request.requests != nil && request.duration == nil && mode != "ramp" && mode != "steps"
        durationNanoseconds = isEndedByCount ? nil : try CommandValues.time(request.duration ?? "10s", "--duration")
        if let durationNanoseconds {
            guard (1_000_000...86_400_000_000_000).contains(durationNanoseconds) else { throw CommandComplaint("--duration: 1ms to 24h") }
        }
        if request.requests == 0 { throw CommandComplaint("--requests: at least one") }
        numbers.warmUp = try CommandValues.time(request.warmUp ?? "0s", "--warm-up")
        guard numbers.warmUp <= 3_600_000_000_000 else { throw CommandComplaint("--warm-up: at most an hour") }
        numbers.timeout = try CommandValues.time(request.timeout, "--timeout")
        guard (1_000_000...3_600_000_000_000).contains(numbers.timeout) else { throw CommandComplaint("--timeout: 1ms to 1h") }
        try checkCounts()
        numbers.readRate = try Self.byteRate(request.readRate, "--read-rate")
        numbers.writeRate = try Self.byteRate(request.writeRate, "--write-rate")
        numbers.cpus = try CommandValues.list(request.cpus, "--cpu")
        try checkRequests()
    }

    private func checkCounts() throws(CommandComplaint) {
        guard (1...LoadPlan.threadsMax).contains(request.threads) else { throw CommandComplaint("--threads: 1 to \(LoadPlan.threadsMax)") }
        guard (request.threads...LoadPlan.connectionsMax).contains(request.connections) else {
            throw CommandComplaint("--connections: at least one for each thread, at most \(LoadPlan.connectionsMax)")
        }
        guard (1...LoadPlan.pipelineMax).contains(request.pipeline) else { throw CommandComplaint("--pipeline: 1 to \(LoadPlan.pipelineMax)") }
        guard request.pipeline == 1 || !request.close else { throw CommandComplaint("--pipeline and --close exclude each other") }
        guard !request.histogram || request.json != nil else { throw CommandComplaint("--histogram is a part of the JSON: give --json too") }
        if let queue = request.queue {
            guard !request.closed else { throw CommandComplaint("--queue is for timetables: with --closed nothing waits for a connection") }
            guard (request.threads...100_000_000).contains(queue) else { throw CommandComplaint("--queue: at least one for each thread, at most 100000000") }
        }
    }

    private mutating func checkRequests() throws(CommandComplaint) {
        if let method = request.method, let wrong = RequestMix.wrong(method: method) { throw CommandComplaint("--method: \(wrong)") }
        for field in request.headers {
            if let wrong = RequestMix.wrong(field: field) { throw CommandComplaint("--header: \(wrong)") }
        }
        guard request.body == nil || request.bodySize == nil else { throw CommandComplaint("give --body or --body-size, not both") }
        if let size = request.bodySize {
            let bytes = try CommandValues.size(size, "--body-size")
            guard bytes <= RequestMix.bodyBytesMax else { throw CommandComplaint("--body-size: at most 1g") }
            numbers.bodyBytes = bytes
        }
        guard request.mix == nil || (request.body == nil && request.bodySize == nil && request.method == nil) else {
            throw CommandComplaint("with --mix, its lines say method and body")
        }
        guard !request.webSocket || (request.mix == nil && !request.close && request.method == nil && urls.count == 1) else {
            throw CommandComplaint("--websocket takes one URL, and neither --mix, --close nor --method")
        }
        guard request.mix == nil || urls.count == 1 else { throw CommandComplaint("with --mix, its lines say what is asked: give one URL") }
        try checkTLS()
    }

    private func checkTLS() throws(CommandComplaint) {
        guard !request.insecure || request.authorities == nil else { throw CommandComplaint("give --insecure or --ca, not both") }
        if urls[0].isSecure { return }
        let given = [
            ("--insecure", request.insecure), ("--ca", request.authorities != nil), ("--server-name", request.serverName != nil),
            ("--no-resumption", !request.resumes),
        ]
        for (option, isGiven) in given where isGiven { throw CommandComplaint("\(option) is for URLs that begin with https://") }
    }

    private static func urls(_ texts: [String]) throws(CommandComplaint) -> [LoadURL] {
        var urls: [LoadURL] = []
        for text in texts {
            guard let url = LoadURL(text) else { throw CommandComplaint("'\(text)' is no URL; write http://HOST:PORT/PATH or https://…") }
            if let first = urls.first, !url.sharesConnections(with: first) {
                throw CommandComplaint("'\(text)' has another scheme, host or port than the first URL; all of a run share connections")
            }
            urls.append(url)
        }
        guard !urls.isEmpty else { throw CommandComplaint("name the URL to send requests to") }
        return urls
    }

    private static func pace(_ request: LoadRequest) throws(CommandComplaint) -> (Timetable.Pace?, String, [Double]) {
        let given = [request.rate, request.ramp, request.steps, request.poisson].count { $0 != nil } + (request.closed ? 1 : 0)
        guard given == 1 else {
            throw CommandComplaint(
                (given == 0 ? "say how requests are to come: " : "give one of: ")
                    + "--rate 1000, --ramp 100:5000, --steps 100,200, --poisson 1000 or --closed")
        }
        if request.closed { return (nil, "closed", []) }
        if let text = request.rate {
            let rate = try rate(text, "--rate")
            return (.constant(rate), "constant", [rate])
        }
        if let text = request.poisson {
            let rate = try rate(text, "--poisson")
            return (.poisson(rate), "poisson", [rate])
        }
        if let text = request.ramp {
            let ends = text.split(separator: ":", omittingEmptySubsequences: false)
            guard ends.count == 2 else { throw CommandComplaint("--ramp: write FROM:TO, as 100:5000") }
            let (from, to) = (try CommandValues.number(ends[0], "--ramp"), try CommandValues.number(ends[1], "--ramp"))
            guard from + to > 0, max(from, to) <= Timetable.rateMax else { throw CommandComplaint("--ramp: one of the rates is above 0") }
            return (.ramp(from: from, to: to), "ramp", [from, to])
        }
        var rates: [Double] = []
        for part in (request.steps ?? "").split(separator: ",", omittingEmptySubsequences: false) { rates.append(try rate(part, "--steps")) }
        guard rates.count <= 1_000 else { throw CommandComplaint("--steps: at most 1000 of them") }
        return (.steps(rates), "steps", rates)
    }

    private static func rate(_ text: some StringProtocol, _ option: String) throws(CommandComplaint) -> Double {
        let rate = try CommandValues.number(text, option)
        guard rate >= 0.001, rate <= Timetable.rateMax else { throw CommandComplaint("\(option): 0.001 to 1000000000 requests by second") }
        return rate
    }

    private static func byteRate(_ text: String?, _ option: String) throws(CommandComplaint) -> Int {
        guard let text else { return 0 }
        let bytes = try CommandValues.size(text, option)
        guard (1...1_000_000_000).contains(bytes) else { throw CommandComplaint("\(option): 1 to 1000000000 bytes by second") }
        return Int(bytes)
    }
}

extension LoadArguments {
    /// Reads the files, finds the address.
    func plan() throws(LaunchFailure) -> LoadPlan {
        let url = urls[0]
        var plan = LoadPlan(book: try book(url))
        plan.address = try loadAddress(url, connect: request.connect)
        plan.warmUpNanoseconds = numbers.warmUp
        plan.timetable = timetable
        plan.durationNanoseconds = durationNanoseconds ?? LoadPlan.unlimitedNanoseconds
        plan.requestsMax = request.requests
        plan.connections = request.connections
        plan.threads = request.threads
        plan.pipeline = request.pipeline
        plan.closes = request.close
        plan.timeoutNanoseconds = numbers.timeout
        plan.queueMax = request.queue ?? plan.queueMax
        plan.readRate = numbers.readRate
        plan.writeRate = numbers.writeRate
        plan.isWebSocket = request.webSocket
        plan.resumes = request.resumes
        plan.cpus = numbers.cpus
        plan.seed = request.seed
        if url.isSecure {
            var material = TLSBackendMaterial()
            material.verifies = !request.insecure
            if material.verifies { material.authorities = [try authorities()] }
            plan.tls = material
            plan.serverName = Array((request.serverName ?? url.host).utf8)
        }
        return plan
    }

    private var timetable: Timetable? {
        guard let pace else { return nil }
        var duration = durationNanoseconds ?? LoadPlan.unlimitedNanoseconds
        if case .constant(let rate) = pace, let requests = request.requests {
            let whole = Double(requests) / rate * 1e9
            if whole < Double(duration) { duration = UInt64(whole.rounded(.up)) }
        }
        return Timetable(pace, durationNanoseconds: duration, requestsMax: request.requests ?? 0, seed: request.seed)
    }

    private func authorities() throws(LaunchFailure) -> TLSFile {
        if let path = request.authorities { return try tlsFile(path) }
        do throws(LaunchFailure) {
            return try tlsFile(TLSSettings.systemAuthorities)
        } catch {
            throw LaunchFailure("\(error); name a file of authorities with --ca, or leave certificates unchecked with --insecure")
        }
    }

    private func book(_ url: LoadURL) throws(LaunchFailure) -> RequestBook {
        if request.webSocket {
            let opening = RequestMix.Request(target: url.target, fields: request.headers)
            let payload = try request.body.map { path throws(LaunchFailure) in try wholeFile(path) } ?? Self.pattern(numbers.bodyBytes ?? 32)
            return RequestBook(webSocket: opening, authority: url.authority, payload: payload, seed: request.seed)
        }
        let mix = try mix()
        var bodies: [String: [UInt8]] = [:]
        var sum: UInt64 = 0
        for body in mix.requests.map(\.body) {
            switch body {
            case .none: break
            case .size(let bytes): sum += bytes
            case .file(let path):
                if bodies[path] == nil { bodies[path] = try wholeFile(path) }
                sum += UInt64(bodies[path]?.count ?? 0)
            }
            // Each request lies in memory with its body.
            guard sum <= RequestMix.bodyBytesMax else { throw LaunchFailure("the bodies of all requests have more than 1 GiB together") }
        }
        return RequestBook(mix, authority: url.authority, closes: request.close, inTurn: request.mix == nil) { body in
            switch body {
            case .none: []
            case .size(let bytes): Self.pattern(bytes)
            case .file(let path): bodies[path] ?? []
            }
        }
    }

    private func mix() throws(LaunchFailure) -> RequestMix {
        guard let path = request.mix else {
            let body: RequestMix.Body = request.body.map { .file($0) } ?? numbers.bodyBytes.map { .size($0) } ?? .none
            let method = request.method ?? (body == .none ? "GET" : "POST")
            return RequestMix(urls.map { RequestMix.Request(method: method, target: $0.target, fields: request.headers, body: body) })
        }
        let text = String(decoding: try wholeFile(path, bytesMax: 1 << 24), as: UTF8.self)
        do throws(RequestMix.Complaint) {
            var mix = try RequestMix(parsing: text) { text in try? CommandValues.size(text, "size") }
            for index in mix.requests.indices { mix.requests[index].fields += request.headers }
            return mix
        } catch {
            throw LaunchFailure(error.line > 0 ? "\(path):\(error.line): \(error.sentence)" : "\(path): \(error.sentence)")
        }
    }

    /// Printable bytes with a short period, easy to tell from what somebody else sends.
    private static func pattern(_ count: UInt64) -> [UInt8] { (0..<Int(count)).map { UInt8(ascii: "a") &+ UInt8($0 % 26) } }

    // MARK: - For the report

    func report(_ plan: LoadPlan) -> LoadSettingsReport {
        LoadSettingsReport(mode: mode, rates: rates, plan: plan, durationNanoseconds: durationNanoseconds, requestsMax: request.requests)
    }

    /// Entries of the timetable; nil when nobody can know them: those of a Poisson timetable are counted by going through it.
    func planned(_ plan: LoadPlan, _ tally: LoadTally, isInterrupted: Bool) -> UInt64? {
        guard let timetable = plan.timetable else { return request.requests }
        return timetable.count ?? (isInterrupted ? nil : tally.planned)
    }

    func wantedRate(_ plan: LoadPlan) -> Double? { plan.timetable?.meanRate }
}
