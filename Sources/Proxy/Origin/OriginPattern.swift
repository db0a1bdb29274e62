import Glibc

/// The content of all large bodies: printable bytes without a short period, so that each place can be told from others.
///
/// Byte `i` of a body with tag `t` is byte `(i + t) mod 65521` of the table. So a receiver who knows the address knows
/// every byte, and two bodies with different tags differ almost everywhere.
struct OriginPattern {
    /// A prime, so that no power of two of buffers or blocks hides a displacement.
    static let period = 65_521
    /// How many bytes can be read from any place in one piece.
    static let pieceMax = 262_144
    private let table: UnsafeMutableRawPointer

    init() {
        let length = Self.period + Self.pieceMax
        table = .allocate(byteCount: length, alignment: 64)
        var state: UInt32 = 1
        for index in 0..<Self.period {
            // The generator of the C standard's example; anybody can rebuild the table from these two lines.
            state = state &* 1_103_515_245 &+ 12_345
            table.storeBytes(of: UInt8(ascii: "0") &+ UInt8((state >> 16) % 75), toByteOffset: index, as: UInt8.self)
        }
        for index in Self.period..<length {
            table.storeBytes(
                of: table.load(fromByteOffset: index - Self.period, as: UInt8.self), toByteOffset: index, as: UInt8.self)
        }
    }

    /// The bytes from a place on: `pieceMax` of them, valid for ever.
    func bytes(at position: Int) -> UnsafeRawPointer { UnsafeRawPointer(table + position) }

    /// The place `count` bytes further on.
    static func advance(_ position: Int, _ count: Int) -> Int { (position &+ count) % period }
}
