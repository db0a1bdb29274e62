import Glibc

/// A scripted name server that answers on a thread of its own, for a proxy that asks when it likes.
public final class NameServer: Sendable {
    private struct State {
        let dns: ScriptedDNS
        var isClosed = false
    }

    /// For the word `resolvers`.
    public let address: String
    private let state: Monitor<State>

    public init() {
        let dns = ScriptedDNS()
        address = dns.address
        let state = Monitor(State(dns: dns))
        self.state = state
        let fd = dns.fd
        startThread {
            // The thread's state keeps the descriptor open until the last look at it.
            while !state.with({ $0.isClosed }) {
                var waiting = pollfd(fd: fd, events: Int16(POLLIN), revents: 0)
                if poll(&waiting, 1, 20) > 0 { state.with { $0.dns.serve() } }
            }
        }
    }

    deinit { close() }

    public func close() { state.with { $0.isClosed = true } }

    public func setAddresses(_ name: String, _ four: [String], ttl: UInt32 = 1) {
        state.with { $0.dns.setAddresses(name, four, ttl: ttl) }
    }

    public func setBoth(_ name: String, _ reply: ScriptedDNS.Reply) { state.with { $0.dns.setBoth(name, reply) } }

    /// How often the name was asked for.
    public func count(_ name: String) -> Int { state.with { $0.dns.count(name) } }
}
