import CUring
import Glibc

extension LogBuffer {
    /// Sends up to `linesMax` waiting lines to a datagram socket without waiting; for logs whose framing is datagrams,
    /// where a ring operation per line would cost more than the call.
    /// - Returns: how many lines were sent.
    @discardableResult
    mutating func sendLines(to descriptor: Int32, linesMax: Int = 64) -> Int {
        assert(framing.isDatagram)
        var sent = 0
        while sent < linesMax, let (start, count) = takeForWrite() {
            let result = sendLine(start, count, to: descriptor)
            onWritten(result < 0 ? -errno : Int32(truncatingIfNeeded: result))
            // Whatever failed now fails for the next line too; an interrupted call is repeated at the next tick.
            if result < 0 { break }
            sent += 1
        }
        return sent
    }

    /// Writes what still waits, when the worker ends and its ring is gone.
    ///
    /// May block, but not past the deadline for a reader that stopped reading. What cannot be written is dropped.
    mutating func finish(to descriptor: Int32, timeoutMilliseconds: Int = 1_000) {
        precondition(!isWriting, "the ring still writes from this buffer")
        let deadline = monotonicMilliseconds() + timeoutMilliseconds
        appendDropNotice()
        while let (start, count) = takeForWrite() {
            var ready = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
            let answer = poll(&ready, 1, Int32(clamping: max(0, deadline - monotonicMilliseconds())))
            var result = answer == 0 ? -ETIMEDOUT : -errno
            if answer > 0 {
                let written = framing.isDatagram ? sendLine(start, count, to: descriptor) : write(descriptor, start, count)
                result = written < 0 ? -errno : Int32(truncatingIfNeeded: written)
            }
            let isWorthAnotherTry = result > 0 || result == -EINTR || result == -EAGAIN
            onWritten(result)
            if !isWorthAnotherTry { return giveUpEverything() }
        }
    }

    private func sendLine(_ start: UnsafeRawPointer, _ count: Int, to descriptor: Int32) -> Int {
        send(descriptor, start, count, Int32(MSG_DONTWAIT | MSG_NOSIGNAL))
    }
}
