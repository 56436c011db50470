/*
 * restore.h
 *		What the parts of restore share: one struct, and the order in which they
 *		work on it.
 *
 *		restore_goal	how far, along which timeline, from which backup (restore_goal.h)
 *		restore_plan	where every entry of the manifest goes
 *		restore_target	may these folders be written to?
 *		restore_space	is there room?
 *		restore_begin	marker, clearing
 *		restore_files	folders and files, by a crew of workers
 *		restore_config	configuration: postgresql.auto.conf and what starts it
 *		restore_label	backup_label, tablespace_map, the signal file, links
 *		restore_finish	backup_manifest, sync, pg_control
 *		restore_tell	what is told about it
 *
 * Nothing is written before restore_begin.  From then on until the
 * end there is no global/pg_control, without which no server starts.
 */
#ifndef BKC_CLIENT_RESTORE_H
#define BKC_CLIENT_RESTORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/buffer.h"
#include "format/pgfiles.h"
#include "pipe/unpack.h"

#include "progress.h"
#include "restore_goal.h"
#include "session.h"

#define BKC_RESTORE_MARKER	"pg_backupctl.restoring"
#define BKC_CONTROL_FILE	"global/pg_control"
#define BKC_CONTROL_TEMP	"global/pg_control.restoring"
#define BKC_CONFIG_DIR		"pg_backupctl_config"
#define BKC_TAKEOVER_MARK	"pg_backupctl/takeover"	/* the server removes it when it has claimed */

#define BKC_SKIP			UINT32_MAX

/* A folder that files are restored into: PGDATA, or a tablespace that a link points to. */
typedef struct BkcPlaceDir
{
	uint32_t	oid;			/* 0 for PGDATA */
	const char *original;		/* where it was; belongs to the manifest */
	char	   *link;			/* text of the link and of tablespace_map */
	char	   *path;			/* absolute, resolved */
	int			fd;				/* -1 until restore_begin */
	uint64_t	bytes;			/* needed, rounded up to blocks */
	uint64_t	files;
	bool		resume;			/* holds what an interrupted restore left there */
} BkcPlaceDir;

/* Where one entry of the manifest goes; parallel to BkcBackup.entries. */
typedef struct BkcPlanned
{
	uint32_t	dir;			/* index into dirs, BKC_SKIP when not restored */
	const char *rel;			/* below it */
	bool		owned;			/* rel is ours, not the entry's path */
} BkcPlanned;

/* A file of the config root and where it is restored to. */
typedef struct BkcConfigFile
{
	size_t		entry;
	char	   *rel;			/* below PGDATA */
} BkcConfigFile;

/* A file that restore itself wrote or changed; its hash is not the manifest's. */
typedef struct BkcExtra
{
	char	   *rel;
	uint64_t	size;
	int64_t		mtime;
	uint8_t		sha256[BKC_SHA256_SIZE];
} BkcExtra;

typedef struct BkcRestore
{
	/* as asked for */
	const BkcOptions *options;
	BkcSession	session;
	bool		force;
	bool		take_over;
	bool		accept_loss;	/* end before a gap instead of refusing */
	bool		json;
	size_t		jobs;
	int			thaw_days;		/* request a thaw of what is frozen; 0 = no */
	char	   *program;		/* absolute path of this program */
	BkcPlace	place;			/* where the last failure happened */

	/* restore_goal.h */
	BkcGoal		goal;
	BkcWay		way;
	BkcBackup  *backup;

	/* restore_plan */
	BkcPlaceDir *dirs;			/* [0] is PGDATA */
	size_t		ndirs;
	BkcPlanned *planned;
	BkcConfigFile *configs;
	size_t		nconfigs;
	uint64_t	plan_files;
	uint64_t	plan_bytes;
	bool		group_access;	/* PGDATA is 0750 */

	/* restore_target and restore_begin */
	int			marker_fd;		/* held locked while we work; -1 */
	bool		begun;			/* something has been written */
	bool		replace;		/* PGDATA holds something that --force replaces */
	bool		unfinished;		/* ... and only the last step of a restore is missing */
	bool		placed;			/* pg_control has its name: the folder is complete */

	/* what follows */
	BkcControl	control;
	BkcExtra   *extras;			/* sorted by rel */
	size_t		nextras;
	BkcProgress progress;
	int64_t		started;
	int64_t		usec;			/* of the whole work */
} BkcRestore;

/* ---- restore_plan.c ---- */

/* Options into dirs (links, maps), then entries into planned.  Reads nothing but the manifest. */
extern bool bkc_restore_plan(BkcRestore *r, BkcError *err);
extern void bkc_restore_plan_free(BkcRestore *r);

/* ---- restore_target.c ---- */

/* Look at the folders and the free space; writes nothing. */
extern bool bkc_restore_target_check(BkcRestore *r, BkcError *err);

/* ---- restore_space.c ---- */

extern bool bkc_restore_space(const BkcRestore *r, BkcError *err);

/* ---- restore_begin.c ---- */

/* Open and lock the marker in PGDATA: who holds the lock is restoring there. */
extern bool bkc_restore_lock(BkcRestore *r, BkcError *err);

/* Marker, clearing, opening: from here on things are written. */
extern bool bkc_restore_begin(BkcRestore *r, BkcError *err);
extern void bkc_restore_close(BkcRestore *r);

/* ---- restore_files.c ---- */

extern bool bkc_restore_files(BkcRestore *r, BkcError *err);

/* ---- restore_extra.c ---- */

/*
 * Write a small file below PGDATA, in place of one that may be there, and
 * remember its hash for backup_manifest.
 */
extern bool bkc_restore_put(BkcRestore *r, const char *rel, const BkcBuffer *content,
							BkcError *err);

/* Read one; max bytes at most.  BKC_ERR_NOT_FOUND when it is not there. */
extern bool bkc_restore_get(const BkcRestore *r, const char *rel, BkcBuffer *content,
							BkcError *err);
extern bool bkc_restore_exists(const BkcRestore *r, const char *rel);

/*
 * Write a file that holds its own inode's number, so that a copy of it says
 * that it is one.
 */
extern bool bkc_restore_put_mark(BkcRestore *r, const char *rel, BkcError *err);

/* ---- restore_config.c ---- */

extern bool bkc_restore_config(BkcRestore *r, BkcError *err);

/* ---- restore_label.c ---- */

/* Are label and map of the manifest usable?  Before anything is written. */
extern bool bkc_restore_label_check(const BkcRestore *r, BkcError *err);
extern bool bkc_restore_label(BkcRestore *r, BkcError *err);

/* Text of tablespace_map with the places of this restore; for restore_label.c and its test. */
extern bool bkc_tablespace_map_rewrite(const char *text, const BkcManifestHeader *header,
									   const BkcPlaceDir *dirs, size_t ndirs,
									   BkcBuffer *out, BkcError *err);

/* ---- restore_finish.c ---- */

extern bool bkc_restore_finish(BkcRestore *r, BkcError *err);

/* ---- restore_tell.c ---- */

extern void bkc_restore_tell_beginning(const BkcRestore *r);

/* What nobody should learn only when it is too late: for --json, on standard error. */
extern void bkc_restore_tell_warnings(const BkcRestore *r);

/* On a terminal: WAL is read, which takes its time. */
extern void bkc_restore_tell_search(const BkcRestore *r, uint64_t from, uint64_t to);
extern void bkc_restore_tell_end(const BkcRestore *r);

/* One object instead of both; false when it could not be made. */
extern bool bkc_restore_tell_json(const BkcRestore *r);

#endif							/* BKC_CLIENT_RESTORE_H */
