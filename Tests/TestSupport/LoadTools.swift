/// `weir origin`, running on a port of its own.
public final class OriginUnderTest {
    public let process: ChildProcess
    public let address: PeerAddress

    public init(_ options: [String] = []) throws {
        process = try ChildProcess([try ProxyUnderTest.binaryPath(), "origin", "--listen", "127.0.0.1:0"] + options)
        guard let address = process.waitForOutput(within: Patience.step * 2, { ProxyUnderTest.announced(in: $0).first }) else {
            throw ScenarioFailure("the origin has no ready line: \(process.standardError.readable)")
        }
        self.address = address
    }

    public func url(_ path: String = "/", scheme: String = "http") -> String { "\(scheme)://\(address)\(path)" }

    /// Asks for a stop and demands an exit of 0.
    public func stop() throws {
        process.signal(15)
        let ending = try process.waitForEnd()
        guard ending == .exit(0) else { throw ScenarioFailure("the origin ended with \(ending): \(process.standardError.readable)") }
    }
}

/// One run of `weir load`, and what it told.
public struct LoadRun: Sendable {
    public let exitCode: Int32
    public let json: JSONValue
    public let errors: String

    /// Runs `weir load` to its end. `tolerant` tells figures also where the machine was too busy to be exact.
    public init(_ arguments: [String], tolerant: Bool = true) throws {
        let command = [try ProxyUnderTest.binaryPath(), "load"] + arguments + ["--json", "-"] + (tolerant ? ["--report-anyway"] : [])
        try self.init(of: try ChildProcess(command))
    }

    public init(of process: ChildProcess) throws {
        let ending = try process.waitForEnd(within: Patience.step * 6)
        guard case .exit(let code) = ending else { throw ScenarioFailure("weir load: \(ending): \(process.standardError.readable)") }
        exitCode = code
        errors = process.standardError.text
        json = process.standardOutput.isEmpty ? .null : try JSONValue(process.standardOutput)
    }

    /// A number by its path: `number("requests", "answered")`. What is not there, or no number, is a failure of its own.
    public func number(_ path: String...) throws -> Double {
        var value: JSONValue? = json
        for name in path { value = value?[name] }
        guard let number = value?.number else { throw ScenarioFailure("weir load tells no \(path.joined(separator: ".")): \(json) \(errors)") }
        return number
    }

    /// Whether all requests that began ended in an answer or an error, and the histogram has all answers.
    public var addsUp: Bool {
        get throws {
            let answered = try number("requests", "answered")
            return try number("requests", "started") == answered + number("errors", "total") && number("latency_us", "count") == answered
                && number("service_us", "count") == answered
        }
    }
}
