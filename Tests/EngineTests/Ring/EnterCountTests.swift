import CUring
import Glibc
import Testing

@testable import Proxy

@Suite("Calls of the kernel by a ring")
struct EnterCountTests {
    @Test("each wait counts once, and a queue that is full counts between")
    func counted() throws {
        var settings = RingSettings()
        settings.submissionEntries = 8
        var ring = try KernelRing(settings)
        let value = UnsafeMutablePointer<UInt64>.allocate(capacity: 1)
        let descriptor = clinux_eventfd()
        defer {
            close(descriptor)
            value.deallocate()
        }
        #expect(ring.enters == 0)
        for slot in 0..<8 { ring.startPoll(descriptor, writable: true, token: OperationToken(.wake, slot: UInt32(slot))) }
        _ = ring.enter(waitNanoseconds: 0, gathering: .none)
        #expect(ring.enters == 1)
        for slot in 0..<9 { ring.startPoll(descriptor, writable: true, token: OperationToken(.wake, slot: UInt32(slot))) }
        _ = ring.enter(waitNanoseconds: 0, gathering: .none)
        #expect(ring.enters == 3)
    }
}
