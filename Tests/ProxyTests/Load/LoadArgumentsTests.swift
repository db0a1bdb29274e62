import Testing

@testable import Proxy

@Suite("Command line of the load generator")
struct LoadArgumentsTests {
    private func complaint(_ change: (inout LoadRequest) -> Void) -> String? {
        var request = LoadRequest()
        request.urls = ["http://127.0.0.1:1/"]
        request.closed = true
        change(&request)
        do throws(CommandComplaint) {
            _ = try LoadArguments(request)
            return nil
        } catch {
            return error.sentence
        }
    }

    @Test("options that would change nothing are refused, with what to do")
    func idle() {
        #expect(complaint { _ in } == nil)
        #expect(complaint { $0.histogram = true } == "--histogram is a part of the JSON: give --json too")
        #expect(
            complaint {
                $0.histogram = true
                $0.json = "-"
            } == nil)
        #expect(complaint { $0.queue = 5 } == "--queue is for timetables: with --closed nothing waits for a connection")
        #expect(complaint { $0.insecure = true }?.contains("--insecure") == true)
    }
}
