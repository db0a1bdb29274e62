/// How a ring is made and talked to; what stands here is what measurements chose for the proxy.
///
/// Others are for experiments, which compare them.
struct RingSettings: Sendable, Equatable {
    /// Work that the kernel has to do in our thread waits until we ask for completions (DEFER_TASKRUN).
    var defersTaskRun = true
    /// Without `defersTaskRun`: that work waits until we enter the kernel anyway, and does not interrupt us (COOP_TASKRUN).
    var isCooperative = false
    /// A thread of the kernel looks for new entries by itself (SQPOLL), which leaves `defersTaskRun` out.
    var isPolledByKernel = false
    /// Powers of two.
    var submissionEntries = KernelRing.submissionEntries
    var completionEntries = KernelRing.completionEntries
    var backendBufferBytes = KernelRing.backendBufferBytes
    /// Most receive buffers for backends; a power of two.
    var backendBuffersMax = KernelRing.backendBuffersMax
}
