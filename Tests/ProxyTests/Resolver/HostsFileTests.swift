import Glibc
import Testing

@testable import Proxy

@Suite("Hosts file")
struct HostsFileTests {
    /// A hosts file of its own in the temporary directory, removed at the end.
    private final class TemporaryFile {
        let path: String

        init(_ text: String) {
            var template = Array("/tmp/weir-hosts-XXXXXX".utf8CString)
            let fd = mkstemp(&template)
            precondition(fd >= 0)
            close(fd)
            path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
            write(text)
        }

        /// Replaces the file as editors do, by another one.
        func write(_ text: String) {
            let fd = open(path + ".new", O_WRONLY | O_CREAT | O_TRUNC, 0o600)
            precondition(fd >= 0 && Glibc.write(fd, text, text.utf8.count) == text.utf8.count)
            close(fd)
            precondition(rename(path + ".new", path) == 0)
        }

        deinit { unlink(path) }
    }

    private func words(_ addresses: [SocketAddress]?) -> [String]? { addresses?.map(\.description) }

    @Test("names, aliases, comments, both families, any case, the dot of the root; nonsense lines are passed over")
    func syntax() {
        let file = TemporaryFile(
            """
            # comment
            127.0.0.1\tlocalhost
            10.0.0.1   app.test   APP # tail
            fd00::1 app.test
            10.0.0.1 app.test
            not-an-address app.test
            fe80::1%eth0 app.test
            10.0.0.9
            """)
        var hosts = HostsFile(path: file.path, names: ["app.test.", "app", "localhost"])
        #expect(words(hosts.addresses(of: "APP.test")) == ["10.0.0.1:0", "[fd00::1]:0"])
        #expect(words(hosts.addresses(of: "app")) == ["10.0.0.1:0"])
        #expect(words(hosts.addresses(of: "localhost")) == ["127.0.0.1:0"])
        #expect(hosts.addresses(of: "other.test") == nil)
    }

    @Test("a changed file is read again, a missing one knows nothing but localhost")
    func changes() {
        let file = TemporaryFile("10.0.0.1 app.test\n")
        var hosts = HostsFile(path: file.path, names: ["app.test"])
        #expect(words(hosts.addresses(of: "app.test")) == ["10.0.0.1:0"])
        file.write("10.0.0.22 app.test\n")
        #expect(words(hosts.addresses(of: "app.test")) == ["10.0.0.22:0"])
        unlink(file.path)
        #expect(hosts.addresses(of: "app.test") == nil)
        #expect(words(hosts.addresses(of: "localhost")) == ["127.0.0.1:0", "[::1]:0"])
        #expect(hosts.addresses(of: "db.localhost") != nil)
    }

    @Test("comes before name servers, is looked at again soon, and gives way when its line goes")
    func resolver() throws {
        let file = TemporaryFile("10.0.0.1 app.test\n")
        let harness = try ResolverHarness(["app.test"], hosts: file.path)
        harness.server.setAddresses("app.test", ["10.9.9.9"], ["fd00::9"], ttl: 60)
        harness.start()
        #expect(harness.changes() == ["app.test": ["10.0.0.1"]])
        #expect(harness.server.questions.isEmpty)
        file.write("10.0.0.2 app.test\n10.0.0.33 app.test\n")
        harness.advance(seconds: 5)
        #expect(harness.changes() == ["app.test": ["10.0.0.2", "10.0.0.33"]])
        file.write("\n")
        harness.advance(seconds: 5)
        #expect(harness.changes() == ["app.test": ["10.9.9.9", "fd00::9"]])
    }

    @Test("the machine's own file knows localhost")
    func machine() throws {
        let resolver = try NameResolver(names: ["localhost"])
        resolver.start(now: 0)
        #expect(resolver.isResolved)
        #expect(resolver.addresses(of: "localhost")?.isEmpty == false)
    }
}

@Suite("Addresses and ports")
struct SocketAddressPortTests {
    @Test("a port is put in, nothing else changes")
    func port() throws {
        let four = try #require(SocketAddress(literal: "10.0.0.1", port: 0))
        let six = try #require(SocketAddress(literal: "fd00::1", port: 0))
        let unix = try #require(SocketAddress(unixPath: "/run/app.sock"))
        #expect(four.withPort(8080) == SocketAddress(literal: "10.0.0.1", port: 8080))
        #expect(six.withPort(443) == SocketAddress(literal: "fd00::1", port: 443))
        #expect(unix.withPort(1) == unix)
        #expect(four.isOrdered(before: six) && !six.isOrdered(before: four) && !four.isOrdered(before: four))
    }
}
