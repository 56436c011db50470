/*
 * refusal.c
 *		See refusal.h.
 */
#include "pgcompat.h"

#include "base/text.h"
#include "refusal.h"

bool
bkc_refuse_other(const BkcClaim *c, BkcError *err)
{
	char		since[40];

	bkc_format_moment(c->doc.time, false, since, sizeof(since));
	bkc_error_set(err, BKC_ERR_STATE, "repository \"%s\" belongs to another data directory",
				  c->repo->name);
	if (c->doc.successor != 0)
	{
		bkc_error_detail(err, "Since %s the cluster of this server is the predecessor of cluster %llu, which has adopted it from \"%s\" on host \"%s\".",
						 since, (unsigned long long) c->doc.successor, c->doc.data_directory,
						 c->doc.host);
		return bkc_error_hint(err, "If it was started by mistake, stop it.  If it is to go on instead of its successor, run SELECT backup_take_over('%s').  If it is a copy, set pg_backupctl.enabled to off.",
							  c->repo->name);
	}
	bkc_error_detail(err, "Since %s it belongs to \"%s\" on host \"%s\", then on timeline %u.",
					 since, c->doc.data_directory, c->doc.host, c->doc.timeline);
	return bkc_error_hint(err, "If this server is the successor, run SELECT backup_take_over('%s').  If it is a copy, set pg_backupctl.enabled to off.",
						  c->repo->name);
}

/* Nobody can say whose it is. */
bool
bkc_refuse_damaged(const BkcClaim *c, BkcError *err)
{
	/* not damaged: the key is missing, and that is all there is to say */
	if (c->damage.code == BKC_ERR_KEY)
	{
		*err = c->damage;
		return bkc_error_context(err, "repository \"%s\" does not tell its owner", c->repo->name);
	}
	bkc_error_set(err, BKC_ERR_STATE, "repository \"%s\" does not tell its owner",
				  c->repo->name);
	bkc_error_detail(err, "%s.", c->damage.message);
	return bkc_error_hint(err, c->damage.code == BKC_ERR_UNSUPPORTED ?
						  "A newer version of pg_backupctl has written it; use that one here, too.  If this server is the owner all the same, run SELECT backup_take_over('%s')." :
						  "If this server is the owner, run SELECT backup_take_over('%s').",
						  c->repo->name);
}

bool
bkc_refuse_twin(const BkcClaim *c, BkcError *err)
{
	char		since[40];

	bkc_format_moment(c->doc.time, false, since, sizeof(since));
	bkc_error_set(err, BKC_ERR_STATE, "two servers with the same identity write to repository \"%s\"",
				  c->repo->name);
	bkc_error_detail(err, "One is a copy of the other, made of blocks (a storage snapshot, a machine image).  That was found at %s by \"%s\" on host \"%s\"; neither writes any more.",
					 since, c->doc.data_directory, c->doc.host);
	return bkc_error_hint(err, "Set pg_backupctl.enabled to off on the copy, and run SELECT backup_take_over('%s') on the other one.",
						  c->repo->name);
}

/* The owner's identity is ours, but its story is not. */
bool
bkc_refuse_old_copy(const BkcClaim *c, BkcError *err)
{
	bkc_error_set(err, BKC_ERR_STATE, "this server is an older copy of the one that writes to repository \"%s\"",
				  c->repo->name);
	return bkc_error_hint(err, "Let it go on from what the repository holds: restore with \"pg_backupctl restore --take-over\".  If what the repository holds beyond this point is to be left behind, run SELECT backup_take_over('%s').",
						  c->repo->name);
}

bool
bkc_refuse_beyond(const BkcBeyond *beyond, TimeLineID timeline, XLogRecPtr here, BkcError *err)
{
	char		reach[32];
	char		mine[32];
	char		size[32];

	bkc_format_lsn(beyond->end, reach, sizeof(reach));
	bkc_format_lsn(here, mine, sizeof(mine));
	bkc_format_size(beyond->end - here, size, sizeof(size));
	return bkc_error_detail(err, "Object \"%s\" holds WAL of timeline %u up to %s, this server had it up to %s: at least %s less.",
							beyond->name, timeline, reach, mine, size);
}
