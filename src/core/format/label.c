/*
 * label.c
 *		Names of backups (contract: label.h; form: FORMAT.md, "Labels").
 */
#include "format/label.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/text.h"

#define LABEL_TIME_LEN		16	/* 20261120T120301Z */
#define LABEL_TYPE_MAX		12
#define LABEL_SUFFIX_LEN	4
#define USECS_PER_SEC		INT64_C(1000000)

static bool
is_type_char(char c)
{
	return c >= 'a' && c <= 'z';
}

/* n decimal digits as a number, or -1. */
static int
parse_digits(const char *p, int n)
{
	int			value = 0;
	int			i;

	for (i = 0; i < n; i++)
	{
		if (p[i] < '0' || p[i] > '9')
			return -1;
		value = value * 10 + (p[i] - '0');
	}
	return value;
}

/*
 * The first 16 bytes as a time.  The calendar is checked by formatting the
 * result again: timegm() would take 30 February for 2 March, and then two
 * texts would name one second and labels would not sort by time.
 */
static bool
parse_label_time(const char *label, time_t *when)
{
	static const char form[] = "dddddddd" "T" "dddddd" "Z";
	struct tm	tm;
	struct tm	back;
	int			i;

	for (i = 0; i < LABEL_TIME_LEN; i++)
	{
		if (form[i] == 'd' ? parse_digits(label + i, 1) < 0 : label[i] != form[i])
			return false;		/* also at the end of a short text */
	}
	memset(&tm, 0, sizeof(tm));
	tm.tm_year = parse_digits(label, 4) - 1900;
	tm.tm_mon = parse_digits(label + 4, 2) - 1;
	tm.tm_mday = parse_digits(label + 6, 2);
	tm.tm_hour = parse_digits(label + 9, 2);
	tm.tm_min = parse_digits(label + 11, 2);
	tm.tm_sec = parse_digits(label + 13, 2);
	if (tm.tm_year < 70)
		return false;
	back = tm;
	*when = timegm(&back);
	return back.tm_year == tm.tm_year && back.tm_mon == tm.tm_mon &&
		back.tm_mday == tm.tm_mday && back.tm_hour == tm.tm_hour &&
		back.tm_min == tm.tm_min && back.tm_sec == tm.tm_sec;
}

bool
bkc_label_make(const char *type, int64_t now, char label[BKC_LABEL_MAX], BkcError *err)
{
	uint8_t		suffix[LABEL_SUFFIX_LEN / 2];
	char		hex[LABEL_SUFFIX_LEN + 1];
	char		stamp[LABEL_TIME_LEN + 1];
	struct tm	tm;
	time_t		when = (time_t) (now / USECS_PER_SEC);
	size_t		len;

	label[0] = '\0';
	len = type ? strlen(type) : 0;
	if (len == 0 || len > LABEL_TYPE_MAX)
		return bkc_error_set(err, BKC_ERR_INVALID, "invalid backup type \"%.40s\"",
							 type ? type : "");
	while (len > 0)
	{
		if (!is_type_char(type[--len]))
			return bkc_error_set(err, BKC_ERR_INVALID, "invalid backup type \"%s\"", type);
	}

	/* four digits of year, or the label would not have its form */
	if (now < 0 || gmtime_r(&when, &tm) == NULL || tm.tm_year > 9999 - 1900 ||
		strftime(stamp, sizeof(stamp), "%Y%m%dT%H%M%SZ", &tm) != LABEL_TIME_LEN)
		return bkc_error_set(err, BKC_ERR_INVALID,
							 "clock is out of range for a backup label");
	if (!bkc_random(suffix, sizeof(suffix), err))
		return false;
	bkc_hex_encode(suffix, sizeof(suffix), hex);
	snprintf(label, BKC_LABEL_MAX, "%s-%s-%s", stamp, type, hex);
	return true;
}

bool
bkc_label_valid(const char *label)
{
	const char *p;
	time_t		when;
	int			n;

	if (label == NULL || !parse_label_time(label, &when))
		return false;
	p = label + LABEL_TIME_LEN;
	if (*p++ != '-')
		return false;
	for (n = 0; is_type_char(*p); n++)
		p++;
	if (n == 0 || n > LABEL_TYPE_MAX || *p++ != '-')
		return false;
	for (n = 0; n < LABEL_SUFFIX_LEN; n++, p++)
	{
		if (!((*p >= '0' && *p <= '9') || (*p >= 'a' && *p <= 'f')))
			return false;
	}
	return *p == '\0';
}

int64_t
bkc_label_time(const char *label)
{
	time_t		when;

	if (!parse_label_time(label, &when))
		return 0;
	return (int64_t) when * USECS_PER_SEC;
}
