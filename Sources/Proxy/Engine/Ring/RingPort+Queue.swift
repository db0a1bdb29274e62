extension RingPort where Self: ~Copyable {
    /// Starts sending what a queue holds, as much as fits one call; how many bytes that is.
    ///
    /// The queue isn't empty, and keeps these bytes until the completion. One block goes by a plain send, which is
    /// cheaper than a vector of one.
    ///
    /// - Parameter most: how many of its bytes may go at the most, at least one.
    @inline(__always)
    mutating func startSend(_ socket: Int32, of queue: ByteQueue, most: Int = .max, more: Bool, token: OperationToken) -> Int {
        if let first = queue.head, first.count == queue.count || first.count >= most {
            let count = min(first.count, most)
            startSend(socket, first.begin, count, more: more, token: token)
            return count
        }
        var byteCount = 0
        let pieces = queue.pieces(byteCount: &byteCount, most: most)
        startSend(socket, pieces: pieces, more: more, token: token)
        return byteCount
    }
}
