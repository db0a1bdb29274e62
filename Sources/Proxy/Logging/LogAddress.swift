import CUring
import Glibc

/// Writes an address as text, without its port and without allocation; at most 39 bytes.
///
/// IPv4 clients of an IPv6 listener are printed as IPv4, which is what an operator greps for. IPv6 is printed by
/// RFC 5952: lower case, no leading zeros, the longest run of zero groups shortened. A unix socket has no address and
/// is printed as `unix`.
/// - Returns: how many bytes were written.
func writeAddress(_ address: UnsafePointer<SocketAddress>, to target: UnsafeMutablePointer<UInt8>) -> Int {
    withUnsafeBytes(of: address.pointee.storage) { raw in
        switch address.pointee.family {
        case AF_INET: writeIPv4(raw.baseAddress! + 4, to: target)
        case AF_INET6: writeIPv6(raw.baseAddress! + 8, to: target)
        case AF_UNIX: write("unix", to: target)
        default: write("-", to: target)
        }
    }
}

private func write(_ word: StaticString, to target: UnsafeMutablePointer<UInt8>) -> Int {
    memcpy(target, word.utf8Start, word.utf8CodeUnitCount)
    return word.utf8CodeUnitCount
}

private func writeIPv4(_ bytes: UnsafeRawPointer, to target: UnsafeMutablePointer<UInt8>) -> Int {
    var written = 0
    for index in 0..<4 {
        if index > 0 {
            target[written] = UInt8(ascii: ".")
            written &+= 1
        }
        let byte = bytes.load(fromByteOffset: index, as: UInt8.self)
        if byte >= 100 {
            target[written] = 48 &+ byte / 100
            written &+= 1
        }
        if byte >= 10 {
            target[written] = 48 &+ byte / 10 % 10
            written &+= 1
        }
        target[written] = 48 &+ byte % 10
        written &+= 1
    }
    return written
}

private func writeIPv6(_ bytes: UnsafeRawPointer, to target: UnsafeMutablePointer<UInt8>) -> Int {
    let high = bytes.loadUnaligned(as: UInt64.self).bigEndian
    let middle = bytes.loadUnaligned(fromByteOffset: 8, as: UInt32.self).bigEndian
    if high == 0, middle == 0xffff { return writeIPv4(bytes + 12, to: target) }

    func group(_ index: Int) -> UInt16 { bytes.loadUnaligned(fromByteOffset: index &* 2, as: UInt16.self).bigEndian }
    // The longest run of two or more zero groups, the first of equals.
    var (runStart, runLength) = (8, 1)
    var index = 0
    while index < 8 {
        var end = index
        while end < 8, group(end) == 0 { end &+= 1 }
        if end &- index > runLength { (runStart, runLength) = (index, end &- index) }
        index = end &+ 1
    }

    var written = 0
    func put(_ byte: UInt8) {
        target[written] = byte
        written &+= 1
    }
    index = 0
    while index < 8 {
        if index == runStart {
            put(UInt8(ascii: ":"))
            put(UInt8(ascii: ":"))
            index &+= runLength
            continue
        }
        if index > 0, index != runStart &+ runLength { put(UInt8(ascii: ":")) }
        let value = group(index)
        var shift: UInt16 = 12
        while shift > 0, value >> shift == 0 { shift &-= 4 }
        while true {
            let digit = UInt8(truncatingIfNeeded: (value >> shift) & 15)
            put(digit < 10 ? 48 &+ digit : 87 &+ digit)
            if shift == 0 { break }
            shift &-= 4
        }
        index &+= 1
    }
    return written
}
