import Glibc

/// The record layer of a client's connection once its handshake is through (RFC 8446 5, RFC 5246 6.2), and what may still be said
/// beside application data: alerts and key updates.
///
/// Trivial. Of a record that has not come to its end the bytes that did come are kept, in blocks that are given back with it;
/// nothing else waits inside between two calls.
struct TLSRecords: BitwiseCopyable {
    private(set) var version = TLSVersion.tls13
    private(set) var suite = RecordSuite.aes128GCM
    var receiving = RecordCipher()
    var sending = RecordCipher()
    /// The beginning of a record.
    private var partial = ByteQueue()
    /// Most bytes of content in a record of either side: less where a small client has asked for it (RFC 6066 4).
    private(set) var contentMax = TLSStream.recordBytesMax
    /// Bytes that the peer has made us send beside application data.
    var answeredBytes: UInt32 = 0
    /// Records in a row that brought nothing.
    private var idleRecords: UInt8 = 0
    var flags: Flags = []
    /// The kernel seals: the alert that is still to be said.
    var owedAlert: UInt8 = 0
    /// Why the connection has failed.
    private(set) var failure = TLSFailure.none

    struct Flags: OptionSet {
        let rawValue: UInt8
        /// The peer sends no more.
        static let sawEnd = Flags(rawValue: 1)
        /// We have said that we send no more.
        static let saidEnd = Flags(rawValue: 2)
        /// What is sent is sealed by the kernel.
        static let kernelSeals = Flags(rawValue: 4)
        /// The kernel seals: a key update is still to be said.
        static let owesKeyUpdate = Flags(rawValue: 8)
        static let owesAlert = Flags(rawValue: 16)
        static let owedAlertIsFatal = Flags(rawValue: 32)
    }

    /// Kind, version, length.
    static let headBytes = 5
    /// Records in a row that may bring nothing, empty ones and warnings: OpenSSL's measure.
    private static let idleRecordsMax: UInt8 = 32
    /// Answers to key updates and refused renegotiations that a peer may ask for in the life of a connection: some two
    /// thousand, where honest ones ask once for hundreds of gigabytes.
    static let answeredBytesMax: UInt32 = 65_536

    init() {}

    /// Takes keys into use; false when OpenSSL fails, and then `free` gives back what there is.
    mutating func begin(receiving incoming: inout TrafficKey, sending outgoing: inout TrafficKey, contentMax: Int) -> Bool {
        version = outgoing.version
        suite = outgoing.suite
        self.contentMax = contentMax
        return receiving.use(&incoming, isSealing: false) && sending.use(&outgoing, isSealing: true)
    }

    /// Nothing more is opened or sealed.
    mutating func end(_ reason: TLSFailure, _ blocks: inout BlockPool) {
        failure = reason
        partial.clear(into: &blocks)
    }

    mutating func free(_ blocks: inout BlockPool) {
        partial.clear(into: &blocks)
        receiving.free()
        sending.free()
    }

    /// Bytes between head and ciphertext: the nonce of AES-GCM under TLS 1.2 (RFC 5288 3).
    @inline(__always)
    var nonceBytes: Int { version == .tls12 && suite != .chaCha20Poly1305 ? 8 : 0 }
    /// The kind of a record, which TLS 1.3 hides behind its content.
    @inline(__always)
    private var typeBytes: Int { version == .tls13 ? 1 : 0 }
    /// Bytes behind the content: its kind and the tag.
    @inline(__always)
    var endBytes: Int { typeBytes &+ RecordCipher.tagBytes }
    /// What a record has beside its content.
    var overheadBytes: Int { Self.headBytes &+ nonceBytes &+ endBytes }
}

/// Kinds of content (RFC 8446 5.1).
enum RecordType {
    static let changeCipherSpec: UInt8 = 20
    static let alert: UInt8 = 21
    static let handshake: UInt8 = 22
    static let applicationData: UInt8 = 23
}

// Opening.
extension TLSRecords {
    /// Decrypts the next record that brings something; `plain` has room for `TLSStream.openRoomBytes`.
    mutating func open(
        _ input: inout TLSInput, into plain: UnsafeMutableRawPointer, to output: inout ByteQueue, _ blocks: inout BlockPool
    ) -> TLSOpened {
        while true {
            if failure != .none { return .failed }
            if flags.contains(.sawEnd) {
                input.take(input.count)
                return .ended
            }
            guard partial.count &+ input.count >= Self.headBytes else { return keep(&input, &blocks) }
            let head = head(input)
            guard isPlausible(head, &output, &blocks) else { return .failed }
            guard partial.count &+ input.count >= Self.headBytes &+ head.length else { return keep(&input, &blocks) }
            guard receiving.sequence < .max, decrypt(head, input, into: plain) else {
                return fail(.decryptionFailed, .badRecordMAC, &output, &blocks)
            }
            input.take(Self.headBytes &+ head.length &- partial.count)
            partial.clear(into: &blocks)
            var type = head.type
            var count = head.length &- nonceBytes &- RecordCipher.tagBytes
            if version == .tls13 {
                // Zeros may stand behind the kind (RFC 8446 5.4).
                while count > 0, plain.load(fromByteOffset: count &- 1, as: UInt8.self) == 0 { count &-= 1 }
                guard count > 0 else { return fail(.unexpectedMessage, .unexpectedMessage, &output, &blocks) }
                count &-= 1
                type = plain.load(fromByteOffset: count, as: UInt8.self)
            }
            guard count <= contentMax else { return fail(.badRecord, .recordOverflow, &output, &blocks) }
            if type == RecordType.applicationData, count > 0 {
                idleRecords = 0
                return .bytes(count)
            }
            idleRecords &+= 1
            guard idleRecords <= Self.idleRecordsMax else { return fail(.tooManyAnswers, .unexpectedMessage, &output, &blocks) }
            let message = UnsafeRawBufferPointer(start: plain, count: count)
            switch type {
            case RecordType.applicationData: break
            case RecordType.alert: onAlert(message, &output, &blocks)
            case RecordType.handshake: onHandshake(message, &output, &blocks)
            default: _ = fail(.unexpectedMessage, .unexpectedMessage, &output, &blocks)
            }
        }
    }

    private struct Head: BitwiseCopyable {
        var bytes = InlineArray<5, UInt8>(repeating: 0)
        var type: UInt8 { bytes[0] }
        var version: Int { Int(bytes[1]) << 8 | Int(bytes[2]) }
        var length: Int { Int(bytes[3]) << 8 | Int(bytes[4]) }
    }

    /// The head of the record that begins in what was kept, or else in the input; all of it is there.
    private func head(_ input: TLSInput) -> Head {
        var head = Head()
        let kept = min(partial.count, Self.headBytes)
        withUnsafeMutableBytes(of: &head.bytes) {
            // The smallest block holds more than a head.
            if kept > 0, let block = partial.head { memcpy($0.baseAddress!, block.begin, kept) }
            if kept < Self.headBytes { memcpy($0.baseAddress! + kept, input.start, Self.headBytes &- kept) }
        }
        return head
    }

    /// Whether a record may look so; otherwise the connection has failed.
    private mutating func isPlausible(_ head: Head, _ output: inout ByteQueue, _ blocks: inout BlockPool) -> Bool {
        // With TLS 1.3 all look like application data; a change of cipher is nothing that may come so late (RFC 8446 5).
        let isExpected =
            version == .tls13
            ? head.type == RecordType.applicationData
            : head.type >= RecordType.alert && head.type <= RecordType.applicationData
        guard isExpected else {
            _ = fail(.unexpectedMessage, .unexpectedMessage, &output, &blocks)
            return false
        }
        guard head.version == 0x0303 else {
            _ = fail(.badRecord, .protocolVersion, &output, &blocks)
            return false
        }
        let around = nonceBytes &+ endBytes
        guard head.length <= TLSStream.recordBytesMax &+ around else {
            _ = fail(.badRecord, .recordOverflow, &output, &blocks)
            return false
        }
        // Too short for a proof.
        guard head.length >= nonceBytes &+ RecordCipher.tagBytes else {
            _ = fail(.badRecord, .badRecordMAC, &output, &blocks)
            return false
        }
        return true
    }

    /// Keeps the beginning of a record, less than a whole one.
    private mutating func keep(_ input: inout TLSInput, _ blocks: inout BlockPool) -> TLSOpened {
        guard input.count > 0 else { return .wantsInput }
        guard partial.append(input.start, input.count, from: &blocks) else {
            failure = .outOfMemory
            return .failed
        }
        input.take(input.count)
        return .wantsInput
    }

    private mutating func decrypt(_ head: Head, _ input: TLSInput, into plain: UnsafeMutableRawPointer) -> Bool {
        var bytes = RecordBytes(block: partial.head, input: input.start)
        bytes.skip(Self.headBytes)
        var number = receiving.sequence.bigEndian
        if nonceBytes > 0 { withUnsafeMutableBytes(of: &number) { bytes.copy(8, to: $0.baseAddress!) } }
        let cipherBytes = head.length &- nonceBytes &- RecordCipher.tagBytes
        guard begin(receiving, number: number, head.type, contentBytes: cipherBytes, recordBytes: head.length) else { return false }
        var done = 0
        while done < cipherBytes {
            let piece = bytes.next(cipherBytes &- done)
            guard receiving.update(piece.start, piece.count, to: plain + done) else { return false }
            done &+= piece.count
        }
        var tag = InlineArray<16, UInt8>(repeating: 0)
        return withUnsafeMutableBytes(of: &tag) {
            bytes.copy(RecordCipher.tagBytes, to: $0.baseAddress!)
            return receiving.check($0.baseAddress!)
        }
    }

    /// Begins with a record in either direction; what is proved beside the content differs between the versions.
    @inline(__always)
    private func begin(_ cipher: RecordCipher, number: UInt64, _ type: UInt8, contentBytes: Int, recordBytes: Int) -> Bool {
        var associated = InlineArray<13, UInt8>(repeating: 0)
        return withUnsafeMutableBytes(of: &associated) {
            var at = 0
            if version == .tls12 {
                // RFC 5246 6.2.3.3: sequence number, then the head that the record would have in the plain.
                $0.storeBytes(of: cipher.sequence.bigEndian, as: UInt64.self)
                at = 8
            }
            let length = version == .tls12 ? contentBytes : recordBytes
            $0.storeBytes(of: type, toByteOffset: at, as: UInt8.self)
            $0.storeBytes(of: 0x0303, toByteOffset: at &+ 1, as: UInt16.self)
            $0.storeBytes(of: UInt16(truncatingIfNeeded: length).bigEndian, toByteOffset: at &+ 3, as: UInt16.self)
            return cipher.begin(number: number, $0.baseAddress!.assumingMemoryBound(to: UInt8.self), at &+ 5)
        }
    }
}

// Sealing.
extension TLSRecords {
    enum Sealed {
        case done
        /// No block was to be had; nothing has changed.
        case noRoom
        case failed
    }

    /// Encrypts bytes as records of at most `recordBytes`; how many were taken, only whole records count.
    mutating func seal(
        _ plain: UnsafeRawPointer, _ count: Int, recordBytes: Int, to output: inout ByteQueue, _ blocks: inout BlockPool
    ) -> Int {
        if !flags.isDisjoint(with: [.saidEnd, .kernelSeals]) { failure = .internalError }
        let recordBytes = max(1, min(recordBytes, contentMax))
        var taken = 0
        while taken < count {
            guard failure == .none else { return taken }
            // TLS 1.2 has no other key to go on with.
            if sending.sequence >= suite.recordsMax &- 1, version == .tls13, !renewSendingKey(&output, &blocks) { return taken }
            let length = min(recordBytes, count &- taken)
            guard put(RecordType.applicationData, plain + taken, length, to: &output, &blocks) == .done else { return taken }
            taken &+= length
        }
        return taken
    }

    /// Appends one record. Its content is encrypted from where it stands to where it is sent from: into the last block's rest,
    /// and where that is too short into a new block.
    mutating func put(
        _ type: UInt8, _ content: UnsafeRawPointer, _ length: Int, to output: inout ByteQueue, _ blocks: inout BlockPool
    ) -> Sealed {
        let start = Self.headBytes &+ nonceBytes
        let total = start &+ length &+ endBytes
        let room = output.room
        // How much of the content stands in the last block, -1 = not even the head does. The cut, if any, is never within head
        // or tag.
        let before = room >= total ? length : room > start &+ Self.worthwhileBytes ? min(length, room &- start) : -1
        var block: UnsafeMutablePointer<Block>?
        if room < total {
            guard let size = BlockSize.holding(before < 0 ? total : length &- before &+ endBytes), let taken = blocks.take(size) else {
                return .noRoom
            }
            block = taken
        }
        guard let first = before < 0 ? block?.bytes : output.tail?.end else { return .noRoom }
        let inFirst = before < 0 ? length : before
        let rest = before >= 0 ? block?.bytes ?? first + (start &+ inFirst) : first + (start &+ inFirst)
        guard encrypt(type, content, length, first, inFirst, rest) else {
            if let block { blocks.giveBack(block) }
            failure = .internalError
            return .failed
        }
        if before >= 0 { output.commit(block == nil ? total : start &+ before) }
        if let block {
            block.pointee.end = Int32(truncatingIfNeeded: before < 0 ? total : length &- before &+ endBytes)
            output.append(block)
        }
        return .done
    }

    /// Less than this at the end of a block is not worth a cut.
    private static var worthwhileBytes: Int { 128 }

    /// - Parameters:
    ///   - first: where the head goes, and behind it `inFirst` bytes of the content.
    ///   - rest: where the others go, and the end.
    private mutating func encrypt(
        _ type: UInt8, _ content: UnsafeRawPointer, _ length: Int, _ first: UnsafeMutableRawPointer, _ inFirst: Int,
        _ rest: UnsafeMutableRawPointer
    ) -> Bool {
        let recordBytes = nonceBytes &+ length &+ endBytes
        let outerType = version == .tls13 ? RecordType.applicationData : type
        let number = sending.sequence.bigEndian
        first.storeBytes(of: outerType, as: UInt8.self)
        first.storeBytes(of: 0x0303, toByteOffset: 1, as: UInt16.self)
        first.storeBytes(of: UInt16(truncatingIfNeeded: recordBytes).bigEndian, toByteOffset: 3, as: UInt16.self)
        var start = Self.headBytes
        if nonceBytes > 0 {
            first.storeBytes(of: number, toByteOffset: start, as: UInt64.self)
            start &+= 8
        }
        guard sending.sequence < .max, begin(sending, number: number, outerType, contentBytes: length, recordBytes: recordBytes),
            sending.update(content, inFirst, to: first + start),
            inFirst == length || sending.update(content + inFirst, length &- inFirst, to: rest)
        else { return false }
        var end = rest + (length &- inFirst)
        if version == .tls13 {
            var type = type
            guard sending.update(&type, 1, to: end) else { return false }
            end += 1
        }
        return sending.finish(end)
    }
}

/// The bytes of one record in order: those that were kept, then those lent.
private struct RecordBytes: BitwiseCopyable {
    private var block: UnsafeMutablePointer<Block>?
    /// How many bytes of the block are behind us.
    private var passed = 0
    private var input: UnsafeRawPointer

    init(block: UnsafeMutablePointer<Block>?, input: UnsafeRawPointer) {
        self.block = block
        self.input = input
    }

    /// The next bytes that stand in one piece, at most `most`; the caller knows that so many are there.
    mutating func next(_ most: Int) -> (start: UnsafeRawPointer, count: Int) {
        while let current = block {
            let count = min(most, current.count &- passed)
            if count > 0 {
                let start = UnsafeRawPointer(current.begin + passed)
                passed &+= count
                return (start, count)
            }
            block = current.pointee.next
            passed = 0
        }
        let start = input
        input += most
        return (start, most)
    }

    mutating func skip(_ count: Int) {
        var left = count
        while left > 0 { left &-= next(left).count }
    }

    mutating func copy(_ count: Int, to place: UnsafeMutableRawPointer) {
        var done = 0
        while done < count {
            let piece = next(count &- done)
            memcpy(place + done, piece.start, piece.count)
            done &+= piece.count
        }
    }
}

extension TLSInput {
    /// So many bytes have been taken.
    @inline(__always)
    mutating func take(_ bytes: Int) {
        start += bytes
        count &-= bytes
    }
}
