/// One line or cloud of a plot.
struct PlotSeries: Sendable {
    struct Point: Equatable, Sendable {
        var x: Double
        var y: Double
        /// Where y lies with confidence, drawn as a whisker; nil for none.
        var interval: Interval?

        init(_ x: Double, _ y: Double, _ interval: Interval? = nil) {
            self.x = x
            self.y = y
            self.interval = interval
        }
    }

    var name: String
    var points: [Point]
    /// False leaves the points unconnected.
    var isLine = true
    /// False leaves the markers out, for many points.
    var hasMarkers = true

    init(_ name: String, _ points: [Point], isLine: Bool = true, hasMarkers: Bool = true) {
        self.name = name
        self.points = points
        self.isLine = isLine
        self.hasMarkers = hasMarkers
    }
}

/// Curves over two axes as SVG: latency over quantiles, throughput over CPU time, a metric over commits.
///
/// What an axis cannot show (zero on a logarithmic one, NaN) is left out of the curve.
struct LinePlot: Sendable {
    var title: String
    var xLabel: String
    var yLabel: String
    var xScale: PlotScale = .linear(fromZero: false)
    var yScale: PlotScale = .linear(fromZero: true)
    var series: [PlotSeries]
    /// Labels in place of the numbers of the x axis, such as commits: value and text.
    var xNames: [(Double, String)] = []

    private static let width = 680.0
    private static let left = 74.0
    private static let right = 34.0
    private static let plotHeight = 250.0

    /// - Parameter isAlone: brings the style along, for a file of its own.
    func svg(isAlone: Bool = false) -> String {
        let points = series.flatMap(\.points)
        let xAxis = PlotAxis(xScale, showing: points.map(\.x))
        let yAxis = PlotAxis(yScale, showing: points.flatMap { [$0.y, $0.interval?.low ?? $0.y, $0.interval?.high ?? $0.y] })
        let legend = PlotLegend(names: series.map(\.name), width: Self.width - Self.left - Self.right)
        let top = 34.0 + legend.height
        let bottom = top + Self.plotHeight
        let slants = !xNames.isEmpty
        var drawing = SVGDrawing(width: Self.width, height: bottom + (slants ? 92 : 52), title: title, isAlone: isAlone)
        func across(_ value: Double) -> Double? { xAxis.place(value).map { Self.left + $0 * (Self.width - Self.left - Self.right) } }
        func down(_ value: Double) -> Double? { yAxis.place(value).map { bottom - $0 * Self.plotHeight } }

        drawing.text(title, x: Self.left, y: 18, style: "title")
        legend.draw(into: &drawing, x: Self.left, y: 34)
        for tick in yAxis.ticks {
            guard let y = down(tick.value) else { continue }
            drawing.line(Self.left, y, Self.width - Self.right, y, style: "grid")
            drawing.text(tick.label, x: Self.left - 8, y: y + 4, style: "soft", anchor: "end")
        }
        let names = slants ? xNames.map { PlotAxis.Tick(value: $0.0, label: $0.1) } : xAxis.ticks
        for tick in names {
            guard let x = across(tick.value) else { continue }
            drawing.line(x, bottom, x, bottom + 5, style: "axis")
            drawing.text(tick.label, x: x, y: bottom + 19, style: "soft", anchor: slants ? "end" : "middle", turned: slants ? -40 : 0)
        }
        drawing.line(Self.left, bottom, Self.width - Self.right, bottom, style: "axis")
        drawing.text(xLabel, x: (Self.left + Self.width - Self.right) / 2, y: bottom + (slants ? 84 : 42), anchor: "middle")
        drawing.text(yLabel, x: 16, y: top + Self.plotHeight / 2, anchor: "middle", turned: -90)

        for (number, one) in series.enumerated() {
            let placed = one.points.compactMap { point -> (Double, Double, PlotSeries.Point)? in
                guard let x = across(point.x), let y = down(point.y) else { return nil }
                return (x, y, point)
            }
            for (x, _, point) in placed {
                guard let interval = point.interval, let low = down(interval.low), let high = down(interval.high) else { continue }
                drawing.line(x, low, x, high, style: "whisker")
            }
            if one.isLine { drawing.curve(placed.map { ($0.0, $0.1) }, series: number) }
            if one.hasMarkers {
                for (x, y, point) in placed {
                    let told = "\(one.name): \(FigureText.significant(point.x)), \(FigureText.significant(point.y))"
                    drawing.marker(x, y, series: number, told: told)
                }
            }
        }
        return drawing.text
    }
}
