/*
 * manifest_rules.h
 *		What is true of every manifest (private to format/).
 *
 * Writer and reader pass everything through the same checks in the same
 * order, so that nothing can be written that readers refuse: header, then
 * entries, then packs, then the trailer.  After a failure no further call
 * may follow.
 */
#ifndef BKC_FORMAT_MANIFEST_RULES_H
#define BKC_FORMAT_MANIFEST_RULES_H

#include "format/manifest.h"

#define BKC_MANIFEST_VERSION	1

typedef enum BkcManifestPhase
{
	BKC_PHASE_HEADER,			/* next: the header */
	BKC_PHASE_ENTRIES,			/* next: an entry, a pack or the trailer */
	BKC_PHASE_PACKS,			/* next: a pack or the trailer */
	BKC_PHASE_DONE
} BkcManifestPhase;

/* One pack, seen in a piece or in its own line. */
typedef struct BkcPackUse
{
	bool		used;			/* slot of the table is taken */
	bool		listed;			/* its own line was there */
	uint32_t	worker;
	uint32_t	number;
	uint32_t	frames_needed;	/* by the pieces that refer to it */
} BkcPackUse;

typedef struct BkcManifestRules
{
	BkcErrorCode code;			/* of errors: CORRUPT when reading, INVALID when writing */
	BkcManifestPhase phase;
	BkcManifestTotals totals;
	BkcSha256  *sha;			/* over all bytes so far */
	char		label[BKC_LABEL_MAX];
	bool		has_parent;
	bool		wal_in_archive; /* then no segments of its own */
	uint32_t   *tablespaces;	/* OIDs, sorted */
	size_t		ntablespaces;
	BkcPackUse *packs;			/* open addressing; pack_slots is 0 or a power of two */
	size_t		pack_slots;
	size_t		npacks;
	size_t		nunlisted;		/* packs needed and not (yet) listed */
} BkcManifestRules;

extern bool bkc_manifest_rules_init(BkcManifestRules *rules, BkcErrorCode code, BkcError *err);
extern void bkc_manifest_rules_free(BkcManifestRules *rules);

/* Check one line's content against all before it, and count it. */
extern bool bkc_manifest_rules_header(BkcManifestRules *rules, const BkcManifestHeader *header,
									  BkcError *err);
extern bool bkc_manifest_rules_entry(BkcManifestRules *rules, const BkcEntry *entry,
									 BkcError *err);
extern bool bkc_manifest_rules_pack(BkcManifestRules *rules, const BkcPackInfo *pack,
									BkcError *err);

/* Everything that is needed was listed; sha256 is that of all bytes before the trailer. */
extern bool bkc_manifest_rules_end(BkcManifestRules *rules, uint8_t sha256[BKC_SHA256_SIZE],
								   BkcError *err);

#endif							/* BKC_FORMAT_MANIFEST_RULES_H */
