/// Draws one candidate with a probability in proportion to its weight; never `excluded`.
func chooseAtRandom(_ candidates: Candidates, excluding excluded: Int = -1, _ random: inout RandomSource) -> Int {
    var sum: UInt64 = 0
    var index = 0
    while index < candidates.count {
        if candidates[index].isEligible, index != excluded { sum &+= UInt64(candidates[index].weight) }
        index &+= 1
    }
    guard sum > 0 else { return -1 }
    var ticket = random.next(below: sum)
    index = 0
    while index < candidates.count {
        if candidates[index].isEligible, index != excluded {
            let weight = UInt64(candidates[index].weight)
            if ticket < weight { return index }
            ticket &-= weight
        }
        index &+= 1
    }
    return -1
}
