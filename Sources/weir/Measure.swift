import ArgumentParser
import Proxy

/// What generator and origin have in common: who does the work, and what chance begins with.
struct WorkOptions: ParsableArguments {
    @Option(help: ArgumentHelp("Threads.", valueName: "number"))
    var threads = 1
    @Option(help: ArgumentHelp("CPUs for the threads, in turn: 0,2 or 0-3.", valueName: "list"))
    var cpu: String?
    @Option(help: ArgumentHelp("For all that is random.", valueName: "number"))
    var seed: UInt64 = 1
}

struct Load: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Send requests by a timetable and tell how long answers took.",
        discussion: """
            Latency counts from the moment at which a request was to be sent, so that a server which stalls cannot hide it.
            Exits with 0, with 1 when more requests failed than --allow-failures, with 3 when this program was itself the bottleneck.
            Times take us, ms, s, m or h, sizes k, m or g. SIGINT ends early and tells what there is.
            """)

    @Argument(help: ArgumentHelp("Where to send requests, one after the other; all of one scheme, host and port.", valueName: "url"))
    var urls: [String]

    @Option(help: ArgumentHelp("Requests by second, evenly.", valueName: "number"))
    var rate: String?
    @Option(help: ArgumentHelp("Requests by second that grow or fall evenly over the duration.", valueName: "from:to"))
    var ramp: String?
    @Option(help: ArgumentHelp("Requests by second, each for the same part of the duration.", valueName: "list"))
    var steps: String?
    @Option(help: ArgumentHelp("Independent arrivals, so many by second on average.", valueName: "number"))
    var poisson: String?
    @Flag(help: "The next request goes when an answer has come.")
    var closed = false

    @Option(help: ArgumentHelp("How long to measure: 10s, unless --requests says when to end.", valueName: "time"))
    var duration: String?
    @Option(help: ArgumentHelp("How long to send before that, without measuring.", valueName: "time"))
    var warmUp: String?
    @Option(help: ArgumentHelp("How many requests to measure at most.", valueName: "number"))
    var requests: UInt64?

    @Option(help: ArgumentHelp("Connections, over all threads.", valueName: "number"))
    var connections = 10
    @Option(help: ArgumentHelp("Requests that may be under way on a connection.", valueName: "number"))
    var pipeline = 1
    @Flag(help: "A new connection for each request.")
    var close = false
    @Option(help: ArgumentHelp("Connect there and not to the URL's host: HOST:PORT, [IPV6]:PORT or unix:PATH.", valueName: "address"))
    var connect: String?

    @Option(
        help: ArgumentHelp("Requests by weight: lines of WEIGHT METHOD TARGET [size=BYTES | body=FILE] ['Name: value'] ….", valueName: "file"),
        completion: .file())
    var mix: String?
    @Option(help: ArgumentHelp("GET, or POST with a body, when missing.", valueName: "word"))
    var method: String?
    @Option(help: ArgumentHelp("A header of every request: 'Name: value'.", valueName: "field"))
    var header: [String] = []
    @Option(help: ArgumentHelp("The body of every request.", valueName: "file"), completion: .file())
    var body: String?
    @Option(help: ArgumentHelp("A body of so many bytes.", valueName: "size"))
    var bodySize: String?
    @Flag(help: "Send WebSocket messages, of --body-size, and wait for each to come back.")
    var websocket = false

    @Flag(help: "Take every certificate.")
    var insecure = false
    @Option(help: ArgumentHelp("Whom to trust; the system's authorities when missing.", valueName: "file"), completion: .file())
    var ca: String?
    @Option(help: ArgumentHelp("The name to ask for and to check; the URL's host when missing.", valueName: "name"))
    var serverName: String?
    @Flag(help: "A whole handshake of TLS for each connection.")
    var noResumption = false

    @Option(help: ArgumentHelp("Read so many bytes by second on each connection.", valueName: "size"))
    var readRate: String?
    @Option(help: ArgumentHelp("Write so many bytes by second on each connection.", valueName: "size"))
    var writeRate: String?
    @Option(help: ArgumentHelp("How long to wait for an answer.", valueName: "time"))
    var timeout = "10s"
    @Option(help: ArgumentHelp("Requests that may wait for a free connection; more are dropped, and count as failed: 100000 when missing.", valueName: "number"))
    var queue: Int?

    @OptionGroup var work: WorkOptions

    @Option(help: ArgumentHelp("Write the result as JSON; - is standard output, in place of the text.", valueName: "file"), completion: .file())
    var json: String?
    @Option(help: ArgumentHelp("Write the distribution of latencies for the plotters of HdrHistogram.", valueName: "file"), completion: .file())
    var hdr: String?
    @Flag(help: "A line each second on standard error, also when that is no terminal.")
    var progress = false
    @Option(help: ArgumentHelp("Share of requests that may fail, as 1%; none when missing.", valueName: "share"))
    var allowFailures: String?
    @Flag(help: "Tell the figures even when they are those of this program.")
    var reportAnyway = false
    @Flag(help: "Put the counts of the histogram of latencies into the JSON too, so that runs can be added up.")
    var histogram = false

    func run() throws {
        var request = LoadRequest()
        request.urls = urls
        request.mix = mix
        request.rate = rate
        request.ramp = ramp
        request.steps = steps
        request.poisson = poisson
        request.closed = closed
        request.duration = duration
        request.warmUp = warmUp
        request.requests = requests
        request.connections = connections
        request.threads = work.threads
        request.pipeline = pipeline
        request.close = close
        request.method = method
        request.headers = header
        request.body = body
        request.bodySize = bodySize
        request.connect = connect
        request.insecure = insecure
        request.authorities = ca
        request.resumes = !noResumption
        request.serverName = serverName
        request.readRate = readRate
        request.writeRate = writeRate
        request.webSocket = websocket
        request.timeout = timeout
        request.queue = queue
        request.cpus = work.cpu
        request.seed = work.seed
        request.json = json
        request.hdr = hdr
        request.progress = progress
        request.allowFailures = allowFailures
        request.reportAnyway = reportAnyway
        request.histogram = histogram
        try end(load(request))
    }
}

struct StubOrigin: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "origin",
        abstract: "Answer as a backend to measure against: sizes, delays and faults as you like.",
        discussion: """
            Paths that say what they want: /bytes/N, /chunked/N, /until-close/N, /broken/N, /delay/MS, /drip/N, /status/N, /echo, /upload,
            /ws (WebSocket echo), /tunnel. Every other path gets the answer that the options describe.
            When it answers, 'weir: listening on ADDRESS:PORT' appears on standard output. SIGTERM or SIGINT ends it.
            """)

    @Option(help: ArgumentHelp("Address to listen on: HOST:PORT, [IPV6]:PORT or unix:PATH; port 0 takes a free one.", valueName: "address"))
    var listen: [String]

    @Option(help: ArgumentHelp("Bytes of a body; 100 when missing.", valueName: "size"))
    var size: String?
    @Option(help: ArgumentHelp("Bytes by a law: uniform:1k-64k, exp:MEAN or lognormal:MEDIAN,SIGMA.", valueName: "law"))
    var sizes: String?
    @Flag(help: "Bodies in chunks.")
    var chunked = false
    @Option(help: ArgumentHelp("Status of answers.", valueName: "number"))
    var status: UInt16 = 200
    @Flag(help: "Close each connection after an answer.")
    var close = false
    @Option(help: ArgumentHelp("Wait before each answer.", valueName: "time"))
    var delay: String?
    @Option(help: ArgumentHelp("The same by a law: uniform:1ms-10ms, exp:MEAN or lognormal:MEDIAN,SIGMA.", valueName: "law"))
    var delayDistribution: String?
    @Option(help: ArgumentHelp("What goes wrong and how often: reset:0.01,truncate:0.01,stall:0.001,500:0.01.", valueName: "list"))
    var fault: String?
    @Option(help: ArgumentHelp("How long a stall is; 1s when missing.", valueName: "time"))
    var stallTime: String?

    @Option(parsing: .upToNextOption, help: ArgumentHelp("Speak TLS: certificate and key.", valueName: "file"), completion: .file())
    var tls: [String] = []
    @Flag(help: "Give out no tickets, so that no session can be resumed.")
    var noResumption = false
    @OptionGroup var work: WorkOptions
    @Option(help: ArgumentHelp("Also write the ready lines to this descriptor, then close it.", valueName: "number"))
    var readyFd: Int32?

    @Flag(help: "Experiment: work of the kernel interrupts the thread (no DEFER_TASKRUN).")
    var labNoDefer = false
    @Flag(help: "Experiment: work of the kernel waits until the thread enters the kernel (COOP_TASKRUN in place of DEFER_TASKRUN).")
    var labCooperative = false
    @Flag(help: "Experiment: a thread of the kernel takes entries off the ring (SQPOLL).")
    var labSqpoll = false
    @Flag(help: "Experiment: one receive at a time (no multishot).")
    var labSingleShot = false
    @Option(help: ArgumentHelp("Experiment: size of receive buffers; 16k when missing.", valueName: "size"))
    var labBufferBytes: String?
    @Option(help: ArgumentHelp("Experiment: most receive buffers, a power of two; 2048 when missing.", valueName: "number"))
    var labBuffers: Int?
    @Option(help: ArgumentHelp("Experiment: entries of the two queues; 1024:16384 when missing.", valueName: "numbers"))
    var labRing: String?
    @Option(help: ArgumentHelp("Experiment: how long to wait for more completions, and for how many, as 50us:8.", valueName: "time:number"))
    var labMinWait: String?

    func run() throws {
        var request = OriginRequest()
        request.listen = listen
        request.size = size
        request.sizes = sizes
        request.chunked = chunked
        request.status = status
        request.close = close
        request.delay = delay
        request.delayDistribution = delayDistribution
        request.faults = fault
        request.stallTime = stallTime
        request.seed = work.seed
        request.tls = tls
        request.resumes = !noResumption
        request.threads = work.threads
        request.cpus = work.cpu
        request.readyDescriptor = readyFd
        request.lab.noDefer = labNoDefer
        request.lab.cooperative = labCooperative
        request.lab.kernelPolling = labSqpoll
        request.lab.singleShot = labSingleShot
        request.lab.bufferBytes = labBufferBytes
        request.lab.buffers = labBuffers
        request.lab.ring = labRing
        request.lab.minWait = labMinWait
        try end(origin(request))
    }
}
