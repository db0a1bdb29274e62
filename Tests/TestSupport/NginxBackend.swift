import Glibc

/// Debian's nginx as a backend that nobody here wrote.
public final class NginxBackend: TestBackend {
    public let address: PeerAddress
    private let folder: TemporaryFolder
    private let process: ChildProcess

    /// Serves `files` (name to content), `/echo-method`, `/status/NNN` and, chunked, everything below `/chunked/`.
    ///
    /// - Parameter locations: more of its `location` blocks.
    public init(files: [String: Bytes] = [:], locations: String = "") throws {
        folder = try TemporaryFolder()
        let root = try folder.makeFolder("root")
        for (name, content) in files { try FileContent.write(root + "/" + name, content) }
        // nginx wants a number: a port that was free a moment ago.
        let (fd, free) = try SocketCalls.listen(on: .ipv4(port: 0), backlog: 1)
        Glibc.close(fd)
        address = free
        let path = folder.path
        let file = try folder.write(
            "nginx.conf",
            """
            daemon off; master_process off; worker_processes 1; pid \(path)/pid; error_log stderr warn;
            events { worker_connections 2048; }
            http {
              access_log off; default_type application/octet-stream; keepalive_requests 1000000;
              client_body_temp_path \(path)/b1; proxy_temp_path \(path)/b2; fastcgi_temp_path \(path)/b3;
              uwsgi_temp_path \(path)/b4; scgi_temp_path \(path)/b5; client_max_body_size 0;
              server {
                listen \(free) backlog=1024; root \(root);
                \(locations)
                location = /echo-method { return 200 $request_method; }
                location ~ ^/status/204$ { return 204; }
                location ~ ^/status/404$ { return 404 missing; }
                location /chunked/ { alias \(root)/; gzip on; gzip_min_length 1; gzip_types *; }
              }
            }
            """)
        process = try ChildProcess(["/usr/sbin/nginx", "-e", "stderr", "-p", path, "-c", file])
        let process = process
        try eventually("nginx listens at \(free)") {
            if let ending = process.ending { throw ScenarioFailure("nginx ended: \(ending) \(process.standardError.readable)") }
            guard let fd = try? SocketCalls.connect(to: free) else { return false }
            Glibc.close(fd)
            return true
        }
    }

    public func close() { process.kill() }
}

/// Real clients, run to their end.
public enum RealClient {
    /// Runs curl quietly; throws when it fails.
    public static func curl(_ arguments: [String]) throws -> Bytes {
        let run = try ChildProcess.run(["curl", "--silent", "--show-error", "--max-time", "30"] + arguments)
        guard run.ending == .exit(0) else { throw ScenarioFailure("curl: \(run.ending) \(run.errors.readable)") }
        return run.output
    }

    /// What wrk tells about a run.
    public struct Load: Sendable {
        public let requests: Int
        /// Socket errors and answers other than 2xx and 3xx.
        public let errors: Int
        public let report: String
    }

    public static func wrk(_ url: String, connections: Int, seconds: Int = 1, arguments: [String] = []) throws -> Load {
        let run = try ChildProcess.run(["wrk", "-t1", "-c\(connections)", "-d\(seconds)s"] + arguments + [url])
        guard run.ending == .exit(0) else { throw ScenarioFailure("wrk: \(run.ending) \(run.errors.readable)") }
        let report = run.output.text
        var requests: Int?
        var errors = 0
        for line in report.split(separator: "\n") {
            let words = line.split { $0 == " " || $0 == "," }
            if line.contains(" requests in ") { requests = words.first.flatMap { Int($0) } }
            if line.contains("Socket errors:") || line.contains("Non-2xx") { errors += words.compactMap { Int($0) }.reduce(0, +) }
        }
        guard let requests else { throw ScenarioFailure("wrk said: \(report)") }
        return Load(requests: requests, errors: errors, report: report)
    }
}
