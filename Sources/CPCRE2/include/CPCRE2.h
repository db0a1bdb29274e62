/* PCRE2 for bytes, seen with the same feature macros as Swift's Glibc module. */
#pragma once
#include <features.h>
#define PCRE2_CODE_UNIT_WIDTH 8 /* pcre2.h asks for it before it is included */
#include <pcre2.h>
