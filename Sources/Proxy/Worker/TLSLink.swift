/// What a connection under TLS has beside a plain one: trivial, in a slab of its own, so that plain connections do not pay.
///
/// What is to be sent stands in the connection's own queue, in order: first `sealedBytes` bytes that go out as they are
/// (records, and what is said before TLS begins), then bytes that become records when they are sent. So "nothing is queued"
/// means the same with TLS and without.
struct TLSLink: BitwiseCopyable {
    var stream: TLSStream
    let slot: UInt32
    var sealedBytes = 0
    /// The handshake is through.
    var isOpen = false
    /// A handshake that counts among those in flight.
    var isCounted = false
    /// Records were lost on their way out: what would follow could not be read.
    var sendsNoMore = false
    /// We have said that we send no more.
    var endIsSealed = false
    /// The peer has said so; without that its end may be somebody's cut.
    var sawEnd = false
    /// What the client was checked for: the mark of the context that it was served with.
    var contextMark: UInt64 = 0
    /// Toward a backend: a session was looked for.
    var hasKeptSession = false
    /// What backends and logs are told of the client's certificate, once somebody asks.
    var certificate: ClientCertificate?
    var hasReadCertificate = false
    /// Small records are sent until so many bytes have gone, counted anew after a pause.
    var burstBytes = 0
    var sealedAt: UInt64 = 0
    /// The kernel seals what is sent; all that is queued counts as sealed then.
    var kernelSeals = false
    /// It cannot, as this connection is.
    var kernelRefused = false
    /// All that it took is in the socket, with close_notify behind it.
    var kernelEndIsOut = false
    /// Bytes of memory that a byte may cost its socket.
    var kernelBytesPerByte: UInt8 = 0
    /// From how many unsent bytes on its socket takes no more.
    var kernelUnsentLow: UInt32 = 0
    /// What the socket held when it was last looked at, waiting for the end, and since when it has held that.
    var kernelEndQueued: UInt32 = 0
    var kernelEndSince: UInt64 = 0
    /// Bytes written to the connection beside those that were sent and what each record has beside its content; wraps.
    var kernelMark: UInt64 = 0
    /// At which number of sent bytes the kernel is asked how many records its key has sealed.
    var kernelLookAt: UInt64 = 0

    init(stream: TLSStream, slot: UInt32) {
        self.stream = stream
        self.slot = slot
    }
}

extension Worker where Ring: ~Copyable {
    /// Room for the plain bytes of one record.
    static var plainRoomBytes: Int { TLSStream.openRoomBytes }
    /// Bytes of a burst that go out in records of one segment, so that the first of them can be read early.
    private static var burstBytesMax: Int { 16 &* 1024 }
    private static var smallRecordBytes: Int { 1_360 }
    private static var burstPauseNanoseconds: UInt64 { 1_000_000_000 }

    /// A link for a stream; nil when none is to be had, and then the stream has been freed.
    mutating func addLink(_ stream: TLSStream?) -> UnsafeMutablePointer<TLSLink>? {
        guard var stream else { return nil }
        guard let slot = links.take() else {
            stream.free(&blocks)
            return nil
        }
        let link = links[slot]
        link.initialize(to: TLSLink(stream: stream, slot: slot))
        return link
    }

    mutating func free(_ link: UnsafeMutablePointer<TLSLink>) {
        link.pointee.certificate?.free()
        link.pointee.stream.free(&blocks)
        links.giveBack(link.pointee.slot)
    }

    /// What is known of the client's certificate: read when first asked for; nil = it has shown none.
    @inline(never)
    mutating func clientCertificate(_ link: UnsafeMutablePointer<TLSLink>) -> ClientCertificate? {
        guard link.pointee.certificate == nil, !link.pointee.hasReadCertificate else { return link.pointee.certificate }
        link.pointee.hasReadCertificate = true
        link.pointee.certificate = link.pointee.stream.clientCertificate()
        return link.pointee.certificate
    }

    /// Takes what is no record yet off a queue, before OpenSSL may append something to it; nil when no block is to be had for
    /// that. `putBack` ends it.
    mutating func setPlainAside(_ queue: inout ByteQueue, _ link: UnsafeMutablePointer<TLSLink>) -> ByteQueue? {
        guard queue.count > link.pointee.sealedBytes else { return ByteQueue() }
        let plain = queue.split(at: link.pointee.sealedBytes, from: &blocks)
        return plain.isEmpty ? nil : plain
    }

    /// Whatever stands in the queue now goes out as it is, and then what was set aside; whether anything was appended.
    mutating func putBack(_ plain: inout ByteQueue, to queue: inout ByteQueue, _ link: UnsafeMutablePointer<TLSLink>) -> Bool {
        let isMore = queue.count > link.pointee.sealedBytes
        link.pointee.sealedBytes = queue.count
        queue.append(contentsOf: &plain)
        return isMore
    }

    /// What a call of `openRecord` came to.
    typealias OpenedRecord = (opened: TLSOpened, isMoreToSend: Bool)

    /// Decrypts the next record into `plainRoom`. What that makes us say goes out before what is queued in the plain; nil = no block
    /// was to be had for keeping them apart.
    mutating func openRecord(
        _ input: inout TLSInput, _ queue: inout ByteQueue, _ link: UnsafeMutablePointer<TLSLink>
    ) -> OpenedRecord? {
        guard var plain = setPlainAside(&queue, link) else { return nil }
        let opened = link.pointee.stream.open(&input, into: plainRoom, Self.plainRoomBytes, to: &queue, &blocks)
        return (opened, putBack(&plain, to: &queue, link))
    }

    enum SealedAll {
        /// All is records now, or there are some to send.
        case done
        /// No block was to be had, and there is nothing to send that would free one.
        case noRoom
        /// The stream has failed.
        case failed
    }

    /// Makes records of all that is queued, as far as blocks are to be had.
    mutating func sealAll(_ queue: inout ByteQueue, _ link: UnsafeMutablePointer<TLSLink>, recordBytes: Int) -> SealedAll {
        guard link.pointee.isOpen, !link.pointee.sendsNoMore, queue.count > link.pointee.sealedBytes else { return .done }
        if link.pointee.kernelSeals {
            link.pointee.sealedBytes = queue.count
            return .done
        }
        if seal(&queue, link, recordBytes: recordBytes) { return .done }
        if link.pointee.stream.failure != .none { return .failed }
        return link.pointee.sealedBytes > 0 ? .done : .noRoom
    }

    /// Turns everything in a queue that is not a record yet into records; false when no block was to be had for some of it,
    /// or the stream has failed.
    ///
    /// - Parameter recordBytes: 0 = small ones at the beginning of a burst, then full ones.
    mutating func seal(_ queue: inout ByteQueue, _ link: UnsafeMutablePointer<TLSLink>, recordBytes: Int) -> Bool {
        guard queue.count > link.pointee.sealedBytes else { return true }
        var plain = queue.split(at: link.pointee.sealedBytes, from: &blocks)
        guard plain.count > 0 else { return false }
        var isWhole = true
        while let block = plain.head {
            let count = block.count
            let taken = seal(block.begin, count, to: &queue, link, recordBytes: recordBytes)
            plain.consume(taken, into: &blocks)
            if taken < count {
                isWhole = false
                break
            }
        }
        link.pointee.sealedBytes = queue.count
        if !isWhole { queue.append(contentsOf: &plain) }
        return isWhole
    }

    /// Encrypts bytes straight into a queue that holds nothing but records; how many were taken.
    mutating func seal(
        _ bytes: UnsafeRawPointer, _ count: Int, to queue: inout ByteQueue, _ link: UnsafeMutablePointer<TLSLink>, recordBytes: Int
    ) -> Int {
        if recordBytes > 0 { return link.pointee.stream.seal(bytes, count, recordBytes: recordBytes, to: &queue, &blocks) }
        if clock.now &- link.pointee.sealedAt > Self.burstPauseNanoseconds { link.pointee.burstBytes = 0 }
        link.pointee.sealedAt = clock.now
        var taken = 0
        if link.pointee.burstBytes < Self.burstBytesMax {
            let piece = min(count, Self.burstBytesMax &- link.pointee.burstBytes)
            taken = link.pointee.stream.seal(bytes, piece, recordBytes: Self.smallRecordBytes, to: &queue, &blocks)
            link.pointee.burstBytes &+= taken
            if taken < piece { return taken }
        }
        guard taken < count else { return taken }
        return taken &+ link.pointee.stream.seal(bytes + taken, count &- taken, recordBytes: TLSStream.recordBytesMax, to: &queue, &blocks)
    }
}
