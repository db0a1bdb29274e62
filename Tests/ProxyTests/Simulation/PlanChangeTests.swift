import Testing

@testable import Proxy

@Suite("A change of plans")
struct PlanChangeTests {
    /// Sends everything to one backend.
    private func only(_ backend: Int) -> (inout ServerSettings) -> Void {
        { server in
            var rule = RuleSettings()
            rule.backends = [backend]
            var host = VirtualHostSettings()
            host.name = "*"
            host.rules = [rule]
            server.virtualHosts = [host]
        }
    }

    @Test("an exchange in flight ends under the plan that it began under, which is free after that")
    func inFlight() {
        let world = PlanWorld { $0.via = "first" }
        let client = world.client()
        client.get()
        world.go()
        #expect(world.backends[0].waiting.count == 1)
        world.adopt(only(1))
        #expect(world.reports == [.adopted(2)])
        world.backends[0].answer()
        world.go()
        #expect(client.received.hasSuffix("\r\n\r\nok"))
        world.refreshReports()
        #expect(world.reports == [.adopted(2), .unused(1)])
        // Its connection stays, and what it asks next goes by the new plan.
        client.get()
        world.go()
        #expect(world.backends[1].waiting.count == 1)
    }

    @Test("who waits in a queue goes where the new plan sends it")
    func queue() {
        let world = PlanWorld(only(0))
        let (first, second) = (world.client(), world.client())
        first.get("/1")
        world.go()
        second.get("/2")
        world.go()
        #expect(world.backends[0].waiting.count == 1)
        #expect(world.counters[WorkerCounter.pendingNow] == 1)
        world.adopt(only(1))
        #expect(world.backends[1].waiting.map { $0.prefix(6) } == ["GET /2"])
        #expect(world.counters[WorkerCounter.pendingNow] == 0)
        world.backends[1].answer()
        world.go()
        #expect(second.received.hasSuffix("ok"))
        #expect(first.received.isEmpty)
        world.backends[0].answer()
        world.go()
        #expect(first.received.hasSuffix("ok"))
    }

    @Test("who waits for a rule that is gone is answered 404")
    func queueWithoutRule() {
        let world = PlanWorld(only(0))
        let (first, second) = (world.client(), world.client())
        first.get("/1")
        world.go()
        second.get("/2")
        world.go()
        world.adopt { server in
            only(0)(&server)
            server.virtualHosts[0].rules[0].matcher = .exact("/1")
        }
        #expect(second.received.hasPrefix("HTTP/1.1 404 "))
        world.backends[0].answer()
        world.go()
        #expect(first.received.hasPrefix("HTTP/1.1 200 "))
    }

    @Test("a request that has to be sent once more is routed anew")
    func retry() {
        let world = PlanWorld(only(0))
        let client = world.client()
        client.get("/1")
        world.go()
        world.backends[0].answer()
        world.go()
        client.get("/2")
        world.go()
        world.adopt(only(1))
        // The used connection ends without an answer: the request may go again, and the new plan knows where.
        world.backends[0].connections[0].close()
        world.go()
        #expect(world.backends[1].waiting.map { $0.prefix(6) } == ["GET /2"])
        world.refreshReports()
        #expect(world.reports.contains(.unused(1)))
    }

    @Test("a tunnel holds no plan, and goes on")
    func tunnel() {
        let world = PlanWorld()
        let client = world.client()
        client.get("/", "Connection: upgrade\r\nUpgrade: echo\r\n")
        world.go()
        world.backends[0].answer("HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n")
        world.go()
        #expect(client.received.hasPrefix("HTTP/1.1 101 "))
        world.adopt(only(1))
        #expect(Set(world.reports.map { "\($0)" }) == ["adopted(2)", "unused(1)"])
        client.send("ping")
        world.go()
        #expect(world.backends[0].connections[0].rest == "ping")
    }

    @Test("backends that both plans have keep their connections and counters, in whatever order they stand")
    func counters() {
        let world = PlanWorld()
        let client = world.client()
        client.get()
        world.go()
        world.backends[0].answer()
        world.go()
        #expect(world.requests()["b0"] == 1)
        world.adopt { $0.backends.reverse() }
        #expect(world.requests() == ["b0": 1, "b1": 0])
        world.adopt(only(0))
        client.get()
        world.go()
        #expect(world.backends[0].connections.count == 1)
        #expect(world.requests()["b0"] == 2)
    }

    @Test("a backend that the new plan does not have finishes what it has and goes")
    func removedBackend() {
        let world = PlanWorld()
        let client = world.client()
        client.get()
        world.go()
        world.adopt { $0.backends.removeFirst() }
        #expect(world.places.backends == 2)
        world.backends[0].answer()
        world.go()
        #expect(client.received.hasSuffix("ok"))
        #expect(world.places.backends == 1)
        #expect(world.requests() == ["b1": 0])
    }

    @Test("a server that the new plan does not have serves its clients to the end, by the plan that they knew")
    func removedServer() {
        let world = PlanWorld { $0.via = "old" }
        let (busy, idle) = (world.client(), world.client())
        idle.get()
        world.go()
        world.backends[0].answer()
        world.go()
        busy.get()
        world.go()
        var other = PlanWorld.settings { $0.addresses = [.unix("/elsewhere")] }
        other.servers.append(other.servers[0])
        other.servers[1].addresses = [.unix("/nowhere")]
        // Its place in the file is taken over, so that two changes are needed until it is gone.
        world.adopt(other, listens: false)
        other.servers.removeFirst()
        other.servers[0].addresses = [.unix("/nowhere")]
        world.adopt(other, listens: false)
        world.post(.retireListeners)
        #expect(idle.isAtEnd)
        #expect(world.places.clients == 1)
        world.backends[0].answer()
        world.go()
        #expect(busy.received.contains("Connection: close\r\n"))
        #expect(busy.received.hasSuffix("ok"))
        #expect(busy.isAtEnd)
    }

    @Test("limits of a backend that grow smaller end idle connections at once, others after their exchange")
    func limits() {
        let world = PlanWorld { $0.backends[0].connectionsMax = 3 }
        let clients = (0..<3).map { _ in world.client() }
        for client in clients {
            client.get()
            world.go()
        }
        #expect(world.backends[0].connections.count == 3)
        world.adopt { $0.backends[0].connectionsMax = 1 }
        world.backends[0].answer()
        world.go()
        for client in clients { #expect(client.received.hasSuffix("ok")) }
        clients[0].get()
        world.go()
        clients[1].get()
        world.go()
        #expect(world.backends[0].connections.count == 3)
        #expect(world.backends[0].waiting.count == 1)
    }

    @Test("fifty plans in a row leave one in memory")
    func many() {
        let world = PlanWorld()
        let client = world.client()
        var plans: [() -> ServingPlan?] = []
        for round in 0..<50 {
            client.get("/\(round)")
            world.go()
            world.adopt { server in
                if round % 2 == 0 { only(0)(&server) }
                if round % 3 == 0 { server.backends[1].name = "b\(round % 4)x" }
            }
            weak let plan = world.newest
            plans.append { plan }
            world.backends[0].answer()
            world.backends[1].answer()
            world.go()
        }
        #expect(client.received.split(separator: "HTTP/1.1 200").count == 50)
        #expect(plans.compactMap { $0() }.map(\.generation) == [51])
        #expect(world.places.plans <= 2)
        #expect(world.places.servers == 1)
        #expect(world.places.backends == 2)
        world.refreshReports()
        #expect(world.reports.count == 100)
    }
}
