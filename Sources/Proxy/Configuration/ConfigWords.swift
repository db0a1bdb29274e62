/// The words of the configuration language, translated into settings; here and in the files beside it, and nowhere else.
///
/// RProxy names things from the seat of the proxy in the flow of a request: its `downstream` is a backend here, its
/// `upstream` a client. Each row of these files is one word; what the program calls the thing stands right of it.

/// RProxy's word for a backend.
let backendWord = "downstream"

/// The whole language: what may stand at the top level of a file, and everything within it.
///
/// Built once, read only after that; the closures of its rows capture nothing but values, which is why sharing it is safe.
nonisolated(unsafe) let configurationRows = makeConfigurationRows()

private func makeConfigurationRows() -> SectionRows<ConfigurationDraft> {
    SectionRows(
        blank: ConfigurationDraft(),
        settings: [
            .custom(
                "workers", .weir, .count(1...1024), "Worker threads, each with a ring of its own.",
                assign: { $0.settings.workers = $1.number }, show: { $0.settings.workers.map { "\($0)" } }
            ).with { $0.defaultText = "the CPUs the process may use" },
            .flag(
                "pin-workers", .weir, \.settings.pinsWorkers,
                "Each worker keeps to a CPU of its own, where there are CPUs enough; off lets the kernel move them."),
            .duration(
                "drain-timeout", .weir, \.settings.drainDeadlineMilliseconds, 0...86_400_000,
                "How long exchanges may finish after a stop was asked for; 0 stops at once."),
            .text(
                "admin-socket", .weir, \.settings.adminSocketPath, kind: .path, "Unix socket for `weir stat` and other administration.",
                check: unixPathComplaint),
            .checked(
                "resolvers", .weir, .list, "Name servers to ask for the names of backends, as ADDRESS or ADDRESS:PORT.",
                assign: { draft, value in
                    guard case .list(let words) = value else { return .error("is a list of addresses") }
                    draft.settings.resolvers = words.map(\.text)
                    return .fine
                },
                show: { $0.settings.resolvers.isEmpty ? nil : "{ \($0.settings.resolvers.map(quotedText).joined(separator: ", ")) }" }
            ).with { $0.defaultText = "those of /etc/resolv.conf" },
            .text(
                "sticky-secret", .weir, \.settings.stickySecret,
                "What the values of sticky cookies are made with: the same text on all machines that serve the same clients, and after restarts."
            ) { $0.utf8.count >= GlobalSettings.stickySecretBytesMin ? nil : "must have at least \(GlobalSettings.stickySecretBytesMin) bytes that nobody can guess" }
            .with {
                $0.defaultText = "random, new with each start"
                $0.isSecret = true
            },
            .count(
                "match-limit", .weir, \.settings.matchStepsMax, 1_000...100_000_000,
                "Steps that the search for a regular expression may take; one that takes more counts as not found."),
            .flag(
                "efficiency-mode", .weir, \.settings.efficiencyMode,
                "Waits up to 100 µs for more completions, whatever the load: fewer wakes, more latency. At part load it saved CPU time on one machine and took more on another: see TUNING.md."
            ),
            .flag(
                "vector-ciphers", .weir, \.settings.vectorCiphers,
                "Seals records with AES-GCM by Intel's library libIPSec_MB where it is installed, the CPU has VAES and AVX-512, and OpenSSL is older than 3.1; false leaves all cryptography to OpenSSL. From the next start on."
            ),
            .size(
                "splice-pipe-size", .weir, \.settings.splicePipeBytes, 4_096...(16 << 20),
                "Size of the pipe through which each worker moves large bodies."),
            .count(
                "client-table-size", .weir, \.settings.clientTableEntries, 1_024...(1 << 28),
                "Entries of the table for limits by client address, 16 bytes each, rounded up to a power of two; the oldest goes when it is full."
            ),
            .count(
                "debug-trap-at-request", .weir, \.settings.debugTrapAtRequest, 0...Int(Int32.max),
                "Debugging: a worker traps at its n-th request, to see the restart; 0 never."),
            .count(
                "debug-burn-nanoseconds", .weir, \.settings.debugBurnNanoseconds, 0...1_000_000,
                "Debugging: each request keeps its worker busy for about so long, to see that benchmarks notice; 0 not at all."),
        ] + processRows(),
        sections: [
            .section(
                "logging", .weir, operatorLoggingRows(), "The operator's log.",
                blank: { parent, _ in parent.settings.operatorLog }, store: { parent, log, _ in parent.settings.operatorLog = log },
                all: { [(nil, $0.settings.operatorLog)] }),
            .section(
                "server", .rproxy, serverRows(), repeatable: true, "A listener and what stands behind it.",
                blank: { _, section in ServerDraft(section) }, store: { parent, server, _ in parent.servers.append(server) },
                all: { $0.servers.map { (nil, $0) } }),
        ],
        finish: finishConfiguration)
}

/// A configuration while it is read: servers are still drafts.
struct ConfigurationDraft {
    var settings = GlobalSettings()
    var servers: [ServerDraft] = []
}

extension Setting {
    /// A row whose value needs more than a place to be stored in.
    static func custom(
        _ word: String, _ origin: WordOrigin, _ kind: ValueKind, zero: ZeroMeaning = .ordinary, _ sentence: String,
        assign: @escaping (inout Owner, SettingValue) -> Void, show: @escaping (Owner) -> String?
    ) -> Self {
        checked(
            word, origin, kind, zero: zero, sentence,
            assign: { owner, value in
                assign(&owner, value)
                return .fine
            }, show: show)
    }

    /// The same for a value that may be well formed and wrong.
    static func checked(
        _ word: String, _ origin: WordOrigin, _ kind: ValueKind, zero: ZeroMeaning = .ordinary, _ sentence: String,
        assign: @escaping (inout Owner, SettingValue) -> Assigned, show: @escaping (Owner) -> String?
    ) -> Self {
        Setting(word: word, kind: kind, origin: origin, sentence: sentence, zero: zero, assign: assign, show: show)
    }
}

extension SettingValue {
    /// The number of a value whose kind is a number.
    var number: Int {
        if case .number(let number) = self { return number }
        preconditionFailure("a row asked for the number of a value that is none")
    }

    var flag: Bool {
        if case .flag(let flag) = self { return flag }
        preconditionFailure("a row asked for the truth of a value that is none")
    }

    var text: String {
        if case .text(let text) = self { return text }
        preconditionFailure("a row asked for the text of a value that is none")
    }
}

func unixPathComplaint(_ path: String) -> String? {
    do throws(AddressError) {
        _ = try checkedUnixPath(path)
        return nil
    } catch {
        return error.sentence
    }
}

/// What must hold for the configuration as a whole.
private func finishConfiguration(_ draft: inout ConfigurationDraft, _ section: ReadSection) {
    if draft.servers.isEmpty { section.error("server", "there is no 'server', so nothing to listen on") }
    var listeners: [(address: ListenAddress, location: SourceLocation)] = []
    for server in draft.servers {
        if let workers = draft.settings.workers, let threads = server.settings.threads, threads > workers {
            section.reader.diagnostics.warning(
                server.settings.location, "'threads' is \(threads) but there are \(workers) 'workers'; all of them listen")
        }
        for address in server.settings.addresses where !address.hasPortZero {
            if let twin = listeners.first(where: { $0.address == address }) {
                section.reader.diagnostics.error(
                    server.settings.location, "'server' listens on \(address), as the one at line \(twin.location.line) does already")
            }
            listeners.append((address, server.settings.location))
        }
    }
    finishOperatorLog(&draft, section)
    draft.settings.servers = draft.servers.map(\.settings)
    draft.settings.extensionFieldNames = extensionFieldNames(draft.settings.servers)
    finishDaemon(&draft.settings, section)
}

/// RProxy 2's `general` of servers and virtual hosts: there is one operator's log, and the top level has the last word about it.
private func finishOperatorLog(_ draft: inout ConfigurationDraft, _ section: ReadSection) {
    var chosen: (log: LogSettings, location: SourceLocation)?
    for server in draft.servers {
        let sites = server.settings.virtualHosts.flatMap { site in
            ([(site.scope, site.location)] + site.rules.map { ($0.scope, $0.location) }).compactMap { scope, location in
                scope.operatorLog.map { ($0, location) }
            }
        }
        let own = server.operatorLog.map { [($0, server.settings.location)] } ?? []
        for (log, location) in own + sites {
            if section.has("logging") {
                section.reader.diagnostics.warning(location, "'general' is not used here: the operator's log is set at the top level")
            } else if let chosen, chosen.log != log {
                section.reader.diagnostics.warning(
                    location, "'general' is not used here: there is one operator's log, and line \(chosen.location.line) has set it already")
            } else if chosen == nil {
                chosen = (log, location)
                draft.settings.operatorLog = log
            }
        }
    }
}

extension ListenAddress: CustomStringConvertible {
    /// The system picks a port, so two of these are two listeners.
    var hasPortZero: Bool {
        switch self {
        case .ipv4(_, let port), .ipv6(_, let port): port == 0
        case .unix: false
        }
    }

    var description: String {
        switch self {
        case .ipv4(let literal, let port): "\(literal):\(port)"
        case .ipv6(let literal, let port): "[\(literal)]:\(port)"
        case .unix(let path): "unix:\(path)"
        }
    }
}
