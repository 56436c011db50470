/*
 * walqueue.h
 *		Segments that WAL helpers send ahead of the archiver.
 *
 * The queue is a window over the .ready segments: each has a state for each
 * repository.  It is only a cache of what is durable: whatever is lost with it is
 * offered again and found in the repository.  A hole in a repository is never wider than
 * BKC_WAL_AHEAD segments.
 */
#ifndef BKC_SERVER_WALQUEUE_H
#define BKC_SERVER_WALQUEUE_H

#include "pgcompat.h"

#define BKC_WAL_QUEUE		1024
#define BKC_WAL_AHEAD		16
#define BKC_WAL_REPOS		8	/* BKC_MAX_REPOS */

typedef enum BkcWalState
{
	BKC_WAL_TODO,
	BKC_WAL_BUSY,
	BKC_WAL_DURABLE
} BkcWalState;

typedef struct BkcWalItem
{
	TimeLineID	timeline;		/* 0 = free */
	XLogSegNo	segno;
	uint8		state[BKC_WAL_REPOS];	/* BkcWalState */
	pid_t		pid[BKC_WAL_REPOS]; /* who is at it */
} BkcWalItem;

typedef struct BkcWalQueue
{
	uint32		helpers;		/* attached and alive */
	BkcWalItem	items[BKC_WAL_QUEUE];
} BkcWalQueue;

#endif							/* BKC_SERVER_WALQUEUE_H */
