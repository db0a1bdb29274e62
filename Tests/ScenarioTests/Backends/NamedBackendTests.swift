import TestSupport
import Testing

@Suite("Backends that have names", .scenario)
struct NamedBackendTests {
    private static let name = "backend.test"

    private struct Answer: Sendable {
        let askedAt: ContinuousClock.Instant
        let status: Int
        let backend: String
    }

    /// Clients that ask one request after the other until they are stopped; any failure of theirs is the scenario's.
    private final class Load {
        private let isOver = Monitor(false)
        private let answers = Monitor<[Answer]>([])
        private let clients: [Background<Void>]

        init(_ proxy: ProxyUnderTest, clients count: Int) {
            let (address, isOver, answers) = (proxy.addresses[0], self.isOver, self.answers)
            clients = (0..<count).map { _ in
                Background {
                    let client = try ScriptedClient(to: address)
                    while isOver.wait(until: Deadline(after: .milliseconds(3)), { $0 ? true : nil }) == nil {
                        let askedAt = ContinuousClock.now
                        let response = try client.get("/")
                        let backend = response.fields.only("X-Backend") ?? "nobody"
                        answers.with { $0.append(Answer(askedAt: askedAt, status: response.status, backend: backend)) }
                    }
                }
            }
        }

        /// The answers to what was asked since.
        func answers(since instant: ContinuousClock.Instant) -> [Answer] { answers.with { $0.filter { $0.askedAt >= instant } } }

        func wait(forAnswers count: Int, since instant: ContinuousClock.Instant = .now, where matches: (Answer) -> Bool = { _ in true }) throws {
            try eventually("\(count) more answers") {
                if let failed = clients.first(where: \.isOver) { try failed.join() }
                return answers(since: instant).filter(matches).count >= count
            }
        }

        /// All answers, none of which may be a failure.
        func end() throws -> [Answer] {
            isOver.with { $0 = true }
            for client in clients { try client.join() }
            let all = answers.with { $0 }
            if let bad = all.first(where: { $0.status != 200 }) { throw ScenarioFailure("an answer of status \(bad.status) in \(all.count)") }
            return all
        }
    }

    /// Two workers with one backend name, whose addresses are 127.0.0.2 and up; the backends answer with the last number.
    private func withNames(
        _ count: Int, server: [Setting] = [], _ body: (ProxyUnderTest, NameServer, [HandlerBackend]) throws -> Void
    ) throws {
        let names = NameServer()
        let first = try HandlerBackend.named("2", on: .loopback(2, port: 0))
        let others = try (1..<count).map { try HandlerBackend.named("\($0 + 2)", on: .loopback(UInt8($0 + 2), port: first.address.port)) }
        names.setAddresses(Self.name, ["127.0.0.2"])
        let downstream = ProxyConfiguration.Downstream(at: first.address, host: Self.name, connections: 4)
        let configuration = ProxyConfiguration(
            workers: 2, global: [.resolvers([names.address])], servers: [.init([.balancing("roundrobin")] + server, downstreams: [downstream])])
        try withProxy(configuration) { proxy in
            defer {
                names.close()
                ([first] + others).forEach { $0.close() }
            }
            try body(proxy, names, [first] + others)
        }
    }

    @Test("an answer that changes under load is followed within two seconds, with no error")
    func change() throws {
        try withNames(2) { proxy, names, backends in
            let load = Load(proxy, clients: 16)
            try load.wait(forAnswers: 500)
            #expect(backends[1].requestCount == 0)
            let changed = ContinuousClock.now
            names.setAddresses(Self.name, ["127.0.0.3"])
            let followed = changed + .seconds(2) * Patience.factor
            try load.wait(forAnswers: 500, since: followed)
            let answers = try load.end()
            #expect(answers.allSatisfy { $0.askedAt >= changed || $0.backend == "2" })
            let late = answers.filter { $0.askedAt >= followed && $0.backend != "3" }
            #expect(late.isEmpty, "\(late.count) requests went to the old address after two seconds")
        }
    }

    @Test("a name server that fails leaves the last answer in force; all addresses of its next answer are balanced, those that leave are left")
    func failureAndSeveral() throws {
        try withNames(3) { proxy, names, backends in
            let load = Load(proxy, clients: 6)
            try load.wait(forAnswers: 50)
            names.setBoth(Self.name, .code(.serverFailure))
            let before = names.count(Self.name)
            // Both families, two rounds: the first failure and its repetition.
            try eventually("the failing server was asked twice") { names.count(Self.name) >= before + 4 }
            try load.wait(forAnswers: 50, where: { $0.backend == "2" })
            #expect(backends[1].requestCount == 0 && backends[2].requestCount == 0)

            names.setAddresses(Self.name, ["127.0.0.2", "127.0.0.3", "127.0.0.4"])
            for backend in ["3", "4", "2"] { try load.wait(forAnswers: 30, where: { $0.backend == backend }) }

            names.setAddresses(Self.name, ["127.0.0.4"])
            let last = ContinuousClock.now
            try eventually("only one is asked") {
                let latest = load.answers(since: max(last, .now - .milliseconds(300)))
                return latest.count > 20 && latest.allSatisfy { $0.backend == "4" }
            }
            _ = try load.end()
            #expect(try proxy.counters().sum("responses5xx") == 0)
        }
    }
}
