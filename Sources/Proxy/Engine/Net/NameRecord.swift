/// The two families of addresses, asked for separately, so that trouble with one does not cost the other.
enum NameFamily { case four, six }

/// What one question came to.
enum NameResult: Equatable {
    case answered([SocketAddress], secondsToLive: Int)
    /// The name exists without addresses of this family.
    case noAddresses
    case nonexistent
    /// Timeout, server failure, refusal: nothing was learned. Says which.
    case failed(String)
}

/// How often and how long; shared by all names of a resolver.
struct NameTimes {
    var secondsToLiveMin = 1
    var secondsToLiveMax = 3_600
    /// When to look again at a name that the hosts file knows.
    var hostsSeconds = 5
    /// When to ask again for a family that a living name does not have.
    var otherFamilySeconds = 30
    var retrySecondsFirst = 1
    var retrySecondsMax = 30
}

/// What is known about one name: the last good answers, when to ask again, and what is wrong.
///
/// A pure machine: results go in with the time, addresses and notices come out. A failure never takes addresses away. "No such name" does not
/// either, because an edge that forgets its backends over a mistake in a zone file does more harm than one that tries old addresses.
struct NameRecord {
    /// More addresses than this are cut off: each becomes a pool of connections in every worker.
    static let addressesMax = 64

    let name: String
    private let times: NameTimes
    private var four = Half()
    private var six = Half()
    private(set) var trouble = NameTrouble.none
    private(set) var addresses: [SocketAddress] = []

    /// One family's part.
    private struct Half {
        var addresses: [SocketAddress] = []
        var result: NameResult?
        var isAsked = false
        var dueNanoseconds: UInt64 = 0
        var failures = 0

        var isAnswered: Bool { if case .answered = result { true } else { false } }
    }

    init(name: String, times: NameTimes) {
        self.name = name
        self.times = times
    }

    /// The same knowledge for another resolver: questions that are open now, it has to ask itself.
    var handedOn: NameRecord {
        var copy = self
        copy.four.isAsked = false
        copy.six.isAsked = false
        return copy
    }

    /// Whether both families have been heard of, for good or ill, or there is an address already.
    var isSettled: Bool { !addresses.isEmpty || (four.result != nil && six.result != nil) }

    func isDue(_ family: NameFamily, now: UInt64) -> Bool {
        let half = family == .four ? four : six
        return !half.isAsked && half.dueNanoseconds <= now
    }

    /// When the next question is due; nil while both are being asked.
    var nextDueNanoseconds: UInt64? {
        [four, six].filter { !$0.isAsked }.map(\.dueNanoseconds).min()
    }

    mutating func onAsked(_ family: NameFamily) {
        if family == .four { four.isAsked = true } else { six.isAsked = true }
    }

    /// The hosts file knows the name: its word replaces whatever name servers said, for both families.
    mutating func applyHosts(_ found: [SocketAddress], now: UInt64) -> NameNotice? {
        for family in [NameFamily.four, .six] {
            let own = found.filter { $0.isOfFamily(family) }
            var half = Half()
            half.addresses = own
            half.result = own.isEmpty ? .noAddresses : .answered(own, secondsToLive: times.hostsSeconds)
            half.dueNanoseconds = now &+ nanoseconds(times.hostsSeconds)
            if family == .four { four = half } else { six = half }
        }
        return conclude()
    }

    /// A question ended. Returns what an operator should read about it, each thing once.
    mutating func apply(_ result: NameResult, family: NameFamily, now: UInt64) -> NameNotice? {
        // The hosts file has spoken since the question went out.
        guard family == .four ? four.isAsked : six.isAsked else { return nil }
        if family == .four { apply(result, to: &four, other: &six, now: now) } else { apply(result, to: &six, other: &four, now: now) }
        return conclude()
    }

    private func apply(_ result: NameResult, to half: inout Half, other: inout Half, now: UInt64) {
        let wasAnswered = half.isAnswered
        half.isAsked = false
        half.result = result
        switch result {
        case .answered(let found, let secondsToLive):
            half.addresses = found
            half.failures = 0
            half.dueNanoseconds = now &+ nanoseconds(max(times.secondsToLiveMin, min(secondsToLive, times.secondsToLiveMax)))
            // The name lives on in this family, so what the other one lacked before this answer is gone for good.
            if other.result == .noAddresses || other.result == .nonexistent { other.addresses = [] }
        case .noAddresses, .nonexistent:
            if other.isAnswered {
                half.failures = 0
                half.dueNanoseconds = now &+ nanoseconds(min(times.otherFamilySeconds, times.secondsToLiveMax))
            } else {
                backOff(&half, now: now)
            }
            // It may have moved to the other family: look there at once, rather than when that one is due.
            if wasAnswered, other.result == .noAddresses { other.dueNanoseconds = now }
        case .failed:
            backOff(&half, now: now)
        }
    }

    private func backOff(_ half: inout Half, now: UInt64) {
        half.dueNanoseconds = now &+ nanoseconds(min(times.retrySecondsMax, times.retrySecondsFirst << min(half.failures, 16)))
        half.failures += 1
    }

    private mutating func conclude() -> NameNotice? {
        let all = four.addresses + six.addresses
        let living = (four.result == .noAddresses ? [] : four.addresses) + (six.result == .noAddresses ? [] : six.addresses)
        addresses = Array((living.isEmpty ? all : living).sorted { $0.isOrdered(before: $1) }.prefix(Self.addressesMax))
        let before = trouble
        trouble = currentTrouble()
        return before.kind == trouble.kind ? nil : NameNotice(name: name, trouble: trouble, addressesKept: addresses.count)
    }

    private func currentTrouble() -> NameTrouble {
        if case .failed(let reason) = four.result { return .failing(reason) }
        if case .failed(let reason) = six.result { return .failing(reason) }
        if four.isAnswered || six.isAnswered { return .none }
        guard let first = four.result, let second = six.result else { return trouble }
        return first == .nonexistent || second == .nonexistent ? .nonexistent : .withoutAddresses
    }

    private func nanoseconds(_ seconds: Int) -> UInt64 { UInt64(max(0, seconds)) &* 1_000_000_000 }
}

/// What is wrong with a name at the moment.
enum NameTrouble: Equatable {
    case none
    case failing(String)
    case nonexistent
    case withoutAddresses

    /// Equal for troubles that need no second notice.
    fileprivate var kind: Int {
        switch self {
        case .none: 0
        case .failing: 1
        case .nonexistent: 2
        case .withoutAddresses: 3
        }
    }
}

/// News about a name for the operator's log.
struct NameNotice: Equatable, CustomStringConvertible {
    var name: String
    var trouble: NameTrouble
    var addressesKept: Int

    var isRecovery: Bool { trouble == .none }

    var description: String {
        switch trouble {
        case .none: "\(name) resolves again (\(count))"
        case .failing(let reason): "\(name) cannot be resolved: \(reason); \(kept)"
        case .nonexistent: "\(name) does not exist for the name servers; \(kept)"
        case .withoutAddresses: "\(name) has no addresses; \(kept)"
        }
    }

    private var count: String { addressesKept == 1 ? "1 address" : "\(addressesKept) addresses" }
    private var kept: String { addressesKept == 0 ? "none is known, asking again" : "keeping the last \(count), asking again" }
}
