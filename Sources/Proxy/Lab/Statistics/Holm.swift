/// What many tests at once are worth: with twenty metrics, one in twenty looks unusual by chance alone.
enum Holm {
    /// Probabilities corrected by Holm's step-down method, in the order given: the chance of even one false alarm among all of them
    /// stays below the level that the corrected ones are held against, however the metrics depend on each other.
    static func corrected(_ probabilities: [Double]) -> [Double] {
        let order = probabilities.indices.sorted { probabilities[$0] < probabilities[$1] }
        var corrected = probabilities
        var highest = 0.0
        for (place, at) in order.enumerated() {
            highest = max(highest, min(1, probabilities[at] * Double(order.count - place)))
            corrected[at] = highest
        }
        return corrected
    }
}
