/*
 * backup_leader.h
 *		What the leader of a backup knows, and its steps in their order; for backup*.c alone.
 *
 * All of it ereports.
 */
#ifndef BKC_SERVER_BACKUP_LEADER_H
#define BKC_SERVER_BACKUP_LEADER_H

#include "pgcompat.h"

#include "base/fault.h"
#include "collect.h"
#include "copy.h"
#include "format/documents.h"
#include "format/names.h"
#include "nodes/pg_list.h"
#include "ownership.h"
#include "pipe/manifestio.h"
#include "scan.h"
#include "settings.h"

typedef struct BkcLeader
{
	BkcJob	   *job;
	const BkcRepoDef *repo;
	BkcStore   *store;
	BkcCodec	codec;
	int			level;
	uint64		sysid;
	char		owner[BKC_OWNER_ID_MAX];
	char		host[BKC_DOC_TEXT_MAX];
	char		label[BKC_LABEL_MAX];
	bool		sealed;
	uint8		data_key[BKC_KEY_ID_SIZE];	/* its id, when sealed */
	int64		id;
	int64		start_time;
	int64		stop_time;		/* of do_pg_backup_stop: from then on times can be restored */
	int			workers;		/* that have copied */
	double		seconds;		/* from the start until before the manifest's commit */
	char	   *facts;			/* metadata but for what the manifest's trailer says */
	double		ratio;			/* expected stored bytes for each byte */
	List	   *config_files;
	BkcPgBackup pg;
	BkcScan    *scan;
	BkcExtras	extras;
	BkcCopier  *copier;			/* of the extras */
	BkcCopier  *solo;			/* when the leader copies alone */
	BkcFileList list;			/* likewise */
	BkcCollector collector;
	BkcError	collect_error;	/* from the poll while copying alone */
	bool		collect_failed;
	bool	   *commit_tried;	/* the backup may exist, whatever else goes wrong */
	BkcManifestTotals totals;
} BkcLeader;

/* ---- backup_begin.c ---- */

/* Nothing is left behind when it fails. */
extern void bkc_backup_preflight(BkcLeader *l);

/* As metadata and settings say it: "zstd:1". */
extern const char *bkc_backup_compression(const BkcLeader *l);

/* Label, row "running", begin object, data key. */
extern void bkc_backup_announce(BkcLeader *l);

/* ---- backup_copy.c: between start and stop ---- */

extern void bkc_backup_list(BkcLeader *l);

/* All listed files; sets how many workers have done it. */
extern void bkc_backup_copy(BkcLeader *l);

/* What a copier of this backup is made of. */
extern BkcCopySpec bkc_backup_copy_spec(const BkcLeader *l, uint32 worker);

/* ---- backup_end.c: after stop ---- */

extern void bkc_backup_secure_wal(BkcLeader *l);

/* Note, manifest, row "completed". */
extern void bkc_backup_complete(BkcLeader *l);

/* ---- backup.c ---- */

extern void bkc_backup_phase(BkcLeader *l, BkcPhase phase, int64 core_phase);

/* A fault point, where the backup can be cancelled as well. */
extern void bkc_backup_fault(BkcLeader *l, BkcFault point);

#endif							/* BKC_SERVER_BACKUP_LEADER_H */
