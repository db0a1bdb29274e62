// swift-tools-version: 6.2
import PackageDescription

/// Every target of ours is built with warnings as errors.
let strict: [SwiftSetting] = [.treatAllWarnings(as: .error)]
let strictC: [CSetting] = [.unsafeFlags(["-Wall", "-Wextra", "-Werror", "-O2"])]

/// `make build ALLOCATOR=glibc` leaves jemalloc out; its calls are bound weakly and then find nothing.
let jemalloc: [LinkerSetting] =
    Context.environment["WEIR_ALLOCATOR"] == "glibc"
    ? [] : [.linkedLibrary("jemalloc", .when(configuration: .release))]

/// Small exchanges on a scripted ring, for counts of allocations and instructions; no part of the product, whose
/// binary has one worker only.
let counts = Context.environment["WEIR_COUNTS"] == "1"

let package = Package(
    name: "weir",
    products: [.executable(name: "weir", targets: ["weir"])],
    dependencies: [
        // The command line: sub-commands, help texts, completion scripts.
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
        // The front of the operator's log; the handler behind it is ours.
        .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
        // Latency histograms of the load generator, in the format that other tools read.
        .package(url: "https://github.com/HdrHistogram/hdrhistogram-swift", from: "0.2.0"),
    ],
    targets: [
        // The shim over liburing and the Linux calls that Swift cannot import.
        .target(name: "CUring", cSettings: strictC, linkerSettings: [.linkedLibrary("uring")]),
        // Names: asynchronous DNS with TTL.
        .target(name: "CCares", cSettings: strictC, linkerSettings: [.linkedLibrary("cares")]),
        // Regular expressions of rules and rewrites, with a compiler to machine code and a limit of steps.
        .target(name: "CPCRE2", cSettings: strictC, linkerSettings: [.linkedLibrary("pcre2-8")]),
        // TLS: handshakes, records, certificates.
        .target(
            name: "COpenSSL", cSettings: strictC, linkerSettings: [.linkedLibrary("ssl"), .linkedLibrary("crypto")]),
        // AES-GCM with the vector instructions that OpenSSL 3.0 does not know; looked for at run time, not linked.
        .target(name: "CIPSecMB", cSettings: strictC),
        // Purge and decay under control; weakly bound, because sanitizers bring an allocator of their own.
        .target(
            name: "CJemalloc", cSettings: strictC, linkerSettings: jemalloc),
        // Everything on the path of a request, in one module: calls across modules cost up to 40 times more.
        .target(
            name: "Proxy",
            dependencies: [
                "CUring", "CCares", "CPCRE2", "COpenSSL", "CIPSecMB", "CJemalloc", .product(name: "Logging", package: "swift-log"),
                .product(name: "Histogram", package: "hdrhistogram-swift"),
            ],
            swiftSettings: strict + (counts ? [.define("WEIR_COUNTS")] : [])),
        // The command line and main.
        .executableTarget(
            name: "weir",
            dependencies: ["Proxy", .product(name: "ArgumentParser", package: "swift-argument-parser")],
            swiftSettings: strict),
        // Runs a command where io_uring is forbidden, for tests of what is then said.
        .executableTarget(name: "forbid", path: "Tests/Forbid", cSettings: strictC),
        // The vocabulary of the scenario tests: scripted peers, the proxy under test.
        .target(name: "TestSupport", dependencies: ["CUring", "COpenSSL"], path: "Tests/TestSupport", swiftSettings: strict),
        .testTarget(name: "EngineTests", dependencies: ["Proxy", "TestSupport"], swiftSettings: strict),
        .testTarget(name: "HTTPTests", dependencies: ["Proxy", "TestSupport"], swiftSettings: strict),
        .testTarget(name: "TLSTests", dependencies: ["Proxy", "TestSupport"], swiftSettings: strict),
        .testTarget(name: "ProxyTests", dependencies: ["Proxy", "TestSupport", "forbid"], swiftSettings: strict),
        .testTarget(name: "ScenarioTests", dependencies: ["TestSupport"], swiftSettings: strict),
        .testTarget(name: "TidyTests", dependencies: ["TestSupport"], swiftSettings: strict),
    ],
    swiftLanguageModes: [.v6]
)

/// `WEIR_TESTS="EngineTests ProxyTests"` leaves the other tests out of a build; each sanitizer has one of its own.
if let wanted = Context.environment["WEIR_TESTS"]?.split(separator: " ") {
    package.targets.removeAll { $0.type == .test && !wanted.contains(Substring($0.name)) }
}

if counts {
    package.targets.append(
        .executableTarget(
            name: "weir-counts", dependencies: ["Proxy"], path: "Tests/Counts", exclude: ["run", "gate.py"], swiftSettings: strict))
}
