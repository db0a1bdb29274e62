import CUring

/// A bucket's word that several threads take from: no lock, and a refusal writes nothing.
///
/// Relaxed everywhere: the word orders nothing but itself.
struct SharedBucket: BitwiseCopyable {
    let word: UnsafeMutablePointer<UInt64>

    /// Up to `wanted` tokens; 0 = none there.
    @inline(__always)
    func take(_ wanted: UInt64, _ bucket: RateBucket, now: UInt64) -> UInt64 {
        var seen = clinux_load_relaxed(word)
        while true {
            let (granted, next) = bucket.take(wanted, from: seen, now: now)
            if granted == 0 || clinux_compare_exchange(word, &seen, next) { return granted }
        }
    }

    /// Tokens on credit; returns when they may be used.
    @inline(__always)
    func reserve(_ tokens: UInt64, _ bucket: RateBucket, now: UInt64) -> UInt64 {
        var seen = clinux_load_relaxed(word)
        while true {
            let (slot, next) = bucket.reserve(tokens, from: seen, now: now)
            if clinux_compare_exchange(word, &seen, next) { return slot }
        }
    }

    @inline(__always)
    func refund(_ tokens: UInt64, _ bucket: RateBucket) {
        var seen = clinux_load_relaxed(word)
        while !clinux_compare_exchange(word, &seen, bucket.refund(tokens, to: seen)) {}
    }

    func wait(_ bucket: RateBucket, now: UInt64) -> UInt64 { bucket.wait(clinux_load_relaxed(word), now: now) }
}
