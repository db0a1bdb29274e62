import Glibc

@testable import Proxy

/// One run: a configuration, clients and backends by seed, the real worker on a scripted ring, and what was wrong.
final class ScriptedRun {
    let seed: UInt64
    /// Nothing happens that keeps a request from its answer: each must get it whole.
    let isGentle: Bool
    let kernel: ScriptedKernel
    private(set) var listener: ScriptedListener
    var plans: [RequestPlan] = []
    private(set) var complaints: [String] = []
    private var clients: [SimulatedClient] = []
    private var backends: [SimulatedBackend] = []
    private var random: ScriptedRandom
    private var settings = ServerSettings()
    private(set) var ticks = 0
    /// Names of backends change their addresses during the run.
    private let changesAddresses: Bool
    /// The configuration changes again and again during the run.
    private let changesPlans: Bool
    private var planRandom: ScriptedRandom
    /// A plan was handed over, and what it does not name of the one before has not been let go yet.
    private var oldListenersStand = false
    /// Plans that the worker was given, and what it said of them.
    private var generations: [GivenPlan] = []
    /// What the worker counted, and how requests ended.
    private(set) var totals: [String: Int] = [:]

    private struct GivenPlan {
        weak var plan: ServingPlan?
        let generation: UInt64
        var isAdopted = false
        var isUnused = false
    }

    init(seed: UInt64, without disabled: Set<ScriptedFault> = [], changingPlans: Bool = false, tracing: Bool = false) {
        self.seed = seed
        changesPlans = changingPlans
        planRandom = ScriptedRandom(seed: seed &* 0x9E37_79B9_7F4A_7C15)
        random = ScriptedRandom(seed: seed &* 0x2545_F491_4F6C_DD1D)
        isGentle = random.below(2) == 0
        changesAddresses = seed % 4 == 3
        var sizes = ScriptedSizes()
        sizes.clientBuffers = random.below(3) == 0 ? 1 + random.below(4) : 64
        sizes.clientBufferBytes = random.below(3) == 0 ? 64 + random.below(500) : 4096
        sizes.backendBuffers = random.below(3) == 0 ? 1 + random.below(4) : 64
        sizes.backendBufferBytes = random.below(3) == 0 ? 256 + random.below(2_000) : 16_384
        sizes.socketBytes = random.below(3) == 0 ? 500 + random.below(8_000) : 64 * 1024
        sizes.pipeBytes = random.below(3) == 0 ? 4_096 + random.below(60_000) : 1 << 20
        sizes.delayMax = [1_000, 50_000, 1_000_000][random.below(3)]
        kernel = ScriptedKernel(seed: seed, sizes: sizes)
        kernel.tracing = tracing
        listener = kernel.listen()
        setFaults(without: disabled)
        configure()
        makePlans()
    }

    func complain(_ text: String) {
        if complaints.count < 20 { complaints.append(text) }
    }

    // MARK: - By seed

    private func setFaults(without disabled: Set<ScriptedFault>) {
        for fault in ScriptedFault.allCases {
            let chance = random.below(2) == 0 ? 0 : [5, 50, 300][random.below(3)]
            if disabled.contains(fault) { continue }
            switch fault {
            case .reset: kernel.faults[fault] = isGentle ? 0 : chance / 5
            case .logWriteError: kernel.faults[fault] = min(chance, 100)
            case .lateCompletion: kernel.faults[fault] = min(chance, 100)
            case .noDescriptors: kernel.faults[fault] = min(chance, 200)
            default: kernel.faults[fault] = chance
            }
        }
    }

    private func configure() {
        let high = random.below(2) == 0 ? 2_000 + random.below(30_000) : 256 * 1024
        let watermark = Watermark(highBytes: high, lowBytes: high / 4)
        settings.watermark = watermark
        settings.splice.enabled = random.below(3) > 0
        if random.below(2) == 0 {
            settings.splice.bodyBytesMin = UInt64(1_000 + random.below(20_000))
            settings.splice.remainingBytesMin = UInt64(random.below(1_000))
        }
        settings.pending.countMax = isGentle ? 10_000 : 1 + random.below(10)
        settings.balancing.method = [.rtt, .roundrobin, .mostIdle, .random, .none, .twoChoices][random.below(6)]
        settings.accessLog = LogSettings(enabled: true, format: "json")
        settings.forwarded.forwardedFor = random.below(2) == 0 ? .append : .off
        if random.below(4) == 0 { settings.limits.requestsPerConnectionMax = 1 + random.below(4) }
        let short = !isGentle
        settings.timers = ClientTimers(
            headMilliseconds: short ? 400 : 600_000, bodyGapMilliseconds: short ? 400 : 0,
            keepAliveIdleMilliseconds: short ? 300 : 600_000, writeProgressMilliseconds: short ? 400 : 0,
            rateMinBytesPerSecond: short && random.below(2) == 0 ? 512 : 0, rateGraceMilliseconds: 1_000,
            tunnelIdleMilliseconds: short ? 500 : 600_000)
        settings.pending.timeoutMilliseconds = short ? 300 : 0
        let pipeline = random.below(2) == 0 ? 1 : 8
        let connections = 1 + random.below(8)
        for number in 0..<(1 + random.below(2)) {
            var backend = BackendSettings()
            backend.name = "b\(number)"
            backend.address = .ipv4("127.0.0.1")
            backend.port = UInt16(9_000 + number)
            backend.connections = 1 + random.below(connections)
            backend.connectionsMax = connections
            backend.pipeline = pipeline
            backend.watermark = watermark
            backend.retryMilliseconds = 5
            backend.retryMillisecondsMax = 100
            backend.idleMilliseconds = short ? 100 : 60_000
            if random.below(4) == 0 { backend.requestsPerConnectionMax = 1 + random.below(5) }
            backend.connectMilliseconds = short ? 100 : 600_000
            backend.readMilliseconds = short ? 300 : 600_000
            backend.writeMilliseconds = short ? 300 : 600_000
            if random.below(6) == 0 {
                backend.pending = PendingSettings(timeoutMilliseconds: short ? 200 : 0, countMax: isGentle ? 1_000 : 3)
            }
            settings.backends.append(backend)
            let door = SimulatedBackend(
                self, seed: random.next(), port: backend.port, refusals: isGentle ? 0 : [0, 0, 100, 1_000][random.below(4)],
                silences: isGentle ? 0 : [0, 0, 100][random.below(3)])
            backends.append(door)
            kernel.doors.append((backend.port, door))
        }
    }

    private func makePlans() {
        for _ in 0..<(1 + random.below(6)) {
            var requests: [Int] = []
            for _ in 0..<(1 + random.below(6)) {
                requests.append(plans.count)
                plans.append(makePlan(plans.count))
            }
            let client = SimulatedClient(self, seed: random.next(), requests: requests)
            clients.append(client)
            client.start(after: UInt64(random.below(5_000_000)))
        }
    }

    /// Sizes around the places where something changes.
    private func size() -> Int {
        switch random.below(6) {
        case 0: 0
        case 1: 1 + random.below(100)
        case 2: random.below(5_000)
        case 3: 16_384 - 50 + random.below(100)
        case 4: 65_536 - 2 + random.below(4)
        default: random.below(random.below(3) == 0 ? 300_000 : 100_000)
        }
    }

    private func makePlan(_ id: Int) -> RequestPlan {
        var plan = RequestPlan()
        plan.id = id
        plan.method = ["GET", "GET", "GET", "GET", "HEAD", "POST", "POST", "PUT"][random.below(8)]
        if plan.method == "POST" || plan.method == "PUT" {
            plan.body = random.below(2) == 0 ? .counted(size()) : .chunked(size())
            plan.expects = random.below(5) == 0
        }
        if random.below(12) == 0, plan.body == .none || random.below(2) == 0 {
            plan.minorVersion = 0
            plan.expects = false
            if case .chunked(let count) = plan.body { plan.body = .counted(count) }
            plan.closes = random.below(2) == 0
        }
        if random.below(12) == 0 { plan.closes = true }
        if random.below(15) == 0 { plan.halfCloses = true }
        plan.framing = [.length, .length, .chunked, .untilClose][random.below(4)]
        plan.length = size()
        if random.below(10) == 0 {
            plan.status = [204, 304][random.below(2)]
            plan.framing = .nothing
            plan.length = 0
        }
        if random.below(8) == 0 { plan.interims = 1 + random.below(3) }
        if random.below(3) == 0 { plan.delay = UInt64(random.below(3_000_000)) }
        if random.below(8) == 0 { plan.fate = .closes }
        if random.below(14) == 0, plan.method == "GET", plan.minorVersion == 1, !plan.halfCloses {
            plan.wantsUpgrade = true
            plan.closes = false
            plan.fate = .switches
            plan.tunnelBytes = 1 + size()
        }
        if !isGentle { spoil(&plan) }
        return plan
    }

    /// What goes wrong with a request, on either side.
    private func spoil(_ plan: inout RequestPlan) {
        if random.below(10) == 0 {
            plan.abortsAfter = random.below(max(plan.length, 1))
            plan.abortsByReset = random.below(2) == 0
        }
        if random.below(20) == 0 {
            plan = RequestPlan(id: plan.id)
            plan.malformed =
                [
                    "GARBAGE\r\n\r\n", "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", "GET /\u{1} HTTP/1.1\r\nHost: a\r\n\r\n",
                    "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
                    "GET / HTTP/1.1\r\nHost: a\r\nX: \(String(repeating: "y", count: 40_000))\r\n\r\n",
                    "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -5\r\n\r\n", "GET / HTTP/1.1\r\nHost: a\r\n",
                    "GET /\(String(repeating: "z", count: 9_000)) HTTP/1.1\r\nHost: a\r\n\r\n", "CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n",
                ][random.below(9)]
            return
        }
        guard random.below(4) == 0 else { return }
        let place = random.below(plan.length + 200)
        switch random.below(9) {
        case 0: plan.fate = .closesSilently
        case 1: plan.fate = .early
        case 2: plan.fate = .earlyAndCloses
        case 3: if plan.framing != .untilClose { plan.fate = .truncated(place) }
        case 4: plan.fate = .resets(place)
        case 5: plan.fate = .garbage
        case 6: plan.fate = .silent
        case 7: if plan.framing != .untilClose { plan.fate = .junk }
        default: plan.delay = UInt64(random.below(1_000_000_000))
        }
    }

    // MARK: - The run

    /// Runs until all is over; returns what was wrong.
    func run() -> [String] {
        let log = memoryFile()
        defer { close(log) }
        var global = GlobalSettings()
        settings.addresses = [.ipv4("127.0.0.1", port: 80)]
        global.servers = [settings]
        let addresses = addressTable(1, count: settings.backends.count)
        let mailbox = Mailbox()
        let counters = CounterBlock(count: WorkerCounter.allCases.count)
        var newest = try! ServingPlan(global)
        generations.append(GivenPlan(plan: newest, generation: newest.generation, isAdopted: true))
        var worker = makeWorker(newest, addresses, counters, mailbox, log)
        if kernel.tracing {
            print(settings)
            print(kernel.sizes)
            for plan in plans { print(plan) }
        }
        worker.startListening()
        worker.startWaitingForWake()
        let end = kernel.clock.now + 4_000_000_000_000
        while clients.contains(where: { !$0.isDone }), kernel.clock.now < end, ticks < 300_000, complaints.isEmpty, kernel.complaints.isEmpty {
            worker.tick()
            ticks += 1
            if changesPlans, oldListenersStand {
                // As the supervisor does between two reloads: first it lets go of listeners.
                if planRandom.below(20) == 0 { retireListeners(mailbox) }
            } else if changesPlans, planRandom.below(20) == 0 {
                newest = try! ServingPlan(otherSettings(), after: newest)
                mailbox.post(.plan(delivery(newest, log)))
                kernel.announceMail()
                generations.append(GivenPlan(plan: newest, generation: newest.generation))
                oldListenersStand = true
            }
            if changesPlans { read(mailbox) }
            if changesAddresses, !changesPlans, random.below(100) == 0 {
                let count = random.below(2) == 0 ? 1 : settings.backends.count
                mailbox.post(.addresses(addressTable(1 + ticks, count: count)))
                kernel.announceMail()
            }
        }
        for client in clients where !client.isDone { complain("\(client.description) is not done") }
        if oldListenersStand { retireListeners(mailbox) }
        // Lingering and what is in flight come to their end.
        let rest = kernel.clock.now + 20_000_000_000
        while worker.clients.count + worker.exchanges.count > 0, kernel.clock.now < rest, ticks < 350_000 {
            worker.tick()
            ticks += 1
        }
        mailbox.post(.drain(deadlineMilliseconds: 5_000))
        kernel.announceMail()
        let last = kernel.clock.now + 5_000_000_000
        while !worker.mustStop || worker.connections.count > 0, kernel.clock.now < last {
            worker.tick()
            ticks += 1
        }
        worker.tick()
        read(mailbox)
        worker.flushLogs(atEnd: true)
        for counter in WorkerCounter.allCases where counters[counter] > 0 { totals[counter.word] = Int(counters[counter]) }
        for plan in plans { totals["outcome \(plan.outcome)".prefix(while: { $0 != "\"" }).description, default: 0] += 1 }
        totals["plans"] = generations.count
        if complaints.isEmpty && kernel.complaints.isEmpty {
            checkEnd(worker, counters, log)
            checkPlans(worker, newest)
        }
        return kernel.complaints + complaints
    }

    /// The worker under test. What it is started with is gone when this returns: whoever holds a plan after that is the worker.
    private func makeWorker(
        _ plan: ServingPlan, _ addresses: AddressTable, _ counters: CounterBlock, _ mailbox: Mailbox, _ log: Int32
    ) -> Worker<ScriptedRing> {
        let start = WorkerStart(
            index: 0, cpu: nil, listeners: [WorkerListener(fd: listener.descriptor, server: 0)],
            plan: plan, logDescriptors: [-1, dup(log)], addresses: addresses, seed: seed, clientsMax: 64)
        return Worker(
            ring: ScriptedRing(kernel), start: start, counters: counters, mailbox: mailbox, events: EventLog(),
            register: BackendRegister())
    }

    private func retireListeners(_ mailbox: Mailbox) {
        oldListenersStand = false
        mailbox.post(.retireListeners)
        kernel.announceMail()
    }

    /// Addresses of the first `count` backends; the others have none.
    private func addressTable(_ generation: Int, count: Int) -> AddressTable {
        AddressTable(
            generation: generation,
            entries: settings.backends.enumerated().map { at, backend in
                let address = SocketAddress(literal: "127.0.0.1", port: backend.port)!
                return BackendAddresses(server: 0, backend: at, addresses: at < count ? [address] : [])
            })
    }

    /// The same clients and backends, under another configuration that serves them all.
    private func otherSettings() -> GlobalSettings {
        var server = settings
        server.watermark.highBytes = 4_000 + planRandom.below(60_000)
        server.watermark.lowBytes = server.watermark.highBytes / 4
        server.splice.enabled = planRandom.below(2) == 0
        server.balancing.method = [.rtt, .roundrobin, .mostIdle, .random, .none, .twoChoices, .hash][planRandom.below(7)]
        if planRandom.below(4) == 0 { server.balancing.stickyCookie = "s" }
        server.via = planRandom.below(2) == 0 ? "other" : nil
        if planRandom.below(3) == 0 { server.accessLog.format = "{SRC} {URI} {STATUS}" }
        if planRandom.below(3) == 0 { server.errorLog = LogSettings(enabled: true, level: .alert, format: "{URI}") }
        for at in server.backends.indices {
            server.backends[at].connectionsMax = 1 + planRandom.below(8)
            server.backends[at].connections = min(server.backends[at].connections, server.backends[at].connectionsMax)
            server.backends[at].pipeline = planRandom.below(2) == 0 ? 1 : 8
        }
        if planRandom.below(2) == 0 { server.backends.reverse() }
        if planRandom.below(3) == 0 { server.backends.removeLast(server.backends.count - 1) }
        let everyone = Array(server.backends.indices)
        if planRandom.below(2) == 0 {
            var some = RuleSettings()
            some.name = "some"
            some.matcher = .glob(["/r/1*", "/r/*2", "/r/3"][planRandom.below(3)])
            some.backends = [everyone[planRandom.below(everyone.count)]]
            var rest = RuleSettings()
            rest.name = "rest"
            rest.backends = everyone.reversed()
            var host = VirtualHostSettings()
            host.name = planRandom.below(2) == 0 ? "sim" : "*"
            host.isDefault = true
            host.rules = [some, rest]
            server.virtualHosts = [host]
        }
        var neighbour = ServerSettings()
        neighbour.addresses = [.unix("/neighbour/\(planRandom.below(3))")]
        neighbour.backends = Array(settings.backends.prefix(1))
        var global = GlobalSettings()
        global.servers = [[server], [neighbour, server], [server, neighbour]][planRandom.below(3)]
        return global
    }

    private func delivery(_ plan: ServingPlan, _ log: Int32) -> PlanDelivery {
        let number = plan.settings.servers.firstIndex { $0.addresses == settings.addresses }!
        let table = AddressTable(
            generation: Int(plan.generation),
            entries: plan.settings.servers.enumerated().flatMap { server, settings in
                settings.backends.enumerated().map { at, backend in
                    let address = SocketAddress(literal: "127.0.0.1", port: backend.port)!
                    return BackendAddresses(server: server, backend: at, addresses: [address])
                }
            })
        return PlanDelivery(
            plan: plan, addresses: table, logDescriptors: [-1] + plan.logs.logs.dropFirst().map { $0.level == .alert ? nowhere() : dup(log) },
            listeners: [WorkerListener(fd: -1, server: number, id: 0)])
    }

    /// Lines of error logs are not counted.
    private func nowhere() -> Int32 { open("/dev/null", O_WRONLY | O_CLOEXEC) }

    private func read(_ mailbox: Mailbox) {
        for report in mailbox.takeReports() {
            switch report {
            case .adopted(let generation):
                guard let at = generations.firstIndex(where: { $0.generation == generation }), !generations[at].isAdopted else {
                    complain("plan \(generation) was adopted out of the blue")
                    continue
                }
                generations[at].isAdopted = true
            case .unused(let generation):
                guard let at = generations.firstIndex(where: { $0.generation == generation }), !generations[at].isUnused else {
                    complain("plan \(generation) ended out of the blue")
                    continue
                }
                generations[at].isUnused = true
            }
        }
    }

    /// Of all plans only the newest is left.
    private func checkPlans(_ worker: borrowing Worker<ScriptedRing>, _ newest: ServingPlan) {
        for given in generations {
            if !given.isAdopted { complain("plan \(given.generation) was never adopted") }
            let isNewest = given.generation == newest.generation
            if given.isUnused == isNewest { complain("plan \(given.generation) of \(newest.generation): unused \(given.isUnused)") }
            if !isNewest, given.plan != nil { complain("plan \(given.generation) is still in memory") }
        }
        if worker.logs.openCount > newest.logs.logs.count - 1 { complain("\(worker.logs.openCount) logs open") }
    }

    private func memoryFile() -> Int32 {
        let descriptor = open("/tmp", O_RDWR | O_APPEND | O_CLOEXEC | 0o20_200_000, 0o600)
        precondition(descriptor >= 0, "no temporary file for the log of a simulation")
        return descriptor
    }

    private func checkEnd(_ worker: borrowing Worker<ScriptedRing>, _ counters: CounterBlock, _ log: Int32) {
        func mustBeZero(_ value: Int, _ what: String) {
            if value != 0 { complain("\(value) \(what) at the end") }
        }
        mustBeZero(worker.clients.count, "clients")
        mustBeZero(worker.exchanges.count, "exchanges")
        mustBeZero(worker.connections.count, "connections")
        mustBeZero(worker.blocks.takenBytes, "bytes of blocks")
        mustBeZero(kernel.buffers(.client).lentCount, "client buffers")
        mustBeZero(kernel.buffers(.backend).lentCount, "backend buffers")
        mustBeZero(kernel.openCount(.socket) + kernel.openCount(.unconnected), "sockets")
        mustBeZero(abs(kernel.openCount(.pipeRead) - (worker.pipe == nil ? 0 : 1)), "pipes too many")
        mustBeZero(abs(kernel.openCount(.pipeWrite) - (worker.pipe == nil ? 0 : 1)), "pipes too many")
        for gauge in [WorkerCounter.clientsOpen, .exchangesOpen, .pendingNow] {
            mustBeZero(Int(bitPattern: UInt(counters[gauge])), "in the gauge \(gauge.word)")
        }
        let lines = countLines(log)
        let requests = Int(counters[WorkerCounter.requests])
        if lines + Int(counters[.logLinesDropped]) != requests { complain("\(lines) log lines for \(requests) requests") }
        // An answer that its client did not wait for counts as both.
        let answered = [WorkerCounter.responses2xx, .responses3xx, .responses4xx, .responses5xx, .tunnels]
            .reduce(0) { $0 + Int(counters[$1]) }
        if answered > requests || answered + Int(counters[.exchangesAborted]) < requests {
            complain("\(requests) requests, \(answered) answers, \(counters[.exchangesAborted]) aborts")
        }
        if isGentle {
            for plan in plans where plan.outcome != .complete { complain("\(plan.method) \(plan.id) ended as \(plan.outcome)") }
        } else {
            for plan in plans where plan.outcome == .open { complain("\(plan.method) \(plan.id) has no outcome") }
        }
    }

    private func countLines(_ descriptor: Int32) -> Int {
        var lines = 0
        var at = 0
        var bytes = [UInt8](repeating: 0, count: 65_536)
        while true {
            let got = pread(descriptor, &bytes, bytes.count, at)
            guard got > 0 else { return lines }
            at += got
            lines += bytes[..<got].count { $0 == 10 }
        }
    }
}
