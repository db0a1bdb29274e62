import Testing

@testable import Proxy

@Suite("Fairness of handshakes")
struct HandshakeFairnessTests {
    /// A step that signs takes about 200 µs: what a tick may take from those who are served. Written out, so that a change shows.
    private static let stepsMax = 4

    @Test("of more hellos than a tick has steps for each tick takes that many, and requests of the same ticks are served beside them")
    func hellos() {
        let world = TLSWorld()
        defer { world.close() }
        let served = world.client()
        served.begin()
        world.go()
        #expect(served.isOpen && world.links == 1)
        let newcomers = (0..<32).map { _ in world.client(hanging: true) }
        world.go()
        for newcomer in newcomers { newcomer.begin() }
        // Comes last, behind all hellos of the tick.
        served.get()
        world.tick()
        #expect(world.links == 1 + Self.stepsMax)
        #expect(world.counters[WorkerCounter.requests] == 1)
        var ticks = 0
        while served.received.isEmpty, ticks < 100 {
            world.backend.answer()
            let before = world.links
            world.tick()
            #expect(world.links - before <= Self.stepsMax)
            ticks += 1
        }
        #expect(String(decoding: served.received, as: UTF8.self).hasSuffix("\r\n\r\nok"))
        #expect(world.links < 1 + newcomers.count, "the answer did not wait for the last of them")
        world.go()
        #expect(world.links == 1 + newcomers.count, "all have had their turn")
    }

    @Test("handshakes that go on have no more steps in a tick either, and all come to their end")
    func flights() {
        let world = TLSWorld()
        defer { world.close() }
        let clients = (0..<32).map { _ in world.client(hanging: true) }
        for client in clients { client.begin() }
        world.go()
        #expect(world.links == clients.count && world.counters[WorkerCounter.handshakes] == 0)
        for client in clients { client.goOn() }
        var done = 0
        var ticks = 0
        while done < clients.count, ticks < 100 {
            world.tick()
            let now = Int(world.counters[WorkerCounter.handshakes])
            #expect(now - done <= Self.stepsMax)
            done = now
            ticks += 1
        }
        #expect(done == clients.count && world.counters[WorkerCounter.tlsFailures] == 0)
    }
}
