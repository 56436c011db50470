/*
 * inner.h
 *		Between the files that send.
 */
#ifndef BKC_NOTIFY_INNER_H
#define BKC_NOTIFY_INNER_H

#include "notify/send.h"
#include "store/http/http.h"

#define BKC_NOTIFY_CONNECT_MS	10000
#define BKC_NOTIFY_STALL_MS		15000
#define BKC_NOTIFY_TOTAL_MS		30000
#define BKC_NOTIFY_REPLY_MAX	(64 * 1024)

/* No message shows more of it than its scheme: it may be a secret. */
extern bool bkc_notify_check_url(const char *url, BkcTargetKind kind, bool plain, BkcError *err);

/* What a reply's status means; *wait_s as the server asks. */
extern bool bkc_notify_judge(const BkcHttpCall *call, int *wait_s, BkcError *err);

/* The error of a transfer that has failed. */
extern bool bkc_notify_broken(const BkcHttpCall *call, BkcError *err);

#endif							/* BKC_NOTIFY_INNER_H */
