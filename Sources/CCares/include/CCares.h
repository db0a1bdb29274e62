/* c-ares, seen with the same feature macros as Swift's Glibc module. */
#pragma once
#include <features.h>
#include <ares.h>
#include <netdb.h>
