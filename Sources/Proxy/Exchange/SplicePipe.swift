import Glibc

/// The worker's pipe and one helping through it: `splice(2)` inline, never blocking, and the pipe is empty afterwards.
extension Worker where Ring: ~Copyable {
    private static var pipeRetryNanoseconds: UInt64 { 1_000_000_000 }

    /// The worker's pipe, empty; nil when there is none to be had just now.
    mutating func openPipe() -> Pipe? {
        if let pipe { return pipe }
        guard clock.now >= pipesUnavailableUntil else { return nil }
        pipe = ring.openPipe(capacityBytes: pipeBytes)
        if pipe == nil { pipesUnavailableUntil = clock.now &+ Self.pipeRetryNanoseconds }
        return pipe
    }

    /// Moves up to `goal` bytes through the pipe; what the sink refuses goes into `queue`.
    mutating func move(from source: Int32, to sink: Int32, goal: Int, refused queue: inout ByteQueue) -> SpliceMove {
        guard let pipe = openPipe() else { return .noPipe }
        let got = ring.splice(from: source, to: pipe.writeEnd, count: goal, more: false)
        if got <= 0 {
            switch Int32(got) {
            case 0: return .sourceEnded
            case -EAGAIN, -EINTR: return .sourceEmpty
            default: return .sourceFailed
            }
        }
        var left = got
        while left > 0 {
            let put = ring.splice(from: pipe.readEnd, to: sink, count: left, more: false)
            if put > 0 {
                left &-= put
            } else if put == Int(-EINTR) {
                continue
            } else if put == Int(-EAGAIN) {
                return readBack(pipe, left, into: &queue) ? .sinkFull(got) : .sinkFailed
            } else {
                emptyPipe(pipe, left)
                return .sinkFailed
            }
        }
        count(.splicedBytes, got)
        return .moved(got)
    }

    /// Reads what is left in the pipe into a queue, so that the pipe is empty before anything waits.
    private mutating func readBack(_ pipe: Pipe, _ length: Int, into queue: inout ByteQueue) -> Bool {
        var left = length
        while left > 0 {
            let piece = min(left, BlockSize.medium.payloadBytes)
            guard let place = queue.reserve(piece, from: &blocks) else {
                discardPipe()
                return false
            }
            let got = ring.readNow(pipe.readEnd, into: place, piece)
            guard got > 0 else {
                discardPipe()
                return false
            }
            queue.commit(got)
            left &-= got
        }
        count(.copiedBytes, length)
        return true
    }

    /// Throws away what nobody will take any more, so that the pipe stays for the others: a new one may not be had.
    private mutating func emptyPipe(_ pipe: Pipe, _ length: Int) {
        guard let block = blocks.take(.medium) else {
            discardPipe()
            return
        }
        defer { blocks.giveBack(block) }
        var left = length
        while left > 0 {
            let got = ring.readNow(pipe.readEnd, into: block.bytes, min(left, BlockSize.medium.payloadBytes))
            guard got > 0 else {
                discardPipe()
                return
            }
            left &-= got
        }
    }

    /// A pipe that may hold bytes of somebody is never used again.
    private mutating func discardPipe() {
        guard let pipe else { return }
        ring.startClose(pipe.readEnd)
        ring.startClose(pipe.writeEnd)
        self.pipe = nil
    }
}

/// What one attempt to move bytes came to.
enum SpliceMove {
    /// So many bytes are in the sink.
    case moved(Int)
    case sourceEmpty
    case sourceEnded
    case sourceFailed
    /// So many were moved or queued; the sink takes no more now.
    case sinkFull(Int)
    case sinkFailed
    /// There is no pipe to be had just now.
    case noPipe
}
