import Glibc

/// Whoever is at the other end of scripted connections: woken when one of them changed, or when it asked to be.
protocol ScriptedPeer: AnyObject {
    func wake()
}

/// A scripted backend's door: decides what becomes of each attempt to connect.
protocol ScriptedDoor: AnyObject {
    func onConnect(_ socket: ScriptedSocket) -> ScriptedWelcome
}

enum ScriptedWelcome { case accepted, refused, silence }

/// A connection between the proxy and a scripted peer: two bounded queues and what TCP knows besides.
final class ScriptedSocket {
    private unowned let kernel: ScriptedKernel
    /// Number of the peer that is woken; -1 = none yet.
    var peer: Int32 = -1
    /// Descriptor of the proxy's end; -1 = not accepted yet, or closed.
    var descriptor: Int32 = -1
    var toProxy: ScriptedBytes
    var toPeer: ScriptedBytes
    /// The peer will send nothing more.
    fileprivate(set) var peerEnded = false
    /// The peer has closed altogether.
    fileprivate(set) var peerClosed = false
    /// A reset is on its way to the proxy, or there.
    var isResetForProxy = false
    var isResetForPeer = false
    var proxyEnded = false
    var proxyStoppedReading = false
    var proxyClosed = false
    /// The peer has been told that something changed, and has not looked yet.
    let port: UInt16

    init(kernel: ScriptedKernel, capacityToProxy: Int, capacityToPeer: Int, port: UInt16) {
        self.kernel = kernel
        toProxy = ScriptedBytes(capacity: capacityToProxy)
        toPeer = ScriptedBytes(capacity: capacityToPeer)
        self.port = port
    }

    // MARK: - The peer's calls

    /// Sends what there is room for; -1 when the connection is broken.
    func send(_ bytes: UnsafeRawPointer, _ length: Int) -> Int {
        if isResetForPeer { return -1 }
        precondition(!peerEnded, "a scripted peer sends after its end")
        if proxyClosed {
            isResetForPeer = true
            toPeer.clear()
            return -1
        }
        let sent = toProxy.write(bytes, length)
        if sent > 0 { kernel.kickReaders(self) }
        return sent
    }

    /// Takes bytes that have come; 0 when there are none.
    func receive(into bytes: UnsafeMutableRawPointer, _ length: Int) -> Int {
        let got = toPeer.read(into: bytes, length)
        if got > 0 { kernel.kickWriters(self) }
        return got
    }

    /// All that the proxy sent has been taken, and no more will come.
    var isAtEnd: Bool { toPeer.count == 0 && (proxyEnded || proxyClosed) && !isResetForPeer }
    var isBroken: Bool { toPeer.count == 0 && isResetForPeer }

    /// Half-closes the peer's sending side.
    func end() {
        guard !peerEnded else { return }
        peerEnded = true
        kernel.kickReaders(self)
    }

    /// Closes; what the proxy sends from now on is answered by a reset.
    func close() {
        guard !peerClosed else { return }
        peerEnded = true
        peerClosed = true
        if toPeer.count > 0 { isResetForProxy = true }
        toPeer.clear()
        kernel.kickReaders(self)
        kernel.kickWriters(self)
    }

    /// Closes with a reset.
    func reset() {
        peerEnded = true
        peerClosed = true
        isResetForProxy = true
        toPeer.clear()
        kernel.kickReaders(self)
        kernel.kickWriters(self)
    }
}
