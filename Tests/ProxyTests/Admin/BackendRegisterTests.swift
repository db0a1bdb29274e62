import Testing

@testable import Proxy

@Suite("Register of the backends that a worker counts for")
struct BackendRegisterTests {
    @Test("what is read is a copy, which outlives the backend")
    func copies() {
        let register = BackendRegister()
        let one = register.add(server: 0, name: "a", address: "10.0.0.1:80")
        let two = register.add(server: 0, name: "a", address: "10.0.0.2:80")
        one.store(7, at: BackendCounter.requests.rawValue)
        two.store(8, at: BackendCounter.requests.rawValue)
        let before = register.snapshots()
        one.store(9, at: BackendCounter.requests.rawValue)
        register.remove(one)
        register.remove(one)
        #expect(before.map { $0.counters[BackendCounter.requests.rawValue] } == [7, 8])
        #expect(register.snapshots().map(\.address) == ["10.0.0.2:80"])
        #expect(register.snapshots().map { $0.counters[BackendCounter.requests.rawValue] } == [8])
    }
}
