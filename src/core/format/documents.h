/*
 * documents.h
 *		The small JSON objects: cluster, begin, notes, owners.  Text only; pipe/object.h stores it.
 *
 * Readers refuse unknown versions, wrong types and oversized numbers, and
 * ignore keys they do not know only where FORMAT.md says so (notes).
 */
#ifndef BKC_FORMAT_DOCUMENTS_H
#define BKC_FORMAT_DOCUMENTS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/error.h"
#include "format/envelope.h"
#include "format/label.h"

#define BKC_OWNER_ID_MAX	40		/* hex id of a data directory, with the zero byte */
#define BKC_DOC_TEXT_MAX	256

/* <sysid>/cluster */
typedef struct BkcClusterDoc
{
	uint64_t	system_identifier;
	char		name[BKC_DOC_TEXT_MAX];
	uint32_t	pg_version_num;
	int64_t		created;
} BkcClusterDoc;

extern bool bkc_clusterdoc_encode(const BkcClusterDoc *doc, BkcBuffer *out, BkcError *err);
extern bool bkc_clusterdoc_decode(const char *text, size_t len, const char *name,
								  BkcClusterDoc *doc, BkcError *err);

/* backups/<label>/begin */
typedef struct BkcBeginDoc
{
	char		label[BKC_LABEL_MAX];
	char		type[16];
	char		parent[BKC_LABEL_MAX];	/* "" when none */
	uint64_t	system_identifier;
	char		owner[BKC_OWNER_ID_MAX];
	char		host[BKC_DOC_TEXT_MAX];
	int64_t		start_time;
	bool		sealed;
	uint8_t		data_key[BKC_KEY_ID_SIZE];	/* its id, where sealed */
} BkcBeginDoc;

extern bool bkc_begindoc_encode(const BkcBeginDoc *doc, BkcBuffer *out, BkcError *err);
extern bool bkc_begindoc_decode(const char *text, size_t len, const char *name,
								BkcBeginDoc *doc, BkcError *err);

/* backups/<label>/notes/<time>-verify */
typedef struct BkcVerifyNote
{
	char		label[BKC_LABEL_MAX];
	int64_t		time;
	char		level[16];		/* "files" */
	bool		ok;
	uint64_t	files;
	uint64_t	bytes;
	uint64_t	failures;
	char		first_failure[BKC_DOC_TEXT_MAX];	/* "" when ok */
} BkcVerifyNote;

extern bool bkc_verifynote_encode(const BkcVerifyNote *note, BkcBuffer *out, BkcError *err);
extern bool bkc_verifynote_decode(const char *text, size_t len, const char *name,
								  BkcVerifyNote *note, BkcError *err);

/* backups/<label>/notes/<time>-shred: written before its data key is destroyed */
typedef struct BkcShredNote
{
	char		label[BKC_LABEL_MAX];
	int64_t		time;
	char		reason[BKC_DOC_TEXT_MAX];	/* not empty */
	char		by[BKC_DOC_TEXT_MAX];	/* role, not empty */
	uint8_t		data_key[BKC_KEY_ID_SIZE];
} BkcShredNote;

extern bool bkc_shrednote_encode(const BkcShredNote *note, BkcBuffer *out, BkcError *err);
extern bool bkc_shrednote_decode(const char *text, size_t len, const char *name,
								 BkcShredNote *note, BkcError *err);

/* backups/<label>/notes/<time>-hold and <time>-release */
typedef struct BkcHoldNote
{
	bool		held;			/* the kind: hold or release */
	char		label[BKC_LABEL_MAX];
	int64_t		time;
	char		reason[BKC_DOC_TEXT_MAX];	/* of a hold not empty */
	char		by[BKC_DOC_TEXT_MAX];	/* role, not empty */
} BkcHoldNote;

extern bool bkc_holdnote_encode(const BkcHoldNote *note, BkcBuffer *out, BkcError *err);
extern bool bkc_holdnote_decode(const char *text, size_t len, const char *name, bool held,
								BkcHoldNote *note, BkcError *err);

/* backups/<label>/notes/<time>-catalog: what the catalog knows and the manifest does not */
typedef struct BkcCatalogNote
{
	char		label[BKC_LABEL_MAX];
	char		parent[BKC_LABEL_MAX];	/* "" when none */
	int64_t		time;
	char		pg_version[BKC_DOC_TEXT_MAX];
	char		tier[BKC_DOC_TEXT_MAX]; /* "" when none */
	char		schedule[BKC_DOC_TEXT_MAX]; /* likewise */
	int64_t		retention_date; /* 0 = none */
	char	   *metadata;		/* a JSON object; malloc'ed by decode */
} BkcCatalogNote;

extern bool bkc_catalognote_encode(const BkcCatalogNote *note, BkcBuffer *out, BkcError *err);

/* On true the caller frees it; free may be called again. */
extern bool bkc_catalognote_decode(const char *text, size_t len, const char *name,
								   BkcCatalogNote *note, BkcError *err);
extern void bkc_catalognote_free(BkcCatalogNote *note);

/*
 * <sysid>/owner/<number>: from this number on that data directory may write
 * (back up, archive, expire).  The highest number counts.
 */
typedef struct BkcOwnerDoc
{
	uint32_t	number;
	uint64_t	system_identifier;
	char		owner[BKC_OWNER_ID_MAX];
	char		host[BKC_DOC_TEXT_MAX];
	char		data_directory[1024];
	uint32_t	timeline;		/* the server's when it took over */
	uint64_t	lsn;			/* likewise, its write position */
	uint64_t	session;		/* one life of that server; random, not 0 */
	int64_t		time;
	char		reason[16];		/* "first", "start", "promoted", "takeover", "twin", "adopted" */
	char		by[BKC_DOC_TEXT_MAX];	/* role, "" when the server itself */
	uint64_t	successor;		/* "adopted": the cluster whose owner has this one, else 0 */
} BkcOwnerDoc;

/* Decoding checks the number and the system identifier against the object's name. */
extern bool bkc_ownerdoc_encode(const BkcOwnerDoc *doc, BkcBuffer *out, BkcError *err);
extern bool bkc_ownerdoc_decode(const char *text, size_t len, const char *name,
								BkcOwnerDoc *doc, BkcError *err);

#endif							/* BKC_FORMAT_DOCUMENTS_H */
