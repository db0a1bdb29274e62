import COpenSSL
import Glibc

/// One TLS connection: what comes goes through `handshake` and then `open`, what is sent goes through `seal`.
///
/// The handshake is OpenSSL's. Behind it a client's connection goes on without: `leaveOpenSSL`.
///
/// Trivial, kept in a slab beside its connection; `free` ends it. It never sees a socket: bytes that came are lent for the
/// length of a call, bytes to be sent are appended to a queue. After a failure nothing but `free` may be called, and what
/// stands in the queue, an alert as a rule, should still be sent.
struct TLSStream: BitwiseCopyable {
    /// OpenSSL's object; nil once the stream goes on without, and then the contexts may be gone, too.
    private(set) var ssl: OpaquePointer?
    /// What goes on in its stead, and gathers before what it will need.
    var records = TLSRecords()
    /// What was agreed on, once the handshake is done.
    private var agreement = TLSAgreement()
    /// Of the context that the stream began with, which lends the memory.
    private let home: UnsafeMutablePointer<TLSContextState>
    private var chosen: UnsafeMutablePointer<TLSContextState>
    /// Which virtual host `choose` was told; -1 before.
    private(set) var host: Int32 = -1
    /// Plain bytes of the record that OpenSSL has made and found no room for; 0 = none.
    private var sealingBytes: Int32 = 0
    /// Bytes that the peer has made us send by itself since the handshake.
    private var answeredBytes: UInt32 = 0
    private var flags: Flags = []
    /// Why the stream failed.
    private(set) var failure = TLSFailure.none

    private struct Flags: OptionSet {
        let rawValue: UInt8
        /// The first bytes have been looked at.
        static let begun = Flags(rawValue: 1)
        static let isServer = Flags(rawValue: 2)
        static let choiceMade = Flags(rawValue: 4)
        static let choiceRefused = Flags(rawValue: 8)
        static let done = Flags(rawValue: 16)
    }

    /// Largest plain content of a record (RFC 8446 5.1).
    static let recordBytesMax = 16_384
    /// What a record may need beside its content: head, explicit nonce, longest tag, padding.
    static let recordOverheadMax = 128
    /// Room that `open` needs: the largest content, and its kind.
    static let openRoomBytes = recordBytesMax + 1

    /// For a client's connection; nil = out of memory.
    static func accepting(_ context: TLSContext.Reference) -> TLSStream? {
        guard var stream = TLSStream(context) else { return nil }
        stream.flags.insert(.isServer)
        SSL_set_accept_state(stream.ssl)
        return stream
    }

    /// For a connection to a backend; nil = out of memory, or a name that is none.
    ///
    /// - Parameters:
    ///   - name: a host's name, which is told to the backend and must stand in its certificate, or the text of an address,
    ///     which must stand in its certificate; empty = neither.
    ///   - resuming: a session of an earlier connection to the same backend; the caller keeps it.
    static func connecting(_ context: TLSContext.Reference, name: ByteSlice, resuming: TLSSession?) -> TLSStream? {
        guard var stream = TLSStream(context) else { return nil }
        // TLS begins with us: there is no other protocol to be told apart.
        stream.flags = [.begun, .choiceMade]
        SSL_set_connect_state(stream.ssl)
        if name.count > 0, !stream.setName(name) {
            stream.freeSSL()
            return nil
        }
        if let resuming { SSL_set_session(stream.ssl, resuming.pointer) }
        return stream
    }

    private init?(_ context: TLSContext.Reference) {
        let home = context.state
        if home.pointee.scratch == nil { home.pointee.scratch = .allocate(byteCount: TLSContextState.scratchBytes, alignment: 16) }
        guard let ssl = SSL_new(home.pointee.context) else {
            ERR_clear_error()
            return nil
        }
        // OpenSSL gives back one reference when it is done with it in both directions.
        BIO_up_ref(home.pointee.bio)
        SSL_set_bio(ssl, home.pointee.bio, home.pointee.bio)
        self.ssl = ssl
        self.home = home
        chosen = home
    }

    private func setName(_ name: ByteSlice) -> Bool {
        guard let start = name.start, name.count <= TLSContextState.nameBytesMax else { return false }
        var room = InlineArray<256, CChar>(repeating: 0)
        return withUnsafeMutableBytes(of: &room) { room in
            memcpy(room.baseAddress!, start, name.count)
            guard memchr(room.baseAddress!, 0, name.count) == nil else { return false }
            let text = room.baseAddress!.assumingMemoryBound(to: CChar.self)
            defer { if ERR_peek_error() != 0 { ERR_clear_error() } }
            if X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), text) == 1 { return true }
            return copenssl_set_host_name(ssl, text) == 1 && SSL_set1_host(ssl, text) == 1
        }
    }

    /// Ends the stream. Sends nothing: `sealEnd` does.
    ///
    /// - Parameter blocks: where blocks go that the stream may hold.
    mutating func free(_ blocks: inout BlockPool) {
        freeSSL()
        records.free(&blocks)
        agreement.free()
    }

    private mutating func freeSSL() {
        guard let ssl else { return }
        // Else OpenSSL would take a connection that just ended for a broken one, and forget its session.
        SSL_set_shutdown(ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN)
        SSL_free(ssl)
        self.ssl = nil
    }
}

/// What a call of `handshake` came to.
enum TLSProgress: UInt8 {
    /// All that was lent has been taken.
    case wantsInput
    /// The ClientHello is there: call `choose`, then `handshake` again.
    case wantsName
    /// Go on with `open`, also when nothing is left to be lent: records may wait inside.
    case done
    case failed
}

/// What a call of `open` came to.
enum TLSOpened: BitwiseCopyable, Equatable {
    /// So many plain bytes, at least one; more may wait inside.
    case bytes(Int)
    /// All that was lent has been taken, and nothing waits inside.
    case wantsInput
    /// The peer sends no more (close_notify); it may still read.
    case ended
    case failed
}

/// Bytes that came; shrinks as they are taken.
struct TLSInput: BitwiseCopyable {
    var start: UnsafeRawPointer
    var count: Int
}

// The handshake.
extension TLSStream {
    /// Goes on with the bytes that came; what is to be sent is appended to `output`.
    ///
    /// - Parameter now: wall clock in seconds, for the keys of tickets and for sessions by identifier.
    mutating func handshake(
        _ input: inout TLSInput, now: Int64, to output: inout ByteQueue, _ blocks: inout BlockPool
    ) -> TLSProgress {
        if failure != .none { return .failed }
        if flags.contains(.done) { return .done }
        if !flags.contains(.begun), input.count > 0 {
            flags.insert(.begun)
            if Self.isText(input) { return fail(.plainHTTP) }
        }
        home.pointee.now = now
        home.pointee.choice = flags.contains(.choiceRefused) ? .refused : flags.contains(.choiceMade) ? .made : .open
        while true {
            let before = input.count
            lend(input)
            let result = withUnsafeMutablePointer(to: &records) {
                home.pointee.records = $0
                defer { home.pointee.records = nil }
                return SSL_do_handshake(ssl)
            }
            let written = takeBack(&input)
            let error = result == 1 ? SSL_ERROR_NONE : SSL_get_error(ssl, result)
            guard output.append(home.pointee.scratch!, written, from: &blocks) else { return fail(.outOfMemory) }
            switch error {
            case SSL_ERROR_NONE:
                flags.insert(.done)
                if let ssl { agreement = TLSAgreement(ssl, isServer: flags.contains(.isServer)) }
                return .done
            case SSL_ERROR_WANT_CLIENT_HELLO_CB: return .wantsName
            case SSL_ERROR_WANT_READ where input.count == 0: return .wantsInput
            // Each turn takes bytes or writes some; one that does neither would be repeated for ever.
            case SSL_ERROR_WANT_READ where input.count < before: continue
            case SSL_ERROR_WANT_WRITE where written > 0: continue
            case SSL_ERROR_ZERO_RETURN: return fail(.endedEarly)
            default: return fail()
            }
        }
    }

    /// Whether the first bytes are a word in capitals, as every method of HTTP in use is; no record of TLS begins so.
    private static func isText(_ input: TLSInput) -> Bool {
        for index in 0..<min(input.count, 3) {
            let byte = input.start.load(fromByteOffset: index, as: UInt8.self)
            guard byte &- UInt8(ascii: "A") < 26 else { return false }
        }
        return true
    }

    /// The host name of the ClientHello as it was sent, empty where there is none; only after `wantsName` and until the next
    /// call for any stream of the same listener.
    var serverName: ByteSlice { ByteSlice(start: home.pointee.name, count: home.pointee.nameCount) }

    /// Answers `wantsName`.
    ///
    /// - Parameters:
    ///   - context: what the connection goes on with; nil = refuse it with the alert unrecognized_name.
    ///   - host: kept for the caller.
    mutating func choose(_ context: TLSContext.Reference?, host: Int32) {
        self.host = host
        guard let context else {
            flags.insert(.choiceRefused)
            return
        }
        flags.insert(.choiceMade)
        guard context.state != chosen else { return }
        chosen = context.state
        let other = context.state.pointee.context
        // OpenSSL changes the certificates and what it reads from the context at each use (suites, trusted authorities,
        // callbacks); what it has copied into the connection is ours to change.
        SSL_set_SSL_CTX(ssl, other)
        SSL_clear_options(ssl, SSL_get_options(ssl))
        SSL_set_options(ssl, SSL_CTX_get_options(other))
        copenssl_set_min_version(ssl, copenssl_ctx_min_version(other))
        copenssl_set_max_version(ssl, copenssl_ctx_max_version(other))
        SSL_set_verify(ssl, SSL_CTX_get_verify_mode(other), SSL_CTX_get_verify_callback(other))
        SSL_set_verify_depth(ssl, SSL_CTX_get_verify_depth(other))
        SSL_set_num_tickets(ssl, SSL_CTX_get_num_tickets(other))
        if let curves = context.state.pointee.curves { copenssl_set_groups(ssl, curves) }
        _ = context.state.pointee.scope.withBytes { SSL_set_session_id_context(ssl, $0, UInt32(SessionScope.byteCount)) }
    }
}

// Records.
extension TLSStream {
    /// Decrypts at most one record into `plain`, which has `room` bytes, at least `openRoomBytes`; what the peer makes us answer
    /// is appended to `output`.
    ///
    /// Call it until it says `wantsInput`: then all that was lent is taken.
    mutating func open(
        _ input: inout TLSInput, into plain: UnsafeMutableRawPointer, _ room: Int, to output: inout ByteQueue, _ blocks: inout BlockPool
    ) -> TLSOpened {
        if failure != .none { return .failed }
        precondition(room >= Self.openRoomBytes, "too little room for a record")
        guard ssl != nil else {
            let opened = records.open(&input, into: plain, to: &output, &blocks)
            failure = records.failure
            return opened
        }
        while true {
            let before = input.count
            lend(input)
            var count = 0
            let result = SSL_read_ex(ssl, plain, room, &count)
            let written = takeBack(&input)
            // Before anything else touches OpenSSL's queue of errors.
            let error = result == 1 ? SSL_ERROR_NONE : SSL_get_error(ssl, result)
            if written > 0 {
                answeredBytes &+= UInt32(truncatingIfNeeded: written)
                guard output.append(home.pointee.scratch!, written, from: &blocks) else { return failOpening(.outOfMemory) }
                if answeredBytes > TLSRecords.answeredBytesMax { return failOpening(.tooManyAnswers) }
            }
            switch error {
            case SSL_ERROR_NONE: return .bytes(count)
            case SSL_ERROR_WANT_READ where input.count == 0: return .wantsInput
            case SSL_ERROR_WANT_READ where input.count < before: continue
            case SSL_ERROR_WANT_WRITE where written > 0: continue
            case SSL_ERROR_ZERO_RETURN: return .ended
            default: return failOpening()
            }
        }
    }

    /// Encrypts bytes as records of at most `recordBytes` and appends them to `output`.
    ///
    /// Returns how many bytes were taken: fewer than `count` when no block was to be had, and then the rest, unchanged, is
    /// for a later call; also after a failure, which `failure` tells. Only whole records count.
    mutating func seal(
        _ plain: UnsafeRawPointer, _ count: Int, recordBytes: Int, to output: inout ByteQueue, _ blocks: inout BlockPool
    ) -> Int {
        if failure != .none { return 0 }
        guard ssl != nil else {
            let taken = records.seal(plain, count, recordBytes: recordBytes, to: &output, &blocks)
            failure = records.failure
            return taken
        }
        let recordBytes = max(1, min(recordBytes, Self.recordBytesMax))
        var taken = 0
        while taken < count {
            let length = sealingBytes > 0 ? Int(sealingBytes) : min(recordBytes, count &- taken)
            guard length <= count &- taken else {
                failure = .internalError
                return taken
            }
            guard let spare = lendRoom(length &+ Self.recordOverheadMax, of: output, &blocks) else { return taken }
            var written = 0
            let result = SSL_write_ex(ssl, plain + taken, length, &written)
            let error = result == 1 ? SSL_ERROR_NONE : SSL_get_error(ssl, result)
            takeRoomBack(spare, to: &output, &blocks)
            switch error {
            case SSL_ERROR_NONE:
                sealingBytes = 0
                taken &+= written
            // Something else had to be sent first and took the room: the same bytes again.
            case SSL_ERROR_WANT_WRITE where home.pointee.lent.out_count > 0: sealingBytes = Int32(truncatingIfNeeded: length)
            default:
                _ = fail()
                return taken
            }
        }
        return taken
    }

    /// Appends close_notify: nothing may be sealed any more. False = no block to be had, or the stream has failed.
    mutating func sealEnd(to output: inout ByteQueue, _ blocks: inout BlockPool) -> Bool {
        if failure != .none || !flags.contains(.done) || sealingBytes > 0 { return false }
        guard ssl != nil else {
            let isSaid = records.sayEnd(&output, &blocks)
            failure = records.failure
            return isSaid
        }
        if SSL_get_shutdown(ssl) & SSL_SENT_SHUTDOWN != 0 { return true }
        guard let spare = lendRoom(Self.recordOverheadMax, of: output, &blocks) else { return false }
        let result = SSL_shutdown(ssl)
        takeRoomBack(spare, to: &output, &blocks)
        if result < 0 { ERR_clear_error() }
        return result >= 0
    }
}

// Lending memory to the BIO.
extension TLSStream {
    @inline(__always)
    private func lend(_ input: TLSInput) {
        if ERR_peek_error() != 0 { ERR_clear_error() }
        home.pointee.chosen = chosen
        home.pointee.lent.in = input.start.assumingMemoryBound(to: UInt8.self)
        home.pointee.lent.in_count = max(0, input.count)
        home.pointee.lent.out.0.start = home.pointee.scratch!.assumingMemoryBound(to: UInt8.self)
        home.pointee.lent.out.0.room = TLSContextState.scratchBytes
        home.pointee.lent.out.1.room = 0
        home.pointee.lent.out_count = 0
    }

    /// Returns how many bytes were written to the scratch.
    @inline(__always)
    private func takeBack(_ input: inout TLSInput) -> Int {
        let left = home.pointee.lent.in_count
        input.start += max(0, input.count) &- left
        input.count = left
        home.pointee.lent.in_count = 0
        home.pointee.lent.out.0.room = 0
        home.pointee.chosen = nil
        return home.pointee.lent.out_count
    }

    /// Lends the room at the end of a queue, and that of a new block where it is less than `bytes`; nil = no block.
    @inline(__always)
    private func lendRoom(_ bytes: Int, of output: ByteQueue, _ blocks: inout BlockPool) -> LentRoom? {
        if ERR_peek_error() != 0 { ERR_clear_error() }
        let tailRoom = output.room
        var block: UnsafeMutablePointer<Block>?
        if tailRoom < bytes {
            guard let size = BlockSize.holding(bytes &- tailRoom), let taken = blocks.take(size) else { return nil }
            block = taken
        }
        home.pointee.chosen = chosen
        home.pointee.lent.in_count = 0
        home.pointee.lent.out.0.start = output.tail?.end.assumingMemoryBound(to: UInt8.self)
        home.pointee.lent.out.0.room = tailRoom
        home.pointee.lent.out.1.start = block?.bytes.assumingMemoryBound(to: UInt8.self)
        home.pointee.lent.out.1.room = block?.room ?? 0
        home.pointee.lent.out_count = 0
        return LentRoom(tailRoom: tailRoom, block: block)
    }

    @inline(__always)
    private func takeRoomBack(_ spare: LentRoom, to output: inout ByteQueue, _ blocks: inout BlockPool) {
        let written = home.pointee.lent.out_count
        let inTail = min(written, spare.tailRoom)
        output.commit(inTail)
        if let block = spare.block {
            block.pointee.end = Int32(truncatingIfNeeded: written &- inTail)
            if written > inTail { output.append(block) } else { blocks.giveBack(block) }
        }
        home.pointee.lent.out.0.room = 0
        home.pointee.lent.out.1.room = 0
        home.pointee.chosen = nil
    }

    private struct LentRoom: BitwiseCopyable {
        var tailRoom: Int
        var block: UnsafeMutablePointer<Block>?
    }

    /// Remembers what OpenSSL's queue of errors says.
    @inline(never)
    private mutating func fail() -> TLSProgress { fail(TLSFailure.take(verification: SSL_get_verify_result(ssl))) }

    private mutating func fail(_ reason: TLSFailure) -> TLSProgress {
        failure = reason
        return .failed
    }

    @inline(never)
    private mutating func failOpening() -> TLSOpened { failOpening(TLSFailure.take(verification: SSL_get_verify_result(ssl))) }

    private mutating func failOpening(_ reason: TLSFailure) -> TLSOpened {
        failure = reason
        return .failed
    }
}

// What was agreed; once the handshake is done.
extension TLSStream {
    var isDone: Bool { flags.contains(.done) }
    /// No certificates were exchanged: an earlier session goes on.
    var isResumed: Bool { agreement.isResumed }
    var version: TLSVersion { agreement.version }
    /// OpenSSL's name of the suite, which lives as long as the process.
    var cipherName: ByteSlice { agreement.cipherName }
    /// What ALPN came to, good as long as the stream; absent where the client offered nothing.
    var applicationProtocol: ByteSlice { agreement.applicationProtocol }
    /// The host name that the client asked for, good as long as the stream; absent where it named none, and toward backends.
    var requestedName: ByteSlice { agreement.requestedName }
    /// The client has shown a certificate, now or when its session was made.
    var hasClientCertificate: Bool { agreement.hasClientCertificate }

    /// The texts that the context asks for, for the caller to keep and to free; nil without a certificate or memory, and once
    /// OpenSSL has been left.
    func clientCertificate() -> ClientCertificate? {
        guard hasClientCertificate, let ssl, let certificate = SSL_get0_peer_certificate(ssl) else { return nil }
        return ClientCertificate(certificate, texts: chosen.pointee.texts, extensions: chosen.pointee.extensions)
    }

    /// The newest session that can be resumed, for the caller to keep and to free; nil where there is none.
    ///
    /// With TLS 1.3 it comes some time after the handshake: ask when an answer is there.
    func session() -> TLSSession? {
        guard let ssl, let session = SSL_get1_session(ssl) else { return nil }
        if SSL_SESSION_is_resumable(session) == 1 { return TLSSession(pointer: session) }
        SSL_SESSION_free(session)
        return nil
    }
}

// Going on without OpenSSL.
extension TLSStream {
    /// Goes on with our own record layer where it knows the suite, and gives back all that OpenSSL holds; else nothing changes
    /// but the cost.
    ///
    /// Once, when a client's handshake is done and `clientCertificate` has been asked, if it will be.
    @inline(never)
    mutating func leaveOpenSSL() {
        guard flags.contains([.isServer, .done]), failure == .none, let ssl else { return }
        guard records.takeOver(from: ssl) else {
            // Now it may read head and body of a record at once.
            SSL_set_read_ahead(ssl, 1)
            return
        }
        freeSSL()
    }

    var hasLeftOpenSSL: Bool { flags.contains(.done) && ssl == nil }
}
