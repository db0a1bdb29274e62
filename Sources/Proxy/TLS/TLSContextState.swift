import COpenSSL

/// What a context knows that OpenSSL does not, in memory that never moves: callbacks find it behind a stream's BIO.
///
/// It lives as long as the `SSL_CTX` that it belongs to, and so as long as the last stream.
struct TLSContextState: BitwiseCopyable {
    /// First, so that who has its address has the state's.
    var lent = copenssl_lent()
    let context: OpaquePointer
    /// Shared by all streams that begin here: a call into OpenSSL never leaves anything in it.
    let bio: OpaquePointer
    /// Room for what OpenSSL sends by itself; made for the first stream, so that contexts of virtual hosts have none.
    var scratch: UnsafeMutableRawPointer?

    // Of the stream whose call is running.
    var chosen: UnsafeMutablePointer<TLSContextState>?
    /// Where the secrets of its records go (`HandshakeSecrets`).
    var records: UnsafeMutablePointer<TLSRecords>?
    var choice = NameChoice.open
    /// Wall clock in seconds.
    var now: Int64 = 0
    /// What the ClientHello asks for; at most `nameBytesMax` bytes.
    let name: UnsafeMutablePointer<UInt8>
    var nameCount = 0

    // What was asked for, as far as OpenSSL's own object does not hold it.
    var tickets = TLSTickets()
    var sessions: Unmanaged<TLSSessionCache>?
    var sessionSeconds = 0
    /// Sessions resume only where this is the same.
    var scope = SessionScope()
    /// Names of groups, ended by zero: a stream that changes to this context takes them over.
    var curves: UnsafeMutablePointer<CChar>?
    /// ALPN in the form of the wire, preferred first.
    var applicationProtocols = UnsafeMutableBufferPointer<UInt8>(start: nil, count: 0)
    var staples = UnsafeMutableBufferPointer<OCSPStaple>(start: nil, count: 0)
    var acceptsMissingRevocationList = false
    var acceptsExpiredRevocationList = false
    var checksPeer = false
    var texts: ClientCertificateTexts = []
    var extensions = UnsafeMutableBufferPointer<OpaquePointer>(start: nil, count: 0)

    /// Longest host name in a ClientHello that OpenSSL takes.
    static let nameBytesMax = 255
    /// A flight of messages is longer only with very long chains, and then goes out in several turns.
    static let scratchBytes = 16_384

    /// Where the worker stands with the choice of a context.
    enum NameChoice: UInt8 {
        /// The handshake stops at the ClientHello.
        case open
        case made
        /// The handshake fails at the ClientHello.
        case refused
    }

    /// Makes the state of a context and ties its life to it; nil = out of memory.
    static func make(for context: OpaquePointer) -> UnsafeMutablePointer<TLSContextState>? {
        guard contextIndex >= 0 else { return nil }
        let state = UnsafeMutablePointer<TLSContextState>.allocate(capacity: 1)
        let lent = UnsafeMutableRawPointer(state).assumingMemoryBound(to: copenssl_lent.self)
        guard let bio = copenssl_bio(lent) else {
            state.deallocate()
            return nil
        }
        state.initialize(to: TLSContextState(context: context, bio: bio, name: .allocate(capacity: nameBytesMax)))
        guard SSL_CTX_set_ex_data(context, contextIndex, state) == 1 else {
            release(state)
            return nil
        }
        return state
    }

    /// The state of a context; nil for one of others.
    static func of(_ context: OpaquePointer?) -> UnsafeMutablePointer<TLSContextState>? {
        guard let context else { return nil }
        return SSL_CTX_get_ex_data(context, contextIndex)?.assumingMemoryBound(to: TLSContextState.self)
    }

    /// The state that a stream began with; for callbacks, while a call of the stream is running.
    @inline(__always)
    static func home(of ssl: OpaquePointer?) -> UnsafeMutablePointer<TLSContextState>? {
        guard let ssl, let lent = copenssl_lent_of(ssl) else { return nil }
        return UnsafeMutableRawPointer(lent).assumingMemoryBound(to: TLSContextState.self)
    }

    /// The state of the context that was chosen for a stream; for callbacks, while a call of the stream is running.
    @inline(__always)
    static func chosen(of ssl: OpaquePointer?) -> UnsafeMutablePointer<TLSContextState>? { home(of: ssl)?.pointee.chosen }

    fileprivate static func release(_ state: UnsafeMutablePointer<TLSContextState>) {
        BIO_free(state.pointee.bio)
        state.pointee.name.deallocate()
        state.pointee.scratch?.deallocate()
        state.pointee.tickets.release()
        state.pointee.sessions?.release()
        state.pointee.curves?.deallocate()
        state.pointee.applicationProtocols.deallocate()
        for staple in state.pointee.staples { staple.release() }
        state.pointee.staples.deallocate()
        for object in state.pointee.extensions { ASN1_OBJECT_free(object) }
        state.pointee.extensions.deallocate()
        state.deallocate()
    }
}

/// Under which index OpenSSL's contexts keep our state, and free it.
private let contextIndex: Int32 = copenssl_ctx_index { _, state, _, _, _, _ in
    guard let state else { return }
    TLSContextState.release(state.assumingMemoryBound(to: TLSContextState.self))
}
