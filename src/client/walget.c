/*
 * walget.c
 *		pg_backupctl wal-get: the restore_command of restored clusters.
 *
 * The server takes every exit status from 1 to 125 for "there is no such
 * file" and ends recovery there, so 1 is given only when every repository
 * has proven it; everything else is 254.  A standby asks again by itself,
 * while 254 would stop it, so it gets 1.
 */
#include "walget.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/text.h"

#include "host.h"
#include "keys.h"
#include "main.h"
#include "report.h"

#define RETRY_SECONDS		30
#define RETRY_SECONDS_MAX	3600
#define SEGMENT_LEN			24

/* ---- segments ---- */

uint64_t
bkc_walget_start(const BkcWalGet *w)
{
	uint32_t	timeline;
	uint64_t	segno = 0;

	/* take_size() and the data directory's size have let it pass */
	(void) bkc_wal_segment_parse(w->file, w->segment_size, &timeline, &segno);
	return segno * w->segment_size;
}

uint64_t
bkc_walget_end(const BkcWalGet *w)
{
	return w->until < w->part.end ? w->until : w->part.end;
}

bool
bkc_walget_behind_end(const BkcWalGet *w)
{
	return !w->history && w->segment_size != 0 && bkc_walget_start(w) >= bkc_walget_end(w);
}

bool
bkc_walget_take_size(BkcWalGet *w, uint32_t segment_size, const char *from, BkcError *err)
{
	uint32_t	timeline;
	uint64_t	segno;

	if (!bkc_wal_segment_parse(w->file, segment_size, &timeline, &segno))
		return bkc_error_set(err, BKC_ERR_CORRUPT, "%s: there is no WAL segment %s with a segment size of %" PRIu32,
							 from, w->file, segment_size);
	if (w->segment_size != 0 && w->segment_size != segment_size)
		return bkc_error_set(err, BKC_ERR_CORRUPT, "%s: WAL segments have %" PRIu32 " bytes there and %" PRIu32 " here",
							 from, segment_size, w->segment_size);
	w->segment_size = segment_size;
	return true;
}

/* ---- the command line ---- */

static bool
read_number(const BkcOptions *options, const char *name, uint64_t min, uint64_t max,
			uint64_t *value, BkcError *err)
{
	const char *text = bkc_option(options, name);

	if (text == NULL || (bkc_parse_u64(text, max, value) && *value >= min))
		return true;
	return bkc_error_set(err, BKC_ERR_INVALID, "--%s \"%s\" is not a number from %" PRIu64 " to %" PRIu64,
						 name, text, min, max);
}

static bool
read_options(BkcWalGet *w, BkcError *err)
{
	const char *until = bkc_option(w->options, "until");
	const char *cluster = bkc_option(w->options, "cluster");
	uint64_t	target = 0;
	uint64_t	prefetch = BKC_WALGET_PREFETCH;
	uint64_t	retry = RETRY_SECONDS;
	uint64_t	sysid = 0;

	w->label = bkc_option(w->options, "backup");
	if (w->label != NULL && !bkc_label_valid(w->label))
		return bkc_error_set(err, BKC_ERR_INVALID, "--backup \"%s\" is not a label", w->label);
	if (!read_number(w->options, "timeline", 1, UINT32_MAX, &target, err) ||
		!read_number(w->options, "prefetch", 0, BKC_WALGET_PREFETCH_MAX, &prefetch, err) ||
		!read_number(w->options, "retry", 0, RETRY_SECONDS_MAX, &retry, err))
		return false;
	w->prefetch = (uint32_t) prefetch;
	w->retry_ms = w->standby ? 0 : (int) retry * 1000;
	w->until = UINT64_MAX;
	if (until != NULL && !bkc_parse_lsn(until, &w->until))
		return bkc_error_set(err, BKC_ERR_INVALID, "--until \"%s\" is no position in WAL", until);

	/*
	 * A standby goes on for ever, and a recovery to timeline N comes to no higher one: then the
	 * limits are those of the restore that the server came from once, or was copied after.
	 */
	if (w->standby || (target != 0 && w->timeline > target))
	{
		w->until = UINT64_MAX;
		w->limitless = true;
	}
	else
		w->target = (uint32_t) target;
	if (w->limitless && !w->standby && !w->history)
		w->label = NULL;

	if (cluster == NULL)
		return true;
	if (!bkc_parse_u64(cluster, UINT64_MAX, &sysid) || sysid == 0)
	{
		bkc_error_set(err, BKC_ERR_INVALID, "--cluster \"%s\" is not a system identifier", cluster);
		return bkc_error_hint(err, "\"pg_backupctl list\" shows the clusters of a repository.");
	}
	if (w->sysid != 0 && w->sysid != sysid)
		return bkc_error_set(err, BKC_ERR_INVALID, "the data directory is of cluster %" PRIu64 ", not of %s",
							 w->sysid, cluster);
	w->sysid = sysid;
	return true;
}

static bool
read_file_name(BkcWalGet *w, BkcError *err)
{
	w->history = bkc_wal_is_history(w->file);
	w->timeline = bkc_wal_timeline(w->file);
	if ((w->history || bkc_wal_is_segment(w->file)) && w->timeline != 0)
		return true;
	bkc_error_set(err, BKC_ERR_INVALID, "\"%s\" is no name of a WAL file", w->file);
	return bkc_error_hint(err, "restore_command = 'pg_backupctl wal-get --repo URL --cluster ID %%f %%p'");
}

/* ---- the command ---- */

/*
 * The server that stops sends us its signal too, and tells "stopped" from
 * "failed" by how we end.
 */
static void
end_by_signal(int signo)
{
	signal(signo, SIG_DFL);
	raise(signo);
}

static int
could_not_ask(const BkcWalGet *w, const BkcError *err, BkcPlace place)
{
	bkc_report_error(err, place, false);
	return w->standby ? BKC_EXIT_ABSENT : BKC_EXIT_COULD_NOT_ASK;
}

static bool
fill_nothing(void *arg, int fd, const char *path, BkcError *err)
{
	return true;
}

/*
 * A recovery to timeline N asks for the history of a higher one only at its end, to learn which
 * numbers are taken, and does not read it.  One that is damaged or
 * lost must not give its number free, nor make the recovery impossible: an empty file
 * says that the number is taken.  Were it read, it would lead nowhere: a timeline without ancestors
 * is no child of anything, and the server stops.
 */
static bool
number_is_taken(BkcWalGet *w, const BkcError *why)
{
	BkcError	err;

	if (!w->history || !w->limitless || w->standby || w->target_failed ||
		!(w->lost_history || why->code == BKC_ERR_CORRUPT) ||
		!bkc_walget_deliver(w, w->file, w->path, false, fill_nothing, NULL, &err))
		return false;
	bkc_report_warning("%s", why->message);
	bkc_report_warning("the number of timeline %" PRIu32 " is taken as used", w->timeline);
	return true;
}

/* Sets everything that does not need a repository. */
static bool
begin(BkcWalGet *w, const BkcOptions *options, BkcError *err)
{
	struct stat st;

	w->options = options;
	w->file = bkc_operand(options, 0);
	w->path = bkc_operand(options, 1);
	w->standby = stat("standby.signal", &st) == 0;
	w->part.end = UINT64_MAX;
	w->fork = UINT64_MAX;
	while (bkc_option_nth(options, "repo", w->nrepos) != NULL)
		w->nrepos++;
	if (!read_file_name(w, err))
		return false;
	bkc_walspool_surroundings(w);
	if (!read_options(w, err))
		return false;
	bkc_walspool_locate(w);
	return true;
}

static int
run_wal_get(const BkcOptions *options)
{
	BkcWalGet	w = {0};
	BkcError	err;
	bool		delivered;
	bool		ok;

	/* backup history files and partial segments are nothing that a recovery uses */
	w.file = bkc_operand(options, 0);
	if (bkc_wal_is_backup(w.file) || bkc_wal_is_partial(w.file))
		return BKC_EXIT_ABSENT;
	if (!begin(&w, options, &err))
		return could_not_ask(&w, &err, BKC_AT_COMMAND_LINE);

	if (!w.history && bkc_walspool_take(&w))
	{
		bkc_walget_prefetch(&w);
		return BKC_EXIT_OK;
	}

	/* asked for at both ends of a recovery: nothing is fetched ahead then */
	if (w.history && !w.standby && w.spool_top[0] != '\0')
		bkc_walspool_clear(&w);
	ok = bkc_walget_ask(&w, &delivered, &err);

	/* a new timeline: what was fetched ahead on the one before may lie behind the fork */
	if (ok && delivered && w.history && w.standby && w.spool_top[0] != '\0')
		bkc_walspool_clear(&w);
	if (ok)
		return delivered ? BKC_EXIT_OK : BKC_EXIT_ABSENT;
	if (number_is_taken(&w, &err))
		return BKC_EXIT_OK;
	if (bkc_client_host_signal() != 0)
		end_by_signal(bkc_client_host_signal());
	bkc_error_context(&err, "%s", w.file);
	return could_not_ask(&w, &err, BKC_AT_REPOSITORY);
}

static const BkcOptionDef wal_get_options[] = {
	{"repo", 0, "URL", true, "a repository; given several times, they are asked in this order"},
	BKC_OPTION_KEYS,
	{"cluster", 0, "ID", false, "system identifier (default: the data directory's, or the only one)"},
	{"backup", 0, "LABEL", false, "take segments out of this backup only (default: all, newest first)"},
	{"timeline", 0, "N", false, "the timeline that recovery goes to"},
	{"until", 0, "LSN", false, "nothing from this position on"},
	{"prefetch", 0, "N", false, "segments to fetch ahead (default: 8; 0: none)"},
	{"retry", 0, "SECONDS", false, "how long to ask again when a repository does not answer\n"
	"(default: 30; a standby asks again by itself)"},
	BKC_OPTION_HELP,
	BKC_OPTION_END
};

const BkcCommand bkc_command_wal_get = {
	.name = "wal-get",
	.summary = "fetch one WAL file; meant for restore_command",
	.operands = "%f %p",
	.noperands = 2,
	.options = wal_get_options,
	.notes = "restore_command = 'pg_backupctl wal-get --repo URL --cluster ID %f %p'\n"
	"Exit status 0: the file is at %p.  1: every repository was asked and has no such file.\n"
	"254: one could not be asked and none had it, the file is damaged, it is missing\n"
	"while later ones are there, or less of it is there than --until says, so that recovery\n"
	"stops instead of ending too early (1 in a standby, which asks again).\n",
	.run = run_wal_get
};
