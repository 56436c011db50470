/*
 * unpack.h
 *		A finished backup, loaded for reading: what restore, verify and
 *		wal-get share.
 *
 * Files are read in units: a unit is one large file, or a run of small files
 * that lie together in one pack.  Units are sorted largest first and
 * independent of one another, so workers take them from an atomic cursor.
 * The plan is a pure function of the manifest: two processes that load the
 * same backup get the same units.
 */
#ifndef BKC_PIPE_UNPACK_H
#define BKC_PIPE_UNPACK_H

#include "format/manifest.h"
#include "pipe/stages.h"
#include "store/store.h"

typedef struct BkcUnit
{
	uint32_t	first;			/* into BkcBackup.order */
	uint32_t	count;
	uint64_t	bytes;			/* plain */
} BkcUnit;

/*
 * One allocation holds the entries, an arena their strings and pieces: never
 * call bkc_entry_free() on one of them, bkc_backup_free() frees all.
 */
typedef struct BkcBackup
{
	BkcManifestHeader header;
	BkcManifestTotals totals;
	BkcEntry   *entries;
	size_t		nentries;
	BkcPackInfo *packs;			/* in order of worker and number */
	size_t		npacks;
	uint32_t   *order;			/* indexes of all entries of type file */
	size_t		norder;
	BkcUnit    *units;
	size_t		nunits;
	uint32_t   *wal;			/* indexes of the files of root wal, by path */
	size_t		nwal;
	void	   *arena;			/* private */
} BkcBackup;

/* Loads the manifest and plans the units.  BKC_ERR_NOT_FOUND when there is no such backup. */
extern bool bkc_backup_load(BkcStore *store, uint64_t sysid, const char *label,
							BkcBackup **backup, BkcError *err);
extern void bkc_backup_free(BkcBackup *backup); /* NULL is fine */

typedef struct BkcUnpacker BkcUnpacker;

/*
 * Reads files of one backup into a sink stage (owned by the unpacker from
 * now on, also on failure).  backup and store stay the caller's and must
 * live longer.  progress as in stages.h.
 */
extern bool bkc_unpacker_new(BkcStore *store, const BkcBackup *backup, BkcStage *sink,
							 BkcProgressFunc progress, void *progress_arg,
							 BkcUnpacker **unpacker, BkcError *err);

/*
 * One file: every frame's digest, the size and the SHA-256 are checked.  On
 * false the sink has been aborted; the next file may be tried (a damaged
 * file must not hide others).
 */
extern bool bkc_unpack_file(BkcUnpacker *unpacker, const BkcEntry *entry, BkcError *err);
extern void bkc_unpacker_close(BkcUnpacker *unpacker);	/* NULL is fine */

/*
 * Check one pack by itself: object there, size as listed, envelope, footer
 * and index correct.
 */
extern bool bkc_backup_check_pack(BkcStore *store, const BkcBackup *backup, size_t pack,
								  BkcError *err);

/*
 * Is the WAL from start to stop LSN among the entries of root wal, each
 * segment of the right size?  The error names the first that is missing.  A backup that
 * relies on the archive (wal_in_archive) needs none; see walmap.h for what the archive has.
 */
extern bool bkc_backup_check_wal(const BkcBackup *backup, BkcError *err);

/* Entry of root wal with that name; NULL when there is none. */
extern const BkcEntry *bkc_backup_find_wal(const BkcBackup *backup, const char *name);

/* ---- what a repository holds ---- */

typedef struct BkcClusterInfo
{
	uint64_t	system_identifier;
	char	   *name;			/* cluster_name, "" when none */
	uint32_t	pg_version_num;
	int64_t		created;
} BkcClusterInfo;

/*
 * Clusters (by their "cluster" objects; one whose object is damaged has an
 * empty name) in order of system identifier; *list is malloc'ed.
 */
extern bool bkc_repo_clusters(BkcStore *store, BkcClusterInfo **list, size_t *n, BkcError *err);
extern void bkc_repo_clusters_free(BkcClusterInfo *list, size_t n);

typedef struct BkcBackupRef
{
	char		label[BKC_LABEL_MAX];
	bool		complete;		/* has a manifest */
	bool		has_begin;
} BkcBackupRef;

/* Backups of a cluster, oldest first; *list is malloc'ed, freed with free(). */
extern bool bkc_repo_backups(BkcStore *store, uint64_t sysid, BkcBackupRef **list, size_t *n,
							 BkcError *err);

/*
 * Is there a manifest?  *complete = false is proven: an unmounted disk looks
 * like an empty repository, so the cluster object must be there; if it is
 * not, the answer is BKC_ERR_UNAVAILABLE.
 */
extern bool bkc_repo_backup_complete(BkcStore *store, uint64_t sysid, const char *label,
									 bool *complete, BkcError *err);

/*
 * Every object of a backup: manifest first, because without it there is no
 * backup, then data, then the data key, then begin last, which tells what the rest is; then
 * sweep.  Safe to call again after a failure; success when nothing is there.
 */
extern bool bkc_repo_remove_backup(BkcStore *store, uint64_t sysid, const char *label,
								   BkcError *err);

/*
 * Every wrapped copy of a data key: what was sealed with it is destroyed.  With versions nothing of
 * them is kept, in buckets that keep former versions, not even of copies that were removed before;
 * see bkc_store_remove_versions().
 */
extern bool bkc_repo_remove_key(BkcStore *store, uint64_t sysid,
								const uint8_t id[BKC_KEY_ID_SIZE], bool versions, BkcError *err);

#endif							/* BKC_PIPE_UNPACK_H */
