/*
 * main.c
 *		pg_backupctl, the client: which commands there are, help, and the end of
 *		the program.
 */
#include "main.h"

#include <stdio.h>
#include <string.h>

#include "host.h"
#include "report.h"

#ifndef BKC_VERSION
#define BKC_VERSION "unknown"
#endif

static const BkcCommand *const commands[] = {
	&bkc_command_list,
	&bkc_command_verify,
	&bkc_command_check,
	&bkc_command_restore,
	&bkc_command_wal_get,
	&bkc_command_repo_setup,
	&bkc_command_keygen,
	&bkc_command_rotate_key
};

#define NCOMMANDS (sizeof(commands) / sizeof(commands[0]))

static const BkcCommand *
find_command(const char *name)
{
	for (size_t i = 0; i < NCOMMANDS; i++)
	{
		if (strcmp(commands[i]->name, name) == 0)
			return commands[i];
	}
	return NULL;
}

static void
print_help(void)
{
	printf("pg_backupctl restores, lists, verifies and checks backups of PostgreSQL clusters.\n"
		   "It needs a repository URL and no server.\n\n"
		   "Usage:\n  pg_backupctl COMMAND --repo URL [OPTION]...\n\nCommands:\n");
	for (size_t i = 0; i < NCOMMANDS; i++)
		printf("  %-12s%s\n", commands[i]->name, commands[i]->summary);
	printf("\n  --help     show this help; \"pg_backupctl help COMMAND\" shows a command's\n"
		   "  --version  show the version\n\n%s", bkc_exit_help);
}

static int
unknown_command(const char *name)
{
	BkcError	err;

	bkc_error_set(&err, BKC_ERR_INVALID, "unknown command \"%s\"", name);
	bkc_error_hint(&err, "Try \"pg_backupctl --help\".");
	return bkc_report_error(&err, BKC_AT_COMMAND_LINE, false);
}

static int
help(int argc, char **argv)
{
	const BkcCommand *command;

	if (argc < 2)
	{
		print_help();
		return BKC_EXIT_OK;
	}
	command = find_command(argv[1]);
	if (command == NULL)
		return unknown_command(argv[1]);
	bkc_options_help(command);
	return BKC_EXIT_OK;
}

static int
run_command(const BkcCommand *command, int argc, char **argv)
{
	BkcOptions *options = NULL;
	BkcError	err;
	int			status;

	if (!bkc_client_host_begin(&err) ||
		!bkc_options_parse(command, argc, argv, &options, &err))
	{
		status = bkc_report_error(&err, BKC_AT_COMMAND_LINE, false);

		/*
		 * To a server every status up to 125 means "there is no such file",
		 * and recovery would end too early: a wal-get that does not understand
		 * its own command line has not asked.
		 */
		return command == &bkc_command_wal_get ? BKC_EXIT_COULD_NOT_ASK : status;
	}
	if (bkc_option_given(options, "help"))
	{
		bkc_options_help(command);
		status = BKC_EXIT_OK;
	}
	else
		status = command->run(options);
	bkc_options_free(options);
	return status;
}

static int
dispatch(int argc, char **argv)
{
	const BkcCommand *command;
	BkcError	err;

	if (argc < 2)
	{
		bkc_error_set(&err, BKC_ERR_INVALID, "no command given");
		bkc_error_hint(&err, "Try \"pg_backupctl --help\".");
		return bkc_report_error(&err, BKC_AT_COMMAND_LINE, false);
	}
	if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-?") == 0)
	{
		print_help();
		return BKC_EXIT_OK;
	}
	if (strcmp(argv[1], "--version") == 0 || strcmp(argv[1], "-V") == 0)
	{
		printf("pg_backupctl %s\n", BKC_VERSION);
		return BKC_EXIT_OK;
	}
	if (strcmp(argv[1], "help") == 0)
		return help(argc - 1, argv + 1);
	command = find_command(argv[1]);
	if (command == NULL)
		return unknown_command(argv[1]);
	return run_command(command, argc - 1, argv + 1);
}

int
main(int argc, char **argv)
{
	return bkc_report_end(dispatch(argc, argv));
}
