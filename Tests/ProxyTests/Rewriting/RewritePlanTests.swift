import Testing

@testable import Proxy

@Suite("The plan of one rule's heads")
struct RewritePlanTests {
    private let arena = PlanArena()

    private func plan(_ scope: ScopeSettings, rewrite: RewriteSettings? = nil) throws -> RewritePlan {
        try RewritePlan(rewrite: rewrite, reverses: [], scope: scope, backends: [], in: arena)
    }

    @Test("with nothing said, only managed names are taken out")
    func quiet() throws {
        let plan = try plan(ScopeSettings())
        #expect(plan.dropped.contains("X-Forwarded-For") && plan.dropped.contains("X-SSL-Sha1") && !plan.dropped.contains("X-Request-Id"))
        #expect(!plan.droppedOfTrusted.contains("X-Forwarded-For") && plan.droppedOfTrusted.contains("X-Redirected-Via"))
        #expect(plan.target == nil && plan.reverse == nil && !plan.changesAnswers && plan.requestEdits.lines.isEmpty)
    }

    @Test("what is written anew is taken out of a trusted peer's requests too")
    func trusted() throws {
        var scope = ScopeSettings()
        scope.forwarded = ForwardingSettings(forwardedFor: .append, requestID: true)
        let plan = try plan(scope)
        #expect(plan.droppedOfTrusted.contains("X-Forwarded-For") && plan.droppedOfTrusted.contains("x-request-id") && plan.dropped.contains("X-Request-ID"))
        #expect(!plan.droppedOfTrusted.contains("X-Forwarded-Proto") && plan.identifier.contains("X-Request-Id"))
    }

    @Test("edits take out what they remove and replace; what they add stays beside the rest")
    func edits() throws {
        var scope = ScopeSettings()
        scope.requestEdits = HeaderEditSettings(set: [.init(name: "X-Set", value: "{SRC}")], add: [.init(name: "X-Add", value: "1")], remove: ["X-Gone"])
        scope.responseEdits = HeaderEditSettings(set: [.init(name: "Server", value: "a {b} {1}")])
        scope.strippedFields = ["X-Powered-By"]
        let plan = try plan(scope)
        #expect(plan.dropped.contains("x_set") && plan.dropped.contains("X-Gone") && !plan.dropped.contains("X-Add"))
        #expect(plan.droppedOfTrusted.contains("X-Set") && plan.requestEdits.needsRecord)
        #expect(plan.requestEdits.lines.map(\.text.text) == ["X-Set: ", "X-Add: 1\r\n"])
        #expect(plan.droppedOfAnswers.contains("server") && plan.droppedOfAnswers.contains("x-powered-by") && plan.changesAnswers)
    }

    @Test("braces without a token's name are text")
    func braces() {
        #expect(!HeaderEdits.hasTokens("a { b } {1} {") && HeaderEdits.hasTokens("{SRC}") && HeaderEdits.hasTokens("x{us_hdr}:'a'"))
    }
}
