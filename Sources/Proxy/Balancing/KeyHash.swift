/// Hashes the bytes that decide a placement (source address, URI, header, cookie): never 0, which means "no key".
///
/// Wide multiplications over 16 bytes at a time, in the manner of wyhash. The default seed is fixed, so that every worker, every restart
/// and every Weir in front of the same backends places a key alike; bounded loads keep chosen keys from hurting.
func hashKey(_ bytes: UnsafeRawBufferPointer, seed: UInt64 = 0x2D35_8DCC_AA6C_78A5) -> UInt64 {
    var state = seed ^ 0x8BB8_4B93_962E_ACC9
    var offset = 0
    while bytes.count &- offset >= 16 {
        let first = bytes.loadUnaligned(fromByteOffset: offset, as: UInt64.self)
        let second = bytes.loadUnaligned(fromByteOffset: offset &+ 8, as: UInt64.self)
        state = folded(UInt64(littleEndian: first) ^ 0x4B33_A62E_D433_D4A3, UInt64(littleEndian: second) ^ state)
        offset &+= 16
    }
    var tail: (UInt64, UInt64) = (0, 0)
    var position: UInt64 = 0
    while offset < bytes.count {  // at most 15 rounds
        let byte = UInt64(bytes[offset])
        if position < 64 { tail.0 |= byte << position } else { tail.1 |= byte << (position &- 64) }
        position &+= 8
        offset &+= 1
    }
    state = folded(tail.0 ^ 0x4B33_A62E_D433_D4A3, tail.1 ^ state)
    let hash = folded(state ^ 0x9E37_79B9_7F4A_7C15, UInt64(bytes.count) ^ 0xE703_7ED1_A0B4_28DB)
    return hash == 0 ? 1 : hash
}

/// The same over a span.
func hashKey(_ bytes: Span<UInt8>, seed: UInt64 = 0x2D35_8DCC_AA6C_78A5) -> UInt64 {
    bytes.withUnsafeBytes { hashKey($0, seed: seed) }
}

/// Both halves of the 128-bit product, folded into one word.
@inline(__always)
private func folded(_ a: UInt64, _ b: UInt64) -> UInt64 {
    let product = a.multipliedFullWidth(by: b)
    return product.high ^ product.low
}
