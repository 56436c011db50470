/*
 * label.h
 *		Names of backups: 20261120T120301Z-full-7f3a
 *
 * UTC second of the start, type, four random hex digits.  Labels sort by
 * time; the suffix makes two starts in one second differ.
 */
#ifndef BKC_FORMAT_LABEL_H
#define BKC_FORMAT_LABEL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

#define BKC_LABEL_MAX	40		/* with the zero byte */

/* type is "full" (later "incr", "diff"): [a-z]{1,12}.  now in microseconds since 1970. */
extern bool bkc_label_make(const char *type, int64_t now, char label[BKC_LABEL_MAX], BkcError *err);

/* Exactly of that form?  Readers use nothing else as part of a name. */
extern bool bkc_label_valid(const char *label);

/* Start second (microseconds since 1970) of a valid label. */
extern int64_t bkc_label_time(const char *label);

#endif							/* BKC_FORMAT_LABEL_H */
