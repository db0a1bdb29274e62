/// TLS of one server as its workers use it: a context for the server itself and for each virtual host with a section of its own.
struct ListenerTLS: BitwiseCopyable {
    /// Contexts by worker, then by number; 0 is the server's own.
    let contexts: UnsafeBufferPointer<TLSContext.Reference>
    let contextCount: Int
    /// Virtual host → number of its context.
    let contextOfHost: UnsafeBufferPointer<Int32>
    /// Number of a context → what its clients have been checked for: equal where certificates of clients are asked for in the
    /// same way. The same from plan to plan.
    let marks: UnsafeBufferPointer<UInt64>

    @inline(__always)
    func context(_ number: Int, worker: Int) -> TLSContext.Reference { contexts[worker &* contextCount &+ number] }
}

/// TLS toward one backend as workers use it.
struct BackendTLS: BitwiseCopyable {
    /// By worker.
    let contexts: UnsafeBufferPointer<TLSContext.Reference>
    /// What the backend's certificate must be for, and what is asked for by SNI; empty = neither.
    let name: LastingBytes
    /// The address that is connected to stands for the name.
    let usesAddress: Bool
    let reusesSessions: Bool
    /// Stands for all that its certificate is checked for and with; the same from plan to plan, never 0.
    let mark: UInt64
}

extension BackendLimits {
    /// 0 = plain.
    var tlsMark: UInt64 { tls?.mark ?? 0 }
}
