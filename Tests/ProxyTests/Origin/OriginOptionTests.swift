import Testing

@testable import Proxy

@Suite("Options of the origin")
struct OriginOptionTests {
    private func settings(_ lab: OriginRequest.Lab) throws -> OriginSettings {
        var request = OriginRequest()
        request.listen = ["127.0.0.1:0"]
        request.lab = lab
        return try OriginSettings(request)
    }

    @Test("an option that changes the ring changes what it names, and nothing else")
    func ring() throws {
        func check(_ option: (inout OriginRequest.Lab) -> Void, _ change: (inout RingSettings) -> Void) throws {
            var lab = OriginRequest.Lab()
            option(&lab)
            var expected = RingSettings()
            change(&expected)
            let found = try settings(lab)
            #expect(found.ring == expected)
            #expect(!found.receivesOnce)
            #expect(found.gathering == Gathering.none)
        }
        try check({ _ in }, { _ in })
        try check({ $0.noDefer = true }, { $0.defersTaskRun = false })
        try check(
            { $0.cooperative = true },
            {
                $0.defersTaskRun = false
                $0.isCooperative = true
            })
        try check({ $0.kernelPolling = true }, { $0.isPolledByKernel = true })
        try check({ $0.bufferBytes = "512" }, { $0.backendBufferBytes = 512 })
        try check({ $0.buffers = 16 }, { $0.backendBuffersMax = 16 })
        try check(
            { $0.ring = "64:256" },
            {
                $0.submissionEntries = 64
                $0.completionEntries = 256
            })
    }

    @Test("receives and waits are changed by their options, and the ring is not")
    func loop() throws {
        var lab = OriginRequest.Lab()
        lab.singleShot = true
        let once = try settings(lab)
        #expect(once.receivesOnce)
        #expect(once.gathering == Gathering.none)
        #expect(once.ring == RingSettings())
        lab = OriginRequest.Lab()
        lab.minWait = "70us:9"
        let gathering = try settings(lab)
        #expect(gathering.gathering == Gathering(microseconds: 70, completions: 9))
        #expect(!gathering.receivesOnce)
        #expect(gathering.ring == RingSettings())
    }
}
