import COpenSSL
import TestSupport
import Testing

@testable import Proxy

@Suite("AES-GCM of another library than OpenSSL", .enabled(if: VectorCipher.isThere, "no libIPSec_MB, or a CPU without VAES"))
struct VectorCipherTests {
    @Test("what it seals is what OpenSSL seals, whatever the length and however it is cut", arguments: [RecordSuite.aes128GCM, .aes256GCM])
    func sealing(suite: RecordSuite) throws {
        let cipher = try #require(VectorCipher(suite, isSealing: true))
        defer { cipher.free() }
        for (number, count) in Self.lengths.enumerated() {
            let record = Record(suite, number: number, count: count)
            record.key.withUnsafeBytes { cipher.use($0.baseAddress!) }
            #expect(
                record.run(cipher, record.plain) { tag in
                    cipher.finish(tag); return true
                } == record.sealed)
        }
    }

    @Test("it opens what OpenSSL has sealed, and nothing of which a bit is wrong", arguments: [RecordSuite.aes128GCM, .aes256GCM])
    func opening(suite: RecordSuite) throws {
        let cipher = try #require(VectorCipher(suite, isSealing: false))
        defer { cipher.free() }
        for (number, count) in Self.lengths.enumerated() {
            let record = Record(suite, number: number, count: count)
            record.key.withUnsafeBytes { cipher.use($0.baseAddress!) }
            let cipherText = Bytes(record.sealed.prefix(count))
            let tag = Bytes(record.sealed.suffix(16))
            #expect(record.run(cipher, cipherText) { _ in cipher.check(tag) }.map { Bytes($0.prefix(count)) } == record.plain)
            for wrong in [0, 7, 15] {
                var spoilt = tag
                spoilt[wrong] ^= 0x10
                #expect(record.run(cipher, cipherText) { _ in cipher.check(spoilt) } == nil)
            }
            if count > 0 {
                var spoilt = cipherText
                spoilt[count / 2] ^= 1
                #expect(record.run(cipher, spoilt) { _ in cipher.check(tag) } == nil)
            }
        }
    }

    @Test("there is none for ChaCha20-Poly1305")
    func others() { #expect(VectorCipher(.chaCha20Poly1305, isSealing: true) == nil) }

    @Test("records go through it where OpenSSL is older than 3.1")
    func choice() {
        let isNew = OPENSSL_version_major() > 3 || OPENSSL_version_minor() >= 1
        #expect(VectorCipher.isUsed == !isNew)
        if isNew { #expect(VectorCipher.choice == .notNeeded) }
    }

    private static let lengths = Array(0...130) + [255, 256, 257, 767, 768, 769, 4_096, 16_383, 16_384, 16_385]
}

/// One record as OpenSSL seals it: ciphertext, then the tag.
private struct Record {
    let key: Bytes
    let nonce: Bytes
    let associated: Bytes
    let plain: Bytes
    let sealed: Bytes

    init(_ suite: RecordSuite, number: Int, count: Int) {
        key = BodyPattern.bytes(suite.keyBytes, seed: UInt64(number) + 1)
        nonce = BodyPattern.bytes(12, seed: UInt64(number) + 2)
        associated = BodyPattern.bytes(number % 2 == 0 ? 5 : 13, seed: UInt64(number) + 3)
        plain = BodyPattern.bytes(count, seed: UInt64(number) + 4)
        let context = EVP_CIPHER_CTX_new()
        defer { EVP_CIPHER_CTX_free(context) }
        var out = Bytes(repeating: 0, count: count + 16)
        var done: Int32 = 0
        precondition(EVP_CipherInit_ex(context, suite == .aes128GCM ? EVP_aes_128_gcm() : EVP_aes_256_gcm(), nil, key, nonce, 1) == 1)
        precondition(EVP_CipherUpdate(context, nil, &done, associated, Int32(associated.count)) == 1)
        precondition(EVP_CipherUpdate(context, &out, &done, plain, Int32(count)) == 1)
        var tag = Bytes(repeating: 0, count: 16)
        precondition(EVP_CipherFinal_ex(context, &tag, &done) == 1)
        precondition(EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, 16, &tag) == 1)
        out.replaceSubrange(count..., with: tag)
        sealed = out
    }

    /// Passes `content` through in three pieces, of which the last has one byte as the kind of a record has; nil when `end` says no.
    func run(_ cipher: VectorCipher, _ content: Bytes, end: (UnsafeMutableRawPointer) -> Bool) -> Bytes? {
        var out = Bytes(repeating: 0, count: content.count + 16)
        nonce.withUnsafeBytes { cipher.begin($0.baseAddress!, associated, associated.count) }
        let isRight = out.withUnsafeMutableBytes { room in
            content.withUnsafeBytes { bytes in
                var at = 0
                for piece in [content.count / 3, max(content.count - content.count / 3 - 1, 0), content.count] where at < content.count {
                    let count = min(piece, content.count - at)
                    if count > 0 { cipher.update(bytes.baseAddress! + at, count, to: room.baseAddress! + at) }
                    at += count
                }
            }
            return end(room.baseAddress! + content.count)
        }
        return isRight ? out : nil
    }
}
