/*
 * names.h
 *		Object names below a repository's URL (FORMAT.md, "Names").
 *
 * Names consist of [A-Za-z0-9._-] components joined by '/'; they never begin
 * or end with '/', and no component is empty, "." or "..".
 * Functions fill a fixed array and cannot fail on valid input; invalid input
 * (a label that bkc_label_valid() refuses) is BKC_ERR_INVALID.
 */
#ifndef BKC_FORMAT_NAMES_H
#define BKC_FORMAT_NAMES_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "format/label.h"
#include "format/pgfiles.h"

#define BKC_NAME_MAX	256		/* with the zero byte */

extern bool bkc_name_valid(const char *name);

/* <sysid>/cluster */
extern bool bkc_name_cluster(uint64_t sysid, char out[BKC_NAME_MAX], BkcError *err);

/* <sysid>/backups/ (a prefix: ends with '/') */
extern bool bkc_name_backups(uint64_t sysid, char out[BKC_NAME_MAX], BkcError *err);

/* <sysid>/backups/<label>/ (a prefix) */
extern bool bkc_name_backup(uint64_t sysid, const char *label, char out[BKC_NAME_MAX],
							 BkcError *err);
extern bool bkc_name_begin(uint64_t sysid, const char *label, char out[BKC_NAME_MAX],
							 BkcError *err);
extern bool bkc_name_manifest(uint64_t sysid, const char *label, char out[BKC_NAME_MAX],
							 BkcError *err);

/* <sysid>/backups/<label>/data/<worker>-<n>.pack */
extern bool bkc_name_pack(uint64_t sysid, const char *label, uint32_t worker, uint32_t n,
						  char out[BKC_NAME_MAX], BkcError *err);

/* <sysid>/backups/<label>/notes/<time>-<kind>; time is YYYYMMDDTHHMMSSmmmZ, kind [a-z]{1,16} */
extern bool bkc_name_note(uint64_t sysid, const char *label, int64_t now, const char *kind,
						  char out[BKC_NAME_MAX], BkcError *err);

/* ---- WAL ---- */

#define BKC_WAL_HASH_DIGITS	16	/* of the content, in names of partial and conflict objects */

/* <sysid>/wal/, <sysid>/wal/<timeline>/, <sysid>/wal/<timeline>/<log>/ (prefixes) */
extern bool bkc_name_wal_root(uint64_t sysid, char out[BKC_NAME_MAX], BkcError *err);
extern bool bkc_name_wal_timeline(uint64_t sysid, uint32_t timeline, char out[BKC_NAME_MAX],
								  BkcError *err);
extern bool bkc_name_wal_log(uint64_t sysid, uint32_t timeline, uint32_t log,
							 char out[BKC_NAME_MAX], BkcError *err);

/*
 * The object of a file that PostgreSQL archives: a segment, a timeline's
 * history, a backup history file; a partial segment needs hash (16 hex
 * digits), all others have none.
 */
extern bool bkc_name_wal_file(uint64_t sysid, const char *file, const char *hash,
							  char out[BKC_NAME_MAX], BkcError *err);

/* <object of the file>.conflict-<hash>; a partial segment has its content's hash already */
extern bool bkc_name_wal_conflict(uint64_t sysid, const char *file, const char *hash,
								  char out[BKC_NAME_MAX], BkcError *err);

/*
 * <object of the segment>.chunks/ (a prefix), and <generation>-<offset> in it.  Generations
 * begin at 1, offsets lie within the largest segment (1 GB).
 */
extern bool bkc_name_wal_chunks(uint64_t sysid, const char *segment, char out[BKC_NAME_MAX],
								BkcError *err);
extern bool bkc_name_wal_chunk(uint64_t sysid, const char *segment, uint64_t generation,
							   uint32_t offset, char out[BKC_NAME_MAX], BkcError *err);

typedef enum BkcWalNameType
{
	BKC_WALNAME_SEGMENT,
	BKC_WALNAME_HISTORY,
	BKC_WALNAME_BACKUP,
	BKC_WALNAME_PARTIAL,
	BKC_WALNAME_CHUNK
} BkcWalNameType;

/* What the name of an object below <sysid>/wal/ says. */
typedef struct BkcWalName
{
	BkcWalNameType type;
	bool		conflict;		/* stored beside the object of that name; hash is set */
	char		file[64];		/* as PostgreSQL calls it; of a chunk: its segment */
	char		hash[BKC_WAL_HASH_DIGITS + 1];	/* partial and conflict, else "" */
	uint32_t	timeline;
	uint32_t	log;			/* 0 for histories */
	uint64_t	generation;		/* chunks */
	uint32_t	offset;			/* chunks */
} BkcWalName;

/*
 * A whole object name; false when it is none that the functions above write, for instance one
 * in another log's folder.
 */
extern bool bkc_name_parse_wal(const char *name, BkcWalName *parsed);

/*
 * The folder of a segment's chunks, as a listing of one level gives it ("<...>.chunks/"): the
 * segment.  false for every other name.
 */
extern bool bkc_name_parse_chunks(const char *folder, char segment[BKC_WAL_NAME_MAX]);

/* ---- ownership ---- */

#define BKC_OWNER_NUMBER_MAX	99999999

/* <sysid>/owner/ (a prefix), and <number> (8 decimal digits, from 1) in it */
extern bool bkc_name_owners(uint64_t sysid, char out[BKC_NAME_MAX], BkcError *err);
extern bool bkc_name_owner(uint64_t sysid, uint32_t number, char out[BKC_NAME_MAX], BkcError *err);
extern bool bkc_name_parse_owner(const char *component, uint32_t *number);

/* ---- keys ---- */

/* <sysid>/keys/ and <sysid>/keys/<data key id>/ (prefixes), and <wrapping key id> in it */
extern bool bkc_name_keys(uint64_t sysid, char out[BKC_NAME_MAX], BkcError *err);
extern bool bkc_name_key_copies(uint64_t sysid, const uint8_t id[16], char out[BKC_NAME_MAX],
								BkcError *err);
extern bool bkc_name_key(uint64_t sysid, const uint8_t id[16], const uint8_t wrapping[8],
						 char out[BKC_NAME_MAX], BkcError *err);

/* false when the name is none of the third sort. */
extern bool bkc_name_parse_key(const char *name, uint64_t *sysid, uint8_t id[16],
							   uint8_t wrapping[8]);

/*
 * Is it an object with a backup's content (manifest, data, map), and of which backup?  Everything
 * else that may be said of a backup is not its content.
 */
extern bool bkc_name_parse_content(const char *name, char label[BKC_LABEL_MAX]);

/* The cluster that an object of any name belongs to; false when it is of none. */
extern bool bkc_name_parse_cluster(const char *name, uint64_t *sysid);

/* First component of a name as a system identifier (decimal, no leading zero). */
extern bool bkc_name_parse_sysid(const char *component, uint64_t *sysid);

/*
 * Is it a pack of a copy worker, read by nobody but who restores or verifies that backup?  Those
 * of worker 0 have configuration, WAL and histories, which a recovery may need at any moment.
 */
#define BKC_WORKER_LEADER	0
extern bool bkc_name_is_bulk(const char *name);

/* Last component of "<worker>-<n>.pack". */
extern bool bkc_name_parse_pack(const char *base, uint32_t *worker, uint32_t *n);

#endif							/* BKC_FORMAT_NAMES_H */
