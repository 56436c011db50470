/*
 * walgap.h
 *		Is a gap in a repository's WAL one, or is it being closed?
 */
#ifndef BKC_SERVER_WALGAP_H
#define BKC_SERVER_WALGAP_H

#include "pgcompat.h"

#include "pipe/walmap.h"

typedef enum BkcWalGapState
{
	BKC_GAP_LOST,
	BKC_GAP_COMING,				/* WAL helpers send ahead: what is missing waits for the archiver */
	BKC_GAP_MAY_COME,			/* another server may be at it */
	BKC_GAP_CLOSED				/* since the map was made */
} BkcWalGapState;

/*
 * owner: this server is the one that archives there, so it knows what will come.  Does not
 * raise; false when the repository cannot be asked.
 */
extern bool bkc_walgap_state(BkcStore *store, const BkcWalGap *gap, bool owner,
							 BkcWalGapState *state, BkcError *err);

/* Does the backup begin behind the gap, so that times after it can be restored without? */
extern bool bkc_walgap_before(const BkcWalGap *gap, const BkcBackupSpan *span);

/*
 * Takes those out of the list that the repository's policy does not mind: of backups before the
 * recovery window retention keeps only the WAL that makes each consistent.  One that lies between
 * the window's base and the window is not among them: it ends what can be restored.  Returns how
 * many are left.  Reads the policy as bkc_expireplan_window() does; ereports.
 */
extern size_t bkc_walgap_drop_expired(const char *repository, BkcWalGap *gaps, size_t n,
									  const BkcBackupSpan *spans, size_t nspans);

#endif							/* BKC_SERVER_WALGAP_H */
