/*
 * restore_config.c
 *		Configuration of a restored cluster: postgresql.auto.conf, and the order
 *		of it all.
 *
 * The server reads postgresql.auto.conf last, so what stands at its end wins:
 * how to recover, and that a clone neither archives nor backs up.
 */
#include "restore_config.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"

#include "keys.h"

#define MAIN_CONF	"postgresql.conf"
#define AUTO_CONF	"postgresql.auto.conf"
#define OUR_COMMENT "# pg_backupctl restore:"

/* Settings that came with the backup and must not steer this recovery. */
static const char *const dropped[] = {
	"primary_conninfo",
	"primary_slot_name",
	"restore_command",
	"archive_cleanup_command",
	"recovery_end_command",
	"recovery_min_apply_delay",
	"promote_trigger_file"
};

static const char *const dropped_by_clone[] = {
	"archive_mode",
	"pg_backupctl.enabled",
	"synchronous_standby_names"
};

static bool
is_in(const char *name, const char *const *list, size_t n)
{
	for (size_t i = 0; i < n; i++)
	{
		if (strcmp(name, list[i]) == 0)
			return true;
	}
	return false;
}

/* A successor goes on where the cluster ended, and a standby may become one. */
static bool
is_clone(const BkcRestore *r)
{
	return !r->take_over && !r->goal.standby;
}

static bool
is_dropped(const BkcRestore *r, const char *name)
{
	return strncmp(name, "recovery_target", 15) == 0 || bkc_config_is_place(name) ||
		is_in(name, dropped, sizeof(dropped) / sizeof(dropped[0])) ||
		(is_clone(r) &&
		 is_in(name, dropped_by_clone, sizeof(dropped_by_clone) / sizeof(dropped_by_clone[0])));
}

/* What postgresql.auto.conf held, without the lines above. */
static bool
filter_auto_conf(BkcConfigWork *work, BkcBuffer *out, BkcError *err)
{
	BkcBuffer	text = {0};
	BkcConfLines lines = {0};
	bool		end = false;
	bool		ok = true;

	if (bkc_restore_exists(work->r, AUTO_CONF))
		ok = bkc_restore_get(work->r, AUTO_CONF, &text, err);
	bkc_conf_lines_begin(&lines, bkc_buffer_str(&text), text.len);
	while (ok)
	{
		const BkcConfLine *line = &lines.line;

		ok = bkc_conf_lines_next(&lines, &end, err);
		if (!ok || end)
			break;
		if (line->is_setting)
			ok = bkc_settings_set(&work->settings, line->name, bkc_buffer_str(&line->value), err);
		if ((line->is_setting && is_dropped(work->r, line->name)) ||
			(line->len >= sizeof(OUR_COMMENT) - 1 &&
			 memcmp(line->text, OUR_COMMENT, sizeof(OUR_COMMENT) - 1) == 0))
			continue;
		ok = ok && bkc_buffer_append(out, line->text, line->len, err) &&
			bkc_buffer_append_str(out, "\n", err);
	}
	bkc_conf_lines_free(&lines);
	bkc_buffer_free(&text);
	return ok;
}

/* A word for the shell in which the server's %-signs are doubled. */
static bool
put_word(BkcBuffer *command, const char *word, BkcError *err)
{
	BkcBuffer	quoted = {0};
	bool		ok;

	ok = bkc_shell_quote(&quoted, word, err);
	for (const char *p = bkc_buffer_str(&quoted); ok && *p != '\0'; p++)
		ok = bkc_buffer_append(command, p, 1, err) &&
			(*p != '%' || bkc_buffer_append(command, p, 1, err));
	bkc_buffer_free(&quoted);
	return ok;
}

/* Where recovery goes; a standby goes on without end along the latest timeline. */
static bool
put_limits(const BkcRestore *r, BkcBuffer *command, BkcError *err)
{
	char		lsn[24];

	if (r->goal.standby)
		return true;
	bkc_format_lsn(r->way.until, lsn, sizeof(lsn));
	return bkc_buffer_printf(command, err, " --timeline %u", r->way.timeline) &&
		(r->way.until == 0 || bkc_buffer_printf(command, err, " --until %s", lsn));
}

static bool
put_restore_command(const BkcRestore *r, BkcBuffer *out, BkcError *err)
{
	const BkcManifestHeader *header = &r->backup->header;
	BkcBuffer	command = {0};
	bool		ok;

	ok = put_word(&command, r->program, err) &&
		bkc_buffer_append_str(&command, " wal-get --repo ", err) &&
		put_word(&command, r->session.repo, err) &&
		bkc_keys_put_options(r->options, &command, put_word, err) &&
		bkc_buffer_printf(&command, err, " --cluster %" PRIu64 " --backup %s",
						  header->system_identifier, header->label) &&
		put_limits(r, &command, err) &&
		bkc_buffer_append_str(&command, " %f %p", err) &&
		bkc_conf_put(out, "restore_command", bkc_buffer_str(&command), err);
	bkc_buffer_free(&command);
	return ok;
}

/*
 * A server that recovers needs at least what the source had, or it stops.
 * pg_control knows what that was, also when it came from a command line.
 */
static bool
put_minima(const BkcConfigWork *work, BkcBuffer *out, BkcError *err)
{
	const BkcControl *control = &work->r->control;
	const struct
	{
		const char *name;
		int			needed;
		int			built_in;
	}			minima[] = {
		{"max_connections", control->max_connections, 100},
		{"max_worker_processes", control->max_worker_processes, 8},
		{"max_wal_senders", control->max_wal_senders, 10},
		{"max_prepared_transactions", control->max_prepared_xacts, 0},
		{"max_locks_per_transaction", control->max_locks_per_xact, 64},
	};

	for (size_t i = 0; i < sizeof(minima) / sizeof(minima[0]); i++)
	{
		const char *value = bkc_settings_get(&work->settings, minima[i].name);
		long		have = value != NULL ? strtol(value, NULL, 0) : minima[i].built_in;
		char		text[24];

		if (have >= minima[i].needed)
			continue;
		snprintf(text, sizeof(text), "%d", minima[i].needed);
		if (!bkc_conf_put(out, minima[i].name, text, err))
			return false;
	}
	return true;
}

static bool
put_recovery(const BkcRestore *r, BkcBuffer *out, BkcError *err)
{
	static const char *const emptied[] = {
		"primary_conninfo", "primary_slot_name", "archive_cleanup_command", "recovery_end_command"
	};

	for (size_t i = 0; i < sizeof(emptied) / sizeof(emptied[0]); i++)
	{
		if (!bkc_conf_put(out, emptied[i], "", err))
			return false;
	}
	return bkc_goal_settings(&r->goal, &r->way, out, err) &&
		bkc_conf_put(out, "recovery_min_apply_delay", "0", err) &&
		(r->backup->header.pg_version_num >= 160000 ||
		 bkc_conf_put(out, "promote_trigger_file", "", err));
}

/*
 * Tablespaces that are folders of pg_tblspc, not links: recovery takes them
 * for damage unless it is told that they are meant.
 */
static bool
put_in_place(const BkcRestore *r, BkcBuffer *out, BkcError *err)
{
	for (size_t i = 0; i < r->backup->nentries; i++)
	{
		if (r->planned[i].dir == 0 && strncmp(r->planned[i].rel, "pg_tblspc/", 10) == 0)
			return bkc_conf_put(out, "allow_in_place_tablespaces", "on", err);
	}
	return true;
}

/* A clone that waited for the source's standbys would hang at its first commit. */
static bool
put_role(const BkcRestore *r, BkcBuffer *out, BkcError *err)
{
	if (r->goal.standby)
		return bkc_buffer_append_str(out, OUR_COMMENT " a standby, which may be promoted\n", err);
	if (r->take_over)
		return bkc_buffer_append_str(out, OUR_COMMENT " the successor of the lost cluster\n", err) &&
			bkc_conf_put(out, "pg_backupctl.enabled", "on", err);
	return bkc_buffer_append_str(out, OUR_COMMENT " a clone neither archives nor takes backups\n", err) &&
		bkc_conf_put(out, "archive_mode", "off", err) &&
		bkc_conf_put(out, "pg_backupctl.enabled", "off", err) &&
		bkc_conf_put(out, "synchronous_standby_names", "", err);
}

static bool
write_auto_conf(BkcConfigWork *work, BkcBuffer *out, BkcError *err)
{
	return bkc_buffer_printf(out, err, OUR_COMMENT " recovery from backup %s\n",
							 work->r->backup->header.label) &&
		put_restore_command(work->r, out, err) &&
		put_recovery(work->r, out, err) &&
		put_minima(work, out, err) &&
		put_in_place(work->r, out, err) &&
		put_role(work->r, out, err) &&
		bkc_restore_put(work->r, AUTO_CONF, out, err);
}

/* ---- postgresql.conf ---- */

/* Do both entries have the same content? */
static bool
same_content(const BkcEntry *a, const BkcEntry *b)
{
	return a->size == b->size && memcmp(a->sha256, b->sha256, BKC_SHA256_SIZE) == 0;
}

/*
 * A data directory may be reached by two paths, one of them through a link;
 * its postgresql.conf is then stored twice.
 */
static bool
is_own_conf(const BkcRestore *r, const BkcConfigFile *file)
{
	const BkcEntry *entries = r->backup->entries;

	for (size_t i = 0; i < r->backup->nentries; i++)
	{
		if (entries[i].root == BKC_ROOT_PGDATA && entries[i].type == BKC_ENTRY_FILE &&
			strcmp(entries[i].path, MAIN_CONF) == 0)
			return same_content(&entries[i], &entries[file->entry]);
	}
	return false;
}

/*
 * The file that was in effect, below PGDATA: malloc'ed.  NULL when the backup
 * does not hold it or, then err is set, when memory is short.
 */
static char *
find_main(const BkcRestore *r, BkcError *err)
{
	const char *path = r->backup->header.config_file;
	const BkcConfigFile *file;
	char	   *rel = NULL;

	bkc_error_clear(err);
	if (path != NULL)
		rel = bkc_config_find(r, path, err);
	if (rel == NULL)
		return NULL;
	file = bkc_config_outside(r, rel);
	if (file != NULL && is_own_conf(r, file))
	{
		free(rel);
		rel = strdup(MAIN_CONF);
		if (rel == NULL)
			bkc_error_oom(err);
	}
	return rel;
}

/* Mend the data directory's own file, or make one from another. */
static bool
make_main(BkcConfigWork *work, BkcError *err)
{
	char	   *from = find_main(work->r, err);
	bool		ok = from != NULL || err->code == BKC_OK;

	work->mend = from != NULL && strcmp(from, MAIN_CONF) == 0;
	if (ok && from != NULL)
		ok = bkc_config_walk(work, from, err);
	if (ok && !work->mend)
		ok = bkc_config_make(work, from, err);
	free(from);
	return ok;
}

bool
bkc_restore_config(BkcRestore *r, BkcError *err)
{
	BkcConfigWork work = {.r = r};
	BkcBuffer	auto_conf = {0};
	bool		ok;

	r->place = BKC_AT_TARGET;
	ok = make_main(&work, err) &&
		filter_auto_conf(&work, &auto_conf, err) &&
		bkc_config_make_auth(&work, err) &&
		write_auto_conf(&work, &auto_conf, err);
	bkc_buffer_free(&auto_conf);
	bkc_settings_free(&work.settings);
	return ok;
}
