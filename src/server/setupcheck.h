/*
 * setupcheck.h
 *		backup_check(): the whole set-up is tried, and each finding explained.
 *
 *		sqlcheck.c		the SQL function: what is looked at, in which order
 *		setupcheck.c	rows of the result
 *		setupserver.c	the server: settings, workers, the clock
 *		setupplan.c		the catalog: rights, schedules, notification targets
 *		setuprepo.c		a repository: does it work, whose is it, keys, clock, space
 *		setupwal.c		archiving, and what can be restored
 *
 * What cannot be asked is a finding, not an error, so that it hides nothing else.  The
 * repositories, not the catalog, say what they hold.
 */
#ifndef BKC_SERVER_SETUPCHECK_H
#define BKC_SERVER_SETUPCHECK_H

#include "pgcompat.h"

#include "funcapi.h"
#include "pipe/unpack.h"
#include "pipe/walmap.h"
#include "walstatus.h"

#define BKC_FINDING_OK			"ok"
#define BKC_FINDING_WARNING		"warning"
#define BKC_FINDING_FAILED		"failed"

typedef struct BkcSetupCheck
{
	ReturnSetInfo *rsinfo;
	const BkcRepoDef *repo;		/* NULL: the server */
	BkcWalServer server;
	BkcWalStatus *wal;

	/* open for one repository */
	BkcStore   *store;
	BkcWalMap  *map;
	BkcBackupSpan *spans;
	size_t		nspans;
	BkcWalGap  *gaps;
	size_t		ngaps;
	BkcRecoveryWindow *windows;
	size_t		nwindows;
	bool		ours;			/* this server is the owner */
} BkcSetupCheck;

/* ---- rows; advice may be NULL ---- */

extern void bkc_finding(BkcSetupCheck *c, const char *check, const char *status,
						const char *finding, const char *advice);
extern void bkc_finding_report(BkcSetupCheck *c, const char *check, const char *status,
							   const BkcReport *report);

/* As failed; raises what is about this session, not about the set-up. */
extern void bkc_finding_error(BkcSetupCheck *c, const char *check, const BkcError *err);

/* palloc'ed */
extern const char *bkc_finding_time(int64 unix_usec);
extern const char *bkc_finding_size(uint64 bytes);

/* ---- parts ---- */

/* false: the library is not loaded, and nothing else can be looked at. */
extern bool bkc_setup_server(BkcSetupCheck *c);

/* In the database of the catalog only. */
extern void bkc_setup_plan(BkcSetupCheck *c);

/* false: the repository cannot be used, and nothing else be asked. */
extern bool bkc_setup_repository(BkcSetupCheck *c);

extern void bkc_setup_archiver(BkcSetupCheck *c);
extern void bkc_setup_holdings(BkcSetupCheck *c);

#endif							/* BKC_SERVER_SETUPCHECK_H */
