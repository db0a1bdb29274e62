import Glibc

/// The one lock of everything that changes the machine or measures it: labs and profiles exclude each other, whatever journal they
/// were given and whoever runs them.
///
/// It is a lock on the folder of the kernel's settings: that is there on every machine and anybody may open it, so that nothing has to
/// be made and nothing is left over. The kernel lets go of it with the last process that has the descriptor. A container whose /proc is
/// its own has a lock of its own.
final class MachineLock: Sendable {
    static let usualPlace = "/proc/sys"

    let descriptor: Int32

    /// Waits up to `patienceMilliseconds` for who holds it.
    init(place: String = MachineLock.usualPlace, patienceMilliseconds: Int = 3_000) throws(LabFailure) {
        descriptor = open(place, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard descriptor >= 0 else { throw LabFailure("cannot open \(place), which is the lock of the lab: \(errorText(errno))") }
        var waited = 0
        while flock(descriptor, LOCK_EX | LOCK_NB) != 0 {
            guard waited < patienceMilliseconds else {
                close(descriptor)
                throw LabFailure("another lab or profile is at work on this machine; wait until it has ended")
            }
            poll(nil, 0, 20)
            waited += 20
        }
    }

    deinit { close(descriptor) }
}
