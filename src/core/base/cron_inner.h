/*
 * cron_inner.h
 *		What the files of the cron parser share; nobody else includes it.
 */
#ifndef BKC_BASE_CRON_INNER_H
#define BKC_BASE_CRON_INNER_H

#include <stddef.h>

#include "base/cron.h"

/* A part of the text, not zero-terminated. */
typedef struct BkcCronWord
{
	const char *p;
	size_t		len;
} BkcCronWord;

/* "at" and "01:30" included, "every 2 days at 01:30" has five; one more tells that there are more. */
#define BKC_CRON_WORDS	7

/* How much of a text a message shows. */
#define BKC_CRON_SHOW	100

/*
 * ASCII only, whatever the server's locale: in a Turkish one "FRI" and "fri"
 * are different words for the library.
 */
extern char bkc_cron_lower(char c);
extern bool bkc_cron_is_letter(char c);
extern bool bkc_cron_is_digit(char c);

/* name is in lower case; word may be in any. */
extern bool bkc_cron_same_word(BkcCronWord word, const char *name);

/* Month (0 is January), weekday (0 is Sunday) by its full name or three letters of it; else -1. */
extern int	bkc_cron_month(BkcCronWord word);
extern int	bkc_cron_weekday(BkcCronWord word);

/* Nothing but digits, and at most four. */
extern bool bkc_cron_number(BkcCronWord word, int *value);

/* The words of a text, up to BKC_CRON_WORDS; none is empty. */
extern size_t bkc_cron_split(const char *text, BkcCronWord words[BKC_CRON_WORDS]);

/* "every ..." as in cron.h; cron is all zero.  text is for messages. */
extern bool bkc_cron_parse_every(const char *text, const BkcCronWord *words, size_t n,
								 BkcCron *cron, BkcError *err);

#endif							/* BKC_BASE_CRON_INNER_H */
