import Glibc

/// What changes in the fields of an answer on its way to a client.
extension Worker where Ring: ~Copyable {
    /// Marks the fields that are not copied: those that clients do not get, and those that are written anew.
    ///
    /// - Parameter maps: the answer is the final one, so places are mapped back.
    /// - Returns: how many bytes of room the mapped fields need beside those they have.
    mutating func markAnswerFields(_ plan: UnsafePointer<RewritePlan>, maps: Bool) -> Int {
        let bytes = answerBytes.span
        let mapsPlaces = maps && plan.pointee.reverse != nil
        var room = 0
        var at = 0
        while at < responseHead.fieldCount {
            let field = scratchFields[at]
            if plan.pointee.droppedOfAnswers.contains(field, bytes) {
                scratchFields[at].flags.insert(.dropped)
            } else if mapsPlaces && place(field, bytes) != .none {
                scratchFields[at].flags.insert(.dropped)
                // An attribute of a cookie may stand in it several times; no sane one has more than a few.
                room &+= 4 &* (plan.pointee.reverse?.growthBytesMax ?? 0) &+ 64
            }
            at &+= 1
        }
        return min(room, 16_384)
    }

    /// Writes the fields that say where something is, in the words of clients, in their order.
    mutating func appendMappedFields(
        _ plan: UnsafePointer<RewritePlan>, _ exchange: UnsafeMutablePointer<Exchange>, to writer: inout HeadWriter
    ) {
        guard let reverse = plan.pointee.reverse else { return }
        let head = exchange.pointee.head
        let clientHost = ByteSlice(
            start: head.hostLength > 0 ? UnsafeRawPointer(exchange.pointee.headBlock.begin + head.hostStart) : nil, count: head.hostLength)
        let target = delegationText(exchange) ?? .none
        let bytes = answerBytes.span
        var at = 0
        while at < responseHead.fieldCount {
            let field = scratchFields[at]
            at &+= 1
            let place = place(field, bytes)
            guard place != .none, !field.flags.contains(.hopByHop), !plan.pointee.droppedOfAnswers.contains(field, bytes) else { continue }
            writer.append(bytes.extracting(field.nameRange))
            writer.append(": ")
            switch place {
            case .reference: reverse.appendReference(bytes, field.valueRange, clientHost: clientHost, target: target, to: &writer)
            case .refresh: reverse.appendRefresh(bytes, field.valueRange, clientHost: clientHost, target: target, to: &writer)
            case .cookie: reverse.appendCookie(bytes, field.valueRange, target: target, to: &writer)
            case .none: break
            }
            writer.append("\r\n")
        }
    }

    private enum Place { case none, reference, refresh, cookie }

    @inline(__always)
    private mutating func place(_ field: FieldRange, _ bytes: Span<UInt8>) -> Place {
        switch field.name {
        case .location, .contentLocation: .reference
        case .setCookie: .cookie
        case .other where field.nameLength == 7 && equalsFolded(bytes, start: Int(field.nameStart), length: 7, "refresh"): .refresh
        default: .none
        }
    }

    @inline(__always)
    private var answerBytes: UnsafeBufferPointer<UInt8> {
        UnsafeBufferPointer(start: responseBytes.assumingMemoryBound(to: UInt8.self), count: responseHead.headLength)
    }
}
