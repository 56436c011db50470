/*
 * refusal.h
 *		Why this server may not write to a repository, and what to do about it.
 *		(Only claim.c uses this.)
 *
 * All set a BKC_ERR_STATE and return false.
 */
#ifndef BKC_SERVER_REFUSAL_H
#define BKC_SERVER_REFUSAL_H

#include "pgcompat.h"

#include "claim.h"
#include "walbeyond.h"

extern bool bkc_refuse_other(const BkcClaim *c, BkcError *err);

/* Nobody can say whose it is. */
extern bool bkc_refuse_damaged(const BkcClaim *c, BkcError *err);

extern bool bkc_refuse_twin(const BkcClaim *c, BkcError *err);

/* The owner's identity is ours, but its story is not. */
extern bool bkc_refuse_old_copy(const BkcClaim *c, BkcError *err);

/* Only the detail: the WAL that this server does not have. */
extern bool bkc_refuse_beyond(const BkcBeyond *beyond, TimeLineID timeline, XLogRecPtr here,
							  BkcError *err);

#endif							/* BKC_SERVER_REFUSAL_H */
