/*
 * buffer.c
 *		A growing byte buffer.
 */
#include "base/buffer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The smallest allocation; most texts never grow beyond it. */
#define BUFFER_MIN_CAP	64

void
bkc_buffer_free(BkcBuffer *buf)
{
	free(buf->data);
	buf->data = NULL;
	buf->len = 0;
	buf->cap = 0;
}

void
bkc_buffer_reset(BkcBuffer *buf)
{
	buf->len = 0;
	if (buf->data != NULL)
		buf->data[0] = 0;
}

bool
bkc_buffer_reserve(BkcBuffer *buf, size_t extra, BkcError *err)
{
	size_t		need;
	size_t		cap;
	uint8_t    *data;

	/* One more byte for the terminating zero. */
	if (__builtin_add_overflow(buf->len, extra, &need) ||
		__builtin_add_overflow(need, (size_t) 1, &need) ||
		need > PTRDIFF_MAX)
		return bkc_error_oom(err);
	if (need <= buf->cap)
		return true;

	/* Doubling keeps many small appends linear; a large one gets what it asks. */
	cap = buf->cap < BUFFER_MIN_CAP ? BUFFER_MIN_CAP : buf->cap;
	if (cap < need)
		cap = cap <= PTRDIFF_MAX / 2 && cap * 2 > need ? cap * 2 : need;
	data = realloc(buf->data, cap);
	if (data == NULL)
		return bkc_error_oom(err);
	data[buf->len] = 0;
	buf->data = data;
	buf->cap = cap;
	return true;
}

bool
bkc_buffer_append(BkcBuffer *buf, const void *data, size_t len, BkcError *err)
{
	if (!bkc_buffer_reserve(buf, len, err))
		return false;
	if (len > 0)
		memcpy(buf->data + buf->len, data, len);
	buf->len += len;
	buf->data[buf->len] = 0;
	return true;
}

bool
bkc_buffer_append_str(BkcBuffer *buf, const char *str, BkcError *err)
{
	return bkc_buffer_append(buf, str, strlen(str), err);
}

bool
bkc_buffer_printf(BkcBuffer *buf, BkcError *err, const char *fmt,...)
{
	va_list		args;
	int			len;

	va_start(args, fmt);
	len = vsnprintf(NULL, 0, fmt, args);
	va_end(args);
	if (len < 0)
		return bkc_error_set(err, BKC_ERR_INTERNAL, "text could not be formatted");
	if (!bkc_buffer_reserve(buf, (size_t) len, err))
		return false;
	va_start(args, fmt);
	vsnprintf((char *) buf->data + buf->len, (size_t) len + 1, fmt, args);
	va_end(args);
	buf->len += (size_t) len;
	return true;
}

const char *
bkc_buffer_str(const BkcBuffer *buf)
{
	return buf->data != NULL ? (const char *) buf->data : "";
}
