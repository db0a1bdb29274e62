/// Bars side by side, in groups: one figure of several proxies in each scenario.
struct BarPlot: Sendable {
    struct Bar: Equatable, Sendable {
        /// The place of its series in `series`, for the colour.
        var series: Int
        var value: Double
        var interval: Interval?
    }
    struct Group: Sendable {
        var name: String
        var bars: [Bar]
    }

    var title: String
    /// What the lengths mean, with the unit: "CPU time a request, µs (less is better)".
    var label: String
    var series: [String]
    var groups: [Group]

    private static let width = 680.0
    private static let right = 70.0
    private static let barHeight = 15.0

    func svg(isAlone: Bool = false) -> String {
        let left = 16 + 7.4 * Double(min(groups.map(\.name.count).max() ?? 0, 24))
        let bars = groups.flatMap(\.bars)
        let axis = PlotAxis(.linear(fromZero: true), showing: bars.flatMap { [$0.value, $0.interval?.high ?? $0.value, $0.interval?.low ?? $0.value] })
        let legend = PlotLegend(names: series, width: Self.width - left - 10)
        let top = 38.0 + legend.height
        let height = groups.reduce(0.0) { $0 + Self.barHeight * Double($1.bars.count) + 12 }
        let bottom = top + height
        var drawing = SVGDrawing(width: Self.width, height: bottom + 50, title: title, isAlone: isAlone)
        func across(_ value: Double) -> Double? { axis.place(value).map { left + $0 * (Self.width - left - Self.right) } }
        drawing.text(title, x: left, y: 18, style: "title")
        legend.draw(into: &drawing, x: left, y: 34)
        for tick in axis.ticks {
            guard let x = across(tick.value) else { continue }
            drawing.line(x, top, x, bottom, style: "grid")
            drawing.text(tick.label, x: x, y: bottom + 17, style: "soft", anchor: "middle")
        }
        drawing.text(label, x: (left + Self.width - Self.right) / 2, y: bottom + 40, anchor: "middle")
        var y = top + 6
        let zero = across(0) ?? left
        for group in groups {
            drawing.text(group.name, x: left - 8, y: y + Self.barHeight * Double(group.bars.count) / 2 + 4, anchor: "end")
            for bar in group.bars {
                if let end = across(bar.value) {
                    let name = series.indices.contains(bar.series) ? series[bar.series] : ""
                    let told = "\(group.name), \(name): \(FigureText.significant(bar.value))"
                    drawing.bar(x: min(zero, end), y: y + 1, width: abs(end - zero), height: Self.barHeight - 2, series: bar.series, told: told)
                    var edge = max(zero, end)
                    if let interval = bar.interval, let low = across(interval.low), let high = across(interval.high) {
                        drawing.line(low, y + Self.barHeight / 2, high, y + Self.barHeight / 2, style: "whisker")
                        edge = max(edge, high)
                    }
                    drawing.text(FigureText.significant(bar.value, 3), x: edge + 5, y: y + Self.barHeight / 2 + 4.5, style: "soft")
                }
                y += Self.barHeight
            }
            y += 12
        }
        return drawing.text
    }
}
