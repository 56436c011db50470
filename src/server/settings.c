/*
 * settings.c
 *		Definition and checks of the pg_backupctl.* settings.
 *
 * A check hook names the bad part and the fix, so that a typing error is
 * reported when the configuration is read, not when the next backup fails.
 */
#include "pgcompat.h"

#include <limits.h>
#include <unistd.h>

#include "base/fault.h"
#include "base/text.h"
#include "errors.h"
#include "pipe/keyring.h"
#include "pipe/stages.h"
#include "settings.h"
#include "store/store.h"
#include "utils/guc.h"
#include "utils/memutils.h"

#define EVENT_RETENTION			(400 * SECS_PER_DAY)
#define HEALTH_INTERVAL			60

char	   *bkc_set_repositories = NULL;
char	   *bkc_set_database = NULL;
bool		bkc_set_enabled = true;
int			bkc_set_jobs = 1;
char	   *bkc_set_compression = NULL;
int			bkc_set_encryption = BKC_SEALING_ON;
char	   *bkc_set_key_file = NULL;
char	   *bkc_set_key_command = NULL;
int			bkc_set_max_rate = 0;
int			bkc_set_rpo_target = 10;
int			bkc_set_wal_workers = 2;
int			bkc_set_archive_timeout = 300;
int			bkc_set_shutdown_timeout = 30;
int			bkc_set_event_retention = EVENT_RETENTION;
int			bkc_set_health_interval = HEALTH_INTERVAL;
char	   *bkc_set_fault = NULL;
char	   *bkc_set_test_clock = NULL;

/* zstd:1 is as small as zstd:3 within 2 % on table data and much faster */
#define DEFAULT_COMPRESSION "zstd:1"

static const struct config_enum_entry encryption_options[] = {
	{"off", BKC_SEALING_OFF, false},
	{"on", BKC_SEALING_ON, false},
	{"required", BKC_SEALING_REQUIRED, false},
	{NULL, 0, false}
};

/* "zstd:3", "lz4" (level 1), "none" */
static bool
parse_compression(const char *text, BkcCodec *codec, int *level, BkcError *err)
{
	char		word[16];
	const char *colon = strchr(text, ':');
	size_t		len = colon ? (size_t) (colon - text) : strlen(text);
	uint64_t	n = 1;

	if (len == 0 || len >= sizeof(word))
		return bkc_error_set(err, BKC_ERR_INVALID, "compression \"%s\" is not known", text) ||
			bkc_error_hint(err, "Use none, gzip:1 to gzip:9, lz4:1 to lz4:12, or zstd:1 to zstd:19.");
	memcpy(word, text, len);
	word[len] = '\0';
	if (!bkc_codec_parse(word, codec) ||
		(colon && (*codec == BKC_CODEC_NONE || !bkc_parse_u64(colon + 1, INT_MAX, &n))))
		return bkc_error_set(err, BKC_ERR_INVALID, "compression \"%s\" is not known", text) ||
			bkc_error_hint(err, "Use none, gzip:1 to gzip:9, lz4:1 to lz4:12, or zstd:1 to zstd:19.");
	*level = (int) n;
	return *codec == BKC_CODEC_NONE || bkc_codec_check_level(*codec, *level, err);
}

/* Report a core error from a check hook. */
static bool
check_failed(const BkcError *err)
{
	GUC_check_errmsg("%s", err->message);
	if (err->detail[0])
		GUC_check_errdetail("%s", err->detail);
	if (err->hint[0])
		GUC_check_errhint("%s", err->hint);
	return false;
}

static bool
check_compression(char **newval, void **extra, GucSource source)
{
	BkcCodec	codec;
	int			level;
	BkcError	err;

	return parse_compression(*newval, &codec, &level, &err) || check_failed(&err);
}

static bool
check_repositories(char **newval, void **extra, GucSource source)
{
	BkcRepoList list = {0};
	BkcError	err;
	bool		ok;

	ok = bkc_repolist_parse(*newval, &list, &err);
	if (ok && list.count > BKC_SET_REPOS)
		ok = bkc_error_set(&err, BKC_ERR_INVALID, "too many repositories: %zu, the limit is %d",
						   list.count, BKC_SET_REPOS);
	for (size_t i = 0; ok && i < list.count; i++)
	{
		const char *compression = bkc_url_param(&list.items[i].url, "compression");
		BkcCodec	codec;
		int			level;

		ok = bkc_store_check_url(&list.items[i].url, &err) &&
			(compression == NULL || parse_compression(compression, &codec, &level, &err));
		if (!ok)
			bkc_error_context(&err, "repository \"%s\"", list.items[i].name);
	}
	bkc_repolist_free(&list);
	return ok || check_failed(&err);
}

/* Only the form: the file is the server's user's, and may come later. */
static bool
check_key_file(char **newval, void **extra, GucSource source)
{
	const char *p = *newval;

	while (*p != '\0')
	{
		p += strspn(p, " ");
		if (*p != '/')
		{
			GUC_check_errmsg("a key file must be an absolute path");
			GUC_check_errhint("Several paths are separated by commas; the first key seals, all open.");
			return false;
		}
		p += strcspn(p, ",");
		if (*p == ',' && *++p == '\0')
		{
			GUC_check_errmsg("the list of key files ends in a comma");
			return false;
		}
	}
	return true;
}

static bool
check_fault(char **newval, void **extra, GucSource source)
{
	BkcError	err;

	return bkc_fault_spec_check(*newval, &err) || check_failed(&err);
}

/* Half of the CPUs, 1 to 4: leaves the server room and worker slots. */
static int
default_jobs(void)
{
	long		cpus = sysconf(_SC_NPROCESSORS_ONLN);

	return (int) Max(1, Min(4, cpus / 2));
}

void
bkc_settings_define(bool preloaded)
{
	DefineCustomStringVariable("pg_backupctl.repositories",
							   "Repositories as a list of name=URL.",
							   "The first one is the default for base backups.",
							   &bkc_set_repositories, "", PGC_SIGHUP, 0,
							   check_repositories, NULL, NULL);
	DefineCustomBoolVariable("pg_backupctl.enabled",
							 "Allows backups and archiving of this server.",
							 "A restored clone starts with off.",
							 &bkc_set_enabled, true, PGC_SIGHUP, 0, NULL, NULL, NULL);
	DefineCustomIntVariable("pg_backupctl.jobs",
							"Number of copy workers of a backup.",
							NULL,
							&bkc_set_jobs, default_jobs(), 1, 32, PGC_SIGHUP, 0,
							NULL, NULL, NULL);
	DefineCustomStringVariable("pg_backupctl.compression",
							   "Compression of backups: none, gzip:N, lz4:N or zstd:N.",
							   NULL,
							   &bkc_set_compression, DEFAULT_COMPRESSION, PGC_SIGHUP, 0,
							   check_compression, NULL, NULL);
	DefineCustomEnumVariable("pg_backupctl.encryption",
							 "Whether backups and WAL are sealed before they leave the server.",
							 "on: when there is a key; required: nothing is written without one; off: a key is for reading only.",
							 &bkc_set_encryption, BKC_SEALING_ON, encryption_options, PGC_SIGHUP, 0,
							 NULL, NULL, NULL);
	DefineCustomStringVariable("pg_backupctl.encryption_key_file",
							   "Files with the keys of sealed repositories, separated by commas.",
							   "The first one seals, all open.",
							   &bkc_set_key_file, "", PGC_SIGHUP, GUC_SUPERUSER_ONLY,
							   check_key_file, NULL, NULL);
	DefineCustomStringVariable("pg_backupctl.encryption_key_command",
							   "Shell command that prints the key of sealed repositories.",
							   "Each process that needs it runs it once.",
							   &bkc_set_key_command, "", PGC_SIGHUP, GUC_SUPERUSER_ONLY,
							   NULL, NULL, NULL);
	DefineCustomIntVariable("pg_backupctl.max_rate",
							"Bandwidth limit of a backup, in stored bytes per second; 0 means none.",
							NULL,
							&bkc_set_max_rate, 0, 0, INT_MAX, PGC_SIGHUP, GUC_UNIT_KB,
							NULL, NULL, NULL);

	DefineCustomIntVariable("pg_backupctl.rpo_target",
							"How often the open WAL segment is shipped; 0 means whole segments only.",
							NULL,
							&bkc_set_rpo_target, 10, 0, 86400, PGC_SIGHUP, GUC_UNIT_S,
							NULL, NULL, NULL);
	DefineCustomIntVariable("pg_backupctl.wal_workers",
							"Number of WAL helpers that upload ahead of the archiver; 0 means none.",
							NULL,
							&bkc_set_wal_workers, 2, 0, 32, PGC_SIGHUP, 0,
							NULL, NULL, NULL);
	DefineCustomIntVariable("pg_backupctl.archive_timeout",
							"Time limit for archiving one WAL file.",
							NULL,
							&bkc_set_archive_timeout, 300, 1, 86400, PGC_SIGHUP, GUC_UNIT_S,
							NULL, NULL, NULL);
	DefineCustomIntVariable("pg_backupctl.shutdown_timeout",
							"Time limit for all WAL that is archived while the server shuts down.",
							"What is left is archived after the next start.",
							&bkc_set_shutdown_timeout, 30, 0, 86400, PGC_SIGHUP, GUC_UNIT_S,
							NULL, NULL, NULL);

	DefineCustomIntVariable("pg_backupctl.event_retention",
							"How long rows of backup_event are kept; 0 means for ever.",
							"The latest of each kind stay.",
							&bkc_set_event_retention, EVENT_RETENTION, 0, INT_MAX, PGC_SIGHUP,
							GUC_UNIT_S, NULL, NULL, NULL);
	DefineCustomIntVariable("pg_backupctl.health_interval",
							"How often backup_health is looked at for alarms; 0 means never.",
							"What is found by two looks one after the other becomes an event.",
							&bkc_set_health_interval, HEALTH_INTERVAL, 0, 86400, PGC_SIGHUP,
							GUC_UNIT_S, NULL, NULL, NULL);

	/* a server setting; known without preload, too, so that it is not thrown away */
	DefineCustomStringVariable("pg_backupctl.database",
							   "Database that holds the extension and its catalog.",
							   NULL,
							   &bkc_set_database, "postgres",
							   preloaded ? PGC_POSTMASTER : PGC_SIGHUP, 0,
							   NULL, NULL, NULL);
#ifdef BKC_FAULTS
	DefineCustomStringVariable("pg_backupctl.fault",
							   "Fault points to trigger (test builds only).",
							   NULL,
							   &bkc_set_fault, "", PGC_SIGHUP, GUC_NOT_IN_SAMPLE,
							   check_fault, NULL, NULL);
	DefineCustomStringVariable("pg_backupctl.test_clock",
							   "What time it is for schedules and retention, for tests.",
							   "REAL FAKE SPEED [JUMP], times in seconds since 1970.",
							   &bkc_set_test_clock, "", PGC_SIGHUP, GUC_NOT_IN_SAMPLE,
							   NULL, NULL, NULL);
#else
	(void) check_fault;
#endif
	MarkGUCPrefixReserved("pg_backupctl");
}

static void
free_list(void *arg)
{
	bkc_repolist_free((BkcRepoList *) arg);
}

const BkcRepoList *
bkc_settings_repositories(void)
{
	BkcRepoList *list = palloc0(sizeof(*list));
	BkcError	err;

	bkc_guard(free_list, list);
	if (!bkc_repolist_parse(bkc_set_repositories ? bkc_set_repositories : "", list, &err))
		bkc_ereport(ERROR, &err);
	return list;
}

const BkcRepoDef *
bkc_settings_repository(const char *name)
{
	const BkcRepoList *list = bkc_settings_repositories();
	const BkcRepoDef *def;
	StringInfoData names;

	if (list->count == 0)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("no repository is defined"),
				 errhint("Set pg_backupctl.repositories, for example to 'main=file:///var/backups/pg', and reload the configuration.")));
	if (name == NULL)
		return &list->items[0];
	def = bkc_repolist_find(list, name);
	if (def != NULL)
		return def;

	initStringInfo(&names);
	for (size_t i = 0; i < list->count; i++)
		appendStringInfo(&names, "%s%s", i > 0 ? ", " : "", list->items[i].name);
	ereport(ERROR,
			(errcode(ERRCODE_UNDEFINED_OBJECT),
			 errmsg("repository \"%s\" is not defined", name),
			 errdetail("Defined repositories: %s.", names.data),
			 errhint("Add it to pg_backupctl.repositories and reload the configuration.")));
}

void
bkc_settings_codec(const BkcRepoDef *repo, const char *override, BkcCodec *codec, int *level)
{
	const char *text = override;
	BkcError	err;

	if (text == NULL)
		text = bkc_url_param(&repo->url, "compression");
	if (text == NULL)
		text = bkc_set_compression;
	if (!parse_compression(text, codec, level, &err))
		bkc_ereport(ERROR, &err);
}
