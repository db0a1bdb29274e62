import Glibc

/// Keeps the backends' addresses true on the control thread: asks for names at the start, again when answers have lived
/// their time, and makes a new table whenever something changed.
final class NameWatch {
    /// How long a start waits for names; what is unknown then is asked for again while the others are served.
    static let startMilliseconds = 5_000

    private var book: AddressBook
    /// nil where no backend has a name.
    private let resolver: NameResolver?

    /// - Parameter previous: what a reload replaces; the names that stay keep their addresses, and their next questions.
    init(_ settings: GlobalSettings, after previous: NameWatch? = nil) throws(LaunchFailure) {
        book = AddressBook(settings, after: previous?.book)
        let names = book.names
        do throws(NameResolverFailure) {
            resolver =
                names.isEmpty
                ? nil
                : try NameResolver(
                    names: names, settings: NameResolver.Settings(servers: settings.resolvers), after: previous?.resolver)
        } catch {
            throw LaunchFailure("\(error)")
        }
        for name in names { _ = book.learn(name, resolver?.addresses(of: name) ?? []) }
    }

    /// Asks for every name that nobody knows yet.
    func start() { resolver?.start(now: monotonicNanoseconds()) }

    /// Whether each name has an answer, or none to hope for.
    var isSettled: Bool { resolver?.isSettled ?? true }

    /// Asks for all names and waits until each has an answer or none to hope for, or `stops` says that it is of no use.
    func resolveAll(stops: () -> Bool) {
        start()
        let deadline = monotonicMilliseconds() + Self.startMilliseconds
        while !isSettled, !stops() {
            let left = deadline - monotonicMilliseconds()
            if left <= 0 { break }
            var entries = interests
            // A short while, so that `stops` is asked again.
            _ = poll(&entries, nfds_t(entries.count), Int32(min(left, timeoutMilliseconds ?? left, 100)))
            process(entries)
        }
        _ = learn()
    }

    /// The table as known now, of a new generation.
    func table() -> AddressTable { book.table() }

    /// What to poll for; `handle` takes the same entries back.
    var interests: [pollfd] {
        (resolver?.pollDescriptors() ?? []).map { wanted in
            pollfd(fd: wanted.fd, events: Int16((wanted.readable ? POLLIN : 0) | (wanted.writable ? POLLOUT : 0)), revents: 0)
        }
    }

    /// How long nothing needs doing; nil = for ever.
    var timeoutMilliseconds: Int? { resolver?.nextTimeoutMilliseconds(now: monotonicNanoseconds()) }

    /// Takes in what has come and asks what is due; a new table when addresses changed.
    func handle(_ entries: some Collection<pollfd>) -> AddressTable? {
        guard resolver != nil else { return nil }
        process(entries)
        return learn() ? table() : nil
    }

    /// What the operator should read about names since the last call.
    func takeNotices() -> [NameNotice] { resolver?.takeNotices() ?? [] }

    private func process(_ entries: some Collection<pollfd>) {
        let failed = POLLERR | POLLHUP
        resolver?.process(
            readable: entries.filter { Int32($0.revents) & (POLLIN | failed) != 0 }.map(\.fd),
            writable: entries.filter { Int32($0.revents) & (POLLOUT | failed) != 0 }.map(\.fd), now: monotonicNanoseconds())
    }

    private func learn() -> Bool {
        var changed = false
        for (name, addresses) in resolver?.takeChanges() ?? [:] { changed = book.learn(name, addresses) || changed }
        return changed
    }
}

/// Nanoseconds of a clock that nobody sets.
func monotonicNanoseconds() -> UInt64 {
    var now = timespec()
    clock_gettime(CLOCK_MONOTONIC, &now)
    return UInt64(now.tv_sec) * 1_000_000_000 + UInt64(now.tv_nsec)
}
