import Testing

@testable import Proxy

/// Under the thread sanitizer this also fails when the sanitizer does not see the order that the lock makes.
@Suite("A value behind a lock")
struct LockedTests {
    final class Shared: Sendable {
        let words = Locked<[String: Int]>([:])
    }

    @Test("threads that change it take turns, and wait for each other")
    func turns() async {
        let shared = Shared()
        await withTaskGroup { group in
            for worker in 0..<4 {
                group.addTask {
                    for step in 0..<20_000 { shared.words.withLock { $0["\(worker % 2)", default: 0] += step % 2 } }
                }
            }
        }
        #expect(shared.words.withLock { $0 } == ["0": 20_000, "1": 20_000])
    }

    private struct Refusal: Error {}

    @Test("an error leaves the lock free, and what was changed before it stays")
    func failing() {
        let count = Locked(1)
        #expect(throws: Refusal.self) {
            try count.withLock { count throws(Refusal) in
                count = 2
                throw Refusal()
            }
        }
        #expect(count.withLock { $0 } == 2)
    }
}
