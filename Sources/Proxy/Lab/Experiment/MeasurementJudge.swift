import Glibc

/// What else the machine did during a measurement.
struct MeasurementSurroundings: Equatable, Sendable {
    /// How fast the CPU of the program under test was just before, in millions of multiplications a second.
    var speed: Double
    /// CPUs' worth of time that programs took which are none of the experiment's.
    var foreignShare = 0.0
    /// The same of the hypervisor, for others.
    var stolenShare = 0.0
    /// The load fell behind its timetable, or was at its own limit.
    var isGeneratorBound = false
}

/// Takes the time of the whole machine over one load, and of those who have a right to it: this process and what it started.
struct SurroundingsWatch {
    private let begun = monotonicSeconds()
    private let machine = MachineWatch.now()
    private let ours = Self.ownSeconds()

    private static func ownSeconds() -> Double { ProcessFigures(of: getpid(), memory: false).cpuSeconds }

    /// - Parameter load: what the load that has ended since wrote.
    func end(into surroundings: inout MeasurementSurroundings, load: JSONText?) {
        let passed = max(monotonicSeconds() - begun, 0.001)
        let now = MachineWatch.now()
        let taken = Self.ownSeconds() - ours + (load?["own"]?["cpu_seconds"]?.real ?? 0)
        surroundings.foreignShare = max(0, (now.busySeconds - machine.busySeconds - taken) / passed)
        surroundings.stolenShare = max(0, (now.stolenSeconds - machine.stolenSeconds) / passed)
        surroundings.isGeneratorBound = load?["verdict"]?["bottleneck"]?.isTrue ?? false
    }
}

/// Says which measurements tell nothing about the program under test, by the measures of the benchmarks.
struct MeasurementJudge {
    /// Requests go by a timetable.
    let hasTimetable: Bool
    /// Whatever else the machine did.
    let acceptsNoise: Bool
    /// Speeds of the CPU in the measurements that counted.
    private var speeds: [Double] = []

    static let foreignShareMax = 0.25
    static let stolenShareMax = 0.10
    static let speedChangeMax = 0.15

    init(hasTimetable: Bool, acceptsNoise: Bool) {
        self.hasTimetable = hasTimetable
        self.acceptsNoise = acceptsNoise
    }

    /// Why the measurement does not count; nil for a good one.
    mutating func complaint(_ surroundings: MeasurementSurroundings) -> String? {
        // By timetable a generator that falls behind delays what it measures; in a closed loop it only limits the rate.
        if hasTimetable, surroundings.isGeneratorBound { return "the load could not keep its timetable" }
        if !acceptsNoise {
            if surroundings.foreignShare > Self.foreignShareMax { return "others took \(Self.percent(surroundings.foreignShare)) of a CPU" }
            if surroundings.stolenShare > Self.stolenShareMax { return "the hypervisor took \(Self.percent(surroundings.stolenShare)) of a CPU" }
            if speeds.count >= 4, let usual = Summaries.median(speeds), abs(surroundings.speed / usual - 1) > Self.speedChangeMax {
                return "the speed of the CPU is \(FigureText.change(surroundings.speed / usual - 1)) from what it was"
            }
        }
        speeds.append(surroundings.speed)
        return nil
    }

    private static func percent(_ share: Double) -> String { "\(FigureText.fixed(share * 100, 0)) %" }
}
