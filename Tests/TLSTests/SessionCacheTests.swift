import TestSupport
import Testing

@testable import Proxy

@Suite("Sessions by identifier")
struct SessionCacheTests {
    @Test(
        "one is found until its time in the cache is over, however long the session itself may live",
        arguments: ResumptionTests.versions, [Int64(0), 99, 100, 10_000])
    func expiry(version: TLSVersion, after seconds: Int64) throws {
        let cache = TLSSessionCache(countMax: 16, seconds: 100)
        let client = try TLSContext.asking { $0.versionMax = version }
        let server = try TLSContext.serving(sessions: cache) { $0.ticketCount = 0 }
        let session = try ResumptionTests.begin(client, server, now: 5_000)
        #expect(cache.count == 1)
        #expect(ResumptionTests.resumes(session, client, server, now: 5_000 + seconds) == (seconds < 100))
    }
}
