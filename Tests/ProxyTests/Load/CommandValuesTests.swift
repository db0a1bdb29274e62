import Testing

@testable import Proxy

@Suite("Values on the command line")
struct CommandValuesTests {
    @Test(
        "times need a unit", arguments: [("500us", 500_000), ("5ms", 5_000_000), ("1.5s", 1_500_000_000), ("2m", 120_000_000_000), ("1h", 3_600_000_000_000)] as [(String, UInt64)])
    func times(text: String, nanoseconds: UInt64) throws {
        #expect(try CommandValues.time(text, "--x") == nanoseconds)
    }

    @Test("what is no time is refused with the option's name", arguments: ["", "5", "ms", "-5ms", "5 ms", "1e9s", "5d", "nan", "999999999999h", "1.2.3s"])
    func noTimes(text: String) {
        #expect { try CommandValues.time(text, "--delay") } throws: { ($0 as? CommandComplaint)?.sentence.hasPrefix("--delay: ") == true }
    }

    @Test(
        "sizes are bytes, or so many times 1,024 of them",
        arguments: [("0", 0), ("100", 100), ("64k", 65_536), ("2M", 2 << 20), ("1g", 1 << 30), ("1.5k", 1_536)] as [(String, UInt64)])
    func sizes(text: String, bytes: UInt64) throws {
        #expect(try CommandValues.size(text, "--x") == bytes)
    }

    @Test("shares are percents or parts of one")
    func shares() throws {
        #expect(try CommandValues.share("1%", "--x") == 0.01)
        #expect(try CommandValues.share("0.25", "--x") == 0.25)
        #expect(throws: CommandComplaint.self) { try CommandValues.share("2", "--x") }
        #expect(throws: CommandComplaint.self) { try CommandValues.share("101%", "--x") }
    }

    @Test("lists of CPUs")
    func lists() throws {
        #expect(try CommandValues.list("0-2,5", "--cpu") == [0, 1, 2, 5])
        #expect(try CommandValues.list(nil, "--cpu") == [])
        for wrong in ["", "a", "3-1", "1-", "-1", "0-4000", "1,,2"] {
            #expect(throws: CommandComplaint.self, "\(wrong)") { try CommandValues.list(wrong, "--cpu") }
        }
    }

    @Test("laws")
    func laws() throws {
        #expect(try CommandValues.distribution("uniform:1ms-10ms", "--x", CommandValues.time) == .uniform(1_000_000, 10_000_000))
        #expect(try CommandValues.distribution("exp:1k", "--x", CommandValues.size) == .exponential(mean: 1_024))
        #expect(try CommandValues.distribution("lognormal:5ms,0.5", "--x", CommandValues.time) == .logNormal(median: 5e6, sigma: 0.5))
        for wrong in ["5ms", "uniform:5ms", "uniform:9ms-1ms", "lognormal:5ms", "lognormal:5ms,99", "zipf:1"] {
            #expect(throws: CommandComplaint.self, "\(wrong)") { try CommandValues.distribution(wrong, "--x", CommandValues.time) }
        }
    }

    @Test("faults come as often as they should, and together")
    func faults() {
        let faults = OriginFaults([OriginFault(kind: .reset, probability: 0.1), OriginFault(kind: .status(503), probability: 0.2)])
        var random = RandomSource(seed: 11)
        var counts = (reset: 0, status: 0, none: 0)
        for _ in 0..<100_000 {
            switch faults.draw(&random) {
            case .reset: counts.reset += 1
            case .status(503): counts.status += 1
            case nil: counts.none += 1
            default: Issue.record("a fault that was not asked for")
            }
        }
        #expect(abs(counts.reset - 10_000) < 500)
        #expect(abs(counts.status - 20_000) < 700)
        #expect(OriginFaults([]).draw(&random) == nil)
        let always = OriginFaults([OriginFault(kind: .stall, probability: 1)])
        #expect((0..<1_000).allSatisfy { _ in always.draw(&random) == .stall })
    }
}
