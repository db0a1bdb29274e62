import COpenSSL
import Glibc

/// One direction of the record layer: an authenticated cipher under its key, and the number of the next record.
///
/// A record goes through in pieces: `begin`, `update` for each piece of it, and then `finish`, or `check` where it is opened.
/// Whoever puts one in its slot calls `free`.
struct RecordCipher: BitwiseCopyable {
    /// Of the next record; counts along while the handshake is still OpenSSL's (`HandshakeSecrets`).
    var sequence: UInt64 = 0
    /// What the next keys come from.
    var secret = TrafficSecret()
    private var context: OpaquePointer?
    /// In place of OpenSSL's, where there is one.
    private var vector: VectorCipher?
    /// What the sequence number is laid over: four bytes, then eight, as they stand in memory.
    private var ivStart: UInt32 = 0
    private var ivRest: UInt64 = 0

    static let tagBytes = 16
    static let nonceBytes = 12

    /// Takes a key into use, the first or the next one; false when OpenSSL fails.
    mutating func use(_ key: inout TrafficKey, isSealing: Bool) -> Bool {
        if context == nil, vector == nil, !make(key.suite, isSealing: isSealing) { return false }
        let isSet = withUnsafeBytes(of: &key.key) {
            if let vector {
                vector.use($0.baseAddress!)
                return true
            }
            return EVP_CipherInit_ex(context, nil, nil, $0.baseAddress!.assumingMemoryBound(to: UInt8.self), nil, isSealing ? 1 : 0) == 1
        }
        withUnsafeBytes(of: &key.iv) {
            ivStart = $0.loadUnaligned(fromByteOffset: 0, as: UInt32.self)
            ivRest = $0.loadUnaligned(fromByteOffset: 4, as: UInt64.self)
        }
        sequence = key.sequence
        return isSet
    }

    @inline(never)
    private mutating func make(_ suite: RecordSuite, isSealing: Bool) -> Bool {
        if VectorCipher.isUsed {
            vector = VectorCipher(suite, isSealing: isSealing)
            if vector != nil { return true }
        }
        guard let cipher = FetchedCiphers.all[suite], let made = EVP_CIPHER_CTX_new() else { return false }
        context = made
        return EVP_CipherInit_ex(made, cipher, nil, nil, nil, isSealing ? 1 : 0) == 1
    }

    /// Gives the cipher back; what the keys come from stays.
    mutating func drop() {
        EVP_CIPHER_CTX_free(context)
        context = nil
        vector?.free()
        vector = nil
        ivStart = 0
        ivRest = 0
    }

    mutating func free() {
        drop()
        secret.wipe()
    }

    /// Lays the sequence number over the initialisation vector of a key.
    mutating func fill(_ key: inout TrafficKey) {
        withUnsafeMutableBytes(of: &key.iv) {
            $0.storeBytes(of: ivStart, toByteOffset: 0, as: UInt32.self)
            $0.storeBytes(of: ivRest, toByteOffset: 4, as: UInt64.self)
        }
        key.sequence = sequence
    }

    /// Begins with a record.
    ///
    /// - Parameters:
    ///   - number: eight bytes of the nonce as they stand in memory: the sequence number in the order of the wire, or what the
    ///     peer says (RFC 5288 3).
    ///   - associated: bytes that are proved, too.
    @inline(__always)
    func begin(number: UInt64, _ associated: UnsafePointer<UInt8>, _ associatedBytes: Int) -> Bool {
        var nonce = InlineArray<12, UInt8>(repeating: 0)
        var count: Int32 = 0
        return withUnsafeMutableBytes(of: &nonce) {
            $0.storeBytes(of: ivStart, toByteOffset: 0, as: UInt32.self)
            $0.storeBytes(of: ivRest ^ number, toByteOffset: 4, as: UInt64.self)
            if let vector {
                vector.begin($0.baseAddress!, associated, associatedBytes)
                return true
            }
            return EVP_CipherInit_ex(context, nil, nil, nil, $0.baseAddress!.assumingMemoryBound(to: UInt8.self), -1) == 1
                && EVP_CipherUpdate(context, nil, &count, associated, Int32(truncatingIfNeeded: associatedBytes)) == 1
        }
    }

    /// Encrypts or decrypts the next `count` bytes of the record, of which there are never more than some 16 KiB.
    @inline(__always)
    func update(_ from: UnsafeRawPointer, _ count: Int, to place: UnsafeMutableRawPointer) -> Bool {
        if let vector {
            vector.update(from, count, to: place)
            return true
        }
        var done: Int32 = 0
        return EVP_CipherUpdate(
            context, place.assumingMemoryBound(to: UInt8.self), &done, from.assumingMemoryBound(to: UInt8.self),
            Int32(truncatingIfNeeded: count)) == 1 && Int(done) == count
    }

    /// Ends a record that was sealed: writes its tag.
    @inline(__always)
    mutating func finish(_ tag: UnsafeMutableRawPointer) -> Bool {
        if let vector {
            vector.finish(tag)
            sequence &+= 1
            return true
        }
        var none: Int32 = 0
        guard EVP_CipherFinal_ex(context, tag.assumingMemoryBound(to: UInt8.self), &none) == 1, none == 0,
            EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, Int32(Self.tagBytes), tag) == 1
        else { return false }
        sequence &+= 1
        return true
    }

    /// Ends a record that was opened: false = it is not what the peer has sealed.
    @inline(__always)
    mutating func check(_ tag: UnsafeMutableRawPointer) -> Bool {
        if let vector {
            guard vector.check(tag) else { return false }
            sequence &+= 1
            return true
        }
        var none: Int32 = 0
        var nowhere: UInt8 = 0
        guard EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_TAG, Int32(Self.tagBytes), tag) == 1,
            EVP_CipherFinal_ex(context, &nowhere, &none) == 1
        else { return false }
        sequence &+= 1
        return true
    }
}

/// OpenSSL's implementations, looked up once in the life of the process: a look-up takes its locks.
private struct FetchedCiphers: @unchecked Sendable {
    static let all = FetchedCiphers()
    private let aes128 = EVP_CIPHER_fetch(nil, "AES-128-GCM", nil)
    private let aes256 = EVP_CIPHER_fetch(nil, "AES-256-GCM", nil)
    private let chaCha20 = EVP_CIPHER_fetch(nil, "ChaCha20-Poly1305", nil)

    subscript(suite: RecordSuite) -> OpaquePointer? {
        switch suite {
        case .aes128GCM: aes128
        case .aes256GCM: aes256
        case .chaCha20Poly1305: chaCha20
        }
    }
}
