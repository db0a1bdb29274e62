import Glibc

#if canImport(CUring)
import CUring  // the fuzzer compiles this file without it
#endif

extension ProxyHead {
    /// Room that either version takes at most.
    static let writtenBytesMax = 128

    /// Writes the line of version 1; where the families differ or there are no addresses, `UNKNOWN`.
    func writeText(into writer: inout HeadWriter) {
        guard source.family == destination.family, source.isInternet else {
            writer.append("PROXY UNKNOWN\r\n")
            return
        }
        writer.append(source.family == .ipv4 ? "PROXY TCP4 " : "PROXY TCP6 ")
        append(source, to: &writer)
        writer.append(" ")
        append(destination, to: &writer)
        writer.append(" ")
        writer.append(decimal: UInt64(sourcePort))
        writer.append(" ")
        writer.append(decimal: UInt64(destinationPort))
        writer.append("\r\n")
    }

    /// Writes version 2, without further fields: PROXY with both addresses, or UNSPEC where there are none to tell.
    func writeBinary(into writer: inout HeadWriter) {
        writer.append(ProxyProtocol.signature)
        writer.append(UInt8(0x21))
        // A client of one family at a listener of the other is told in the wider one.
        let isTold = source.isInternet && destination.isInternet
        guard isTold else {
            writer.append(UInt8(0x00))
            appendNumber(0, bytes: 2, to: &writer)
            return
        }
        if source.family == .ipv4 && destination.family == .ipv4 {
            writer.append(UInt8(0x11))
            appendNumber(12, bytes: 2, to: &writer)
            appendNumber(source.high &>> 32, bytes: 4, to: &writer)
            appendNumber(destination.high &>> 32, bytes: 4, to: &writer)
        } else {
            writer.append(UInt8(0x21))
            appendNumber(36, bytes: 2, to: &writer)
            appendWide(source, to: &writer)
            appendWide(destination, to: &writer)
        }
        appendNumber(UInt64(sourcePort), bytes: 2, to: &writer)
        appendNumber(UInt64(destinationPort), bytes: 2, to: &writer)
    }

    private func appendNumber(_ number: UInt64, bytes: Int, to writer: inout HeadWriter) {
        var at = bytes &- 1
        while at >= 0 {
            writer.append(UInt8(truncatingIfNeeded: number &>> UInt64(8 &* at)))
            at &-= 1
        }
    }

    private func appendWide(_ host: HostAddress, to writer: inout HeadWriter) {
        let isMapped = host.family == .ipv4
        appendNumber(isMapped ? 0 : host.high, bytes: 8, to: &writer)
        appendNumber(isMapped ? 0xFFFF &<< 32 | host.high &>> 32 : host.low, bytes: 8, to: &writer)
    }

    private func append(_ host: HostAddress, to writer: inout HeadWriter) {
        if host.family == .ipv4 {
            var shift: UInt64 = 56
            while shift >= 32 {
                if shift < 56 { writer.append(".") }
                writer.append(decimal: host.high &>> shift & 0xFF)
                shift &-= 8
            }
            return
        }
        var words = (host.high.bigEndian, host.low.bigEndian)
        var text = InlineArray<48, CChar>(repeating: 0)
        var span = text.mutableSpan
        span.withUnsafeMutableBufferPointer { buffer in _ = inet_ntop(AF_INET6, &words, buffer.baseAddress!, 48) }
        var at = 0
        while at < 48, text[at] != 0 {
            writer.append(UInt8(bitPattern: text[at]))
            at &+= 1
        }
    }
}
