import Glibc

/// Names of places that requests are sent on to: asked for off the worker, while the exchange waits.
extension Worker where Ring: ~Copyable {
    private static var namePatienceNanoseconds: UInt64 { 5_000_000_000 }

    mutating func askForName(
        _ exchange: UnsafeMutablePointer<Exchange>, _ state: UnsafeMutablePointer<DelegationState>
    ) -> StepResult {
        guard postName(exchange, state) else {
            answer(exchange, 502, .nameUnknown)
            return .done
        }
        exchange.pointee.flags.insert(.resolving)
        wheel.set(&exchange.pointee.timer, clock.now &+ Self.namePatienceNanoseconds)
        return .park(.selectBackend)
    }

    /// Never inlined: strings have no business on the path of other requests.
    @inline(never)
    private mutating func postName(
        _ exchange: UnsafeMutablePointer<Exchange>, _ state: UnsafeMutablePointer<DelegationState>
    ) -> Bool {
        guard let nameDesk else { return false }
        let host = UnsafeBufferPointer(start: state.text, count: state.pointee.hostLength)
        nameDesk.post(
            NameQuestion(
                worker: index, slot: exchange.pointee.slot, generation: exchanges.generation(exchange.pointee.slot),
                name: String(decoding: host, as: UTF8.self)))
        return true
    }

    /// The control thread knows the addresses; those that are not allowed are as good as none.
    mutating func onName(_ answer: NameAnswer) {
        guard exchanges.isTaken(answer.slot), exchanges.generation(answer.slot) == answer.generation else { return }
        let exchange = exchanges[answer.slot]
        guard exchange.pointee.flags.contains(.resolving), let block = exchange.pointee.delegation,
            let policy = exchange.pointee.rule.pointee.delegation
        else { return }
        exchange.pointee.flags.remove(.resolving)
        wheel.disarm(&exchange.pointee.timer)
        let state = block.bytes.assumingMemoryBound(to: DelegationState.self)
        var count = 0
        for address in answer.addresses where count < DelegationState.addressesMax && policy.pointee.allows(address.host) {
            state.addresses[count] = address.withPort(state.pointee.port)
            count &+= 1
        }
        guard count > 0 else {
            let isRefused = !answer.addresses.isEmpty
            self.answer(exchange, isRefused ? 401 : 502, isRefused ? .redirectRefused : .nameUnknown)
            return
        }
        state.pointee.addressCount = count
        exchange.pointee.step = .selectBackend
        walk(exchange)
    }

    /// Nobody has answered in time.
    mutating func onNameTimer(_ exchange: UnsafeMutablePointer<Exchange>) {
        exchange.pointee.flags.remove(.resolving)
        count(.timeouts)
        answer(exchange, 504, .nameUnknown)
    }
}
