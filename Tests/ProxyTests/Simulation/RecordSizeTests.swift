import Testing

@testable import Proxy

@Suite("Sizes of records toward clients")
struct RecordSizeTests {
    private static let bodyBytes = 100_000
    private static let answer = "HTTP/1.1 200 OK\r\nContent-Length: \(bodyBytes)\r\n\r\n" + String(repeating: "x", count: bodyBytes)
    /// Fits into one segment.
    private static let smallBytes = 1_360

    /// A client whose handshake is through.
    private func client(_ world: TLSWorld) -> SecureClient {
        let client = world.client()
        client.begin()
        world.go()
        #expect(client.isOpen)
        return client
    }

    /// What the records of the next answer hold, in order.
    private func records(_ world: TLSWorld, _ client: SecureClient, after pause: UInt64 = 0) -> [Int] {
        let place = client.arrived.count
        if pause == 0 {
            client.get()
        } else {
            client.get(after: pause)
            world.rest { client.hasAsked }
        }
        world.go()
        world.backend.answer(Self.answer)
        world.go()
        let contents = client.contents(from: place)
        #expect(contents.reduce(0, +) > Self.bodyBytes)
        return contents
    }

    private func expectSmallThenFull(_ contents: [Int]) {
        var sum = 0
        let start = contents.prefix {
            sum += $0
            return sum <= 16_384
        }
        #expect(start.count >= 12 && start.allSatisfy { $0 <= Self.smallBytes })
        #expect(contents.max() == 16_384 && contents.count { $0 > 16_000 } >= 4)
    }

    @Test("the first 16 KiB leave in records of one segment, what follows in full ones, and so it goes on without a pause")
    func dynamic() {
        let world = TLSWorld()
        defer { world.close() }
        let client = client(world)
        expectSmallThenFull(records(world, client))
        let second = records(world, client)
        // The head has a record of its own, and an end may have.
        #expect(second.count { $0 <= Self.smallBytes } <= 2 && second.count { $0 > 16_000 } >= 4)
    }

    @Test("after more than a second of silence they begin small again, after less they do not")
    func pause() {
        let world = TLSWorld()
        defer { world.close() }
        let client = client(world)
        expectSmallThenFull(records(world, client))
        let soon = records(world, client, after: 900_000_000)
        #expect(soon.count { $0 <= Self.smallBytes } <= 2)
        expectSmallThenFull(records(world, client, after: 1_100_000_000))
    }

    @Test("with a size of its own no record holds more, from the first to the last", arguments: [512, 4_096])
    func fixed(size: Int) {
        let world = TLSWorld(recordBytes: size)
        defer { world.close() }
        let client = client(world)
        for _ in 0..<2 {
            let contents = records(world, client)
            #expect(contents.max() == size && contents.count { $0 == size } * size > Self.bodyBytes / 2)
        }
    }
}
