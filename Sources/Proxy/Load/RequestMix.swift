/// The requests of a run, each with its weight, in words.
struct RequestMix: Sendable, Equatable {
    struct Request: Sendable, Equatable {
        var weight: UInt64 = 1
        var method = "GET"
        var target = "/"
        /// `Name: value` each.
        var fields: [String] = []
        var body = Body.none
    }

    enum Body: Sendable, Equatable {
        case none
        /// So many bytes of a pattern.
        case size(UInt64)
        case file(String)
    }

    struct Complaint: Error, Equatable {
        /// 0 = no line in particular.
        var line: Int
        var sentence: String
    }

    var requests: [Request] = []

    static let requestsMax = 10_000
    static let weightMax: UInt64 = 1_000_000
    static let bodyBytesMax: UInt64 = 1 << 30

    /// Reads lines of `WEIGHT METHOD TARGET [size=BYTES | body=FILE] ['Name: value']…`.
    ///
    /// Words stand between blanks or in quotation marks, `#` begins a comment.
    ///
    /// - Parameter size: reads a number of bytes; nil when it is none.
    init(parsing text: String, size: (String) -> UInt64?) throws(Complaint) {
        for (number, line) in text.split(separator: "\n", omittingEmptySubsequences: false).enumerated() {
            let words = try Self.words(line, number + 1)
            if words.isEmpty { continue }
            requests.append(try Self.request(words, number + 1, size: size))
            guard requests.count <= Self.requestsMax else { throw Complaint(line: number + 1, sentence: "more than \(Self.requestsMax) requests") }
        }
        if requests.isEmpty { throw Complaint(line: 0, sentence: "it has no requests") }
    }

    init(_ requests: [Request]) { self.requests = requests }

    private static func request(_ words: [String], _ line: Int, size: (String) -> UInt64?) throws(Complaint) -> Request {
        guard words.count >= 3 else { throw Complaint(line: line, sentence: "a line has a weight, a method and a target") }
        guard let weight = UInt64(words[0]), (1...weightMax).contains(weight) else {
            throw Complaint(line: line, sentence: "'\(words[0])' is no weight; write 1 to \(weightMax)")
        }
        var request = Request(weight: weight, method: words[1], target: words[2])
        if let wrong = wrong(method: words[1]) ?? wrong(target: words[2]) { throw Complaint(line: line, sentence: wrong) }
        for word in words.dropFirst(3) {
            if word.hasPrefix("size=") {
                guard let bytes = size(String(word.dropFirst(5))), bytes <= bodyBytesMax else {
                    throw Complaint(line: line, sentence: "'\(word)' is no size; write size=64k")
                }
                request.body = .size(bytes)
            } else if word.hasPrefix("body=") {
                request.body = .file(String(word.dropFirst(5)))
            } else if let wrong = wrong(field: word) {
                throw Complaint(line: line, sentence: wrong)
            } else {
                request.fields.append(word)
            }
        }
        return request
    }

    /// What is wrong with a method, a target or a field line; nil = nothing.
    static func wrong(method: String) -> String? {
        let isToken = !method.isEmpty && method.utf8.count <= 64 && method.utf8.allSatisfy { isLetter($0) || $0 == UInt8(ascii: "-") }
        return isToken ? nil : "'\(method)' is no method"
    }

    static func wrong(target: String) -> String? {
        let isRight = target.hasPrefix("/") && target.utf8.count <= 8_192 && target.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7F }
        return isRight ? nil : "'\(target)' is no target; it begins with / and has no blanks"
    }

    static func wrong(field: String) -> String? {
        guard let colon = field.utf8.firstIndex(of: UInt8(ascii: ":")), colon != field.utf8.startIndex, field.utf8.count <= 8_192,
            field.utf8[..<colon].allSatisfy({ isLetter($0) || $0 &- UInt8(ascii: "0") <= 9 || $0 == UInt8(ascii: "-") || $0 == UInt8(ascii: "_") }),
            field.utf8.allSatisfy({ $0 >= 0x20 && $0 != 0x7F })
        else { return "'\(field)' is no header; write 'Name: value'" }
        return nil
    }

    private static func isLetter(_ byte: UInt8) -> Bool { (byte | 0x20) &- UInt8(ascii: "a") < 26 }

    private static func words(_ line: Substring, _ number: Int) throws(Complaint) -> [String] {
        var words: [String] = []
        var word: String?
        var quote: Character?
        for letter in line {
            if let open = quote {
                if letter == open { quote = nil } else { word?.append(letter) }
            } else if letter == "'" || letter == "\"" {
                quote = letter
                word = word ?? ""
            } else if letter == "#" && word == nil {
                break
            } else if letter == " " || letter == "\t" || letter == "\r" {
                if let done = word { words.append(done) }
                word = nil
            } else {
                word = (word ?? "") + String(letter)
            }
        }
        if quote != nil { throw Complaint(line: number, sentence: "a quotation mark is not closed") }
        if let done = word { words.append(done) }
        return words
    }
}
