/*
 * cron.c
 *		Parsing cron expressions (contract: cron.h).
 */
#include "base/cron.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/cron_inner.h"
#include "base/text.h"

#define COUNT(a)		(sizeof(a) / sizeof((a)[0]))

typedef enum FieldId
{
	MINUTE,
	HOUR,
	DAY,
	MONTH,
	WEEKDAY,
	FIELDS
} FieldId;

static const struct
{
	const char *name;
	int			min;
	int			top;			/* the last one of "*" */
	int			max;			/* the last one that can be written */
	int			(*by_name) (BkcCronWord word);	/* from 0 on; -1: no name */
	bool		wraps;			/* may a range go on behind the end? */
	const char *hint;
}			fields[FIELDS] = {
	{"minute", 0, 59, 59, NULL, false,
	"Minutes are 0 to 59, for example \"0\", \"0,30\", \"*/15\" or \"10-50/10\"."},
	{"hour", 0, 23, 23, NULL, false,
	"Hours are 0 to 23, for example \"2\", \"0,12\", \"8-18\" or \"*/6\"."},
	{"day-of-month", 1, 31, 31, NULL, false,
	"Days of the month are 1 to 31, for example \"1,15\", \"1-7\", \"L\" for the last one or \"L-3\" for three days before it."},
	{"month", 1, 12, 12, bkc_cron_month, true,
	"Months are 1 to 12 or names, for example \"6\", \"jan,jul\", \"3-5\" or \"*/3\"."},
	{"day-of-week", 0, 6, 7, bkc_cron_weekday, true,
	"Days of the week are 0 to 7 (0 and 7 are Sunday) or names, for example \"mon-fri\", \"Sun#1\" for the first Sunday of the month or \"friL\" for the last Friday."},
};

static const struct
{
	const char *name;
	const char *expression;
}			short_forms[] = {
	{"@hourly", "0 * * * *"},
	{"@daily", "0 0 * * *"},
	{"@midnight", "0 0 * * *"},
	{"@weekly", "0 0 * * 0"},
	{"@monthly", "0 0 1 * *"},
	{"@yearly", "0 0 1 1 *"},
	{"@annually", "0 0 1 1 *"},
};

/* One field being parsed. */
typedef struct Parse
{
	const char *text;			/* all of the expression, for messages */
	FieldId		id;
	BkcCronWord field;
	const char *p;				/* where we are in an element of its list ... */
	const char *end;			/* ... and where that ends */
	uint64_t	bits;
	BkcCron    *cron;
	BkcError   *err;
} Parse;

/* ---- errors ---- */

static int
show(const char *text, size_t len)
{
	return bkc_text_clip(text, len, BKC_CRON_SHOW);
}

static bool fail(Parse *ps, const char *fmt,...) BKC_PRINTF(2, 3);

/* The detail says what is wrong with the field. */
static bool
fail(Parse *ps, const char *fmt,...)
{
	char		detail[BKC_ERROR_DETAIL_MAX];
	va_list		args;

	va_start(args, fmt);
	vsnprintf(detail, sizeof(detail), fmt, args);
	va_end(args);
	bkc_error_set(ps->err, BKC_ERR_INVALID,
				  "could not parse the %s field \"%.*s\" of cron expression \"%.*s\"",
				  fields[ps->id].name, show(ps->field.p, ps->field.len), ps->field.p,
				  show(ps->text, strlen(ps->text)), ps->text);
	bkc_error_detail(ps->err, "%s", detail);
	return bkc_error_hint(ps->err, "%s", fields[ps->id].hint);
}

/* What is left of the element makes no sense. */
static bool
fail_rest(Parse *ps)
{
	size_t		left = (size_t) (ps->end - ps->p);

	if (left == 0)
		return fail(ps, "A value is missing.");
	return fail(ps, "\"%.*s\" is not understood here.", show(ps->p, left), ps->p);
}

static bool
fail_shape(const char *text, size_t n, BkcError *err)
{
	if (n == 0)
		bkc_error_set(err, BKC_ERR_INVALID, "cron expression is empty");
	else
	{
		bkc_error_set(err, BKC_ERR_INVALID, "could not parse cron expression \"%.*s\"",
					  show(text, strlen(text)), text);
		if (text[strspn(text, " \t\r\n")] == '@')
			return bkc_error_hint(err, "The short forms are @hourly, @daily, @midnight, @weekly, @monthly, @yearly and @annually.");
		bkc_error_detail(err, "It has %zu field%s%s instead of 5.", n, n == 1 ? "" : "s",
						 n == BKC_CRON_WORDS ? " or more" : "");
	}
	return bkc_error_hint(err, "The fields are minute, hour, day of month, month and day of week: "
						  "\"30 1 * * *\" is every day at 01:30. "
						  "\"@daily\" and \"every 6 hours\" are understood too.");
}

/* ---- fields ---- */

static bool
at_char(const Parse *ps, char c)
{
	return ps->p < ps->end && bkc_cron_lower(*ps->p) == c;
}

/* The digits, or the letters, that come next. */
static BkcCronWord
take_word(Parse *ps, bool (*belongs) (char))
{
	BkcCronWord word = {ps->p, 0};

	while (ps->p < ps->end && belongs(*ps->p))
		ps->p++;
	word.len = (size_t) (ps->p - word.p);
	return word;
}

static bool
take_number(Parse *ps, const char *what, int min, int max, int *value)
{
	BkcCronWord word = take_word(ps, bkc_cron_is_digit);

	if (word.len == 0)
		return fail_rest(ps);
	if (!bkc_cron_number(word, value) || *value < min || *value > max)
		return fail(ps, "%s%.*s is not between %d and %d.", what, show(word.p, word.len), word.p,
					min, max);
	return true;
}

/* A number or a name. */
static bool
take_value(Parse *ps, int *value)
{
	int			(*by_name) (BkcCronWord) = fields[ps->id].by_name;
	BkcCronWord word;

	if (by_name == NULL || ps->p == ps->end || !bkc_cron_is_letter(*ps->p))
		return take_number(ps, "", fields[ps->id].min, fields[ps->id].max, value);
	word = take_word(ps, bkc_cron_is_letter);
	*value = by_name(word);
	if (*value < 0 && ps->id == WEEKDAY && bkc_cron_lower(ps->p[-1]) == 'l')
	{
		/* "friL": the letter is for our caller */
		ps->p--;
		word.len--;
		if (word.len == 0)
			return fail(ps, "\"L\" needs a day of the week before it.");
		*value = by_name(word);
	}
	if (*value < 0)
		return fail(ps, "\"%.*s\" is not the name of a %s.", show(word.p, word.len), word.p,
					ps->id == MONTH ? "month" : "day of the week");
	*value += fields[ps->id].min;
	return true;
}

static bool
take_end(Parse *ps)
{
	return ps->p == ps->end || fail_rest(ps);
}

/* "L", "L-3": days counted from the end of the month. */
static bool
parse_from_end(Parse *ps)
{
	int			back = 0;

	ps->p++;
	if (at_char(ps, '-'))
	{
		ps->p++;
		if (!take_number(ps, "", 0, 30, &back))
			return false;
	}
	ps->cron->days_back |= UINT32_C(1) << back;
	return take_end(ps);
}

/* "Sun#1", "friL" from behind the weekday on. */
static bool
parse_nth(Parse *ps, int weekday)
{
	int			nth = 0;

	if (*ps->p++ == '#' && !take_number(ps, "#", 1, 5, &nth))
		return false;
	ps->cron->nth[weekday % 7] |= (uint8_t) (1 << nth);
	return take_end(ps);
}

/* Each step-th value from first to last. */
static bool
add_range(Parse *ps, int first, int last, int step)
{
	int			min = fields[ps->id].min;
	int			cycle = fields[ps->id].top - min + 1;
	int			length;
	int			i;

	if (ps->id == WEEKDAY && first == 7)
	{
		first = 0;
		if (last == 7)
			last = 0;
	}
	length = last - first;
	if (length < 0 && !fields[ps->id].wraps)
		return fail(ps, "The range %d-%d runs backwards: write \"%d-%d,%d-%d\" if that is meant.",
					first, last, first, fields[ps->id].top, min, last);
	if (length < 0)
		length += cycle;
	for (i = 0; i <= length; i += step)
		ps->bits |= UINT64_C(1) << ((first - min + i) % cycle + min);
	return true;
}

/* One element of a list. */
static bool
parse_element(Parse *ps)
{
	int			first = fields[ps->id].min;
	int			last = fields[ps->id].top;
	int			step = 1;
	bool		is_day = ps->id == DAY || ps->id == WEEKDAY;

	if (ps->p == ps->end)
		return fail(ps, "An element of the list is empty.");
	if (ps->id == DAY && at_char(ps, 'l'))
		return parse_from_end(ps);
	if (at_char(ps, '*') || (is_day && at_char(ps, '?')))
		ps->p++;
	else
	{
		if (!take_value(ps, &first))
			return false;
		if (ps->id == WEEKDAY && (at_char(ps, '#') || at_char(ps, 'l')))
			return parse_nth(ps, first);
		if (at_char(ps, '-'))
		{
			ps->p++;
			if (!take_value(ps, &last))
				return false;
		}
		else if (!at_char(ps, '/'))
			last = first;
	}
	if (at_char(ps, '/'))
	{
		/* a longer one would leave a single value, and certainly not mean what it says */
		ps->p++;
		if (!take_number(ps, "Step ", 1, fields[ps->id].top - fields[ps->id].min + 1, &step))
			return false;
	}
	return take_end(ps) && add_range(ps, first, last, step);
}

/* All elements of a field; the values are in bits then, L and # in cron. */
static bool
parse_field(Parse *ps, FieldId id, BkcCronWord word)
{
	const char *end = word.p + word.len;

	ps->id = id;
	ps->field = word;
	ps->bits = 0;
	for (ps->p = word.p;; ps->p++)
	{
		ps->end = memchr(ps->p, ',', (size_t) (end - ps->p));
		if (ps->end == NULL)
			ps->end = end;
		if (!parse_element(ps))
			return false;
		if (ps->end == end)
			return true;
	}
}

static bool
is_open(BkcCronWord word)
{
	return word.p[0] == '*' || word.p[0] == '?';
}

static bool
parse_fields(const char *text, const BkcCronWord *words, BkcCron *cron, BkcError *err)
{
	Parse		ps = {.text = text, .cron = cron, .err = err};
	uint64_t	bits[FIELDS];
	int			i;

	for (i = 0; i < FIELDS; i++)
	{
		if (!parse_field(&ps, (FieldId) i, words[i]))
			return false;
		bits[i] = ps.bits;
	}
	for (i = 0; i < 24; i++)
		cron->minutes[i] = (bits[HOUR] >> i & 1) ? bits[MINUTE] : 0;
	cron->days = (uint32_t) bits[DAY];
	cron->months = (uint16_t) bits[MONTH];
	cron->weekdays = (uint8_t) bits[WEEKDAY];
	cron->any_day = is_open(words[DAY]);
	cron->any_weekday = is_open(words[WEEKDAY]);
	return true;
}

/*
 * Does any day match?  Within 28 years that no exception of the calendar
 * touches, each date falls on each weekday, also 29 February.
 */
static bool
ever_fires(const BkcCron *cron)
{
	int			year;
	int			month;

	for (year = 2000; year < 2028; year++)
	{
		for (month = 1; month <= 12; month++)
		{
			if (bkc_cron_month_days(cron, year, month) != 0)
				return true;
		}
	}
	return false;
}

bool
bkc_cron_parse(const char *text, BkcCron *cron, BkcError *err)
{
	BkcCronWord words[BKC_CRON_WORDS];
	size_t		n = bkc_cron_split(text, words);
	size_t		i;

	memset(cron, 0, sizeof(*cron));
	for (i = 0; n == 1 && i < COUNT(short_forms); i++)
	{
		if (bkc_cron_same_word(words[0], short_forms[i].name))
			return bkc_cron_parse(short_forms[i].expression, cron, err);
	}
	if (n > 0 && bkc_cron_same_word(words[0], "every"))
	{
		if (!bkc_cron_parse_every(text, words, n, cron, err))
			return false;
	}
	else if (n != FIELDS)
		return fail_shape(text, n, err);
	else if (!parse_fields(text, words, cron, err))
		return false;

	if (!ever_fires(cron))
	{
		bkc_error_set(err, BKC_ERR_INVALID, "cron expression \"%.*s\" never fires",
					  show(text, strlen(text)), text);
		bkc_error_detail(err, "No year has such a day.");
		return bkc_error_hint(err, "For the last day of a month write \"L\" as the day of month.");
	}
	cron->every_hour = true;
	for (i = 0; i < 24; i++)
		cron->every_hour = cron->every_hour && cron->minutes[i] != 0;
	return true;
}
