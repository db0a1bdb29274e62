import CUring
import Glibc

/// Finds the addresses of names that backends send requests on to: asked once when somebody wants them, and remembered for
/// as long as the answer lives.
///
/// Lives on the control thread, beside the names of the configuration, with a channel of its own: what a backend makes us
/// ask must not delay what the operator's backends need.
final class NameLookups {
    /// Questions that may wait for an answer; those beyond are answered with nothing.
    private static let questionsMax = 4_096
    /// Names that are remembered; when there are more, all are forgotten.
    private static let namesMax = 1_024
    private static let nanosecondsToLiveMax: UInt64 = 60_000_000_000
    /// How long an answer that is none is remembered.
    private static let nanosecondsOfFailure: UInt64 = 1_000_000_000

    private struct Name {
        var text: String
        var addresses: [SocketAddress] = []
        /// Families that have not answered yet; 0 = settled.
        var unanswered = 0
        var secondsToLive = Int.max
        var goodUntil: UInt64 = 0
        var waiting: [NameQuestion] = []
    }

    let desk = NameDesk()
    private let servers: [String]
    private let hostsPath: String
    private var channel: NameChannel?
    private var names: [Name] = []
    private var places: [String: Int] = [:]
    private var openQuestions = 0
    private var answers: [(worker: Int, answer: NameAnswer)] = []

    init(servers: [String], hostsPath: String = "/etc/hosts") {
        self.servers = servers
        self.hostsPath = hostsPath
    }

    /// What to poll for; the desk first.
    var interests: [pollfd] {
        [pollfd(fd: desk.wakeDescriptor, events: Int16(POLLIN), revents: 0)]
            + (channel?.descriptors() ?? []).map { wanted in
                pollfd(fd: wanted.fd, events: Int16((wanted.readable ? POLLIN : 0) | (wanted.writable ? POLLOUT : 0)), revents: 0)
            }
    }

    /// How long nothing needs doing; nil = for ever.
    var timeoutMilliseconds: Int? { openQuestions > 0 ? channel?.timeoutMilliseconds() : nil }

    /// Takes in what has come; the answers that are ready, each with the worker that waits for it.
    func handle(_ entries: some Collection<pollfd>, now: UInt64) -> [(worker: Int, answer: NameAnswer)] {
        let failed = POLLERR | POLLHUP
        let ready = entries.filter { $0.revents != 0 && $0.fd != desk.wakeDescriptor }
        if channel != nil, openQuestions > 0 {
            channel?.process(
                readable: ready.filter { Int32($0.revents) & (POLLIN | failed) != 0 }.map(\.fd),
                writable: ready.filter { Int32($0.revents) & (POLLOUT | failed) != 0 }.map(\.fd))
            takeIn(now: now)
        }
        if entries.contains(where: { $0.fd == desk.wakeDescriptor && $0.revents != 0 }) {
            for question in desk.take() { ask(question, now: now) }
            takeIn(now: now)
        }
        defer { answers = [] }
        return answers
    }

    private func ask(_ question: NameQuestion, now: UInt64) {
        guard openQuestions < Self.questionsMax, let place = place(of: question.name) else { return answer(question, []) }
        if names[place].unanswered == 0, names[place].goodUntil > now { return answer(question, names[place].addresses) }
        names[place].waiting.append(question)
        openQuestions += 1
        guard names[place].unanswered == 0 else { return }  // asked already
        var hosts = HostsFile(path: hostsPath, names: [question.name])
        if let found = hosts.addresses(of: question.name) {
            names[place].addresses = found
            names[place].secondsToLive = 5
            return settle(place, now: now)
        }
        if channel == nil { channel = try? NameChannel(servers: servers, attemptMilliseconds: 1_000, attempts: 2) }
        guard channel != nil else {
            names[place].addresses = []
            return settle(place, now: now)
        }
        names[place].addresses = []
        names[place].secondsToLive = .max
        names[place].unanswered = 2
        channel?.ask(question.name, index: place, family: .four)
        channel?.ask(question.name, index: place, family: .six)
    }

    /// Where a name is remembered; a new place when it is not, nil when there are too many.
    private func place(of text: String) -> Int? {
        if let place = places[text] { return place }
        if names.count >= Self.namesMax, openQuestions == 0 {
            names = []
            places = [:]
        }
        guard names.count < Self.namesMax + Self.questionsMax else { return nil }
        names.append(Name(text: text))
        places[text] = names.count - 1
        return names.count - 1
    }

    private func takeIn(now: UInt64) {
        for outcome in channel?.takeOutcomes() ?? [] {
            guard outcome.name < names.count, names[outcome.name].unanswered > 0 else { continue }
            if case .answered(let found, let seconds) = outcome.result {
                // IPv4 first, as with the backends of the configuration.
                names[outcome.name].addresses = (names[outcome.name].addresses + found).sorted { $0.isOrdered(before: $1) }
                names[outcome.name].secondsToLive = min(names[outcome.name].secondsToLive, seconds)
            }
            names[outcome.name].unanswered -= 1
            if names[outcome.name].unanswered == 0 { settle(outcome.name, now: now) }
        }
    }

    /// All that can be known of a name is known: those who wait are told.
    private func settle(_ place: Int, now: UInt64) {
        let life = UInt64(clamping: max(1, names[place].secondsToLive)).multipliedReportingOverflow(by: 1_000_000_000)
        let lives = min(life.overflow ? .max : life.partialValue, Self.nanosecondsToLiveMax)
        names[place].goodUntil = now &+ (names[place].addresses.isEmpty ? Self.nanosecondsOfFailure : lives)
        for question in names[place].waiting {
            openQuestions -= 1
            answer(question, names[place].addresses)
        }
        names[place].waiting = []
    }

    private func answer(_ question: NameQuestion, _ addresses: [SocketAddress]) {
        answers.append((question.worker, NameAnswer(slot: question.slot, generation: question.generation, addresses: addresses)))
    }
}
