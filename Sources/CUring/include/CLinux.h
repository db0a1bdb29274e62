/* Linux calls that Swift cannot import: GNU-only, variadic, or macros. */
#pragma once
#include <features.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/socket.h>

/* Pins the calling thread to one CPU; 0 or a negative errno. */
int clinux_pin_thread(int cpu);
/* Fills `cpus` with the CPUs of the inherited affinity mask, at most `capacity`; returns how many. */
int clinux_affinity(int *cpus, int capacity);
/* Names the calling thread (15 bytes at most). */
void clinux_name_thread(const char *name);

/* Lets timers of the calling thread come up within a microsecond, not the 50 that the kernel gives itself to bundle them. */
void clinux_exact_timers(void);

/* accept4(2) needs _GNU_SOURCE: a connection that an exec closes, or a negative errno. */
int clinux_accept(int listener);

/* splice(2) and pipe2(2) need _GNU_SOURCE.  Both return a negative errno on failure. */
ssize_t clinux_splice(int from, int to, size_t length, int more);
int clinux_pipe(int *read_end, int *write_end, int capacity_bytes);
/* Bytes that wait in a socket's send queue and have not been sent; negative errno. */
int clinux_unsent_bytes(int fd);
/* The same with those that were sent and are not acknowledged. */
int clinux_queued_bytes(int fd);
/* Bytes that can be read from a socket or pipe now; negative errno. */
int clinux_readable_bytes(int fd);

/* memmem(3), which needs _GNU_SOURCE: where `part` first stands in `bytes`, in linear time; NULL when nowhere. */
const void *clinux_find(const void *bytes, size_t count, const void *part, size_t part_count);

/* A close-on-exec eventfd; its header imports no function into Swift. */
int clinux_eventfd(void);

/* Sets O_NONBLOCK; splice(2) towards a socket looks at nothing else. */
void clinux_set_nonblocking(int fd);

/* Address of our end of a socket or of its peer's; its length, or -1. Exists because two Swift functions that differ in
 * the call alone are merged by the optimiser into one with a call through a pointer. */
static inline int clinux_socket_address(int socket, _Bool peer, struct sockaddr_storage *address) {
  socklen_t length = sizeof *address;
  int result = peer ? getpeername(socket, (struct sockaddr *)address, &length)
                    : getsockname(socket, (struct sockaddr *)address, &length);
  return result == 0 ? (int)length : -1;
}

/* Relaxed loads and stores of counters that other threads read; plain moves on this machine. */
static inline void clinux_store_relaxed(uint64_t *at, uint64_t value) { __atomic_store_n(at, value, __ATOMIC_RELAXED); }
static inline uint64_t clinux_load_relaxed(const uint64_t *at) { return __atomic_load_n(at, __ATOMIC_RELAXED); }
/* Release and acquire for what is handed from thread to thread. */
static inline void clinux_store_release(uint64_t *at, uint64_t value) { __atomic_store_n(at, value, __ATOMIC_RELEASE); }
static inline uint64_t clinux_load_acquire(const uint64_t *at) { return __atomic_load_n(at, __ATOMIC_ACQUIRE); }
static inline uint64_t clinux_exchange(uint64_t *at, uint64_t value) { return __atomic_exchange_n(at, value, __ATOMIC_ACQ_REL); }
/* Puts `wanted` in place of `*seen`, or reads into `*seen` what stands there; relaxed, for words that order nothing but themselves. */
static inline _Bool clinux_compare_exchange(uint64_t *at, uint64_t *seen, uint64_t wanted) {
    return __atomic_compare_exchange_n(at, seen, wanted, 0, __ATOMIC_RELAXED, __ATOMIC_RELAXED);
}
/* Adds; returns what stood there before. */
static inline uint64_t clinux_add_relaxed(uint64_t *at, uint64_t amount) { return __atomic_fetch_add(at, amount, __ATOMIC_RELAXED); }

/* The kernel's side of TLS (linux/tls.h): structures that differ by cipher, and messages with ancillary data, whose macros
 * Swift does not import. */
/* Puts a connection that stands under the kernel's TLS, without keys yet; 0 or a negative errno. */
int clinux_tls_attach(int socket);
/* What the kernel seals the next record with: 12 bytes of `iv`, and a key of 16 or 32 bytes. */
struct clinux_tls_key {
    /* As on the wire: 0x0303, 0x0304. */
    uint16_t version;
    /* 0 = AES-128-GCM, 1 = AES-256-GCM, 2 = ChaCha20-Poly1305. */
    uint16_t suite;
    uint64_t sequence;
    uint8_t iv[12];
    uint8_t key[32];
};
/* Hands out the key for what is sent from now on; 0 or a negative errno. */
int clinux_tls_set_sending_key(int socket, const struct clinux_tls_key *key);
/* Sends one record of another kind than application data: all of it, or a negative errno. */
ssize_t clinux_tls_send_record(int socket, unsigned char type, const void *bytes, size_t count, int flags);
