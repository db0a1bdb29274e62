/// Colours of plots and pages, for light and for dark, as one sheet of style.
///
/// The colours of series keep apart for colour-blind eyes (after Okabe and Ito); lines have a dash and a marker of their own
/// besides.
enum PlotColors {
    static let seriesMax = 8

    private static let light = ["#0072b2", "#d55e00", "#008f66", "#b0568c", "#8a6d00", "#3a87bd", "#555555", "#a02020"]
    private static let dark = ["#5cb8f0", "#ff9447", "#3fd6a4", "#e79ac6", "#e3c64a", "#9fd0ef", "#b8b8b8", "#ff8080"]

    /// The rules for what `LinePlot` and `BarPlot` draw, to stand in a page or in the picture itself.
    static var style: String {
        """
        .plot{font:13px system-ui,-apple-system,"Segoe UI",sans-serif}
        .plot text{fill:var(--ink)}.plot .soft{fill:var(--soft)}.plot .title{font-weight:600;font-size:15px}
        .plot .grid{stroke:var(--line);stroke-width:1}.plot .axis{stroke:var(--soft);stroke-width:1}
        .plot .curve{fill:none;stroke-width:2}.plot .whisker{stroke:var(--ink);stroke-width:1.2;opacity:.75}
        .plot .band{opacity:.16;stroke:none}

        """ + variables + (0..<seriesMax).map { ".plot .s\($0){stroke:var(--s\($0));fill:var(--s\($0))}.plot .curve.s\($0){fill:none}\n" }.joined()
    }

    private static var variables: String {
        let lights = light.enumerated().map { "--s\($0):\($1)" }.joined(separator: ";")
        let darks = dark.enumerated().map { "--s\($0):\($1)" }.joined(separator: ";")
        return """
            :root{color-scheme:light dark;--paper:#ffffff;--ink:#1b1f24;--soft:#59636e;--line:#d9dee3;--shade:#f4f6f8;--good:#0a6b3d;--bad:#b42318;\(lights)}
            @media (prefers-color-scheme:dark){:root{--paper:#14171a;--ink:#e8ebee;--soft:#a3adb8;--line:#343a41;--shade:#1d2126;--good:#56d394;--bad:#ff8a80;\(darks)}}

            """
    }
}
