import Glibc

/// The folder of a run's results: written after each scenario, so that what ends a run takes no more than one.
struct BenchOutput {
    let folder: String

    var pagePath: String { "\(folder)/report.html" }

    /// Makes the folder and removes results of an earlier run, which a report would mix with those of this one; other files stay.
    init(folder: String) throws(BenchFailure) {
        self.folder = folder
        var sofar = folder.hasPrefix("/") ? "/" : ""
        for part in folder.split(separator: "/") {
            sofar += part
            if mkdir(sofar, 0o755) != 0, errno != EEXIST { throw BenchFailure("cannot make the folder \(sofar): \(String(cString: strerror(errno)))") }
            sofar += "/"
        }
        for name in entries(folder) where name.hasSuffix(".json") && BenchResult.isResult("\(folder)/\(name)") { unlink("\(folder)/\(name)") }
        unlink(pagePath)
    }

    func write(_ results: [BenchResult]) throws(BenchFailure) {
        for result in results { try writeFile("\(folder)/\(result.subject.fileName).json", result.json.printed() + "\n") }
    }

    /// The results of the newest run in a folder; `skipped` is told which others lie there.
    static func newestRun(in folder: String, skipped: (String) -> Void) throws(BenchFailure) -> [BenchResult] {
        var results: [BenchResult] = []
        for name in entries(folder) where name.hasSuffix(".json") {
            let path = "\(folder)/\(name)"
            do throws(BenchFailure) {
                results.append(try BenchResult.read(path))
            } catch {
                skipped("\(error); it is left out")
            }
        }
        guard let newest = results.max(by: { $0.time < $1.time }) else { return [] }
        for result in results where result.run != newest.run { skipped("\(result.subject.name) in \(folder) is of an earlier run and is left out") }
        return results.filter { $0.run == newest.run }
    }
}
