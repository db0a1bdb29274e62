/// Tokens that one worker has borrowed for client addresses and not spent yet, so that a busy client costs no shared write.
///
/// A small cache by tag: a place belongs to one tag until it has been quiet for a while; whoever finds it taken borrows
/// one token at a time. So at most one batch of an address is with a worker at any time.
struct ClientCredits: ~Copyable {
    private struct Place {
        var tag: UInt64 = 0
        var tokens: UInt64 = 0
        var touched: UInt64 = 0
    }

    static var placeCount: Int { 256 }
    private static var quietNanoseconds: UInt64 { 250_000_000 }
    private let places: UnsafeMutablePointer<Place>

    init() {
        places = .allocate(capacity: Self.placeCount)
        places.initialize(repeating: Place(), count: Self.placeCount)
    }

    deinit { places.deallocate() }

    /// Takes one token of an address, borrowing up to `batch` where none is left; false when there is none to be had.
    @inline(__always)
    func take(_ tag: UInt64, _ bucket: RateBucket, batch: UInt64, from table: ClientTable, now: UInt64) -> Bool {
        let place = places + Int(truncatingIfNeeded: (tag &>> 8) & UInt64(Self.placeCount &- 1))
        if place.pointee.tag == tag && place.pointee.tokens > 0 {
            place.pointee.tokens &-= 1
            place.pointee.touched = now
            return true
        }
        return borrow(tag, bucket, batch, table, now, place)
    }

    @inline(never)
    private func borrow(
        _ tag: UInt64, _ bucket: RateBucket, _ batch: UInt64, _ table: ClientTable, _ now: UInt64,
        _ place: UnsafeMutablePointer<Place>
    ) -> Bool {
        // Nobody can be counted whom the table has no room for even after eight tries.
        guard let word = table.findOrEnter(tag, now: now) else { return true }
        let isOurs = place.pointee.tag == tag || place.pointee.tokens == 0 || now &- place.pointee.touched > Self.quietNanoseconds
        let granted = SharedBucket(word: word).take(isOurs ? batch : 1, bucket, now: now)
        guard granted > 0 else { return false }
        if isOurs && granted > 1 {
            place.pointee = Place(tag: tag, tokens: granted &- 1, touched: now)
        }
        return true
    }

    /// Gives one token back that was taken for nothing.
    func giveBack(_ tag: UInt64, _ bucket: RateBucket, to table: ClientTable) {
        if let word = table.find(tag) { SharedBucket(word: word).refund(1, bucket) }
    }
}
