import CUring

/// What every worker counts; the raw value is its place in the worker's counter block.
enum WorkerCounter: Int, CaseIterable {
    // Clients.
    case clientsAccepted, clientsOpen, clientsRefused, clientBytesReceived, clientBytesSent
    // Exchanges.
    case requests, responses2xx, responses3xx, responses4xx, responses5xx, ownAnswers, exchangesAborted, exchangesOpen
    case retries, pendingNow, pendingTimeouts, pendingRefused, tunnels, parseFailures, timeouts
    // What was refused or had to wait by access lists, rate limits and the PROXY protocol.
    case accessDenied, requestsLimited, connectionsLimited, bytePauses, proxyHeads, proxyHeadsRefused
    // TLS toward clients.
    case handshakes, handshakesResumed, tlsFailures
    // Those whose records the kernel seals, those it was not let to, and those that it kept something of to the end.
    case kernelTLSClients, kernelTLSRefused, kernelTLSLost
    // Bodies.
    case splicedBytes, copiedBytes
    // Backends.
    case backendConnects, backendConnectFailures, backendReuses, pipelinedRequests, pipelineResends
    // The ring.
    case ticks, enters, submissions, completions, bufferShortages, completionOverflows, acceptBackoffs
    // Logs.
    case logLines, logLinesDropped, logWriteErrors, eventsDropped
    // Memory, in bytes.
    case slabBytes, blockBytes
    // Surprises that harm nobody.
    case oddities

    /// The name that `weir stat` prints.
    var word: String { String(describing: self) }
}

/// What every worker counts for each of its backends (one resolved address of one `downstream`).
enum BackendCounter: Int, CaseIterable {
    case requests, responses, failures, connections, idle, active, connecting, state, roundTripMicroseconds, bytesReceived, bytesSent
    var word: String { String(describing: self) }
}

/// A block of counters that one worker writes and any thread reads. A worker's own lives as long as the process, those
/// of its backends until `BackendRegister` forgets them.
///
/// Stores and loads are relaxed: a reader may see one counter newer than its neighbour, never a torn one.
struct CounterBlock: @unchecked Sendable {
    let base: UnsafeMutablePointer<UInt64>
    let count: Int

    init(count: Int) {
        self.count = count
        base = .allocate(capacity: count)
        base.initialize(repeating: 0, count: count)
    }

    func deallocate() { base.deallocate() }
    func store(_ value: UInt64, at index: Int) { clinux_store_relaxed(base + index, value) }
    func load(_ index: Int) -> UInt64 { clinux_load_relaxed(base + index) }
    subscript(counter: WorkerCounter) -> UInt64 { load(counter.rawValue) }
    subscript(counter: BackendCounter) -> UInt64 { load(counter.rawValue) }
}
