/* The kernel's side of TLS (linux/tls.h) and what a socket says of its room: structures that differ by cipher, messages with
 * ancillary data, and a struct tcp_info that is newer than glibc's; Swift imports none of them. */
#pragma once
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

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
/* The number of the record that the kernel would seal next with a key of that suite; 0 or a negative errno. */
int clinux_tls_next_record(int socket, uint16_t suite, uint64_t *sequence);
/* Sends one record of another kind than application data: all of it, or a negative errno. */
ssize_t clinux_tls_send_record(int socket, unsigned char type, const void *bytes, size_t count, int flags);

/* What a socket may hold for its peer, and holds: bytes of memory, and bytes that have not been sent. */
struct clinux_send_room {
    uint32_t buffer_bytes;
    uint32_t queued_bytes;
    uint32_t unsent_bytes;
};
/* 0 or a negative errno. */
int clinux_send_room(int socket, struct clinux_send_room *room);

/* What a TCP connection knows of its peer. */
struct clinux_tcp_peer {
    uint32_t window_bytes;
    uint32_t segment_bytes;
    /* Bytes that it wants unsent at the most; 0 = as the system says. */
    uint32_t unsent_low_bytes;
};
/* 0 or a negative errno. */
int clinux_tcp_peer(int socket, struct clinux_tcp_peer *peer);
/* Bytes that a connection was given for its peer since it stands, but for a constant; -EAGAIN when that moves too fast to be read,
 * -ENOTCONN when the connection is none any more. */
int clinux_tcp_written(int socket, uint64_t *bytes);
