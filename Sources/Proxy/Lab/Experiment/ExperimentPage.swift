/// The results of an experiment: the raw figures as JSON, and a page with plots for people.
struct ExperimentPage {
    let experiment: ExperimentSettings
    let measurements: [Measurement]
    let verdict: ExperimentVerdict
    /// When it was run, in UTC.
    let date: String
    let machine: MachineFacts
    /// Names and versions of the program and its libraries.
    let versions: [(name: String, version: String)]
    /// The experiment's file as it was.
    let source: String

    /// Everything that the verdict was drawn from, with what the load wrote of each measurement.
    var raw: JSONText {
        let variants = experiment.variants
        return .object([
            ("schema", .text("weir-lab/1")), ("experiment", .text(experiment.name)), ("question", .text(experiment.question ?? "")),
            ("verdict", .text(verdict.sentence)), ("date", .text(date)), ("machine", machine.json),
            ("versions", .object(versions.map { ($0.name, .text($0.version)) })),
            ("variants", .list(variants.map { .text($0.name) })), ("source", .text(source)),
            (
                "comparisons",
                .list(
                    verdict.rows.map { row in
                        .object([
                            ("metric", .text(row.metric.rawValue)), ("variant", .text(variants[row.variant].name)),
                            ("base", .decimal(row.comparison.base)), ("new", .decimal(row.comparison.new)),
                            ("change", .decimal(row.comparison.change)), ("relative", .truth(row.comparison.isRelative)),
                            ("low", row.comparison.interval.map { .decimal($0.low) } ?? .null),
                            ("high", row.comparison.interval.map { .decimal($0.high) } ?? .null),
                            ("probability", .decimal(row.probability)), ("verdict", .text(row.verdictText)),
                        ])
                    })
            ),
            (
                "drifts",
                .list(
                    verdict.drifts.map {
                        .object([("metric", .text($0.metric.rawValue)), ("change", .decimal($0.drift.relativeChange)), ("probability", .decimal($0.drift.probability))])
                    })
            ),
            (
                "measurements",
                .list(
                    measurements.map { measurement in
                        .object([
                            ("turn", .number(measurement.turn)), ("round", .number(measurement.round)),
                            ("variant", .text(variants[measurement.variant].name)),
                            ("complaint", measurement.complaint.map(JSONText.text) ?? .null),
                            ("figures", .object(Metric.allCases.compactMap { metric in measurement.figures[metric].map { (metric.rawValue, .decimal($0)) } })),
                            ("load", (try? JSONText(parsing: Array(measurement.loadResult.utf8))) ?? .null),
                        ])
                    })
            ),
        ])
    }

    var html: String {
        let variants = experiment.variants
        var page = HTMLPage(title: experiment.question ?? experiment.name)
        page.paragraph(verdict.sentence)
        if let belief = experiment.belief {
            page.paragraph("What was believed" + (experiment.document.map { " (\($0))" } ?? "") + ": " + belief)
        }
        page.heading("Figures")
        page.table(table(variants))
        for complaint in Set(verdict.complaints).sorted() {
            page.paragraph("\(plural(verdict.complaints.count { $0 == complaint }, "measurement")) did not count, to be taken again: \(complaint)")
        }
        for drift in verdict.drifts {
            page.paragraph("The machine wandered: \(drift.metric.noun) changed by \(FigureText.change(drift.drift.relativeChange)) from the first round to the last.")
        }
        for metric in experiment.metrics {
            page.heading(metric.unit)
            page.figure(bars(metric, variants), caption: "Medians of \(experiment.rounds) rounds; whiskers: where the median lies with 95 % confidence.")
            page.figure(course(metric, variants), caption: "Every measurement in the order in which it was taken.")
        }
        page.heading("How it was measured")
        page.code(ExperimentPlan(experiment, files: KernelFiles(root: "/nonexistent"), cpus: []).measuredText)
        page.paragraph("\(date), \(MachineFacts.sentence(machine.json)); \(versions.map { "\($0.name) \($0.version)" }.joined(separator: ", ")).")
        page.paragraph(
            "Change: the middle of the changes of all rounds (Hodges and Lehmann), with a 95 % interval by drawing rounds anew. A difference counts "
                + "when the interval leaves out zero and the test of signed ranks, corrected for the number of variants, is below 0.05.")
        page.heading("The experiment's file")
        page.code(source)
        page.paragraph("All figures, with what the load wrote of each measurement: raw.json beside this page.")
        return page.text
    }

    private func table(_ variants: [Variant]) -> HTMLTable {
        var table = HTMLTable(
            caption: "Against \(variants[0].name).",
            columns: ["figure", "variant", "#\(variants[0].name)", "#variant", "#change", "#95 % between", "#probability", "verdict"])
        for row in verdict.rows {
            let comparison = row.comparison
            let mood: HTMLTable.Cell.Mood =
                switch row.verdict {
                case .better: .good
                case .worse: .bad
                case .noEvidence, nil: .soft
                }
            let range = comparison.interval.map {
                "\(ExperimentVerdict.change($0.low, comparison)) … \(ExperimentVerdict.change($0.high, comparison))"
            }
            table.rows.append([
                .init(row.metric.unit), .init(variants[row.variant].name), .init(FigureText.significant(comparison.base)),
                .init(FigureText.significant(comparison.new)), .init(ExperimentVerdict.change(comparison.change, comparison), mood),
                .init(range ?? "–"), .init(FigureText.significant(row.probability, 2)), .init(row.verdictText, mood),
            ])
        }
        return table
    }

    private func bars(_ metric: Metric, _ variants: [Variant]) -> String {
        let bars = variants.indices.compactMap { variant -> BarPlot.Group? in
            let values = experiment.series(metric, variant: variant, in: measurements)
            guard let median = Summaries.median(values) else { return nil }
            let interval = Bootstrap.interval(of: values, seed: 1, statistic: Summaries.median)
            return BarPlot.Group(name: variants[variant].name, bars: [BarPlot.Bar(series: 0, value: median, interval: interval)])
        }
        let better = metric.direction == .lowerIsBetter ? "less is better" : "more is better"
        return BarPlot(title: "By variant", label: "\(metric.unit) (\(better))", series: [""], groups: bars).svg()
    }

    private func course(_ metric: Metric, _ variants: [Variant]) -> String {
        let series = variants.indices.map { variant in
            PlotSeries(
                variants[variant].name,
                measurements.filter { $0.variant == variant && $0.complaint == nil }.compactMap { one in
                    one.figures[metric].map { PlotSeries.Point(Double(one.turn + 1), $0) }
                })
        }
        return LinePlot(title: "In the order of measuring", xLabel: "measurement", yLabel: metric.unit, series: series).svg()
    }
}

extension ExperimentPlan {
    /// The plan without what the machine had before: for the page, which is read elsewhere.
    var measuredText: String {
        text.split(separator: "\n").filter { !$0.hasPrefix("    LACKS") && !$0.hasPrefix("  changes") }.joined(separator: "\n")
    }
}

/// The list of all results of a folder, by question.
func resultsPage(_ results: [(name: String, raw: JSONText)]) -> String {
    var page = HTMLPage(title: "What settings are worth here")
    page.paragraph("One experiment each; its page has the figures, the plots and how it was measured. Run again with: weir lab run tuning/experiments/*.conf")
    for result in results {
        page.subheading(result.raw["question"]?.string ?? result.name)
        page.paragraph(result.raw["verdict"]?.string ?? "")
        page.paragraph("\(result.name)/index.html, \(result.raw["date"]?.string ?? ""), \(MachineFacts.sentence(result.raw["machine"]))")
    }
    return page.text
}
