import CCares
import CUring
import Glibc

/// Owns one c-ares channel: questions go in, outcomes gather in `inbox`, its sockets are polled by the caller.
///
/// Used by one thread. A channel that goes away ends its open questions; their outcomes are never seen.
struct NameChannel: ~Copyable {
    /// What became of one question.
    struct Outcome {
        var name: Int
        var family: NameFamily
        var result: NameResult
    }

    /// Where answers wait until the caller's turn: c-ares may answer from inside the very call that asks.
    final class Inbox {
        var outcomes: [Outcome] = []
    }

    private let channel: ares_channel
    private let inbox = Inbox()

    /// - Parameters:
    ///   - servers: literals with optional port (`127.0.0.1:5353`, `[::1]:53`); empty = those of `/etc/resolv.conf`.
    ///   - attemptMilliseconds: patience with the first attempt at each server; doubles with each of `attempts`.
    init(servers: [String], attemptMilliseconds: Int, attempts: Int) throws(NameResolverFailure) {
        guard libraryStatus == ARES_SUCCESS else { throw .library(text(of: libraryStatus)) }
        var options = ares_options()
        options.timeout = Int32(clamping: attemptMilliseconds)
        options.tries = Int32(clamping: attempts)
        var opened: ares_channel?
        var dnsOnly: [CChar] = [CChar(UInt8(ascii: "b")), 0]  // the hosts file is ours, see HostsFile
        var status = dnsOnly.withUnsafeMutableBufferPointer { lookups in
            options.lookups = lookups.baseAddress
            return ares_init_options(&opened, &options, ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_LOOKUPS)
        }
        guard status == ARES_SUCCESS, let opened else { throw .library(text(of: status)) }
        if !servers.isEmpty {
            status = ares_set_servers_ports_csv(opened, servers.joined(separator: ","))
            if status != ARES_SUCCESS {
                ares_destroy(opened)
                throw .badServers(servers.joined(separator: ", "))
            }
        }
        channel = opened
    }

    deinit { ares_destroy(channel) }

    /// Asks for the addresses of one family; `index` comes back with the outcome.
    func ask(_ name: String, index: Int, family: NameFamily) {
        var hints = ares_addrinfo_hints()
        hints.ai_family = family == .four ? AF_INET : AF_INET6
        hints.ai_flags = ARES_AI_NOSORT  // sorting by reachability opens sockets; the caller has an order of its own
        let question = Question(index: index, family: family, inbox: inbox)
        ares_getaddrinfo(channel, name, nil, &hints, onAnswer, Unmanaged.passRetained(question).toOpaque())
    }

    /// Hands over the outcomes that have come in.
    func takeOutcomes() -> [Outcome] {
        let outcomes = inbox.outcomes
        inbox.outcomes.removeAll(keepingCapacity: true)
        return outcomes
    }

    /// The sockets to poll now; another set after every `process`.
    func descriptors() -> [(fd: Int32, readable: Bool, writable: Bool)] {
        var sockets = [ares_socket_t](repeating: ARES_SOCKET_BAD, count: Int(ARES_GETSOCK_MAXNUM))
        let bits = ares_getsock(channel, &sockets, ARES_GETSOCK_MAXNUM)
        var found: [(fd: Int32, readable: Bool, writable: Bool)] = []
        for index in sockets.indices {
            let readable = ccares_wants_read(bits, Int32(index)) != 0
            let writable = ccares_wants_write(bits, Int32(index)) != 0
            if readable || writable { found.append((sockets[index], readable, writable)) }
        }
        return found
    }

    /// Milliseconds until an open question times out; nil when none is open. By c-ares' own clock.
    func timeoutMilliseconds() -> Int? {
        var remaining = timeval()
        let isSet = withUnsafeMutablePointer(to: &remaining) { ares_timeout(channel, nil, $0) != nil }
        return isSet ? remaining.tv_sec * 1_000 + (remaining.tv_usec + 999) / 1_000 : nil
    }

    /// Reads and writes what is ready, and ends what has timed out.
    func process(readable: [Int32], writable: [Int32]) {
        for fd in readable { ares_process_fd(channel, fd, ARES_SOCKET_BAD) }
        for fd in writable { ares_process_fd(channel, ARES_SOCKET_BAD, fd) }
        ares_process_fd(channel, ARES_SOCKET_BAD, ARES_SOCKET_BAD)
    }
}

/// Why there can be no resolver: both are mistakes of start-up.
enum NameResolverFailure: Error, Equatable, CustomStringConvertible {
    case library(String)
    case badServers(String)

    var description: String {
        switch self {
        case .library(let reason): "names cannot be resolved: \(reason)"
        case .badServers(let servers): "\"\(servers)\" is no list of DNS servers (write addresses such as 127.0.0.1:53 or [::1]:53)"
        }
    }
}

/// One open question, kept alive by c-ares until it calls back.
private final class Question {
    let index: Int
    let family: NameFamily
    let inbox: NameChannel.Inbox

    init(index: Int, family: NameFamily, inbox: NameChannel.Inbox) {
        self.index = index
        self.family = family
        self.inbox = inbox
    }
}

/// Initialised once for the process.
private let libraryStatus = ares_library_init(ARES_LIB_INIT_ALL)

private func text(of status: Int32) -> String { String(cString: ares_strerror(status)) }

private func onAnswer(
    _ argument: UnsafeMutableRawPointer?, _ status: Int32, _ timeouts: Int32, _ answer: UnsafeMutablePointer<ares_addrinfo>?
) {
    guard let argument else { return }
    let question = Unmanaged<Question>.fromOpaque(argument).takeRetainedValue()
    let result: NameResult
    switch status {
    case ARES_SUCCESS: result = read(answer)
    case ARES_ENODATA: result = .noAddresses
    case ARES_ENOTFOUND: result = .nonexistent
    default: result = .failed(text(of: status))
    }
    if let answer { ares_freeaddrinfo(answer) }
    question.inbox.outcomes.append(.init(name: question.index, family: question.family, result: result))
}

/// Addresses without ports, and the least TTL of the records and of the aliases that led to them.
private func read(_ answer: UnsafeMutablePointer<ares_addrinfo>?) -> NameResult {
    var addresses: [SocketAddress] = []
    var timeToLive = Int32.max
    var node = answer?.pointee.nodes
    while let current = node {
        if let source = current.pointee.ai_addr, let address = SocketAddress(copyingAddressOf: source) {
            addresses.append(address)
            timeToLive = min(timeToLive, current.pointee.ai_ttl)
        }
        node = current.pointee.ai_next
    }
    var alias = answer?.pointee.cnames
    while let current = alias {
        timeToLive = min(timeToLive, current.pointee.ttl)
        alias = current.pointee.next
    }
    return addresses.isEmpty ? .noAddresses : .answered(addresses, secondsToLive: Int(max(0, timeToLive)))
}
