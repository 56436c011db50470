/*
 * test_base_text.c
 *		Hex, UTF-8, numbers, sizes, times, LSNs, quoting and random bytes.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/text.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static void
test_hex(void **state)
{
	static const char *const bad[] = {
		"", "0", "00", "000", "00000", "000g", "g000", "00 0", "0x00",
	};
	uint8_t		data[256];
	uint8_t		back[256];
	char		text[513];
	size_t		len;
	size_t		i;

	for (i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t) i;
	for (len = 0; len <= sizeof(data); len++)
	{
		memset(text, 'x', sizeof(text));
		bkc_hex_encode(data, len, text);
		assert_int_equal(strlen(text), 2 * len);
		memset(back, 0, sizeof(back));
		assert_true(bkc_hex_decode(text, back, len));
		assert_memory_equal(back, data, len);
		if (len > 0)
			assert_false(bkc_hex_decode(text, back, len - 1));
		if (len < sizeof(data))
			assert_false(bkc_hex_decode(text, back, len + 1));
	}
	bkc_hex_encode((const uint8_t *) "\x01\xAB\xFF", 3, text);
	assert_string_equal(text, "01abff");
	assert_true(bkc_hex_decode("01ABfF", back, 3));
	assert_memory_equal(back, "\x01\xAB\xFF", 3);
	for (i = 0; i < COUNT(bad); i++)
		assert_false(bkc_hex_decode(bad[i], back, 2));
}

/* RFC 4648, section 10. */
static void
test_base64(void **state)
{
	static const struct
	{
		const char *plain;
		const char *text;
	}			vectors[] = {
		{"", ""}, {"f", "Zg=="}, {"fo", "Zm8="}, {"foo", "Zm9v"}, {"foob", "Zm9vYg=="},
		{"fooba", "Zm9vYmE="}, {"foobar", "Zm9vYmFy"}, {"\xFB\xEF\xFF", "++//"},
	};
	uint8_t		data[256];
	uint8_t		back[256];
	char		text[345];
	size_t		got;

	for (size_t i = 0; i < COUNT(vectors); i++)
	{
		size_t		len = strlen(vectors[i].plain);

		bkc_base64_encode((const uint8_t *) vectors[i].plain, len, text);
		assert_string_equal(text, vectors[i].text);
		assert_true(bkc_base64_decode(text, strlen(text), back, len, &got));
		assert_int_equal(got, len);
		assert_memory_equal(back, vectors[i].plain, len);
		if (len > 0)
			assert_false(bkc_base64_decode(text, strlen(text), back, len - 1, &got));
	}
	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t) (i * 37 + 11);
	for (size_t len = 0; len <= sizeof(data); len++)
	{
		memset(text, 'x', sizeof(text));
		bkc_base64_encode(data, len, text);
		assert_int_equal(strlen(text), 4 * ((len + 2) / 3));
		assert_true(bkc_base64_decode(text, strlen(text), back, sizeof(back), &got));
		assert_int_equal(got, len);
		assert_memory_equal(back, data, len);
	}
}

static void
test_base64_bad(void **state)
{
	static const char *const bad[] = {
		"Z", "Zg", "Zg=", "Zg===", "====", "Z===", "=Zg=", "Zg==Zg==", "Zm8=Zm8=", "Zg=a", "Zm9v\n",
		"Zm9\n", " Zm9", "Zm9v ", "Zm9-", "Zm9_", "Zm9*", "Zm\xC3\xA9",
		/* bits behind the last byte */
		"Zh==", "Zm9=", "Z/==",
	};
	uint8_t		back[16];
	size_t		got;

	for (size_t i = 0; i < COUNT(bad); i++)
	{
		if (bkc_base64_decode(bad[i], strlen(bad[i]), back, sizeof(back), &got))
			fail_msg("\"%s\" was taken", bad[i]);
	}
	assert_false(bkc_base64_decode("Zm\0v", 4, back, sizeof(back), &got));
	assert_false(bkc_base64_decode("Zg=\0", 4, back, sizeof(back), &got));

	/* no more is read than was said */
	assert_true(bkc_base64_decode("Zm9vYg", 4, back, sizeof(back), &got));
	assert_int_equal(got, 3);
}

static void
test_utf8(void **state)
{
	static const struct
	{
		const char *text;
		size_t		len;
		bool		valid;
	}			cases[] = {
		{"", 0, true}, {"abc", 3, true}, {"a\0b", 3, true}, {"\x7F", 1, true},
		{"\xC2\x80", 2, true}, {"\xDF\xBF", 2, true}, {"\xE0\xA0\x80", 3, true},
		{"\xED\x9F\xBF", 3, true}, {"\xEE\x80\x80", 3, true}, {"\xEF\xBF\xBF", 3, true},
		{"\xF0\x90\x80\x80", 4, true}, {"\xF4\x8F\xBF\xBF", 4, true},
		/* stray, overlong, surrogate, beyond U+10FFFF */
		{"\x80", 1, false}, {"\xBF", 1, false}, {"\xC0\x80", 2, false}, {"\xC1\xBF", 2, false},
		{"\xE0\x9F\xBF", 3, false}, {"\xED\xA0\x80", 3, false}, {"\xED\xBF\xBF", 3, false},
		{"\xF0\x8F\xBF\xBF", 4, false}, {"\xF4\x90\x80\x80", 4, false},
		{"\xF5\x80\x80\x80", 4, false}, {"\xFE", 1, false}, {"\xFF", 1, false},
		/* cut short, broken off, one too many */
		{"\xC3", 1, false}, {"\xE2\x82", 2, false}, {"\xF0\x9F\x98", 3, false},
		{"\xE2\x82" "a", 3, false}, {"\xC3(", 2, false}, {"\xC3\xA9\xA9", 3, false},
		{"ok\xFFok", 5, false}, {"\xE2(\xA1", 3, false}, {"\xF0\x90\x80(", 4, false},
	};
	size_t		i;

	for (i = 0; i < COUNT(cases); i++)
	{
		/* On the heap, where reading too far would be noticed. */
		char	   *copy = malloc(cases[i].len > 0 ? cases[i].len : 1);

		assert_non_null(copy);
		memcpy(copy, cases[i].text, cases[i].len);
		if (bkc_utf8_valid(copy, cases[i].len) != cases[i].valid)
			fail_msg("UTF-8 case %zu", i);
		free(copy);
	}
}

static void
test_clip(void **state)
{
	const char *text = "a\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80" "b";
	static const int want[] = {0, 1, 1, 3, 3, 3, 6, 6, 6, 6, 10, 11, 11, 11};
	size_t		max;

	for (max = 0; max < COUNT(want); max++)
	{
		assert_int_equal(bkc_text_clip(text, strlen(text), max), want[max]);
		assert_true(bkc_utf8_valid(text, (size_t) want[max]));
	}
	assert_int_equal(bkc_text_clip("", 0, 0), 0);
	assert_int_equal(bkc_text_clip("abc", 3, SIZE_MAX), 3);
	assert_int_equal(bkc_text_clip("\x80\x80\x80\x80\x80\x80", 6, 5), 5);
}

/* The values of PostgreSQL's own regression test of pg_size_pretty. */
static void
test_format_size(void **state)
{
	static const struct
	{
		uint64_t	bytes;
		const char *text;
	}			cases[] = {
		{0, "0 bytes"}, {1, "1 bytes"}, {512, "512 bytes"}, {1000, "1000 bytes"},
		{10239, "10239 bytes"}, {10240, "10 kB"}, {12 * 1024, "12 kB"}, {1000000, "977 kB"},
		{10485247, "10239 kB"}, {10485248, "10 MB"},
		{1000000000, "954 MB"}, {UINT64_C(10736893951), "10239 MB"},
		{UINT64_C(10736893952), "10 GB"}, {UINT64_C(1000000000000), "931 GB"},
		{UINT64_C(10994579406847), "10239 GB"}, {UINT64_C(10994579406848), "10 TB"},
		{UINT64_C(1000000000000000), "909 TB"}, {UINT64_C(11258449312612351), "10239 TB"},
		{UINT64_C(11258449312612352), "10 PB"}, {INT64_MAX, "8192 PB"},
		{UINT64_MAX, "16384 PB"}, {UINT64_C(2868) << 20, "2868 MB"},
	};
	char		out[32];
	size_t		i;

	for (i = 0; i < COUNT(cases); i++)
	{
		bkc_format_size(cases[i].bytes, out, sizeof(out));
		assert_string_equal(out, cases[i].text);
	}
}

static void
test_parse_size(void **state)
{
	static const struct
	{
		const char *text;
		uint64_t	bytes;
	}			good[] = {
		{"0", 0}, {"1", 1}, {"512", 512}, {"512B", 512}, {"64kB", 65536}, {"10MB", 10 << 20},
		{"1GB", 1 << 30}, {"2TB", UINT64_C(2) << 40}, {" 10 MB ", 10 << 20}, {"007", 7},
		{"18446744073709551615", UINT64_MAX}, {"16777215TB", UINT64_C(16777215) << 40},
		{"18014398509481983kB", UINT64_C(18014398509481983) << 10},
	};
	static const char *const bad[] = {
		"", " ", "MB", "10mb", "10KB", "10kb", "10 M B", "10PB", "-1", "+1", "1.5GB", "0x10",
		"10MBx", "1e3", "1,000", "10MB\n",
	};
	static const char *const large[] = {
		"18446744073709551616", "16777216TB", "18014398509481984kB",
		"99999999999999999999999999999999999999999999999", "999999999999999999999999B",
	};
	uint64_t	bytes;
	BkcError	err;
	size_t		i;

	for (i = 0; i < COUNT(good); i++)
	{
		assert_true(bkc_parse_size(good[i].text, &bytes, &err));
		assert_true(bytes == good[i].bytes);
	}
	bytes = 42;
	for (i = 0; i < COUNT(bad); i++)
	{
		assert_false(bkc_parse_size(bad[i], &bytes, &err));
		assert_int_equal(err.code, BKC_ERR_INVALID);
		assert_non_null(strstr(err.message, "invalid size"));
		assert_non_null(strstr(err.message, bad[i]));
		assert_non_null(strstr(err.hint, "\"kB\""));
	}
	for (i = 0; i < COUNT(large); i++)
	{
		assert_false(bkc_parse_size(large[i], &bytes, &err));
		assert_int_equal(err.code, BKC_ERR_INVALID);
		assert_non_null(strstr(err.message, "too large"));
	}
	assert_int_equal(bytes, 42);
}

static void
test_parse_u64(void **state)
{
	static const char *const bad[] = {
		"", " 1", "1 ", "-1", "+1", "0x1", "1a", "18446744073709551616",
		"28446744073709551615", "100000000000000000000",
	};
	uint64_t	value = 42;
	size_t		i;

	assert_true(bkc_parse_u64("0", 0, &value));
	assert_true(value == 0);
	assert_true(bkc_parse_u64("18446744073709551615", UINT64_MAX, &value));
	assert_true(value == UINT64_MAX);
	assert_true(bkc_parse_u64("000000000000000000000000000010", 10, &value));
	assert_true(value == 10);
	assert_true(bkc_parse_u64("99", 100, &value));
	assert_true(bkc_parse_u64("100", 100, &value));
	assert_false(bkc_parse_u64("101", 100, &value));
	for (i = 0; i < COUNT(bad); i++)
		assert_false(bkc_parse_u64(bad[i], UINT64_MAX, &value));
	assert_true(value == 100);
}

static void
test_time(void **state)
{
	static const struct
	{
		int64_t		usec;
		const char *text;
		const char *gmt;
	}			cases[] = {
		{0, "1970-01-01T00:00:00.000000Z", "1970-01-01 00:00:00 GMT"},
		{1, "1970-01-01T00:00:00.000001Z", "1970-01-01 00:00:00 GMT"},
		{-1, "1969-12-31T23:59:59.999999Z", "1969-12-31 23:59:59 GMT"},
		{-1000000, "1969-12-31T23:59:59.000000Z", "1969-12-31 23:59:59 GMT"},
		{INT64_C(1795176181123456), "2026-11-20T12:03:01.123456Z", "2026-11-20 12:03:01 GMT"},
		{INT64_C(951782400000000), "2000-02-29T00:00:00.000000Z", "2000-02-29 00:00:00 GMT"},
		{INT64_C(253402300799999999), "9999-12-31T23:59:59.999999Z", "9999-12-31 23:59:59 GMT"},
	};
	char		out[32];
	int64_t		back;
	size_t		i;

	for (i = 0; i < COUNT(cases); i++)
	{
		bkc_format_time(cases[i].usec, out, sizeof(out));
		assert_string_equal(out, cases[i].text);
		assert_true(bkc_parse_time(out, &back));
		assert_true(back == cases[i].usec);
		bkc_format_time_gmt(cases[i].usec, out, sizeof(out));
		assert_string_equal(out, cases[i].gmt);
	}

	/* The ends of the range still fit. */
	bkc_format_time(INT64_MAX, out, sizeof(out));
	assert_string_equal(out, "294247-01-10T04:00:54.775807Z");
	bkc_format_time(INT64_MIN, out, sizeof(out));
	assert_true(strlen(out) < sizeof(out) - 1);
	bkc_format_time_gmt(INT64_MIN, out, sizeof(out));
	assert_true(strlen(out) < sizeof(out) - 1);
}

static void
test_parse_time(void **state)
{
	static const char *const bad[] = {
		"", "2026", "2026-11-20", "2026-11-20T12:03:01", "2026-11-20 12:03:01Z",
		"2026-11-20T12:03:01.Z", "2026-11-20T12:03:01.1Z", "2026-11-20T12:03:01.1234567Z",
		"2026-11-20T12:03:01.123456Z ", " 2026-11-20T12:03:01.123456Z",
		"2026-11-20T12:03:01.123456+00", "2026-13-20T12:03:01Z", "2026-00-20T12:03:01Z",
		"2026-11-31T12:03:01Z", "2026-02-29T12:03:01Z", "2026-11-00T12:03:01Z",
		"2026-11-20T24:00:00Z", "2026-11-20T12:60:01Z", "2026-11-20T12:03:60Z",
		"26-11-20T12:03:01Z", "02026-11-20T12:03:01Z", "-026-11-20T12:03:01Z",
		"2026-1-20T12:03:01Z", "2026-11-20t12:03:01z", "2026/11/20T12:03:01Z",
		"2026-11-20T1a:03:01Z",
	};
	int64_t		usec = 42;
	size_t		i;

	for (i = 0; i < COUNT(bad); i++)
	{
		if (bkc_parse_time(bad[i], &usec))
			fail_msg("time \"%s\" was accepted", bad[i]);
	}
	assert_true(usec == 42);
	assert_true(bkc_parse_time("2026-11-20T12:03:01Z", &usec));
	assert_true(usec == INT64_C(1795176181000000));
	assert_true(bkc_parse_time("2024-02-29T23:59:59.000001Z", &usec));
}

static void
test_parse_moment(void **state)
{
	static const struct
	{
		const char *text;
		int64_t		usec;
	}			good[] = {
		{"1970-01-01 00:00:00Z", 0}, {"1970-01-01T00:00Z", 0}, {"1970-01-01t00:00 z", 0},
		{" 1970-01-01 00:00:00 UTC", 0}, {"1970-01-01 00:00:00 gmt", 0},
		{"1970-01-01 02:00:00+02", 0}, {"1970-01-01 02:00:00 +02:00", 0},
		{"1970-01-01 05:30+0530", 0}, {"1969-12-31 20:30:00-03:30", 0},
		{"1970-01-01 15:59:00+15:59", 0}, {"1969-12-31 22:00:00-02", 0},
		{"1970-01-01 00:00:00.1Z", 100000}, {"1970-01-01 00:00:00.000001Z", 1},
		{"1970-01-01 00:00:00.12345+00", 123450}, {"1970-01-01 00:00:00.999999-00", 999999},
		{"1969-12-31 23:59:59.999999Z", -1},
		{"2026-11-20T12:03:01Z", INT64_C(1795176181000000)},
		{"2026-11-20 12:03:01.5+00", INT64_C(1795176181500000)},
		{"2024-02-29 00:00:00Z", INT64_C(1709164800000000)},
		{"2000-02-29 00:00:00+00", INT64_C(951782400000000)},
		{"2024-02-29 23:30:00-01", INT64_C(1709253000000000)},
		{"0001-01-01 00:00:00Z", INT64_C(-62135596800000000)},
		{"9999-12-31 23:59:59.999999Z", INT64_C(253402300799999999)},
	};
	static const char *const bad[] = {
		"", "now", "2026", "2026-11-20", "2026-11-20Z", "2026-11-20 12Z", "2026-11-20 12:3Z",
		"2026-11-20  12:03:01Z", "2026-11-20 12:03:01.Z", "2026-11-20 12:03:01.1234567Z",
		"2026-11-20 12:03.5Z", "2026-11-20 12:03:01ZZ", "2026-11-20 12:03:01Z x",
		"2026-11-20 12:03:01 CET", "2026-11-20 12:03:01+", "2026-11-20 12:03:01+1",
		"2026-11-20 12:03:01+001", "2026-11-20 12:03:01+16", "2026-11-20 12:03:01+02:60",
		"2026-11-20 12:03:01+02:", "2026-11-20 12:03:01+02:000", "2026-11-20 12:03:01+02:00:00",
		"2026-11-20 12:03:01 + 02", "2026-11-20 24:00:00Z", "2026-11-20 12:60:00Z",
		"2026-11-20 12:03:60Z", "2026-02-29 12:00:00Z", "1900-02-29 12:00:00Z",
		"2026-11-31 12:00:00Z", "2026-00-01 12:00:00Z", "2026-13-01 12:00:00Z",
		"2026-01-00 12:00:00Z", "0000-01-01 12:00:00Z", "-2026-01-01 12:00:00Z",
		"10000-01-01 12:00:00Z", "20261120T120301Z", "2026/11/20 12:03:01Z",
	};
	static const char *const naive[] = {
		"2026-11-20 12:03:01", "2026-11-20T12:03:01.5", "2026-11-20 12:03", "2026-11-20 12:03:01 ",
	};
	int64_t		usec;
	BkcError	err;
	size_t		i;

	for (i = 0; i < COUNT(good); i++)
	{
		if (!bkc_parse_moment(good[i].text, &usec, &err) || usec != good[i].usec)
			fail_msg("\"%s\" was taken for %lld", good[i].text, (long long) usec);
	}
	usec = 42;
	for (i = 0; i < COUNT(bad); i++)
	{
		if (bkc_parse_moment(bad[i], &usec, &err))
			fail_msg("\"%s\" was accepted", bad[i]);
		assert_int_equal(err.code, BKC_ERR_INVALID);
		assert_non_null(strstr(err.message, "is not a point in time"));
		assert_string_not_equal(err.hint, "");
	}
	for (i = 0; i < COUNT(naive); i++)
	{
		assert_false(bkc_parse_moment(naive[i], &usec, &err));
		assert_int_equal(err.code, BKC_ERR_INVALID);
		assert_non_null(strstr(err.message, "has no time zone"));
		assert_non_null(strstr(err.hint, "+00"));
	}
	assert_true(usec == 42);
}

static void
test_format_moment(void **state)
{
	static const struct
	{
		int64_t		usec;
		const char *full;
		const char *shorter;
	}			cases[] = {
		{0, "1970-01-01 00:00:00.000000+00", "1970-01-01 00:00:00+00"},
		{-1, "1969-12-31 23:59:59.999999+00", "1969-12-31 23:59:59.999999+00"},
		{INT64_C(1795176181500000), "2026-11-20 12:03:01.500000+00", "2026-11-20 12:03:01.500000+00"},
		{INT64_C(253402300799999999), "9999-12-31 23:59:59.999999+00",
		"9999-12-31 23:59:59.999999+00"},
	};
	char		out[40];
	int64_t		back;
	BkcError	err;
	size_t		i;

	for (i = 0; i < COUNT(cases); i++)
	{
		bkc_format_moment(cases[i].usec, true, out, sizeof(out));
		assert_string_equal(out, cases[i].full);
		assert_true(bkc_parse_moment(out, &back, &err) && back == cases[i].usec);
		bkc_format_moment(cases[i].usec, false, out, sizeof(out));
		assert_string_equal(out, cases[i].shorter);
	}
}

static void
test_lsn(void **state)
{
	static const struct
	{
		uint64_t	lsn;
		const char *text;
	}			cases[] = {
		{0, "0/0"}, {1, "0/1"}, {UINT64_C(0x16B374D848), "16/B374D848"},
		{UINT64_C(0x100000000), "1/0"}, {UINT64_MAX, "FFFFFFFF/FFFFFFFF"},
	};
	static const char *const bad[] = {
		"", "/", "0", "0/", "/0", "0/0/", "0/0 ", " 0/0", "0/000000000", "000000000/0",
		"0x1/0", "1/G", "-1/0", "+1/0", "0//0",
	};
	char		out[20];
	uint64_t	lsn = 42;
	size_t		i;

	for (i = 0; i < COUNT(cases); i++)
	{
		bkc_format_lsn(cases[i].lsn, out, sizeof(out));
		assert_string_equal(out, cases[i].text);
		assert_true(bkc_parse_lsn(out, &lsn));
		assert_true(lsn == cases[i].lsn);
	}
	assert_true(bkc_parse_lsn("16/0374D848", &lsn));
	assert_true(lsn == UINT64_C(0x160374D848));
	assert_true(bkc_parse_lsn("0000000a/0000000B", &lsn));
	assert_true(lsn == UINT64_C(0xA0000000B));
	lsn = 42;
	for (i = 0; i < COUNT(bad); i++)
		assert_false(bkc_parse_lsn(bad[i], &lsn));
	assert_true(lsn == 42);
}

/* What /bin/sh makes of the word: its only argument, printed back. */
static void
assert_shell_reads(const char *word, const char *want)
{
	char		script[4096];
	char		got[4096];
	size_t		len = 0;
	ssize_t		n;
	int			fds[2];
	int			status;
	pid_t		pid;

	assert_true(snprintf(script, sizeof(script), "f() { printf '%%d:%%s' $# \"$1\"; }; f %s",
						 word) < (int) sizeof(script));
	assert_int_equal(pipe(fds), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0)
	{
		dup2(fds[1], STDOUT_FILENO);
		close(fds[0]);
		close(fds[1]);
		execl("/bin/sh", "sh", "-c", script, (char *) NULL);
		_exit(127);
	}
	close(fds[1]);
	while ((n = read(fds[0], got + len, sizeof(got) - 1 - len)) > 0)
		len += (size_t) n;
	got[len] = '\0';
	close(fds[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_memory_equal(got, "1:", 2);
	assert_string_equal(got + 2, want);
}

static void
test_shell_quote(void **state)
{
	static const char *const words[] = {
		"", "a", "a b", "'", "''", "'a", "a'", "it's", "\\", "\\'", "\"", "$HOME", "`id`",
		"$(id)", "a;b", "a&b", "a|b", "*", "?", "[a]", "~", "~root", "#", "!x", "{a,b}", "a=b",
		"-n", "--", "a\nb", "\n", "\t", "%s", "\xC3\xA9", "(x)", "<x", ">x", "a\\nb",
	};
	static const char *const bare[] = {"a", "/var/lib/x-1.2_3", "a:b@c%d+e,f", "-n"};
	BkcBuffer	buf = {0};
	char		all[256];
	BkcError	err;
	size_t		i;

	for (i = 0; i < COUNT(words); i++)
	{
		bkc_buffer_reset(&buf);
		assert_true(bkc_shell_quote(&buf, words[i], &err));
		assert_shell_reads(bkc_buffer_str(&buf), words[i]);
	}
	for (i = 0; i < COUNT(bare); i++)
	{
		bkc_buffer_reset(&buf);
		assert_true(bkc_shell_quote(&buf, bare[i], &err));
		assert_string_equal(bkc_buffer_str(&buf), bare[i]);
	}
	for (i = 0; i < 255; i++)
		all[i] = (char) (i + 1);
	all[255] = '\0';
	bkc_buffer_reset(&buf);
	assert_true(bkc_shell_quote(&buf, all, &err));
	assert_shell_reads(bkc_buffer_str(&buf), all);

	/* appended, not replaced */
	bkc_buffer_reset(&buf);
	assert_true(bkc_buffer_append_str(&buf, "cp ", &err));
	assert_true(bkc_shell_quote(&buf, "a b", &err));
	assert_string_equal(bkc_buffer_str(&buf), "cp 'a b'");
	bkc_buffer_free(&buf);
}

static void
test_conf_quote(void **state)
{
	static const struct
	{
		const char *text;
		const char *quoted;
	}			cases[] = {
		{"", ""}, {"abc", "abc"}, {"it's", "it''s"}, {"''", "''''"}, {"a\\b", "a\\\\b"},
		{"\\'", "\\\\''"}, {"a\nb\r", "a\\nb\\r"}, {"\xC3\xA9 $x \"", "\xC3\xA9 $x \""},
	};
	BkcBuffer	buf = {0};
	BkcError	err;
	size_t		i;

	for (i = 0; i < COUNT(cases); i++)
	{
		bkc_buffer_reset(&buf);
		assert_true(bkc_conf_quote(&buf, cases[i].text, &err));
		assert_string_equal(bkc_buffer_str(&buf), cases[i].quoted);
	}
	bkc_buffer_reset(&buf);
	assert_true(bkc_buffer_append_str(&buf, "x = '", &err));
	assert_true(bkc_conf_quote(&buf, "'", &err));
	assert_string_equal(bkc_buffer_str(&buf), "x = '''");
	bkc_buffer_free(&buf);
}

static void
test_random(void **state)
{
	static const size_t sizes[] = {0, 1, 16, 255, 256, 257, 1000};
	uint8_t		a[1002];
	uint8_t		b[1002];
	BkcError	err;
	size_t		i;

	for (i = 0; i < COUNT(sizes); i++)
	{
		memset(a, 0, sizeof(a));
		memset(b, 0, sizeof(b));
		assert_true(bkc_random(a + 1, sizes[i], &err));
		assert_true(bkc_random(b + 1, sizes[i], &err));
		assert_int_equal(a[0], 0);
		assert_int_equal(a[1 + sizes[i]], 0);
		if (sizes[i] >= 16)
		{
			assert_memory_not_equal(a + 1, b + 1, 16);
			assert_memory_not_equal(a + 1 + sizes[i] - 16, b + 1 + sizes[i] - 16, 16);
		}
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_hex),
		cmocka_unit_test(test_base64),
		cmocka_unit_test(test_base64_bad),
		cmocka_unit_test(test_utf8),
		cmocka_unit_test(test_clip),
		cmocka_unit_test(test_format_size),
		cmocka_unit_test(test_parse_size),
		cmocka_unit_test(test_parse_u64),
		cmocka_unit_test(test_time),
		cmocka_unit_test(test_parse_time),
		cmocka_unit_test(test_parse_moment),
		cmocka_unit_test(test_format_moment),
		cmocka_unit_test(test_lsn),
		cmocka_unit_test(test_shell_quote),
		cmocka_unit_test(test_conf_quote),
		cmocka_unit_test(test_random),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
