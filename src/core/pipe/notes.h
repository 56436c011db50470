/*
 * notes.h
 *		The notes beside a backup, as they count now.
 */
#ifndef BKC_PIPE_NOTES_H
#define BKC_PIPE_NOTES_H

#include "format/documents.h"
#include "store/store.h"

/* Of each kind the newest one. */
typedef struct BkcNotes
{
	bool		has_verify;
	BkcVerifyNote verify;
	bool		has_shred;
	BkcShredNote shred;
	bool		has_hold;		/* of hold and release the one that counts */
	BkcHoldNote hold;
	bool		has_catalog;
	BkcCatalogNote catalog;
	size_t		unreadable;		/* passed over; a hold that cannot be read holds */
} BkcNotes;

/*
 * BKC_ERR_KEY when a note needs another key.  On true the caller frees it; a zeroed BkcNotes is
 * valid, and free may be called again.
 */
extern bool bkc_notes_load(BkcStore *store, uint64_t sysid, const char *label, BkcNotes *notes,
						   BkcError *err);
extern void bkc_notes_free(BkcNotes *notes);

/* Store a hold or a release. */
extern bool bkc_notes_put_hold(BkcStore *store, uint64_t sysid, const BkcHoldNote *note,
							   BkcError *err);
extern bool bkc_notes_put_catalog(BkcStore *store, uint64_t sysid, const BkcCatalogNote *note,
								  BkcError *err);

/*
 * Set or end the repository's own holds on every object of a backup.  BKC_ERR_UNSUPPORTED where it
 * has none.  What a failure has left is mended by another call.
 */
extern bool bkc_notes_hold_objects(BkcStore *store, uint64_t sysid, const char *label, bool on,
								   BkcError *err);

#endif							/* BKC_PIPE_NOTES_H */
