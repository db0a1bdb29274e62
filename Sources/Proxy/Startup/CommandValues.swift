/// A word of the command line that means nothing; the sentence goes to the operator.
struct CommandComplaint: Error, Equatable {
    var sentence: String
    init(_ sentence: String) { self.sentence = sentence }
}

/// Values as they stand on a command line: `10s`, `64k`, `0-3,5`, `uniform:1ms-10ms`.
enum CommandValues {
    private static let timeUnits: [(String, Double)] = [("us", 1e3), ("ms", 1e6), ("s", 1e9), ("m", 60e9), ("h", 3_600e9)]
    private static let sizeUnits: [(String, Double)] = [("k", 1_024), ("m", 1_048_576), ("g", 1_073_741_824)]

    /// Nanoseconds; a unit is needed.
    static func time(_ text: String, _ option: String) throws(CommandComplaint) -> UInt64 {
        for (unit, factor) in timeUnits where text.hasSuffix(unit) {
            // "5ms" ends in "s" too, but what stands before that is no number.
            guard let number = plain(text.dropLast(unit.utf8.count)) else { continue }
            guard number * factor < 1e18 else { throw CommandComplaint("\(option): '\(text)' is too long") }
            return UInt64(number * factor)
        }
        throw CommandComplaint("\(option): '\(text)' is no time; write 500us, 5ms, 10s, 2m or 1h")
    }

    /// Bytes.
    static func size(_ text: String, _ option: String) throws(CommandComplaint) -> UInt64 {
        let lower = text.lowercased()
        let unit = sizeUnits.first { lower.hasSuffix($0.0) }
        guard let number = plain(unit == nil ? lower[...] : lower.dropLast()), number * (unit?.1 ?? 1) < 1e15 else {
            throw CommandComplaint("\(option): '\(text)' is no size; write 100, 64k, 2m or 1g")
        }
        return UInt64(number * (unit?.1 ?? 1))
    }

    /// A number that is not negative.
    static func number(_ text: some StringProtocol, _ option: String) throws(CommandComplaint) -> Double {
        guard let number = plain(Substring(text)) else { throw CommandComplaint("\(option): '\(text)' is no number") }
        return number
    }

    /// `1%` or `0.01` as a share of one.
    static func share(_ text: String, _ option: String) throws(CommandComplaint) -> Double {
        let isPercent = text.hasSuffix("%")
        guard let number = plain(isPercent ? text.dropLast() : text[...]), number <= (isPercent ? 100 : 1) else {
            throw CommandComplaint("\(option): '\(text)' is no share; write 1% or 0.01")
        }
        return isPercent ? number / 100 : number
    }

    /// `0-3,5`; bounded, as it is for CPUs.
    static func list(_ text: String?, _ option: String) throws(CommandComplaint) -> [Int] {
        guard let text else { return [] }
        var numbers: [Int] = []
        for part in text.split(separator: ",", omittingEmptySubsequences: false) {
            let ends = part.split(separator: "-", omittingEmptySubsequences: false).map { Int($0) }
            guard (1...2).contains(ends.count), let first = ends[0], let last = ends[ends.count - 1], first >= 0, last >= first,
                last < 1_024
            else { throw CommandComplaint("\(option): '\(text)' is no list of CPUs; write 0,2 or 0-3") }
            numbers += first...last
        }
        return numbers
    }

    /// `fixed:A`, `uniform:A-B`, `exp:MEAN`, `lognormal:MEDIAN,SIGMA`, the numbers read by `read`.
    static func distribution(
        _ text: String, _ option: String, _ read: (String, String) throws(CommandComplaint) -> UInt64
    ) throws(CommandComplaint) -> Distribution {
        let parts = text.split(separator: ":", maxSplits: 1).map(String.init)
        let complaint = CommandComplaint("\(option): '\(text)' is no distribution; write fixed:A, uniform:A-B, exp:MEAN or lognormal:MEDIAN,SIGMA")
        guard parts.count == 2 else { throw complaint }
        switch parts[0] {
        case "fixed": return .fixed(try read(parts[1], option))
        case "exp": return .exponential(mean: Double(try read(parts[1], option)))
        case "uniform":
            let ends = parts[1].split(separator: "-").map(String.init)
            guard ends.count == 2 else { throw complaint }
            let (low, high) = (try read(ends[0], option), try read(ends[1], option))
            guard low <= high else { throw complaint }
            return .uniform(low, high)
        case "lognormal":
            let values = parts[1].split(separator: ",").map(String.init)
            guard values.count == 2 else { throw complaint }
            let sigma = try number(values[1], option)
            guard sigma <= 10 else { throw CommandComplaint("\(option): a sigma above 10 is no latency of this world") }
            return .logNormal(median: Double(try read(values[0], option)), sigma: sigma)
        default: throw complaint
        }
    }

    private static func plain(_ text: Substring) -> Double? {
        guard !text.isEmpty, text.utf8.count <= 32, text.utf8.allSatisfy({ $0 == UInt8(ascii: ".") || $0 &- UInt8(ascii: "0") <= 9 }) else {
            return nil
        }
        return Double(text)
    }
}
