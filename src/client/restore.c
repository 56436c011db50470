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

#include "base/fault.h"
#include "base/text.h"
#include "format/names.h"

#include "host.h"
#include "json.h"
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
	char		label[BKC_LABEL_MAX];
	bool		ok;

	ok = bkc_session_open(&r->session, r->options, err) &&
		bkc_session_cluster(&r->session, r->options, err) &&
		bkc_session_backup(&r->session, bkc_option(r->options, "backup"), label, err);
	r->place = r->session.place;
	if (!ok)
		return false;
	r->place = BKC_AT_REPOSITORY;
	return bkc_backup_load(r->session.store, r->session.sysid, label, &r->backup, err) &&
		bkc_backup_check_wal(r->backup, err) &&
		check_packs(r, err);
}

/* ---- what is told ---- */

static void
print_beginning(const BkcRestore *r)
{
	const BkcManifestHeader *header = &r->backup->header;
	char		size[40];
	char		from[24];
	char		to[24];

	bkc_format_size(r->plan_bytes, size, sizeof(size));
	bkc_format_lsn(header->start_lsn, from, sizeof(from));
	bkc_format_lsn(header->stop_lsn, to, sizeof(to));
	printf("cluster %" PRIu64 "%s%s%s, backup %s, %s in %" PRIu64 " files; WAL from %s to %s on timeline %u is complete\n",
		   header->system_identifier, r->session.cluster_name[0] != '\0' ? " (" : "",
		   r->session.cluster_name, r->session.cluster_name[0] != '\0' ? ")" : "",
		   header->label, size, r->plan_files, from, to, header->timeline);
	fflush(stdout);
}

/* "pg_ctl -D DIR start", quoted where a shell needs it; NULL when memory is short */
static char *
start_command(const BkcRestore *r)
{
	BkcBuffer	text = {0};
	BkcError	err;

	if (bkc_buffer_append_str(&text, "pg_ctl -D ", &err) &&
		bkc_shell_quote(&text, r->dirs[0].path, &err) &&
		bkc_buffer_append_str(&text, " start", &err))
		return (char *) text.data;
	bkc_buffer_free(&text);
	return NULL;
}

static void
print_end(const BkcRestore *r)
{
	char	   *command = start_command(r);
	char		size[40];
	char		took[40];
	char		rate[48];

	bkc_format_size(r->plan_bytes, size, sizeof(size));
	bkc_format_duration(r->usec, took, sizeof(took));
	bkc_format_rate(r->plan_bytes, r->usec, rate, sizeof(rate));
	printf("restored %s in %s (%s), every file verified\n", size, took, rate);
	if (r->backup->totals.bad_blocks > 0)
		printf("%" PRIu64 " blocks had wrong page checksums when the backup was taken: see \"pg_backupctl list\"\n",
			   r->backup->totals.bad_blocks);
	for (size_t i = 1; i < r->ndirs; i++)
		printf("tablespace %u is in %s\n", r->dirs[i].oid, r->dirs[i].link);
	if (r->take_over)
		printf("this is the successor of the lost cluster: pg_backupctl is on in it, archiving as it was\n");
	else
		printf("this is a clone: pg_backupctl and archiving are off in it (--take-over makes it the successor)\n");
	printf("start it with:  %s\n", command != NULL ? command : "pg_ctl start");
	free(command);
}

static json_t *
tablespaces_json(const BkcRestore *r)
{
	json_t	   *array = json_array();

	for (size_t i = 1; array != NULL && i < r->ndirs; i++)
	{
		if (!bkc_json_append(array, json_pack("{s:o, s:o, s:o}", "oid", bkc_json_u64(r->dirs[i].oid),
											  "original", bkc_json_text(r->dirs[i].original),
											  "path", bkc_json_text(r->dirs[i].link))))
		{
			json_decref(array);
			array = NULL;
		}
	}
	return array;
}

static bool
print_json(const BkcRestore *r)
{
	const BkcManifestHeader *header = &r->backup->header;
	char	   *command = start_command(r);
	json_t	   *object;
	uint64_t	rate = 0;

	if (r->usec > 0)
		rate = (uint64_t) ((double) r->plan_bytes * 1e6 / (double) r->usec);
	object = json_pack("{s:s, s:i, s:o, s:o, s:s, s:o, s:o, s:o, s:o, s:o, s:o}",
					   "status", "ok", "exit_status", BKC_EXIT_OK,
					   "system_identifier", bkc_json_id(header->system_identifier),
					   "cluster_name", bkc_json_text(r->session.cluster_name),
					   "backup", header->label,
					   "pgdata", bkc_json_text(r->dirs[0].path),
					   "files", bkc_json_u64(r->plan_files),
					   "bytes", bkc_json_u64(r->plan_bytes),
					   "seconds", bkc_json_seconds(r->usec),
					   "bytes_per_second", bkc_json_u64(rate),
					   "timeline", bkc_json_u64(header->timeline));
	if (object != NULL)
	{
		bkc_json_set(object, "start_lsn", bkc_json_lsn(header->start_lsn));
		bkc_json_set(object, "stop_lsn", bkc_json_lsn(header->stop_lsn));
		bkc_json_set(object, "bad_blocks", bkc_json_u64(r->backup->totals.bad_blocks));
		bkc_json_set(object, "clone", json_boolean(!r->take_over));
		bkc_json_set(object, "tablespaces", tablespaces_json(r));
		bkc_json_set(object, "start_command", bkc_json_text(command));
	}
	free(command);
	return bkc_json_print(object);
}

static void
warn_about_root(void)
{
	if (geteuid() == 0)
		bkc_report_warning("running as root: a server does not start in folders of root; "
						   "give them to the server's user (chown -R) or run the restore as that user");
}

/* ---- the command ---- */

static bool
do_restore(BkcRestore *r, BkcError *err)
{
	r->place = BKC_AT_COMMAND_LINE;
	if (!bkc_option_jobs(r->options, &r->jobs, err) || !find_program(r, err))
		return false;

	/* look at everything first ... */
	if (!load_backup(r, err) || !bkc_restore_plan(r, err) || !bkc_restore_label_check(r, err) ||
		!bkc_restore_target_check(r, err))
		return false;
	if (!r->json)
		print_beginning(r);
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
	r.take_over = bkc_option_given(options, "take-over");
	r.json = bkc_option_given(options, "json");
	r.started = bkc_client_clock();
	if (do_restore(&r, &err))
	{
		r.usec = bkc_client_clock() - r.started;
		if (!r.json)
			print_end(&r);
		else if (!print_json(&r))
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
	{"pgdata", 'D', "DIR", true, "the new data directory: empty or absent"},
	BKC_OPTION_CLUSTER,
	{"backup", 0, "LABEL", false, "a label or \"latest\" (default)"},
	{"tablespace-map", 'T', "OLD=NEW", false, "put the tablespace that was at OLD into NEW;\nmay be given several times"},
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
	"The restored cluster recovers to the end of the backup and begins a new timeline.\n"
	"Folders of tablespaces must be empty or absent.  Run it as the server's user.\n",
	.run = run_restore
};
