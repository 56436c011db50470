/*
 * pgcompat.c
 *		See pgcompat.h.
 */
#include "pgcompat.h"

#include "pgstat.h"
#include "replication/slot.h"

#if PG_VERSION_NUM >= 160000
#include "access/xlogbackup.h"
#endif

void
bkc_pg_backup_start(BkcPgBackup *backup, const char *label, bool fast)
{
	StringInfo	map = makeStringInfo();

#if PG_VERSION_NUM >= 160000
	BackupState *state = palloc0(sizeof(BackupState));

	do_pg_backup_start(label, fast, NULL, state, map);
	backup->start_lsn = state->startpoint;
	backup->start_tli = state->starttli;
	backup->label_text = build_backup_content(state, false);
	backup->state = state;
#else
	StringInfo	labelfile = makeStringInfo();

	backup->start_lsn = do_pg_backup_start(label, fast, &backup->start_tli,
										   labelfile, NULL, map);
	backup->label_text = labelfile->data;
	backup->state = NULL;
#endif
	backup->map_text = map->data;
}

void
bkc_pg_backup_stop(BkcPgBackup *backup)
{
#if PG_VERSION_NUM >= 160000
	BackupState *state = backup->state;

	do_pg_backup_stop(state, false);
	backup->stop_lsn = state->stoppoint;
	backup->stop_tli = state->stoptli;
#else
	/* 15 takes the label text apart again and must get its own copy */
	char	   *label = pstrdup(backup->label_text);

	backup->stop_lsn = do_pg_backup_stop(label, false, &backup->stop_tli);
	pfree(label);
#endif
}

void
bkc_pg_temporary_slot(const char *name)
{
#if PG_VERSION_NUM >= 170000
	ReplicationSlotCreate(name, false, RS_TEMPORARY, false, false, false);
#else
	ReplicationSlotCreate(name, false, RS_TEMPORARY, false);
#endif
}

void
bkc_pg_slot_cleanup(void)
{
	if (MyReplicationSlot != NULL)
		ReplicationSlotRelease();
#if PG_VERSION_NUM >= 170000
	ReplicationSlotCleanup(false);
#else
	ReplicationSlotCleanup();
#endif
}

void
bkc_pg_report_checksum_failures(Oid dboid, int failures)
{
#if PG_VERSION_NUM >= 180000
	pgstat_prepare_report_checksum_failure(dboid);
#endif
	pgstat_report_checksum_failures_in_db(dboid, failures);
}

#if PG_VERSION_NUM >= 160000

static bool
archive_configured(ArchiveModuleState *state)
{
	return bkc_archive_module.configured();
}

static bool
archive_file(ArchiveModuleState *state, const char *file, const char *path)
{
	return bkc_archive_module.file(file, path);
}

static void
archive_shutdown(ArchiveModuleState *state)
{
	bkc_archive_module.shutdown();
}

static const ArchiveModuleCallbacks archive_callbacks = {
	.startup_cb = NULL,
	.check_configured_cb = archive_configured,
	.archive_file_cb = archive_file,
	.shutdown_cb = archive_shutdown
};

const ArchiveModuleCallbacks *
_PG_archive_module_init(void)
{
	return &archive_callbacks;
}

#else

extern PGDLLEXPORT void _PG_archive_module_init(ArchiveModuleCallbacks *cb);

void
_PG_archive_module_init(ArchiveModuleCallbacks *cb)
{
	cb->check_configured_cb = bkc_archive_module.configured;
	cb->archive_file_cb = bkc_archive_module.file;
	cb->shutdown_cb = bkc_archive_module.shutdown;
}

#endif

void
bkc_pg_archive_detail(const char *reason)
{
#if PG_VERSION_NUM >= 170000
	arch_module_check_errdetail("%s", reason);
#endif
}
