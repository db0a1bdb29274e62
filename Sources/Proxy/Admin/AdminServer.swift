import CUring
import Glibc

/// Answers the admin socket on the control thread: one line in, one answer out, then the connection is closed.
///
/// Whoever may connect may ask: the socket file belongs to the user who started Weir and has mode 0600.
struct AdminServer {
    private struct Guest {
        var descriptor: Int32
        var received: [UInt8] = []
        var answer: [UInt8] = []
        var sent = 0
        var endsAt: Int
    }

    static let guestsMax = 16
    static let patienceMilliseconds = 5_000

    private let listener: Int32
    private var guests: [Guest] = []
    private let answer: (AdminCommand) -> String

    init(listener: Int32, answer: @escaping (AdminCommand) -> String) {
        self.listener = listener
        self.answer = answer
    }

    /// What to poll for; `handle` takes the same entries back.
    var interests: [pollfd] {
        var entries: [pollfd] = []
        if guests.count < Self.guestsMax { entries.append(pollfd(fd: listener, events: Int16(POLLIN), revents: 0)) }
        for guest in guests {
            let events = guest.answer.isEmpty ? POLLIN : POLLOUT
            entries.append(pollfd(fd: guest.descriptor, events: Int16(events), revents: 0))
        }
        return entries
    }

    /// When the next guest loses patience; nil without guests.
    var nextDeadline: Int? { guests.map(\.endsAt).min() }

    mutating func handle(_ entries: some Sequence<pollfd>, now: Int) {
        for entry in entries where entry.revents != 0 {
            if entry.fd == listener {
                accept(now)
            } else if let place = guests.firstIndex(where: { $0.descriptor == entry.fd }) {
                let goesOn = guests[place].answer.isEmpty ? receive(place) : send(place)
                if !goesOn { remove(place) }
            }
        }
        while let late = guests.firstIndex(where: { $0.endsAt <= now }) { remove(late) }
    }

    private mutating func accept(_ now: Int) {
        let descriptor = Glibc.accept(listener, nil, nil)
        guard descriptor >= 0 else { return }
        cprocess_close_on_exec(descriptor)
        guests.append(Guest(descriptor: descriptor, endsAt: now + Self.patienceMilliseconds))
    }

    /// Reads until a line has ended; false when the guest is to go.
    private mutating func receive(_ place: Int) -> Bool {
        var chunk = [UInt8](repeating: 0, count: AdminCommand.lineBytesMax)
        let count = recv(guests[place].descriptor, &chunk, chunk.count, Int32(MSG_DONTWAIT))
        guard count > 0 else { return count < 0 && (errno == EAGAIN || errno == EINTR) }
        guests[place].received += chunk[..<count]
        guard let end = guests[place].received.firstIndex(of: UInt8(ascii: "\n")) else {
            return guests[place].received.count < AdminCommand.lineBytesMax
        }
        let line = String(decoding: guests[place].received[..<end], as: UTF8.self)
        let text = AdminCommand(line: line).map(answer) ?? "error: no such command; try 'help'\n"
        guests[place].answer = Array(text.utf8)
        return send(place)
    }

    /// Sends what fits; false when the guest is to go, also because all is sent.
    private mutating func send(_ place: Int) -> Bool {
        let guest = guests[place]
        let flags = Int32(MSG_DONTWAIT) | Int32(MSG_NOSIGNAL)
        let count = guest.answer[guest.sent...].withUnsafeBytes {
            Glibc.send(guest.descriptor, $0.baseAddress, $0.count, flags)
        }
        guard count >= 0 else { return errno == EAGAIN || errno == EINTR }
        guests[place].sent += count
        return guests[place].sent < guest.answer.count
    }

    private mutating func remove(_ place: Int) {
        close(guests[place].descriptor)
        guests.remove(at: place)
    }

    mutating func close() {
        while !guests.isEmpty { remove(0) }
        close(listener)
    }

    private func close(_ descriptor: Int32) { Glibc.close(descriptor) }
}
