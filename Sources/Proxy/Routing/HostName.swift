/// What a virtual host is called, in the form in which names are compared: lower case, without port and final dot.
///
/// RProxy compared names with the port that a client sends, so its files have names with ports; ports are left out.
enum HostName: Hashable, Sendable {
    /// One name.
    case exact(String)
    /// `*.example.com`: every name that ends so; holds `.example.com`.
    case suffix(String)
    /// Any other pattern with `*`.
    case glob(String)
    /// `*` alone.
    case any

    /// Longest name that a host can have in DNS; longer ones are compared with `*` only.
    static let bytesMax = 253

    /// Why a text cannot be the name of a host.
    enum Complaint: Error {
        case empty, tooLong
        case notASCII
        case letter(Character)

        var sentence: String {
            switch self {
            case .empty: "is empty"
            case .tooLong: "is longer than \(HostName.bytesMax) letters"
            case .notASCII: "has letters outside ASCII; write the name as it is sent, in its xn-- form"
            case .letter(let letter): "has '\(letter)', which no name of a host has"
            }
        }
    }

    init(_ text: String) throws(Complaint) {
        var name = Substring(text.lowercased())
        if name.hasPrefix("["), let bracket = name.firstIndex(of: "]") {
            name = name[...bracket]
        } else if let colon = name.firstIndex(of: ":") {
            name = name[..<colon]
        }
        if name.hasSuffix(".") { name = name.dropLast() }
        if name.isEmpty { throw .empty }
        if name.utf8.count > Self.bytesMax { throw .tooLong }
        for letter in name {
            guard letter.isASCII else { throw .notASCII }
            let isAddress = name.hasPrefix("[") && "[]:".contains(letter)
            guard letter.isLetter || letter.isNumber || "*-._~".contains(letter) || isAddress else { throw .letter(letter) }
        }
        var folded = ""
        for letter in name where !(letter == "*" && folded.last == "*") { folded.append(letter) }
        if folded == "*" {
            self = .any
        } else if folded.hasPrefix("*."), folded.count > 2, !folded.dropFirst().contains("*") {
            self = .suffix(String(folded.dropFirst()))
        } else {
            self = folded.contains("*") ? .glob(folded) : .exact(folded)
        }
    }

    /// As it would be written.
    var text: String {
        switch self {
        case .exact(let name), .glob(let name): name
        case .suffix(let name): "*\(name)"
        case .any: "*"
        }
    }
}
