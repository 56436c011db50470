/*
 * check.h
 *		What "check" has found out about a cluster; filled by check.c, told by
 *		check_tell.c.
 */
#ifndef BKC_CLIENT_CHECK_H
#define BKC_CLIENT_CHECK_H

#include "format/documents.h"
#include "pipe/unpack.h"
#include "pipe/walmap.h"

#include "json.h"

typedef enum BkcCheckState
{
	BKC_CHECK_COMPLETE,
	BKC_CHECK_UNFINISHED,		/* runs, or was interrupted: no finding */
	BKC_CHECK_DAMAGED,			/* its manifest cannot be read; problem says why */
	BKC_CHECK_NO_WAL			/* relies on the archive, which lacks a segment */
} BkcCheckState;

typedef struct BkcCheckBackup
{
	BkcCheckState state;
	BkcBackupSpan span;			/* of others than complete ones only the label */
	char		host[BKC_DOC_TEXT_MAX]; /* unfinished: where it was begun, "" when not known */
	char		missing[BKC_WAL_NAME_MAX];	/* first segment that is missing */
	BkcError	problem;
} BkcCheckBackup;

typedef struct BkcCheckGap
{
	BkcWalGap	gap;
	bool		young;			/* may still be on its way: no finding */
	int64_t		until;			/* from then on times can be restored again; 0: from none */
	char		next_backup[BKC_LABEL_MAX]; /* that begins there, "" when none does */
} BkcCheckGap;

typedef struct BkcCheckTimeline
{
	uint32_t	timeline;
	bool		no_history;		/* missing or damaged, and older timelines are there */
	uint32_t	parent;			/* by its history; 0 when that is not known */
	uint64_t	fork_lsn;		/* where it left that */
	uint64_t	segments;		/* whole ones */
	uint64_t	start_lsn;		/* of the first, and the end of the last */
	uint64_t	end_lsn;
	uint64_t	conflicts;		/* segments with a conflict object */
	char		open[BKC_WAL_NAME_MAX]; /* the newest segment with chunks only, "" when none */
	bool		open_damaged;	/* some are damaged or missing: it had more than can be used */
	uint64_t	open_end_lsn;	/* up to where it can; 0: nothing */
} BkcCheckTimeline;

typedef struct BkcCheckCluster
{
	BkcClusterInfo info;		/* name is borrowed */
	bool		document_damaged;	/* the cluster object */
	BkcOwnerDoc owner;
	bool		has_owner;
	BkcError	owner_problem;	/* code is BKC_OK when there is none */
	BkcCheckBackup *backups;
	size_t		nbackups;
	BkcCheckTimeline *timelines;
	size_t		ntimelines;
	BkcCheckGap *gaps;
	size_t		ngaps;
	BkcRecoveryWindow *windows;
	size_t		nwindows;
	uint64_t	findings;
} BkcCheckCluster;

/* What the repository's place says about itself; warnings are findings. */
typedef struct BkcCheckPlace
{
	bool		print;			/* for people, at once */
	json_t	   *array;			/* for programs, or NULL */
	uint64_t	told;
	uint64_t	warnings;
} BkcCheckPlace;

extern bool bkc_check_place(BkcStore *store, BkcCheckPlace *place, BkcError *err);

/* For people, on standard output. */
extern void bkc_check_print(const BkcCheckCluster *cluster);

/* For programs; NULL when memory is short. */
extern json_t *bkc_check_json(const BkcCheckCluster *cluster);

#endif							/* BKC_CLIENT_CHECK_H */
