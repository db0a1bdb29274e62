import CUring
import Glibc

extension SocketAddress {
    /// Prints the address into a head: `1.2.3.4`, or with its port `1.2.3.4:80` and `[::1]:80`; `unix` for unix sockets.
    func append(to writer: inout HeadWriter, withPort: Bool) {
        var text = InlineArray<64, CChar>(repeating: 0)
        let printed: Bool = withUnsafeBytes(of: storage) { raw in
            var span = text.mutableSpan
            return span.withUnsafeMutableBufferPointer { buffer in
                switch family {
                case AF_INET: inet_ntop(AF_INET, raw.baseAddress! + 4, buffer.baseAddress!, 64) != nil
                case AF_INET6: inet_ntop(AF_INET6, raw.baseAddress! + 8, buffer.baseAddress!, 64) != nil
                default: false
                }
            }
        }
        guard printed else {
            writer.append("unix")
            return
        }
        if withPort && family == AF_INET6 { writer.append("[") }
        var at = 0
        while at < 64, text[at] != 0 {
            writer.append(UInt8(bitPattern: text[at]))
            at &+= 1
        }
        if withPort {
            writer.append(family == AF_INET6 ? "]:" : ":")
            writer.append(decimal: UInt64(port))
        }
    }
}
