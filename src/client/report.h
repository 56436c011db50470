/*
 * report.h
 *		The client's edge: errors become text and an exit status here only.
 *
 * A function that fails hands up its BkcError and the place where it was at
 * work; the command passes both to bkc_report_error() and returns the exit
 * status that it gets.  Nothing else prints errors, and only main() and the
 * worker processes of crew.c end the program.
 */
#ifndef BKC_CLIENT_REPORT_H
#define BKC_CLIENT_REPORT_H

#include <stdbool.h>

#include "base/error.h"

/* Where something went wrong; with the error's code it gives the exit status. */
typedef enum BkcPlace
{
	BKC_AT_COMMAND_LINE,		/* options, URL */
	BKC_AT_REPOSITORY,
	BKC_AT_TARGET,				/* the folders that a restore writes to */
	BKC_AT_PROGRAM,				/* anything else */
	BKC_PLACE_COUNT
} BkcPlace;

/* Exit statuses.  They are part of the interface: never renumber. */
typedef enum BkcExit
{
	BKC_EXIT_OK = 0,
	BKC_EXIT_ABSENT = 1,		/* wal-get only: the repository has no such file */
	BKC_EXIT_USAGE = 2,
	BKC_EXIT_NOT_FOUND = 3,		/* no such cluster, backup or WAL, or none at all */
	BKC_EXIT_CORRUPT = 4,		/* damaged, or verification failed */
	BKC_EXIT_REPOSITORY = 5,	/* repository cannot be reached or read */
	BKC_EXIT_TARGET = 6,		/* target folder refused or not writable */
	BKC_EXIT_NO_SPACE = 7,
	BKC_EXIT_CANCELLED = 8,
	BKC_EXIT_OTHER = 9,
	BKC_EXIT_KEY = 10,			/* sealed, and no key that opens it was given */
	BKC_EXIT_ARCHIVED = 11,		/* in an archive class: to be thawed first, or being thawed */
	BKC_EXIT_COULD_NOT_ASK = 254	/* wal-get only: the answer is not known */
} BkcExit;

extern int	bkc_exit_status(BkcErrorCode code, BkcPlace place);

/* Lines for --help. */
extern const char *const bkc_exit_help;

/*
 * Print the error on standard error and return its exit status; with json
 * also one JSON object on standard output.
 */
extern int	bkc_report_error(const BkcError *err, BkcPlace place, bool json);

/* One more line on standard error, which is no failure by itself. */
extern void bkc_report_warning(const char *fmt,...) BKC_PRINTF(1, 2);

/*
 * Write out what standard output has buffered: the last thing a program does.
 * Returns the status to exit with.
 */
extern int	bkc_report_end(int status);

#endif							/* BKC_CLIENT_REPORT_H */
