/// Maps what a backend says about its own place to the place that clients know: the other way of a rewriting.
///
/// Location, Content-Location, Refresh, and Path and Domain of cookies. What speaks of other hosts is never touched.
struct LocationRewrite: BitwiseCopyable, @unchecked Sendable {
    /// One place as the backend names it, and what clients call it.
    struct Mapping: BitwiseCopyable {
        /// Empty = a path on whatever authority is the backend's own.
        let host: LastingBytes
        /// As said or as the scheme has it; 0 with an empty host.
        let port: Int32
        let isSecure: Bool
        /// Without a slash at its end; empty = everything.
        let path: LastingBytes
        /// A path, or a URL, without a slash at its end.
        let to: LastingBytes
        /// Both are paths, and the clients' lies within the backend's: what is there already stays.
        let isInward: Bool
    }
    /// A host and port by which a backend may name itself.
    struct Own: BitwiseCopyable {
        let host: LastingBytes
        /// -1 = any.
        let port: Int32
    }
    /// One attribute of cookies: a value and what takes its place.
    struct Substitute: BitwiseCopyable {
        let from: LastingBytes
        let to: LastingBytes
    }
    let mappings: UnsafeBufferPointer<Mapping>
    let own: UnsafeBufferPointer<Own>
    /// Path prefixes without a slash at their end.
    let cookiePaths: UnsafeBufferPointer<Substitute>
    /// Small letters, without a dot before them; an empty `to` takes the attribute out.
    let cookieDomains: UnsafeBufferPointer<Substitute>
    /// Most bytes by which mapping makes one reference or attribute longer.
    let growthBytesMax: Int

    /// Writes the reference in `range` as clients know it, or as it is.
    ///
    /// - Parameters:
    ///   - clientHost: the authority that the client asked for, which a backend that gets it may name too.
    ///   - target: `host:port` in small letters of the place that the request was sent on to, which is the backend then.
    func appendReference(
        _ bytes: Span<UInt8>, _ range: Range<Int>, clientHost: ByteSlice, target: ByteSlice = .none, to writer: inout HeadWriter
    ) {
        let reference = parseURIReference(bytes, start: range.lowerBound, end: range.upperBound)
        var index = 0
        while reference.form != .other, index < mappings.count {
            let mapping = mappings[index]
            index &+= 1
            let isPublic = reference.form == .absolute && isClientHost(bytes, reference, clientHost)
            guard applies(mapping, reference, bytes, isPublic: isPublic, target) else { continue }
            let restStart = reference.pathStart &+ min(mapping.path.count, reference.pathLength)
            let restLength = reference.pathStart &+ reference.pathLength &- restStart
            // What would begin with two slashes would name a host.
            if mapping.to.count == 0 && restLength > 1 && bytes[restStart &+ 1] == UInt8(ascii: "/") { break }
            let isPath = mapping.to.count == 0 || mapping.to.bytes[0] == UInt8(ascii: "/")
            // A public authority may be named on purpose, with another scheme: only its path changes.
            if isPublic && isPath { writer.append(bytes.extracting(range.lowerBound..<reference.pathStart)) }
            writer.append(mapping.to.bytes.span)
            if restLength == 0 && (mapping.to.count == 0 || mapping.path.count == 0) { writer.append("/") }
            writer.append(bytes.extracting(restStart..<range.upperBound))
            return
        }
        writer.append(bytes.extracting(range))
    }

    private func applies(
        _ mapping: Mapping, _ reference: URIReference, _ bytes: Span<UInt8>, isPublic: Bool, _ target: ByteSlice
    ) -> Bool {
        guard isUnder(bytes, start: reference.pathStart, length: reference.pathLength, mapping.path.bytes.span) else { return false }
        if mapping.host.count > 0 {
            guard reference.form == .absolute, reference.hasScheme, reference.isSecure == mapping.isSecure else { return false }
            return names(mapping.host, mapping.port, reference, bytes)
        }
        if reference.form == .absolute && !isPublic && !isOwn(reference, bytes, target) { return false }
        return !(mapping.isInward && isUnder(bytes, start: reference.pathStart, length: reference.pathLength, mapping.to.bytes.span))
    }

    private func isOwn(_ reference: URIReference, _ bytes: Span<UInt8>, _ target: ByteSlice) -> Bool {
        if let (host, port) = Self.authority(target), names(host, port, reference, bytes) { return true }
        var index = 0
        while index < own.count {
            if names(own[index].host, own[index].port, reference, bytes) { return true }
            index &+= 1
        }
        return false
    }

    /// Host and port of a target, whose text is ours: a colon stands before the port.
    private static func authority(_ target: ByteSlice) -> (host: LastingBytes, port: Int32)? {
        guard let start = target.start else { return nil }
        let text = LastingBytes(start: start, count: target.count).bytes
        var hostLength = target.count
        while hostLength > 0, text[hostLength &- 1] != UInt8(ascii: ":") { hostLength &-= 1 }
        var port: Int32 = 0
        for at in hostLength..<target.count { port = port &* 10 &+ Int32(text[at] &- UInt8(ascii: "0")) }
        return hostLength > 0 ? (LastingBytes(start: start, count: hostLength &- 1), port) : nil
    }

    private func names(_ host: LastingBytes, _ port: Int32, _ reference: URIReference, _ bytes: Span<UInt8>) -> Bool {
        let authority = reference.authority
        guard authority.hostLength == host.count else { return false }
        var offset = 0
        while offset < host.count {
            if lowercased(bytes[authority.start &+ offset]) != host.bytes[offset] { return false }
            offset &+= 1
        }
        return port < 0 || Int(port) == (authority.port >= 0 ? authority.port : reference.isSecure ? 443 : 80)
    }

    private func isClientHost(_ bytes: Span<UInt8>, _ reference: URIReference, _ clientHost: ByteSlice) -> Bool {
        guard let host = clientHost.buffer, host.count == reference.authority.length else { return false }
        var offset = 0
        while offset < host.count {
            if lowercased(bytes[reference.authority.start &+ offset]) != lowercased(host[offset]) { return false }
            offset &+= 1
        }
        return true
    }

    /// Writes the value of a `Refresh` field with its URL mapped.
    func appendRefresh(
        _ bytes: Span<UInt8>, _ range: Range<Int>, clientHost: ByteSlice, target: ByteSlice = .none, to writer: inout HeadWriter
    ) {
        guard let url = refreshURL(bytes, start: range.lowerBound, end: range.upperBound) else {
            writer.append(bytes.extracting(range))
            return
        }
        writer.append(bytes.extracting(range.lowerBound..<url.lowerBound))
        appendReference(bytes, url, clientHost: clientHost, target: target, to: &writer)
        writer.append(bytes.extracting(url.upperBound..<range.upperBound))
    }

    /// Writes the value of a `Set-Cookie` field with its Path and Domain mapped.
    ///
    /// A cookie named `__Host-…` keeps its path, because browsers take it with `/` only (RFC 6265bis §4.1.3.2).
    func appendCookie(_ bytes: Span<UInt8>, _ range: Range<Int>, target: ByteSlice = .none, to writer: inout HeadWriter) {
        var parts = SetCookieParts(start: range.lowerBound, end: range.upperBound)
        var keepsPath = false
        var isFirst = true
        while parts.advance(bytes) {
            let mark = writer.count
            if !isFirst { writer.append("; ") }
            switch parts.kind {
            case .pair:
                keepsPath = parts.length >= 7 && equalsFolded(bytes, start: parts.start, length: 7, "__host-")
                writer.append(bytes.extracting(parts.start..<(parts.start &+ parts.length)))
            case .path where !keepsPath:
                writer.append("Path=")
                appendCookiePath(bytes, parts, to: &writer)
            case .domain:
                if !appendCookieDomain(bytes, parts, target, to: &writer) { writer.truncate(to: mark) }
            case .path, .other:
                writer.append(bytes.extracting(parts.start..<(parts.start &+ parts.length)))
            }
            isFirst = false
        }
    }

    private func appendCookiePath(_ bytes: Span<UInt8>, _ parts: SetCookieParts, to writer: inout HeadWriter) {
        var index = 0
        while index < cookiePaths.count {
            let pair = cookiePaths[index]
            index &+= 1
            guard parts.valueLength > 0, bytes[parts.valueStart] == UInt8(ascii: "/"),
                isUnder(bytes, start: parts.valueStart, length: parts.valueLength, pair.from.bytes.span)
            else { continue }
            if pair.to.count > pair.from.count,
                isUnder(pair.to.bytes.span, start: 0, length: pair.to.count, pair.from.bytes.span),
                isUnder(bytes, start: parts.valueStart, length: parts.valueLength, pair.to.bytes.span)
            {
                break
            }
            writer.append(pair.to.bytes.span)
            let rest = (parts.valueStart &+ pair.from.count)..<(parts.valueStart &+ parts.valueLength)
            // `/app` covers `/app/` and itself, which `/app/` would not.
            if rest.count > 1 || pair.to.count == 0 { writer.append(bytes.extracting(rest)) }
            if rest.isEmpty && pair.to.count == 0 { writer.append("/") }
            return
        }
        writer.append(bytes.extracting(parts.valueStart..<(parts.valueStart &+ parts.valueLength)))
    }

    private func isHost(_ host: LastingBytes, _ bytes: Span<UInt8>, start: Int, length: Int) -> Bool {
        guard host.count == length else { return false }
        var offset = 0
        while offset < length, lowercased(bytes[start &+ offset]) == host.bytes[offset] { offset &+= 1 }
        return offset == length
    }

    /// False when the attribute has to go.
    private func appendCookieDomain(
        _ bytes: Span<UInt8>, _ parts: SetCookieParts, _ target: ByteSlice, to writer: inout HeadWriter
    ) -> Bool {
        var start = parts.valueStart
        var length = parts.valueLength
        if length > 0 && bytes[start] == UInt8(ascii: ".") {
            start &+= 1
            length &-= 1
        }
        // A browser refuses a cookie for another site; for the one it asked it needs no attribute.
        if let (host, _) = Self.authority(target), isHost(host, bytes, start: start, length: length) { return false }
        var index = 0
        while index < cookieDomains.count {
            let pair = cookieDomains[index]
            index &+= 1
            guard isHost(pair.from, bytes, start: start, length: length) else { continue }
            if pair.to.count == 0 { return false }
            writer.append("Domain=")
            writer.append(pair.to.bytes.span)
            return true
        }
        writer.append(bytes.extracting(parts.start..<(parts.start &+ parts.length)))
        return true
    }
}
