/*
 * walinfo.h
 *		The info frame of WAL objects: what the object holds, as JSON
 *		(FORMAT.md, "WAL").
 *
 * It comes first, so that who asks only for hash or time reads a few hundred
 * bytes, and it is a frame, so that it is sealed with the rest.
 */
#ifndef BKC_FORMAT_WALINFO_H
#define BKC_FORMAT_WALINFO_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/error.h"
#include "crypto/digest.h"
#include "format/documents.h"
#include "format/pgfiles.h"

typedef struct BkcWalInfo
{
	char		file[BKC_WAL_NAME_MAX]; /* as PostgreSQL calls it; of a chunk: its segment */
	uint64_t	system_identifier;
	uint64_t	size;			/* plain bytes in this object, not 0 */
	uint8_t		sha256[BKC_SHA256_SIZE];	/* of them */

	/*
	 * Up to when it reaches, microseconds since 1970: what was written to WAL
	 * before that time and after the object before it is in this one.  Of a segment: when it
	 * was completed; of a chunk: when it was read.
	 */
	int64_t		time;

	/* segments, partial segments and chunks; else 0 */
	uint32_t	timeline;
	uint32_t	segment_size;
	uint64_t	start_lsn;
	uint64_t	end_lsn;		/* start_lsn + size */

	/* conflict objects only, else "" */
	char		reason[BKC_DOC_TEXT_MAX];
	char		by[BKC_DOC_TEXT_MAX];
} BkcWalInfo;

extern bool bkc_walinfo_encode(const BkcWalInfo *info, BkcBuffer *out, BkcError *err);

/*
 * name is the object's.  Checks that everything fits together: file name against
 * timeline, LSNs against segment size and number, size against LSNs; and all of it
 * against the name (cluster, file, a chunk's offset, the hash of the content, reason and by if and
 * only if it is a conflict object).  A whole segment has segment_size bytes.  The hash in a name
 * says nothing that could be compared when the object is sealed.
 */
extern bool bkc_walinfo_decode(const char *text, size_t len, const char *name, bool sealed,
							   BkcWalInfo *info, BkcError *err);

#endif							/* BKC_FORMAT_WALINFO_H */
