/*
 * text.c
 *		Small text helpers: hex, UTF-8, sizes, LSNs, quoting, random.
 */
#include "base/text.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

void
bkc_hex_encode(const uint8_t *data, size_t len, char *out)
{
	static const char digits[] = "0123456789abcdef";
	size_t		i;

	for (i = 0; i < len; i++)
	{
		out[2 * i] = digits[data[i] >> 4];
		out[2 * i + 1] = digits[data[i] & 15];
	}
	out[2 * len] = '\0';
}

/* Value of a hex digit, -1 for anything else (a terminating zero included). */
static int
hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

bool
bkc_hex_decode(const char *text, uint8_t *out, size_t len)
{
	size_t		i;
	int			high;
	int			low;

	for (i = 0; i < len; i++)
	{
		high = hex_value(text[2 * i]);
		if (high < 0)
			return false;
		low = hex_value(text[2 * i + 1]);
		if (low < 0)
			return false;
		out[i] = (uint8_t) (high << 4 | low);
	}
	return text[2 * len] == '\0';
}

static const char base64_digits[] =
	"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void
bkc_base64_encode(const uint8_t *data, size_t len, char *out)
{
	for (size_t i = 0; i < len; i += 3)
	{
		size_t		n = len - i < 3 ? len - i : 3;
		uint32_t	bits = (uint32_t) data[i] << 16;

		if (n > 1)
			bits |= (uint32_t) data[i + 1] << 8;
		if (n > 2)
			bits |= data[i + 2];
		*out++ = base64_digits[bits >> 18];
		*out++ = base64_digits[bits >> 12 & 63];
		*out++ = n > 1 ? base64_digits[bits >> 6 & 63] : '=';
		*out++ = n > 2 ? base64_digits[bits & 63] : '=';
	}
	*out = '\0';
}

bool
bkc_base64_decode(const char *text, size_t len, uint8_t *out, size_t max, size_t *got)
{
	*got = 0;
	if (len % 4 != 0)
		return false;
	for (size_t i = 0; i < len; i += 4)
	{
		size_t		n = 3;
		uint32_t	bits = 0;

		/* padding stands at the very end only */
		if (i + 4 == len && text[i + 3] == '=')
			n = text[i + 2] == '=' ? 1 : 2;
		for (size_t k = 0; k < 4; k++)
		{
			const char *digit = k > n ? base64_digits
				: text[i + k] == '\0' ? NULL : strchr(base64_digits, text[i + k]);

			if (digit == NULL)
				return false;
			bits = bits << 6 | (uint32_t) (digit - base64_digits);
		}

		/* bits that stand for no byte are zero: each content has one spelling */
		if (n < 3 && (bits & (n == 1 ? 0xffff : 0xff)) != 0)
			return false;
		for (size_t k = 0; k < n; k++)
		{
			if (*got == max)
				return false;
			out[(*got)++] = (uint8_t) (bits >> (16 - 8 * k));
		}
	}
	return true;
}

bool
bkc_utf8_valid(const char *text, size_t len)
{
	const unsigned char *p = (const unsigned char *) text;
	const unsigned char *end = p + len;
	unsigned char low;
	unsigned char high;
	int			more;

	while (p < end)
	{
		unsigned char c = *p++;

		/*
		 * Overlong forms, surrogates and numbers beyond U+10FFFF all show in
		 * the range of the second byte.
		 */
		low = 0x80;
		high = 0xBF;
		if (c < 0x80)
			continue;
		else if (c >= 0xC2 && c <= 0xDF)
			more = 1;
		else if (c >= 0xE0 && c <= 0xEF)
		{
			more = 2;
			if (c == 0xE0)
				low = 0xA0;
			else if (c == 0xED)
				high = 0x9F;
		}
		else if (c >= 0xF0 && c <= 0xF4)
		{
			more = 3;
			if (c == 0xF0)
				low = 0x90;
			else if (c == 0xF4)
				high = 0x8F;
		}
		else
			return false;
		for (; more > 0; more--)
		{
			if (p == end || *p < low || *p > high)
				return false;
			p++;
			low = 0x80;
			high = 0xBF;
		}
	}
	return true;
}

int
bkc_text_clip(const char *text, size_t len, size_t max)
{
	size_t		back;

	if (max > INT_MAX)
		max = INT_MAX;
	if (len <= max)
		return (int) len;

	/* The first byte that is left out must begin a character. */
	for (back = 0; back < 3 && back < max; back++)
	{
		if (((unsigned char) text[max - back] & 0xC0) != 0x80)
			return (int) (max - back);
	}
	return ((unsigned char) text[max - back] & 0xC0) != 0x80 ? (int) (max - back) : (int) max;
}

void
bkc_format_size(uint64_t bytes, char *out, size_t outlen)
{
	static const char *const units[] = {"kB", "MB", "GB", "TB", "PB"};
	const size_t last = sizeof(units) / sizeof(units[0]) - 1;
	uint64_t	halves;
	size_t		i = 0;

	if (bytes < 10 * 1024)
	{
		snprintf(out, outlen, "%" PRIu64 " bytes", bytes);
		return;
	}

	/* Counted in half units, so that the last step can round. */
	halves = bytes / 512;
	while (i < last && halves >= 20 * 1024 - 1)
	{
		halves /= 1024;
		i++;
	}
	snprintf(out, outlen, "%" PRIu64 " %s", (halves + 1) / 2, units[i]);
}

bool
bkc_parse_u64(const char *text, uint64_t max, uint64_t *value)
{
	uint64_t	result = 0;

	if (*text == '\0')
		return false;
	for (; *text != '\0'; text++)
	{
		if (*text < '0' || *text > '9' ||
			__builtin_mul_overflow(result, (uint64_t) 10, &result) ||
			__builtin_add_overflow(result, (uint64_t) (*text - '0'), &result))
			return false;
	}
	if (result > max)
		return false;
	*value = result;
	return true;
}

bool
bkc_parse_size(const char *text, uint64_t *bytes, BkcError *err)
{
	static const struct
	{
		const char *name;
		int			shift;
	}			units[] = {
		{"", 0}, {"B", 0}, {"kB", 10}, {"MB", 20}, {"GB", 30}, {"TB", 40},
	};
	const char *digits = text + strspn(text, " \t");
	size_t		ndigits = strspn(digits, "0123456789");
	const char *unit = digits + ndigits + strspn(digits + ndigits, " \t");
	size_t		unit_len = strlen(unit);
	char		number[24];
	uint64_t	value;
	size_t		i;

	while (unit_len > 0 && (unit[unit_len - 1] == ' ' || unit[unit_len - 1] == '\t'))
		unit_len--;
	for (i = 0; i < sizeof(units) / sizeof(units[0]); i++)
	{
		if (strlen(units[i].name) == unit_len && memcmp(units[i].name, unit, unit_len) == 0)
			break;
	}
	if (ndigits == 0 || i == sizeof(units) / sizeof(units[0]))
	{
		bkc_error_set(err, BKC_ERR_INVALID, "invalid size \"%s\"", text);
		return bkc_error_hint(err, "Write a whole number with an optional unit "
							  "(\"B\", \"kB\", \"MB\", \"GB\" or \"TB\"), for example 64MB.");
	}
	value = UINT64_MAX;
	if (ndigits < sizeof(number))
	{
		memcpy(number, digits, ndigits);
		number[ndigits] = '\0';
		if (!bkc_parse_u64(number, UINT64_MAX >> units[i].shift, &value))
			ndigits = sizeof(number);
	}
	if (ndigits >= sizeof(number))
		return bkc_error_set(err, BKC_ERR_INVALID, "size \"%s\" is too large", text);
	*bytes = value << units[i].shift;
	return true;
}

static bool
take_char(const char **p, char c)
{
	if (**p != c)
		return false;
	(*p)++;
	return true;
}

void
bkc_format_lsn(uint64_t lsn, char *out, size_t outlen)
{
	snprintf(out, outlen, "%" PRIX32 "/%" PRIX32, (uint32_t) (lsn >> 32), (uint32_t) lsn);
}

/* One to eight hex digits at *p, which moves on. */
static bool
take_hex32(const char **p, uint32_t *value)
{
	int			n = 0;
	int			digit;

	*value = 0;
	while ((digit = hex_value(**p)) >= 0)
	{
		if (++n > 8)
			return false;
		*value = *value << 4 | (uint32_t) digit;
		(*p)++;
	}
	return n > 0;
}

bool
bkc_parse_lsn(const char *text, uint64_t *lsn)
{
	uint32_t	high;
	uint32_t	low;

	if (!take_hex32(&text, &high) || !take_char(&text, '/') ||
		!take_hex32(&text, &low) || *text != '\0')
		return false;
	*lsn = (uint64_t) high << 32 | low;
	return true;
}

bool
bkc_shell_quote(BkcBuffer *buf, const char *text, BkcError *err)
{
	/* No '=': in front of a command a bare a=b would be an assignment. */
	static const char bare[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_./:@%+,-";
	size_t		start = buf->len;
	size_t		run;

	if (*text != '\0' && text[strspn(text, bare)] == '\0')
		return bkc_buffer_append_str(buf, text, err);
	if (!bkc_buffer_append_str(buf, "'", err))
		goto fail;
	while (*text != '\0')
	{
		run = strcspn(text, "'");
		if (!bkc_buffer_append(buf, text, run, err))
			goto fail;
		text += run;
		if (*text == '\'')
		{
			if (!bkc_buffer_append_str(buf, "'\\''", err))
				goto fail;
			text++;
		}
	}
	if (bkc_buffer_append_str(buf, "'", err))
		return true;

fail:

	/* Half a quoted word must not be left behind. */
	buf->len = start;
	if (buf->data != NULL)
		buf->data[start] = 0;
	return false;
}

bool
bkc_conf_quote(BkcBuffer *buf, const char *text, BkcError *err)
{
	size_t		start = buf->len;
	const char *escaped;
	size_t		run;

	while (*text != '\0')
	{
		/* A line break cannot stand in a value, but its escape can. */
		run = strcspn(text, "'\\\n\r");
		escaped = "";
		switch (text[run])
		{
			case '\'':
				escaped = "''";
				break;
			case '\\':
				escaped = "\\\\";
				break;
			case '\n':
				escaped = "\\n";
				break;
			case '\r':
				escaped = "\\r";
				break;
		}
		if (!bkc_buffer_append(buf, text, run, err) ||
			!bkc_buffer_append_str(buf, escaped, err))
		{
			buf->len = start;
			if (buf->data != NULL)
				buf->data[start] = 0;
			return false;
		}
		text += run + (text[run] != '\0');
	}
	return true;
}

bool
bkc_random(void *out, size_t n, BkcError *err)
{
	uint8_t    *p = out;
	ssize_t		got;

	while (n > 0)
	{
		got = getrandom(p, n < 256 ? n : 256, 0);
		if (got < 0)
		{
			if (errno == EINTR)
				continue;
			return bkc_error_os(err, errno, "could not get random bytes from the system");
		}
		p += got;
		n -= (size_t) got;
	}
	return true;
}
