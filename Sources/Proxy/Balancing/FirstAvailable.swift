/// Takes the first usable candidate in the order of the file: the others are its stand-ins. Weights say only who takes part (0 = not).
func chooseFirstAvailable(_ candidates: Candidates) -> Int {
    var index = 0
    while index < candidates.count {
        if candidates[index].isEligible { return index }
        index &+= 1
    }
    return -1
}
