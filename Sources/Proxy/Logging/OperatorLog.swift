import Logging

/// The operator's log behind swift-log: one sentence a line, to standard error, a file or the system's logger.
///
/// For the cold path only: it allocates and writes at once. Workers use `EventLog` instead.
struct OperatorLog: LogHandler {
    let sink: OperatorLogSink
    var logLevel: Logger.Level
    var metadata: Logger.Metadata = [:]
    var metadataProvider: Logger.MetadataProvider?

    /// A logger for these settings, without touching the process-wide bootstrap of swift-log.
    static func logger(_ sink: OperatorLogSink, _ settings: LogSettings) -> Logger {
        let level = settings.enabled ? settings.level.loggerLevel : .critical
        return Logger(label: "weir") { _ in OperatorLog(sink: sink, logLevel: level) }
    }

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    func log(event: LogEvent) {
        var text = event.message.description
        if let error = event.error { text += ": \(error)" }
        var all = metadata
        if let provided = metadataProvider?.get() { all.merge(provided) { $1 } }
        if let given = event.metadata { all.merge(given) { $1 } }
        for (key, value) in all.sorted(by: { $0.key < $1.key }) { text += " \(key)=\(value)" }
        sink.write(event.level.rproxyLevel, text)
    }
}

extension EventLog.Level {
    var settingsLevel: LogSettings.Level {
        switch self {
        case .critical: .crit
        case .error: .error
        case .warning: .warn
        case .notice: .notice
        case .info: .info
        case .debug: .debug
        }
    }
}

extension LogSettings.Level {
    /// swift-log knows nothing graver than critical.
    var loggerLevel: Logger.Level {
        switch self {
        case .emerg, .alert, .crit: .critical
        case .error: .error
        case .warn: .warning
        case .notice: .notice
        case .info: .info
        case .debug: .debug
        }
    }

    /// The same threshold for the events of workers.
    var eventLevel: EventLog.Level {
        switch self {
        case .emerg, .alert, .crit: .critical
        case .error: .error
        case .warn: .warning
        case .notice: .notice
        case .info: .info
        case .debug: .debug
        }
    }
}

extension Logger.Level {
    /// RProxy's word for it.
    var rproxyLevel: LogSettings.Level {
        switch self {
        case .trace, .debug: .debug
        case .info: .info
        case .notice: .notice
        case .warning: .warn
        case .error: .error
        case .critical: .crit
        }
    }
}
