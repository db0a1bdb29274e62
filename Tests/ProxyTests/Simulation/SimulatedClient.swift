import Glibc

@testable import Proxy

/// A client that works through its requests, over as many connections as that takes, and checks every byte it gets.
final class SimulatedClient: ScriptedPeer {
    private unowned let simulation: ScriptedRun
    private var kernel: ScriptedKernel { simulation.kernel }
    private var number: Int32 = -1
    private var random: ScriptedRandom
    /// Requests that have no outcome yet, in order.
    private var left: ArraySlice<Int>
    private let pipelineDepth: Int
    /// Bytes sent, and read, at a time.
    private let sendMax: Int
    private let readMax: Int
    private let pauseMax: Int

    private var socket: ScriptedSocket?
    private var output: [UInt8] = []
    private var outputAt = 0
    /// Requests of `left` whose bytes are in `output` or gone.
    private var asked = 0
    private var reader = MessageReader()
    /// The answer that is being read, until its body has ended.
    private var answer: (status: Int, isOwn: Bool, closes: Bool)?
    private var answerBytes = 0
    private var sawContinue = false
    private var continueDeadline: UInt64 = 0
    /// The body of the request that was asked last still has to be sent.
    private var heldBody: Int?
    private var tunnel: (id: Int, sent: Int, received: Int)?
    private var hasEnded = false
    private(set) var isDone = false

    init(_ simulation: ScriptedRun, seed: UInt64, requests: [Int]) {
        self.simulation = simulation
        random = ScriptedRandom(seed: seed)
        left = requests[...]
        pipelineDepth = random.below(3) == 0 ? 1 + random.below(6) : 1
        sendMax = random.below(3) == 0 ? 1 + random.below(3_000) : 1 << 20
        readMax = random.below(4) == 0 ? 200 + random.below(8_000) : 1 << 20
        pauseMax = random.below(3) == 0 ? 3_000_000 : 50_000
        number = simulation.kernel.register(self)
    }

    func start(after nanoseconds: UInt64) { kernel.wake(number, after: nanoseconds) }

    var description: String { "client \(number), waiting for \(left.first.map(String.init) ?? "nothing")" }

    func wake() {
        guard !isDone else { return }
        if socket == nil {
            socket = kernel.connect(to: simulation.listener, peer: number)
            output.removeAll(keepingCapacity: true)
            outputAt = 0
            asked = 0
            reader = MessageReader()
            answer = nil
            answerBytes = 0
            heldBody = nil
            tunnel = nil
            hasEnded = false
            sawContinue = false
        }
        receive()
        if socket != nil { ask() }
        if socket != nil { send() }
    }

    // MARK: - Asking

    private func ask() {
        if let held = heldBody, sawContinue || kernel.clock.now >= continueDeadline {
            heldBody = nil
            appendBody(simulation.plans[held])
        }
        while heldBody == nil, tunnel == nil, asked < min(pipelineDepth, left.count), mayAskMore() {
            let id = left[left.startIndex + asked]
            simulation.plans[id].sentCount += 1
            let plan = simulation.plans[id]
            output.append(plan.requestHead)
            asked += 1
            if plan.expects && plan.bodyCount > 0 {
                heldBody = id
                sawContinue = false
                continueDeadline = kernel.clock.now + 50_000_000
                kernel.wake(number, after: 51_000_000)
            } else {
                appendBody(plan)
            }
        }
    }

    /// Nothing may follow a request after which the connection is another's or closed.
    private func mayAskMore() -> Bool {
        guard asked > 0 else { return true }
        let last = simulation.plans[left[left.startIndex + asked - 1]]
        return !last.closes && !last.wantsUpgrade && !last.halfCloses && last.malformed == nil && last.minorVersion == 1
    }

    private func appendBody(_ plan: RequestPlan) {
        switch plan.body {
        case .none: break
        case .counted(let count): output.appendPattern(plan.id, answer: false, 0..<count)
        case .chunked(let count): output.appendChunks(plan.id, answer: false, count, &random)
        }
    }

    private func send() {
        guard let socket, !hasEnded else { return }
        let available = output.count - outputAt
        guard available > 0 else {
            if asked > 0, heldBody == nil, simulation.plans[left[left.startIndex + asked - 1]].halfCloses {
                hasEnded = true
                socket.end()
            }
            return
        }
        let wanted = min(available, sendMax == 1 << 20 ? sendMax : 1 + random.below(sendMax))
        let sent = output.withUnsafeBytes { socket.send($0.baseAddress! + outputAt, wanted) }
        if sent < 0 {
            // Broken: what came before the reset is still read.
            output.removeAll(keepingCapacity: true)
            outputAt = 0
            hasEnded = true
            kernel.wakeSoon(number)
            return
        }
        outputAt += sent
        if outputAt == output.count {
            output.removeAll(keepingCapacity: true)
            outputAt = 0
            kernel.wakeSoon(number)
        } else if sent == wanted {
            kernel.wake(number, after: UInt64(random.below(pauseMax)))
        }
    }

    // MARK: - Reading

    private func receive() {
        guard let socket else { return }
        let wanted = readMax == 1 << 20 ? readMax : 1 + random.below(readMax)
        let piece = min(wanted, 65_536)
        let got = withUnsafeTemporaryAllocation(byteCount: piece, alignment: 16) { place in
            let got = socket.receive(into: place.baseAddress!, piece)
            reader.append(UnsafeRawBufferPointer(rebasing: place[..<got]))
            return got
        }
        if got > 0 {
            answerBytes += got
            if tunnel == nil { readAnswers() } else { readTunnel() }
            guard self.socket != nil else { return }
            if let first = left.first, let limit = simulation.plans[first].abortsAfter, answerBytes > limit {
                leave(first)
                return
            }
            kernel.wake(number, after: readMax == 1 << 20 ? 0 : UInt64(random.below(pauseMax)))
            return
        }
        if socket.isBroken { onEnd(byReset: true) } else if socket.isAtEnd { onEnd(byReset: false) }
    }

    private func readAnswers() {
        while true {
            switch reader.next() {
            case .needMore: return
            case .wrong(let text):
                simulation.complain("client \(number): \(text)")
                finishAll("got wrong bytes")
                return
            case .head(let head):
                guard onHead(head) else { return }
            case .bodyEnd:
                guard onAnswerEnd() else { return }
            }
        }
    }

    /// False when nothing more is to be read as answers.
    private func onHead(_ head: String) -> Bool {
        guard let id = left.first, asked > 0 else {
            simulation.complain("client \(number): an answer that was not asked for: \(head.prefix(60))")
            finishAll("got an answer too many")
            return false
        }
        let plan = simulation.plans[id]
        let parts = head.split(separator: " ", maxSplits: 2)
        guard head.hasPrefix("HTTP/1.1 "), parts.count == 3, let status = Int(parts[1]) else {
            simulation.complain("client \(number): no status line: \(head.prefix(60))")
            finishAll("got no status line")
            return false
        }
        if status == 101 && plan.wantsUpgrade {
            tunnel = (id, 0, 0)
            reader.beginBody(.untilClose, expecting: (id, false))
            output.removeAll(keepingCapacity: true)
            outputAt = 0
            output.appendPattern(id, answer: false, 0..<plan.tunnelBytes)
            readTunnel()
            return false
        }
        if status < 200 {
            if plan.minorVersion == 0 { simulation.complain("a client of HTTP/1.0 got \(status)") }
            if status == 100 { sawContinue = true }
            return true
        }
        let isOwn = field("Server", of: head) == "weir"
        if !isOwn, field("X-Id", of: head) != "\(id)" {
            simulation.complain("client \(number): the answer to \(field("X-Id", of: head) ?? "?") instead of \(id)")
            finishAll("got another's answer")
            return false
        }
        if !isOwn && status != plan.status { simulation.complain("client \(number): status \(status) instead of \(plan.status)") }
        answer = (status, isOwn, head.lowercased().contains("\r\nconnection: close"))
        let expecting = isOwn ? nil : (id, true)
        if plan.method == "HEAD" || status == 204 || status == 304 {
            reader.beginBody(.none, expecting: nil)
        } else if let count = field("Content-Length", of: head).flatMap({ Int($0) }) {
            if !isOwn && count != plan.length { simulation.complain("client \(number): length \(count) instead of \(plan.length)") }
            reader.beginBody(.length(count), expecting: expecting)
        } else if field("Transfer-Encoding", of: head) != nil {
            if plan.minorVersion == 0 { simulation.complain("a client of HTTP/1.0 got chunks") }
            reader.beginBody(.chunked, expecting: expecting)
        } else {
            reader.beginBody(.untilClose, expecting: expecting)
        }
        return true
    }

    /// False when the connection is over.
    private func onAnswerEnd() -> Bool {
        guard let answer, let id = left.first else { return false }
        self.answer = nil
        let plan = simulation.plans[id]
        answerBytes = 0
        if !answer.isOwn, plan.method != "HEAD", plan.status != 204, plan.status != 304, reader.bodyCount != plan.length {
            simulation.complain("client \(number): \(reader.bodyCount) bytes instead of \(plan.length) for \(id)")
        }
        settle(id, answer.isOwn ? .ownAnswer(answer.status) : .complete)
        asked -= 1
        if answer.closes || hasEnded {
            closeConnection()
            return false
        }
        if heldBody == id {
            // The answer came before the body was sent, and the connection stays: the body is still owed.
            heldBody = nil
            appendBody(plan)
        }
        return true
    }

    private func readTunnel() {
        guard var state = tunnel else { return }
        if case .wrong(let text) = reader.next() {
            simulation.complain("client \(number), in a tunnel: \(text)")
            finishAll("got wrong bytes")
            return
        }
        state.received = reader.bodyCount
        tunnel = state
        if state.received == simulation.plans[state.id].tunnelBytes, !hasEnded {
            hasEnded = true
            socket?.end()
        }
    }

    // MARK: - Ends

    private func settle(_ id: Int, _ outcome: RequestPlan.Outcome) {
        simulation.plans[id].outcome = outcome
        left.removeFirst()
    }

    private func onEnd(byReset: Bool) {
        if let tunnel {
            let plan = simulation.plans[tunnel.id]
            if tunnel.received == plan.tunnelBytes && !byReset {
                settle(tunnel.id, .complete)
            } else {
                settle(tunnel.id, .aborted("tunnel ended after \(tunnel.received) of \(plan.tunnelBytes)"))
            }
        } else if asked > 0, let id = left.first {
            let plan = simulation.plans[id]
            if answer != nil, reader.isUntilClose, !byReset {
                if reader.bodyCount != plan.length {
                    simulation.complain("client \(number): took \(reader.bodyCount) bytes for the whole of \(plan.length) of \(id)")
                }
                settle(id, .complete)
            } else {
                settle(id, .aborted(byReset ? "reset" : reader.isInHead && reader.unread == 0 ? "closed without an answer" : "cut off"))
            }
        }
        closeConnection()
    }

    /// Goes away in the middle, as a person does.
    private func leave(_ id: Int) {
        settle(id, .gaveUp)
        if simulation.plans[id].abortsByReset {
            socket?.reset()
            socket = nil
            next()
        } else {
            closeConnection()
        }
    }

    private func finishAll(_ why: String) {
        while let id = left.first { settle(id, .aborted(why)) }
        closeConnection()
    }

    private func closeConnection() {
        socket?.close()
        socket = nil
        next()
    }

    private func next() {
        if left.isEmpty {
            isDone = true
        } else {
            kernel.wake(number, after: UInt64(random.below(100_000)))
        }
    }
}
