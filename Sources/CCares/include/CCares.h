/* c-ares, seen with the same feature macros as Swift's Glibc module. */
#pragma once
#include <features.h>
#include <ares.h>
#include <netdb.h>

/* What the socket at `index` of ares_getsock's answer wants.
 * Exist because ARES_GETSOCK_READABLE and ARES_GETSOCK_WRITABLE are function-like macros, which Swift cannot import. */
static inline int ccares_wants_read(int bits, int index) { return ARES_GETSOCK_READABLE((unsigned)bits, index) != 0; }
static inline int ccares_wants_write(int bits, int index) { return ARES_GETSOCK_WRITABLE((unsigned)bits, index) != 0; }
