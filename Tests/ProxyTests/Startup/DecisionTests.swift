import Glibc
import Testing

@testable import Proxy

@Suite("Restart policy")
struct RestartPolicyTests {
    @Test("five deaths in a row are answered at once, then pauses double up to a limit")
    func pauses() {
        var policy = RestartPolicy()
        let pauses = (0..<12).map { _ in policy.pause(afterServing: 10) }
        #expect(pauses == [0, 0, 0, 0, 0, 1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000])
    }

    @Test("a process that lived long enough begins a new count")
    func forgiven() {
        var policy = RestartPolicy()
        for _ in 0..<8 { _ = policy.pause(afterServing: 10) }
        #expect(policy.pause(afterServing: RestartPolicy.forgivenAfterMilliseconds) == 0)
        #expect(policy.deaths == 1)
    }

    @Test("any number of deaths is counted without a trap")
    func many() {
        var policy = RestartPolicy()
        for _ in 0..<1_000 { #expect(policy.pause(afterServing: 0) <= RestartPolicy.pauseMillisecondsMax) }
    }
}

@Suite("Limit of open files")
struct OpenFilesTests {
    private func decide(_ wanted: Int?, soft: UInt64 = 1_024, hard: UInt64 = 4_096, mayRaise: Bool = false) throws -> OpenFiles {
        try OpenFiles(wanted: wanted, present: ResourceLimit(soft: soft, hard: hard), ceiling: 1_000_000, mayRaise: mayRaise)
    }

    @Test("without a setting the soft limit goes up to the hard one")
    func unset() throws { #expect(try decide(nil).applied == ResourceLimit(soft: 4_096, hard: 4_096)) }

    @Test("what is asked for is applied and never more")
    func wanted() throws { #expect(try decide(2_000).applied == ResourceLimit(soft: 2_000, hard: 4_096)) }

    @Test("above the hard limit only those who may raise it get it; the others are told, not served with less")
    func above() throws {
        #expect(try decide(10_000, mayRaise: true).applied == ResourceLimit(soft: 10_000, hard: 10_000))
        #expect(throws: LaunchFailure.self) { try decide(10_000) }
    }

    @Test("above the kernel's own ceiling nobody gets it")
    func ceiling() {
        #expect(throws: LaunchFailure.self) { try decide(2_000_000, mayRaise: true) }
    }

    @Test("a limit that is already there is not set again")
    func nothingToDo() throws { #expect(try decide(nil, soft: 4_096).request == nil) }
}

@Suite("Idle trim")
struct IdleTrimTests {
    @Test("trims once, some time after the last activity")
    func once() {
        var trim = IdleTrim()
        let moments = [(0, 0), (5, 1_000), (9, 2_000), (9, 3_000), (9, 5_000), (9, 6_000), (9, 60_000)]
        let trims = moments.map { trim.observe(activity: UInt64($0.0), at: $0.1) }
        #expect(trims == [false, false, false, false, true, false, false])
    }

    @Test("never trims a process that has done nothing")
    func untouched() {
        var trim = IdleTrim()
        let trims = trim.observe(activity: 0, at: 1_000_000)
        #expect(!trims)
    }

    @Test("the live allocator takes a threshold and trims", .disabled(if: dlsym(nil, "__asan_init") != nil, "AddressSanitizer's does not"))
    func allocator() {
        #expect(Allocator.live.setTrimThreshold(1 << 20))
        Allocator.live.trim()
    }
}

@Suite("Why a kernel refuses io_uring")
struct RingRefusalTests {
    private func facts(_ refusal: Int32, _ change: (inout SystemFacts) -> Void = { _ in }) -> SystemFacts {
        var facts = SystemFacts()
        facts.ring = RingProbe(refusal: -refusal)
        change(&facts)
        return facts
    }

    @Test("nothing is refused where everything was found")
    func fine() { #expect(RingRefusal(SystemFacts()) == nil) }

    @Test("an old kernel is told from one built without io_uring")
    func noSystemCall() {
        #expect(RingRefusal(facts(ENOSYS) { $0.kernel = KernelVersion(release: "4.19.0") }) == .tooOld(release: "4.19.0"))
        #expect(RingRefusal(facts(ENOSYS)) == .notBuiltIn(release: "6.1"))
    }

    @Test("a filter is told from the setting, which rules first")
    func notPermitted() {
        #expect(RingRefusal(facts(EPERM) { $0.seccompMode = 2 }) == .filtered(number: EPERM))
        #expect(RingRefusal(facts(ENOSYS) { $0.seccompMode = 2 }) == .filtered(number: ENOSYS))
        let disabled = facts(EPERM) {
            $0.seccompMode = 2
            $0.ringDisabled = 2
        }
        #expect(RingRefusal(disabled) == .disabledBySetting(value: 2, group: -1))
        #expect(RingRefusal(facts(EPERM) { $0.ringDisabled = 0 }) == .forbidden)
    }

    @Test("the setting's remedy names value and group")
    func settingNamed() throws {
        let refusal = try #require(
            RingRefusal(
                facts(EPERM) {
                    $0.ringDisabled = 1
                    $0.ringGroup = 998
                }))
        #expect(refusal.cause.contains("kernel.io_uring_disabled = 1"))
        #expect(refusal.remedy.contains("group 998"))
    }

    @Test("a kernel that lacks a feature is named by it")
    func lacking() throws {
        var some = SystemFacts()
        some.ring.features.remove(.deferredTaskRun)
        #expect(try #require(RingRefusal(some)).sentence.contains("DEFER_TASKRUN"))
        some.kernel = KernelVersion(release: "5.10.0-28-amd64")
        #expect(RingRefusal(some) == .tooOld(release: "5.10.0-28-amd64"))
    }

    @Test("no kernel is refused for want of minimum wait")
    func minimumWait() {
        var some = SystemFacts()
        some.ring.features.remove(.minimumWait)
        #expect(RingRefusal(some) == nil)
    }

    @Test("every cause has a remedy of its own")
    func remedies() {
        let causes: [RingRefusal] = [
            .tooOld(release: "5"), .notBuiltIn(release: "6"), .disabledBySetting(value: 2, group: -1),
            .disabledBySetting(value: 1, group: -1), .disabledBySetting(value: 1, group: 5), .filtered(number: EPERM), .forbidden,
            .lockedMemory(limitBytes: 65_536), .openFiles, .lacks([.messages], release: "6"), .other(EIO),
        ]
        #expect(Set(causes.map(\.remedy)).count == causes.count)
        #expect(Set(causes.map(\.cause)).count == causes.count)
    }
}

@Suite("Kernel version")
struct KernelVersionTests {
    @Test(
        "releases of distributions are read",
        arguments: [
            ("6.1.0-13-amd64", 6, 1), ("5.15.0-91-generic", 5, 15), ("6.18.44-fc-v595", 6, 18), ("6", 6, 0), ("", 0, 0),
        ])
    func releases(release: String, major: Int, minor: Int) {
        let version = KernelVersion(release: release)
        #expect(version.major == major && version.minor == minor)
    }

    @Test("5.15 is older than 6.1, and 6.12 is not")
    func order() {
        #expect(KernelVersion(5, 15).isOlder(than: KernelVersion(6, 1)))
        #expect(!KernelVersion(6, 12).isOlder(than: KernelVersion(6, 1)))
        #expect(!KernelVersion(6, 1).isOlder(than: KernelVersion(6, 1)))
    }
}
