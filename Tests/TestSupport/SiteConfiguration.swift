/// A `vhost` section, to be written among the sections of a server.
public func virtualHost(_ name: String, aliases: [String] = [], _ settings: [Setting] = [], sections: [String] = [], rules: [String]) -> String {
    let names = aliases.map { "'\($0)'" }.joined(separator: ", ")
    let lines = (aliases.isEmpty ? [] : ["aliases = { \(names) }"]) + settings.map(\.line) + sections + rules
    return "  vhost '\(name)' {\n" + lines.map { "    \($0)\n" }.joined() + "  }"
}

/// A `rule` section; backends are named by their places in the server's section.
public func rule(_ name: String, _ settings: [Setting], sections: [String] = [], to backends: Int...) -> String {
    let names = backends.map { "backend\($0)" }.joined(separator: ", ")
    return "rule '\(name)' { \((settings.map(\.line) + sections).joined(separator: " ")) downstreams = { \(names) } }"
}

extension Setting {
    // Virtual hosts and rules. In single quotes nothing but a quote has a meaning of its own.
    public static func path(_ path: String) -> Setting { Setting("uri-match", "'\(path)'") }
    public static func glob(_ pattern: String) -> Setting { Setting("uri-gmatch", "'\(pattern)'") }
    public static func pattern(_ pattern: String) -> Setting { Setting("uri-rmatch", "'\(pattern)'") }
    public static var everything: Setting { glob("*") }
    public static var isDefault: Setting { flag("default", true) }
    public static func matchLimit(_ steps: Int) -> Setting { number("match-limit", steps) }
    public static func ruleReadTimeout(_ milliseconds: Int) -> Setting { duration("upstream-read-timeout", milliseconds) }
    public static func ruleWriteTimeout(_ milliseconds: Int) -> Setting { duration("upstream-write-timeout", milliseconds) }
}
