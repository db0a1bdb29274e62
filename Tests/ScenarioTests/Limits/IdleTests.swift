import TestSupport
import Testing

@Suite("A worker that has nothing to do", .scenario)
struct IdleTests {
    @Test("does not wake up for memory that one late client keeps from being given back")
    func lateClient() throws {
        let backend = try HandlerBackend.named("one")
        try withProxy(to: backend) { proxy in
            let early = try (0..<600).map { _ in try proxy.connect() }
            let late = try proxy.connect()
            #expect(try late.get("/").status == 200)
            for client in early { client.close() }
            try eventually("only the late one is open") { try proxy.counters().sum("clientsOpen") == 1 }
            // What follows the closing, the last trims included, is over when nothing has happened for a second.
            var before = try proxy.counters().sum("ticks")
            try eventually("the worker sleeps") {
                _ = Monitor(false).wait(until: Deadline(after: .seconds(1))) { $0 ? true : nil }
                let now = try proxy.counters().sum("ticks")
                defer { before = now }
                return now - before <= 1
            }
            #expect(try late.get("/").status == 200)
        }
    }
}
