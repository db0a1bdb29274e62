import Testing

@testable import Proxy

@Suite("Figures of the load generator")
struct LoadReportTests {
    private func histogram(_ values: [UInt64]) -> LatencyHistogram {
        var histogram = LatencyHistogram()
        for value in values { histogram.record(value) }
        return histogram
    }

    private func near(_ value: UInt64, _ expected: Double) -> Bool { abs(Double(value) - expected) <= expected / 500 + 100 }

    @Test("percentiles are right to three digits, and none is above the greatest value")
    func percentiles() {
        let histogram = histogram((1...10_000).map { $0 * 1_000 })
        #expect(near(histogram.nanoseconds(percentile: 50), 5_000e3))
        #expect(near(histogram.nanoseconds(percentile: 99), 9_900e3))
        #expect(near(histogram.nanoseconds(percentile: 99.99), 9_999e3))
        #expect(near(histogram.maxNanoseconds, 10_000e3))
        #expect(near(histogram.nanoseconds(percentile: 100), 10_000e3))
        #expect(abs(histogram.meanNanoseconds - 5_000.5e3) < 5e3)
    }

    @Test("a time beyond the range counts as the longest, and none is lost")
    func beyond() {
        let histogram = histogram([.max, 0, 5])
        #expect(histogram.count == 3)
        #expect(histogram.nanoseconds(percentile: 100) >= LatencyHistogram.nanosecondsMax / 2)
    }

    @Test("histograms of threads add up")
    func adding() {
        var sum = histogram([1_000_000, 2_000_000])
        sum.add(histogram([]))
        sum.add(histogram([3_000_000, 900_000_000]))
        #expect(sum.count == 4)
        #expect(near(sum.maxNanoseconds, 900e6))
        #expect(histogram([]).nanoseconds(percentile: 99) == 0)
        #expect(histogram([]).maxNanoseconds == 0)
    }

    @Test("the distribution has the columns that plotters of HdrHistogram read, in milliseconds")
    func distribution() {
        let lines = histogram((1...100).map { $0 * 1_000_000 }).percentileText.split(separator: "\n")
        #expect(lines.first?.split(separator: " ") == ["Value", "Percentile", "TotalCount", "1/(1-Percentile)"])
        let row = lines[1].split(separator: " ").compactMap { Double($0) }
        #expect(row.count == 4)
        #expect(abs(row[0] - 1) < 0.01)
    }

    private func tally(busy: Double = 0.1, lag: [UInt64] = [20_000], latency: [UInt64] = [200_000]) -> LoadTally {
        var tally = LoadTally()
        tally.cpuShareMax = busy
        tally.busyShareMax = busy
        tally.lag = histogram(lag)
        tally.latency = histogram(latency)
        tally.answered = UInt64(latency.count)
        tally.started = tally.answered
        tally.responses[2] = tally.answered
        tally.measuredNanoseconds = 1_000_000_000
        return tally
    }

    @Test("a thread that was busy all the time is the bottleneck, in either loop", arguments: [true, false])
    func busy(isOpenLoop: Bool) {
        #expect(LoadVerdict(tally(busy: 0.97), isOpenLoop: isOpenLoop).isBottleneck)
        #expect(!LoadVerdict(tally(busy: 0.9), isOpenLoop: isOpenLoop).isBottleneck)
    }

    @Test("a lag that is a good part of the latency is the bottleneck; one that is little of it, or short, is not")
    func lag() {
        #expect(LoadVerdict(tally(lag: [5_000_000], latency: [6_000_000]), isOpenLoop: true).isBottleneck)
        #expect(!LoadVerdict(tally(lag: [5_000_000], latency: [900_000_000]), isOpenLoop: true).isBottleneck)
        #expect(!LoadVerdict(tally(lag: [300_000], latency: [400_000]), isOpenLoop: true).isBottleneck)
        #expect(!LoadVerdict(tally(lag: [5_000_000], latency: [6_000_000]), isOpenLoop: false).isBottleneck)
    }

    @Test("the lag of a request is what it was sent late though a connection was free, or what its time was looked at late")
    func requestLag() {
        func lag(readyAt: UInt64, takenLate: UInt64, sentAt: UInt64) -> UInt64 {
            LoadPending(intended: 1_000, readyAt: readyAt, takenLate: takenLate, sentAt: sentAt, entry: 0, isMeasured: true, isSent: true).lag
        }
        #expect(lag(readyAt: 1_000, takenLate: 300, sentAt: 1_400) == 400)
        // Its connection was busy until it was sent, and meanwhile nobody looked at the time.
        #expect(lag(readyAt: 9_000, takenLate: 700, sentAt: 9_010) == 700)
        #expect(lag(readyAt: 9_000, takenLate: 0, sentAt: 9_010) == 10)
        #expect(lag(readyAt: 9_000, takenLate: 0, sentAt: 8_990) == 0)
    }

    @Test("the rate is of the answers that came in its time, and not of the late ones")
    func rate() {
        var tally = tally()
        (tally.answered, tally.answeredInTime) = (105, 100)
        (tally.measuredNanoseconds, tally.rateNanoseconds) = (9_000_000_000, 2_000_000_000)
        #expect(report(tally).achievedRate == 50)
        #expect(report(tally).seconds == 9)
        #expect(report(LoadTally()).achievedRate == 0)
    }

    private func report(_ tally: LoadTally, isForced: Bool = false) -> LoadReport {
        let plan = LoadPlan(book: RequestBook(RequestMix([RequestMix.Request()]), authority: "a", closes: false) { _ in [] })
        return LoadReport(
            urls: ["http://a/"], settings: LoadSettingsReport(mode: "constant", rates: [1], plan: plan), tally: tally,
            verdict: LoadVerdict(tally, isOpenLoop: true), planned: 1, wantedRate: 1, isForced: isForced)
    }

    @Test("what was refused has no figures, neither as text nor as JSON, unless they are demanded")
    func refusal() {
        let refused = report(tally(busy: 1))
        #expect(refused.isRefused)
        #expect(refused.json.printed().contains("\"latency_us\": null"))
        #expect(refused.json.printed().contains("\"achieved\": null"))
        #expect(!refused.text.contains("latency"))
        #expect(refused.text.contains("bottleneck"))
        let forced = report(tally(busy: 1), isForced: true)
        #expect(!forced.isRefused)
        #expect(forced.text.contains("latency"))
        #expect(forced.json.printed().contains("\"bottleneck\": true"))
    }

    @Test("the histogram is told whole where it is asked for, and never of what was refused")
    func counts() {
        var tally = LoadTally()
        for nanoseconds: UInt64 in [1_000_000, 1_000_000, 3_000_000] { tally.latency.record(nanoseconds) }
        var report = report(tally)
        #expect(!report.json.printed().contains("latency_counts_ns"))
        report.hasCounts = true
        let pairs = report.json["latency_counts_ns"]?.elements ?? []
        #expect(pairs.map { $0.elements.last?.whole } == [2, 1])
        #expect(abs((pairs.first?.elements.first?.whole ?? 0) - 1_000_000) < 2_000)
        var refused = self.report(self.tally(busy: 1))
        refused.hasCounts = true
        #expect(!refused.json.printed().contains("latency_counts_ns"))
    }

    @Test("each kind of error has its field, and all of them add up to the total")
    func errors() {
        var tally = tally()
        for (index, error) in LoadError.allCases.enumerated() { tally[error] = UInt64(index + 1) }
        let text = report(tally).json.printed()
        for (index, error) in LoadError.allCases.enumerated() { #expect(text.contains("\"\(error.word)\": \(index + 1)")) }
        #expect(text.contains("\"total\": 28"))
        #expect(tally.failed == 28)
    }

    @Test(
        "times have three digits and a unit",
        arguments: [(0, "0.00 us"), (950, "0.95 us"), (12_345, "12.3 us"), (999_400, "999 us"), (1_000_000, "1.00 ms"), (61_000_000_000, "61.0 s")] as [(UInt64, String)])
    func times(nanoseconds: UInt64, text: String) {
        #expect(LoadReport.time(nanoseconds) == text)
    }
}
