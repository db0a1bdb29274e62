/// Pseudo-random numbers from a seed (SplitMix64), so that an interval printed once is printed the same again.
struct SeededNumbers {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed &>> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed &>> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed &>> 31)
    }

    /// 0 ..< `bound`; 0 for a bound of 0.
    mutating func below(_ bound: Int) -> Int { bound <= 1 ? 0 : Int(next().multipliedFullWidth(by: UInt64(bound)).high) }

    /// 0 ..< 1, of 53 bits.
    mutating func unit() -> Double { Double(next() >> 11) * 0x1p-53 }
}
