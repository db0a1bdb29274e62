/* liburing for Swift: the originals import as they are; here stands only what Swift cannot import. */
#pragma once
#include <features.h> /* settles the feature macros as Glibc's module has them */
#include <sched.h>    /* cpu_set_t, which liburing.h wants */
#include <liburing.h> /* its own #define _GNU_SOURCE now comes too late to matter */

/* Flags that are enum shifts in the header. */
static const unsigned char curing_IOSQE_IO_LINK = IOSQE_IO_LINK;
static const unsigned char curing_IOSQE_BUFFER_SELECT = IOSQE_BUFFER_SELECT;
static const unsigned char curing_IOSQE_CQE_SKIP_SUCCESS = IOSQE_CQE_SKIP_SUCCESS;

/* Feature bit of the minimum wait (kernel 6.12), younger than liburing 2.3. */
static const unsigned curing_FEAT_MIN_TIMEOUT = 1U << 15;

/* How many completions are waiting; exists because the acquire load is a macro. */
static inline unsigned curing_cq_ready(struct io_uring *ring)
{
    return io_uring_smp_load_acquire(ring->cq.ktail) - *ring->cq.khead;
}

/* The i-th waiting completion, valid until io_uring_cq_advance. */
static inline struct io_uring_cqe *curing_cqe_at(struct io_uring *ring, unsigned i)
{
    return &ring->cq.cqes[(*ring->cq.khead + i) & ring->cq.ring_mask];
}

/* Whether completions overflowed to the kernel's list and wait to be flushed. */
static inline int curing_cq_overflow(struct io_uring *ring)
{
    return (IO_URING_READ_ONCE(*ring->sq.kflags) & IORING_SQ_CQ_OVERFLOW) != 0;
}

/* Publishes the prepared entries and enters the kernel once: submit, wait for `wait_count` completions or until
 * `timeout_ns` have passed (UINT64_MAX = for ever), flush.  `min_wait_us` > 0 asks for batching (kernel 6.12).
 * Exists because liburing 2.3 has no minimum wait.  Returns the number submitted or a negative errno;
 * -ETIME and -EINTR are ordinary. */
int curing_enter(struct io_uring *ring, unsigned wait_count, unsigned long long timeout_ns, unsigned min_wait_us);

/* Entries prepared and not yet submitted. */
static inline unsigned curing_sq_pending(struct io_uring *ring) { return ring->sq.sqe_tail - ring->sq.sqe_head; }

/* Maps and registers a provided-buffer ring of `entries` (power of two) as group `group`; NULL on failure with
 * the negative errno in *error.  liburing 2.3 leaves the mapping to its caller. */
struct io_uring_buf_ring *curing_setup_buffer_ring(struct io_uring *ring, unsigned entries, int group, int *error);

/* The head of a buffer ring moves with a release store, which is a macro. */
static inline void curing_buffer_ring_add(struct io_uring_buf_ring *ring, void *address, unsigned length,
                                          unsigned short id, int mask, int offset)
{
    io_uring_buf_ring_add(ring, address, length, id, mask, offset);
}
static inline void curing_buffer_ring_advance(struct io_uring_buf_ring *ring, int count)
{
    io_uring_buf_ring_advance(ring, count);
}
