/*
 * joblog.c
 *		See joblog.h.
 */
#include "pgcompat.h"

#include "joblog.h"
#include "leader.h"
#include "settings.h"
#include "utils/json.h"

static const char *const end_names[] = {
	[BKC_END_COMPLETED] = "completed",
	[BKC_END_FAILED] = "failed",
	[BKC_END_CANCELLED] = "cancelled",
};

const char *
bkc_job_end_name(BkcJobEnd end)
{
	return end_names[end];
}

/* Roles may be called anything: quoted, and without line ends. */
static void
put_quoted(StringInfo line, const char *key, const char *value)
{
	if (value[0] == '\0')
		return;
	appendStringInfo(line, " %s=", key);
	escape_json(line, value);
}

static void
put_plain(StringInfo line, const char *key, const char *value)
{
	if (value[0] != '\0')
		appendStringInfo(line, " %s=%s", key, value);
}

/* Only a backup goes to the first repository when none is named; other jobs go to all. */
static const char *
repository(const BkcJobArgs *args)
{
	const BkcRepoList *repos;

	if (args->repository[0] != '\0' || args->kind != BKC_JOB_BACKUP)
		return args->repository;
	repos = bkc_settings_repositories();
	return repos->count > 0 ? repos->items[0].name : "";
}

void
bkc_joblog_start(const BkcJob *job)
{
	StringInfoData line;

	if (bkc_job_is_housekeeping(job->args.kind))
		return;
	initStringInfo(&line);
	put_plain(&line, "repository", repository(&job->args));
	if (job->args.kind == BKC_JOB_BACKUP)
		put_plain(&line, "type", job->args.type);
	put_plain(&line, "schedule", job->args.schedule);
	put_quoted(&line, "by", job->args.requested_by);
	ereport(LOG,
			(errmsg_internal("pg_backupctl: job start kind=%s%s",
							 bkc_job_name(job->args.kind), line.data)));
}

static BkcJobEnd
end_of(const BkcJob *job, const BkcReport *report, bool cancelled)
{
	bool		has_verdict = job->args.kind != BKC_JOB_BACKUP &&
		!bkc_job_is_housekeeping(job->args.kind);

	if (cancelled)
		return BKC_END_CANCELLED;
	return report != NULL || (has_verdict && !job->passed) ? BKC_END_FAILED : BKC_END_COMPLETED;
}

void
bkc_joblog_end(BkcJob *job, const BkcReport *report, bool cancelled)
{
	BkcJobEnd	end = end_of(job, report, cancelled);
	char	   *text = pstrdup(report != NULL ? report->message : job->summary);
	StringInfoData line;

	LWLockAcquire(bkc_shared->lock, LW_EXCLUSIVE);
	bkc_shared->ended[job->args.kind][end]++;
	LWLockRelease(bkc_shared->lock);
	if (bkc_job_is_housekeeping(job->args.kind) && end != BKC_END_FAILED)
		return;
	for (char *p = text; *p != '\0'; p++)
		if (*p == '\n' || *p == '\r')
			*p = ' ';
	initStringInfo(&line);
	put_plain(&line, "repository", repository(&job->args));
	if (job->id != 0)
		appendStringInfo(&line, " id=%lld", (long long) job->id);
	put_plain(&line, "label", job->label);
	put_plain(&line, "schedule", job->args.schedule);
	put_quoted(&line, "by", job->args.requested_by);
	ereport(end == BKC_END_FAILED ? WARNING : LOG,
			(errcode(report != NULL ? report->sqlstate : ERRCODE_SUCCESSFUL_COMPLETION),
			 errmsg_internal("pg_backupctl: job end kind=%s result=%s seconds=%.1f%s%s%s",
							 bkc_job_name(job->args.kind), end_names[end],
							 Max(GetCurrentTimestamp() - job->started, 0) / 1000000.0, line.data,
							 text[0] ? ": " : "", text)));
}
