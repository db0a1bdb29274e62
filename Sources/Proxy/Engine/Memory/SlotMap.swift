import Glibc

/// Which slots of a slab are taken: gives out the lowest free one, so that emptied slabs can be given back from the end.
///
/// Two levels of bitmaps, 64 × 64 × n slots; taking and giving back cost a few instructions.
struct SlotMap: ~Copyable {
    private let words: UnsafeMutablePointer<UInt64>  // bit set = free
    private let summary: UnsafeMutablePointer<UInt64>  // bit set = the word has a free slot
    private let summaryCount: Int
    private var hint = 0  // no summary word below has a free slot
    let capacity: Int
    private(set) var taken = 0

    init(capacity: Int) {
        self.capacity = capacity
        let wordCount = (capacity + 63) / 64
        summaryCount = (wordCount + 63) / 64
        words = .allocate(capacity: max(wordCount, 1))
        summary = .allocate(capacity: max(summaryCount, 1))
        summary.initialize(repeating: 0, count: summaryCount)
        for index in 0..<wordCount {
            let left = capacity - index * 64
            words[index] = left >= 64 ? .max : (1 << UInt64(left)) - 1
            summary[index / 64] |= 1 << UInt64(index % 64)
        }
    }

    deinit {
        words.deallocate()
        summary.deallocate()
    }

    /// The lowest free slot, now taken; nil when all are.
    mutating func take() -> Int? {
        var at = hint
        while at < summaryCount {
            let group = summary[at]
            if group != 0 {
                hint = at
                let word = at &* 64 &+ group.trailingZeroBitCount
                let bit = words[word].trailingZeroBitCount
                words[word] &= words[word] &- 1
                if words[word] == 0 { summary[at] &= group &- 1 }
                taken &+= 1
                return word &* 64 &+ bit
            }
            at &+= 1
        }
        hint = summaryCount
        return nil
    }

    mutating func giveBack(_ slot: Int) {
        precondition(slot < capacity && words[slot &>> 6] & (1 &<< UInt64(slot & 63)) == 0, "slot given back twice")
        words[slot &>> 6] |= 1 &<< UInt64(slot & 63)
        summary[slot &>> 12] |= 1 &<< UInt64((slot &>> 6) & 63)
        hint = min(hint, slot &>> 12)
        taken &-= 1
    }

    func isTaken(_ slot: Int) -> Bool {
        slot < capacity && words[slot &>> 6] & (1 &<< UInt64(slot & 63)) == 0
    }

    /// Whether no slot of the range is taken.
    func isFree(_ range: Range<Int>) -> Bool {
        for slot in range where isTaken(slot) { return false }
        return true
    }
}
