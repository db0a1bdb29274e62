import Glibc

@testable import Proxy

/// A backend that answers each request as its plan says, and checks that it got that request's own body.
final class SimulatedBackend: ScriptedDoor {
    private unowned let simulation: ScriptedRun
    private var random: ScriptedRandom
    private var connections: [SimulatedBackendConnection] = []
    let port: UInt16
    /// In a thousand attempts to connect.
    let refusals: Int
    let silences: Int

    init(_ simulation: ScriptedRun, seed: UInt64, port: UInt16, refusals: Int, silences: Int) {
        self.simulation = simulation
        self.port = port
        self.refusals = refusals
        self.silences = silences
        random = ScriptedRandom(seed: seed)
    }

    func onConnect(_ socket: ScriptedSocket) -> ScriptedWelcome {
        if random.strikes(refusals) { return .refused }
        if random.strikes(silences) { return .silence }
        connections.append(SimulatedBackendConnection(simulation, seed: random.next(), socket: socket))
        return .accepted
    }
}

/// One connection of a scripted backend.
final class SimulatedBackendConnection: ScriptedPeer {
    private unowned let simulation: ScriptedRun
    private var kernel: ScriptedKernel { simulation.kernel }
    private var number: Int32 = -1
    private var random: ScriptedRandom
    private let socket: ScriptedSocket
    private var isOver = false

    private var reader = MessageReader()
    private var current: Int?
    private var tunnel = false

    /// Answers that are due, in order, and when.
    private var due: [(id: Int, at: UInt64)] = []
    private var output: [UInt8] = []
    private var outputAt = 0
    private enum Ending { case none, closes, resets, stays }
    private var ending = Ending.none
    private let sendMax: Int
    private let readMax: Int
    private let pauseMax: Int

    init(_ simulation: ScriptedRun, seed: UInt64, socket: ScriptedSocket) {
        self.simulation = simulation
        self.socket = socket
        random = ScriptedRandom(seed: seed)
        sendMax = random.below(3) == 0 ? 1 + random.below(4_000) : 1 << 20
        readMax = random.below(4) == 0 ? 200 + random.below(8_000) : 1 << 20
        pauseMax = random.below(3) == 0 ? 2_000_000 : 50_000
        number = simulation.kernel.register(self)
        socket.peer = number
    }

    func wake() {
        guard !isOver else { return }
        receive()
        if !isOver { answer() }
        if !isOver { send() }
    }

    private func receive() {
        let wanted = min(readMax == 1 << 20 ? readMax : 1 + random.below(readMax), 65_536)
        let got = withUnsafeTemporaryAllocation(byteCount: wanted, alignment: 16) { place in
            let got = socket.receive(into: place.baseAddress!, wanted)
            if tunnel {
                output.append(contentsOf: UnsafeRawBufferPointer(rebasing: place[..<got]))
            } else if ending == .none {
                reader.append(UnsafeRawBufferPointer(rebasing: place[..<got]))
            }
            return got
        }
        if got > 0 {
            if !tunnel && ending == .none { readRequests() }
            kernel.wake(number, after: readMax == 1 << 20 ? 0 : UInt64(random.below(pauseMax)))
            return
        }
        if socket.isBroken {
            isOver = true
            socket.close()
        } else if socket.isAtEnd {
            if tunnel {
                if outputAt == output.count { finish(.closes) }
            } else if due.isEmpty && outputAt == output.count {
                finish(.closes)
            }
        }
    }

    private func readRequests() {
        while true {
            switch reader.next() {
            case .needMore: return
            case .wrong(let text):
                simulation.complain("backend: \(text)")
                finish(.resets)
                return
            case .head(let head):
                guard let id = field("X-Id", of: head).flatMap({ Int($0) }), id < simulation.plans.count else {
                    simulation.complain("backend: a request without its number: \(head.prefix(80))")
                    finish(.resets)
                    return
                }
                onHead(id, head)
            case .bodyEnd:
                guard let id = current else { return }
                current = nil
                let plan = simulation.plans[id]
                if plan.bodyCount != reader.bodyCount {
                    simulation.complain("backend: \(reader.bodyCount) bytes of body instead of \(plan.bodyCount) for \(id)")
                }
                if plan.fate != .early && plan.fate != .earlyAndCloses { plan.delay == 0 ? due.append((id, 0)) : later(id) }
                if plan.wantsUpgrade && plan.fate == .switches { return }
            }
        }
    }

    private func onHead(_ id: Int, _ head: String) {
        simulation.plans[id].seenCount += 1
        let plan = simulation.plans[id]
        if !plan.isIdempotent && plan.seenCount > plan.sentCount {
            simulation.complain("backend: \(plan.method) \(id) came \(plan.seenCount) times and was sent \(plan.sentCount) times")
        }
        if !head.hasPrefix("\(plan.method) /r/\(id) HTTP/1.1\r\n") { simulation.complain("backend: request line \(head.prefix(40))") }
        current = id
        if let count = field("Content-Length", of: head).flatMap({ Int($0) }) {
            reader.beginBody(.length(count), expecting: (id, false))
        } else if field("Transfer-Encoding", of: head) != nil {
            reader.beginBody(.chunked, expecting: (id, false))
        } else {
            reader.beginBody(.none, expecting: nil)
        }
        if plan.fate == .early || plan.fate == .earlyAndCloses {
            later(id)
        } else if plan.expects && plan.bodyCount > 0 && due.isEmpty && outputAt == output.count {
            output.append("HTTP/1.1 100 Continue\r\n\r\n")
        }
    }

    private func later(_ id: Int) {
        let delay = simulation.plans[id].delay
        due.append((id, kernel.clock.now + delay))
        kernel.wake(number, after: delay)
    }

    // MARK: - Answering

    private func answer() {
        while ending == .none, !tunnel, let first = due.first, first.at <= kernel.clock.now, outputAt == output.count || random.below(2) == 0 {
            due.removeFirst()
            write(simulation.plans[first.id])
        }
    }

    private func write(_ plan: RequestPlan) {
        if plan.fate == .silent {
            ending = .stays
            return
        }
        if plan.fate == .garbage {
            output.append("SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n\r\n")
            ending = .closes
            return
        }
        for _ in 0..<plan.interims { output.append("HTTP/1.1 103 Early Hints\r\nLink: </style.css>\r\n\r\n") }
        let start = output.count
        if plan.fate == .switches && plan.wantsUpgrade {
            output.append("HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: echo\r\nX-Id: \(plan.id)\r\n\r\n")
            tunnel = true
            return
        }
        let closes = plan.fate == .closes || plan.fate == .earlyAndCloses
        output.append("HTTP/1.1 \(plan.status) Fine\r\nX-Id: \(plan.id)\r\n")
        if closes || plan.framing == .untilClose { output.append("Connection: close\r\n") }
        let isHead = plan.method == "HEAD"
        switch plan.framing {
        case .length:
            output.append("Content-Length: \(plan.length)\r\n\r\n")
            if !isHead { output.appendPattern(plan.id, answer: true, 0..<plan.length) }
        case .chunked:
            output.append("Transfer-Encoding: chunked\r\n\r\n")
            if !isHead { output.appendChunks(plan.id, answer: true, plan.length, &random) }
        case .untilClose:
            output.append("\r\n")
            if !isHead { output.appendPattern(plan.id, answer: true, 0..<plan.length) }
        case .nothing: output.append("\r\n")
        }
        switch plan.fate {
        case .truncated(let count):
            output.removeLast(max(0, output.count - start - count))
            ending = .closes
        case .resets(let count):
            output.removeLast(max(0, output.count - start - count))
            ending = .resets
        case .junk:
            output.append("\u{1}\u{2}\u{3} nobody asked for this \r\n\r\n")
            ending = .closes
        case .closes, .earlyAndCloses, .closesSilently: ending = .closes
        default: if plan.framing == .untilClose { ending = .closes }
        }
    }

    private func send() {
        let available = output.count - outputAt
        guard available > 0 else {
            if ending == .closes || ending == .resets { finish(ending) }
            return
        }
        let wanted = min(available, sendMax == 1 << 20 ? sendMax : 1 + random.below(sendMax))
        let sent = output.withUnsafeBytes { socket.send($0.baseAddress! + outputAt, wanted) }
        if sent < 0 {
            isOver = true
            socket.close()
            return
        }
        outputAt += sent
        if outputAt == output.count {
            output.removeAll(keepingCapacity: true)
            outputAt = 0
            kernel.wake(number, after: UInt64(random.below(pauseMax)))
        } else if sent == wanted {
            kernel.wake(number, after: UInt64(random.below(pauseMax)))
        }
    }

    private func finish(_ ending: Ending) {
        isOver = true
        if ending == .resets { socket.reset() } else { socket.close() }
    }
}
