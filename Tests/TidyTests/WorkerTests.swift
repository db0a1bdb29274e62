import Testing

@Suite("Methods of the worker")
struct WorkerTests {
    /// A method that borrows a value which cannot be copied cheaply is given a copy of it all the same where it is not
    /// inlined: some kilobytes for each call.
    @Test("a method of the worker is mutating, or always inlined")
    func mutating() {
        for file in SourceTree.files where file.path.hasPrefix("Sources/Proxy/") {
            var isInside = false
            var previous = ""
            for (number, line) in file.lines.enumerated() {
                if line.hasPrefix("extension Worker where Ring") { isInside = true } else if line.hasPrefix("}") { isInside = false }
                if isInside, line.hasPrefix("    func ") || line.hasPrefix("    private func "), !previous.contains("@inline(__always)") {
                    Issue.record("\(file.path):\(number + 1): say mutating, or @inline(__always): else each call copies the worker")
                }
                previous = String(line)
            }
        }
    }
}
