/* OpenSSL 3.0, and as functions what is a macro there: Swift imports no macro that takes arguments. */
#pragma once
#include <features.h> /* settles the feature macros as Swift's Glibc module has them */
#include <stddef.h>
#include <stdint.h>
#include <openssl/asn1.h>
#include <openssl/bio.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/kdf.h>
#include <openssl/objects.h>
#include <openssl/ocsp.h>
#include <openssl/params.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>

/* Memory that a caller lends to a BIO for the length of one call: ciphertext to read, and two pieces of room to write to,
   filled in order.  Where nothing is left the BIO says "retry". */
struct copenssl_lent {
    const uint8_t *in;
    size_t in_count;
    struct copenssl_room {
        uint8_t *start;
        size_t room;
    } out[2];
    /* Bytes written, over both pieces. */
    size_t out_count;
};

/* A BIO over `lent`, which outlives it; NULL = out of memory.  Many streams of one thread may share it. */
BIO *copenssl_bio(struct copenssl_lent *lent);
/* What a BIO of copenssl_bio was made over. */
static inline struct copenssl_lent *copenssl_lent_of(SSL *ssl) { return (struct copenssl_lent *)BIO_get_data(SSL_get_rbio(ssl)); }

/* Macros of contexts. */
static inline int copenssl_ctx_set_min_version(SSL_CTX *context, int version) { return (int)SSL_CTX_set_min_proto_version(context, version); }
static inline int copenssl_ctx_set_max_version(SSL_CTX *context, int version) { return (int)SSL_CTX_set_max_proto_version(context, version); }
static inline int copenssl_ctx_min_version(SSL_CTX *context) { return (int)SSL_CTX_get_min_proto_version(context); }
static inline int copenssl_ctx_max_version(SSL_CTX *context) { return (int)SSL_CTX_get_max_proto_version(context); }
static inline void copenssl_ctx_set_mode(SSL_CTX *context, long mode) { SSL_CTX_set_mode(context, mode); }
static inline void copenssl_ctx_set_read_ahead(SSL_CTX *context, int on) { SSL_CTX_set_read_ahead(context, on); }
static inline void copenssl_ctx_set_session_cache_mode(SSL_CTX *context, long mode) { SSL_CTX_set_session_cache_mode(context, mode); }
static inline int copenssl_ctx_set_groups(SSL_CTX *context, const char *names) { return (int)SSL_CTX_set1_groups_list(context, names); }
static inline int copenssl_ctx_add_chain_certificate(SSL_CTX *context, X509 *certificate) { return (int)SSL_CTX_add1_chain_cert(context, certificate); }
static inline void copenssl_ctx_set_dh_auto(SSL_CTX *context, int on) { SSL_CTX_set_dh_auto(context, on); }
static inline void copenssl_ctx_on_server_name(SSL_CTX *context, int (*callback)(SSL *, int *, void *)) {
    SSL_CTX_set_tlsext_servername_callback(context, callback);
}
static inline void copenssl_ctx_on_status(SSL_CTX *context, int (*callback)(SSL *, void *)) { SSL_CTX_set_tlsext_status_cb(context, callback); }

/* Macros of connections. */
static inline int copenssl_set_min_version(SSL *ssl, int version) { return (int)SSL_set_min_proto_version(ssl, version); }
static inline int copenssl_set_max_version(SSL *ssl, int version) { return (int)SSL_set_max_proto_version(ssl, version); }
static inline int copenssl_set_groups(SSL *ssl, const char *names) { return (int)SSL_set1_groups_list(ssl, names); }
static inline int copenssl_set_host_name(SSL *ssl, const char *name) { return (int)SSL_set_tlsext_host_name(ssl, name); }
/* Takes over `response`, which came from copenssl_copy. */
static inline int copenssl_set_status_response(SSL *ssl, void *response, long length) {
    return (int)SSL_set_tlsext_status_ocsp_resp(ssl, response, length);
}

/* Options, which are macros with arguments inside. */
static const uint64_t copenssl_op_no_ticket = SSL_OP_NO_TICKET;
static const uint64_t copenssl_op_server_order = SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA;
static const uint64_t copenssl_op_always = SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION;

/* Other macros. */
static inline void *copenssl_copy(const void *bytes, size_t count) { return OPENSSL_memdup(bytes, count); }
static inline void copenssl_free(void *memory) { OPENSSL_free(memory); }
static inline long copenssl_bio_memory(BIO *bio, char **start) { return BIO_get_mem_data(bio, start); }
/* Keys a HMAC with SHA-256; the parameters keep pointers to their texts, which Swift's texts do not last for. */
static inline int copenssl_mac_set_sha256(EVP_MAC_CTX *mac, const uint8_t *key, size_t count) {
    OSSL_PARAM parameters[] = {
        OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, (void *)(uintptr_t)key, count),
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, (char *)"SHA256", 0),
        OSSL_PARAM_construct_end(),
    };
    return EVP_MAC_CTX_set_params(mac, parameters);
}
/* The pseudorandom function of TLS 1.2 (RFC 5246 5) with SHA-256 or SHA-384, whose label stands before its seed; 1 = done.  The
   parameters keep pointers, which Swift's texts do not last for. */
static inline int copenssl_prf12(int hash_bits, const uint8_t *secret, size_t secret_count, const uint8_t *seed, size_t seed_count,
                                 uint8_t *keys, size_t count) {
    OSSL_PARAM parameters[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, (char *)(hash_bits == 384 ? "SHA384" : "SHA256"), 0),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_SECRET, (void *)(uintptr_t)secret, secret_count),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_SEED, (void *)(uintptr_t)seed, seed_count),
        OSSL_PARAM_construct_end(),
    };
    EVP_KDF *function = EVP_KDF_fetch(NULL, OSSL_KDF_NAME_TLS1_PRF, NULL);
    EVP_KDF_CTX *context = EVP_KDF_CTX_new(function);
    EVP_KDF_free(function);
    int result = context != NULL && EVP_KDF_derive(context, keys, count, parameters) == 1;
    EVP_KDF_CTX_free(context);
    return result;
}
/* The index under which contexts keep a pointer that `release` gets when they are freed; -1 = out of memory. */
static inline int copenssl_ctx_index(void (*release)(void *, void *, CRYPTO_EX_DATA *, int, long, void *)) {
    return SSL_CTX_get_ex_new_index(0, NULL, NULL, NULL, release);
}
