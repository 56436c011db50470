/*
 * setupwal.c
 *		backup_check(): archiving, and what can be restored (setupcheck.h).
 */
#include "pgcompat.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "access/xlog.h"
#include "access/xlog_internal.h"
#include "base/host.h"
#include "crypto/digest.h"
#include "format/names.h"
#include "pipe/walobj.h"
#include "setupcheck.h"
#include "storage/fd.h"
#include "utils/timestamp.h"
#include "walgap.h"

#define OLD_BACKUP_DAYS	7
#define GAPS_SHOWN		20
#define COMPARE_BUFFER	(256 * 1024)

/* ---- archiving ---- */

static const char *
full_text(const BkcWalStatus *s)
{
	if (s->full_seconds < 0)
		return "";
	return psprintf("; pg_wal's file system is full in about %.0f minutes", s->full_seconds / 60);
}

void
bkc_setup_archiver(BkcSetupCheck *c)
{
	BkcWalStatus *s = c->wal;
	const char *waiting;

	if (c->server.unable != NULL)
	{
		bool		standby = strcmp(c->server.unable, "standby") == 0;

		bkc_finding(c, "archiver", standby ? BKC_FINDING_OK : BKC_FINDING_WARNING,
					standby ? "this server is a standby; its primary archives" :
					"no WAL is sent here; see the checks of the server", NULL);
		return;
	}
	if (!bkc_walstatus_repo(&c->server, c->repo, s))
	{
		s->status = "unknown";
		return;
	}
	waiting = psprintf("%llu segments (%s) wait%s", (unsigned long long) s->backlog_segments,
					   bkc_finding_size(s->backlog), full_text(s));
	if (s->state.refusal.sqlstate != 0)
		bkc_finding_report(c, "archiver", BKC_FINDING_FAILED, &s->state.refusal);
	else if (c->server.trouble.sqlstate != 0)
		bkc_finding(c, "archiver", BKC_FINDING_FAILED,
					psprintf("%s; %s", c->server.trouble.message, waiting), c->server.trouble.hint);
	else if (s->state.failures_in_row > 0)
		bkc_finding(c, "archiver", BKC_FINDING_FAILED,
					psprintf("\"%s\" could not be archived, %u times in a row: %s; %s", s->state.failed_file,
							 s->state.failures_in_row, bkc_report_line(&s->state.error), waiting),
					s->state.error.hint);
	else if (strcmp(s->status, "hole") == 0)
		bkc_finding_report(c, "archiver", BKC_FINDING_FAILED, &s->state.error);
	else if (s->backlog_segments > 1)
		bkc_finding(c, "archiver", BKC_FINDING_WARNING, waiting,
					"If it grows, give it more WAL helpers (pg_backupctl.wal_workers), a faster repository or less compression.");
	else if (s->state.last_file[0])
		bkc_finding(c, "archiver", BKC_FINDING_OK,
					psprintf("the last file was \"%s\" at %s", s->state.last_file,
							 timestamptz_to_str(s->state.last_time)), NULL);
	else
		bkc_finding(c, "archiver", BKC_FINDING_OK, "nothing had to be archived since the server's start", NULL);
	if (s->state.chunk_error.sqlstate != 0)
		bkc_finding_report(c, "streamer", BKC_FINDING_WARNING, &s->state.chunk_error);
}

/* ---- what can be restored ---- */

static void
check_backups(BkcSetupCheck *c)
{
	const BkcBackupSpan *last = c->nspans > 0 ? &c->spans[c->nspans - 1] : NULL;
	int64		age = last != NULL ? bkc_host->now() - last->stop_time : 0;

	if (last == NULL)
		bkc_finding(c, "backup", BKC_FINDING_WARNING, "there is no complete backup", "SELECT backup_now('full').");
	else if (age > OLD_BACKUP_DAYS * USECS_PER_DAY)
		bkc_finding(c, "backup", BKC_FINDING_WARNING,
					psprintf("the newest of %zu backups, %s, is %d days old", c->nspans,
							 last->label, (int) (age / USECS_PER_DAY)),
					"Take backups regularly: a restore replays all WAL since the last one.");
	else
		bkc_finding(c, "backup", BKC_FINDING_OK,
					psprintf("the newest of %zu backups is %s, of %s", c->nspans,
							 last->label, bkc_finding_time(last->stop_time)), NULL);
}

/* Is it before the newest backup, so that restoring the present does not need it? */
static bool
gap_is_past(const BkcSetupCheck *c, const BkcWalGap *gap)
{
	for (size_t i = 0; i < c->nspans; i++)
		if (bkc_walgap_before(gap, &c->spans[i]))
			return true;
	return false;
}

static void
put_lost(BkcSetupCheck *c, const BkcWalGap *gap)
{
	bool		past = gap_is_past(c, gap);

	bkc_finding(c, "gap", past ? BKC_FINDING_WARNING : BKC_FINDING_FAILED,
				psprintf("timeline %u lacks %llu WAL segment%s, \"%s\" to \"%s\": no time between %s and %s can be restored",
						 gap->timeline, (unsigned long long) gap->count, gap->count == 1 ? "" : "s",
						 gap->first, gap->last, bkc_finding_time(gap->after_time),
						 bkc_finding_time(gap->before_time)),
				past ? "Later backups do not need them." :
				"Take a backup now: times after it can be restored without the missing segments.");
}

static void
put_coming(BkcSetupCheck *c, const BkcWalGap *gap, BkcWalGapState state)
{
	const char *text = psprintf("WAL from \"%s\" to \"%s\" is not there yet, while later segments are",
								gap->first, gap->last);

	if (state == BKC_GAP_MAY_COME)
		bkc_finding(c, "gap", BKC_FINDING_WARNING, psprintf("%s; it may be on its way", text),
					"Check again in some minutes.");
	else if (c->server.unable != NULL || strcmp(c->wal->status, "failing") == 0 ||
			 strcmp(c->wal->status, "refused") == 0)
		bkc_finding(c, "gap", BKC_FINDING_WARNING, psprintf("%s: it waits in pg_wal", text),
					"See the check of the archiver.");
	else
		bkc_finding(c, "gap", BKC_FINDING_OK, psprintf("%s: it is being sent", text), NULL);
}

static void
check_gaps(BkcSetupCheck *c)
{
	size_t		shown = 0;
	size_t		lost = 0;
	BkcError	err;

	for (size_t i = 0; i < c->ngaps; i++)
	{
		BkcWalGapState state;

		if (!bkc_walgap_state(c->store, &c->gaps[i], c->ours, &state, &err))
		{
			bkc_finding_error(c, "gap", &err);
			return;
		}
		if (state == BKC_GAP_CLOSED)
			continue;
		shown++;
		if (state != BKC_GAP_LOST)
			put_coming(c, &c->gaps[i], state);
		else if (lost++ < GAPS_SHOWN)
			put_lost(c, &c->gaps[i]);
	}
	if (lost > GAPS_SHOWN)
		bkc_finding(c, "gap", BKC_FINDING_FAILED, psprintf("and %zu more gaps", lost - GAPS_SHOWN), NULL);
	if (shown == 0)
		bkc_finding(c, "gap", BKC_FINDING_OK, c->map->nruns > 0 ? "the WAL has no gaps" : "there is no WAL yet", NULL);
}

static void
check_windows(BkcSetupCheck *c)
{
	const BkcRecoveryWindow *w = c->nwindows > 0 ? &c->windows[c->nwindows - 1] : NULL;

	if (w != NULL && w->end_time > w->start_time)
		bkc_finding(c, "recovery", BKC_FINDING_OK,
					psprintf("every time from %s to %s can be restored",
							 bkc_finding_time(w->start_time), bkc_finding_time(w->end_time)), NULL);
	else if (w != NULL)
		bkc_finding(c, "recovery", BKC_FINDING_OK,
					psprintf("the end of the newest backup, %s, can be restored",
							 bkc_finding_time(w->start_time)), NULL);
}

/* ---- there and back ---- */

/* The newest whole segment in the repository, "" when there is none. */
static void
newest_segment(const BkcWalMap *map, char name[BKC_WAL_NAME_MAX])
{
	const BkcWalRun *newest = NULL;

	name[0] = '\0';
	for (size_t i = 0; i < map->nruns; i++)
	{
		const BkcWalRun *run = &map->runs[i];

		if (newest == NULL || run->timeline > newest->timeline ||
			(run->timeline == newest->timeline && run->last > newest->last))
			newest = run;
	}
	if (newest != NULL)
		bkc_wal_segment_name(newest->timeline, newest->last, map->segment_size, name);
}

/* What PostgreSQL still has of it, as long as the file keeps its name: then *there. */
static bool
hash_local(const char *segment, uint8_t sha256[BKC_SHA256_SIZE], bool *there, BkcError *err)
{
	const char *path = psprintf(XLOGDIR "/%s", segment);
	char	   *buffer = palloc(COMPARE_BUFFER);
	int			fd = OpenTransientFile(path, O_RDONLY | PG_BINARY);
	BkcSha256  *h = bkc_sha256_new(err);
	bool		ok = h != NULL && bkc_sha256_begin(h, err);
	struct stat opened;
	struct stat named;
	ssize_t		n = 1;

	*there = fd >= 0;
	while (*there && ok && n > 0)
	{
		n = read(fd, buffer, COMPARE_BUFFER);
		ok = n <= 0 || (bkc_sha256_update(h, buffer, (size_t) n, err) && bkc_host_check(err));
	}
	ok = ok && bkc_sha256_end(h, sha256, err);
	bkc_sha256_free(h);

	/* one that was recycled meanwhile is being overwritten under another name */
	*there = *there && n == 0 && fstat(fd, &opened) == 0 && stat(path, &named) == 0 &&
		opened.st_ino == named.st_ino;
	if (fd >= 0)
		CloseTransientFile(fd);
	pfree(buffer);
	return ok;
}

/* The newest segment comes back whole, and as PostgreSQL has it. */
static void
check_round_trip(BkcSetupCheck *c)
{
	char		segment[BKC_WAL_NAME_MAX];
	char		name[BKC_NAME_MAX];
	uint8_t		local[BKC_SHA256_SIZE];
	BkcWalInfo	info;
	BkcError	err;
	bool		there;

	newest_segment(c->map, segment);
	if (segment[0] == '\0')
		return;
	if (!bkc_wal_find(c->store, GetSystemIdentifier(), segment, name, &err) ||
		!bkc_wal_read(c->store, name, BKC_WAL_SEGMENT_MAX, -1, "", &info, &err) ||
		!hash_local(segment, local, &there, &err))
		bkc_finding_error(c, "round trip", &err);
	else if (there && memcmp(local, info.sha256, sizeof(local)) != 0)
		bkc_finding(c, "round trip", BKC_FINDING_FAILED,
					psprintf("WAL segment \"%s\" comes back from the repository with other content than pg_wal has",
							 segment),
					"Take a backup now.  Find out who else has written there; backup_wal_conflict_resolve() is the way to store this server's content.");
	else
		bkc_finding(c, "round trip", BKC_FINDING_OK,
					psprintf("WAL segment \"%s\" comes back whole from the repository%s", segment,
							 there ? ", as it is in pg_wal" : ""), NULL);
}

void
bkc_setup_holdings(BkcSetupCheck *c)
{
	uint64		sysid = GetSystemIdentifier();
	BkcError	err;

	if (!bkc_repo_spans(c->store, sysid, &c->spans, &c->nspans, &err))
	{
		bkc_finding_error(c, "backup", &err);
		return;
	}
	check_backups(c);
	if (!bkc_walmap_load(c->store, sysid, (uint32) wal_segment_size, &c->map, &err) ||
		!bkc_walmap_gaps(c->map, &c->gaps, &c->ngaps, &err))
	{
		bkc_finding_error(c, "gap", &err);
		return;
	}
	check_round_trip(c);
	c->ngaps = bkc_walgap_drop_expired(c->repo->name, c->gaps, c->ngaps, c->spans, c->nspans);
	check_gaps(c);
	if (!bkc_recovery_windows(c->map, c->spans, c->nspans, &c->windows, &c->nwindows, &err))
		bkc_finding_error(c, "recovery", &err);
	else
		check_windows(c);
}
