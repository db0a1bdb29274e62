import CUring
import Glibc
import Synchronization

struct WorkerStartFailure: Error { var sentence: String }
struct BackendSnapshot: Sendable {
    var server: Int
    var name: String
    var address: String
    var counters: CounterBlock
}

final class WorkerHandle: @unchecked Sendable {
    let index: Int
    let counters = CounterBlock(count: WorkerCounter.allCases.count)
    let start: WorkerStart
    let ended = Atomic<Bool>(false)
    let draining = Atomic<Bool>(false)
    init(_ start: WorkerStart) {
        self.start = start
        index = start.index
    }
    func backendSnapshots() -> [BackendSnapshot] { [] }
    func drain(deadlineMilliseconds: Int) { draining.store(true, ordering: .releasing) }
    func stopNow() { draining.store(true, ordering: .releasing) }
    func replaceLogDescriptors(_ fds: [Int32]) {
        for fd in fds { write("reopened\n", to: fd) }
    }
    func publish(_ table: AddressTable) {}
    var hasEnded: Bool { ended.load(ordering: .acquiring) }
    func join() { while !hasEnded { usleep(1000) } }

    func loop() {
        clinux_name_thread("worker \(index)")
        let crashNote = CrashNote(worker: index)
        var requests = 0
        while !draining.load(ordering: .acquiring) {
            var fds = start.listeners.map { pollfd(fd: $0.fd, events: Int16(POLLIN), revents: 0) }
            guard poll(&fds, nfds_t(fds.count), 20) > 0 else { continue }
            for ready in fds where ready.revents != 0 {
                let client = accept(ready.fd, nil, nil)
                guard client >= 0 else { continue }
                var sink = [UInt8](repeating: 0, count: 4096)
                let got = recv(client, &sink, sink.count, 0)
                if String(decoding: sink[..<max(0, got)], as: UTF8.self).contains("Host") { requests += 1 }
                counters.store(UInt64(requests), at: WorkerCounter.requests.rawValue)
                crashNote.note(step: 2)
                if requests > 0, start.settings.debugTrapAtRequest == requests { preconditionFailure("debug trap") }
                write("HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n", to: client)
                close(client)
            }
        }
        for listener in start.listeners { close(listener.fd) }
        ended.store(true, ordering: .releasing)
    }
}

func startWorker(_ start: WorkerStart) throws(WorkerStartFailure) -> WorkerHandle {
    let handle = WorkerHandle(start)
    var thread = pthread_t()
    let context = Unmanaged.passRetained(handle).toOpaque()
    let result = pthread_create(
        &thread, nil,
        { raw in
            Unmanaged<WorkerHandle>.fromOpaque(raw!).takeRetainedValue().loop()
            return nil
        }, context)
    if result != 0 { throw WorkerStartFailure(sentence: "no thread: \(errorText(result))") }
    pthread_detach(thread)
    return handle
}

func crashStepName(_ step: UInt8) -> String { step == 2 ? "parse" : "step \(step)" }
