/*
 * streamline.c
 *		See streamline.h.
 *
 * Order is what makes chunks trustworthy: chunks of a segment are sent when the
 * segment before it is whole in the repository, and removed when their own is.  So a reader
 * that finds chunks of a segment without whole object knows that they are the end.
 *
 * A process that dies between two steps leaves chunks that continue its generation (the next
 * streamer of this life of the shared memory goes on behind them) or chunks beside a whole
 * segment (found at the next streamer's start).
 */
#include "pgcompat.h"

#include <unistd.h>

#include "access/xlog_internal.h"
#include "base/fault.h"
#include "base/file.h"
#include "base/host.h"
#include "chunktidy.h"
#include "errors.h"
#include "keys.h"
#include "knowncluster.h"
#include "miscadmin.h"
#include "ownership.h"
#include "pipe/walobj.h"
#include "settings.h"
#include "streamline.h"
#include "walbeyond.h"
#include "walhelper.h"
#include "walshared.h"

#define ROUND_MIN_MS	10000	/* a round may take that long, or rpo_target if that is longer, */
#define ROUND_BYTES		1000	/* and a millisecond for each so many, up to archive_timeout */
#define LOOK_MS			200		/* for a segment that is on its way */
#define ASK_MS			1000	/* first pause between two questions to the repository for it */
#define ASK_MAX_MS		5000
#define HELP_MS			500		/* so long it may wait for the archiver; then helpers are called */
#define FEW_CHUNKS		256		/* of one generation */
#define SMALL_CHUNK		65536	/* see too_many() */
#define RETRY_MS		1000
#define RETRY_DOUBLINGS 5		/* half a minute */
#define IDLE_MS			1000

typedef struct Line
{
	uint64		url_hash;
	BkcStore   *store;
	BkcWalWriter *writer;
	BkcCodec	codec;
	int			level;

	/* the open segment */
	TimeLineID	timeline;		/* 0 = none yet */
	XLogSegNo	segno;
	uint32		receiver;
	bool		cleared;		/* what comes before it is durable there */
	TimestampTz waits_since;	/* for that; 0 = not seen yet */
	TimestampTz ask_at;			/* no question about that before */
	int			ask_ms;
	bool		begun;			/* these are known: */
	uint64		generation;
	XLogRecPtr	shipped;
	uint32		chunks;			/* sent by this process since it began */
	int			collisions;		/* in a row: a chunk of our generation was there already */
	TimestampTz chunk_at;		/* start of the last chunk */

	bool		swept;			/* chunks that others have left are in there: */
	BkcTidy		tidy;

	/* trouble */
	int			failures;		/* in a row */
	bool		refused;		/* not the owner, as shared memory said then */
	TimestampTz retry_at;
	char		message[BKC_ERROR_MESSAGE_MAX]; /* logged */
} Line;

static Line lines[BKC_MAX_REPOS];

static TimestampTz round_deadline = 0;

static bool
past_deadline(void)
{
	return GetCurrentTimestamp() >= round_deadline;
}

static TimestampTz
in_ms(int ms)
{
	return TimestampTzPlusMilliseconds(GetCurrentTimestamp(), ms);
}

static int64
unix_time(TimestampTz time)
{
	return (int64) time + (int64) (POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * USECS_PER_DAY;
}

static void
line_close(Line *line)
{
	bkc_walwriter_close(&line->writer);
	bkc_store_close(line->store);
	line->store = NULL;
}

void
bkc_streamline_reload(const BkcRepoList *list)
{
	bool		used[BKC_MAX_REPOS] = {0};

	for (size_t i = 0; i < list->count; i++)
	{
		int			repo = bkc_wal_repo(&list->items[i]);

		if (repo < 0)
			continue;
		used[repo] = true;
		bkc_ownership_seen(repo);

		/* what was wrong may have been mended just now */
		lines[repo].retry_at = 0;
		if (lines[repo].url_hash == bkc_wal->repos[repo].url_hash)
			continue;
		line_close(&lines[repo]);
		memset(&lines[repo], 0, sizeof(Line));
		lines[repo].url_hash = bkc_wal->repos[repo].url_hash;
	}
	for (int i = 0; i < BKC_MAX_REPOS; i++)
		if (!used[i])
		{
			line_close(&lines[i]);
			memset(&lines[i], 0, sizeof(Line));
		}
}

/* ---- the repository ---- */

static bool
line_open(const BkcRepoDef *def, Line *line, BkcError *err)
{
	BkcCodec	codec;
	int			level;

	if (line->store != NULL && bkc_repo_keys_changed(def, line->store))
		line_close(line);
	if (line->store == NULL)
	{
		if (!bkc_repo_open(def, &line->store, err))
			return false;
		if (!bkc_known_cluster(def, line->store, err))
		{
			line_close(line);
			return false;
		}
	}
	if (!bkc_ownership_check(def, line->store, err))
		return false;
	bkc_settings_codec(def, NULL, &codec, &level);
	if (line->writer != NULL && line->codec == codec && line->level == level)
		return true;
	bkc_walwriter_close(&line->writer);
	line->codec = codec;
	line->level = level;
	return bkc_walwriter_new(line->store, GetSystemIdentifier(), codec, level, &line->writer, err);
}

/* ---- what comes before the open segment ---- */

/*
 * On which timeline was that segment completed?  Without a history our timeline is the first there
 * is (pg_resetwal can give it any number), as the server sees it, too.
 */
static bool
timeline_of(TimeLineID timeline, XLogSegNo segno, TimeLineID *of, BkcError *err)
{
	BkcHistoryEntry *entries;
	size_t		n;

	if (!bkc_server_history(timeline, &entries, &n, err) && err->code != BKC_ERR_NOT_FOUND)
		return false;
	*of = bkc_history_timeline(entries, n, timeline, segno);
	free(entries);
	return true;
}

/*
 * A file that waits for the archiver must be in the repository, with our content.  One that does
 * not wait was reported, or never will be (archiving was off, or it came from the old primary): no
 * reason to wait.
 */
static bool
file_durable(Line *line, const char *file, bool known, bool *durable, BkcError *err)
{
	BkcHeld		held;

	*durable = known || !bkc_tidy_is_ready(file);
	if (*durable || line->ask_at > GetCurrentTimestamp())
		return true;
	if (!bkc_wal_held(line->store, file, &held, err))
		return false;
	if (held == BKC_HELD_OTHER)
		return bkc_error_set(err, BKC_ERR_EXISTS, "the repository holds WAL file \"%s\" with other content than this server's",
							 file) ||
			bkc_error_hint(err, "No chunks of what comes after it are sent.  See backup_wal_conflict_resolve().");
	*durable = held != BKC_HELD_ABSENT;
	return true;
}

static bool
check_before(Line *line, int repo, BkcError *err)
{
	TimeLineID	timeline;
	char		file[MAXFNAMELEN];
	bool		durable = true;

	if (!timeline_of(line->timeline, line->segno - 1, &timeline, err))
		return false;
	XLogFileName(file, timeline, line->segno - 1, wal_segment_size);
	if (!file_durable(line, file, bkc_tidy_known(repo, timeline, line->segno - 1), &durable, err))
		return false;
	if (durable && line->timeline > 1)
	{
		/* nobody finds the way to this timeline without its history */
		TLHistoryFileName(file, line->timeline);
		if (!file_durable(line, file, false, &durable, err))
			return false;
	}
	line->cleared = durable;
	if (!durable && line->waits_since == 0)
		line->waits_since = GetCurrentTimestamp();

	/* the archiver may sleep for a minute, or be busy with another repository */
	if (!durable && TimestampDifferenceExceeds(line->waits_since, GetCurrentTimestamp(), HELP_MS))
		bkc_walhelpers_start();
	if (!durable && line->ask_at <= GetCurrentTimestamp())
	{
		line->ask_ms = line->ask_ms == 0 ? ASK_MS : Min(line->ask_ms * 2, ASK_MAX_MS);
		line->ask_at = in_ms(line->ask_ms);
	}
	return true;
}

/* ---- one chunk ---- */

/*
 * Which generation, and from where: ours goes on where it ended, even if
 * another process sent it; otherwise a new one that is higher than all others.
 */
static bool
begin_segment(Line *line, const char *file, XLogRecPtr flush, BkcError *err)
{
	uint64_t	newest;
	uint64_t	end;

	if (!bkc_wal_chunks_newest(line->store, GetSystemIdentifier(), file, &newest, &end, err))
		return false;
	line->shipped = line->segno * wal_segment_size;
	LWLockAcquire(bkc_wal->lock, LW_EXCLUSIVE);
	if (newest == bkc_wal->generation && end <= flush && line->collisions < 2)
		line->shipped = Max(line->shipped, end);
	else if (newest >= bkc_wal->generation)
		bkc_wal->generation = newest + 1;
	line->generation = bkc_wal->generation;
	LWLockRelease(bkc_wal->lock);
	line->begun = true;
	line->chunks = 0;
	if (newest != 0)
		bkc_tidy_add(&line->tidy, line->timeline, line->segno, 0);
	return true;
}

/*
 * A segment may stay open for weeks, and whoever restores it has to read all chunks of a
 * generation.  When they have become many and small, the next one begins a new generation
 * with all there is: that costs less than SMALL_CHUNK bytes for each.
 */
static bool
too_many(const Line *line)
{
	return line->chunks >= FEW_CHUNKS &&
		line->shipped - line->segno * wal_segment_size <= (uint64) line->chunks * SMALL_CHUNK;
}

static void
begin_generation(Line *line)
{
	LWLockAcquire(bkc_wal->lock, LW_EXCLUSIVE);
	bkc_wal->generation = Max(bkc_wal->generation, line->generation) + 1;
	line->generation = bkc_wal->generation;
	LWLockRelease(bkc_wal->lock);
	line->shipped = line->segno * wal_segment_size;
	line->chunks = 0;
}

static void
note_chunk(Line *line, int repo, const BkcStreamPoint *point, uint64 stored)
{
	BkcRepoState *state = &bkc_wal->repos[repo];

	LWLockAcquire(bkc_wal->lock, LW_EXCLUSIVE);
	state->chunks++;
	state->chunk_bytes += stored;
	if (state->shipped_tli != line->timeline || state->shipped_lsn < line->shipped)
	{
		state->shipped_tli = line->timeline;
		state->shipped_lsn = line->shipped;
		state->shipped_time = point->taken;
	}
	LWLockRelease(bkc_wal->lock);
}

static bool
send_chunk(Line *line, int repo, const BkcStreamPoint *point, BkcError *err)
{
	XLogRecPtr	start = line->segno * wal_segment_size;
	char		file[MAXFNAMELEN];
	char		path[MAXPGPATH];
	uint64_t	stored;
	int			fd;
	bool		ok;

	XLogFileName(file, line->timeline, line->segno, wal_segment_size);
	XLogFilePath(path, line->timeline, line->segno, wal_segment_size);
	if (!line->begun && !begin_segment(line, file, point->flush, err))
		return false;
	if (point->flush <= line->shipped)
		return true;
	if (too_many(line))
		begin_generation(line);
	fd = bkc_file_open_read(path, err);
	if (fd < 0)
		return err->code == BKC_ERR_NOT_FOUND;	/* completed, archived and gone already */
	ok = bkc_fault(BKC_FAULT_CHUNK_SEND, err) &&
		bkc_walwriter_chunk(line->writer, file, wal_segment_size, line->generation,
							(uint32) (line->shipped - start),
							(uint32) (point->flush - line->shipped), fd, path,
							unix_time(point->taken), &stored, err) &&
		bkc_fault(BKC_FAULT_CHUNK_STORED, err);
	close(fd);
	bkc_tidy_add(&line->tidy, line->timeline, line->segno, line->generation);
	if (!ok)
	{
		/* whether it was stored is not known: look again */
		line->begun = false;
		if (err->code != BKC_ERR_EXISTS)
			return false;
		line->collisions++;
		line->chunk_at = 0;
		return true;
	}
	line->collisions = 0;
	line->chunks++;
	line->shipped = point->flush;
	note_chunk(line, repo, point, stored);
	return true;
}

/* ---- one round ---- */

/* The segment that is open now becomes this line's. */
static void
follow(Line *line, const BkcStreamPoint *point)
{
	XLogSegNo	segno;

	XLByteToSeg(point->flush, segno, wal_segment_size);

	/* a standby that ships the same WAL may have left chunks behind ours */
	if (segno / XLogSegmentsPerXLogId(wal_segment_size) !=
		line->segno / XLogSegmentsPerXLogId(wal_segment_size))
		line->swept = false;
	if (line->timeline != point->timeline || line->segno != segno)
	{
		line->timeline = point->timeline;
		line->segno = segno;
		line->tidy.timeline = line->timeline;
		line->tidy.open = segno;
		line->cleared = segno == 0;
		line->waits_since = 0;
		line->ask_at = 0;
		line->ask_ms = 0;
		line->begun = false;
	}
	if (line->receiver != point->receiver)
	{
		line->receiver = point->receiver;
		line->begun = false;
	}
}

/* Is there anything new that could be sent? */
static bool
is_behind(const Line *line, const BkcStreamPoint *point)
{
	return point->ship && bkc_set_rpo_target > 0 &&
		point->flush > line->segno * wal_segment_size &&
		(!line->begun || point->flush > line->shipped);
}

static bool
round_work(const BkcRepoDef *def, Line *line, int repo, const BkcStreamPoint *point, bool send,
		   BkcError *err)
{
	if (send)
	{
		if (!line_open(def, line, err) ||
			(!line->cleared && !check_before(line, repo, err)))
			return false;
		if (line->cleared)
		{
			line->chunk_at = point->taken;
			if (!send_chunk(line, repo, point, err))
				return false;
			if (!line->swept && !bkc_tidy_find(&line->tidy, line->store, err))
				return false;
			line->swept = !line->tidy.more;
		}
	}
	return !bkc_tidy_due(&line->tidy, repo) ||
		(line_open(def, line, err) &&
		 bkc_tidy_run(&line->tidy, line->store, repo, err));
}

/* sqlstate 0: all is well. */
static void
note_report(Line *line, int repo, const BkcReport *report)
{
	LWLockAcquire(bkc_wal->lock, LW_EXCLUSIVE);
	bkc_wal->repos[repo].chunk_error = *report;
	line->refused = bkc_wal->repos[repo].refusal.sqlstate != 0;
	LWLockRelease(bkc_wal->lock);

	/* a repository that is away must not fill the log */
	if (report->sqlstate != 0 && strcmp(line->message, report->message) != 0)
		bkc_ereport_report(WARNING, report);
	strlcpy(line->message, report->message, sizeof(line->message));
}

static void
note_failure(Line *line, int repo, const BkcReport *report)
{
	note_report(line, repo, report);
	line->retry_at = in_ms(RETRY_MS << Min(line->failures, RETRY_DOUBLINGS));
	line->failures++;

	/* when the repository is back it may hold something else: look again before going on */
	line->cleared = line->segno == 0;
	line->ask_at = 0;
	line->begun = false;
	line_close(line);
}

static void
round_failed(const BkcRepoDef *def, Line *line, int repo, BkcError *err)
{
	BkcReport	report;

	if (err->code == BKC_ERR_CANCELLED)
	{
		CHECK_FOR_INTERRUPTS();
		if (!past_deadline())
			ereport(FATAL,
					(errcode(ERRCODE_QUERY_CANCELED),
					 errmsg("the WAL streamer was interrupted")));
		bkc_error_set(err, BKC_ERR_TIMEOUT, "time is up for sending WAL chunks");
	}
	bkc_error_context(err, "repository \"%s\"", def->name);
	bkc_report_from_error(&report, err);
	note_failure(line, repo, &report);
}

/* Also what another process has noted has passed, unless there is trouble that does not stop us. */
static void
round_succeeded(const BkcRepoDef *def, Line *line, int repo)
{
	BkcReport	report = {0};
	BkcError	err;

	if (line->failures > 0)
		ereport(LOG, (errmsg("repository \"%s\": WAL chunks are sent again", def->name)));
	line->failures = 0;
	line->retry_at = 0;
	if (bkc_tidy_trouble(&line->tidy, &err))
	{
		bkc_error_context(&err, "repository \"%s\"", def->name);
		bkc_report_from_error(&report, &err);
	}
	note_report(line, repo, &report);
	bkc_seen_publish(line->store);
}

/* How long a round may take: the first chunk of a generation may be a whole segment. */
static int
round_ms(const Line *line, const BkcStreamPoint *point)
{
	int			least = Max(ROUND_MIN_MS, bkc_set_rpo_target * 1000);
	XLogRecPtr	from = line->begun ? line->shipped : line->segno * wal_segment_size;
	uint64		bytes = point->ship && point->flush > from ? point->flush - from : 0;

	return Max(least, Min(least + (int) (bytes / ROUND_BYTES), bkc_set_archive_timeout * 1000));
}

/* A refusal that was lifted (backup_take_over()) is no reason to wait any longer. */
static bool
may_try(Line *line, int repo)
{
	bool		lifted = false;

	if (line->refused)
	{
		LWLockAcquire(bkc_wal->lock, LW_SHARED);
		lifted = bkc_wal->repos[repo].refusal.sqlstate == 0;
		LWLockRelease(bkc_wal->lock);
	}
	return lifted || line->retry_at <= GetCurrentTimestamp();
}

TimestampTz
bkc_streamline_round(const BkcRepoDef *def, int repo, void (*sample) (BkcStreamPoint *point))
{
	Line	   *line = &lines[repo];
	BkcStreamPoint point;
	TimestampTz due;
	BkcError	err;
	bool		send;
	bool		ok;

	if (!may_try(line, repo))
		return line->retry_at;
	sample(&point);
	if (point.ship)
		follow(line, &point);
	due = TimestampTzPlusMilliseconds(line->chunk_at, (int64) bkc_set_rpo_target * 1000);
	send = is_behind(line, &point) && due <= point.taken;
	if (!send && !bkc_tidy_due(&line->tidy, repo))
		return is_behind(line, &point) ? due : in_ms(IDLE_MS);

	round_deadline = in_ms(round_ms(line, &point));
	bkc_error_clear(&err);
	bkc_host_watch(past_deadline);
	ok = round_work(def, line, repo, &point, send, &err);
	bkc_host_watch(NULL);
	if (!ok)
		round_failed(def, line, repo, &err);
	else if (!send || line->cleared)
		round_succeeded(def, line, repo);
	if (!ok)
		return line->retry_at;
	return in_ms(send && !line->cleared ? LOOK_MS : IDLE_MS);
}

void
bkc_streamline_failed(const BkcRepoDef *def, int repo, const ErrorData *edata)
{
	BkcReport	report;

	bkc_host_watch(NULL);
	bkc_report_from_errordata(&report, edata);
	note_failure(&lines[repo], repo, &report);
}
