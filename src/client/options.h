/*
 * options.h
 *		Commands and their options: one table gives parser and help.
 */
#ifndef BKC_CLIENT_OPTIONS_H
#define BKC_CLIENT_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"

typedef struct BkcOptionDef
{
	const char *name;			/* long name without dashes */
	char		letter;			/* short name or 0 */
	const char *argument;		/* what stands for its argument in the help; NULL: a flag;
								 * "[=N]": it may be left out, and its value is "" then */
	bool		required;
	const char *help;			/* lines are split at newlines */
} BkcOptionDef;

typedef struct BkcOptions BkcOptions;

typedef struct BkcCommand
{
	const char *name;
	const char *summary;
	const char *operands;		/* "FILE PATH" or NULL */
	int			noperands;
	const BkcOptionDef *options;	/* ends with an empty name */
	const char *notes;			/* further text for its help, or NULL */
	int			(*run) (const BkcOptions *options);
} BkcCommand;

/* Options that several commands share. */
#define BKC_OPTION_REPO \
	{"repo", 0, "URL", true, "the repository, e.g. file:///var/backups/pg"}
#define BKC_OPTION_CLUSTER \
	{"cluster", 0, "ID", false, "system identifier of the cluster (default: the only one)"}
#define BKC_OPTION_JOBS \
	{"jobs", 'j', "N", false, "worker processes (default: one a CPU, at most 8)"}
#define BKC_OPTION_THAW \
	{"thaw", 0, "[=DAYS]", false, "request that packs in an archive class can be read, for\n7 days or so many; call again when they can"}
#define BKC_OPTION_JSON \
	{"json", 0, NULL, false, "print one JSON object on standard output"}
#define BKC_OPTION_HELP \
	{"help", '?', NULL, false, "show this help"}
#define BKC_OPTION_END \
	{NULL, 0, NULL, false, NULL}

/*
 * Parse argv (argv[0] is the command's name) by the command's table.  The
 * result points into argv, which must live longer.  Errors are
 * BKC_ERR_INVALID.  With --help nothing else is checked.
 */
extern bool bkc_options_parse(const BkcCommand *command, int argc, char **argv,
							  BkcOptions **options, BkcError *err);
extern void bkc_options_free(BkcOptions *options);	/* NULL is fine */

/* Was it given? */
extern bool bkc_option_given(const BkcOptions *options, const char *name);

/* Its (last) argument; NULL when not given. */
extern const char *bkc_option(const BkcOptions *options, const char *name);

/* The n-th argument of an option that may be repeated; NULL when there are no more. */
extern const char *bkc_option_nth(const BkcOptions *options, const char *name, size_t n);
extern const char *bkc_operand(const BkcOptions *options, int n);

/* --jobs as a number; the default when not given. */
extern bool bkc_option_jobs(const BkcOptions *options, size_t *jobs, BkcError *err);

/* --thaw as a number of days: the default without one, 0 when not given. */
extern bool bkc_option_thaw(const BkcOptions *options, int *days, BkcError *err);

/* The command's help on standard output. */
extern void bkc_options_help(const BkcCommand *command);

#endif							/* BKC_CLIENT_OPTIONS_H */
