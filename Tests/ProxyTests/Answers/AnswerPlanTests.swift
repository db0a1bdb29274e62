import Glibc
import TestSupport
import Testing

@testable import Proxy

@Suite("Answers of our own, resolved")
struct AnswerPlanTests {
    private let arena = PlanArena()

    private func plan(_ levels: AnswerSettings..., namesBackends: Bool = false) -> AnswerPlan? {
        AnswerPlan.compile(levels, pages: levels.map { AnswerPlan.pages($0, in: arena) }, namesBackends: namesBackends, in: arena)?.pointee
    }

    private func respond(_ status: Int) -> AnswerSettings { AnswerSettings(respond: RespondSettings(status: status)) }

    private func status(_ plan: AnswerPlan?) -> Int? {
        switch plan?.whole {
        case .respond(let respond): Int(respond.status)
        case .redirect(let redirect): Int(redirect.status)
        case .some(.none), nil: nil
        }
    }

    private func page(_ statuses: [Int], _ text: String) -> ErrorPageSettings {
        ErrorPageSettings(statuses: statuses, body: AnswerBodySettings(bytes: Array(text.utf8), contentType: "text/plain"))
    }

    @Test("where nothing is said there is no plan at all")
    func nothing() {
        #expect(plan(AnswerSettings(), AnswerSettings()) == nil)
    }

    @Test("the nearest answer counts")
    func nearest() {
        #expect(status(plan(respond(201), respond(202), respond(203))) == 203)
        #expect(status(plan(respond(201), AnswerSettings(redirect: RedirectSettings(status: 308, target: "/")), AnswerSettings())) == 308)
    }

    @Test("an answer of the surroundings is not meant for a rule that names backends")
    func backends() {
        #expect(status(plan(respond(201), AnswerSettings(), namesBackends: true)) == nil)
        #expect(status(plan(respond(201), respond(202), namesBackends: true)) == 202)
    }

    @Test("error pages are merged status by status, the nearest first, the last of a level first")
    func pages() {
        let outer = AnswerSettings(errorPages: [page([404, 502], "outer")])
        let inner = AnswerSettings(errorPages: [page([502], "first"), page([502, 503], "second")])
        let pages = plan(outer, inner)?.pages
        let texts = [404, 502, 503, 504].map { status in pages?.body(for: status).map { String(decoding: $0.bytes.bytes, as: UTF8.self) } }
        #expect(texts == ["outer", "second", "second", nil])
    }

    @Test("the nearest level that says anything of maintenance decides")
    func maintenance() {
        let on = AnswerSettings(maintenance: MaintenanceSettings(isOn: true, retrySeconds: 7))
        let off = AnswerSettings(maintenance: MaintenanceSettings(isOn: false))
        #expect(plan(on, AnswerSettings())?.maintenance.isOn == true)
        #expect(plan(on, AnswerSettings())?.maintenance.retrySeconds == 7)
        #expect(plan(on, off)?.maintenance.isOn != true)
        let file = AnswerSettings(maintenance: MaintenanceSettings(file: "/"))
        #expect(plan(file, AnswerSettings())?.maintenance.isOn == true)
        #expect(plan(file, off)?.maintenance.isOn != true)
    }

    @Test("a maintenance file is seen when it comes and when it goes")
    func maintenanceFile() throws {
        let folder = try TemporaryFolder()
        let flag = MaintenanceFlag.of(folder.path("maintenance"))
        #expect(!flag.isSet)
        _ = try folder.write("maintenance", "")
        MaintenanceFlag.lookAtFiles()
        #expect(flag.isSet)
        unlink(folder.path("maintenance"))
        MaintenanceFlag.lookAtFiles()
        #expect(!flag.isSet)
    }

    @Test(
        "the query is kept unless the target names it or has a fragment",
        arguments: [
            ("/a", nil, "?"), ("/a?b=1", nil, "&"), ("/a?{QUERY}", nil, ""), ("/a#b", nil, ""), ("/a", false, ""), ("/a{QUERY}", true, "?"),
        ] as [(String, Bool?, String)])
    func query(_ target: String, _ keeps: Bool?, _ separator: String) throws {
        let plan = plan(AnswerSettings(redirect: RedirectSettings(status: 302, target: target, keepsQuery: keeps)))
        guard case .redirect(let redirect) = plan?.whole else {
            Issue.record("no redirect")
            return
        }
        #expect(redirect.separator == (separator.utf8.first ?? 0))
    }
}
