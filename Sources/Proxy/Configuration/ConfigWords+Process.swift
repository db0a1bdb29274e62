/// Words about the process itself: where it stands, who it is, what it may take.
func processRows() -> [Setting<ConfigurationDraft>] {
    [
        .custom(
            "max-nofile", .rproxy, .count(64...1_073_741_816), "Limit of open descriptors, of both processes.",
            assign: { $0.settings.openFilesMax = $1.number }, show: { $0.settings.openFilesMax.map { "\($0)" } }
        ).with { $0.defaultText = "the hard limit" },
        .size(
            "memtrim-sz", .rproxy1, \.settings.memoryTrimBytes, 0...(1 << 40),
            "Free memory above which the allocator gives pages back at once; 0 leaves it to the allocator."
        ).with { $0.inBothDialects = true },
        .flag(
            "daemonize", .rproxy, \.settings.daemonize,
            "Goes to the background; the command returns when requests are answered, or with what went wrong."),
        .text(
            "rootdir", .rproxy, \.settings.rootDirectory, kind: .path, "Working directory; relative paths of this file begin there.",
            check: { $0.hasPrefix("/") ? nil : "must be an absolute path, not '\($0)'" }
        ).with { $0.defaultText = "/ of a daemon, else that of the command" },
        .text(
            "user", .rproxy, \.settings.user, "User to become for good before the first byte is served; by name.", check: nameComplaint),
        .text(
            "group", .rproxy, \.settings.group, "Group to become; of `user` when not set.", check: nameComplaint),
        .text(
            "pid-file", .weir, \.settings.pidFilePath, kind: .path, "File for the number of the process to send signals to, while it serves.",
            check: { $0.isEmpty ? "names no path" : nil }),
    ]
}

private func nameComplaint(_ name: String) -> String? { name.isEmpty ? "names nobody" : nil }

/// A daemon has no standard streams: its logs go elsewhere, and paths that began where the command stood begin elsewhere.
func finishDaemon(_ settings: inout GlobalSettings, _ section: ReadSection) {
    guard settings.daemonize else { return }
    // A daemon that can tell nobody what happens to it is worth little: the system's logger is where it speaks.
    if settings.operatorLog.isOnStandardStream { settings.operatorLog.output = .syslog(facility: "daemon") }
    for index in settings.servers.indices {
        let location = settings.servers[index].location
        settings.servers[index].forEachLog { log in
            if log.isOnStandardStream {
                section.reader.diagnostics.warning(
                    location, "a log of this 'server' goes to \(log.output.name), which a daemon does not have; name a file or syslog")
                log.output = .file("/dev/null")
            } else if case .file(let path) = log.output, log.enabled, !path.hasPrefix("/"), settings.rootDirectory == nil {
                section.reader.diagnostics.warning(
                    location, "the log '\(path)' of this 'server' will stand in '/', the working directory of a daemon; set 'rootdir' or write the whole path")
            }
        }
    }
}

extension LogSettings {
    fileprivate var isOnStandardStream: Bool { enabled && (output == .stdout || output == .stderr) }
}

extension ServerSettings {
    /// Every log that this server, its virtual hosts and their rules write, by place.
    fileprivate mutating func forEachLog(_ change: (inout LogSettings) -> Void) {
        change(&accessLog)
        change(&errorLog)
        for site in virtualHosts.indices {
            virtualHosts[site].scope.forEachLog(change)
            for rule in virtualHosts[site].rules.indices { virtualHosts[site].rules[rule].scope.forEachLog(change) }
        }
    }
}

extension ScopeSettings {
    fileprivate mutating func forEachLog(_ change: (inout LogSettings) -> Void) {
        if var log = accessLog {
            change(&log)
            accessLog = log
        }
        if var log = errorLog {
            change(&log)
            errorLog = log
        }
    }
}
