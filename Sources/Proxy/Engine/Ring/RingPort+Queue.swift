extension RingPort where Self: ~Copyable {
    /// Starts sending what a queue holds, as much as fits one call; how many bytes that is.
    ///
    /// The queue isn't empty, and keeps these bytes until the completion. One block goes by a plain send, which is
    /// cheaper than a vector of one.
    @inline(__always)
    mutating func startSend(_ socket: Int32, of queue: ByteQueue, more: Bool, token: OperationToken) -> Int {
        if let first = queue.head, first.count == queue.count {
            startSend(socket, first.begin, first.count, more: more, token: token)
            return first.count
        }
        var byteCount = 0
        let pieces = queue.pieces(byteCount: &byteCount)
        startSend(socket, pieces: pieces, more: more, token: token)
        return byteCount
    }
}
