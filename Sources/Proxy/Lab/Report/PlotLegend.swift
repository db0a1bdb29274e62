/// Names of series beside their markers, in as many rows as it takes.
struct PlotLegend {
    private static let rowHeight = 20.0
    private let rows: [[(number: Int, name: String, x: Double)]]

    var height: Double { Double(rows.count) * Self.rowHeight }

    /// Draws nothing for a single series without name.
    init(names: [String], width: Double) {
        var rows: [[(number: Int, name: String, x: Double)]] = []
        var x = 0.0
        for (number, name) in names.enumerated() where !name.isEmpty {
            let taken = 30 + 7.2 * Double(name.count) + 18
            if rows.isEmpty || x + taken > width {
                rows.append([])
                x = 0
            }
            rows[rows.count - 1].append((number, name, x))
            x += taken
        }
        self.rows = rows
    }

    func draw(into drawing: inout SVGDrawing, x: Double, y: Double) {
        for (row, entries) in rows.enumerated() {
            let middle = y + Double(row) * Self.rowHeight + 4
            for entry in entries {
                drawing.curve([(x + entry.x, middle), (x + entry.x + 24, middle)], series: entry.number)
                drawing.marker(x + entry.x + 12, middle, series: entry.number, told: entry.name)
                drawing.text(entry.name, x: x + entry.x + 30, y: middle + 4)
            }
        }
    }
}
