import COpenSSL

/// The keys with which a context seals tickets and opens them.
///
/// Either keys from files, which never change here: the first seals, all open. Or keys derived from the process's secret
/// and the epoch, the wall clock divided by the time of rotation, so that all workers have the same ones without talking.
/// Tickets of the epoch before are opened too, and those of the one to come, in which another worker may be already by its
/// clock; older ones cost their client a full handshake.
struct TLSTickets: BitwiseCopyable {
    /// Derived: of this epoch, of the one before, of the one to come.
    private var keys = UnsafeMutableBufferPointer<TicketKey>(start: nil, count: 0)
    /// 32 bytes; nil with keys from files.
    private var secret: UnsafeMutablePointer<UInt8>?
    private var rotationSeconds: Int64 = 1
    private var epoch: Int64 = .min

    init() {}

    /// - Parameter files: of 48 or 80 bytes, the newest first.
    init(files: [TLSFile]) throws(TLSComplaint) {
        var read: [TicketKey] = []
        for file in files {
            guard let key = file.bytes.withBytes({ TicketKey($0) }) else {
                throw TLSComplaint(
                    sentence: """
                        \(file.name) has \(file.bytes.count) bytes, and a key for tickets has 80 (or 48): make one with \
                        openssl rand 80 > \(file.name)
                        """)
            }
            read.append(key)
        }
        keys = .allocate(capacity: read.count)
        _ = keys.initialize(from: read)
    }

    init(secret: TLSTicketSecret, rotationSeconds: Int) {
        let copy = UnsafeMutablePointer<UInt8>.allocate(capacity: secret.bytes.count)
        copy.initialize(from: secret.bytes, count: secret.bytes.count)
        self.secret = copy
        self.rotationSeconds = Int64(max(1, rotationSeconds))
    }

    func release() {
        for index in keys.indices { keys[index].erase() }
        keys.deallocate()
        if let secret {
            OPENSSL_cleanse(secret, TLSTicketSecret.byteCount)
            secret.deallocate()
        }
    }

    /// Derives the keys of the epoch that `now` is in, if they are not those at hand. Once in a rotation.
    private mutating func turn(to now: Int64) {
        guard let secret else { return }
        let current = now / rotationSeconds
        guard current != epoch || keys.count == 0 else { return }
        let derived = [current, current &- 1, current &+ 1].compactMap { TicketKey(secret: secret, epoch: $0) }
        guard derived.count == 3 else { return }
        for index in keys.indices { keys[index].erase() }
        keys.deallocate()
        keys = .allocate(capacity: derived.count)
        _ = keys.initialize(from: derived)
        epoch = current
    }

    static func install(in context: OpaquePointer) {
        SSL_CTX_set_tlsext_ticket_key_evp_cb(context) { ssl, name, iv, cipher, mac, isSealing in
            guard let state = TLSContextState.chosen(of: ssl), let home = TLSContextState.home(of: ssl), let name, let iv else { return -1 }
            let now = home.pointee.now
            return isSealing == 1
                ? state.pointee.tickets.seal(name, iv, cipher, mac, now) : state.pointee.tickets.open(name, iv, cipher, mac, now)
        }
        SSL_CTX_set_session_ticket_cb(
            context,
            { ssl, _ in
                // The context that was chosen says how long, not the one that the connection began with.
                if let ssl, let state = TLSContextState.chosen(of: ssl), let session = SSL_get_session(ssl) {
                    SSL_SESSION_set_timeout(session, state.pointee.sessionSeconds)
                }
                return 1
            },
            { ssl, session, _, _, status, _ in
                switch status {
                // A ticket of TLS 1.3 is for one use: who resumes needs the next one (RFC 8446 C.4).
                case SSL_TICKET_SUCCESS where SSL_version(ssl) >= TLS1_3_VERSION && TLSSession.mayResume(session):
                    SSL_TICKET_RETURN_USE_RENEW
                case SSL_TICKET_SUCCESS where TLSSession.mayResume(session): SSL_TICKET_RETURN_USE
                case SSL_TICKET_SUCCESS_RENEW where TLSSession.mayResume(session): SSL_TICKET_RETURN_USE_RENEW
                // With empty tickets clients ask for one.
                default: SSL_TICKET_RETURN_IGNORE_RENEW
                }
            }, nil)
    }

    /// 1 = sealed with the newest key, -1 = OpenSSL failed.
    private mutating func seal(
        _ name: UnsafeMutablePointer<UInt8>, _ iv: UnsafeMutablePointer<UInt8>, _ cipher: OpaquePointer?, _ mac: OpaquePointer?, _ now: Int64
    ) -> Int32 {
        turn(to: now)
        guard keys.count > 0, RAND_bytes(iv, 16) == 1 else { return -1 }
        keys[0].putName(name)
        return keys[0].prepare(sealing: true, iv, cipher, mac) ? 1 : -1
    }

    /// 1 = of the newest key, 2 = of another one, so to be renewed, 0 = of none that is known.
    private mutating func open(
        _ name: UnsafeMutablePointer<UInt8>, _ iv: UnsafeMutablePointer<UInt8>, _ cipher: OpaquePointer?, _ mac: OpaquePointer?, _ now: Int64
    ) -> Int32 {
        turn(to: now)
        for index in keys.indices where keys[index].hasName(name) {
            guard keys[index].prepare(sealing: false, iv, cipher, mac) else { return -1 }
            return index == 0 ? 1 : 2
        }
        return 0
    }
}
