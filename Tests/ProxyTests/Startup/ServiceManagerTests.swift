import CUring
import Glibc
import Testing

@testable import Proxy

@Suite("Service manager")
struct ServiceManagerTests {
    /// A manager's socket, by path or in the abstract namespace.
    private final class Manager {
        let descriptor = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)

        init(_ address: [UInt8]) throws {
            var unix = sockaddr_un()
            unix.sun_family = sa_family_t(AF_UNIX)
            withUnsafeMutableBytes(of: &unix.sun_path) { $0.copyBytes(from: address) }
            let length = socklen_t(MemoryLayout<sa_family_t>.size + address.count)
            let result = withUnsafePointer(to: &unix) { pointer in
                pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { bind(descriptor, $0, length) }
            }
            try #require(result == 0)
        }

        deinit { close(descriptor) }

        func received() -> String {
            var bytes = [UInt8](repeating: 0, count: 4_096)
            let count = recv(descriptor, &bytes, bytes.count, Int32(MSG_DONTWAIT))
            return String(decoding: bytes[..<max(0, count)], as: UTF8.self)
        }
    }

    @Test("news arrive by a path and by an abstract name", arguments: [false, true])
    func arrive(abstract: Bool) throws {
        let folder = try Folder()
        let name = abstract ? "@weir-test-\(getpid())-\(UInt32.random(in: 0 ... .max))" : "\(folder.path)/notify"
        var bytes = Array(name.utf8)
        if abstract { bytes[0] = 0 }
        let listener = try Manager(bytes)
        let manager = try #require(ServiceManager(environment: ["NOTIFY_SOCKET": name]))
        let address = try #require(SocketAddress(literal: "127.0.0.1", port: 80))
        manager.tell(.ready([address]))
        #expect(listener.received() == "READY=1\nMAINPID=\(getpid())\nSTATUS=serving on 127.0.0.1:80\n")
        manager.tell(.stopping)
        #expect(listener.received().hasPrefix("STOPPING=1\n"))
        manager.tell(.reloading)
        #expect(listener.received().hasPrefix("RELOADING=1\nMONOTONIC_USEC="))
    }

    @Test("no name, or one that cannot be, is no manager", arguments: [nil, "", "@", "relative", "vsock:2:1", "/" + String(repeating: "x", count: 200)])
    func none(name: String?) {
        #expect(ServiceManager(environment: name.map { ["NOTIFY_SOCKET": $0] } ?? [:]) == nil)
    }

    @Test("a manager that has gone holds up nobody")
    func gone() {
        ServiceManager(environment: ["NOTIFY_SOCKET": "/no/such/socket"])?.tell(.stopping)
    }
}

@Suite("Inherited sockets")
struct InheritedSocketTests {
    /// Sockets with neighbouring numbers that nobody else has, as a manager hands them over.
    private func sockets(_ count: Int, listening: Bool = true) throws -> [Int32] {
        let made = try (0..<count).map { _ in try tcpSocket(listening: listening) }
        defer { for descriptor in made { close(descriptor) } }
        for attempt in 0..<100 {
            var copies: [Int32] = []
            for descriptor in made {
                // The lowest free number from there on: nothing of other tests is closed for it.
                copies.append(fcntl(descriptor, F_DUPFD, copies.last.map { $0 + 1 } ?? Int32(300 + attempt * 5)))
            }
            if zip(copies, copies.dropFirst()).allSatisfy({ $0 + 1 == $1 }) { return copies }
            for copy in copies { close(copy) }
        }
        throw LaunchFailure("no neighbouring numbers are free")
    }

    private func tcpSocket(listening: Bool) throws -> Int32 {
        let made = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        let address = try #require(SocketAddress(literal: "127.0.0.1", port: 0))
        try #require(address.bind(made) == 0 && (!listening || listen(made, 8) == 0))
        return made
    }

    @Test("sockets for this very process are taken with their names and addresses, and no program inherits them")
    func taken() throws {
        let made = try sockets(2)
        defer { for descriptor in made { close(descriptor) } }
        let environment = ["LISTEN_PID": "\(getpid())", "LISTEN_FDS": "2", "LISTEN_FDNAMES": "web"]
        let taken = try InheritedSocket.takeAll(environment: environment, first: made[0])
        #expect(taken.map(\.descriptor) == made && taken.map(\.name) == ["web", "unnamed"])
        #expect(taken.allSatisfy { $0.address.port > 0 && fcntl($0.descriptor, F_GETFD) & FD_CLOEXEC != 0 })
    }

    @Test("what is meant for another process, or is not there, is left alone")
    func notOurs() throws {
        for environment in [[:], ["LISTEN_FDS": "1"], ["LISTEN_PID": "1", "LISTEN_FDS": "1"], ["LISTEN_PID": "\(getpid())", "LISTEN_FDS": "0"]] {
            #expect(try InheritedSocket.takeAll(environment: environment, first: 900) == [])
        }
    }

    @Test("a descriptor that does not listen is an error that names it")
    func wrong() throws {
        let made = try sockets(1, listening: false)
        defer { close(made[0]) }
        let environment = ["LISTEN_PID": "\(getpid())", "LISTEN_FDS": "1", "LISTEN_FDNAMES": "log"]
        let failure = #expect(throws: LaunchFailure.self) { try InheritedSocket.takeAll(environment: environment, first: made[0]) }
        #expect(failure?.description.hasPrefix("descriptor \(made[0]) (log)") == true)
        #expect(throws: LaunchFailure.self) {
            try InheritedSocket.takeAll(environment: ["LISTEN_PID": "\(getpid())", "LISTEN_FDS": "999999"], first: 900)
        }
    }
}
