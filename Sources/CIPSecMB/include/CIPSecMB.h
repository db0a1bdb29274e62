/* AES-GCM of Intel's Multi-Buffer Crypto Library (libIPSec_MB), found at run time: it has the vector instructions that
   OpenSSL knows from 3.1 on.  Its calls keep nothing between them but what stands in a key, so that threads may use it at one
   time; each of them clears an error number that all threads share. */
#pragma once
#include <features.h>
#include <stddef.h>
#include <stdint.h>

/* One key in one direction, with the record that is under way. */
struct cipsecmb_key;

/* Looks for the library; 1 = it is there, has passed its own tests, and this CPU has VAES and AVX-512.  Looks once: later calls,
   of any thread, say the same. */
int cipsecmb_find(void);
/* From now on it is not found; before the first look. */
void cipsecmb_forbid(void);
/* Its version, NULL where it was not found; `cipsecmb_find` comes first. */
const char *cipsecmb_version(void);

/* Room for a key of 16 or 32 bytes; NULL = out of memory.  Only where `cipsecmb_find` says 1. */
struct cipsecmb_key *cipsecmb_make(int key_bytes, int seals);
/* Takes a key into use, the first or the next one. */
void cipsecmb_use(struct cipsecmb_key *key, const uint8_t *bytes);
/* Begins with a record: a nonce of 12 bytes, and what is proved beside the content. */
void cipsecmb_begin(struct cipsecmb_key *key, const uint8_t *nonce, const uint8_t *associated, size_t count);
/* Seals or opens the next bytes of the record. */
void cipsecmb_update(struct cipsecmb_key *key, uint8_t *to, const uint8_t *from, size_t count);
/* Writes the 16 bytes that prove the record, in either direction; whoever opens compares them. */
void cipsecmb_finish(struct cipsecmb_key *key, uint8_t *tag);
/* Wipes it and gives it back; NULL is fine. */
void cipsecmb_free(struct cipsecmb_key *key);
