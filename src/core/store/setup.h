/*
 * setup.h
 *		Setting the place of a repository up: a bucket, a folder.
 *
 * What is asked for is a state.  Whatever is so already is left alone, so that
 * a second call does nothing, and what the caller did not mention by name may
 * fail: servers differ in what they can.
 */
#ifndef BKC_STORE_SETUP_H
#define BKC_STORE_SETUP_H

#include "store/store.h"

#define BKC_STORE_TRANSITIONS_MAX	4

typedef struct BkcStoreTransition
{
	char		class[64];
	int			days;
} BkcStoreTransition;

/* What the caller was asked for by name: failing is a failure then, else a warning. */
#define BKC_SETUP_LOCK			0x01
#define BKC_SETUP_VERSIONING	0x02
#define BKC_SETUP_ENCRYPTION	0x04
#define BKC_SETUP_LIFECYCLE		0x08

typedef struct BkcStoreSetup
{
	bool		dry_run;		/* look only */
	uint32_t	asked;			/* BKC_SETUP_X */
	bool		object_lock;
	bool		versioning;
	const char *encryption;		/* "AES256", "aws:kms"; NULL = leave it as it is */
	const char *kms_key;		/* or NULL */
	BkcStoreTransition transitions[BKC_STORE_TRANSITIONS_MAX];	/* by days */
	size_t		ntransitions;
	int			noncurrent_days;	/* former versions go after that */
	int			abort_days;		/* unfinished uploads, too */
} BkcStoreSetup;

typedef enum BkcStoreStepState
{
	BKC_STEP_THERE,				/* it is so already */
	BKC_STEP_DONE,
	BKC_STEP_TO_DO,				/* dry run */
	BKC_STEP_WARNING,			/* could not be done, and was not asked for */
	BKC_STEP_FAILED
} BkcStoreStepState;

typedef struct BkcStoreStep
{
	const char *what;
	BkcStoreStepState state;
	const char *text;
	const char *hint;			/* or NULL */
} BkcStoreStep;

typedef bool (*BkcStoreStepEach) (void *arg, const BkcStoreStep *step, BkcError *err);

struct BkcStoreSetupOps
{
	bool		(*check) (BkcStore *store, const BkcStoreSetup *options, BkcError *err);
	bool		(*run) (BkcStore *store, const BkcStoreSetup *options, BkcStoreStepEach each,
						void *arg, BkcError *err);
};

/* Do options and URL make sense?  Touches nothing.  Errors are BKC_ERR_INVALID. */
extern bool bkc_store_setup_check(BkcStore *store, const BkcStoreSetup *options, BkcError *err);

/*
 * Do it, and call each() for every step.  A step that fails does not keep the
 * others from their turn, as long as they can be done without it; false when
 * one failed that was asked for, with the code of the first.
 */
extern bool bkc_store_setup(BkcStore *store, const BkcStoreSetup *options, BkcStoreStepEach each,
							void *arg, BkcError *err);

#endif							/* BKC_STORE_SETUP_H */
