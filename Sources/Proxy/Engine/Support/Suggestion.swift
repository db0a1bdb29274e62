/// The known word that is closest to a mistyped one; nil when none is close enough to be meant.
func nearest(to word: String, among known: some Sequence<String>) -> String? {
    let wanted = Array(word.lowercased().utf8.prefix(64))
    let distanceMax = max(1, wanted.count / 3)
    var best: (word: String, distance: Int)?
    for candidate in known where abs(candidate.utf8.count - wanted.count) <= distanceMax {
        let distance = editDistance(wanted, Array(candidate.lowercased().utf8))
        if distance <= distanceMax && distance < best?.distance ?? Int.max { best = (candidate, distance) }
    }
    return best?.word
}

/// How many letters must be added, removed, replaced, or swapped with their neighbour to make one word of the other.
func editDistance(_ left: [UInt8], _ right: [UInt8]) -> Int {
    var beforePrevious: [Int] = []
    var previous = Array(0...right.count)
    for row in 0..<left.count {
        var current = [row + 1]
        for column in 0..<right.count {
            let same = left[row] == right[column]
            var cost = min(previous[column] + (same ? 0 : 1), previous[column + 1] + 1, current[column] + 1)
            let swapped = row > 0 && column > 0 && left[row] == right[column - 1] && left[row - 1] == right[column]
            if swapped { cost = min(cost, beforePrevious[column - 1] + 1) }
            current.append(cost)
        }
        beforePrevious = previous
        previous = current
    }
    return previous[right.count]
}
