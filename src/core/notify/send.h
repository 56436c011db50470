/*
 * send.h
 *		Where alarms go: one attempt to one target.
 *
 * Waiting and trying again is the caller's.  Secrets come from files that only their owner
 * reads; they are wiped after use and stand in no message.
 */
#ifndef BKC_NOTIFY_SEND_H
#define BKC_NOTIFY_SEND_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"
#include "notify/message.h"

typedef enum BkcTargetKind
{
	BKC_TARGET_WEBHOOK,
	BKC_TARGET_SLACK,
	BKC_TARGET_EMAIL,
	BKC_TARGET_CLOUDWATCH		/* metrics, no events: see cloudwatch.h */
} BkcTargetKind;

typedef struct BkcTarget
{
	BkcTargetKind kind;
	const char *url;			/* NULL (webhook, slack) = what the secret file holds */
	const char *secret_file;	/* NULL = none; a bearer token, the password of a mail server,
								 * or a file of AWS credentials */
	const char *ca_file;		/* NULL = the system's */
	const char *from;			/* mail only, as what follows */
	const char *to;
	const char *user;
	const char *region;			/* cloudwatch only, as is interval_s */
	int			interval_s;		/* between two of what is sent; 0 = the default */
	bool		plain;			/* no STARTTLS */
	int			timeout_ms;		/* of all of it; 0 = 30 s */
} BkcTarget;

extern bool bkc_target_kind(const char *name, BkcTargetKind *kind, BkcError *err);

/* All that can be said without the network, the secret included. */
extern bool bkc_target_check(const BkcTarget *target, BkcError *err);

/*
 * Not for BKC_TARGET_CLOUDWATCH.  json is the whole event, what a webhook gets.  After a failure
 * *wait_s is how long the server asks us to wait (0 = it did not say).  BKC_ERR_UNAVAILABLE and
 * BKC_ERR_TIMEOUT may pass.
 */
extern bool bkc_target_send(const BkcTarget *target, const BkcNotice *notice, const char *json,
							int *wait_s, BkcError *err);

/*
 * Can it be reached?  A connection with all that belongs to it (TLS, a mail server's login), but
 * nothing is sent.
 */
extern bool bkc_target_reach(const BkcTarget *target, BkcError *err);

#endif							/* BKC_NOTIFY_SEND_H */
