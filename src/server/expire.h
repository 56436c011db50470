/*
 * expire.h
 *		The job that removes what retention does not keep.
 */
#ifndef BKC_SERVER_EXPIRE_H
#define BKC_SERVER_EXPIRE_H

#include "shared.h"

extern void bkc_expire_run(BkcJob *job);
extern void bkc_expire_failed(BkcJob *job, const BkcReport *report, bool cancelled);

#endif							/* BKC_SERVER_EXPIRE_H */
