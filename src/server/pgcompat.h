/*
 * pgcompat.h
 *		Everything that differs between PostgreSQL majors, with the newest
 *		meaning.  No other file looks at PG_VERSION_NUM.
 */
#ifndef BKC_SERVER_PGCOMPAT_H
#define BKC_SERVER_PGCOMPAT_H

#include "postgres.h"

#include "access/xlog.h"
#include "access/xlogdefs.h"
#include "lib/stringinfo.h"

/* XLogArchiveLibrary */
#if PG_VERSION_NUM >= 160000
#include "archive/archive_module.h"
#else
#include "postmaster/pgarch.h"
#endif

#if PG_VERSION_NUM < 150000 || PG_VERSION_NUM >= 200000
#error "pg_backupctl supports PostgreSQL 15 to 19"
#endif

/*
 * 16 moved the state of an online backup from loose out-parameters into
 * struct BackupState and the making of the label file out of the start
 * call.  Here: one struct for all majors, without the server's own.
 */
typedef struct BkcPgBackup
{
	XLogRecPtr	start_lsn;
	TimeLineID	start_tli;
	XLogRecPtr	stop_lsn;
	TimeLineID	stop_tli;
	char	   *label_text;		/* backup_label, byte for byte; palloc'ed */
	char	   *map_text;		/* tablespace_map, "" when there is none; palloc'ed */
	void	   *state;			/* of the server; opaque */
} BkcPgBackup;

/* Both ereport; start waits for a checkpoint.  stop does not wait for the archive. */
extern void bkc_pg_backup_start(BkcPgBackup *backup, const char *label, bool fast);
extern void bkc_pg_backup_stop(BkcPgBackup *backup);

/* 17 added two arguments: create a temporary physical replication slot. */
extern void bkc_pg_temporary_slot(const char *name);

/* 17 added an argument: drop the temporary slots of this process. */
extern void bkc_pg_slot_cleanup(void);

/* Tell the cumulative statistics; 18 wants the entry prepared first. */
extern void bkc_pg_report_checksum_failures(Oid dboid, int failures);

/*
 * The archive module in one form for all majors (16 changed the interface).
 * All three may raise: file() has its own error boundary, because 15 and 16
 * would end the archiver.
 */
typedef struct BkcArchiveModule
{
	bool		(*configured) (void);
	bool		(*file) (const char *file, const char *path);
	void		(*shutdown) (void);
} BkcArchiveModule;

extern const BkcArchiveModule bkc_archive_module;	/* archive.c */

/* 17 shows a reason beside its own WARNING; elsewhere this does nothing. */
extern void bkc_pg_archive_detail(const char *reason);

/* _PG_init's declaration came with 16; 16 compiles with hidden visibility. */
extern PGDLLEXPORT void _PG_init(void);

/* What we were built for, e.g. 150020. */
#define BKC_PG_VERSION PG_VERSION_NUM

/* 17 keeps WAL summaries in pg_wal/summaries. */
#define BKC_PG_HAS_WAL_SUMMARIES (PG_VERSION_NUM >= 170000)

#endif							/* BKC_SERVER_PGCOMPAT_H */
