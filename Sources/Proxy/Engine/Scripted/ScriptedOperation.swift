import Glibc

/// One operation that a worker has started and whose last completion it has not seen.
struct ScriptedOperation: BitwiseCopyable {
    enum Kind: UInt8 {
        case free, accept, receiveMultishot, receive, send, pollReadable, pollWritable, connect, write, read
    }
    enum Stage: UInt8 {
        /// Waits for the next `enter`.
        case prepared
        case armed
        /// Done; its result is not visible yet.
        case executed
        /// Its last completion stands in the queue.
        case posted
    }
    var kind = Kind.free
    var stage = Stage.prepared
    var generation: UInt32 = 0
    var token = OperationToken(raw: 0)
    var descriptor: Int32 = -1
    var group = BufferGroup.client
    var result: Int32 = 0
    /// What is sent or written, and a copy of it that tells whether it was touched.
    var pieces = SendPieces()
    var byteCount = 0
    var copy: UnsafeMutableRawPointer?
    var copyCapacity = 0
    var address: UnsafePointer<SocketAddress>?
    var target: UnsafeMutableRawPointer?
    var nextFree: Int32 = -1

    /// Copies what is to be sent.
    mutating func keepCopy() {
        if copyCapacity < byteCount {
            free(copy)
            copyCapacity = max(byteCount, 4096)
            copy = malloc(copyCapacity)
        }
        var at = 0
        for piece in 0..<pieces.count {
            memcpy(copy! + at, pieces.starts[piece]!, pieces.lengths[piece])
            at += pieces.lengths[piece]
        }
    }

    /// Whether the memory given to a send still has the bytes that it had.
    var isUntouched: Bool {
        var at = 0
        for piece in 0..<pieces.count {
            if memcmp(copy! + at, pieces.starts[piece]!, pieces.lengths[piece]) != 0 { return false }
            at += pieces.lengths[piece]
        }
        return true
    }
}

/// A descriptor of the proxy on a scripted kernel.
struct ScriptedDescriptor: BitwiseCopyable {
    enum Kind: UInt8 { case free, unconnected, socket, listener, pipeRead, pipeWrite }
    var kind = Kind.free
    /// Its close waits for the next `enter`.
    var isClosing = false
    var isNonBlocking = false
    var resetsOnClose = false
    /// Socket, listener or pipe.
    var index: Int32 = -1
    /// Operations whose last completion the worker has not seen.
    var inFlight: Int32 = 0
    // Operations in flight, one of each sort; -1 = none.
    var receiving: Int32 = -1
    var sending: Int32 = -1
    var pollingReadable: Int32 = -1
    var pollingWritable: Int32 = -1
}
