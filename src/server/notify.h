/*
 * notify.h
 *		Events go out: the job that sends alarms to the targets of backup_target.
 *
 * The launcher starts it when there is a new event or a target was changed, and when something
 * is to be tried again.  It holds no transaction while it sends, and nobody waits for it.
 */
#ifndef BKC_SERVER_NOTIFY_H
#define BKC_SERVER_NOTIFY_H

#include "notify/send.h"
#include "shared.h"

extern void bkc_notify_run(BkcJob *job);
extern void bkc_notify_failed(BkcJob *job, const BkcReport *report, bool cancelled);

/* There is a new event; nothing happens where no target is defined. */
extern void bkc_notify_request(void);

/* Targets were changed. */
extern void bkc_notify_targets_changed(void);

/* For the launcher: is it time?  Then it is taken note of, and the caller starts the job. */
extern bool bkc_notify_due(void);

/* Real milliseconds until then. */
extern long bkc_notify_nap(long max);

/* Where a target's row stands in a result, from a column on: those of BKC_TARGET_COLUMNS. */
#define BKC_TARGET_COLUMNS \
	"t.kind, t.url, t.secret_file, t.settings OPERATOR(pg_catalog.->>) 'ca_file'," \
	" t.settings OPERATOR(pg_catalog.->>) 'from', t.settings OPERATOR(pg_catalog.->>) 'to'," \
	" t.settings OPERATOR(pg_catalog.->>) 'user', t.settings OPERATOR(pg_catalog.->>) 'tls'," \
	" t.settings OPERATOR(pg_catalog.->>) 'timeout', t.settings OPERATOR(pg_catalog.->>) 'region'," \
	" t.settings OPERATOR(pg_catalog.->>) 'interval'"
#define BKC_TARGET_NCOLUMNS	11

/* From their values, which must stay. */
extern bool bkc_notify_target(char *const *values, BkcTarget *target, BkcError *err);

/* NOTIFY pg_backupctl, in the transaction at hand. */
extern void bkc_notify_listeners(int64 id, const char *kind, const char *severity);

/* Text for the world outside: UTF-8 whatever the database has. */
extern char *bkc_notify_utf8(const char *text);

/* What this cluster and this machine are called. */
extern void bkc_notify_place(BkcNotice *notice);

#endif							/* BKC_SERVER_NOTIFY_H */
