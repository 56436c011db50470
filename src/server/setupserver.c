/*
 * setupserver.c
 *		backup_check(): the server's settings, workers and clock (setupcheck.h).
 */
#include "pgcompat.h"

#include "commands/dbcommands.h"
#include "miscadmin.h"
#include "postmaster/bgworker.h"
#include "postmaster/pgarch.h"
#include "replication/slot.h"
#include "settings.h"
#include "setupcheck.h"
#include "utils/guc.h"

static bool
check_preload(BkcSetupCheck *c)
{
	if (bkc_shared == NULL)
	{
		const char *others = GetConfigOption("shared_preload_libraries", true, false);

		bkc_finding(c, "preload", BKC_FINDING_FAILED, "pg_backupctl is not loaded by the server",
					psprintf("Put the line shared_preload_libraries = '%s%spg_backupctl' into postgresql.conf and restart the server.",
							 others ? others : "", others && others[0] ? ", " : ""));
		return false;
	}
	bkc_finding(c, "preload", BKC_FINDING_OK, "the library is loaded at the server's start", NULL);
	return true;
}

static void
check_enabled(BkcSetupCheck *c)
{
	if (bkc_set_enabled)
		bkc_finding(c, "enabled", BKC_FINDING_OK, "backups and archiving are switched on", NULL);
	else
		bkc_finding(c, "enabled", BKC_FINDING_FAILED, "pg_backupctl.enabled is off, as in every restored clone",
					"Set it to on if this server is to write into its configured repositories.");
}

static void
check_wal_level(BkcSetupCheck *c)
{
	const char *level = GetConfigOption("wal_level", false, false);

	if (wal_level >= WAL_LEVEL_REPLICA)
		bkc_finding(c, "wal_level", BKC_FINDING_OK, psprintf("wal_level is %s", level), NULL);
	else
		bkc_finding(c, "wal_level", BKC_FINDING_FAILED, psprintf("wal_level is %s: neither backups nor archiving are possible", level),
					"Set wal_level to replica or logical and restart the server.");
}

static void
check_archive_mode(BkcSetupCheck *c)
{
	const char *mode = GetConfigOption("archive_mode", false, false);

	if (XLogArchiveMode == ARCHIVE_MODE_OFF)
		bkc_finding(c, "archive_mode", BKC_FINDING_WARNING,
					"archive_mode is off: only the moments of the backups can be restored",
					"Set archive_mode = on and archive_library = 'pg_backupctl', and restart the server.");
	else
		bkc_finding(c, "archive_mode", BKC_FINDING_OK, psprintf("archive_mode is %s", mode), NULL);
}

static void
check_archive_library(BkcSetupCheck *c)
{
	const char *library = XLogArchiveLibrary != NULL ? XLogArchiveLibrary : "";
	bool		command = XLogArchiveCommand != NULL && XLogArchiveCommand[0] != '\0';

	if (XLogArchiveMode == ARCHIVE_MODE_OFF)
		return;
	if (!bkc_wal_is_our_library(library))
		bkc_finding(c, "archive_library", BKC_FINDING_WARNING,
					library[0] ? psprintf("WAL is archived by \"%s\", not by pg_backupctl", library) :
					"archive_library is empty: pg_backupctl does not archive WAL",
					"Set archive_library = 'pg_backupctl' and archive_command = '', and reload the configuration.");
	else if (command)
		bkc_finding(c, "archive_library", BKC_PG_VERSION >= 160000 ? BKC_FINDING_FAILED : BKC_FINDING_WARNING,
					BKC_PG_VERSION >= 160000 ?
					"archive_command is set as well, and the server refuses to archive with both" :
					"archive_command is set as well; it is not used",
					"Set archive_command = '' and reload the configuration.");
	else
		bkc_finding(c, "archive_library", BKC_FINDING_OK, "pg_backupctl archives WAL", NULL);
}

static void
check_database(BkcSetupCheck *c)
{
	const char *here = get_database_name(MyDatabaseId);

	if (here != NULL && strcmp(here, bkc_set_database) == 0)
		bkc_finding(c, "database", BKC_FINDING_OK, psprintf("the catalog is in database \"%s\"", bkc_set_database), NULL);
	else if (!OidIsValid(get_database_oid(bkc_set_database, true)))
		bkc_finding(c, "database", BKC_FINDING_FAILED,
					psprintf("database \"%s\" of pg_backupctl.database does not exist", bkc_set_database),
					"Create it and the extension in it, or change pg_backupctl.database and restart the server.");
	else
		bkc_finding(c, "database", BKC_FINDING_WARNING,
					psprintf("this is not the database of the catalog, which is \"%s\"", bkc_set_database),
					psprintf("Connect to \"%s\" for backups.", bkc_set_database));
}

/* launcher, streamer and the leader of a job; WAL helpers and copy workers make it fast */
static void
check_workers(BkcSetupCheck *c)
{
	int			needed = 3;
	int			useful = needed + bkc_set_wal_workers + bkc_set_jobs;
	const char *have = psprintf("max_worker_processes is %d", max_worker_processes);

	if (max_worker_processes < needed)
		bkc_finding(c, "workers", BKC_FINDING_FAILED, psprintf("%s, pg_backupctl needs %d", have, needed),
					psprintf("Set max_worker_processes to %d or more and restart the server.", useful));
	else if (max_worker_processes < useful)
		bkc_finding(c, "workers", BKC_FINDING_WARNING,
					psprintf("%s, pg_backupctl can use %d: backups or archiving will be slower", have, useful),
					psprintf("Set max_worker_processes to %d or more and restart the server.", useful));
	else
		bkc_finding(c, "workers", BKC_FINDING_OK, psprintf("%s, pg_backupctl uses up to %d", have, useful), NULL);
	if (max_replication_slots == 0)
		bkc_finding(c, "replication slots", BKC_FINDING_WARNING,
					"max_replication_slots is 0: a backup cannot reserve the WAL that it stores",
					"Set max_replication_slots to 1 or more and restart the server.");
}

/* Expiry stops for a jump, schedules do not. */
static void
check_clock(BkcSetupCheck *c)
{
	int64		jump;

	LWLockAcquire(bkc_shared->lock, LW_SHARED);
	jump = bkc_shared->clock_jump;
	LWLockRelease(bkc_shared->lock);
	if (jump == 0)
		bkc_finding(c, "clock", BKC_FINDING_OK, "the clock has not jumped", NULL);
	else
		bkc_finding(c, "clock", BKC_FINDING_FAILED,
					psprintf("the clock has jumped by %lld seconds; nothing expires until somebody says that it is right",
							 (long long) (jump / USECS_PER_SEC)),
					"Correct the clock, then SELECT backup_clock_is_right().");
}

bool
bkc_setup_server(BkcSetupCheck *c)
{
	if (!check_preload(c))
		return false;
	check_enabled(c);
	check_wal_level(c);
	check_archive_mode(c);
	check_archive_library(c);
	check_database(c);
	check_workers(c);
	check_clock(c);
	return true;
}
