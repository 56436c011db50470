/*
 * verify.h
 *		The job behind backup_verify().
 */
#ifndef BKC_SERVER_VERIFY_H
#define BKC_SERVER_VERIFY_H

#include "shared.h"

extern void bkc_verify_run(BkcJob *job);
extern void bkc_verify_failed(BkcJob *job, const BkcReport *report, bool cancelled);

#endif							/* BKC_SERVER_VERIFY_H */
