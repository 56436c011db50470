/*
 * report.c
 *		The client's edge: errors become text and an exit status here only.
 */
#include "report.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "json.h"

#define USAGE	BKC_EXIT_USAGE
#define ABSENT	BKC_EXIT_NOT_FOUND
#define CORRUPT BKC_EXIT_CORRUPT
#define REPO	BKC_EXIT_REPOSITORY
#define TARGET	BKC_EXIT_TARGET
#define SPACE	BKC_EXIT_NO_SPACE
#define CANCEL	BKC_EXIT_CANCELLED
#define OTHER	BKC_EXIT_OTHER
#define KEY		BKC_EXIT_KEY
#define FROZEN	BKC_EXIT_ARCHIVED

/* The one table: kind of error and place -> exit status. */
static const unsigned char exit_table[][BKC_PLACE_COUNT] = {
	/*						 command line, repository, target, program */
	[BKC_OK] =				{OTHER, OTHER, OTHER, OTHER},
	[BKC_ERR_INVALID] =		{USAGE, REPO, TARGET, OTHER},
	[BKC_ERR_NOT_FOUND] =	{USAGE, ABSENT, TARGET, OTHER},
	[BKC_ERR_EXISTS] =		{USAGE, REPO, TARGET, OTHER},
	[BKC_ERR_CORRUPT] =		{CORRUPT, CORRUPT, CORRUPT, CORRUPT},
	[BKC_ERR_UNSUPPORTED] = {USAGE, OTHER, OTHER, OTHER},
	[BKC_ERR_ACCESS] =		{REPO, REPO, TARGET, OTHER},
	[BKC_ERR_KEY] =			{KEY, KEY, KEY, KEY},
	[BKC_ERR_ARCHIVED] =	{FROZEN, FROZEN, FROZEN, FROZEN},
	[BKC_ERR_NO_SPACE] =	{SPACE, SPACE, SPACE, SPACE},
	[BKC_ERR_IO] =			{OTHER, REPO, TARGET, OTHER},
	[BKC_ERR_UNAVAILABLE] = {REPO, REPO, TARGET, OTHER},
	[BKC_ERR_TIMEOUT] =		{REPO, REPO, TARGET, OTHER},
	[BKC_ERR_CANCELLED] =	{CANCEL, CANCEL, CANCEL, CANCEL},
	[BKC_ERR_STATE] =		{USAGE, REPO, TARGET, OTHER},
	[BKC_ERR_NO_MEMORY] =	{OTHER, OTHER, OTHER, OTHER},
	[BKC_ERR_INTERNAL] =	{OTHER, OTHER, OTHER, OTHER}
};

const char *const bkc_exit_help =
	"Exit status:\n"
	"  0    done\n"
	"  2    wrong usage\n"
	"  3    not found: no such cluster or backup, no WAL up to the target, or none at all\n"
	"  4    damaged, or verification failed\n"
	"  5    the repository cannot be reached or read\n"
	"  6    the target folder was refused or cannot be written\n"
	"  7    no space left\n"
	"  8    cancelled\n"
	"  9    anything else\n"
	"  10   sealed, and no key that opens it was given\n"
	"  11   in an archive class: to be thawed first, or being thawed\n"
	"wal-get alone: 0 delivered, 1 proven absent, 254 could not ask\n"
	"  (1 instead of 254 in a standby, which asks again by itself)\n";

int
bkc_exit_status(BkcErrorCode code, BkcPlace place)
{
	if ((size_t) code >= sizeof(exit_table) / sizeof(exit_table[0]) ||
		(unsigned int) place >= BKC_PLACE_COUNT)
		return BKC_EXIT_OTHER;
	return exit_table[code][place];
}

/* A progress bar may stand on the line. */
static void
clear_line(void)
{
	if (isatty(STDERR_FILENO))
		fputs("\r\033[K", stderr);
}

int
bkc_report_error(const BkcError *err, BkcPlace place, bool json)
{
	int			status = bkc_exit_status(err->code, place);

	clear_line();
	fprintf(stderr, "pg_backupctl: error: %s\n", err->message);
	if (err->detail[0] != '\0')
		fprintf(stderr, "pg_backupctl: detail: %s\n", err->detail);
	if (err->hint[0] != '\0')
		fprintf(stderr, "pg_backupctl: hint: %s\n", err->hint);
	fflush(stderr);
	if (json)
		bkc_json_print(bkc_json_error(err, status));
	return status;
}

void
bkc_report_warning(const char *fmt,...)
{
	va_list		args;

	clear_line();
	fputs("pg_backupctl: warning: ", stderr);
	va_start(args, fmt);
	vfprintf(stderr, fmt, args);
	va_end(args);
	fputc('\n', stderr);
	fflush(stderr);
}

int
bkc_report_end(int status)
{
	errno = 0;
	if ((fflush(stdout) != 0 || ferror(stdout)) && status == BKC_EXIT_OK)
	{
		fprintf(stderr, "pg_backupctl: error: could not write to standard output: %s\n",
				strerror(errno));
		return BKC_EXIT_OTHER;
	}
	return status;
}
