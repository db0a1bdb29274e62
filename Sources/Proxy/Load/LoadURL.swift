/// An `http` or `https` URL taken apart, as far as a load generator needs it.
struct LoadURL: Sendable, Equatable {
    var isSecure: Bool
    /// A name or an address, an IPv6 one without brackets.
    var host: String
    var port: UInt16
    /// Path and query as they are sent.
    var target: String

    /// `Host` as it is sent: without the usual port.
    var authority: String {
        let name = host.contains(":") ? "[\(host)]" : host
        return port == (isSecure ? 443 : 80) ? name : "\(name):\(port)"
    }

    /// Nil for what is no such URL, has a user in it, or bytes that a request line must not have.
    init?(_ text: String) {
        guard text.utf8.count <= 8_192, text.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F }) else { return nil }
        var rest = text[...]
        if rest.hasPrefix("http://") {
            isSecure = false
            rest = rest.dropFirst(7)
        } else if rest.hasPrefix("https://") {
            isSecure = true
            rest = rest.dropFirst(8)
        } else {
            return nil
        }
        let end = rest.firstIndex { "/?#".contains($0) } ?? rest.endIndex
        let place = rest[..<end]
        var path = rest[end...].prefix { $0 != "#" }
        if path.isEmpty { path = "/" }
        target = path.hasPrefix("?") ? "/" + path : String(path)

        guard !place.contains("@") else { return nil }
        var portText: Substring?
        if place.hasPrefix("[") {
            guard let close = place.firstIndex(of: "]") else { return nil }
            host = String(place[place.index(after: place.startIndex)..<close])
            let behind = place[place.index(after: close)...]
            guard behind.isEmpty || behind.hasPrefix(":") else { return nil }
            portText = behind.isEmpty ? nil : behind.dropFirst()
        } else if let colon = place.firstIndex(of: ":") {
            host = String(place[..<colon])
            portText = place[place.index(after: colon)...]
        } else {
            host = String(place)
        }
        guard !host.isEmpty else { return nil }
        guard let portText else {
            port = isSecure ? 443 : 80
            return
        }
        guard portText.allSatisfy({ $0.isASCII && $0.isNumber }), let number = UInt16(portText), number > 0 else { return nil }
        port = number
    }

    /// Whether requests to both can share connections.
    func sharesConnections(with other: LoadURL) -> Bool {
        isSecure == other.isSecure && host == other.host && port == other.port
    }
}
