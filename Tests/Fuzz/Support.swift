/// Choices that follow from the input, so that a saved input repeats its run (FNV-1a, then SplitMix64).
struct Chooser {
    private var state: UInt64 = 0xcbf2_9ce4_8422_2325

    init(_ bytes: borrowing Span<UInt8>) {
        for index in bytes.indices { state = (state ^ UInt64(bytes[index])) &* 0x100_0000_01b3 }
    }

    mutating func below(_ bound: Int) -> Int {
        state &+= 0x9e37_79b9_7f4a_7c15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xbf58_476d_1ce4_e5b9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94d0_49bb_1331_11eb
        return Int((mixed ^ (mixed >> 31)) % UInt64(bound))
    }

    /// Wide limits mostly, and narrow ones for the edges.
    mutating func limits() -> HeadLimits {
        below(3) > 0
            ? HeadLimits() : HeadLimits(lineBytesMax: below(60), headBytesMax: below(300), fieldsMax: below(6))
    }
}

/// Ends the run with the input saved when a rule does not hold.
func require(_ holds: Bool, file: StaticString = #fileID, line: UInt = #line) {
    if !holds { fatalError("a rule does not hold", file: file, line: line) }
}

/// A copy in a block of exactly its size, so that the sanitizer sees a read behind its end.
func exactCopy(_ bytes: borrowing Span<UInt8>) -> [UInt8] {
    [UInt8](unsafeUninitializedCapacity: bytes.count) { buffer, count in
        for index in bytes.indices { buffer.initializeElement(at: index, to: bytes[index]) }
        count = bytes.count
    }
}

/// What is forwarded are the lines that are neither hop-by-hop nor dropped, in order and whole.
func checkKept(_ bytes: borrowing Span<UInt8>, _ fields: [FieldRange], fieldsEnd: Int) {
    var expected: [UInt8] = []
    for (index, field) in fields.enumerated() where field.flags.isEmpty {
        let end = index + 1 < fields.count ? Int(fields[index + 1].nameStart) : fieldsEnd
        for place in Int(field.nameStart)..<end { expected.append(bytes[place]) }
        require(expected.suffix(2) == [0x0d, 0x0a])
    }
    let base = UnsafeMutableRawPointer.allocate(byteCount: max(1, expected.count), alignment: 1)
    defer { base.deallocate() }
    var writer = HeadWriter(base: base, capacity: expected.count)
    writer.appendKeptFields(bytes: bytes, fields: fields.span, count: fields.count, fieldsEnd: fieldsEnd)
    require(!writer.overflowed && Array(UnsafeRawBufferPointer(start: base, count: writer.count)) == expected)
}
