#define _GNU_SOURCE 1
#include "CUring.h"
#include "CLinux.h"
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <linux/sockios.h>
#include <linux/tls.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <unistd.h>

/* The argument of io_uring_enter with EXT_ARG as of kernel 6.12; older ones want the third field to be 0. */
struct curing_getevents_arg {
    uint64_t sigmask;
    uint32_t sigmask_size;
    uint32_t min_wait_usec;
    uint64_t timespec;
};

int curing_enter(struct io_uring *ring, unsigned wait_count, unsigned long long timeout_ns, unsigned min_wait_us)
{
    struct io_uring_sq *sq = &ring->sq;
    unsigned mask = sq->ring_mask;
    for (unsigned i = sq->sqe_head; i != sq->sqe_tail; i++) sq->array[i & mask] = i & mask;
    sq->sqe_head = sq->sqe_tail;
    io_uring_smp_store_release(sq->ktail, sq->sqe_tail);
    unsigned submit = sq->sqe_tail - *sq->khead;

    struct __kernel_timespec ts = {
        .tv_sec = (long long)(timeout_ns / 1000000000ULL), .tv_nsec = (long long)(timeout_ns % 1000000000ULL)};
    struct curing_getevents_arg arg = {
        .sigmask = 0,
        .sigmask_size = _NSIG / 8,
        .min_wait_usec = min_wait_us,
        .timespec = timeout_ns == UINT64_MAX ? 0 : (uint64_t)(uintptr_t)&ts};
    unsigned flags = IORING_ENTER_GETEVENTS | IORING_ENTER_EXT_ARG;
    if (ring->int_flags & 1) flags |= IORING_ENTER_REGISTERED_RING; /* set by io_uring_register_ring_fd */
    long result = syscall(__NR_io_uring_enter, ring->enter_ring_fd, submit, wait_count, flags, &arg, sizeof arg);
    return result < 0 ? -errno : (int)result;
}

struct io_uring_buf_ring *curing_setup_buffer_ring(struct io_uring *ring, unsigned entries, int group, int *error)
{
    size_t size = entries * sizeof(struct io_uring_buf);
    void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_ANONYMOUS | MAP_PRIVATE, -1, 0);
    if (memory == MAP_FAILED) {
        *error = -errno;
        return NULL;
    }
    struct io_uring_buf_reg registration = {
        .ring_addr = (uint64_t)(uintptr_t)memory, .ring_entries = entries, .bgid = (uint16_t)group};
    int result = io_uring_register_buf_ring(ring, &registration, 0);
    if (result < 0) {
        munmap(memory, size);
        *error = result;
        return NULL;
    }
    *error = 0;
    io_uring_buf_ring_init(memory);
    return memory;
}

int clinux_pin_thread(int cpu)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(cpu, &set);
    return -pthread_setaffinity_np(pthread_self(), sizeof set, &set);
}

int clinux_affinity(int *cpus, int capacity)
{
    cpu_set_t set;
    int count = 0;
    if (sched_getaffinity(0, sizeof set, &set) < 0) return 0;
    for (int cpu = 0; cpu < CPU_SETSIZE && count < capacity; cpu++)
        if (CPU_ISSET(cpu, &set)) cpus[count++] = cpu;
    return count;
}

void clinux_name_thread(const char *name) { pthread_setname_np(pthread_self(), name); }

void clinux_exact_timers(void) { prctl(PR_SET_TIMERSLACK, 1000L); }

int clinux_accept(int listener)
{
    int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

ssize_t clinux_splice(int from, int to, size_t length, int more)
{
    ssize_t n = splice(from, NULL, to, NULL, length, SPLICE_F_MOVE | SPLICE_F_NONBLOCK | (more ? SPLICE_F_MORE : 0));
    return n < 0 ? -errno : n;
}

int clinux_pipe(int *read_end, int *write_end, int capacity_bytes)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) < 0) return -errno;
    *read_end = ends[0];
    *write_end = ends[1];
    int got = fcntl(ends[1], F_SETPIPE_SZ, capacity_bytes);
    if (got < 0) got = fcntl(ends[1], F_GETPIPE_SZ);
    return got < 0 ? -errno : got;
}

int clinux_unsent_bytes(int fd)
{
    int bytes = 0;
    return ioctl(fd, SIOCOUTQNSD, &bytes) < 0 ? -errno : bytes;
}

int clinux_readable_bytes(int fd)
{
    int bytes = 0;
    return ioctl(fd, FIONREAD, &bytes) < 0 ? -errno : bytes;
}

void clinux_set_nonblocking(int fd)
{
    int on = 1;
    ioctl(fd, FIONBIO, &on);
}

const void *clinux_find(const void *bytes, size_t count, const void *part, size_t part_count)
{
    return memmem(bytes, count, part, part_count);
}

int clinux_eventfd(void) { return eventfd(0, EFD_CLOEXEC); }

int clinux_tls_attach(int socket)
{
    return setsockopt(socket, IPPROTO_TCP, TCP_ULP, "tls", sizeof "tls" - 1) == 0 ? 0 : -errno;
}

int clinux_tls_set_sending_key(int socket, const struct clinux_tls_key *key)
{
    union {
        struct tls_crypto_info info;
        struct tls12_crypto_info_aes_gcm_128 aes128;
        struct tls12_crypto_info_aes_gcm_256 aes256;
        struct tls12_crypto_info_chacha20_poly1305 chacha;
    } crypto;
    memset(&crypto, 0, sizeof crypto);
    crypto.info.version = key->version;
    uint64_t sequence = __builtin_bswap64(key->sequence);
    /* With AES-GCM of TLS 1.2 a record carries eight bytes of its nonce, for which we have the sequence number. */
    const void *iv = key->version == TLS_1_2_VERSION ? (const void *)&sequence : key->iv + 4;
    socklen_t length;
    switch (key->suite) {
    case 0:
        crypto.info.cipher_type = TLS_CIPHER_AES_GCM_128;
        memcpy(crypto.aes128.iv, iv, sizeof crypto.aes128.iv);
        memcpy(crypto.aes128.key, key->key, sizeof crypto.aes128.key);
        memcpy(crypto.aes128.salt, key->iv, sizeof crypto.aes128.salt);
        memcpy(crypto.aes128.rec_seq, &sequence, sizeof sequence);
        length = sizeof crypto.aes128;
        break;
    case 1:
        crypto.info.cipher_type = TLS_CIPHER_AES_GCM_256;
        memcpy(crypto.aes256.iv, iv, sizeof crypto.aes256.iv);
        memcpy(crypto.aes256.key, key->key, sizeof crypto.aes256.key);
        memcpy(crypto.aes256.salt, key->iv, sizeof crypto.aes256.salt);
        memcpy(crypto.aes256.rec_seq, &sequence, sizeof sequence);
        length = sizeof crypto.aes256;
        break;
    case 2:
        crypto.info.cipher_type = TLS_CIPHER_CHACHA20_POLY1305;
        memcpy(crypto.chacha.iv, key->iv, sizeof crypto.chacha.iv);
        memcpy(crypto.chacha.key, key->key, sizeof crypto.chacha.key);
        memcpy(crypto.chacha.rec_seq, &sequence, sizeof sequence);
        length = sizeof crypto.chacha;
        break;
    default: return -EINVAL;
    }
    int result = setsockopt(socket, SOL_TLS, TLS_TX, &crypto, length) == 0 ? 0 : -errno;
    explicit_bzero(&crypto, sizeof crypto);
    return result;
}

ssize_t clinux_tls_send_record(int socket, unsigned char type, const void *bytes, size_t count, int flags)
{
    union {
        struct cmsghdr head;
        char room[CMSG_SPACE(1)];
    } note;
    struct iovec piece = {.iov_base = (void *)(uintptr_t)bytes, .iov_len = count};
    struct msghdr message = {.msg_iov = &piece, .msg_iovlen = 1, .msg_control = &note, .msg_controllen = sizeof note};
    memset(&note, 0, sizeof note);
    note.head.cmsg_level = SOL_TLS;
    note.head.cmsg_type = TLS_SET_RECORD_TYPE;
    note.head.cmsg_len = CMSG_LEN(1);
    *CMSG_DATA(&note.head) = type;
    ssize_t sent;
    do sent = sendmsg(socket, &message, flags);
    while (sent < 0 && errno == EINTR);
    return sent < 0 ? -errno : sent;
}

int clinux_queued_bytes(int fd)
{
    int count = 0;
    return ioctl(fd, SIOCOUTQ, &count) < 0 ? -errno : count;
}
