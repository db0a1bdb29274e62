import CIPSecMB
import COpenSSL
import Glibc

/// AES-GCM of Intel's Multi-Buffer Crypto Library in place of OpenSSL's: three times as fast where OpenSSL is older than 3.1,
/// which does not know the vector instructions for it. The library is looked for at run time and nothing depends on it.
///
/// Whoever makes one calls `free`.
struct VectorCipher: BitwiseCopyable {
    private let key: OpaquePointer

    /// Nil where the library is not there, where it has nothing for `suite`, and when memory is short.
    @inline(never)
    init?(_ suite: RecordSuite, isSealing: Bool) {
        guard suite != .chaCha20Poly1305, Self.isThere,
            let made = cipsecmb_make(Int32(suite.keyBytes), isSealing ? 1 : 0)
        else { return nil }
        key = made
    }

    /// Takes a key into use, the first or the next one; as many bytes as the suite's.
    func use(_ bytes: UnsafeRawPointer) { cipsecmb_use(key, bytes.assumingMemoryBound(to: UInt8.self)) }

    /// Begins with a record; the nonce has twelve bytes.
    @inline(__always)
    func begin(_ nonce: UnsafeRawPointer, _ associated: UnsafePointer<UInt8>, _ associatedBytes: Int) {
        cipsecmb_begin(key, nonce.assumingMemoryBound(to: UInt8.self), associated, associatedBytes)
    }

    /// Seals or opens the next bytes of the record.
    @inline(__always)
    func update(_ from: UnsafeRawPointer, _ count: Int, to place: UnsafeMutableRawPointer) {
        cipsecmb_update(key, place.assumingMemoryBound(to: UInt8.self), from.assumingMemoryBound(to: UInt8.self), count)
    }

    /// Writes the tag of a record that was sealed.
    @inline(__always)
    func finish(_ tag: UnsafeMutableRawPointer) { cipsecmb_finish(key, tag.assumingMemoryBound(to: UInt8.self)) }

    /// Whether `tag` proves the record that was opened.
    @inline(__always)
    func check(_ tag: UnsafeRawPointer) -> Bool {
        var right = InlineArray<16, UInt8>(repeating: 0)
        return withUnsafeMutableBytes(of: &right) {
            cipsecmb_finish(key, $0.baseAddress!.assumingMemoryBound(to: UInt8.self))
            return CRYPTO_memcmp($0.baseAddress!, tag, RecordCipher.tagBytes) == 0
        }
    }

    /// Wipes the key and gives its memory back.
    func free() { cipsecmb_free(key) }
}

extension VectorCipher {
    /// What seals and opens records with AES-GCM, and why.
    enum Choice: Equatable, Sendable {
        /// The library, of this version.
        case vector(version: String)
        /// OpenSSL, because the library is not installed, or this CPU or build has no use for it.
        case notFound
        /// OpenSSL, which is as fast.
        case notNeeded
    }

    /// Looked up once in the life of the process, before it gives up its rights and its view of the file system: `rootdir` would
    /// hide the library.
    static let choice: Choice = {
        if OPENSSL_version_major() > 3 || OPENSSL_version_major() == 3 && OPENSSL_version_minor() >= 1 { return .notNeeded }
        return isThere ? .vector(version: cipsecmb_version().map { String(cString: $0) } ?? "?") : .notFound
    }()

    /// Whether the library is there and this CPU has what it needs; whether it is needed is another question.
    static let isThere = cipsecmb_find() == 1

    /// Whether records go through the library.
    static let isUsed: Bool = if case .vector = choice { true } else { false }

    /// Leaves everything to OpenSSL for the life of the process; before anything here has been asked.
    static func forbid() { cipsecmb_forbid() }
}
