import Glibc

/// `weir bench compare`: 0 = nothing is worse, 1 = something is, 2 = they cannot be compared.
public func benchCompare(base: String, new: String, html: String?, json: String?) -> Int32 {
    do throws(BenchFailure) {
        let results = (base: try BenchResult.read(base), new: try BenchResult.read(new))
        let comparison = BenchComparison(base: results.base, new: results.new)
        guard !comparison.rows.isEmpty else { throw BenchFailure("\(base) and \(new) have no scenario in common") }
        write(comparison.text, to: STDOUT_FILENO)
        if let html { try writeFile(html, reportPage([results.new, results.base], [comparison], history: nil)) }
        if let json { try writeFile(json, comparison.json.printed() + "\n") }
        return comparison.worse > 0 ? 1 : 0
    } catch {
        say("\(error)")
        return 2
    }
}

/// `weir bench report`: the page of results, given as files or as folders, of which the newest run counts; `plot` writes the first
/// plot alone.
public func benchReport(_ paths: [String], html: String, history: String?, plot: String?) -> Int32 {
    do throws(BenchFailure) {
        var results: [BenchResult] = []
        for path in paths {
            results += path.hasSuffix(".json") ? [try BenchResult.read(path)] : try BenchOutput.newestRun(in: path, skipped: say)
        }
        guard !results.isEmpty else { throw BenchFailure("there are no results in \(paths.joined(separator: " "))") }
        // This build first, then other builds, then rivals.
        func rank(_ result: BenchResult) -> Int { result.subject.name == "weir" ? 0 : result.subject.kind == .weir ? 1 : 2 }
        results.sort { (rank($0), $0.subject.name) < (rank($1), $1.subject.name) }
        try writeFile(html, reportPage(results, compared(results), history: history))
        if let plot {
            let report = BenchReport(results: results, history: BenchHistory(lines: ""), comparisons: [])
            guard let picture = report.costPlot(byBytes: false) ?? report.costPlot(byBytes: true) else { throw BenchFailure("there is nothing to plot") }
            try writeFile(plot, picture.svg(isAlone: true))
        }
        write(BenchReport(results: results, history: BenchHistory(lines: ""), comparisons: []).text, to: STDOUT_FILENO)
        return 0
    } catch {
        say("\(error)")
        return 2
    }
}

/// `weir bench list`: scenarios and rivals, and what is missing here.
public func benchList(suite folder: String) -> Int32 {
    do throws(BenchFailure) {
        let suite = BenchSuite(folder: folder, say: say)
        var text = "scenarios (* = quick)\n"
        for scenario in try suite.scenarios(named: [], quickOnly: false) {
            text += "  \(scenario.isQuick ? "*" : " ") \(padded(scenario.name, 20))\(scenario.sentence ?? "")\n"
        }
        text += "rivals\n"
        for name in suite.rivalNames {
            let rival = try suite.readRival(name)
            let lacks = rival.lacks.isEmpty ? "" : ", lacks \(rival.lacks.joined(separator: ", "))"
            text += "    \(padded(name, 20))\(name == "weir" ? "this build" : rival.isInstalled ? "installed" : "not installed")\(lacks)\n"
        }
        write(text, to: STDOUT_FILENO)
        return 0
    } catch {
        say("\(error)")
        return 2
    }
}

private func padded(_ text: String, _ width: Int) -> String { text + String(repeating: " ", count: max(1, width - text.count)) }

/// The page of a run, with the history of a file when one is given.
func reportPage(_ results: [BenchResult], _ comparisons: [BenchComparison], history: String?) -> String {
    let past = history.flatMap { textOfFile($0) }.map { BenchHistory(lines: $0) } ?? BenchHistory(lines: "")
    return BenchReport(results: results, history: past, comparisons: comparisons).html
}

/// This build against the one it was to be compared with; variants of this build against it.
func compared(_ results: [BenchResult]) -> [BenchComparison] {
    guard let own = results.first(where: { $0.subject.name == "weir" }) else { return [] }
    return results.filter { $0.subject.kind == .weir && $0.subject.name != "weir" }.map { other in
        other.subject.settings.isEmpty ? BenchComparison(base: other, new: own) : BenchComparison(base: own, new: other)
    }
}
