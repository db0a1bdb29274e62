import Testing

@testable import Proxy

@Suite("Figures, plots and pages of reports")
struct ReportTests {
    @Test("figures have the digits that were asked for, and no sign before a zero")
    func figures() {
        #expect(FigureText.fixed(3.14159, 2) == "3.14")
        #expect(FigureText.fixed(0.05, 1) == "0.1")
        #expect(FigureText.fixed(-0.001, 1) == "0.0")
        #expect(FigureText.fixed(-12.5, 0) == "-13")
        #expect(FigureText.fixed(.nan, 2) == "–")
        #expect(FigureText.significant(12_345.6) == "12346")
        #expect(FigureText.significant(9.87654) == "9.877")
        #expect(FigureText.significant(0.0123456) == "0.01235")
        #expect(FigureText.change(0.0312) == "+3.12 %")
        #expect(FigureText.change(-0.5) == "-50.0 %")
        #expect(FigureText.tick(150_000) == "150k")
        #expect(FigureText.tick(0.25) == "0.25")
    }

    @Test("an axis ends at round figures and shows all values")
    func axis() {
        let axis = PlotAxis(.linear(fromZero: true), showing: [3, 17, 42])
        #expect(axis.low == 0 && axis.high == 50)
        #expect(axis.ticks.map(\.label) == ["0", "10", "20", "30", "40", "50"])
        #expect(axis.place(25) == 0.5)
        #expect(axis.place(.nan) == nil)
        #expect(PlotAxis(.logarithmic, showing: [1, 100]).place(0) == nil)
        #expect(PlotAxis(.linear(fromZero: false), showing: []).ticks.count > 1)
        #expect(PlotAxis(.linear(fromZero: false), showing: [7, 7]).place(7) != nil)
    }

    @Test("on the scale of nines each further nine is as wide as the one before")
    func nines() throws {
        let axis = PlotAxis(.nines, showing: [0.5, 0.9999])
        let places = try [0.9, 0.99, 0.999, 0.9999].map { try #require(axis.place($0)) }
        #expect(abs((places[1] - places[0]) - (places[3] - places[2])) < 1e-9)
        #expect(axis.ticks.last?.label == "99.99 %")
    }

    @Test("names from outside cannot leave their place in the page")
    func escaping() {
        var page = HTMLPage(title: "<script>alert(1)</script>")
        page.table(HTMLTable(columns: ["\"><img src=x>"], rows: [[HTMLTable.Cell("<b>", told: "\" onclick=\"x")]]))
        page.figure(LinePlot(title: "</svg><b>", xLabel: "<x>", yLabel: "&", series: [PlotSeries("'<i>'", [.init(1, 2)])]).svg())
        for hostile in ["<script", "<img", "<b>", "<i>", "<x>", "\" onclick"] { #expect(!page.text.contains(hostile), "\(hostile)") }
    }

    @Test("a page fetches nothing and runs nothing")
    func selfContained() {
        var page = HTMLPage(title: "Report")
        page.heading("One")
        page.figure(BarPlot(title: "t", label: "µs", series: ["a", "b"], groups: [.init(name: "g", bars: [.init(series: 0, value: 3), .init(series: 1, value: 4)])]).svg())
        for word in ["<script", "src=", "@import", "url(", "<link"] { #expect(!page.text.contains(word), "\(word)") }
        #expect(page.text.contains("prefers-color-scheme:dark"))
    }

    @Test("a curve leaves out what its axis cannot show, and is drawn for none, one or equal points")
    func degenerate() {
        for points in [[], [PlotSeries.Point(1, 1)], [.init(0, 0), .init(1, .nan), .init(2, .infinity), .init(3, 5, Interval(low: 4, high: 6))]] {
            let plot = LinePlot(title: "t", xLabel: "x", yLabel: "y", xScale: .linear(fromZero: true), yScale: .logarithmic, series: [PlotSeries("s", points)])
            let svg = plot.svg(isAlone: true)
            #expect(!svg.contains("nan") && !svg.contains("inf"))
            #expect(svg.hasSuffix("</svg>\n"))
        }
    }
}
