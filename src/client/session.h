/*
 * session.h
 *		An open repository, and which cluster and backup in it are meant.
 */
#ifndef BKC_CLIENT_SESSION_H
#define BKC_CLIENT_SESSION_H

#include <stdbool.h>
#include <stdint.h>

#include "base/url.h"
#include "format/label.h"
#include "pipe/unpack.h"
#include "store/store.h"

#include "options.h"
#include "report.h"

/* A zeroed BkcSession is closed. */
typedef struct BkcSession
{
	const BkcOptions *options;
	const char *repo;			/* the URL as given; belongs to the options */
	BkcUrl		url;
	BkcStore   *store;
	uint64_t	sysid;			/* after bkc_session_cluster() */
	char		cluster_name[256];	/* "" when none or not known */
	BkcPlace	place;			/* where the last failure happened */
} BkcSession;

extern bool bkc_session_open(BkcSession *session, const BkcOptions *options, BkcError *err);
extern void bkc_session_close(BkcSession *session); /* may be called again */

/* A further store on the same repository: processes do not share one. */
extern bool bkc_session_another_store(const BkcSession *session, BkcStore **store, BkcError *err);

/* The cluster that --cluster names, or the only one there is. */
extern bool bkc_session_cluster(BkcSession *session, const BkcOptions *options, BkcError *err);

/* The error for a repository without clusters; returns false. */
extern bool bkc_session_no_cluster(const BkcSession *session, BkcError *err);

/* A label, or "latest" (also NULL): the newest complete backup. */
extern bool bkc_session_backup(BkcSession *session, const char *wanted,
							   char label[BKC_LABEL_MAX], BkcError *err);

#endif							/* BKC_CLIENT_SESSION_H */
