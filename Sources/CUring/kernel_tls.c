#define _GNU_SOURCE 1
#include "CKernelTLS.h"
#include <errno.h>
#include <linux/sock_diag.h>
#include <linux/sockios.h>
#include <linux/tcp.h>
#include <linux/tls.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#ifndef SOL_TLS
#define SOL_TLS 282
#endif

/* Every cipher has a structure of its own, all of them with the same beginning. */
union crypto {
    struct tls_crypto_info info;
    struct tls12_crypto_info_aes_gcm_128 aes128;
    struct tls12_crypto_info_aes_gcm_256 aes256;
    struct tls12_crypto_info_chacha20_poly1305 chacha;
};

int clinux_tls_attach(int socket)
{
    return setsockopt(socket, IPPROTO_TCP, TCP_ULP, "tls", sizeof "tls" - 1) == 0 ? 0 : -errno;
}

int clinux_tls_set_sending_key(int socket, const struct clinux_tls_key *key)
{
    union crypto crypto;
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

int clinux_tls_next_record(int socket, uint16_t suite, uint64_t *sequence)
{
    union crypto crypto;
    const unsigned char *place = suite == 0 ? crypto.aes128.rec_seq : suite == 1 ? crypto.aes256.rec_seq : crypto.chacha.rec_seq;
    socklen_t length = suite == 0 ? sizeof crypto.aes128 : suite == 1 ? sizeof crypto.aes256 : sizeof crypto.chacha;
    memset(&crypto, 0, sizeof crypto);
    int result = getsockopt(socket, SOL_TLS, TLS_TX, &crypto, &length) == 0 ? 0 : -errno;
    memcpy(sequence, place, sizeof *sequence);
    *sequence = __builtin_bswap64(*sequence);
    /* The key came along. */
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

int clinux_send_room(int socket, struct clinux_send_room *room)
{
    uint32_t memory[SK_MEMINFO_VARS] = {0};
    socklen_t length = sizeof memory;
    if (getsockopt(socket, SOL_SOCKET, SO_MEMINFO, memory, &length) != 0) return -errno;
    int unsent = 0;
    if (ioctl(socket, SIOCOUTQNSD, &unsent) != 0) return -errno;
    room->buffer_bytes = memory[SK_MEMINFO_SNDBUF];
    room->queued_bytes = memory[SK_MEMINFO_WMEM_QUEUED];
    room->unsent_bytes = unsent > 0 ? (uint32_t)unsent : 0;
    return 0;
}

int clinux_tcp_peer(int socket, struct clinux_tcp_peer *peer)
{
    struct tcp_info info;
    socklen_t length = sizeof info;
    memset(&info, 0, sizeof info);
    if (getsockopt(socket, IPPROTO_TCP, TCP_INFO, &info, &length) != 0) return -errno;
    uint32_t low = 0;
    length = sizeof low;
    if (getsockopt(socket, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &low, &length) != 0) return -errno;
    peer->window_bytes = info.tcpi_snd_wnd;
    peer->segment_bytes = info.tcpi_snd_mss;
    peer->unsent_low_bytes = low;
    return 0;
}

static int acknowledged(int socket, uint64_t *bytes)
{
    struct tcp_info info;
    socklen_t length = sizeof info;
    memset(&info, 0, sizeof info);
    if (getsockopt(socket, IPPROTO_TCP, TCP_INFO, &info, &length) != 0) return -errno;
    if (info.tcpi_state == 7) return -ENOTCONN; /* TCP_CLOSE, which linux/tcp.h does not name */
    *bytes = info.tcpi_bytes_acked;
    return 0;
}

int clinux_tcp_written(int socket, uint64_t *bytes)
{
    uint64_t before, after;
    int queued = 0;
    int result = acknowledged(socket, &before);
    if (result != 0) return result;
    /* What is acknowledged between the two calls would be missed, or counted twice. */
    for (int tries = 0; tries < 8; tries++) {
        if (ioctl(socket, SIOCOUTQ, &queued) != 0) return -errno;
        if ((result = acknowledged(socket, &after)) != 0) return result;
        if (before == after) {
            *bytes = after + (uint64_t)queued;
            return 0;
        }
        before = after;
    }
    return -EAGAIN;
}
