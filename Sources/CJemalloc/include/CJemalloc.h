/* jemalloc's control calls, bound weakly: absent in debug and sanitizer builds. */
#pragma once
#include <features.h>
#include <stddef.h>

/* Whether jemalloc is the allocator of this process. */
int weir_jemalloc_present(void);
/* mallctl by name; returns ENOSYS where jemalloc is absent. */
int weir_mallctl(const char *name, void *old_value, size_t *old_length, void *new_value, size_t new_length);
