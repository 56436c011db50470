/*
 * store.h
 *		A repository's objects: the contract that every driver keeps.
 *
 * Named immutable objects, visible only when complete - the least that a
 * file system, S3, Azure and GCS can all give.  There is no rename, append or
 * overwrite.  Names are those of format/names.h (bkc_name_valid); prefixes
 * end with '/' or are "".
 *
 * Callers use the functions below, never a driver's table.  A store and its
 * readers and writers belong to one process and are used by one at a time; a
 * process opens its own store.  close functions accept NULL, release
 * everything also after a failure, and end the handle's life; readers and
 * writers are closed before their store.
 *
 * Rules for all drivers:
 * - After commit has returned true the object is durable, and readers see all
 *   of it or nothing at any moment before.
 * - commit onto a name that is taken is BKC_ERR_EXISTS and changes nothing;
 *   the object that has the name is complete and durable then.
 * - Reading or stat of a missing object is BKC_ERR_NOT_FOUND, and that means
 *   proven absent; "could not ask" is another code.
 * - A repository to which nothing was ever written looks like an empty one:
 *   reading is BKC_ERR_NOT_FOUND and a listing has no entries.  A disk that
 *   is not mounted can look the same, so whoever draws conclusions from
 *   absence first reads an object that must be there (<sysid>/cluster).
 * - An object that another process wrote may be seen a moment before its name is durable, for
 *   ever if that process failed or was killed in between.  Whoever tells somebody that such an
 *   object is stored calls bkc_store_sync() first.
 * - Removal is durable when remove returns: what is removed by a later call
 *   never survives a crash that undoes an earlier one.
 * - Removing a missing object succeeds.
 * - A driver reads no setting, environment variable or file by itself except
 *   those that the URL names, and puts no secret into a message.
 */
#ifndef BKC_STORE_STORE_H
#define BKC_STORE_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/url.h"

typedef struct BkcStore BkcStore;
typedef struct BkcWriter BkcWriter;
typedef struct BkcReader BkcReader;

/* capabilities: where a driver is stronger than the contract */
#define BKC_CAP_CREATE_ONLY		0x01	/* of two racing commits exactly one wins */
#define BKC_CAP_SPACE			0x02	/* bkc_store_space() knows the free space */
#define BKC_CAP_CLASSES			0x04	/* it has storage classes */

#define BKC_STORE_CLASS_MAX		64

/* How far an object in an archive class is from being read. */
typedef struct BkcArchive
{
	enum
	{
		BKC_ARCHIVE_FROZEN,		/* a thaw must be requested */
		BKC_ARCHIVE_THAWING,	/* it was */
		BKC_ARCHIVE_THAWED		/* can be read for a while */
	}			state;
	char		class[BKC_STORE_CLASS_MAX];
	int64_t		until;			/* THAWED: microseconds since 1970; 0 = not known */
} BkcArchive;

typedef bool (*BkcArchiveEach) (void *arg, const char *name, uint64_t size,
								const BkcArchive *archive, BkcError *err);

/* What bkc_store_describe() tells. */
typedef enum BkcStoreLevel
{
	BKC_STORE_OK,
	BKC_STORE_NOTE,				/* could be better, or could not be asked */
	BKC_STORE_WARNING			/* backups are in danger, or writing will fail */
} BkcStoreLevel;

typedef struct BkcStoreFinding
{
	const char *what;			/* a short word: "versioning" */
	BkcStoreLevel level;
	const char *text;			/* as in a message: lower case, no full stop */
	const char *hint;			/* a sentence, or NULL */
} BkcStoreFinding;

typedef bool (*BkcStoreFindingEach) (void *arg, const BkcStoreFinding *finding, BkcError *err);

typedef struct BkcStoreSetupOps BkcStoreSetupOps;	/* setup.h */

/*
 * What a store has learned by the way about the place it is in: nothing is asked for it.  Times
 * are microseconds since 1970, 0 = not known.
 */
typedef struct BkcStoreFacts
{
	int64_t		answered;		/* when the place last did what it was asked, or said why not */
	int64_t		failed;			/* when it last did not answer, or did not let us */
	BkcError	error;			/* of that */
	bool		clock_known;
	int64_t		clock_ahead;	/* microseconds that its clock is ahead of ours, at the least */
	int64_t		certificate_until;	/* end of the server's, where there is TLS */
	int64_t		credentials_until;	/* they expire then, and could not be renewed */
} BkcStoreFacts;

typedef struct BkcStoreDriver
{
	const char *scheme;			/* "file" */
	const char *const *params;	/* own URL parameters, NULL-terminated */
	bool		(*check) (const BkcUrl *url, BkcError *err);	/* well formed?  Touches nothing. */
	bool		(*check_class) (const BkcUrl *url, const char *class,
								BkcError *err); /* or NULL: there are none */
	bool		(*open) (const BkcUrl *url, BkcStore **store, BkcError *err);
} BkcStoreDriver;

typedef struct BkcStoreOps
{
	bool		(*open_write) (BkcStore *store, const char *name, uint64_t expected_size,
							   BkcWriter **writer, BkcError *err);
	bool		(*open_read) (BkcStore *store, const char *name, uint64_t offset, uint64_t length,
							  BkcReader **reader, BkcError *err);
	bool		(*stat) (BkcStore *store, const char *name, uint64_t *size, BkcError *err);
	bool		(*sync) (BkcStore *store, const char *name, BkcError *err); /* or NULL */
	bool		(*list) (BkcStore *store, const char *prefix, bool deep,
						 bool (*each) (void *arg, const char *name, uint64_t size, BkcError *err),
						 void *arg, BkcError *err);
	bool		(*remove) (BkcStore *store, const char *const *names, size_t n, BkcError *err);
	bool		(*remove_versions) (BkcStore *store, const char *const *names, size_t n,
									BkcError *err); /* or NULL: as remove */
	bool		(*locked) (BkcStore *store, const char *name, int64_t *until,
						   BkcError *err);	/* or NULL: never */
	bool		(*hold) (BkcStore *store, const char *name, bool on,
						 BkcError *err);	/* or NULL: there are none */
	bool		(*remove_former) (BkcStore *store, const char *prefix,
								  BkcError *err);	/* or NULL: nothing to do */
	bool		(*try_class) (BkcStore *store, BkcError *err);	/* or NULL: there are none */
	bool		(*archived) (BkcStore *store, const char *prefix, BkcArchiveEach each, void *arg,
							 BkcError *err);	/* or NULL: nothing ever is */
	bool		(*thaw) (BkcStore *store, const char *name, int days,
						 BkcError *err);	/* or NULL: likewise */
	bool		(*sweep) (BkcStore *store, const char *prefix, BkcError *err);
	bool		(*tidy) (BkcStore *store, const char *prefix, uint64_t seconds, uint64_t *n,
						 BkcError *err);	/* or NULL: nothing to do */
	bool		(*describe) (BkcStore *store, BkcStoreFindingEach each, void *arg,
							 BkcError *err);	/* or NULL: nothing to say */
	const BkcStoreSetupOps *setup;	/* or NULL */
	bool		(*space) (BkcStore *store, uint64_t *free_bytes, BkcError *err);
	void		(*close) (BkcStore *store);
} BkcStoreOps;

typedef struct BkcWriterOps
{
	bool		(*write) (BkcWriter *writer, const void *data, size_t len, BkcError *err);
	bool (*commit_begin)(BkcWriter *writer);	/* or NULL: never under way */
	bool		(*commit) (BkcWriter *writer, BkcError *err);
	void		(*close) (BkcWriter *writer);	/* discards what is not committed */
} BkcWriterOps;

typedef struct BkcReaderOps
{
	bool		(*read) (BkcReader *reader, void *buf, size_t len, size_t *got, BkcError *err);
	void		(*close) (BkcReader *reader);
} BkcReaderOps;

/* Base structs: the first member of a driver's own. */
struct BkcStore
{
	const BkcStoreOps *ops;
	uint32_t	caps;			/* BKC_CAP_X, set by the driver's open */
	char	   *location;		/* URL without parameters, for messages; set and freed below */

	/*
	 * Bytes of the files of the backup whose manifest is being written, for drivers that keep
	 * metadata beside objects; 0 when not known.
	 */
	uint64_t	backup_size;

	/* "" = the place's own; set by open from the URL, then by bkc_store_use_class() */
	char		class[BKC_STORE_CLASS_MAX];

	BkcStoreFacts facts;		/* drivers: by the calls below; the rest is kept below */

	/* told when the store is closed, before anything else; must not fail.  NULL: nobody */
	void		(*leaving) (struct BkcStore *store, void *arg);
	void	   *leaving_arg;

	/* what seals and opens its objects (pipe/keyring.h); NULL: no key.  Released by close. */
	struct BkcKeyring *keys;
	void		(*release_keys) (struct BkcKeyring *keys);
};

struct BkcWriter
{
	const BkcWriterOps *ops;
	BkcStore   *store;			/* kept below, as what follows */
	bool		whole;			/* commit_begin was called: nothing more is written */
	bool		ended;			/* a write failed or commit was called */
};

struct BkcReader
{
	const BkcReaderOps *ops;
	BkcStore   *store;			/* kept below */
};

/*
 * Parameters that belong to the repository rather than to a driver
 * (compression, ...) are accepted by every driver.
 */
extern const char *const bkc_store_common_params[];

/* Start of a component that no object's name may have: drivers use it for unfinished writes. */
#define BKC_STORE_TMP_PREFIX	".tmp-"

/* Look the scheme up, check the URL, open.  Touches the network or disk as little as possible. */
extern bool bkc_store_open(const BkcUrl *url, BkcStore **store, BkcError *err);

/* Scheme and parameters known and well formed?  Touches nothing.  For the server's setting. */
extern bool bkc_store_check_url(const BkcUrl *url, BkcError *err);
extern void bkc_store_close(BkcStore *store);

/* expected_size is a hint (part sizes), 0 when unknown. */
extern bool bkc_store_open_write(BkcStore *store, const char *name, uint64_t expected_size,
								 BkcWriter **writer, BkcError *err);

/* After a failure only close may follow. */
extern bool bkc_writer_write(BkcWriter *writer, const void *data, size_t len, BkcError *err);

/*
 * Begin the commit without waiting for its end.  true: it is under way.  Until
 * bkc_writer_commit() the store may be used for other things, several such writers among them;
 * whatever moves transfers of the store moves this one along, and so does calling this again.
 * false: commit has everything to do.  Errors are commit's, too; nothing may be written
 * any more in either case.
 *
 * Closed without commit, the object is there or not, or comes a moment later, whole: as when the
 * reply to a commit was lost.
 */
extern bool bkc_writer_commit_begin(BkcWriter *writer);

/* After commit, successful or not, only close may follow. */
extern bool bkc_writer_commit(BkcWriter *writer, BkcError *err);
extern void bkc_writer_close(BkcWriter *writer);

/* length bytes from offset; UINT64_MAX = to the end.  A range beyond the end is cut there. */
extern bool bkc_store_open_read(BkcStore *store, const char *name, uint64_t offset, uint64_t length,
								BkcReader **reader, BkcError *err);

/* Fills buf; *got < len only at the end of the range or object. */
extern bool bkc_reader_read(BkcReader *reader, void *buf, size_t len, size_t *got, BkcError *err);
extern void bkc_reader_close(BkcReader *reader);

extern bool bkc_store_stat(BkcStore *store, const char *name, uint64_t *size, BkcError *err);

/* Make durable an object that was seen.  Whether it is still there is not asked everywhere. */
extern bool bkc_store_sync(BkcStore *store, const char *name, BkcError *err);

/*
 * Call each() for every object below prefix in byte order of names (full
 * names).  With deep == false only one level: names of objects directly
 * below, and "folders" as prefixes that end with '/' (size 0).  each()
 * returning false ends the listing with its error.  Unfinished writes are
 * never listed.  each() must not change the store.
 */
extern bool bkc_store_list(BkcStore *store, const char *prefix, bool deep,
						   bool (*each) (void *arg, const char *name, uint64_t size, BkcError *err),
						   void *arg, BkcError *err);

extern bool bkc_store_remove(BkcStore *store, const char *const *names, size_t n, BkcError *err);

/*
 * Remove objects for good: also former versions of them that the repository
 * keeps, and the marks it makes of their removal.  BKC_ERR_STATE when an object
 * lock forbids it, with the time until when; that object's newer versions and
 * the names after it are left as they are.
 */
extern bool bkc_store_remove_versions(BkcStore *store, const char *const *names, size_t n,
									  BkcError *err);

/*
 * The same for everything below prefix, also for names that no listing shows any more because they
 * were removed, and only their former versions are left.  Objects stay where there are no versions.
 */
extern bool bkc_store_remove_former(BkcStore *store, const char *prefix, BkcError *err);

/*
 * Until when an object lock forbids to remove the object for good: microseconds since 1970,
 * 0 = it does not, BKC_STORE_HELD = until somebody ends a legal hold.  A missing object is not
 * locked.
 */
#define BKC_STORE_HELD	INT64_MAX
extern bool bkc_store_locked(BkcStore *store, const char *name, int64_t *until, BkcError *err);

/*
 * Set or end a legal hold on an object.  BKC_ERR_UNSUPPORTED where the repository has no such
 * thing: then the note beside the backup is all there is.
 */
extern bool bkc_store_hold(BkcStore *store, const char *name, bool on, BkcError *err);

/*
 * ---- storage classes ----
 *
 * The packs of copy workers (bkc_name_is_bulk), nearly all of a backup, may be in a class of their
 * own: a cheaper one, and perhaps an archive, from which nothing can be read before a thaw was
 * requested and hours have passed.  Whatever lists, checks, expires or catalogues backups, or
 * recovers, reads other objects; those are never put into an archive.
 */

/* Can objects of that repository be in that class, as far as can be known without asking? */
extern bool bkc_store_check_class(const BkcUrl *url, const char *class, BkcError *err);

/* Write packs into that class from now on; "" is no change.  For a class that was checked. */
extern bool bkc_store_use_class(BkcStore *store, const char *class, BkcError *err);

/* Ask whether the repository knows the class of packs to be written; leaves nothing behind. */
extern bool bkc_store_try_class(BkcStore *store, BkcError *err);

/* Call each() for every object below prefix that is in an archive, thawed or not. */
extern bool bkc_store_archived(BkcStore *store, const char *prefix, BkcArchiveEach each, void *arg,
							   BkcError *err);

/*
 * Request that an object in an archive can be read for that many days, begun when it can.  The
 * provider bills it.  True as well when it was requested before.
 */
extern bool bkc_store_thaw(BkcStore *store, const char *name, int days, BkcError *err);

/*
 * Remove what unfinished writes below prefix have left behind (temporary
 * files, multipart uploads) and empty folders.  Only for prefixes that the
 * caller owns and to which nobody is writing.
 */
extern bool bkc_store_sweep(BkcStore *store, const char *prefix, BkcError *err);

/*
 * The same for unfinished writes to which nothing was added for that many
 * seconds by the clock of the repository, so that others may be writing
 * meanwhile: old ones are nobody's any more.  *n is how many there were.  Only drivers whose
 * unfinished writes cost money have something to do.
 */
#define BKC_STORE_OLD_SECONDS	86400
extern bool bkc_store_tidy(BkcStore *store, const char *prefix, uint64_t seconds, uint64_t *n,
						   BkcError *err);

/*
 * What the place of the repository says about itself, and what was learned about it by the way
 * (BkcStoreFacts): each() is called for every finding, and may end it with its error.  What must
 * not be asked is a finding, too; false means that the repository does not answer.  Read only.
 */
extern bool bkc_store_describe(BkcStore *store, BkcStoreFindingEach each, void *arg,
							   BkcError *err);

/* Free bytes for BKC_CAP_SPACE stores; BKC_ERR_UNSUPPORTED otherwise. */
extern bool bkc_store_space(BkcStore *store, uint64_t *free_bytes, BkcError *err);

/*
 * A reachable and writable repository?  Writes, reads back, lists and removes
 * a small object "probe/<who>/<random>", after clearing what a probe of the
 * same caller has left there, and tries its class.  who is one component of a name, and only one
 * process uses it at a time.  Errors say which step failed.
 */
extern bool bkc_store_probe(BkcStore *store, const char *who, BkcError *err);

/* ---- facts.c, for drivers and store.c ---- */

/* A call has ended well, or with that error; returns ok. */
extern bool bkc_store_note(BkcStore *store, bool ok, const BkcError *err);

/* What is known, as findings. */
extern bool bkc_store_tell_facts(const BkcStore *store, BkcStoreFindingEach each, void *arg,
								 BkcError *err);

/* The place said a time of its clock in [theirs, theirs + step), since our clock showed since. */
extern void bkc_store_note_clock(BkcStore *store, int64_t theirs, int64_t step, int64_t since);

/* Test doubles (compiled always, reachable only through these calls). */
extern bool bkc_store_memory_new(BkcStore **store, BkcError *err);

/* Another handle on the objects of a memory store; each is closed by itself. */
extern bool bkc_store_memory_share(BkcStore *store, BkcStore **other, BkcError *err);

/*
 * A store that passes everything to inner (which it owns, also when this call
 * fails) and fails the n-th call (from 1; every operation of store, writer and
 * reader counts, but for close) with that code, without doing anything; 0
 * never.  *calls counts, may be NULL.
 */
extern bool bkc_store_faulty_new(BkcStore *inner, uint64_t fail_at, BkcErrorCode code,
								 uint64_t *calls, BkcStore **store, BkcError *err);

#endif							/* BKC_STORE_STORE_H */
