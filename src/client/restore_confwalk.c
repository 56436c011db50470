/*
 * restore_confwalk.c
 *		postgresql.conf and what it includes: read, and mend what leads out of
 *		the restored folder.
 *
 * A restored folder that is started with "pg_ctl -D" must never start or
 * write to another one: data_directory would start the cluster that the
 * backup was taken from, external_pid_file would overwrite its file, and an
 * absolute include would read a file that may belong to another cluster or
 * be missing.
 */
#include "restore_config.h"

#include <string.h>

static const char *const place_names[] = {
	"data_directory",
	"hba_file",
	"ident_file",
	"external_pid_file"
};

static bool walk(BkcConfigWork *work, const BkcConfigFrame *frame, BkcError *err);

bool
bkc_config_is_place(const char *name)
{
	for (size_t i = 0; i < sizeof(place_names) / sizeof(place_names[0]); i++)
	{
		if (strcmp(name, place_names[i]) == 0)
			return true;
	}
	return false;
}

static bool
comment_out(BkcBuffer *out, const BkcConfLine *line, const char *why, BkcError *err)
{
	return bkc_buffer_printf(out, err, "# pg_backupctl restore: %s\n#", why) &&
		bkc_buffer_append(out, line->text, line->len, err) &&
		bkc_buffer_append_str(out, "\n", err);
}

static bool
keep_line(BkcBuffer *out, const BkcConfLine *line, BkcError *err)
{
	return bkc_buffer_append(out, line->text, line->len, err) &&
		bkc_buffer_append_str(out, "\n", err);
}

static bool
walk_file(BkcConfigWork *work, const BkcConfigFrame *up, const char *rel, BkcError *err)
{
	BkcConfigFrame frame = {.rel = rel, .up = up};

	return walk(work, &frame, err);
}

static bool
walk_folder(BkcConfigWork *work, const BkcConfigFrame *up, const char *rel, BkcError *err)
{
	BkcConfigList list;
	bool		ok = bkc_config_list(work->r, rel, &list, err);

	for (size_t i = 0; ok && i < list.count; i++)
	{
		if (bkc_config_enter(work, up, list.rels[i]))
			ok = walk_file(work, up, list.rels[i], err);
	}
	bkc_config_list_free(&list);
	return ok;
}

/* No server reads what leads back to itself: one that is left out at least starts. */
static bool
walk_target(BkcConfigWork *work, const BkcConfigFrame *frame, const BkcConfLine *line,
			const BkcConfigTarget *target, BkcBuffer *out, BkcError *err)
{
	bool		folder = strcmp(line->name, "include_dir") == 0;
	bool		ok;

	if (target->rel == NULL)
		return comment_out(out, line, "left out, the backup does not hold it", err);
	if (!folder && !bkc_config_enter(work, frame, target->rel))
		return comment_out(out, line, "left out, files include one another too deeply", err);
	if (target->name == NULL)
		ok = keep_line(out, line, err);
	else
		ok = comment_out(out, line, "turned to the restored copy", err) &&
			bkc_conf_put(out, line->name, target->name, err);
	return ok && (folder ? walk_folder(work, frame, target->rel, err) :
				  walk_file(work, frame, target->rel, err));
}

static bool
walk_include(BkcConfigWork *work, const BkcConfigFrame *frame, const BkcConfLine *line,
			 BkcBuffer *out, BkcError *err)
{
	BkcConfigTarget target;
	bool		ok;

	if (!bkc_config_refer(work->r, frame->rel, frame->rel, bkc_buffer_str(&line->value),
						  strcmp(line->name, "include_dir") == 0, &target, err))
		return false;
	ok = walk_target(work, frame, line, &target, out, err);
	bkc_config_target_free(&target);
	return ok;
}

static bool
walk_line(BkcConfigWork *work, const BkcConfigFrame *frame, const BkcConfLine *line,
		  BkcBuffer *out, BkcError *err)
{
	if (!line->is_setting)
		return keep_line(out, line, err);
	if (strcmp(line->name, "include") == 0 || strcmp(line->name, "include_if_exists") == 0 ||
		strcmp(line->name, "include_dir") == 0)
		return walk_include(work, frame, line, out, err);
	if (!bkc_settings_set(&work->settings, line->name, bkc_buffer_str(&line->value), err))
		return false;
	if (bkc_config_is_place(line->name))
		return comment_out(out, line, "left out, the folder that is started is meant", err);
	return keep_line(out, line, err);
}

/* A missing last newline is no change worth a new file. */
static bool
is_changed(const BkcBuffer *before, const BkcBuffer *after)
{
	return after->len < before->len || after->len > before->len + 1 ||
		memcmp(bkc_buffer_str(after), bkc_buffer_str(before), before->len) != 0;
}

static bool
walk(BkcConfigWork *work, const BkcConfigFrame *frame, BkcError *err)
{
	BkcBuffer	text = {0};
	BkcBuffer	out = {0};
	BkcConfLines lines = {0};
	bool		end = false;
	bool		ok;

	ok = bkc_restore_get(work->r, frame->rel, &text, err);
	bkc_conf_lines_begin(&lines, bkc_buffer_str(&text), text.len);
	while (ok)
	{
		ok = bkc_conf_lines_next(&lines, &end, err);
		if (!ok || end)
			break;
		ok = walk_line(work, frame, &lines.line, &out, err);
	}
	if (ok && work->mend && is_changed(&text, &out))
		ok = bkc_restore_put(work->r, frame->rel, &out, err);
	bkc_conf_lines_free(&lines);
	bkc_buffer_free(&out);
	bkc_buffer_free(&text);
	return ok;
}

bool
bkc_config_walk(BkcConfigWork *work, const char *rel, BkcError *err)
{
	return walk_file(work, NULL, rel, err);
}
