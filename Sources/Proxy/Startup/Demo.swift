import CUring
import Glibc

/// `weir demo`: an origin in a process of its own, the proxy in front of it, and three commands to try.
public func demo(port: UInt16, readyDescriptor: Int32?) -> Int32 {
    do throws(LaunchFailure) {
        let origin = try DemoOrigin.start()
        defer { origin.stop() }
        var request = RunRequest(
            .quick(listen: ["127.0.0.1:\(port)"], to: ["\(origin.address)"]), readyDescriptor: readyDescriptor)
        request.companion = origin.process
        request.invitation = { addresses in
            let address = addresses.first.map { "\($0)" } ?? ""
            return """

                An origin answers behind Weir; a browser at http://\(address)/ shows what it sees. In another terminal, try:
                  curl -i http://\(address)/hello
                  curl -v -o /dev/null http://\(address)/bytes/1000000000
                  curl -sZ -o /dev/null 'http://\(address)/hello?[1-10000]' && \(CommandLine.arguments[0]) stat
                Ctrl-C ends both.


                """
        }
        return run(request)
    } catch {
        say("\(error)")
        return 1
    }
}

/// The hidden sub-command under which the program is the origin of the demo.
let originProcessCommand = "origin-process"

/// Answers as the demo's origin: descriptor 3 is its listener. The exit code of the program.
public func runOriginProcess() -> Int32 {
    guard fcntl(3, F_GETFD) >= 0 else {
        say("'\(originProcessCommand)' is for the demo to start; use 'weir demo'")
        return 2
    }
    let failure = runOrigin(listeners: [3], .demo)
    say("the origin cannot start: \(failure.call): \(errorText(failure.errno))")
    return 1
}

/// The process behind the demo; the kernel ends it with the process that started it.
struct DemoOrigin {
    let process: Int32
    let address: SocketAddress

    static func start() throws(LaunchFailure) -> DemoOrigin {
        var settings = GlobalSettings()
        var server = ServerSettings()
        server.addresses = [.ipv4("127.0.0.1", port: 0)]
        settings.servers = [server]
        let set = try ListenerSet.open(settings, crew: Crew(wanted: 1, machine: .current()))
        defer { set.close() }
        let listener = set.listeners[0]
        let process = spawnSelf(originProcessCommand, control: listener.descriptor, diesWithParent: true)
        guard process > 0 else { throw LaunchFailure("cannot start the origin: \(errorText(process))") }
        return DemoOrigin(process: process, address: listener.address)
    }

    func stop() {
        kill(process, SIGKILL)
        waitpid(process, nil, 0)
    }
}
