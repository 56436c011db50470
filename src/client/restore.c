/*
 * restore.c
 *		pg_backupctl restore: the order of the work, and what is told about it.
 */
#include "restore.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/text.h"
#include "format/names.h"
#include "pipe/frozen.h"

#include "host.h"
#include "keys.h"
#include "main.h"
#include "report.h"

/* ---- before anything is written ---- */

/* Where this program is: restore_command calls it. */
static bool
find_program(BkcRestore *r, BkcError *err)
{
	r->program = realpath("/proc/self/exe", NULL);
	return r->program != NULL ||
		bkc_error_os(err, errno, "could not find out where this program is");
}

typedef struct PackCheck
{
	const BkcBackup *backup;
	bool	   *seen;
	size_t		missing;
} PackCheck;

static bool
note_pack(void *arg, const char *name, uint64_t size, BkcError *err)
{
	PackCheck  *check = arg;
	const char *slash = strrchr(name, '/');
	uint32_t	worker;
	uint32_t	number;

	if (slash == NULL || !bkc_name_parse_pack(slash + 1, &worker, &number))
		return true;
	for (size_t i = 0; i < check->backup->npacks; i++)
	{
		const BkcPackInfo *pack = &check->backup->packs[i];

		if (pack->worker != worker || pack->number != number || check->seen[i])
			continue;
		if (pack->size != size)
			return bkc_error_set(err, BKC_ERR_CORRUPT, "object \"%s\" has %" PRIu64 " bytes instead of %" PRIu64,
								 name, size, pack->size);
		check->seen[i] = true;
		check->missing--;
	}
	return true;
}

/*
 * Are all packs there, with their sizes?  One listing tells, before --force
 * has removed anything.
 */
static bool
check_packs(const BkcRestore *r, BkcError *err)
{
	const BkcBackup *backup = r->backup;
	PackCheck	check = {.backup = backup, .missing = backup->npacks};
	char		prefix[BKC_NAME_MAX];
	bool		ok;

	check.seen = calloc(backup->npacks + 1, sizeof(bool));
	if (check.seen == NULL)
		return bkc_error_oom(err);
	ok = bkc_name_backup(backup->header.system_identifier, backup->header.label, prefix, err) &&
		bkc_store_list(r->session.store, prefix, true, note_pack, &check, err);
	for (size_t i = 0; ok && check.missing > 0 && i < backup->npacks; i++)
	{
		if (!check.seen[i])
			ok = bkc_error_set(err, BKC_ERR_CORRUPT, "pack %u-%u of backup %s is missing",
							   backup->packs[i].worker, backup->packs[i].number,
							   backup->header.label);
	}
	free(check.seen);
	return ok;
}

static bool
load_backup(BkcRestore *r, BkcError *err)
{
	bool		ok;

	ok = bkc_session_open(&r->session, r->options, err) &&
		bkc_session_cluster(&r->session, r->options, err);
	r->place = r->session.place;
	return ok && bkc_restore_choose(r, err) &&
		bkc_restore_wal_check(r, err) &&
		check_packs(r, err);
}

/*
 * Can the packs be read?  Only after everything else was found to be right: a
 * thaw costs money, and nobody wants to learn hours later that it was for nothing.
 */
static bool
check_frozen(BkcRestore *r, BkcError *err)
{
	BkcFrozen	frozen;
	char		until[48];

	r->place = BKC_AT_REPOSITORY;
	if (!bkc_backup_frozen(r->session.store, r->backup, r->thaw_days, &frozen, err) ||
		!bkc_frozen_check(r->backup, &frozen, "restored", "restore", err))
		return false;
	if (frozen.until != 0)
	{
		bkc_format_moment(frozen.until, false, until, sizeof(until));
		bkc_report_warning("the backup was thawed from storage class %s, and can be read until %s",
						   frozen.class, until);
	}
	return true;
}

/* ---- the command ---- */

static void
warn_about_root(void)
{
	if (geteuid() == 0)
		bkc_report_warning("running as root: a server does not start in folders of root; "
						   "give them to the server's user (chown -R) or run the restore as that user");
}

static bool
do_restore(BkcRestore *r, BkcError *err)
{
	r->place = BKC_AT_COMMAND_LINE;
	if (!bkc_option_jobs(r->options, &r->jobs, err) ||
		!bkc_option_thaw(r->options, &r->thaw_days, err) ||
		!bkc_goal_parse(r->options, r->take_over, &r->goal, err) ||
		!find_program(r, err))
		return false;

	/* look at everything first ... */
	if (!load_backup(r, err) || !bkc_restore_plan(r, err) || !bkc_restore_label_check(r, err) ||
		!bkc_restore_target_check(r, err) || !check_frozen(r, err))
		return false;
	if (r->json)
		bkc_restore_tell_warnings(r);
	else
		bkc_restore_tell_beginning(r);
	warn_about_root();

	/* ... then write */
	return bkc_restore_begin(r, err) &&
		bkc_restore_files(r, err) &&
		bkc_restore_config(r, err) &&
		bkc_restore_label(r, err) &&
		bkc_restore_finish(r, err);
}

static void
restore_free(BkcRestore *r)
{
	bkc_restore_close(r);
	bkc_restore_plan_free(r);
	for (size_t i = 0; i < r->nextras; i++)
		free(r->extras[i].rel);
	free(r->extras);
	free(r->program);
	bkc_restore_way_free(&r->way);
	bkc_backup_free(r->backup);
	bkc_session_close(&r->session);
}

static int
run_restore(const BkcOptions *options)
{
	BkcRestore	r = {.options = options, .marker_fd = -1};
	BkcError	err;
	int			status = BKC_EXIT_OK;

	umask(0077);
	r.force = bkc_option_given(options, "force");
	r.accept_loss = bkc_option_given(options, "accept-loss");
	r.take_over = bkc_option_given(options, "take-over");
	r.json = bkc_option_given(options, "json");
	r.started = bkc_client_clock();
	if (do_restore(&r, &err))
	{
		r.usec = bkc_client_clock() - r.started;
		if (!r.json)
			bkc_restore_tell_end(&r);
		else if (!bkc_restore_tell_json(&r))
			status = BKC_EXIT_OTHER;
	}
	else
	{
		if (r.placed)
			bkc_error_hint(&err, "The folder \"%s\" is complete, but may not outlast a power failure before the disk has it all.",
						   r.dirs[0].path);
		else if (r.begun && err.hint[0] == '\0')
			bkc_error_hint(&err, "The folder \"%s\" is unfinished and cannot be started; run the restore again with --force to replace it.",
						   r.dirs[0].path);
		status = bkc_report_error(&err, r.place, r.json);
	}
	restore_free(&r);
	return status;
}

static const BkcOptionDef restore_options[] = {
	BKC_OPTION_REPO,
	BKC_OPTION_KEYS,
	{"pgdata", 'D', "DIR", true, "the new data directory: empty or absent"},
	BKC_OPTION_CLUSTER,
	{"backup", 0, "LABEL", false, "a label, or \"latest\" (default): the newest one that ends\nbefore the target"},
	{"target-time", 0, "TIME", false, "recover to this time, e.g. '2026-11-20 12:30:00+00'"},
	{"target-lsn", 0, "LSN", false, "... to this WAL location"},
	{"target-xid", 0, "XID", false, "... to the end of this transaction"},
	{"target-name", 0, "NAME", false, "... to this pg_create_restore_point()"},
	{"immediate", 0, NULL, false, "... to the end of the backup (default: all WAL there is)"},
	{"target-timeline", 0, "N", false, "along this timeline: a number, \"current\" (the\nbackup's) or \"latest\" (default)"},
	{"target-inclusive", 0, "on|off", false, "include the target itself (default: on)"},
	{"target-action", 0, "ACTION", false, "what to do there: promote (default), pause or shutdown"},
	{"accept-loss", 0, NULL, false, "end before a gap in WAL, and leave out what is behind it"},
	{"standby", 0, NULL, false, "restore a standby, which follows by wal-get"},
	{"tablespace-map", 'T', "OLD=NEW", false, "put the tablespace that was at OLD into NEW;\nmay be given several times"},
	BKC_OPTION_THAW,
	BKC_OPTION_JOBS,
	{"force", 0, NULL, false, "replace DIR when it is the data directory of a stopped\nserver or holds an unfinished restore"},
	{"take-over", 0, NULL, false, "restore the successor of the lost cluster instead of a\nclone: backups and archiving go on"},
	BKC_OPTION_JSON,
	BKC_OPTION_HELP,
	BKC_OPTION_END
};

const BkcCommand bkc_command_restore = {
	.name = "restore",
	.summary = "bring a backup back into a new data directory",
	.options = restore_options,
	.notes = "Every file's hash is checked while it is written.  Until all is done and on disk\n"
	"there is no pg_control, so that an interrupted restore can never be started.\n"
	"Before that, WAL is checked from the backup to the target: a missing segment is named.\n"
	"The restored cluster recovers when it is started, and then begins a new timeline.\n"
	"Folders of tablespaces must be empty or absent.  Run it as the server's user.\n",
	.run = run_restore
};
