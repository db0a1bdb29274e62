/// Settings of the whole process, outside any `server`.
struct GlobalSettings: Sendable {
    /// Number of worker threads; nil = the CPUs of the inherited affinity mask, within the cgroup quota.
    var workers: Int?
    /// Each worker keeps to a CPU of its own; false = the kernel moves them.
    var pinsWorkers = true
    var daemonize = false
    /// Working directory; nil = `/` of a daemon, else where the command was given.
    var rootDirectory: String?
    var user: String?
    var group: String?
    /// File that holds the supervisor's number while it serves; nil = none.
    var pidFilePath: String?
    /// Soft and hard limit of open descriptors to ask for; nil = raise soft to hard.
    var openFilesMax: Int?
    /// Trim threshold of the allocator in bytes; 0 = off.
    var memoryTrimBytes = 0
    /// How long exchanges may finish after a stop was asked.
    var drainDeadlineMilliseconds = 30_000
    /// Unix path of the admin socket; nil = none.
    var adminSocketPath: String?
    /// Name servers as `ADDRESS` or `ADDRESS:PORT`; empty = those of `/etc/resolv.conf`.
    var resolvers: [String] = []
    /// What sticky cookies are made with; nil = a new one with each start.
    var stickySecret: String?
    /// Operator's log.
    var operatorLog = LogSettings(enabled: true, output: .stderr, level: .info, format: "")
    /// Steps of the search for one regular expression.
    var matchStepsMax = 100_000
    /// Always wait for more completions (needs min-wait of the kernel), and not only under load.
    var efficiencyMode = false
    /// Size of the pipe through which a worker moves large bodies; the kernel may give less to a user without rights.
    var splicePipeBytes = 1 << 20
    /// Whether AES-GCM may be another library's than OpenSSL's.
    var vectorCiphers = true
    /// Debug setting: the n-th request on a worker traps it; 0 = never.
    var debugTrapAtRequest = 0
    /// Debug setting: how long each request keeps a worker busy with nothing, about; 0 = not at all.
    var debugBurnNanoseconds = 0
    /// Entries of the table in which limits by client address are kept; 16 bytes each.
    var clientTableEntries = 65_536
    var servers: [ServerSettings] = []
    /// Names of `x509-extension`, wherever they stand: clients may not say them, whatever server they come to.
    var extensionFieldNames: [String] = []

    /// How often the files of `ssl` sections are looked at for changes; nil = there are none.
    var materialReloadMilliseconds: Int? {
        let sections = servers.flatMap { server in [server.tls].compactMap(\.self) + server.virtualHosts.compactMap(\.tls) }
        let backends = servers.flatMap(\.backends).contains { $0.tls != nil }
        return sections.map(\.reloadMilliseconds).min() ?? (backends ? TLSSettings().reloadMilliseconds : nil)
    }

    /// Least bytes of `sticky-secret`: fewer can be guessed.
    static let stickySecretBytesMin = 16
}

extension GlobalSettings {
    /// Where relative paths begin; nil = where the command was given.
    var workingDirectory: String? { rootDirectory ?? (daemonize ? "/" : nil) }
}
