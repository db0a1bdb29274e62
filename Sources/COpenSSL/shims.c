#include "COpenSSL.h"
#include <string.h>
#include <pthread.h>

static int lent_read(BIO *bio, char *to, size_t room, size_t *taken) {
    struct copenssl_lent *lent = BIO_get_data(bio);
    BIO_clear_retry_flags(bio);
    size_t count = lent->in_count < room ? lent->in_count : room;
    *taken = count;
    if (count == 0) {
        BIO_set_retry_read(bio);
        return 0;
    }
    memcpy(to, lent->in, count);
    lent->in += count;
    lent->in_count -= count;
    return 1;
}

static int lent_write(BIO *bio, const char *from, size_t length, size_t *written) {
    struct copenssl_lent *lent = BIO_get_data(bio);
    BIO_clear_retry_flags(bio);
    size_t done = 0;
    for (int piece = 0; piece < 2; piece++) {
        struct copenssl_room *out = &lent->out[piece];
        size_t count = length - done < out->room ? length - done : out->room;
        if (count == 0) continue;
        memcpy(out->start, from + done, count);
        out->start += count;
        out->room -= count;
        done += count;
    }
    lent->out_count += done;
    *written = done;
    if (done == 0) {
        BIO_set_retry_write(bio);
        return 0;
    }
    return 1;
}

static long lent_ctrl(BIO *bio, int command, long number, void *pointer) {
    (void)bio, (void)number, (void)pointer;
    return command == BIO_CTRL_FLUSH;
}

static BIO_METHOD *method;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void make_method(void) {
    BIO_METHOD *made = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "lent memory");
    if (made == NULL) return;
    BIO_meth_set_read_ex(made, lent_read);
    BIO_meth_set_write_ex(made, lent_write);
    BIO_meth_set_ctrl(made, lent_ctrl);
    method = made;
}

BIO *copenssl_bio(struct copenssl_lent *lent) {
    pthread_once(&once, make_method);
    if (method == NULL) return NULL;
    BIO *bio = BIO_new(method);
    if (bio == NULL) return NULL;
    BIO_set_data(bio, lent);
    BIO_set_init(bio, 1);
    return bio;
}
