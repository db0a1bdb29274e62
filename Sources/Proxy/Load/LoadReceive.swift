import CUring
import Glibc

/// Bytes as they come: at the rate of a slow reader where there is one, out of their records, whole heads in one piece.
extension LoadWorker {
    /// Smaller buffers for those who read slowly, so that little is taken at a time.
    private var group: BufferGroup { plan.readRate > 0 && plan.readRate < 65_536 ? .client : .backend }

    mutating func receive(_ connection: UnsafeMutablePointer<LoadConnection>) {
        guard !connection.pointee.flags.contains(.receiving) else { return }
        switch connection.pointee.state {
        case .opening, .open, .draining: break
        case .closed, .connecting, .closing, .resting: return
        }
        connection.pointee.flags.insert(.receiving)
        connection.pointee.inFlight &+= 1
        if plan.readRate > 0 {
            ring.startReceive(connection.pointee.socket, group: group, pollFirst: false, token: token(.backendReceive, connection))
        } else {
            ring.startReceiveMultishot(connection.pointee.socket, group: group, token: token(.backendReceive, connection))
        }
    }

    mutating func onReceive(_ completion: Completion) {
        let connection = connections[completion.token.slot]
        if !completion.hasMore {
            connection.pointee.flags.remove(.receiving)
            connection.pointee.inFlight &-= 1
        }
        let length = Int(max(0, completion.result))
        if let buffer = completion.buffer {
            if length > 0 && connection.pointee.state != .closing {
                tally.bytesReceived &+= UInt64(length)
                take(connection, ring.bufferAddress(group, buffer), length)
            }
            ring.returnBuffer(group, buffer)
        }
        if connection.pointee.state == .closing { return }
        if length == 0 {
            let mayGoOn = [-ENOBUFS, -EINTR, -EAGAIN].contains(completion.result)
            if !mayGoOn {
                onEnd(connection, isBroken: completion.result < 0)
                return
            }
        }
        if plan.readRate > 0 && length > 0 {
            let due = connection.pointee.readPace.next(after: length, bytesPerSecond: plan.readRate, now: clock.now)
            if due > clock.now { return wheel.set(&connection.pointee.readTimer, due) }
        }
        receive(connection)
    }

    /// Takes bytes off the wire.
    private mutating func take(_ connection: UnsafeMutablePointer<LoadConnection>, _ bytes: UnsafeRawPointer, _ count: Int) {
        guard connection.pointee.flags.contains(.tls) else {
            use(connection, bytes, count)
            return
        }
        let channel = channel(connection)
        var input = TLSInput(start: bytes, count: count)
        while connection.pointee.state != .closing {
            switch channel.pointee.take(&input, now: Int64(clock.wall / 1_000_000_000), into: scratch, Self.scratchBytes, &blocks) {
            case .bytes(let plain): use(connection, scratch, plain)
            case .opened:
                tally.handshakes &+= 1
                if channel.pointee.stream.isResumed { tally.resumed &+= 1 }
                if connection.pointee.preambleLeft == 0 { becomeOpen(connection) }
            case .wantsInput:
                push(connection)
                return
            case .ended:
                connection.pointee.flags.insert(.sawEnd)
                return
            case .failed:
                if channel.pointee.isOpen {
                    onBadAnswer(connection)
                } else {
                    failToOpen(connection, EPROTO, .tls)
                }
            }
        }
    }

    /// Uses plain bytes, keeping what is the beginning of a head.
    private mutating func use(_ connection: UnsafeMutablePointer<LoadConnection>, _ bytes: UnsafeRawPointer, _ count: Int) {
        var done = 0
        while done < count, let carry = connection.pointee.carry {
            if carry.pointee.begin > 0 {
                let kept = carry.count
                memmove(carry.bytes, carry.begin, kept)
                carry.pointee.begin = 0
                carry.pointee.end = Int32(truncatingIfNeeded: kept)
            }
            let piece = min(count &- done, carry.room)
            memcpy(carry.end, bytes + done, piece)
            carry.pointee.end &+= Int32(truncatingIfNeeded: piece)
            done &+= piece
            let used = parse(connection, carry.begin, carry.count)
            carry.pointee.begin &+= Int32(truncatingIfNeeded: used)
            if connection.pointee.state == .closing { return }
            if carry.count == 0 {
                blocks.giveBack(carry)
                connection.pointee.carry = nil
            } else if used == 0 && carry.room == 0 {
                return onBadAnswer(connection)
            }
        }
        guard done < count else { return }
        done &+= parse(connection, bytes + done, count &- done)
        guard done < count, connection.pointee.state != .closing else { return }
        // No more than a head may have: the parser has refused what is longer.
        guard let carry = blocks.take(.large), count &- done <= carry.room else { return onBadAnswer(connection) }
        memcpy(carry.bytes, bytes + done, count &- done)
        carry.pointee.end = Int32(truncatingIfNeeded: count &- done)
        connection.pointee.carry = carry
    }
}
