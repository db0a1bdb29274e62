import CUring
import Glibc

/// The system calls that a worker makes on the spot, beside the ring.
extension KernelRing {
    mutating func readClock() -> RingClock {
        var monotonic = timespec()
        var wall = timespec()
        clock_gettime(CLOCK_MONOTONIC, &monotonic)
        clock_gettime(CLOCK_REALTIME, &wall)
        return RingClock(
            now: UInt64(monotonic.tv_sec) &* 1_000_000_000 &+ UInt64(monotonic.tv_nsec),
            wall: UInt64(wall.tv_sec) &* 1_000_000_000 &+ UInt64(wall.tv_nsec))
    }

    mutating func openSocket(family: Int32) -> Int32 {
        let made = socket(family, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        return made < 0 ? -errno : made
    }

    mutating func acceptNow(_ listener: Int32) -> Int32 { clinux_accept(listener) }

    mutating func setOptions(_ socket: Int32, _ options: SocketOptions) {
        if options.noDelay { set(socket, Int32(IPPROTO_TCP), TCP_NODELAY, 1) }
        if options.keepAlive { set(socket, SOL_SOCKET, SO_KEEPALIVE, 1) }
        if options.userTimeoutMilliseconds > 0 {
            set(socket, Int32(IPPROTO_TCP), TCP_USER_TIMEOUT, options.userTimeoutMilliseconds)
        }
        if let name = options.congestionControl.start {
            setsockopt(socket, Int32(IPPROTO_TCP), TCP_CONGESTION, name, socklen_t(options.congestionControl.count))
        }
        if options.notSentLowBytes > 0 { set(socket, Int32(IPPROTO_TCP), TCP_NOTSENT_LOWAT, options.notSentLowBytes) }
    }

    private func set(_ socket: Int32, _ level: Int32, _ option: Int32, _ value: Int32) {
        var value = value
        setsockopt(socket, level, option, &value, socklen_t(MemoryLayout<Int32>.size))
    }

    mutating func peerAddress(_ socket: Int32) -> SocketAddress { address(of: socket, peer: true) }

    mutating func localPort(_ socket: Int32) -> UInt16 { localAddress(socket).port }

    mutating func localAddress(_ socket: Int32) -> SocketAddress { address(of: socket, peer: false) }

    private func address(of socket: Int32, peer: Bool) -> SocketAddress {
        var storage = sockaddr_storage()
        let length = clinux_socket_address(socket, peer, &storage)
        return length >= 0 ? SocketAddress(copying: &storage, length: Int(length)) : SocketAddress()
    }

    mutating func shutdownSend(_ socket: Int32) { _ = shutdown(socket, Int32(SHUT_WR)) }

    mutating func shutdownBoth(_ socket: Int32) { _ = shutdown(socket, Int32(SHUT_RDWR)) }

    mutating func sendNow(_ socket: Int32, _ bytes: UnsafeRawPointer, _ count: Int) -> Int {
        let sent = send(socket, bytes, count, Int32(MSG_NOSIGNAL) | Int32(MSG_DONTWAIT))
        return sent < 0 ? Int(-errno) : sent
    }

    mutating func openPipe(capacityBytes: Int) -> Pipe? {
        var pipe = Pipe(readEnd: -1, writeEnd: -1, capacityBytes: 0)
        let capacity = clinux_pipe(&pipe.readEnd, &pipe.writeEnd, Int32(capacityBytes))
        guard capacity > 0 else { return nil }
        pipe.capacityBytes = Int(capacity)
        return pipe
    }

    mutating func splice(from: Int32, to: Int32, count: Int, more: Bool) -> Int {
        clinux_splice(from, to, count, more ? 1 : 0)
    }

    mutating func unsentBytes(_ socket: Int32) -> Int { max(0, Int(clinux_unsent_bytes(socket))) }

    mutating func receiveNow(_ socket: Int32, into bytes: UnsafeMutableRawPointer, _ count: Int) -> Int {
        let received = recv(socket, bytes, count, Int32(MSG_DONTWAIT))
        return received < 0 ? Int(-errno) : received
    }

    mutating func readNow(_ descriptor: Int32, into bytes: UnsafeMutableRawPointer, _ count: Int) -> Int {
        let got = read(descriptor, bytes, count)
        return got < 0 ? Int(-errno) : got
    }

    mutating func setNonBlocking(_ socket: Int32) { clinux_set_nonblocking(socket) }

    mutating func resetOnClose(_ socket: Int32) {
        var abort = linger(l_onoff: 1, l_linger: 0)
        setsockopt(socket, SOL_SOCKET, SO_LINGER, &abort, socklen_t(MemoryLayout<linger>.size))
    }
}
