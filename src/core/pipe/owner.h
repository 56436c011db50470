/*
 * owner.h
 *		Which data directory may write to a cluster's part of a repository.
 *
 * Ownership is a row of numbered objects, each written once; the highest
 * number counts.  Who may claim is decided by the caller (server/ownership.h).
 */
#ifndef BKC_PIPE_OWNER_H
#define BKC_PIPE_OWNER_H

#include "format/documents.h"
#include "format/names.h"
#include "store/store.h"

/*
 * *found = false: nobody has claimed it yet.  Also set, with doc->number, when the highest
 * document is there but cannot be read (BKC_ERR_CORRUPT, _UNSUPPORTED, _KEY); nothing else of
 * it is filled in then.
 */
extern bool bkc_owner_current(BkcStore *store, uint64_t sysid, BkcOwnerDoc *doc, bool *found,
							  BkcError *err);

/* Claim doc->number; BKC_ERR_EXISTS when somebody was faster. */
extern bool bkc_owner_claim(BkcStore *store, const BkcOwnerDoc *doc, BkcError *err);

/*
 * Does the repository hold WAL of that timeline beyond lsn: a whole segment that ends behind it
 * or a chunk that reaches behind it?  *found names the first such object (full name), "" when none.
 * Looks at the folders of the log that holds lsn and later ones only.
 */
extern bool bkc_owner_wal_beyond(BkcStore *store, uint64_t sysid, uint32_t timeline, uint64_t lsn,
								 uint32_t segment_size, char found[BKC_NAME_MAX], BkcError *err);

#endif							/* BKC_PIPE_OWNER_H */
