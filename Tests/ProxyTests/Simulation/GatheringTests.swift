import Testing

@testable import Proxy

@Suite("A worker that gathers")
struct WorkerGatheringTests {
    /// A world with so many requests under way.
    private func world(_ requests: Int, _ change: (inout GlobalSettings) -> Void = { _ in }) -> PlanWorld {
        let world = PlanWorld()
        var settings = PlanWorld.settings { _ in }
        change(&settings)
        world.adopt(settings, listens: true)
        for _ in 0..<requests { world.client().get() }
        world.go()
        // The tick after the last one that had something to do is the one that waits.
        world.rest()
        return world
    }

    @Test("with few requests under way every wait ends with the first completion")
    func few() { #expect(world(Gathering.loadExchanges - 1).gathering == .none) }

    @Test("with many requests under way a wait goes on for a moment, so that more is done at a time")
    func many() { #expect(world(Gathering.loadExchanges).gathering == .underLoad) }

    @Test("in efficiency mode it always goes on, and for longer")
    func efficient() { #expect(world(1) { $0.efficiencyMode = true }.gathering == .efficient) }
}
