import Glibc

/// The body of a request that may be sent on: kept while it passes, within a bound, so that it can be sent again.
extension Worker where Ring: ~Copyable {
    /// Keeps bytes that have just gone to a backend, free of any framing.
    @inline(__always)
    mutating func keepBody(_ exchange: UnsafeMutablePointer<Exchange>, _ bytes: UnsafeRawPointer, _ length: Int) {
        guard let policy = exchange.pointee.rule.pointee.delegation else { return }
        keepBody(exchange, bytes, length, bytesMax: policy.pointee.bodyBytesMax)
    }

    private mutating func keepBody(
        _ exchange: UnsafeMutablePointer<Exchange>, _ bytes: UnsafeRawPointer, _ length: Int, bytesMax: Int
    ) {
        guard !exchange.pointee.flags.contains(.bodyNotKept) else { return }
        let announced = UInt64(exchange.pointee.keptBody.count &+ length) &+ exchange.pointee.requestRemaining
        guard announced <= UInt64(bytesMax), exchange.pointee.keptBody.append(bytes, length, from: &blocks) else {
            exchange.pointee.flags.insert(.bodyNotKept)
            exchange.pointee.keptBody.clear(into: &blocks)
            return
        }
    }

    /// Whether the body must pass through our hands, because it may be needed again.
    @inline(__always)
    func keepsBody(_ exchange: UnsafeMutablePointer<Exchange>) -> Bool {
        exchange.pointee.rule.pointee.delegation != nil && !exchange.pointee.flags.contains(.bodyNotKept)
    }

    /// Queues what was kept behind the head that has just been queued, framed as the head says; false when memory is short.
    mutating func sendKeptBody(
        _ exchange: UnsafeMutablePointer<Exchange>, _ connection: UnsafeMutablePointer<BackendConnection>
    ) -> Bool {
        let isChunked = exchange.pointee.head.framing == .chunked
        var block = exchange.pointee.keptBody.head
        while let piece = block {
            let isQueued =
                isChunked
                ? appendChunk(&connection.pointee.output, piece.begin, piece.count)
                : connection.pointee.output.append(piece.begin, piece.count, from: &blocks)
            guard isQueued else { return false }
            count(.copiedBytes, piece.count)
            block = piece.pointee.next
        }
        // Trailer fields are gone with the first backend.
        return !isChunked || !exchange.pointee.flags.contains(.requestWhole) || appendText("0\r\n\r\n", to: &connection.pointee.output)
    }
}
