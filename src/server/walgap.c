/*
 * walgap.c
 *		See walgap.h.
 */
#include "pgcompat.h"

#include "access/xlog_internal.h"
#include "base/host.h"
#include "chunktidy.h"
#include "clock.h"
#include "expireplan.h"
#include "miscadmin.h"
#include "pipe/walobj.h"
#include "walgap.h"

#define MAY_COME_MINUTES	10		/* what is missing for longer will not come */

typedef struct Look
{
	bool		waits;			/* for our archiver */
	bool		there;
} Look;

/* At a segment that was not in the repository; false when it cannot be asked. */
static bool
look_for(BkcStore *store, TimeLineID timeline, XLogSegNo segno, Look *look, BkcError *err)
{
	char		file[MAXFNAMELEN];
	char		name[BKC_NAME_MAX];

	XLogFileName(file, timeline, segno, wal_segment_size);

	/* in this order: it ceases to wait when it is there */
	look->waits = bkc_tidy_is_ready(file);
	look->there = bkc_wal_find(store, GetSystemIdentifier(), file, name, err);
	return look->there || err->code == BKC_ERR_NOT_FOUND;
}

bool
bkc_walgap_state(BkcStore *store, const BkcWalGap *gap, bool owner, BkcWalGapState *state,
				 BkcError *err)
{
	uint32_t	timeline;
	uint64_t	first;
	uint64_t	there = 0;

	*state = BKC_GAP_LOST;
	if (!gap->recent ||
		!bkc_wal_segment_parse(gap->first, (uint32_t) wal_segment_size, &timeline, &first))
		return true;
	for (uint64_t i = 0; i < gap->count; i++)
	{
		Look		look;

		if (!look_for(store, timeline, first + i, &look, err))
			return false;
		there += look.there;
		if (look.there || (owner && look.waits))
			continue;
		if (!owner && bkc_host->now() - gap->before_time < MAY_COME_MINUTES * USECS_PER_MINUTE)
			*state = BKC_GAP_MAY_COME;
		return true;
	}
	*state = there == gap->count ? BKC_GAP_CLOSED : BKC_GAP_COMING;
	return true;
}

bool
bkc_walgap_before(const BkcWalGap *gap, const BkcBackupSpan *span)
{
	uint32_t	timeline;
	uint64_t	last;

	return span->timeline > gap->timeline ||
		(span->timeline == gap->timeline &&
		 bkc_wal_segment_parse(gap->last, (uint32_t) wal_segment_size, &timeline, &last) &&
		 span->start_lsn / (uint32_t) wal_segment_size > last);
}

/* Is it over before that time, and does a backup from before that time make do without it? */
static bool
is_expired(const BkcWalGap *gap, int64 begin, const BkcBackupSpan *spans, size_t nspans)
{
	if (gap->before_time == 0 || gap->before_time > begin)
		return false;
	for (size_t i = 0; i < nspans; i++)
		if (spans[i].stop_time <= begin && bkc_walgap_before(gap, &spans[i]))
			return true;
	return false;
}

size_t
bkc_walgap_drop_expired(const char *repository, BkcWalGap *gaps, size_t n,
						const BkcBackupSpan *spans, size_t nspans)
{
	int64		window = n > 0 ? bkc_expireplan_window(repository) : BKC_RETENTION_UNLIMITED;
	int64		begin;
	size_t		left = 0;

	if (window == BKC_RETENTION_UNLIMITED)
		return n;
	begin = bkc_clock_to_unix(bkc_clock_now()) - window * USECS_PER_SEC;
	for (size_t i = 0; i < n; i++)
		if (!is_expired(&gaps[i], begin, spans, nspans))
			gaps[left++] = gaps[i];
	return left;
}
