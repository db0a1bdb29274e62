import Glibc
import TestSupport
import Testing

/// What the configuration of a generation says: everything follows from its number, so that a client can tell from an answer
/// which one gave it.
private struct Plan {
    static let smallLimit = 100
    static let largeLimit = 1_000
    static let bodyBytes = 400
    let number: Int

    var limit: Int { number % 2 == 0 ? Self.smallLimit : Self.largeLimit }
    /// The first backend is always there; the second comes and goes.
    var backends: [Int] { number % 3 == 0 ? [0] : [0, 1] }

    /// Where `/special` goes: in some generations a rule gives it to the first backend alone.
    var hasRule: Bool { number % 4 < 2 }
    var specialBackends: [Int] { hasRule ? [0] : backends }

    /// Every fifth generation has no virtual host at all.
    private var sections: [String] {
        if number % 5 == 0 && !hasRule { return [] }
        let rest = backends.count == 1 ? rule("rest", [.everything], to: 0) : rule("rest", [.everything], to: 0, 1)
        return [virtualHost("site", [.isDefault], rules: (hasRule ? [rule("special", [.path("/special")], to: 0)] : []) + [rest])]
    }

    func configuration(_ backends: [HandlerBackend]) -> ProxyConfiguration {
        let chosen = self.backends.map { ProxyConfiguration.Downstream(backends[$0], connections: 4) }
        let settings: [Setting] = [.via("plan\(number)"), .bodyMax(limit), .balancing("roundrobin")]
        return ProxyConfiguration(workers: 2, servers: [.init(settings, sections: sections, downstreams: chosen)])
    }
}

/// Which generations may answer now: the driver of the reloads writes it, the clients read it around every request.
private struct Progress {
    /// Every worker goes by this one.
    var confirmed = 1
    /// Some worker may go by this one.
    var asked = 1
    var answers = 0
    var isOver = false
    var failures: [String] = []
}

/// Clients that send requests one after the other and hold every answer against the plans that were in use meanwhile.
private struct LoadClient: Sendable {
    let address: PeerAddress
    let progress: Monitor<Progress>
    let reconnects: Bool

    func run() {
        do {
            var client = try ScriptedClient(to: address)
            var turn = 0
            while !progress.with(\.isOver) {
                if reconnects { client = try ScriptedClient(to: address) }
                turn += 1
                let kind = Kind.allCases[turn % Kind.allCases.count]
                let from = progress.with(\.confirmed)
                let response = try ask(client, kind)
                let plans = (from...progress.with(\.asked)).map(Plan.init)
                if let complaint = complaint(response, kind, plans) { throw ScenarioFailure(complaint) }
                progress.with { $0.answers += 1 }
                if response.announcesClose { client = try ScriptedClient(to: address) }
            }
        } catch {
            progress.with { $0.failures.append("\(error)") }
        }
    }

    private enum Kind: CaseIterable { case plain, special, upload }

    private func ask(_ client: ScriptedClient, _ kind: Kind) throws -> ReceivedResponse {
        switch kind {
        case .plain: return try client.get("/plain")
        case .special: return try client.get("/special")
        case .upload: break
        }
        try client.send(Bytes("POST /upload HTTP/1.1\r\nHost: test\r\nContent-Length: \(Plan.bodyBytes)\r\n\r\n") + Bytes(repeating: 120, count: Plan.bodyBytes))
        return try client.receiveResponse(to: "POST")
    }

    private func complaint(_ response: ReceivedResponse, _ kind: Kind, _ plans: [Plan]) -> String? {
        let numbers = plans.map(\.number)
        if kind == .upload, response.status == 413 {
            return plans.contains { $0.limit < Plan.bodyBytes } ? nil : "413 under \(numbers), none of which says so"
        }
        guard response.status == 200 else { return "\(response.status) under \(numbers)" }
        if kind == .upload, plans.allSatisfy({ $0.limit < Plan.bodyBytes }) { return "200 for an upload that \(numbers) do not allow" }
        let via = response.fields["Via"].joined(separator: ",")
        guard plans.contains(where: { via == "1.1 plan\($0.number)" }) else { return "'\(via)' under \(numbers)" }
        let backend = response.fields["X-Backend"].first.flatMap { Int($0) } ?? -1
        guard plans.contains(where: { (kind == .special ? $0.specialBackends : $0.backends).contains(backend) }) else { return "backend \(backend) under \(numbers)" }
        return nil
    }
}

@Suite("Reload under load", .scenario)
struct ReloadUnderLoadTests {
    private static let reloads = 50

    @Test("no request fails over fifty reloads, every answer is of a configuration that was in use, and nothing is left behind")
    func fiftyReloads() throws {
        let backends = try (0..<2).map { try HandlerBackend.named("\($0)") }
        try withProxy(Plan(number: 1).configuration(backends)) { proxy in
            defer { backends.forEach { $0.close() } }
            let progress = Monitor(Progress())
            let clients = [false, false, false, true, true].map { reconnects in
                let client = LoadClient(address: proxy.addresses[0], progress: progress, reconnects: reconnects)
                return Background { client.run() }
            }
            var early: (descriptors: Int, bytes: Int) = (0, 0)
            for number in 2...Self.reloads + 1 {
                progress.with { $0.asked = number }
                try proxy.reload(Plan(number: number).configuration(backends))
                let answers = progress.with { progress in
                    progress.confirmed = number
                    return progress.answers
                }
                // Every plan answers for a while.
                let goesOn: Bool? = progress.wait(until: .step) { $0.answers >= answers + 20 || !$0.failures.isEmpty ? true : nil }
                #expect(goesOn == true)
                if !progress.with(\.failures).isEmpty { break }
                if number == 12 { early = try usage(proxy) }
            }
            progress.with { $0.isOver = true }
            for client in clients { try client.join() }
            #expect(progress.with(\.failures) == [])
            let late = try usage(proxy)
            // Connections that come and go just now make a few of them more or less.
            #expect(abs(late.descriptors - early.descriptors) <= 12, "\(early) at first, \(late) at the end")
            // A sanitizer holds on to what was freed.
            if !Patience.isStretched { #expect(late.bytes - early.bytes < 8 << 20, "\(early) at first, \(late) at the end") }
            let report = try proxy.counters()
            #expect(report.generation == Self.reloads + 1)
            #expect(report.sum("responses5xx") == 0)
            #expect(report.sum("requests") >= progress.with(\.answers))
            try eventually("one configuration is in use") { try proxy.counters().generationsInUse == [Self.reloads + 1] }
            #expect(!proxy.operatorLog.contains("stays in use"))
        }
    }

    private func usage(_ proxy: ProxyUnderTest) throws -> (descriptors: Int, bytes: Int) {
        let server = try proxy.serverProcess()
        return (
            ProxyUnderTest.descriptorCount(of: server) + ProxyUnderTest.descriptorCount(of: proxy.process.pid),
            ProxyUnderTest.residentBytes(of: server)
        )
    }
}
