/*
 * restore_confauth.c
 *		pg_hba.conf and pg_ident.conf where a server looks for them.
 *
 * The file in effect gets the standard name; what it refers to stays where
 * it has been restored, and names that do not lead there any more are
 * changed.  What the backup does not hold is left as it is: a server that
 * finds it reads it, one that does not refuses to start, and neither lets in
 * anybody whom the file was meant to keep out.
 */
#include "restore_config.h"

#include <stdlib.h>
#include <string.h>

#include "authfile.h"

static const char default_hba[] =
	"# Written by pg_backupctl restore: the backup holds no pg_hba.conf.\n"
	"local   all             all                                     peer\n"
	"local   replication     all                                     peer\n";

static const char default_ident[] =
	"# Written by pg_backupctl restore: the backup holds no pg_ident.conf.\n";

static bool auth_walk(BkcConfigWork *work, const BkcConfigFrame *frame, const char *to,
					  BkcError *err);

/* A file that another one refers to, in its place. */
static bool
auth_file(BkcConfigWork *work, const BkcConfigFrame *up, const char *rel, BkcError *err)
{
	BkcConfigFrame frame = {.rel = rel, .up = up};

	return !bkc_config_enter(work, up, rel) || auth_walk(work, &frame, rel, err);
}

static bool
auth_folder(BkcConfigWork *work, const BkcConfigFrame *up, const char *rel, BkcError *err)
{
	BkcConfigList list;
	bool		ok = bkc_config_list(work->r, rel, &list, err);

	for (size_t i = 0; ok && i < list.count; i++)
		ok = auth_file(work, up, list.rels[i], err);
	bkc_config_list_free(&list);
	return ok;
}

/* Put the reference, changed where it has to be, and go where it leads. */
static bool
auth_reference(BkcConfigWork *work, const BkcConfigFrame *frame, const char *to,
			   const BkcAuthLine *line, const BkcAuthReference *reference, bool *changed,
			   BkcBuffer *out, BkcError *err)
{
	BkcConfigTarget target;
	bool		ok;

	if (!bkc_config_refer(work->r, frame->rel, to, bkc_buffer_str(&reference->name),
						  reference->folder, &target, err))
		return false;
	if (target.name != NULL)
	{
		*changed = true;
		ok = bkc_auth_put_reference(out, reference, target.name, err);
	}
	else
		ok = bkc_buffer_append(out, line->text.data + reference->from,
							   reference->to - reference->from, err);
	if (ok && target.rel != NULL)
		ok = reference->folder ? auth_folder(work, frame, target.rel, err) :
			auth_file(work, frame, target.rel, err);
	bkc_config_target_free(&target);
	return ok;
}

/* Append the line to out; one that is not changed keeps its continuation lines. */
static bool
auth_line(BkcConfigWork *work, const BkcConfigFrame *frame, const char *to,
		  const BkcAuthLine *line, bool *changed, BkcBuffer *out, BkcError *err)
{
	BkcAuthReferences references = {0};
	bool		here = false;
	size_t		start = out->len;
	size_t		at = 0;
	bool		ok;

	ok = bkc_auth_references(line, work->r->backup->header.pg_version_num >= 160000,
							 &references, err);
	for (size_t i = 0; ok && i < references.count; i++)
	{
		const BkcAuthReference *reference = &references.items[i];

		ok = bkc_buffer_append(out, line->text.data + at, reference->from - at, err) &&
			auth_reference(work, frame, to, line, reference, &here, out, err);
		at = reference->to;
	}
	if (here)
	{
		*changed = true;
		ok = ok && bkc_buffer_append(out, line->text.data + at, line->text.len - at, err);
	}
	else if (ok)
	{
		out->len = start;
		ok = bkc_buffer_append(out, line->raw, line->raw_len, err);
	}
	bkc_auth_references_free(&references);
	return ok && bkc_buffer_append_str(out, "\n", err);
}

/* Read frame->rel; where it differs from what shall be at to, write that. */
static bool
auth_walk(BkcConfigWork *work, const BkcConfigFrame *frame, const char *to, BkcError *err)
{
	BkcBuffer	text = {0};
	BkcBuffer	out = {0};
	BkcAuthLines lines = {0};
	bool		changed = false;
	bool		end = false;
	bool		ok;

	ok = bkc_restore_get(work->r, frame->rel, &text, err);
	bkc_auth_lines_begin(&lines, bkc_buffer_str(&text), text.len);
	while (ok)
	{
		ok = bkc_auth_lines_next(&lines, &end, err);
		if (!ok || end)
			break;
		ok = auth_line(work, frame, to, &lines.line, &changed, &out, err);
	}
	if (ok && strcmp(frame->rel, to) != 0)
		ok = bkc_config_replace(work->r, to, &out, err);
	else if (ok && changed)
		ok = bkc_restore_put(work->r, to, &out, err);
	bkc_auth_lines_free(&lines);
	bkc_buffer_free(&out);
	bkc_buffer_free(&text);
	return ok;
}

/* was: where the file in effect was at the source, NULL when that is not known */
static bool
make_auth_file(BkcConfigWork *work, const char *name, const char *was, const char *fallback,
			   BkcError *err)
{
	BkcConfigFrame frame = {0};
	BkcBuffer	content = {0};
	char	   *rel = NULL;
	bool		ok = true;

	if (was != NULL)
	{
		rel = bkc_config_find(work->r, was, err);
		ok = rel != NULL || err->code == BKC_OK;
	}
	frame.rel = rel;
	if (ok && rel != NULL)
		ok = auth_walk(work, &frame, name, err);
	else if (ok)
		ok = bkc_buffer_append_str(&content, fallback, err) &&
			bkc_config_replace(work->r, name, &content, err);
	bkc_buffer_free(&content);
	free(rel);
	return ok;
}

bool
bkc_config_make_auth(BkcConfigWork *work, BkcError *err)
{
	const BkcManifestHeader *header = &work->r->backup->header;

	return make_auth_file(work, "pg_hba.conf", header->hba_file, default_hba, err) &&
		make_auth_file(work, "pg_ident.conf", header->ident_file, default_ident, err);
}
