/*
 * options.c
 *		Commands and their options: one table gives parser and help.
 */
#include "options.h"

#include <getopt.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "pipe/frozen.h"

#define JOBS_DEFAULT_MAX	8
#define JOBS_MAX			256
#define CODE_BASE			256 /* getopt_long's answers: table index above all letters */
#define HELP_COLUMN			26

typedef struct OptionValue
{
	const BkcOptionDef *def;
	const char *text;			/* "" for flags */
} OptionValue;

struct BkcOptions
{
	const BkcCommand *command;
	OptionValue *values;		/* in order of appearance */
	size_t		nvalues;
	char	  **operands;
	int			noperands;
};

static size_t
count_defs(const BkcCommand *command)
{
	size_t		n = 0;

	while (command->options[n].name != NULL)
		n++;
	return n;
}

static bool
bad_usage(const BkcCommand *command, BkcError *err)
{
	return bkc_error_hint(err, "Try \"pg_backupctl %s --help\".", command->name);
}

/* getopt's two descriptions from ours; both are the caller's to free. */
static bool
make_tables(const BkcCommand *command, struct option **longs, char **letters, BkcError *err)
{
	size_t		n = count_defs(command);
	char	   *p;

	*longs = calloc(n + 1, sizeof(struct option));
	*letters = malloc(2 * n + 2);
	if (*longs == NULL || *letters == NULL)
		return bkc_error_oom(err);
	p = *letters;
	*p++ = ':';					/* tell a missing argument from an unknown option */
	for (size_t i = 0; i < n; i++)
	{
		const BkcOptionDef *def = &command->options[i];

		(*longs)[i].name = def->name;
		(*longs)[i].has_arg = def->argument == NULL ? no_argument :
			def->argument[0] == '[' ? optional_argument : required_argument;
		(*longs)[i].val = CODE_BASE + (int) i;
		if (def->letter != '\0' && def->letter != '?')
		{
			*p++ = def->letter;
			if (def->argument != NULL)
				*p++ = ':';
		}
	}
	*p = '\0';
	return true;
}

/* The table's row for what getopt_long answered; NULL and err for a complaint. */
static const BkcOptionDef *
find_def(const BkcCommand *command, int code, char **argv, BkcError *err)
{
	size_t		n = count_defs(command);
	const char *word = optind > 0 ? argv[optind - 1] : "";

	if (code >= CODE_BASE)
		return &command->options[code - CODE_BASE];
	for (size_t i = 0; i < n; i++)
	{
		/* optopt is 0 for an unknown long option, its letter or val otherwise */
		if (code != '?' && code != ':' && command->options[i].letter == code)
			return &command->options[i];
		if (code == '?' && optopt == '?' && command->options[i].letter == '?')
			return &command->options[i];
	}
	if (code == ':')
		bkc_error_set(err, BKC_ERR_INVALID, "option \"%s\" needs an argument", word);
	else if (optopt >= CODE_BASE)
		bkc_error_set(err, BKC_ERR_INVALID, "option \"%s\" takes no argument", word);
	else if (optopt != 0)
		bkc_error_set(err, BKC_ERR_INVALID, "unknown option \"-%c\"", optopt);
	else
		bkc_error_set(err, BKC_ERR_INVALID, "unknown or ambiguous option \"%s\"", word);
	bad_usage(command, err);
	return NULL;
}

static bool
parse(BkcOptions *options, int argc, char **argv, const struct option *longs,
	  const char *letters, BkcError *err)
{
	int			code;

	opterr = 0;
	optind = 0;					/* glibc: begin anew */
	while ((code = getopt_long(argc, argv, letters, longs, NULL)) != -1)
	{
		const BkcOptionDef *def = find_def(options->command, code, argv, err);
		OptionValue *values;

		if (def == NULL)
			return false;
		values = reallocarray(options->values, options->nvalues + 1, sizeof(OptionValue));
		if (values == NULL)
			return bkc_error_oom(err);
		options->values = values;
		values[options->nvalues].def = def;
		values[options->nvalues].text = def->argument != NULL && optarg != NULL ? optarg : "";
		options->nvalues++;
	}
	options->operands = argv + optind;
	options->noperands = argc - optind;
	return true;
}

static bool
check(const BkcOptions *options, BkcError *err)
{
	const BkcCommand *command = options->command;

	for (size_t i = 0; command->options[i].name != NULL; i++)
	{
		if (command->options[i].required && !bkc_option_given(options, command->options[i].name))
		{
			bkc_error_set(err, BKC_ERR_INVALID, "option --%s is missing", command->options[i].name);
			return bad_usage(command, err);
		}
	}
	if (options->noperands > command->noperands)
	{
		bkc_error_set(err, BKC_ERR_INVALID, "\"%s\" is one argument too many",
					  options->operands[command->noperands]);
		return bad_usage(command, err);
	}
	if (options->noperands < command->noperands)
	{
		bkc_error_set(err, BKC_ERR_INVALID, "%s needs the arguments %s",
					  command->name, command->operands);
		return bad_usage(command, err);
	}
	return true;
}

bool
bkc_options_parse(const BkcCommand *command, int argc, char **argv,
				  BkcOptions **options, BkcError *err)
{
	struct option *longs = NULL;
	char	   *letters = NULL;
	bool		ok;

	*options = calloc(1, sizeof(BkcOptions));
	if (*options == NULL)
		return bkc_error_oom(err);
	(*options)->command = command;
	ok = make_tables(command, &longs, &letters, err) &&
		parse(*options, argc, argv, longs, letters, err);
	if (ok && !bkc_option_given(*options, "help"))
		ok = check(*options, err);
	free(longs);
	free(letters);
	if (!ok)
	{
		bkc_options_free(*options);
		*options = NULL;
	}
	return ok;
}

void
bkc_options_free(BkcOptions *options)
{
	if (options == NULL)
		return;
	free(options->values);
	free(options);
}

bool
bkc_option_given(const BkcOptions *options, const char *name)
{
	return bkc_option(options, name) != NULL;
}

const char *
bkc_option(const BkcOptions *options, const char *name)
{
	for (size_t i = options->nvalues; i > 0; i--)
	{
		if (strcmp(options->values[i - 1].def->name, name) == 0)
			return options->values[i - 1].text;
	}
	return NULL;
}

const char *
bkc_option_nth(const BkcOptions *options, const char *name, size_t n)
{
	for (size_t i = 0; i < options->nvalues; i++)
	{
		if (strcmp(options->values[i].def->name, name) == 0 && n-- == 0)
			return options->values[i].text;
	}
	return NULL;
}

const char *
bkc_operand(const BkcOptions *options, int n)
{
	return n < options->noperands ? options->operands[n] : NULL;
}

bool
bkc_option_jobs(const BkcOptions *options, size_t *jobs, BkcError *err)
{
	const char *text = bkc_option(options, "jobs");
	cpu_set_t	cpus;
	uint64_t	value;

	if (text == NULL)
	{
		/* the CPUs that this process may use: containers are given fewer than there are */
		int			n = sched_getaffinity(0, sizeof(cpus), &cpus) == 0 ? CPU_COUNT(&cpus) : 1;

		*jobs = n < 1 ? 1 : n > JOBS_DEFAULT_MAX ? JOBS_DEFAULT_MAX : (size_t) n;
		return true;
	}
	if (!bkc_parse_u64(text, JOBS_MAX, &value) || value == 0)
	{
		bkc_error_set(err, BKC_ERR_INVALID, "--jobs \"%s\" is not a number from 1 to %d",
					  text, JOBS_MAX);
		return bad_usage(options->command, err);
	}
	*jobs = (size_t) value;
	return true;
}

bool
bkc_option_thaw(const BkcOptions *options, int *days, BkcError *err)
{
	const char *text = bkc_option(options, "thaw");
	uint64_t	value = text != NULL ? BKC_THAW_DAYS : 0;

	if (text != NULL && text[0] != '\0' &&
		(!bkc_parse_u64(text, BKC_THAW_DAYS_MAX, &value) || value == 0))
	{
		bkc_error_set(err, BKC_ERR_INVALID, "--thaw \"%s\" is not a number of days from 1 to %d",
					  text, BKC_THAW_DAYS_MAX);
		return bad_usage(options->command, err);
	}
	*days = (int) value;
	return true;
}

/* One option of the help: its names, then its text, which may have several lines. */
static void
print_def(const BkcOptionDef *def)
{
	char		names[80];
	const char *line = def->help;
	const char *end;

	snprintf(names, sizeof(names), "  %c%c%s--%s%s%s",
			 def->letter != '\0' ? '-' : ' ', def->letter != '\0' ? def->letter : ' ',
			 def->letter != '\0' ? ", " : "  ", def->name,
			 def->argument != NULL && def->argument[0] != '[' ? " " : "",
			 def->argument != NULL ? def->argument : "");
	printf("%-*s", HELP_COLUMN, names);
	if (strlen(names) >= HELP_COLUMN)
		printf("\n%*s", HELP_COLUMN, "");
	while ((end = strchr(line, '\n')) != NULL)
	{
		printf("%.*s\n%*s", (int) (end - line), line, HELP_COLUMN, "");
		line = end + 1;
	}
	printf("%s%s\n", line, def->required ? " (required)" : "");
}

void
bkc_options_help(const BkcCommand *command)
{
	printf("pg_backupctl %s: %s\n\nUsage:\n  pg_backupctl %s", command->name, command->summary,
		   command->name);
	for (size_t i = 0; command->options[i].name != NULL; i++)
	{
		if (command->options[i].required)
			printf(" --%s %s", command->options[i].name, command->options[i].argument);
	}
	printf(" [OPTION]...%s%s\n\nOptions:\n", command->operands != NULL ? " " : "",
		   command->operands != NULL ? command->operands : "");
	for (size_t i = 0; command->options[i].name != NULL; i++)
		print_def(&command->options[i]);
	if (command->notes != NULL)
		printf("\n%s", command->notes);
}
