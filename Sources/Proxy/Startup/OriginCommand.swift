import CUring
import Glibc

/// What `weir origin` was asked for, as it stands on the command line.
public struct OriginRequest: Sendable {
    public var listen: [String] = []
    public var size: String?
    public var sizes: String?
    public var chunked = false
    public var status: UInt16 = 200
    public var close = false
    public var delay: String?
    public var delayDistribution: String?
    public var faults: String?
    public var stallTime: String?
    public var seed: UInt64 = 1
    /// Certificate and key.
    public var tls: [String] = []
    public var resumes = true
    public var threads = 1
    public var cpus: String?
    public var readyDescriptor: Int32?
    public var lab = Lab()

    /// Other ways to talk to the kernel, for experiments.
    public struct Lab: Sendable {
        public var noDefer = false
        public var cooperative = false
        public var kernelPolling = false
        public var singleShot = false
        public var bufferBytes: String?
        public var buffers: Int?
        /// `SUBMISSION:COMPLETION`
        public var ring: String?
        /// `TIME:COMPLETIONS`
        public var minWait: String?
        public init() {}
    }

    public init() {}
}

/// `weir origin`: answers until it is told to stop; the exit code of the program.
public func origin(_ request: OriginRequest) -> Int32 {
    do throws(CommandComplaint) {
        let settings = try OriginSettings(request)
        let cpus = try CommandValues.list(request.cpus, "--cpu")
        return serveAsOrigin(request, settings, cpus)
    } catch {
        say(error.sentence)
        return commandLineWrong
    }
}

/// sysexits(3): the command line is wrong.
let commandLineWrong: Int32 = 64

/// Connections that may wait to be accepted; the kernel cuts it to net.core.somaxconn, which is 4,096 itself.
private let listenQueue = 4_096

private func serveAsOrigin(_ request: OriginRequest, _ settings: OriginSettings, _ cpus: [Int]) -> Int32 {
    do throws(LaunchFailure) {
        let watched = [SIGTERM, SIGINT]
        let signals = cprocess_signal_descriptor(watched, UInt32(watched.count))
        guard signals >= 0 else { throw LaunchFailure("cannot watch signals: \(errorText(signals))") }
        cprocess_ignore_signal(SIGPIPE)
        if let refusal = RingRefusal(.gather()) { throw LaunchFailure("cannot serve: \(refusal.sentence)") }
        // The proxy's way to read and open addresses, which wants a backend; this one is never looked at.
        let (settingsOrNone, diagnostics) = GlobalSettings.quick(listen: request.listen, to: ["127.0.0.1:1"])
        for diagnostic in diagnostics { write("\(diagnostic)\n", to: STDERR_FILENO) }
        guard var global = settingsOrNone else { throw LaunchFailure("--listen names no address to listen on") }
        // All connections of a load come at once; a queue that is too short makes them wait for a second and more.
        for index in global.servers.indices { global.servers[index].backlog = listenQueue }
        try OpenFiles.decide(global).apply()
        raiseLockedMemory()
        var settings = settings
        let contexts = try (0..<request.threads).map { _ throws(LaunchFailure) in try originTLS(request) }
        let set = try ListenerSet.open(global, crew: Crew(workers: request.threads, cpus: []))
        defer { set.removeUnixFiles() }
        for thread in 0..<request.threads {
            settings.tls = contexts[thread]
            settings.seed = mixed(request.seed &+ UInt64(thread))
            let listeners = set.listeners.filter { $0.worker == thread }.map(\.descriptor)
            try startOriginThread(thread, cpu: cpus.isEmpty ? nil : cpus[thread % cpus.count], listeners, settings)
        }
        announceReady(set.addresses, to: request.readyDescriptor)
        var ready = pollfd(fd: signals, events: Int16(POLLIN), revents: 0)
        while poll(&ready, 1, -1) < 0 && errno == EINTR {}
        return 0
    } catch {
        say("\(error)")
        return 1
    }
}

/// The ready lines, for scripts.
private func announceReady(_ addresses: [SocketAddress], to descriptor: Int32?) {
    let lines = addresses.map { "weir: listening on \($0)\n" }.joined()
    write(lines, to: STDOUT_FILENO)
    guard let descriptor else { return }
    write(lines, to: descriptor)
    close(descriptor)
}

private func originTLS(_ request: OriginRequest) throws(LaunchFailure) -> TLSContext? {
    guard request.tls.count == 2 else { return nil }
    guard let secret = TLSTicketSecret.random() else { throw LaunchFailure("the system gives no random bytes") }
    let identity = TLSIdentity(chain: try tlsFile(request.tls[0]), key: try tlsFile(request.tls[1]))
    var material = TLSMaterial(identities: [identity])
    if !request.resumes { material.ticketCount = 0 }
    do throws(TLSComplaint) {
        return try TLSContext(material, secret: secret, sessions: nil)
    } catch {
        throw LaunchFailure(error.sentence)
    }
}

/// A certificate, a key or a list of authorities, read whole.
func tlsFile(_ path: String) throws(LaunchFailure) -> TLSFile { TLSFile(name: path, bytes: SecretBytes(try wholeFile(path))) }

/// A file as bytes; bounded, since it is kept in memory.
func wholeFile(_ path: String, bytesMax: Int = 1 << 30) throws(LaunchFailure) -> [UInt8] {
    let descriptor = open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { throw LaunchFailure("cannot read \(path): \(errorText(errno))") }
    defer { close(descriptor) }
    var bytes: [UInt8] = []
    var piece = [UInt8](repeating: 0, count: 65_536)
    while true {
        let count = read(descriptor, &piece, piece.count)
        if count == 0 { return bytes }
        if count < 0 && errno == EINTR { continue }
        guard count > 0 else { throw LaunchFailure("cannot read \(path): \(errorText(errno))") }
        guard bytes.count + count <= bytesMax else { throw LaunchFailure("\(path) has more than \(bytesMax) bytes") }
        bytes += piece[..<count]
    }
}

private func startOriginThread(
    _ index: Int, cpu: Int?, _ listeners: [Int32], _ settings: OriginSettings
) throws(LaunchFailure) {
    let made = startThread("origin-\(index)") {
        clinux_exact_timers()
        if let cpu, clinux_pin_thread(Int32(cpu)) < 0 { say("warning: CPU \(cpu) is not to be had for thread \(index)") }
        let failure = runOrigin(listeners: listeners, settings)
        say("the origin cannot start: \(failure.call): \(errorText(failure.errno))")
        _exit(1)
    }
    guard made == 0 else { throw LaunchFailure("no thread to answer with: \(errorText(made))") }
}

extension OriginSettings {
    init(_ request: OriginRequest) throws(CommandComplaint) {
        self.init()
        guard !request.listen.isEmpty else { throw CommandComplaint("--listen is missing; --listen 127.0.0.1:0 takes a free port") }
        guard (1...256).contains(request.threads) else { throw CommandComplaint("--threads: 1 to 256") }
        guard request.size == nil || request.sizes == nil else { throw CommandComplaint("give --size or --sizes, not both") }
        if let size = request.size { sizes = .fixed(try Self.size(size, "--size")) }
        if let text = request.sizes { sizes = try CommandValues.distribution(text, "--sizes", Self.size) }
        isChunked = request.chunked
        guard (200...599).contains(request.status), ![204, 304].contains(request.status) || sizes == .fixed(0) else {
            throw CommandComplaint("--status: 200 to 599, and 204 and 304 with --size 0")
        }
        status = request.status
        closes = request.close
        guard request.delay == nil || request.delayDistribution == nil else {
            throw CommandComplaint("give --delay or --delay-distribution, not both")
        }
        if let delay = request.delay { delays = .fixed(try Self.time(delay, "--delay")) }
        if let text = request.delayDistribution {
            delays = try CommandValues.distribution(text, "--delay-distribution", Self.time)
        }
        faults = try Self.faults(request.faults)
        if let text = request.stallTime {
            guard faults.contains(where: { $0.kind == .stall }) else { throw CommandComplaint("--stall-time is for --fault stall:SHARE") }
            stallNanoseconds = try Self.time(text, "--stall-time")
        }
        guard request.tls.isEmpty || request.tls.count == 2 else { throw CommandComplaint("--tls takes two files: certificate and key") }
        guard request.resumes || !request.tls.isEmpty else { throw CommandComplaint("--no-resumption is for --tls") }
        try setLab(request.lab)
    }

    /// What a law may draw at most: longer times and sizes would be cut to that without a word.
    private static func time(_ text: String, _ option: String) throws(CommandComplaint) -> UInt64 {
        let nanoseconds = try CommandValues.time(text, option)
        guard nanoseconds <= Distribution.max else { throw CommandComplaint("\(option): at most \(Distribution.max / 1_000_000_000)s") }
        return nanoseconds
    }

    private static func size(_ text: String, _ option: String) throws(CommandComplaint) -> UInt64 {
        let bytes = try CommandValues.size(text, option)
        guard bytes <= Distribution.max else { throw CommandComplaint("\(option): at most \(Distribution.max >> 30)g") }
        return bytes
    }

    private static func faults(_ text: String?) throws(CommandComplaint) -> [OriginFault] {
        guard let text else { return [] }
        var faults: [OriginFault] = []
        for part in text.split(separator: ",") {
            let pair = part.split(separator: ":").map(String.init)
            guard pair.count == 2 else { throw CommandComplaint("--fault: '\(part)' is no fault; write reset:0.01") }
            let kind: OriginFault.Kind
            switch pair[0] {
            case "reset": kind = .reset
            case "truncate": kind = .truncate
            case "stall": kind = .stall
            default:
                guard let status = UInt16(pair[0]), (200...599).contains(status) else {
                    throw CommandComplaint("--fault: '\(pair[0])' is none of reset, truncate, stall and a status")
                }
                kind = .status(status)
            }
            faults.append(OriginFault(kind: kind, probability: try CommandValues.share(pair[1], "--fault")))
        }
        guard faults.count <= faultsMax else { throw CommandComplaint("--fault: at most \(faultsMax) of them") }
        guard faults.reduce(0, { $0 + $1.probability }) <= 1 else { throw CommandComplaint("--fault: the probabilities add up to more than 1") }
        return faults
    }

    private mutating func setLab(_ lab: OriginRequest.Lab) throws(CommandComplaint) {
        guard [lab.noDefer, lab.cooperative, lab.kernelPolling].count(where: { $0 }) <= 1 else {
            throw CommandComplaint("--lab-no-defer, --lab-cooperative and --lab-sqpoll leave one another out")
        }
        ring.defersTaskRun = !lab.noDefer && !lab.cooperative
        ring.isCooperative = lab.cooperative
        ring.isPolledByKernel = lab.kernelPolling
        receivesOnce = lab.singleShot
        if let text = lab.bufferBytes {
            let bytes = try CommandValues.size(text, "--lab-buffer-bytes")
            guard (256...262_144).contains(bytes) else { throw CommandComplaint("--lab-buffer-bytes: 256 to 256k") }
            ring.backendBufferBytes = Int(bytes)
        }
        if let buffers = lab.buffers {
            guard (16...32_768).contains(buffers), buffers.nonzeroBitCount == 1 else {
                throw CommandComplaint("--lab-buffers: a power of two, 16 to 32768")
            }
            ring.backendBuffersMax = buffers
        }
        if let text = lab.ring {
            let sizes = text.split(separator: ":").map { UInt32($0) }
            guard sizes.count == 2, let submission = sizes[0], let completion = sizes[1], (8...32_768).contains(submission),
                (submission...65_536).contains(completion), submission.nonzeroBitCount == 1, completion.nonzeroBitCount == 1
            else { throw CommandComplaint("--lab-ring: two powers of two, submission (8 to 32768) and completion (not less): 1024:16384") }
            ring.submissionEntries = submission
            ring.completionEntries = completion
        }
        if let text = lab.minWait {
            let pair = text.split(separator: ":").map(String.init)
            guard pair.count == 2, let completions = UInt32(pair[1]), completions > 0 else {
                throw CommandComplaint("--lab-min-wait: a time and a number of completions: 50us:8")
            }
            let microseconds = try CommandValues.time(pair[0], "--lab-min-wait") / 1_000
            gathering = Gathering(microseconds: UInt32(clamping: microseconds), completions: completions)
        }
    }
}
