/*
 * marks.h
 *		Marks: small files in our folder of the data directory that know their
 *		own inode, so that a copy of the directory does not have them.
 *
 *		owner		who this data directory is: <32 hex digits> <inode>
 *		takeover	restore --take-over left it: <inode>
 *		standby		it was seen streaming: <inode> <system identifier> <timeline>
 *		behind		WAL of our timeline was found beyond us: likewise
 *		taken		backup_take_over() accepted that: likewise
 *		clock		the clock has jumped: likewise, and by how many microseconds
 *		hole.<place>	lost WAL is to be looked for in that repository, or (with a note)
 *					was: likewise, and <first segment> <last segment>
 *
 * A mark is used up for one repository after the other: each adds a line
 * "used <repository>" to the file, which keeps its inode.  (In "behind"
 * and "taken" these lines say for which repositories they hold.)  Nothing here raises.
 */
#ifndef BKC_SERVER_MARKS_H
#define BKC_SERVER_MARKS_H

#include "pgcompat.h"

#include "base/error.h"
#include "format/documents.h"

#define BKC_MARK_STANDBY	"standby"
#define BKC_MARK_TAKEOVER	"takeover"
#define BKC_MARK_BEHIND		"behind"
#define BKC_MARK_TAKEN		"taken"
#define BKC_MARK_CLOCK		"clock"

#define BKC_MARK_HOLE		"hole"	/* and a dot, and the place */

#define BKC_MARK_NAME_MAX	32
#define BKC_MARK_NOTE_MAX	64
#define BKC_MARK_USED_MAX	4096	/* bytes of names */

typedef struct BkcMark
{
	bool		valid;			/* there is one, of this data directory and cluster */
	TimeLineID	timeline;		/* 0 in a takeover mark */
	char		note[BKC_MARK_NOTE_MAX];
	char		used[BKC_MARK_USED_MAX];	/* names, each ended by a line break */
} BkcMark;

/*
 * Is there one?  false: it could not be read, which says neither yes nor no.
 */
extern bool bkc_mark_read(const char *name, BkcMark *mark, BkcError *err);

/* Not, when it is not valid. */
extern bool bkc_mark_is_used(const BkcMark *mark, const char *repository);

/* A new one, not used by anybody, in place of what is there.  note: "" or one line. */
extern bool bkc_mark_write(const char *name, TimeLineID timeline, const char *note,
						   BkcError *err);

/* Add the line, if it is not there; durable.  BKC_ERR_STATE when there is no room. */
extern bool bkc_mark_use(const char *name, const char *repository, BkcError *err);

/* When it is there; a failure is logged. */
extern void bkc_mark_remove(const char *name);

/*
 * The identity of this data directory; made when there is proven to be none, or
 * anew in any case.
 */
extern bool bkc_identity_get(char owner[BKC_OWNER_ID_MAX], BkcError *err);
extern bool bkc_identity_renew(char owner[BKC_OWNER_ID_MAX], BkcError *err);

#endif							/* BKC_SERVER_MARKS_H */
