/*
 * error.c
 *		Errors as values: the setters of BkcError.
 *
 * Every text is formatted into a scratch buffer first, because callers pass
 * parts of the very error that they set again.
 */
#include "base/error.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/*
 * A text that was cut must not end in half a character: the server hands it
 * to clients that insist on valid UTF-8.  A text that is no UTF-8 at all is
 * left as it is.
 */
static void
trim_half_character(char *text)
{
	size_t		len = strlen(text);
	size_t		back = 0;
	size_t		need;
	unsigned char lead;

	while (back < 3 && back < len && ((unsigned char) text[len - 1 - back] & 0xC0) == 0x80)
		back++;
	if (back >= len)
		return;
	lead = (unsigned char) text[len - 1 - back];
	if (lead >= 0xF0)
		need = 3;
	else if (lead >= 0xE0)
		need = 2;
	else if (lead >= 0xC0)
		need = 1;
	else
		return;
	if (back < need)
		text[len - 1 - back] = '\0';
}

/* Format into dst, which may be an argument of the format. */
static void
format_text(char *dst, size_t size, const char *fmt, va_list args) BKC_PRINTF(3, 0);

static void
format_text(char *dst, size_t size, const char *fmt, va_list args)
{
	char		scratch[BKC_ERROR_MESSAGE_MAX + BKC_ERROR_DETAIL_MAX];
	int			len;

	len = vsnprintf(scratch, size < sizeof(scratch) ? size : sizeof(scratch), fmt, args);
	if (len < 0)
		snprintf(scratch, sizeof(scratch), "(text could not be formatted)");
	else if ((size_t) len >= size)
		trim_half_character(scratch);
	memcpy(dst, scratch, strlen(scratch) + 1);
}

static BkcErrorCode
code_of_errno(int os_errno)
{
	switch (os_errno)
	{
		case ENOENT:
			return BKC_ERR_NOT_FOUND;
		case EACCES:
		case EPERM:
		case EROFS:
			return BKC_ERR_ACCESS;
		case ENOSPC:
		case EDQUOT:
		case EFBIG:				/* ulimit -f, or the file system knows no larger ones */
			return BKC_ERR_NO_SPACE;
		case EEXIST:
			return BKC_ERR_EXISTS;
		case ENOMEM:
			return BKC_ERR_NO_MEMORY;
		default:
			return BKC_ERR_IO;
	}
}

void
bkc_error_clear(BkcError *err)
{
	err->code = BKC_OK;
	err->os_errno = 0;
	err->http_status = 0;
	err->message[0] = '\0';
	err->detail[0] = '\0';
	err->hint[0] = '\0';
}

bool
bkc_error_set(BkcError *err, BkcErrorCode code, const char *fmt,...)
{
	va_list		args;

	va_start(args, fmt);
	format_text(err->message, sizeof(err->message), fmt, args);
	va_end(args);
	err->code = code;
	err->os_errno = 0;
	err->http_status = 0;
	err->detail[0] = '\0';
	err->hint[0] = '\0';
	return false;
}

bool
bkc_error_os(BkcError *err, int saved_errno, const char *fmt,...)
{
	char		reason[128];
	const char *text;
	size_t		room;
	va_list		args;

	/* The GNU variant: may or may not use the array. */
	text = strerror_r(saved_errno, reason, sizeof(reason));

	/* However long the path, the reason must still be readable. */
	room = sizeof(err->message) - 2 - strnlen(text, sizeof(reason));
	va_start(args, fmt);
	format_text(err->message, room, fmt, args);
	va_end(args);
	room = strlen(err->message);
	snprintf(err->message + room, sizeof(err->message) - room, ": %s", text);
	err->code = code_of_errno(saved_errno);
	err->os_errno = saved_errno;
	err->http_status = 0;
	err->detail[0] = '\0';
	err->hint[0] = '\0';
	return false;
}

bool
bkc_error_oom(BkcError *err)
{
	return bkc_error_set(err, BKC_ERR_NO_MEMORY, "out of memory");
}

bool
bkc_error_detail(BkcError *err, const char *fmt,...)
{
	va_list		args;

	va_start(args, fmt);
	format_text(err->detail, sizeof(err->detail), fmt, args);
	va_end(args);
	return false;
}

bool
bkc_error_hint(BkcError *err, const char *fmt,...)
{
	va_list		args;

	va_start(args, fmt);
	format_text(err->hint, sizeof(err->hint), fmt, args);
	va_end(args);
	return false;
}

bool
bkc_error_context(BkcError *err, const char *fmt,...)
{
	char		context[BKC_ERROR_MESSAGE_MAX];
	char		message[BKC_ERROR_MESSAGE_MAX];
	size_t		len;
	size_t		keep;
	va_list		args;

	va_start(args, fmt);
	format_text(context, sizeof(context), fmt, args);
	va_end(args);
	memcpy(message, err->message, strlen(err->message) + 1);

	/*
	 * Where both do not fit, the context gives way: the first message is what
	 * went wrong.  Half the room is always left to the context, so that a long
	 * chain still says where it began.
	 */
	len = strlen(message);
	keep = sizeof(err->message) - 3;
	keep = len > keep / 2 ? keep / 2 : keep - len;
	if (strlen(context) > keep)
	{
		context[keep] = '\0';
		trim_half_character(context);
	}
	if (snprintf(err->message, sizeof(err->message), "%s: %s", context, message)
		>= (int) sizeof(err->message))
		trim_half_character(err->message);
	return false;
}

const char *
bkc_error_code_name(BkcErrorCode code)
{
	static const char *const names[] = {
		[BKC_OK] = "ok",
		[BKC_ERR_INVALID] = "invalid",
		[BKC_ERR_NOT_FOUND] = "not_found",
		[BKC_ERR_EXISTS] = "exists",
		[BKC_ERR_CORRUPT] = "corrupt",
		[BKC_ERR_UNSUPPORTED] = "unsupported",
		[BKC_ERR_ACCESS] = "access",
		[BKC_ERR_KEY] = "key",
		[BKC_ERR_ARCHIVED] = "archived",
		[BKC_ERR_NO_SPACE] = "no_space",
		[BKC_ERR_IO] = "io",
		[BKC_ERR_UNAVAILABLE] = "unavailable",
		[BKC_ERR_TIMEOUT] = "timeout",
		[BKC_ERR_CANCELLED] = "cancelled",
		[BKC_ERR_STATE] = "state",
		[BKC_ERR_NO_MEMORY] = "no_memory",
		[BKC_ERR_INTERNAL] = "internal",
	};

	if ((int) code < 0 || (size_t) code >= sizeof(names) / sizeof(names[0]))
		return "unknown";
	return names[code];
}
