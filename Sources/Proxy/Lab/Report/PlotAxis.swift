import Glibc

/// How values are laid along an axis.
enum PlotScale: Sendable {
    /// Evenly; `fromZero` keeps the zero in sight, so that lengths may be compared.
    case linear(fromZero: Bool)
    case logarithmic
    /// Quantiles from 0 to 1, each further nine as wide as the one before: 0, 50, 90, 99, 99.9 % …
    case nines
}

/// An axis that knows its ends and where its labels stand.
struct PlotAxis {
    struct Tick: Equatable {
        var value: Double
        var label: String
    }

    let scale: PlotScale
    let low: Double
    let high: Double

    /// The axis that shows all of `values`; something harmless for none.
    init(_ scale: PlotScale, showing values: [Double]) {
        self.scale = scale
        let values = values.filter { $0.isFinite && Self.canShow($0, scale) }
        var low = values.min() ?? 0
        var high = values.max() ?? 1
        switch scale {
        case .linear(let fromZero):
            if fromZero { (low, high) = (min(low, 0), max(high, 0)) }
            if low == high { (low, high) = (low - max(abs(low) * 0.1, 0.5), high + max(abs(high) * 0.1, 0.5)) }
            let step = Self.step(high - low)
            self.low = (low / step).rounded(.down) * step
            self.high = (high / step).rounded(.up) * step
        case .logarithmic:
            if values.isEmpty { (low, high) = (1, 10) }
            self.low = low * 0.9
            self.high = high * 1.1
        case .nines:
            self.low = 0
            self.high = max(high, 0.99)
        }
    }

    /// 0 at the low end, 1 at the high one; nil for what this scale cannot show.
    func place(_ value: Double) -> Double? {
        guard value.isFinite, Self.canShow(value, scale) else { return nil }
        switch scale {
        case .linear: return (value - low) / (high - low)
        case .logarithmic: return log(value / low) / log(high / low)
        case .nines: return log(1 - value) / log(1 - high)
        }
    }

    var ticks: [Tick] {
        switch scale {
        case .linear:
            let step = Self.step(high - low)
            let count = Int(((high - low) / step).rounded())
            return (0...min(count, 20)).map {
                let value = low + Double($0) * step
                return Tick(value: abs(value) < step / 1000 ? 0 : value, label: FigureText.tick(abs(value) < step / 1000 ? 0 : value))
            }
        case .logarithmic:
            let decades = log10(high / low)
            let steps: [Double] = decades > 3 ? [1] : [1, 2, 5]
            var ticks: [Tick] = []
            var power = exp(log(10) * log10(low).rounded(.down))
            while power <= high, ticks.count < 40 {
                for step in steps where power * step >= low * 0.999 && power * step <= high * 1.001 {
                    ticks.append(Tick(value: power * step, label: FigureText.tick(power * step)))
                }
                power *= 10
            }
            return ticks
        case .nines:
            let usual = [(0, "0"), (0.5, "50 %"), (0.9, "90 %"), (0.99, "99 %"), (0.999, "99.9 %"), (0.9999, "99.99 %"), (0.99999, "99.999 %")]
            return usual.filter { $0.0 <= high + 1e-12 }.map { Tick(value: $0.0, label: $0.1) }
        }
    }

    private static func canShow(_ value: Double, _ scale: PlotScale) -> Bool {
        switch scale {
        case .linear: true
        case .logarithmic: value > 0
        case .nines: value >= 0 && value < 1
        }
    }

    /// 1, 2 or 5 times a power of ten, so that about five steps make the span.
    private static func step(_ span: Double) -> Double {
        guard span > 0, span.isFinite else { return 1 }
        let rough = span / 5
        let power = exp(log(10) * log10(rough).rounded(.down))
        let share = rough / power
        return power * (share <= 1.001 ? 1 : share <= 2.001 ? 2 : share <= 5.001 ? 5 : 10)
    }
}
