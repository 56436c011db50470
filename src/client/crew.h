/*
 * crew.h
 *		Work shared by several processes.
 *
 * The parent forks workers that take items 0 .. nitems - 1 from one atomic
 * cursor in shared memory, counts what they have done, collects what they
 * report, and ends all of them at the first failure or when the program is
 * told to stop.  A worker inherits everything the parent has loaded and opens
 * what cannot be shared (its store) itself.  When bkc_crew_run() returns, no
 * worker is left.
 */
#ifndef BKC_CLIENT_CREW_H
#define BKC_CLIENT_CREW_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

#include "report.h"

/* What one worker has done so far; written by it alone, read by the parent at any time. */
typedef struct BkcCrewTally
{
	_Atomic uint64_t files;
	_Atomic uint64_t bytes;		/* plain */
	_Atomic uint64_t stored;
} BkcCrewTally;

/* What a worker gets to know of itself. */
typedef struct BkcCrewWorker
{
	BkcCrewTally *tally;
	BkcPlace	place;			/* kept by the worker: where a failure would be */
	int			pipe;			/* for bkc_crew_send() */
	size_t		message_size;
} BkcCrewWorker;

typedef struct BkcCrewCounts
{
	uint64_t	files;
	uint64_t	bytes;
	uint64_t	stored;
} BkcCrewCounts;

typedef struct BkcCrewSpec
{
	size_t		jobs;			/* at most this many workers, >= 1 */
	size_t		nitems;

	/* in the worker: set up, work on one item, release (also after a failure of start) */
	bool		(*start) (void *arg, BkcCrewWorker *worker, void **state, BkcError *err);
	bool		(*item) (void *state, size_t item, BkcCrewWorker *worker, BkcError *err);
	void		(*finish) (void *state);	/* state may be NULL */

	/* in the parent, about twenty times a second; may be NULL */
	void		(*tick) (void *arg, const BkcCrewCounts *counts);

	/* in the parent: a message that a worker sent; may be NULL when none does */
	bool		(*message) (void *arg, const void *message, BkcError *err);
	size_t		message_size;
	void	   *arg;
} BkcCrewSpec;

/*
 * Work through all items.  On false err is the first failure of any worker
 * (place says where), or BKC_ERR_CANCELLED; counts holds what was done.
 */
extern bool bkc_crew_run(const BkcCrewSpec *spec, BkcCrewCounts *counts, BkcPlace *place,
						 BkcError *err);

/* In a worker: message_size bytes for the parent's message(). */
extern bool bkc_crew_send(BkcCrewWorker *worker, const void *message, BkcError *err);

#endif							/* BKC_CLIENT_CREW_H */
