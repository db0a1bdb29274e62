import Glibc
import TestSupport

@testable import Proxy

/// A resolver and its scripted server in one poll loop, with a manual clock for lifetimes.
///
/// Only c-ares' own patience with an unanswered question runs by the real clock.
final class ResolverHarness {
    let server: ScriptedDNS
    let resolver: NameResolver
    private(set) var now: UInt64 = 1_000_000_000

    init(
        _ names: [String], server: ScriptedDNS = ScriptedDNS(), hosts: String = "/nonexistent", attemptMilliseconds: Int = 30,
        attempts: Int = 2, after previous: ResolverHarness? = nil, _ change: (inout NameTimes) -> Void = { _ in }
    ) throws {
        self.server = server
        var settings = NameResolver.Settings()
        settings.servers = [server.address]
        settings.hostsPath = hosts
        settings.attemptMilliseconds = attemptMilliseconds
        settings.attempts = attempts
        change(&settings.times)
        resolver = try NameResolver(names: names, settings: settings, after: previous?.resolver)
        if let previous { now = previous.now }
    }

    func start() {
        resolver.start(now: now)
        settle()
    }

    /// Lets time pass and then everything happen that is due.
    func advance(seconds: Double) {
        now += UInt64(seconds * 1_000_000_000)
        resolver.process(readable: [], writable: [], now: now)
        settle()
    }

    /// Polls until no question is open; a question has at most `rounds` polls to be answered or given up.
    private func settle(rounds: Int = 1_000) {
        for _ in 0..<rounds {
            let wanted = resolver.pollDescriptors()
            if wanted.isEmpty { return }
            var polled = wanted.map {
                pollfd(fd: $0.fd, events: Int16(($0.readable ? POLLIN : 0) | ($0.writable ? POLLOUT : 0)), revents: 0)
            }
            polled.append(pollfd(fd: server.fd, events: Int16(POLLIN), revents: 0))
            poll(&polled, nfds_t(polled.count), Int32(min(resolver.nextTimeoutMilliseconds(now: now) ?? 0, 100)))
            server.serve()
            let ready = polled.dropLast()
            resolver.process(
                readable: ready.filter { $0.revents & Int16(POLLIN | POLLERR | POLLHUP) != 0 }.map(\.fd),
                writable: ready.filter { $0.revents & Int16(POLLOUT) != 0 }.map(\.fd), now: now)
        }
        preconditionFailure("questions stay open")
    }

    /// Addresses of a name as text, without the port.
    func addresses(_ name: String) -> [String] { (resolver.addresses(of: name) ?? []).map(bare) }

    func changes() -> [String: [String]] { resolver.takeChanges().mapValues { $0.map(bare) } }

    private func bare(_ address: SocketAddress) -> String {
        String(address.description.dropLast(2)).filter { $0 != "[" && $0 != "]" }  // ":0" at the end
    }
}
