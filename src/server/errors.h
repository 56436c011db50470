/*
 * errors.h
 *		The edge between the core and PostgreSQL: errors, guards, host table.
 *
 * The only place where a BkcError becomes an ereport.
 */
#ifndef BKC_SERVER_ERRORS_H
#define BKC_SERVER_ERRORS_H

#include "base/error.h"

/* What is left of an error when it travels through shared memory. */
typedef struct BkcReport
{
	int			sqlstate;		/* 0 = no error */
	char		message[BKC_ERROR_MESSAGE_MAX];
	char		detail[BKC_ERROR_DETAIL_MAX];
	char		hint[BKC_ERROR_HINT_MAX];
} BkcReport;

/* ereport a core error; a cancellation first lets PostgreSQL's own interrupt speak. */
extern void bkc_ereport(int elevel, const BkcError *err);

/* ereport what came out of shared memory. */
extern void bkc_ereport_report(int elevel, const BkcReport *report);

extern void bkc_report_from_error(BkcReport *report, const BkcError *err);
extern void bkc_report_from_errordata(BkcReport *report, const ErrorData *edata);

/*
 * Make text fit for the database: what is not valid in its encoding (file
 * names may hold any bytes) becomes question marks.
 */
extern void bkc_text_clean(char *text);

/* One line: message, detail in brackets.  palloc'ed. */
extern char *bkc_report_line(const BkcReport *report);

/*
 * Call close(arg) when the current memory context is reset or deleted, that
 * is also after an ERROR.  close must be idempotent.
 */
extern void bkc_guard(void (*close) (void *arg), void *arg);

/* Install the server's BkcHost in this process; may be called again. */
extern void bkc_host_install(void);

/* Additional reason for cancelled(): a flag somewhere in shared memory; NULL = none. */
extern void bkc_host_watch(bool (*stop) (void));

/*
 * Called by cancelled() at most once in 50 ms, between two steps of the
 * core; must not throw.  For work that goes on beside (WAL collection).
 */
extern void bkc_host_poll(void (*poll) (void));

#endif							/* BKC_SERVER_ERRORS_H */
