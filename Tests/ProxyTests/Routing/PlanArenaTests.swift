import Testing

@testable import Proxy

@Suite("Memory of a serving plan")
struct PlanArenaTests {
    @Test("values stay what they were, each at an address that suits it, however many come after them")
    func stay() {
        var random = RandomSource(seed: 7)
        let arena = PlanArena()
        var words: [(place: UnsafeBufferPointer<UInt64>, value: UInt64)] = []
        var texts: [(place: LastingBytes, value: String)] = []
        for number in 0..<3_000 {
            let count = number % 500 == 499 ? 300_000 : Int(random.next(below: 200) + 1)
            words.append((arena.array([UInt64](repeating: UInt64(number), count: count)), UInt64(number)))
            texts.append((arena.bytes("text \(number)"), "text \(number)"))
        }
        for (place, value) in words {
            #expect(Int(bitPattern: place.baseAddress) % 8 == 0)
            #expect(place.first == value && place.last == value && place.allSatisfy { $0 == value })
        }
        for (place, value) in texts { #expect(place.text == value) }
        withExtendedLifetime(arena) {}
    }

    @Test("what other libraries allocated is given back with it, the last first")
    func endings() {
        final class Order { var seen: [Int] = [] }
        let order = Order()
        do {
            let arena = PlanArena()
            for number in 0..<3 { arena.atEnd { order.seen.append(number) } }
            withExtendedLifetime(arena) {}
        }
        #expect(order.seen == [2, 1, 0])
    }
}
