/// The page at `/`: the request as it arrived here, behind whatever it passed on the way.
extension Origin {
    mutating func answerPage(_ connection: UnsafeMutablePointer<OriginConnection>) {
        var page = ByteQueue()
        guard writePage(connection, into: &page) else {
            page.clear(into: &blocks)
            return close(connection)
        }
        hold(connection, 200, "text/html; charset=utf-8", .length(UInt64(page.count)))
        attach(connection, &page)
    }

    private mutating func writePage(
        _ connection: UnsafeMutablePointer<OriginConnection>, into page: inout ByteQueue
    ) -> Bool {
        text(Self.pageStart, &page)
            && text("<p>This page comes from the origin on port <b>", &page) && number(UInt64(listenerPort), &page)
            && text("</b>. The request, as the origin saw it on a connection from port ", &page)
            && number(UInt64(ring.peerAddress(connection.pointee.socket).port), &page)
            && text(":</p>\n<table>\n<tr class=line><td colspan=2><code>", &page)
            && escaped(bytes(request.methodStart, request.methodLength), &page) && text(" ", &page)
            && escaped(bytes(request.targetStart, request.targetLength), &page)
            && text(request.versionMinor == 0 ? " HTTP/1.0" : " HTTP/1.1", &page) && text("</code></td></tr>\n", &page)
            && fieldRows(&page) && text(Self.pageEnd, &page)
    }

    private mutating func fieldRows(_ page: inout ByteQueue) -> Bool {
        for index in 0..<request.fieldCount {
            let field = requestFields[index]
            guard text("<tr><th>", &page), escaped(bytes(Int(field.nameStart), Int(field.nameLength)), &page),
                text("</th><td>", &page), escaped(bytes(Int(field.valueStart), Int(field.valueLength)), &page),
                text("</td></tr>\n", &page)
            else { return false }
        }
        return true
    }

    private mutating func text(_ text: StaticString, _ page: inout ByteQueue) -> Bool {
        page.append(text.utf8Start, text.utf8CodeUnitCount, from: &blocks)
    }

    private mutating func number(_ value: UInt64, _ page: inout ByteQueue) -> Bool {
        guard let place = page.reserve(20, from: &blocks) else { return false }
        var writer = HeadWriter(base: place, capacity: 20)
        writer.append(decimal: value)
        page.commit(writer.count)
        return true
    }

    /// Bytes of the wire as text of a page: marks as entities, whatever is not plain ASCII as a question mark.
    private mutating func escaped(_ bytes: UnsafeBufferPointer<UInt8>, _ page: inout ByteQueue) -> Bool {
        for byte in bytes {
            let done =
                switch byte {
                case UInt8(ascii: "&"): text("&amp;", &page)
                case UInt8(ascii: "<"): text("&lt;", &page)
                case UInt8(ascii: ">"): text("&gt;", &page)
                case UInt8(ascii: "\""): text("&quot;", &page)
                case 0x20..<0x7F: withUnsafeBytes(of: byte) { page.append($0.baseAddress!, 1, from: &blocks) }
                default: text("?", &page)
                }
            if !done { return false }
        }
        return true
    }

    private static var pageStart: StaticString {
        """
        <!doctype html>
        <html lang=en>
        <meta charset=utf-8>
        <meta name=viewport content="width=device-width">
        <title>Behind Weir</title>
        <style>
        :root { color-scheme: light dark }
        body { font: 16px/1.5 system-ui, sans-serif; max-width: 46rem; margin: 3rem auto; padding: 0 1rem }
        h1 { font-weight: 600; letter-spacing: -.02em }
        table { border-collapse: collapse; width: 100%; font-size: 14px }
        th, td { text-align: left; vertical-align: top; padding: .3rem .8rem .3rem 0; border-bottom: 1px solid #8884 }
        td { overflow-wrap: anywhere; font-family: ui-monospace, monospace }
        th { white-space: nowrap; font-weight: 600 }
        .line td { border-bottom: 2px solid #8888 }
        li code { font-weight: 600 }
        </style>
        <h1>Behind Weir</h1>

        """
    }

    private static var pageEnd: StaticString {
        """
        </table>
        <p>Also here:</p>
        <ul>
        <li><a href=/hello><code>/hello</code></a> a line of text
        <li><a href=/bytes/1000000><code>/bytes/N</code></a> N bytes; <a href=/chunked/100000><code>/chunked/N</code></a> in chunks;
        <a href=/until-close/100000><code>/until-close/N</code></a> without a length; <code>?tag=T</code> makes them others
        <li><a href=/slow/1000><code>/slow/MS</code></a> answers after so many milliseconds
        <li><a href=/drip><code>/drip</code></a> a byte each tenth of a second
        <li><a href=/status/418><code>/status/NNN</code></a> an answer with that status
        <li><code>/broken/N</code> an answer that breaks off in the middle
        <li><code>POST /echo</code> sends a body back; <code>POST /upload</code> tells whether it is what <code>/bytes</code> sends
        <li><code>/ws</code> a WebSocket that echoes; <code>/tunnel</code> the same for any other <code>Upgrade</code>
        </ul>

        """
    }
}
