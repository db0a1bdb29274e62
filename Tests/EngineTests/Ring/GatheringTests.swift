import CUring
import Glibc
import Testing

@testable import Proxy

@Suite("Gathering")
struct GatheringTests {
    private static let gathering = Gathering(microseconds: 20_000, completions: 2)

    /// Milliseconds that a ring waits with so many eventfds ready for it.
    private func milliseconds(ready: Int, _ gathering: Gathering) throws -> (UInt64, completions: Int)? {
        var ring = try KernelRing()
        guard ring.hasMinWait else { return nil }
        let values = UnsafeMutablePointer<UInt64>.allocate(capacity: 3)
        let descriptors = (0..<3).map { _ in clinux_eventfd() }
        defer {
            descriptors.forEach { close($0) }
            values.deallocate()
        }
        for at in 0..<3 { ring.startRead(descriptors[at], into: values + at, 8, token: OperationToken(.wake, slot: UInt32(at))) }
        _ = ring.enter(waitNanoseconds: 0, gathering: .none)
        var one: UInt64 = 1
        for at in 0..<ready { write(descriptors[at], &one, 8) }
        let begun = ring.readClock().now
        _ = ring.enter(waitNanoseconds: 5_000_000_000, gathering: gathering)
        return ((ring.readClock().now - begun) / 1_000_000, ring.completionCount())
    }

    @Test("one completion is held back for the time that is given for others to come")
    func heldBack() throws {
        guard let waited = try milliseconds(ready: 1, Self.gathering) else { return }
        #expect(waited.0 >= 19 && waited.completions == 1)
    }

    @Test("as many completions as were asked for end the wait at once")
    func enough() throws {
        guard let waited = try milliseconds(ready: 3, Gathering(microseconds: 3_000_000, completions: 2)) else { return }
        #expect(waited.0 < 2_000 && waited.completions >= 2)
    }

    @Test("without gathering the first completion ends the wait")
    func none() throws {
        guard let waited = try milliseconds(ready: 1, .none) else { return }
        #expect(waited.0 < 2_000 && waited.completions == 1)
    }
}
