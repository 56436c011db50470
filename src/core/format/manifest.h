/*
 * manifest.h
 *		The list of everything in a backup: line-oriented JSON.
 *
 *		{"pg_backupctl_manifest":1, ...}	header: one line
 *		{"root":"pgdata","path":...}		one line a file, folder or link
 *		{"pack":"1-0",...}					one line a pack
 *		{"end":true, ...}					trailer: counts and SHA-256 of all bytes before it
 *
 * Written and read as a stream.  This module knows lines and fields, not
 * objects: the writer appends to a BkcBuffer, the reader is fed lines; pipe/
 * moves them in and out of frames.  Readers take nothing on trust: unknown
 * keys, wrong types, numbers out of range, paths that are not safe
 * (bkc_path_is_safe), unknown roots, pieces outside the listed packs, lines
 * longer than BKC_MANIFEST_LINE_MAX, a missing or wrong trailer are errors.
 */
#ifndef BKC_FORMAT_MANIFEST_H
#define BKC_FORMAT_MANIFEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/error.h"
#include "crypto/digest.h"
#include "format/label.h"

#define BKC_MANIFEST_LINE_MAX	(1024 * 1024)

/* A tablespace outside pg_default and pg_global. */
typedef struct BkcTablespace
{
	uint32_t	oid;
	char	   *path;			/* where the link pointed, absolute; NULL when in place */
} BkcTablespace;

/* Strings are malloc'ed and owned by the struct; bkc_manifest_header_free() may be called again. */
typedef struct BkcManifestHeader
{
	char		label[BKC_LABEL_MAX];
	char		type[16];		/* "full" */
	char	   *parent;			/* label or NULL */
	uint64_t	system_identifier;
	char	   *cluster_name;	/* "" when not set */
	char	   *host;			/* where it was taken */

	/* the server's settings of these names, absolute paths; NULL when unknown */
	char	   *data_directory;
	char	   *config_file;
	char	   *hba_file;
	char	   *ident_file;
	uint32_t	pg_version_num; /* 150020 */
	uint32_t	catalog_version;
	uint32_t	control_version;
	uint32_t	block_size;
	uint32_t	segment_blocks; /* RELSEG_SIZE */
	uint32_t	wal_segment_size;
	bool		data_checksums;
	bool		wal_in_archive; /* "wal": "archive"; it holds histories, no segments */
	int64_t		start_time;		/* microseconds since 1970 */
	int64_t		stop_time;
	uint32_t	timeline;
	uint64_t	start_lsn;
	uint64_t	stop_lsn;
	char	   *backup_label;	/* text of the file, byte for byte */
	char	   *tablespace_map; /* likewise; NULL when none */
	char	   *software;		/* "pg_backupctl 1.0" */
	BkcTablespace *tablespaces;
	size_t		ntablespaces;
} BkcManifestHeader;

extern void bkc_manifest_header_free(BkcManifestHeader *header);

/* Roots.  A tablespace's root is "tablespace" plus its OID. */
typedef enum BkcRoot
{
	BKC_ROOT_PGDATA,			/* "pgdata" */
	BKC_ROOT_TABLESPACE,		/* "tablespace/<oid>": path begins with PG_<major>_<catversion> */
	BKC_ROOT_CONFIG,			/* "config": path is the absolute path without its first slash */
	BKC_ROOT_WAL				/* "wal": segments and .history files */
} BkcRoot;

typedef enum BkcEntryType
{
	BKC_ENTRY_FILE,
	BKC_ENTRY_DIR,
	BKC_ENTRY_LINK				/* link_target says where */
} BkcEntryType;

/* count frames from first_frame of pack <worker>-<n> of backup <label> */
typedef struct BkcPiece
{
	char		label[BKC_LABEL_MAX];	/* "" = this backup */
	uint32_t	pack_worker;
	uint32_t	pack_number;
	uint32_t	first_frame;
	uint32_t	frame_count;
} BkcPiece;

typedef struct BkcEntry
{
	BkcEntryType type;
	BkcRoot		root;
	uint32_t	tablespace;		/* OID for BKC_ROOT_TABLESPACE, else 0 */
	char	   *path;			/* relative; may hold any bytes but NUL */
	char	   *link_target;	/* only for links */
	uint32_t	mode;			/* permission bits, 0 .. 07777 */
	int64_t		mtime;			/* seconds since 1970 */
	uint64_t	size;			/* of files */
	uint8_t		sha256[BKC_SHA256_SIZE];	/* of files, plain content */
	BkcPiece   *pieces;			/* none for empty files */
	size_t		npieces;
	uint32_t   *bad_blocks;		/* within the relation fork: failed their page checksum */
	size_t		nbad_blocks;	/* at most BKC_BAD_BLOCKS_MAX are listed */
	uint64_t	bad_block_count;	/* all of them */
} BkcEntry;

#define BKC_BAD_BLOCKS_MAX	100

/* A zeroed BkcEntry is valid; free may be called again. */
extern void bkc_entry_free(BkcEntry *entry);

typedef struct BkcPackInfo
{
	uint32_t	worker;
	uint32_t	number;
	uint64_t	size;			/* bytes of the object */
	uint32_t	frames;			/* data frames */
} BkcPackInfo;

typedef struct BkcManifestTotals
{
	uint64_t	files;			/* entries of type file */
	uint64_t	dirs;
	uint64_t	links;
	uint64_t	packs;
	uint64_t	bytes;			/* plain, sum of file sizes */
	uint64_t	stored_bytes;	/* sum of pack sizes */
	uint64_t	bad_blocks;
} BkcManifestTotals;

/* ---- writing: header, entries, packs, trailer, in this order ---- */

typedef struct BkcManifestWriter BkcManifestWriter;

extern BkcManifestWriter *bkc_manifest_writer_new(BkcError *err);

/* Each appends one line (with newline) to out. */
extern bool bkc_manifest_write_header(BkcManifestWriter *w, const BkcManifestHeader *header,
									  BkcBuffer *out, BkcError *err);
extern bool bkc_manifest_write_entry(BkcManifestWriter *w, const BkcEntry *entry,
									 BkcBuffer *out, BkcError *err);
extern bool bkc_manifest_write_pack(BkcManifestWriter *w, const BkcPackInfo *pack,
									BkcBuffer *out, BkcError *err);
extern bool bkc_manifest_write_trailer(BkcManifestWriter *w, BkcBuffer *out, BkcError *err);
extern const BkcManifestTotals *bkc_manifest_writer_totals(const BkcManifestWriter *w);
extern void bkc_manifest_writer_free(BkcManifestWriter *w); /* NULL is fine */

/* ---- reading ---- */

typedef enum BkcManifestLine
{
	BKC_LINE_HEADER,
	BKC_LINE_ENTRY,
	BKC_LINE_PACK,
	BKC_LINE_END
} BkcManifestLine;

typedef struct BkcManifestReader BkcManifestReader;

/* name is used in messages and copied. */
extern BkcManifestReader *bkc_manifest_reader_new(const char *name, BkcError *err);

/*
 * Take one line without its newline.  *kind says which of header, entry and
 * pack was filled (its former content is freed first).  After BKC_LINE_END
 * no line may follow.  Every error names the line's number.
 */
extern bool bkc_manifest_read_line(BkcManifestReader *r, const char *line, size_t len,
								   BkcManifestLine *kind, BkcManifestHeader *header,
								   BkcEntry *entry, BkcPackInfo *pack, BkcError *err);

/* Has the trailer been read?  An object that ends before it is BKC_ERR_CORRUPT. */
extern bool bkc_manifest_reader_finish(BkcManifestReader *r, BkcError *err);
extern const BkcManifestTotals *bkc_manifest_reader_totals(const BkcManifestReader *r);
extern void bkc_manifest_reader_free(BkcManifestReader *r);

/* "pgdata", "tablespace/16385", ... into out (32 bytes). */
extern void bkc_root_name(BkcRoot root, uint32_t tablespace, char out[32]);

#endif							/* BKC_FORMAT_MANIFEST_H */
