/// Draws two different candidates by weight and takes the cheaper, priced as in `LowestRTT`.
///
/// Nearly as even as looking at all, but never all of the same mind: what many workers see late or wrongly does not send them
/// all to one place.
struct TwoChoices {
    func choose(_ candidates: Candidates, choice: UInt64, now: UInt64, _ random: inout RandomSource) -> Int {
        let first = chooseAtRandom(candidates, &random)
        guard first >= 0 else { return -1 }
        let second = chooseAtRandom(candidates, excluding: first, &random)
        guard second >= 0 else { return first }
        let pricing = Pricing(candidates, choice: choice, now: now)
        let price = pricing.price(candidates, first)
        return pricing.price(candidates, second) * LowestRTT.equalityFactor < price ? second : first
    }
}
