import Testing

@testable import Proxy

@Suite("Sticky cookie")
struct StickyCookieTests {
    private func text(_ token: UInt64) -> String {
        var bytes = [UInt8](repeating: 0, count: StickyCookie.lengthBytes)
        bytes.withUnsafeMutableBytes { StickyCookie.write(token, into: $0) }
        return String(decoding: bytes, as: UTF8.self)
    }

    private func token(_ text: String) -> UInt64 { Array(text.utf8).withUnsafeBytes { StickyCookie.token(from: $0) } }

    @Test("SipHash-2-4 gives the published value for eight bytes")
    func siphash() {
        // Key 00 … 0f, message 00 … 07, from the reference vectors.
        #expect(sipHash(0x0706_0504_0302_0100, 0x0706_0504_0302_0100, 0x0F0E_0D0C_0B0A_0908) == 0x93F5_F579_9A93_2462)
    }

    @Test("a token survives the way through a cookie", arguments: [1, 0x0123_4567_89AB_CDEF, UInt64.max])
    func roundTrip(value: UInt64) {
        #expect(text(value).count == 16)
        #expect(token(text(value)) == value)
    }

    @Test("what is no token is 0", arguments: ["", "0", "0123456789ABCDEF", "0123456789abcdeg", "0123456789abcdef0", "0123456789abcde "])
    func garbage(value: String) { #expect(token(value) == 0) }

    @Test("finds the candidate, usable or not; unknown tokens and 0 find none")
    func find() {
        let secret = StickySecret(low: 1, high: 2)
        let candidates = makeCandidates([1, 1, 1])
        defer { candidates.deallocate() }
        #expect(StickyCookie.find(0, in: candidates) == -1)
        for index in candidates.indices { candidates[index].stickyToken = secret.token(for: candidates[index].identity) }
        candidates[1].isUsable = false
        #expect(StickyCookie.find(secret.token(for: candidates[1].identity), in: candidates) == 1)
        #expect(StickyCookie.find(12_345, in: candidates) == -1)
        #expect(StickyCookie.find(0, in: candidates) == -1)
    }

    @Test("the text of the setting makes the secret; without one each process has its own")
    func secrets() {
        #expect(StickySecret(text: "one") == StickySecret(text: "one"))
        #expect(StickySecret(text: "one").token(for: 7) != StickySecret(text: "two").token(for: 7))
        #expect(StickySecret.random() != StickySecret.random())
    }
}
