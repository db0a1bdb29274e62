import Glibc
import TestSupport
import Testing

@Suite("/etc/hosts, with the real binary")
struct HostsOfTheMachineTests {
    @Test("a backend that only /etc/hosts knows is found, and a changed line is followed", .enabled(if: geteuid() == 0))
    func hosts() throws {
        let first = try HandlerBackend.named("first", on: .loopback(2, port: 0))
        let second = try HandlerBackend.named("second", on: .loopback(3, port: first.address.port))
        defer {
            first.close()
            second.close()
        }
        let folder = try Folder()
        let hosts = try folder.write("hosts", "127.0.0.2 app.weir.test\n")
        let file = try folder.write(
            "weir.conf",
            // Nobody answers at that name server.
            "resolvers = { \"127.0.0.1:9\" }\n"
                + "server { addr = 127.0.0.1 port = 0 downstream a { addr = app.weir.test port = \(first.address.port) } }\n")
        // In a mount namespace of its own, so that the machine's file stays as it is.
        let weir = try RunningWeir(["run", file], wrapper: ["unshare", "-m", "sh", "-c", "mount --bind \(hosts) /etc/hosts && exec \"$0\" \"$@\""])
        let port = try #require(try weir.readyPorts().first)
        #expect(try ScriptedClient(to: .ipv4(port: port)).get("/").fields.only("X-Backend") == "first")
        // Written in place: the mount shows this very file.
        _ = try folder.write("hosts", "127.0.0.3 app.weir.test  # moved\n")
        let deadline = Deadline(after: .seconds(20) * Patience.factor)
        var name: String?
        while name != "second", !deadline.isOver {
            name = try ScriptedClient(to: .ipv4(port: port)).get("/").fields.only("X-Backend")
            _ = Monitor(false).wait(until: Deadline(after: .milliseconds(50))) { $0 ? true : nil }
        }
        #expect(name == "second")
        weir.signal(SIGTERM)
        #expect(try weir.end() == 0)
    }
}
