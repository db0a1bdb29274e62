import Testing

@testable import Proxy

@Suite("SHA-1 of the WebSocket handshake, RFC 3174 §7.3")
struct SHA1Tests {
    private func digest(_ bytes: some Sequence<UInt8>) -> String {
        var hash = SHA1()
        for byte in bytes { hash.add(byte) }
        return withUnsafeTemporaryAllocation(byteCount: 64, alignment: 1) { memory in
            var writer = HeadWriter(base: memory.baseAddress!, capacity: 64)
            hash.appendBase64(to: &writer)
            return String(decoding: memory[..<writer.count], as: UTF8.self)
        }
    }

    @Test(
        "the published examples",
        arguments: [
            ("abc", 1, "qZk+NkcGgWq6PiVxeFDCbJzQ2J0="),
            ("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", 1, "hJg+RBw70m66rkqh+VEp5eVGcPE="),
            ("a", 1_000_000, "NKqXPNTE2qT2Husr260nMWU0AW8="),
            ("0123456701234567012345670123456701234567012345670123456701234567", 10, "3qNWos3dkMen7O3F67Vjk09GBFI="),
        ])
    func examples(_ text: String, _ repetitions: Int, _ expected: String) {
        #expect(digest((0..<repetitions).lazy.flatMap { _ in text.utf8 }) == expected)
    }

    @Test("nothing at all")
    func empty() { #expect(digest([]) == "2jmj7l5rSw0yVb/vlWAYkK/YBwk=") }

    @Test(
        "around the edges of a block, where the length needs another one",
        arguments: zip(
            [55, 56, 63, 64, 65, 119, 120],
            [
                "zvc0uoGgJEeeCetadbbdrmLmq/E=", "kBMFNnwlmVL056+DI/SA1Z+BM1s=", "DdxODMzZoShQ3rWrsIU6RCVVn+w=", "uy+j7nr7n1TG37XQIfFLH/5AwWM=", "eMdB3cSC5M34xHSgh2NHoJBbYjM=",
                "QwAyA5T37iObzc59O4vO4XOgzVw=", "zrKCFjnEttyxC84OUiyi5gjOBW0=",
            ]))
    func edges(_ count: Int, _ expected: String) { #expect(digest(repeatElement(UInt8(ascii: "x"), count: count)) == expected) }

    @Test("the handshake of RFC 6455 §1.3")
    func handshake() {
        #expect(digest("dGhlIHNhbXBsZSBub25jZQ==258EAFA5-E914-47DA-95CA-C5AB0DC85B11".utf8) == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")
    }
}
