import Glibc

/// One file of the project: its path from the project's folder and its bytes as text.
struct TidyFile: Sendable {
    let path: String
    let text: String

    var name: String { path.split(separator: "/").last.map(String.init) ?? path }
    var lines: [Substring] { text.split(separator: "\n", omittingEmptySubsequences: false) }
    /// The room it belongs to; nil outside Sources/Proxy.
    var room: String? {
        let parts = path.split(separator: "/")
        return path.hasPrefix("Sources/Proxy/") && parts.count > 3 ? String(parts[2]) : nil
    }
}

/// The files of the project, read once.
enum SourceTree {
    /// The folder that holds Package.swift, found from where this file was compiled.
    static let root: String = {
        let here = #filePath
        let tests = here.range(of: "/Tests/TidyTests/")
        return tests.map { String(here[..<$0.lowerBound]) } ?? "."
    }()

    /// Everything but what tools make: sources, tests, pages, scripts.
    static let files: [TidyFile] = {
        let folders = ["Sources", "Tests", "Tools", "docs", "packaging", ".ci"]
        let single = [
            "Package.swift", "Makefile", "README.md", "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md", ".gitignore",
            ".editorconfig", ".swift-format",
        ]
        var paths = single.filter { exists($0) }
        for folder in folders { collect(folder, into: &paths) }
        return paths.sorted().map { TidyFile(path: $0, text: read($0)) }
    }()

    static let swift = files.filter { $0.path.hasSuffix(".swift") }
    static let sources = swift.filter { $0.path.hasPrefix("Sources/") }
    static let pages = files.filter { $0.path.hasSuffix(".md") }

    static func file(_ path: String) -> TidyFile? { files.first { $0.path == path } }

    static func exists(_ path: String) -> Bool { access("\(root)/\(path)", F_OK) == 0 }

    private static func collect(_ folder: String, into paths: inout [String]) {
        guard let directory = opendir("\(root)/\(folder)") else { return }
        defer { closedir(directory) }
        while let entry = readdir(directory) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if name == "." || name == ".." || ["findings", "__pycache__", ".build"].contains(name) { continue }
            let path = "\(folder)/\(name)"
            if Int32(entry.pointee.d_type) == directoryType { collect(path, into: &paths) } else { paths.append(path) }
        }
    }

    private static func read(_ path: String) -> String {
        guard let file = fopen("\(root)/\(path)", "r") else { return "" }
        defer { fclose(file) }
        var bytes: [UInt8] = []
        var piece = [UInt8](repeating: 0, count: 65_536)
        while case let count = fread(&piece, 1, piece.count, file), count > 0 { bytes += piece[..<count] }
        return String(decoding: bytes, as: UTF8.self)
    }
}

private let directoryType: Int32 = 4

extension String {
    /// Where `part` stands first.
    func range(of part: String) -> Range<String.Index>? { firstRange(of: part) }
}
