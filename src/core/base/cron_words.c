/*
 * cron_words.c
 *		Words, numbers and names in cron expressions (contract: cron_inner.h).
 */
#include "base/cron_inner.h"

#include <stdio.h>

static const char *const month_names[] = {
	"january", "february", "march", "april", "may", "june", "july", "august", "september",
	"october", "november", "december", NULL
};

static const char *const weekday_names[] = {
	"sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday", NULL
};

char
bkc_cron_lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char) (c - 'A' + 'a') : c;
}

bool
bkc_cron_is_letter(char c)
{
	return bkc_cron_lower(c) >= 'a' && bkc_cron_lower(c) <= 'z';
}

bool
bkc_cron_is_digit(char c)
{
	return c >= '0' && c <= '9';
}

bool
bkc_cron_same_word(BkcCronWord word, const char *name)
{
	size_t		i;

	for (i = 0; i < word.len; i++)
	{
		if (bkc_cron_lower(word.p[i]) != name[i])
			return false;		/* also at the end of name */
	}
	return name[i] == '\0';
}

/* Index of a name, full or of three letters; -1 when it is none of them. */
static int
find_name(BkcCronWord word, const char *const *names)
{
	char		three[4];
	int			i;

	for (i = 0; names[i] != NULL; i++)
	{
		snprintf(three, sizeof(three), "%.3s", names[i]);
		if (bkc_cron_same_word(word, names[i]) || bkc_cron_same_word(word, three))
			return i;
	}
	return -1;
}

int
bkc_cron_month(BkcCronWord word)
{
	return find_name(word, month_names);
}

int
bkc_cron_weekday(BkcCronWord word)
{
	return find_name(word, weekday_names);
}

bool
bkc_cron_number(BkcCronWord word, int *value)
{
	size_t		i;

	*value = 0;
	for (i = 0; i < word.len; i++)
	{
		if (!bkc_cron_is_digit(word.p[i]) || i >= 4)
			return false;
		*value = *value * 10 + (word.p[i] - '0');
	}
	return word.len > 0;
}

static bool
is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

size_t
bkc_cron_split(const char *text, BkcCronWord words[BKC_CRON_WORDS])
{
	size_t		n = 0;

	for (;;)
	{
		while (is_space(*text))
			text++;
		if (*text == '\0' || n == BKC_CRON_WORDS)
			return n;
		words[n].p = text;
		while (*text != '\0' && !is_space(*text))
			text++;
		words[n].len = (size_t) (text - words[n].p);
		n++;
	}
}
