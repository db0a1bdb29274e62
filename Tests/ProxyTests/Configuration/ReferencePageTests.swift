import Glibc
import Testing

@testable import Proxy

@Suite("Reference of the settings")
struct ReferencePageTests {
    private static let page = folderBefore("/Tests/") + "/docs/CONFIGURATION.md"

    @Test("docs/CONFIGURATION.md is what the declarations say; WEIR_WRITE_PAGES=1 writes it")
    func fresh() throws {
        let expected = Array(referencePage().utf8)
        if getenv("WEIR_WRITE_PAGES") != nil {
            let descriptor = open(Self.page, O_WRONLY | O_CREAT | O_TRUNC, 0o644)
            defer { close(descriptor) }
            #expect(write(descriptor, expected, expected.count) == expected.count)
        }
        let written = try readConfigurationFile(Self.page)
        // The pages themselves would fill the terminal.
        let isFresh = written == expected
        #expect(isFresh, "run: WEIR_WRITE_PAGES=1 swift test --filter ReferencePageTests")
    }

    @Test("every word is on the page and in the help")
    func complete() {
        let page = referencePage()
        let help = settingsHelp(word: nil)
        for entry in configurationRows.entries(path: []) {
            #expect(page.contains("| `\(entry.word)"), "\(entry.word)")
            #expect(help.contains("  \(entry.word)"), "\(entry.word)")
        }
    }

    @Test("docs/FROM_RPROXY.md has a place for every word of RProxy")
    func migration() throws {
        let text = String(decoding: try readConfigurationFile(folderBefore("/Tests/") + "/docs/FROM_RPROXY.md"), as: UTF8.self)
        // What stands between back-quotes, as single words.
        let quoted = text.split(separator: "`", omittingEmptySubsequences: false).enumerated().filter { $0.offset % 2 == 1 }.map(\.element)
        let told = Set(quoted.flatMap { $0.split { " {}\n".contains($0) } }.map(String.init))
        for entry in configurationRows.entries(path: []) where entry.origin != .weir {
            #expect(told.contains(entry.word), "\(entry.word) of \(entry.sectionName)")
        }
    }

    @Test("the help of one word tells its value, default and every section it stands in")
    func oneWord() {
        let help = settingsHelp(word: "Pending-Timeout")
        #expect(help.contains("pending-timeout (in server)\n"))
        #expect(help.contains("pending-timeout (in server / downstream)\n"))
        #expect(help.contains("Value: duration, 0 = no limit") && help.contains("Default: 10s") && help.contains("Default: the server's"))
    }

    @Test("the help of an unknown word offers a near one")
    func unknown() {
        #expect(settingsHelp(word: "pending-timout") == "There is no setting 'pending-timout'. Did you mean 'pending-timeout'?\n")
    }

    @Test("what is in force is shown with the place it came from")
    func origins() throws {
        let fixture = ConfigurationFixture(
            "server {\nport = 0\nread-timeout = 3\nlogging { enabled = on filename = /a }\ndownstream {\nretry { } } }")
        let lines = try #require(fixture.effective().text).split(separator: "\n").map(String.init)
        func origin(_ statement: String) -> [String] {
            lines.filter { $0.contains("\(statement) ") }.map { String($0.split(separator: "# ").last ?? "") }
        }
        #expect(origin("port = 0") == ["main.conf:2:1"])
        #expect(origin("body-timeout = \"3s\"") == ["main.conf:3:1"])
        #expect(origin("output = 'file:/a'") == ["main.conf:4:24"])
        #expect(origin("retry = \"1s\"") == ["main.conf:6:1"])
        #expect(origin("backlog = 1024") == ["default"])
    }

    @Test("nothing is in force where there is an error")
    func noEffect() {
        #expect(ConfigurationFixture("server { }").effective().text == nil)
    }
}
