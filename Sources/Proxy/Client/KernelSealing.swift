import CUring
import Glibc

/// Keys for the kernel, and what is said beside data, on one connection.
enum KernelSealing {
    /// Puts a connection under the kernel's TLS; until it has a key, nothing changes. 0 or a negative errno.
    static func attach(_ socket: Int32) -> Int32 { clinux_tls_attach(socket) }

    /// Lets the kernel seal what is sent from now on: plain bytes that are sent or spliced become records. All that was sealed
    /// before must be in the socket. 0 or a negative errno.
    static func install(_ socket: Int32, _ key: TrafficKey) -> Int32 {
        var given = clinux_tls_key()
        given.version = key.version == .tls13 ? 0x0304 : 0x0303
        given.suite = UInt16(key.suite.rawValue)
        given.sequence = key.sequence
        withUnsafeMutableBytes(of: &given.iv) { target in withUnsafeBytes(of: key.iv) { target.copyMemory(from: $0) } }
        withUnsafeMutableBytes(of: &given.key) { target in withUnsafeBytes(of: key.key) { target.copyMemory(from: $0) } }
        let result = clinux_tls_set_sending_key(socket, &given)
        withUnsafeMutableBytes(of: &given) { explicit_bzero($0.baseAddress!, $0.count) }
        return result
    }

    /// Says something beside data, without waiting: the number of bytes, or a negative errno.
    static func say(_ socket: Int32, _ message: TLSControlMessage) -> Int {
        message.withBytes {
            clinux_tls_send_record(socket, message.contentType, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL) | Int32(MSG_DONTWAIT))
        }
    }

    /// The number of the next record; nil when the kernel does not say.
    static func nextRecord(_ socket: Int32, _ suite: RecordSuite) -> UInt64? {
        var sequence: UInt64 = 0
        return clinux_tls_next_record(socket, UInt16(suite.rawValue), &sequence) == 0 ? sequence : nil
    }

    /// How much a connection has been given for its peer, sealed.
    static func written(_ socket: Int32) -> KernelWritten {
        var bytes: UInt64 = 0
        let result = clinux_tcp_written(socket, &bytes)
        if result == 0 { return .bytes(bytes) }
        return result == -EAGAIN ? .moving : .gone
    }

    /// The room that a socket has; nil when it does not say.
    @inline(__always)
    static func room(_ socket: Int32, unsentLowBytes: Int, bytesPerByte: Int) -> KernelSendRoom? {
        var told = clinux_send_room()
        guard clinux_send_room(socket, &told) == 0 else { return nil }
        return KernelSendRoom(
            (told.buffer_bytes, told.queued_bytes, told.unsent_bytes), unsentLowBytes: unsentLowBytes, bytesPerByte: bytesPerByte)
    }

    /// What a connection knows of its peer; nil for one that is no TCP connection.
    static func peer(_ socket: Int32) -> KernelPeer? {
        var told = clinux_tcp_peer()
        guard clinux_tcp_peer(socket, &told) == 0 else { return nil }
        return KernelPeer(
            windowBytes: Int(told.window_bytes), segmentBytes: Int(told.segment_bytes), unsentLowBytes: Int(told.unsent_low_bytes))
    }

    /// Asks for the least send buffer that will do. From then on its size stands: the kernel neither lets it grow with the speed of the
    /// connection nor takes from it when memory runs short. `net.core.wmem_max` bounds it.
    static func enlargeBuffer(_ socket: Int32) {
        var wanted = Int32(KernelFit.bufferBytesAsked)
        setsockopt(socket, SOL_SOCKET, SO_SNDBUF, &wanted, socklen_t(MemoryLayout<Int32>.size))
    }
}

/// What `KernelSealing.written` says.
enum KernelWritten: BitwiseCopyable {
    /// So many bytes, but for a constant.
    case bytes(UInt64)
    /// Too fast to be read just now.
    case moving
    /// The peer has reset the connection, or the kernel has given it up: nothing reaches it any more.
    case gone
}

/// What a TCP connection knows of its peer.
struct KernelPeer: BitwiseCopyable {
    /// How much it takes just now.
    var windowBytes: Int
    /// Most bytes in a packet on the wire.
    var segmentBytes: Int
    /// From how many unsent bytes on it takes no more; 0 = as the system says.
    var unsentLowBytes: Int
}
