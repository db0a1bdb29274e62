import Glibc
import Testing

@Suite("Starts that cannot be")
struct StartFailureTests {
    @Test("a port that another Weir listens on is an error of one sentence")
    func portOfAnotherWeir() throws {
        let (weir, port) = try RunningWeir.serving(["--listen", "127.0.0.1:0", "--to", "127.0.0.1:9"])
        let second = try RunningWeir.result(["--listen", "127.0.0.1:\(port)", "--to", "127.0.0.1:9"])
        #expect(second.code == 1)
        #expect(second.errors.contains("cannot listen on 127.0.0.1:\(port): another process listens there"))
        #expect(second.output.isEmpty)
        weir.signal(SIGTERM)
        #expect(try weir.end() == 0)
    }

    @Test("a file that cannot be read, or is wrong, is named with its place")
    func badFile() throws {
        let folder = try Folder()
        let missing = try RunningWeir.result(["run", "\(folder.path)/none.conf"])
        #expect(missing.code == 1)
        #expect(missing.errors.contains("\(folder.path)/none.conf"))
        let file = try folder.write("weir.conf", "workers = 2\nwrokers = 3\n")
        for command in ["run", "check"] {
            let wrong = try RunningWeir.result([command, file])
            #expect(wrong.code == 1)
            #expect(wrong.errors.contains("\(file):2:1: error: "))
        }
    }

    @Test(
        "words that do not fit together are refused before anything starts",
        arguments: [
            [], ["run", "--listen", "127.0.0.1:0"], ["run", "--to", "127.0.0.1:9"],
            ["run", "weir.conf", "--listen", "127.0.0.1:0"], ["run", "--ready-fd", "x"], ["nothing-like-it", "at all"],
        ])
    func badCommandLine(words: [String]) throws {
        let result = try RunningWeir.result(words)
        #expect(result.code == 64)
        #expect(result.errors.contains("Usage: weir"))
    }

    @Test("a low port without the right to it names that right", .enabled(if: geteuid() == 0))
    func missingRight() throws {
        // In a network of its own, where the lowest ports are protected whatever the machine's settings are.
        let result = try RunningWeir.result(
            ["--listen", "127.0.0.1:80", "--to", "127.0.0.1:9"],
            wrapper: ["unshare", "-n", "setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"])
        #expect(result.code == 1)
        #expect(result.errors.contains("CAP_NET_BIND_SERVICE"))
    }

    @Test(
        "a kernel that forbids io_uring is told apart by cause",
        arguments: [
            ("EPERM", "a filter for system calls (seccomp) forbids io_uring"),
            ("ENOSYS", "a filter for system calls (seccomp) forbids io_uring"),
        ])
    func ringForbidden(errno: String, sentence: String) throws {
        let result = try RunningWeir.result(
            ["--listen", "127.0.0.1:0", "--to", "127.0.0.1:9"], wrapper: [RunningWeir.built("forbid"), errno])
        #expect(result.code == 1)
        #expect(result.output.isEmpty)
        #expect(result.errors.contains("weir: cannot serve: \(sentence)"))
        #expect(result.errors.contains("container's profile"))
    }

    @Test("more open files than the hard limit are refused to those who may not raise it", .enabled(if: geteuid() == 0))
    func openFiles() throws {
        let folder = try Folder()
        chmod(folder.path, 0o755)
        let file = try folder.write(
            "weir.conf",
            "max-nofile = 100000\nserver {\n addr = 127.0.0.1\n port = 0\n downstream a {\n addr = 127.0.0.1\n port = 9\n }\n}\n")
        let result = try RunningWeir.result(
            ["run", file],
            wrapper: ["prlimit", "--nofile=500:500", "setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"])
        #expect(result.code == 1)
        #expect(result.errors.contains("max-nofile = 100000 is above the hard limit of 500 open files"))
    }
}
