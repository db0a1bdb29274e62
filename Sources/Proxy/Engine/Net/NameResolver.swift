/// Keeps the addresses of all backends that are given by name: asks, asks again when an answer has lived its time, and tells of changes.
///
/// Has no thread and never blocks on the network: the owner polls `pollDescriptors()` for at most `nextTimeoutMilliseconds`, then calls
/// `process`. All times are monotonic nanoseconds of the owner's clock, only the patience with an unanswered question is c-ares' own.
/// `/etc/hosts` comes before name servers; literals do not belong here.
final class NameResolver {
    struct Settings {
        /// `ADDRESS`, `ADDRESS:PORT` or `[ADDRESS]:PORT`; empty = those of `/etc/resolv.conf`.
        var servers: [String] = []
        var times = NameTimes()
        /// Patience with the first attempt at each server; doubles with each further one of `attempts`.
        var attemptMilliseconds = 1_000
        var attempts = 2
        var hostsPath = "/etc/hosts"
    }

    private let channel: NameChannel
    private var hosts: HostsFile
    private var records: [NameRecord]
    private var changes: Set<Int> = []
    private var notices: [NameNotice] = []

    /// Asks nothing yet. Names may repeat; each is asked for once. What `previous` knows of them is known here too, and is asked
    /// for again when its time comes.
    init(names: [String], settings: Settings = Settings(), after previous: NameResolver? = nil) throws(NameResolverFailure) {
        channel = try NameChannel(
            servers: settings.servers, attemptMilliseconds: settings.attemptMilliseconds, attempts: settings.attempts)
        hosts = HostsFile(path: settings.hostsPath, names: names)
        var seen: Set<String> = []
        records = names.filter { seen.insert($0).inserted }.map { name in
            previous?.records.first { $0.name == name }?.handedOn ?? NameRecord(name: name, times: settings.times)
        }
    }

    /// Asks for every name; those of the hosts file are known when this returns.
    func start(now: UInt64) { askWhatIsDue(now: now) }

    /// The sockets to poll now; another set after every `process`.
    func pollDescriptors() -> [(fd: Int32, readable: Bool, writable: Bool)] { channel.descriptors() }

    /// How long the owner may wait before it calls `process` though nothing is ready; nil = for ever.
    func nextTimeoutMilliseconds(now: UInt64) -> Int? {
        let due = records.compactMap(\.nextDueNanoseconds).min().map { due in
            due <= now ? 0 : Int(clamping: (due - now + 999_999) / 1_000_000)
        }
        guard let question = channel.timeoutMilliseconds() else { return due }
        return min(question, due ?? question)
    }

    /// Takes in what has come and asks what is due. Descriptors that are not the resolver's do no harm.
    func process(readable: [Int32], writable: [Int32], now: UInt64) {
        channel.process(readable: readable, writable: writable)
        takeIn(now: now)
        askWhatIsDue(now: now)
    }

    /// Whether any name has other addresses than `takeChanges` last told.
    var changed: Bool { !changes.isEmpty }

    /// Names whose addresses have changed since the last call, with all their addresses now: without port, in a stable order.
    func takeChanges() -> [String: [SocketAddress]] {
        defer { changes = [] }
        return Dictionary(uniqueKeysWithValues: changes.map { (records[$0].name, records[$0].addresses) })
    }

    /// What the operator should read: each trouble once when it begins and once when it is over.
    func takeNotices() -> [NameNotice] {
        defer { notices = [] }
        return notices
    }

    /// Addresses known for `name`, without port; nil while there is none.
    func addresses(of name: String) -> [SocketAddress]? {
        records.first { $0.name == name }.flatMap { $0.addresses.isEmpty ? nil : $0.addresses }
    }

    /// Whether every name has an address.
    var isResolved: Bool { records.allSatisfy { !$0.addresses.isEmpty } }

    /// Whether every name has an address or has been asked for in vain, so that a start need not wait any longer.
    var isSettled: Bool { records.allSatisfy(\.isSettled) }

    private func askWhatIsDue(now: UInt64) {
        for index in records.indices {
            let due = [NameFamily.four, .six].filter { records[index].isDue($0, now: now) }
            if due.isEmpty { continue }
            if let found = hosts.addresses(of: records[index].name) {
                update(index) { $0.applyHosts(found, now: now) }
                continue
            }
            for family in due {
                records[index].onAsked(family)
                channel.ask(records[index].name, index: index, family: family)
            }
        }
        takeIn(now: now)
    }

    private func takeIn(now: UInt64) {
        for outcome in channel.takeOutcomes() {
            update(outcome.name) { $0.apply(outcome.result, family: outcome.family, now: now) }
        }
    }

    private func update(_ index: Int, _ change: (inout NameRecord) -> NameNotice?) {
        let before = records[index].addresses
        if let notice = change(&records[index]) { notices.append(notice) }
        if records[index].addresses != before { changes.insert(index) }
    }
}
