/*
 * scan.h
 *		What belongs to a base backup: the walk over the data directory and
 *		the tablespaces, by the same rules as PostgreSQL's own base backup.
 */
#ifndef BKC_SERVER_SCAN_H
#define BKC_SERVER_SCAN_H

#include "pgcompat.h"

#include "base/buffer.h"
#include "format/manifest.h"
#include "spool.h"

typedef struct BkcScanDir
{
	uint32		path;			/* offset into strings */
	uint32		tablespace;
	uint32		mode;
	uint8		root;
	int64		mtime;
} BkcScanDir;

typedef struct BkcScanTablespace
{
	Oid			oid;
	char	   *path;			/* target of the link; NULL when in place */
} BkcScanTablespace;

/* Everything is owned by the memory context current at bkc_scan(). */
typedef struct BkcScan
{
	MemoryContext context;
	BkcListRecord *records;		/* files, largest first; without global/pg_control */
	size_t		count;
	size_t		alloc;
	BkcScanDir *dirs;
	size_t		ndirs;
	size_t		dirs_alloc;
	BkcScanTablespace *tablespaces;
	size_t		ntablespaces;
	char	   *strings;		/* zero-terminated paths, relative to their root */
	size_t		strings_len;
	size_t		strings_alloc;
	uint64		bytes;
	uint64		skipped;		/* neither regular file nor folder */
	char		first_skipped[MAXPGPATH];
} BkcScan;

/* Walk; ereports.  The current directory must be the data directory. */
extern BkcScan *bkc_scan(void);

/* Add a tablespace unless it is known; path NULL = in place. */
extern void bkc_scan_add_tablespace(BkcScan *scan, Oid oid, const char *path);

static inline const char *
bkc_scan_path(const BkcScan *scan, uint32 offset)
{
	return scan->strings + offset;
}

/*
 * Name of a file in a relation folder: "16384", "16384_fsm.2", "t3_16384".
 * oid_len is the length of the part that names the relation.
 */
typedef struct BkcRelName
{
	bool		temporary;
	bool		init_fork;
	int			oid_len;
	uint32		segment;
} BkcRelName;

extern bool bkc_relname_parse(const char *name, BkcRelName *rel);

#endif							/* BKC_SERVER_SCAN_H */
