import COpenSSL
import Glibc

/// One key for tickets: a name that a ticket carries, a key that hides and one that proves (RFC 5077 4).
struct TicketKey: BitwiseCopyable {
    static let nameBytes = 16
    /// Name, proof and secrecy with 256 bits each: nginx's newer layout.
    static let longBytes = 80
    /// Name, secrecy and proof with 128 bits each: nginx's older layout.
    static let shortBytes = 48

    private var bytes: InlineArray<80, UInt8>
    /// AES with 128 bits.
    private let isShort: Bool

    /// - Parameter file: 48 or 80 random bytes; nil for any other number.
    init?(_ file: UnsafeRawBufferPointer) {
        guard file.count == Self.longBytes || file.count == Self.shortBytes else { return nil }
        isShort = file.count == Self.shortBytes
        bytes = InlineArray(repeating: 0)
        for (index, byte) in file.enumerated() { bytes[index] = byte }
    }

    /// Derived: HKDF-Expand with SHA-512 (RFC 5869 2.3) over the number of the epoch; nil when OpenSSL fails.
    init?(secret: UnsafePointer<UInt8>, epoch: Int64) {
        isShort = false
        bytes = InlineArray(repeating: 0)
        var input = [UInt8]("weir tickets ".utf8)
        withUnsafeBytes(of: epoch.bigEndian) { input += $0 }
        var first = [UInt8](repeating: 0, count: 64)
        var second = first
        let data = input + [1]
        guard HMAC(EVP_sha512(), secret, Int32(TLSTicketSecret.byteCount), data, data.count, &first, nil) != nil else { return nil }
        let more = first + input + [2]
        guard HMAC(EVP_sha512(), secret, Int32(TLSTicketSecret.byteCount), more, more.count, &second, nil) != nil else { return nil }
        for index in 0..<Self.longBytes { bytes[index] = index < 64 ? first[index] : second[index - 64] }
        OPENSSL_cleanse(&first, first.count)
        OPENSSL_cleanse(&second, second.count)
    }

    mutating func hasName(_ name: UnsafePointer<UInt8>) -> Bool {
        withUnsafeBytes(of: &bytes) { CRYPTO_memcmp($0.baseAddress, name, Self.nameBytes) == 0 }
    }

    mutating func putName(_ name: UnsafeMutablePointer<UInt8>) {
        withUnsafeBytes(of: &bytes) { _ = memcpy(name, $0.baseAddress!, Self.nameBytes) }
    }

    /// Readies both contexts, for sealing or opening; false when OpenSSL fails.
    mutating func prepare(
        sealing: Bool, _ iv: UnsafeMutablePointer<UInt8>?, _ cipherContext: OpaquePointer?, _ macContext: OpaquePointer?
    ) -> Bool {
        let isShort = isShort
        return withUnsafeMutableBytes(of: &bytes) { bytes in
            let start = bytes.baseAddress!.assumingMemoryBound(to: UInt8.self)
            let proof = start + (isShort ? 32 : 16)
            let secrecy = start + (isShort ? 16 : 48)
            let cipher = isShort ? EVP_aes_128_cbc() : EVP_aes_256_cbc()
            guard copenssl_mac_set_sha256(macContext, proof, isShort ? 16 : 32) == 1 else { return false }
            return EVP_CipherInit_ex(cipherContext, cipher, nil, secrecy, iv, sealing ? 1 : 0) == 1
        }
    }

    mutating func erase() { withUnsafeMutableBytes(of: &bytes) { OPENSSL_cleanse($0.baseAddress, $0.count) } }
}
