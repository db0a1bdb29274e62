/// The page of a run: tables beside plots, all in one file.
struct BenchReport {
    let results: [BenchResult]
    let history: BenchHistory
    let comparisons: [BenchComparison]

    /// Scenarios that any result has, in the order of their first appearance.
    private var scenarios: [String] {
        var names: [String] = []
        for result in results { for scenario in result.scenarios where !names.contains(scenario.name) { names.append(scenario.name) } }
        return names
    }

    private func scenario(_ name: String, of result: BenchResult) -> BenchResult.Scenario? {
        result.scenarios.first { $0.name == name && $0.isMeasured }
    }

    private static func middle(_ values: [Double]) -> (value: Double, interval: Interval?)? {
        Summaries.median(values).map { ($0, Bootstrap.interval(of: values, seed: 1, statistic: Summaries.median)) }
    }

    var html: String {
        var page = HTMLPage(title: "Weir: benchmarks")
        page.paragraph(
            "Machine: \(MachineFacts.sentence(results.first?.machine)). Figures are medians over rounds in which all took turns; whiskers are 95 % intervals by bootstrap.")
        if Set(results.map(\.run)).count > 1 {
            page.paragraph("The results come from different runs: a change of the machine cannot be told from a difference of the proxies.")
        }
        page.list(results.map(\.subject.told))
        overview(&page)
        for comparison in comparisons { compare(comparison, &page) }
        for name in scenarios { detail(name, &page) }
        historyPart(&page)
        return page.text
    }

    /// CPU time a request (or a GiB) of everybody in every scenario.
    func costPlot(byBytes: Bool) -> BarPlot? {
        let metric = byBytes ? BenchMetric.cpuPerGibibyte : .cpuPerRequest
        var groups: [BarPlot.Group] = []
        for name in scenarios {
            let isBodies = results.contains { scenario(name, of: $0)?.rounds.contains { $0.figures[.cpuPerGibibyte] != nil } ?? false }
            guard isBodies == byBytes else { continue }
            let bars = results.enumerated().compactMap { at, result in
                scenario(name, of: result).flatMap { Self.middle($0.series(metric)) }.map { BarPlot.Bar(series: at, value: $0.value, interval: $0.interval) }
            }
            if !bars.isEmpty { groups.append(.init(name: name, bars: bars)) }
        }
        guard !groups.isEmpty else { return nil }
        return BarPlot(
            title: byBytes ? "CPU time for a GiB of bodies" : "CPU time for a request",
            label: "\(byBytes ? "seconds" : "µs") of the proxy's own CPU time, user and system: less is better",
            series: results.map(\.subject.name), groups: groups)
    }

    /// The table of what it costs, for a terminal.
    var text: String {
        var text = ""
        let width = 13
        func right(_ cell: String) -> String { String(repeating: " ", count: max(1, width - cell.count)) + cell }
        func left(_ cell: String) -> String { cell + String(repeating: " ", count: max(1, 22 - cell.count)) }
        text += left("scenario") + results.map { right(String($0.subject.name.prefix(width - 1))) }.joined() + "\n"
        for name in scenarios {
            let metric = costPlotMetric(name)
            for shown in [metric, .latency99] {
                let values = results.map { result in scenario(name, of: result).flatMap { Summaries.median($0.series(shown)) } }
                let title = shown == metric ? name : "  p99"
                text += left(title) + values.map { right($0.map { FigureText.significant($0) } ?? "–") }.joined() + "  \(shown == metric ? shown.title + ", " : "")\(shown.unit)\n"
            }
        }
        return text
    }

    private func overview(_ page: inout HTMLPage) {
        page.heading("What it costs")
        for byBytes in [false, true] { if let plot = costPlot(byBytes: byBytes) { page.figure(plot.svg()) } }
        var table = HTMLTable(columns: ["scenario"] + results.map { "#" + $0.subject.name } + (results.count > 1 ? ["#first against the best other"] : []))
        for name in scenarios {
            let metric = costPlotMetric(name)
            let values = results.map { result in scenario(name, of: result).flatMap { Summaries.median($0.series(metric)) } }
            var row = [HTMLTable.Cell(name)]
            for (at, value) in values.enumerated() {
                let lack = results[at].scenarios.first { $0.name == name }?.lack ?? ""
                row.append(value.map { .init(FigureText.significant($0) + " " + metric.unit) } ?? .init("–", .soft, told: lack))
            }
            if results.count > 1 {
                if let own = values[0], let best = values.dropFirst().compactMap(\.self).min(), best > 0 {
                    row.append(.init(FigureText.fixed(own / best, 2), own <= best ? .good : .bad))
                } else {
                    row.append(.init("–", .soft))
                }
            }
            table.rows.append(row)
        }
        page.table(table)
        throughput(&page)
    }

    private func costPlotMetric(_ name: String) -> BenchMetric {
        let byBytes = results.contains { scenario(name, of: $0)?.rounds.contains { $0.figures[.cpuPerGibibyte] != nil } ?? false }
        return byBytes ? .cpuPerGibibyte : .cpuPerRequest
    }

    /// Requests a second over the share of a CPU they took, a point for each scenario and proxy.
    private func throughput(_ page: inout HTMLPage) {
        let series = results.map { result in
            PlotSeries(
                result.subject.name,
                result.scenarios.filter(\.isMeasured).compactMap { scenario -> PlotSeries.Point? in
                    guard let cost = Summaries.median(scenario.series(.cpuPerRequest)), let rate = Self.middle(scenario.series(.requestRate)) else { return nil }
                    return PlotSeries.Point(cost * rate.value / 1e6 * 100, rate.value, rate.interval)
                }, isLine: false)
        }
        guard series.contains(where: { !$0.points.isEmpty }) else { return }
        page.heading("Throughput and CPU")
        page.figure(
            LinePlot(
                title: "Requests a second over CPU", xLabel: "% of a CPU that the proxy used", yLabel: "requests a second", xScale: .linear(fromZero: true),
                yScale: .logarithmic, series: series
            ).svg(), caption: "A point for each scenario. Further up and to the left is more work for less.")
    }

    private func detail(_ name: String, _ page: inout HTMLPage) {
        let present = results.filter { scenario(name, of: $0) != nil }
        guard let first = present.first, let told = scenario(name, of: first) else { return }
        page.heading("Scenario \(name)")
        page.paragraph(told.sentence)
        let curves = present.map { result in
            PlotSeries(
                result.subject.name,
                BenchMetric.latencies.compactMap { metric, quantile in
                    scenario(name, of: result).flatMap { Self.middle($0.series(metric)) }.map { PlotSeries.Point(quantile, $0.value, $0.interval) }
                })
        }
        if curves.contains(where: { !$0.points.isEmpty }) {
            page.figure(
                LinePlot(
                    title: "\(name): latency by quantile", xLabel: "share of requests that were at least as fast", yLabel: "µs", xScale: .nines,
                    yScale: .logarithmic, series: curves
                ).svg())
        }
        var table = HTMLTable(caption: "Medians of \(told.rounds.count) rounds, and 95 % intervals.", columns: ["figure"] + present.map { "#" + $0.subject.name })
        for metric in BenchMetric.allCases {
            let cells = present.map { result -> HTMLTable.Cell in
                guard let middle = scenario(name, of: result).flatMap({ Self.middle($0.series(metric)) }) else { return .init("–", .soft) }
                let interval = middle.interval.map { "\(FigureText.significant($0.low)) … \(FigureText.significant($0.high))" } ?? "one round"
                return .init(FigureText.significant(middle.value), told: interval)
            }
            if cells.allSatisfy({ $0.text == "–" }) { continue }
            table.rows.append([.init(metric.title + (metric.unit.isEmpty ? "" : ", " + metric.unit))] + cells)
        }
        page.table(table)
        let remarks = results.flatMap { result in
            (result.scenarios.first { $0.name == name }).map { scenario in (scenario.remarks + (scenario.lack.map { [$0] } ?? [])).map { "\(result.subject.name): \($0)" } } ?? []
        }
        if !remarks.isEmpty { page.list(remarks) }
    }

    private func compare(_ comparison: BenchComparison, _ page: inout HTMLPage) {
        page.heading("\(comparison.new.subject.name) against \(comparison.base.subject.name)")
        page.paragraph(
            "\(comparison.better) better, \(comparison.worse) worse at 5 %, corrected for all \(comparison.rows.count { $0.verdict != nil }) figures by Holm's method. "
                + "Differences of pairs of rounds, signed ranks; intervals by bootstrap.")
        var table = HTMLTable(columns: ["scenario", "figure", "#base", "#new", "#change", "95 % interval", "verdict"])
        for row in comparison.rows {
            let mood: HTMLTable.Cell.Mood = row.verdict == .better ? .good : row.verdict == .worse ? .bad : .soft
            table.rows.append([
                .init(row.scenario), .init(row.metric.title + (row.metric.unit.isEmpty ? "" : ", " + row.metric.unit)), .init(FigureText.significant(row.compared.base)),
                .init(FigureText.significant(row.compared.new)), .init(row.told(row.compared.change)),
                .init(row.compared.interval.map { "\(row.told($0.low)) … \(row.told($0.high))" } ?? "–"),
                .init(row.verdict?.rawValue ?? "not judged", mood, told: "corrected probability \(FigureText.significant(row.probability, 2)), \(row.compared.pairs) pairs"),
            ])
        }
        page.table(table)
        if !comparison.remarks.isEmpty { page.list(comparison.remarks) }
    }

    private func historyPart(_ page: inout HTMLPage) {
        var isOpen = false
        for name in history.entries.map(\.scenario).reduce(into: [String](), { if !$0.contains($1) { $0.append($1) } }) {
            let series = history.series(of: name)
            guard series.count > 1 else { continue }
            if !isOpen { page.heading("History") }
            isOpen = true
            page.subheading(name)
            let step = max(1, series.count / 24)
            let names = series.enumerated().filter { $0.offset % step == 0 }.map { (Double($0.offset), String($0.element.commit.prefix(10))) }
            for metric in [BenchMetric.cpuPerRequest, .latency99, .memory] {
                let points = series.enumerated().compactMap { at, entry in entry.figures[metric].map { PlotSeries.Point(Double(at), $0) } }
                guard points.count > 1 else { continue }
                page.figure(
                    LinePlot(title: "\(name): \(metric.title)", xLabel: "commits, oldest first", yLabel: metric.unit, series: [PlotSeries("", points)], xNames: names).svg())
            }
        }
    }
}
