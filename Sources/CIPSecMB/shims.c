#include "CIPSecMB.h"

#if defined(__x86_64__) && __has_include(<intel-ipsec-mb.h>)
#include <dlfcn.h>
#include <intel-ipsec-mb.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

struct cipsecmb_key {
    struct gcm_key_data data;
    struct gcm_context_data record;
    int is_long;
    int seals;
};

static pthread_once_t once = PTHREAD_ONCE_INIT;
/* The library's calls as they are for this CPU; written once, then only read. */
static IMB_MGR *calls;
static const char *version;
static int forbidden;

/* Newer libraries append to IMB_MGR, and are called libIPSec_MB.so.2 when they change it. */
static void find(void)
{
    if (forbidden) return;
    void *library = dlopen("libIPSec_MB.so.1", RTLD_NOW | RTLD_LOCAL);
    if (library == NULL) return;
    IMB_MGR *(*make)(uint64_t) = (IMB_MGR * (*)(uint64_t)) dlsym(library, "alloc_mb_mgr");
    void (*choose)(IMB_MGR *, IMB_ARCH *) = (void (*)(IMB_MGR *, IMB_ARCH *))dlsym(library, "init_mb_mgr_auto");
    const char *(*name)(void) = (const char *(*)(void))dlsym(library, "imb_get_version_str");
    if (make == NULL || choose == NULL || name == NULL) return;
    IMB_MGR *manager = make(0);
    if (manager == NULL) return;
    IMB_ARCH kind = IMB_ARCH_NONE;
    choose(manager, &kind);
    const uint64_t needed = IMB_FEATURE_VAES | IMB_FEATURE_VPCLMULQDQ | IMB_FEATURE_SELF_TEST | IMB_FEATURE_SELF_TEST_PASS;
    if (kind < IMB_ARCH_AVX512 || (manager->features & needed) != needed) return;
    version = name();
    calls = manager;
}

int cipsecmb_find(void)
{
    pthread_once(&once, find);
    return calls != NULL;
}

void cipsecmb_forbid(void) { forbidden = 1; }

const char *cipsecmb_version(void) { return version; }

struct cipsecmb_key *cipsecmb_make(int key_bytes, int seals)
{
    const size_t bytes = (sizeof(struct cipsecmb_key) + 63) / 64 * 64;
    struct cipsecmb_key *key = aligned_alloc(64, bytes);
    if (key == NULL) return NULL;
    memset(key, 0, bytes);
    key->is_long = key_bytes == 32;
    key->seals = seals;
    return key;
}

void cipsecmb_use(struct cipsecmb_key *key, const uint8_t *bytes)
{
    if (key->is_long) IMB_AES256_GCM_PRE(calls, bytes, &key->data);
    else IMB_AES128_GCM_PRE(calls, bytes, &key->data);
}

void cipsecmb_begin(struct cipsecmb_key *key, const uint8_t *nonce, const uint8_t *associated, size_t count)
{
    if (key->is_long) IMB_AES256_GCM_INIT(calls, &key->data, &key->record, nonce, associated, count);
    else IMB_AES128_GCM_INIT(calls, &key->data, &key->record, nonce, associated, count);
}

void cipsecmb_update(struct cipsecmb_key *key, uint8_t *to, const uint8_t *from, size_t count)
{
    if (key->seals && key->is_long) IMB_AES256_GCM_ENC_UPDATE(calls, &key->data, &key->record, to, from, count);
    else if (key->seals) IMB_AES128_GCM_ENC_UPDATE(calls, &key->data, &key->record, to, from, count);
    else if (key->is_long) IMB_AES256_GCM_DEC_UPDATE(calls, &key->data, &key->record, to, from, count);
    else IMB_AES128_GCM_DEC_UPDATE(calls, &key->data, &key->record, to, from, count);
}

void cipsecmb_finish(struct cipsecmb_key *key, uint8_t *tag)
{
    if (key->seals && key->is_long) IMB_AES256_GCM_ENC_FINALIZE(calls, &key->data, &key->record, tag, 16);
    else if (key->seals) IMB_AES128_GCM_ENC_FINALIZE(calls, &key->data, &key->record, tag, 16);
    else if (key->is_long) IMB_AES256_GCM_DEC_FINALIZE(calls, &key->data, &key->record, tag, 16);
    else IMB_AES128_GCM_DEC_FINALIZE(calls, &key->data, &key->record, tag, 16);
}

void cipsecmb_free(struct cipsecmb_key *key)
{
    if (key == NULL) return;
    explicit_bzero(key, sizeof *key);
    free(key);
}

#else /* no such machine, or built without the library's header: never found */

int cipsecmb_find(void) { return 0; }
void cipsecmb_forbid(void) {}
const char *cipsecmb_version(void) { return NULL; }
struct cipsecmb_key *cipsecmb_make(int key_bytes, int seals)
{
    (void)key_bytes, (void)seals;
    return NULL;
}
void cipsecmb_use(struct cipsecmb_key *key, const uint8_t *bytes) { (void)key, (void)bytes; }
void cipsecmb_begin(struct cipsecmb_key *key, const uint8_t *nonce, const uint8_t *associated, size_t count)
{
    (void)key, (void)nonce, (void)associated, (void)count;
}
void cipsecmb_update(struct cipsecmb_key *key, uint8_t *to, const uint8_t *from, size_t count)
{
    (void)key, (void)to, (void)from, (void)count;
}
void cipsecmb_finish(struct cipsecmb_key *key, uint8_t *tag) { (void)key, (void)tag; }
void cipsecmb_free(struct cipsecmb_key *key) { (void)key; }
#endif
