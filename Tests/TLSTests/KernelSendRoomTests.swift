import Testing

@testable import Proxy

@Suite("Room for what the kernel seals")
struct KernelSendRoomTests {
    private static let buffers: [Int] = [KernelFit.bufferBytesMin, 46_080, 87_040, 131_072, 425_984, 4 << 20]
    private static let lows: [Int] = [KernelFit.unsentLowBytesMin, 128 << 10, KernelSendRoom.unlimited]

    /// What a record and packets cost at the most beside their content (`KernelFit`), for bytes that came in `pieces`.
    private static func cost(of bytes: Int, pieces: Int, packetBytes: Int) -> Int {
        let records = bytes / 16_384 + pieces / 17 + 1
        let sealed = bytes + 29 * records
        return sealed + 1_280 * (sealed / packetBytes + records * 3 / 17 + 2)
    }

    /// As the kernel decides: a third of the buffer is free, and less than half of what may be unsent is unsent.
    private static func fullest(buffer: Int, low: Int, bytesPerByte: Int) -> KernelSendRoom {
        var queued = buffer
        while buffer - queued < queued / 2 { queued -= 1 }
        return KernelSendRoom(
            bufferBytes: buffer, queuedBytes: queued, unsentLowBytes: low, unsentBytes: (low - 1) / 2, bytesPerByte: bytesPerByte)
    }

    @Test(
        "a socket that a poll calls writable takes a helping, so that waiting ends",
        arguments: buffers, lows)
    func writable(buffer: Int, low: Int) {
        for bytesPerByte in [2, 4] {
            let room = Self.fullest(buffer: buffer, low: low, bytesPerByte: bytesPerByte)
            guard case .give(let count) = room.helping(of: 1 << 20) else {
                Issue.record("\(room): \(room.helping(of: 1 << 20))")
                continue
            }
            #expect(count > 0)
        }
    }

    @Test(
        "a helping fits with an alert behind it, even in small pieces and in packets as small as its peer makes them",
        arguments: buffers)
    func fits(buffer: Int) {
        // The smallest packets behind the smallest windows: a quarter of them.
        for (bytesPerByte, packet) in [(2, 2_048), (4, 512)] {
            for queued in stride(from: 0, to: buffer, by: 997) {
                let room = KernelSendRoom(bufferBytes: buffer, queuedBytes: queued, bytesPerByte: bytesPerByte)
                guard case .give(let count) = room.helping(of: 1 << 20) else { continue }
                let cost = Self.cost(of: count, pieces: 256, packetBytes: packet)
                #expect(cost + KernelSendRoom.controlBytes <= buffer - queued, "\(count) bytes cost \(cost) of \(buffer - queued)")
            }
        }
    }

    @Test("what may be unsent bounds a helping like the buffer does")
    func unsent() {
        let room = KernelSendRoom(bufferBytes: 4 << 20, unsentLowBytes: 128 << 10, unsentBytes: 100 << 10)
        #expect(room.helping(of: 1 << 20) == .waitUntilWritable)
        #expect(KernelSendRoom(bufferBytes: 4 << 20, unsentLowBytes: 128 << 10).helping(of: 1 << 20) == .give(3 * 16_384))
    }

    @Test("little goes where a helping would not")
    func little() {
        let room = KernelSendRoom(bufferBytes: 131_072, queuedBytes: 131_072 - 13_312)
        #expect(room.helping(of: 2_048) == .give(2_048))
        #expect(room.helping(of: 2_049) == .waitUntilWritable)
    }

    @Test("where more than one record fits, whole ones are given")
    func whole() {
        #expect(KernelSendRoom(bufferBytes: 1 << 20).helping(of: 1 << 20) == .give(31 * 16_384))
        #expect(KernelSendRoom(bufferBytes: 1 << 20).helping(of: 40_000) == .give(40_000))
        #expect(KernelSendRoom(bufferBytes: 40_960).helping(of: 1 << 20) == .give(15_872))
        #expect(KernelSendRoom(bufferBytes: 40_960, bytesPerByte: 4).helping(of: 1 << 20) == .give(7_936))
    }

    @Test("a buffer that is too small is told from one that is full")
    func tooSmall() {
        #expect(KernelSendRoom(bufferBytes: 4_608).helping(of: 100_000) == .bufferTooSmall)
        #expect(KernelSendRoom(bufferBytes: 4_608).helping(of: 100) == .bufferTooSmall)
        #expect(KernelSendRoom(bufferBytes: 131_072, queuedBytes: 140_000).helping(of: 100) == .waitUntilWritable)
    }

    @Test("an alert has a packet's worth of room or is not said")
    func control() {
        #expect(KernelSendRoom(bufferBytes: 131_072, queuedBytes: 131_072 - 3_072).takesControl)
        #expect(!KernelSendRoom(bufferBytes: 131_072, queuedBytes: 131_072 - 3_071).takesControl)
    }
}

@Suite("Which connections the kernel seals for")
struct KernelFitTests {
    private func fit(buffer: Int = 87_040, low: Int = 128 << 10, window: Int = 64_240, segment: Int = 1_448) -> KernelFit {
        KernelFit(bufferBytes: buffer, unsentLowBytes: low, window: window, segment: segment)
    }

    @Test("usual ones, as they are")
    func usual() {
        #expect(fit() == .fits(bytesPerByte: 2))
        #expect(fit(buffer: 46_080) == .fits(bytesPerByte: 2))
        #expect(fit(low: KernelSendRoom.unlimited) == .fits(bytesPerByte: 2))
    }

    @Test("a peer with a small window gets half as much at a time, one that takes next to nothing is tried later")
    func windows() {
        #expect(fit(window: 4_096) == .fits(bytesPerByte: 4))
        #expect(fit(window: 0) == .notNow)
    }

    @Test("a small buffer has to be made larger, and what cannot be changed is left to our own records")
    func small() {
        #expect(fit(buffer: 4_608) == .bufferTooSmall)
        #expect(fit(buffer: 40_960) == .fits(bytesPerByte: 2))
        #expect(fit(low: 16_384) == .never)
        #expect(fit(low: 0) == .never)
        #expect(fit(segment: 88) == .never)
    }

    @Test("on a kernel without the module no suite is found, and nothing else changes")
    func probe() {
        let found = KernelTLS.probe()
        let suites = KernelSuites.probe()
        #expect(suites.isEmpty == (found != .works))
        #expect(RecordSuite.allCases.allSatisfy { !KernelTLSPlan.none.suites.contains($0) })
    }
}
