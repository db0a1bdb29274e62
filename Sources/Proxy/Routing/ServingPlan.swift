final class ServingPlan: @unchecked Sendable {
    let generation: UInt64
    let settings: GlobalSettings
    init(_ settings: GlobalSettings, after previous: ServingPlan? = nil) throws(PlanFailure) {
        generation = (previous?.generation ?? 0) + 1
        self.settings = settings
    }
}
struct PlanFailure: Error { var sentence: String }
