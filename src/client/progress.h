/*
 * progress.h
 *		Long work on standard error: a bar on a terminal, a line every ten
 *		seconds elsewhere.
 */
#ifndef BKC_CLIENT_PROGRESS_H
#define BKC_CLIENT_PROGRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct BkcProgress
{
	const char *verb;			/* "restored", "verified" */
	uint64_t	total;			/* bytes */
	int64_t		started;
	int64_t		shown;
	bool		terminal;
	bool		drawn;			/* a bar stands on the line */
} BkcProgress;

extern void bkc_progress_begin(BkcProgress *progress, const char *verb, uint64_t total);
extern void bkc_progress_show(BkcProgress *progress, uint64_t done);

/* Take the bar away. */
extern void bkc_progress_end(BkcProgress *progress);

/* The bar as text, for progress.c and its test; usec since the start. */
extern void bkc_progress_bar(uint64_t done, uint64_t total, int64_t usec, char *out, size_t outlen);

/* "9.8 s", "3 min 5 s", "2 h 7 min" */
extern void bkc_format_duration(int64_t usec, char *out, size_t outlen);

/* "293 MB/s"; "-" when no time has passed */
extern void bkc_format_rate(uint64_t bytes, int64_t usec, char *out, size_t outlen);

#endif							/* BKC_CLIENT_PROGRESS_H */
