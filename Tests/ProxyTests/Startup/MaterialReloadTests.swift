import Glibc
import TestSupport
import Testing

@testable import Proxy

/// While TLS is not served, no server can name a certificate.
@Suite("Reload because of certificates and keys", .serialized, .enabled(if: servesTLS))
struct MaterialReloadTests {
    private let folder: TemporaryFolder

    init() throws {
        folder = try TemporaryFolder()
        try folder.write("both.pem", Self.pairs[0])
        try write()
    }

    private func write(server: String = "") throws {
        try folder.write(
            "weir.conf",
            """
            workers = 1
            server {
                addr = 127.0.0.1  port = 0  \(server)
                ssl { enabled = true  cert = both.pem  reload = "100ms" }
                respond = 204
            }
            """)
    }

    /// Puts a file in place as one should.
    private func replace(_ name: String, _ text: String) throws {
        try folder.write("\(name).new", text)
        try FileContent.move(folder.path("\(name).new"), to: folder.path(name))
    }

    @Test("a new certificate is taken without a signal, with the configuration that is in force")
    func taken() throws {
        let (weir, _) = try RunningWeir.serving(["run", folder.path("weir.conf")])
        try write(server: "nonsense = 1")
        try replace("both.pem", Self.pairs[1])
        try weir.waitForError("configuration 2 is in use")
        #expect(!weir.standardError.contains("nonsense"))
        weir.signal(SIGTERM)
        #expect(try weir.end() == 0)
    }

    @Test("a server process that is started again after a crash gets the files that are in force")
    func afterCrash() throws {
        let (weir, _) = try RunningWeir.serving(["run", folder.path("weir.conf")])
        let server = try #require(weir.server)
        kill(server, SIGKILL)
        try weir.waitForError("serving again")
        weir.signal(SIGTERM)
        #expect(try weir.end() == 0)
    }

    /// Gives a file a time of change that leaves no doubt, always the same.
    private func age(_ name: String) {
        var times = [timespec(tv_sec: 1_000, tv_nsec: 0), timespec(tv_sec: 1_000, tv_nsec: 0)]
        utimensat(AT_FDCWD, folder.path(name), &times, 0)
    }

    @Test("a file that could not be used is tried again though nothing about it seems to change")
    func triedAgain() throws {
        let (weir, _) = try RunningWeir.serving(["run", folder.path("weir.conf")])
        try folder.write("both.pem.new", Self.pairs[1].replacing("BEGIN CERTIFICATE", with: "BEGIN CERTIFICATX"))
        age("both.pem.new")
        try FileContent.move(folder.path("both.pem.new"), to: folder.path("both.pem"))
        try weir.waitForError("has no certificate in PEM form")
        try weir.waitForError("configuration 1 stays in use")
        // As many bytes in the same file, of the same time: as a change of its mode would look.
        try folder.write("both.pem", Self.pairs[1])
        age("both.pem")
        try weir.waitForError("configuration 2 is in use")
        weir.signal(SIGTERM)
        #expect(try weir.end() == 0)
    }

    @Test("a file that cannot be used is told once, however often it is tried, and changes nothing")
    func refused() throws {
        let (weir, _) = try RunningWeir.serving(["run", folder.path("weir.conf")])
        try replace("both.pem", String(Self.pairs[1].prefix(200)))
        try weir.waitForError("configuration 1 stays in use")
        try replace("both.pem", "nothing of the kind")
        try weir.waitForError("has no certificate in PEM form")
        try replace("both.pem", Self.pairs[1])
        try weir.waitForError("configuration 2 is in use")
        for sentence in ["ends in the middle", "has no certificate"] {
            #expect(weir.standardError.split(separator: "\n").filter { $0.contains(sentence) }.count == 1)
        }
        weir.signal(SIGTERM)
        #expect(try weir.end() == 0)
    }

    /// Two certificates, each with its key; they hold until the next century.
    private static let pairs = [
        """
        -----BEGIN CERTIFICATE-----
        MIIBmzCCAUGgAwIBAgIUTrP76oLzyGUF+va7PBAwfqQEvlIwCgYIKoZIzj0EAwIw
        FjEUMBIGA1UEAwwLb25lLmV4YW1wbGUwIBcNMjYxMTI4MTk0MTQ2WhgPMjEyNjEx
        MDQxOTQxNDZaMBYxFDASBgNVBAMMC29uZS5leGFtcGxlMFkwEwYHKoZIzj0CAQYI
        KoZIzj0DAQcDQgAE0ORgbRvR96l3ka6Pi4yFIlH+UFdNVcE1agIOFntobcvG9Vu+
        Aul1tYeNfw5dq+vHddALCoPs0VOZdo/MUJCKKKNrMGkwHQYDVR0OBBYEFD+mEgtT
        CA7saquZkTuBXFzmi933MB8GA1UdIwQYMBaAFD+mEgtTCA7saquZkTuBXFzmi933
        MA8GA1UdEwEB/wQFMAMBAf8wFgYDVR0RBA8wDYILb25lLmV4YW1wbGUwCgYIKoZI
        zj0EAwIDSAAwRQIhALQLGbBWDWwMQpdxzZD5GP5PKcFPo96N459vwFGMDO8NAiA5
        EzPKIvhLqGm83bYzSeQzXYOQjIWhW5sTwQDV3q4mZw==
        -----END CERTIFICATE-----
        -----BEGIN PRIVATE KEY-----
        MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgLTNfgL+q1KqCYASW
        gS1hINx6xXRAKjS7wQObdMTmdKWhRANCAATQ5GBtG9H3qXeRro+LjIUiUf5QV01V
        wTVqAg4We2hty8b1W74C6XW1h41/Dl2r68d10AsKg+zRU5l2j8xQkIoo
        -----END PRIVATE KEY-----
        """,
        """
        -----BEGIN CERTIFICATE-----
        MIIBmzCCAUGgAwIBAgIUSPwmDXCc8575fiQ2CyymlmKHXPMwCgYIKoZIzj0EAwIw
        FjEUMBIGA1UEAwwLdHdvLmV4YW1wbGUwIBcNMjYxMTI4MTk0MTQ2WhgPMjEyNjEx
        MDQxOTQxNDZaMBYxFDASBgNVBAMMC3R3by5leGFtcGxlMFkwEwYHKoZIzj0CAQYI
        KoZIzj0DAQcDQgAE0hEFjVG50446eiiV0JQ7zqGvQ51Mh1m1EpWUpnos65e4cc1A
        5MPxz6WoL1HYgy+MtulxE40rhkpfnzsD2OCX/6NrMGkwHQYDVR0OBBYEFCVHdVfV
        sZlz+y5VBfcqA4xX0BNlMB8GA1UdIwQYMBaAFCVHdVfVsZlz+y5VBfcqA4xX0BNl
        MA8GA1UdEwEB/wQFMAMBAf8wFgYDVR0RBA8wDYILdHdvLmV4YW1wbGUwCgYIKoZI
        zj0EAwIDSAAwRQIhAOAKeaFyMlJhxOBzS/hPknPCuU8zQKfXu+VhHKkFxsYGAiAU
        i4onqSrPWrQpxuBCr37qsSFwQp84L2dSDWGpFjz3cA==
        -----END CERTIFICATE-----
        -----BEGIN PRIVATE KEY-----
        MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQglcGgAPoBgoYx+zqa
        Xbv2w6MrbGb14bm/62kVtxw7d3uhRANCAATSEQWNUbnTjjp6KJXQlDvOoa9DnUyH
        WbUSlZSmeizrl7hxzUDkw/HPpagvUdiDL4y26XETjSuGSl+fOwPY4Jf/
        -----END PRIVATE KEY-----
        """,
    ]
}
