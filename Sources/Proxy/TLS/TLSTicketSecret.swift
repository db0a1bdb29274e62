import COpenSSL

/// The secret of a process from which all its workers derive the same keys for tickets, without talking.
///
/// Made once and kept across reloads; whoever has it can read what was sealed with any key ever derived from it, so a new
/// one is made by each start.
struct TLSTicketSecret: Sendable {
    static let byteCount = 32
    let bytes: [UInt8]

    /// - Parameter bytes: 32 of them; nil for any other number.
    init?(_ bytes: [UInt8]) {
        guard bytes.count == Self.byteCount else { return nil }
        self.bytes = bytes
    }

    /// A new one; nil where the system gives no random bytes.
    static func random() -> TLSTicketSecret? {
        var bytes = [UInt8](repeating: 0, count: byteCount)
        guard RAND_bytes(&bytes, Int32(byteCount)) == 1 else { return nil }
        return TLSTicketSecret(bytes)
    }
}
