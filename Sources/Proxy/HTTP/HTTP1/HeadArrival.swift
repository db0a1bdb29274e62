/// Says when a head that arrives in pieces is worth parsing, so that a dripping peer costs linear time.
///
/// Parsing is worth it at the first bytes (a wrong protocol shows there), whenever the head has doubled since the last
/// look, when it outgrows a limit, and when its end has come. In between only the new bytes are searched for the blank
/// line. One value per head; make a new one for the next.
struct HeadArrival: Sendable {
    private var searched = 0
    private var nextLook = 1

    /// Whether to parse now; `bytes` are all that have come of this head so far.
    mutating func isWorthParsing(_ bytes: Span<UInt8>, limits: HeadLimits) -> Bool {
        if findHeadEnd(bytes, resumeAt: &searched) != nil { return true }
        if bytes.count < nextLook { return false }
        // The next look is at twice the length, or at a limit that lies before it.
        nextLook = bytes.count &* 2
        let lineMax = min(limits.lineBytesMaxInUse, 65_533) &+ 2
        let headMax = limits.headBytesMaxInUse
        if bytes.count < lineMax && lineMax < nextLook { nextLook = lineMax }
        if bytes.count < headMax && headMax < nextLook { nextLook = headMax }
        return true
    }
}
