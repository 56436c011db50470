/*
 * buffer.h
 *		A growing byte buffer, also used to build text.
 *
 * A zeroed BkcBuffer is valid and empty.  The owner calls
 * bkc_buffer_free(), which may be called again.  data is always followed by
 * a zero byte that is not counted in len, so that it can be read as a string
 * (data is NULL only as long as nothing was ever reserved; bkc_buffer_str()
 * gives "" then).
 */
#ifndef BKC_BASE_BUFFER_H
#define BKC_BASE_BUFFER_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

typedef struct BkcBuffer
{
	uint8_t    *data;
	size_t		len;
	size_t		cap;
} BkcBuffer;

extern void bkc_buffer_free(BkcBuffer *buf);
extern void bkc_buffer_reset(BkcBuffer *buf);	/* len = 0, memory kept */

/* Make room for extra more bytes. */
extern bool bkc_buffer_reserve(BkcBuffer *buf, size_t extra, BkcError *err);
extern bool bkc_buffer_append(BkcBuffer *buf, const void *data, size_t len, BkcError *err);
extern bool bkc_buffer_append_str(BkcBuffer *buf, const char *str, BkcError *err);
extern bool bkc_buffer_printf(BkcBuffer *buf, BkcError *err, const char *fmt,...) BKC_PRINTF(3, 4);
extern const char *bkc_buffer_str(const BkcBuffer *buf);

#endif							/* BKC_BASE_BUFFER_H */
