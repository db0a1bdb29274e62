import CUring
import Glibc

/// The life of a connection: opened when a request needs it or before the start, ended by either side.
extension LoadWorker {
    func token(_ kind: OperationKind, _ connection: UnsafeMutablePointer<LoadConnection>) -> OperationToken {
        OperationToken(kind, slot: connection.pointee.timer.slot)
    }

    func channel(_ connection: UnsafeMutablePointer<LoadConnection>) -> UnsafeMutablePointer<TLSChannel> {
        channels + Int(connection.pointee.timer.slot)
    }

    @inline(__always)
    mutating func setTimer(_ connection: UnsafeMutablePointer<LoadConnection>, _ nanoseconds: UInt64) {
        wheel.set(&connection.pointee.timer, clock.now &+ nanoseconds)
    }

    mutating func startConnect(_ connection: UnsafeMutablePointer<LoadConnection>) {
        connection.pointee.flags = connection.pointee.flags.intersection([.listed, .dirty])
        connection.pointee.part = .head
        connection.pointee.sentOffset = 0
        connection.pointee.preambleLeft = book.preamble.count
        connection.pointee.arrival = HeadArrival()
        connection.pointee.reply = WebSocketReply()
        connection.pointee.sendPace = Pace()
        connection.pointee.readPace = Pace()
        connection.pointee.pausedUntil = 0
        connection.pointee.state = .connecting
        let socket = ring.openSocket(family: address.pointee.family)
        guard socket >= 0 else {
            failToOpen(connection, -socket, .connect)
            return
        }
        connection.pointee.socket = socket
        if plan.readRate > 0 {
            // So that a slow reader is felt: by default megabytes fit in between.
            var bytes = Int32(clamping: max(4_096, min(plan.readRate, 65_536)))
            setsockopt(socket, SOL_SOCKET, SO_RCVBUF, &bytes, socklen_t(MemoryLayout<Int32>.size))
        }
        ring.setOptions(socket, SocketOptions(keepAlive: false))
        connection.pointee.inFlight &+= 1
        ring.startConnect(socket, to: address, token: token(.backendConnect, connection))
        setTimer(connection, plan.timeoutNanoseconds)
    }

    mutating func onConnect(_ completion: Completion) {
        let connection = connections[completion.token.slot]
        connection.pointee.inFlight &-= 1
        guard connection.pointee.state == .connecting else { return }
        guard completion.result >= 0 else {
            failToOpen(connection, -completion.result, .connect)
            return
        }
        tally.connectionsOpened &+= 1
        connection.pointee.state = .opening
        if let tls {
            let name = plan.serverName.isEmpty ? ByteSlice.none : ByteSlice(start: serverName.baseAddress, count: serverName.count)
            guard let stream = TLSStream.connecting(tls.reference, name: name, resuming: plan.resumes ? session : nil) else {
                failToOpen(connection, ENOMEM, .tls)
                return
            }
            channel(connection).initialize(to: TLSChannel(stream, tls.reference))
            connection.pointee.flags.insert(.tls)
            guard channel(connection).pointee.begin(now: Int64(clock.wall / 1_000_000_000), &blocks) else {
                failToOpen(connection, EPROTO, .tls)
                return
            }
        } else if connection.pointee.preambleLeft == 0 {
            becomeOpen(connection)
        }
        push(connection)
        receive(connection)
    }

    /// The connection takes requests from now on.
    mutating func becomeOpen(_ connection: UnsafeMutablePointer<LoadConnection>) {
        connection.pointee.state = .open
        if !schedule.hasBegun {
            settled &+= 1
            opened &+= 1
        }
        if connection.pointee.count == 0 { wheel.disarm(&connection.pointee.timer) } else { setTimer(connection, plan.timeoutNanoseconds) }
        if connection.pointee.unsent > 0 { markDirty(connection) }
        list(connection)
    }

    mutating func failToOpen(_ connection: UnsafeMutablePointer<LoadConnection>, _ number: Int32, _ error: LoadError) {
        tally.connectionsFailed &+= 1
        board.lastFailure.store(number, ordering: .relaxed)
        if !schedule.hasBegun { settled &+= 1 }
        failAll(connection, error, error)
        connection.pointee.flags.insert(.rests)
        close(connection)
    }

    mutating func onTimeout(_ connection: UnsafeMutablePointer<LoadConnection>) {
        switch connection.pointee.state {
        case .resting:
            connection.pointee.state = .closed
            list(connection)
        case .connecting, .opening: failToOpen(connection, ETIMEDOUT, .timeout)
        case .open:
            failAll(connection, .timeout, .timeout)
            close(connection)
        case .draining: close(connection)
        case .closed, .closing: break
        }
    }

    /// Ends a connection; `settle` gives its socket back when the ring has nothing of it in hand.
    mutating func close(_ connection: UnsafeMutablePointer<LoadConnection>) {
        let wasConnecting = connection.pointee.state == .connecting
        guard connection.pointee.state != .closing, connection.pointee.state != .closed, connection.pointee.state != .resting else {
            return
        }
        connection.pointee.state = .closing
        wheel.clear(&connection.pointee.timer)
        wheel.clear(&connection.pointee.sendTimer)
        wheel.clear(&connection.pointee.readTimer)
        guard connection.pointee.inFlight > 0 else { return }
        if wasConnecting {
            ring.startCancel(token(.backendConnect, connection))
        } else {
            ring.shutdownBoth(connection.pointee.socket)
        }
    }

    /// To be called at the end of each event of a connection.
    mutating func settle(_ connection: UnsafeMutablePointer<LoadConnection>) {
        guard connection.pointee.state == .closing, connection.pointee.inFlight == 0 else { return }
        if connection.pointee.flags.contains(.tls) { channel(connection).pointee.free(&blocks) }
        if let carry = connection.pointee.carry { blocks.giveBack(carry) }
        connection.pointee.carry = nil
        connection.pointee.pongs.clear(into: &blocks)
        if connection.pointee.socket >= 0 { ring.startClose(connection.pointee.socket) }
        connection.pointee.socket = -1
        // In open loop the timetable says how often one tries.
        if connection.pointee.flags.contains(.rests) && plan.timetable == nil && schedule.hasBegun {
            connection.pointee.state = .resting
            setTimer(connection, Self.restNanoseconds)
        } else {
            connection.pointee.state = .closed
            list(connection)
        }
        connection.pointee.flags = connection.pointee.flags.intersection([.listed, .dirty])
    }

    /// The server has ended the connection, or broken it.
    mutating func onEnd(_ connection: UnsafeMutablePointer<LoadConnection>, isBroken: Bool) {
        switch connection.pointee.state {
        case .opening:
            let isTLS = connection.pointee.flags.contains(.tls) && !channel(connection).pointee.isOpen
            failToOpen(connection, ECONNRESET, isTLS ? .tls : .connect)
        case .open:
            // Without close_notify nobody can tell an end from a cut.
            let isWhole = !isBroken && (!connection.pointee.flags.contains(.tls) || connection.pointee.flags.contains(.sawEnd))
            if connection.pointee.part == .untilEnd && isWhole {
                connection.pointee.flags.remove(.keepsAlive)
                onAnswer(connection)
            }
            let hasBegun = connection.pointee.part != .head && connection.pointee.part != .messages
            failAll(connection, hasBegun ? .wrongLength : .reset, .reset)
            close(connection)
        case .draining: close(connection)
        case .closed, .connecting, .closing, .resting: break
        }
    }

    /// What came is no answer.
    mutating func onBadAnswer(_ connection: UnsafeMutablePointer<LoadConnection>) {
        if connection.pointee.state == .opening {
            failToOpen(connection, EPROTO, .badAnswer)
            return
        }
        failAll(connection, .badAnswer, .reset)
        close(connection)
    }
}
