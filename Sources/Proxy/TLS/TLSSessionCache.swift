import COpenSSL
import Glibc

/// Sessions by id, for clients without tickets: those of all workers of one server, in sixteen parts under a lock each.
///
/// Holds at most `countMax` sessions as bytes; the oldest of a part goes for a new one. Looked at once in a handshake of such
/// a client, never by others.
final class TLSSessionCache: @unchecked Sendable {
    private static let partCount = 16
    /// A session with a client's certificate of the largest size that OpenSSL takes would be 100 KiB; it is not kept.
    private static let sessionBytesMax = 16_384

    private let parts: [LockedPart]
    private let seconds: Int

    /// - Parameters:
    ///   - countMax: rounded up to a multiple of 16.
    ///   - seconds: how long a session is kept; a context's `sessionSeconds` may be shorter.
    init(countMax: Int, seconds: Int) {
        let each = max(1, min(countMax, 1 << 24) + Self.partCount - 1) / Self.partCount
        parts = (0..<Self.partCount).map { _ in LockedPart(Part(countMax: each)) }
        self.seconds = max(1, seconds)
    }

    deinit { clear() }

    var count: Int { parts.reduce(0) { $0 + $1.part.withLock { $0.count } } }

    func clear() { for box in parts { box.part.withLock { $0.clear() } } }

    private func part(of id: SessionID) -> LockedPart { parts[Int(truncatingIfNeeded: id.hash % UInt64(Self.partCount))] }

    /// Keeps a session; what does not fit is left out.
    fileprivate func store(_ session: OpaquePointer, now: Int) {
        guard let id = SessionID(of: session) else { return }
        let length = i2d_SSL_SESSION(session, nil)
        guard length > 0, Int(length) <= Self.sessionBytesMax, let bytes = malloc(Int(length)) else { return }
        var at: UnsafeMutablePointer<UInt8>? = bytes.assumingMemoryBound(to: UInt8.self)
        guard i2d_SSL_SESSION(session, &at) == length else {
            free(bytes)
            return
        }
        let kept = KeptSession(bytes: bytes, count: Int(length), id: id, endsAt: now &+ seconds)
        part(of: id).part.withLock { $0.store(kept) }
    }

    /// The session of an id, for the caller to free; nil when there is none or its time is over.
    fileprivate func find(_ id: SessionID, now: Int) -> OpaquePointer? {
        // As a number, since the lock lets no pointer out.
        let session = part(of: id).part.withLock { part -> Int in
            guard let kept = part.find(id, now: now) else { return 0 }
            var at: UnsafePointer<UInt8>? = UnsafePointer(kept.bytes.assumingMemoryBound(to: UInt8.self))
            return Int(bitPattern: d2i_SSL_SESSION(nil, &at, kept.count))
        }
        return OpaquePointer(bitPattern: session)
    }

    fileprivate func remove(_ id: SessionID) { part(of: id).part.withLock { $0.remove(id) } }
}

extension TLSSessionCache {
    /// Makes OpenSSL ask the cache of the chosen context.
    static func install(in context: OpaquePointer) {
        SSL_CTX_sess_set_new_cb(context) { ssl, session in
            // OpenSSL tells of every session; those in tickets need no place. Without tickets TLS 1.3 sends ids in their stead.
            guard let ssl, let session, let home = TLSContextState.home(of: ssl), let cache = home.pointee.chosen?.pointee.sessions else { return 0 }
            if SSL_version(ssl) >= TLS1_3_VERSION, SSL_get_options(ssl) & copenssl_op_no_ticket == 0 { return 0 }
            cache._withUnsafeGuaranteedRef { $0.store(session, now: Int(home.pointee.now)) }
            return 0
        }
        SSL_CTX_sess_set_get_cb(context) { ssl, bytes, count, copy in
            copy?.pointee = 0  // the reference is OpenSSL's from here on
            guard let ssl, let bytes, let home = TLSContextState.home(of: ssl), let cache = home.pointee.chosen?.pointee.sessions,
                let id = SessionID(bytes, Int(count))
            else { return nil }
            guard let session = cache._withUnsafeGuaranteedRef({ $0.find(id, now: Int(home.pointee.now)) }) else { return nil }
            if TLSSession.mayResume(session) { return session }
            SSL_SESSION_free(session)
            return nil
        }
        SSL_CTX_sess_set_remove_cb(context) { context, session in
            guard let session, let home = TLSContextState.of(context),
                let cache = (home.pointee.chosen ?? home).pointee.sessions, let id = SessionID(of: session)
            else { return }
            cache._withUnsafeGuaranteedRef { $0.remove(id) }
        }
    }
}

private struct SessionID: Hashable {
    private let words: (UInt64, UInt64, UInt64, UInt64)

    /// At most 32 bytes, which RFC 5246 7.4.1.2 allows; nil for none and for more.
    init?(_ bytes: UnsafePointer<UInt8>, _ count: Int) {
        guard (1...32).contains(count) else { return nil }
        var words: (UInt64, UInt64, UInt64, UInt64) = (0, 0, 0, 0)
        withUnsafeMutableBytes(of: &words) { _ = memcpy($0.baseAddress!, bytes, count) }
        self.words = words
    }

    init?(of session: OpaquePointer) {
        var count: UInt32 = 0
        guard let bytes = SSL_SESSION_get_id(session, &count) else { return nil }
        self.init(bytes, Int(count))
    }

    /// Ids that we give out are random.
    var hash: UInt64 { words.0 ^ words.1 ^ words.2 ^ words.3 }

    static func == (left: SessionID, right: SessionID) -> Bool { left.words == right.words }
    func hash(into hasher: inout Hasher) {
        hasher.combine(words.0)
        hasher.combine(words.1)
        hasher.combine(words.2)
        hasher.combine(words.3)
    }
}

private struct KeptSession: @unchecked Sendable {
    let bytes: UnsafeMutableRawPointer
    let count: Int
    let id: SessionID
    let endsAt: Int

    func release() {
        OPENSSL_cleanse(bytes, count)
        free(bytes)
    }
}

private final class LockedPart: Sendable {
    let part: Locked<Part>
    init(_ part: sending Part) { self.part = Locked(part) }
}

/// A sixteenth of the cache: a ring in the order of arrival, and where each id stands in it.
private struct Part {
    private var ring: [KeptSession?] = []
    private var places: [SessionID: Int] = [:]
    private var next = 0
    private let countMax: Int

    init(countMax: Int) { self.countMax = countMax }

    var count: Int { places.count }

    mutating func store(_ session: KeptSession) {
        remove(session.id)
        if ring.count < countMax {
            places[session.id] = ring.count
            ring.append(session)
            return
        }
        if let oldest = ring[next] { remove(oldest.id) }
        ring[next] = session
        places[session.id] = next
        next = next + 1 == countMax ? 0 : next + 1
    }

    mutating func find(_ id: SessionID, now: Int) -> KeptSession? {
        guard let place = places[id], let session = ring[place] else { return nil }
        if session.endsAt > now { return session }
        remove(id)
        return nil
    }

    mutating func remove(_ id: SessionID) {
        guard let place = places.removeValue(forKey: id) else { return }
        ring[place]?.release()
        ring[place] = nil
    }

    mutating func clear() {
        for session in ring { session?.release() }
        ring = []
        places = [:]
        next = 0
    }
}
