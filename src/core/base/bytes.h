/*
 * bytes.h
 *		Little-endian numbers in byte arrays, and arithmetic that cannot
 *		overflow silently.  Everything stored in a repository goes through these.
 */
#ifndef BKC_BASE_BYTES_H
#define BKC_BASE_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

static inline void
bkc_put_u16(uint8_t *p, uint16_t v)
{
	p[0] = (uint8_t) v;
	p[1] = (uint8_t) (v >> 8);
}

static inline void
bkc_put_u32(uint8_t *p, uint32_t v)
{
	bkc_put_u16(p, (uint16_t) v);
	bkc_put_u16(p + 2, (uint16_t) (v >> 16));
}

static inline void
bkc_put_u64(uint8_t *p, uint64_t v)
{
	bkc_put_u32(p, (uint32_t) v);
	bkc_put_u32(p + 4, (uint32_t) (v >> 32));
}

static inline uint16_t
bkc_get_u16(const uint8_t *p)
{
	return (uint16_t) (p[0] | (p[1] << 8));
}

static inline uint32_t
bkc_get_u32(const uint8_t *p)
{
	return (uint32_t) bkc_get_u16(p) | ((uint32_t) bkc_get_u16(p + 2) << 16);
}

static inline uint64_t
bkc_get_u64(const uint8_t *p)
{
	return (uint64_t) bkc_get_u32(p) | ((uint64_t) bkc_get_u32(p + 4) << 32);
}

/* *out = a + b; false when that does not fit. */
static inline bool
bkc_add_u64(uint64_t a, uint64_t b, uint64_t *out)
{
	return !__builtin_add_overflow(a, b, out);
}

static inline bool
bkc_mul_size(size_t a, size_t b, size_t *out)
{
	return !__builtin_mul_overflow(a, b, out);
}

#endif							/* BKC_BASE_BYTES_H */
