/*
 * restore_label.c
 *		backup_label, tablespace_map, the signal file, and the tablespaces' links.
 *
 * A server that starts recovery makes the links in pg_tblspc from
 * tablespace_map and replaces those that are there.  Both are made from the
 * same list, so that pg_verifybackup, which runs before, sees what the server
 * will see.
 */
#include "restore.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/host.h"

/* One line of tablespace_map. */
typedef struct MapLine
{
	uint32_t	oid;
	BkcBuffer	path;
} MapLine;

/*
 * Take the line at *text apart and move *text behind it.  The path is
 * escaped: a backslash stands before newline, carriage return and backslash.
 */
static bool
parse_map_line(const char **text, MapLine *line, BkcError *err)
{
	const char *p = *text;
	char	   *end;
	unsigned long oid;

	bkc_buffer_reset(&line->path);
	errno = 0;
	oid = strtoul(p, &end, 10);
	if (*p < '0' || *p > '9' || errno != 0 || oid == 0 || oid > UINT32_MAX || *end != ' ')
		return bkc_error_set(err, BKC_ERR_CORRUPT, "tablespace_map in the manifest cannot be read");
	line->oid = (uint32_t) oid;
	for (p = end + 1; *p != '\0' && *p != '\n' && *p != '\r'; p++)
	{
		if (*p == '\\' && p[1] != '\0')
			p++;
		if (!bkc_buffer_append(&line->path, p, 1, err))
			return false;
	}
	while (*p == '\n' || *p == '\r')
		p++;
	*text = p;
	return true;
}

static bool
put_map_line(BkcBuffer *out, uint32_t oid, const char *path, BkcError *err)
{
	bool		ok = bkc_buffer_printf(out, err, "%u ", oid);

	for (; ok && *path != '\0'; path++)
	{
		if (*path == '\n' || *path == '\r' || *path == '\\')
			ok = bkc_buffer_append(out, "\\", 1, err);
		ok = ok && bkc_buffer_append(out, path, 1, err);
	}
	return ok && bkc_buffer_append(out, "\n", 1, err);
}

static const BkcPlaceDir *
find_dir(const BkcPlaceDir *dirs, size_t ndirs, uint32_t oid)
{
	for (size_t i = 1; i < ndirs; i++)
	{
		if (dirs[i].oid == oid)
			return &dirs[i];
	}
	return NULL;
}

static bool
rewrite_lines(const char *text, const BkcPlaceDir *dirs, size_t ndirs, bool *seen,
			  MapLine *line, BkcBuffer *out, BkcError *err)
{
	while (*text != '\0')
	{
		const BkcPlaceDir *dir;

		if (!parse_map_line(&text, line, err))
			return false;
		dir = find_dir(dirs, ndirs, line->oid);
		if (dir == NULL || strcmp(dir->original, bkc_buffer_str(&line->path)) != 0)
			return bkc_error_set(err, BKC_ERR_CORRUPT, "tablespace_map in the manifest does not match its list of tablespaces: %u at \"%s\"",
								 line->oid, bkc_buffer_str(&line->path));
		if (seen[dir - dirs])
			return bkc_error_set(err, BKC_ERR_CORRUPT, "tablespace_map in the manifest has two lines for %u",
								 line->oid);
		seen[dir - dirs] = true;
		if (!put_map_line(out, line->oid, dir->link, err))
			return false;
	}
	return true;
}

bool
bkc_tablespace_map_rewrite(const char *text, const BkcManifestHeader *header,
						   const BkcPlaceDir *dirs, size_t ndirs,
						   BkcBuffer *out, BkcError *err)
{
	bool	   *seen = calloc(ndirs > 0 ? ndirs : 1, sizeof(bool));
	MapLine		line = {0};
	bool		ok;

	if (seen == NULL)
		return bkc_error_oom(err);
	ok = rewrite_lines(text != NULL ? text : "", dirs, ndirs, seen, &line, out, err);

	/* a link that the map does not know would still point to the old place */
	for (size_t i = 1; ok && i < ndirs; i++)
	{
		if (seen[i])
			continue;
		if (strcmp(dirs[i].link, dirs[i].original) != 0)
		{
			bkc_error_set(err, BKC_ERR_STATE, "tablespace %u was created while the backup ran and cannot be put elsewhere",
						  dirs[i].oid);
			bkc_error_hint(err, "Recovery will replay its CREATE TABLESPACE and use \"%s\". Restore without mapping it, or another backup.",
						   dirs[i].original);
			ok = false;
		}
		else
			ok = put_map_line(out, dirs[i].oid, dirs[i].link, err);
	}
	bkc_buffer_free(&line.path);
	free(seen);
	return ok;
}

bool
bkc_restore_label_check(const BkcRestore *r, BkcError *err)
{
	const BkcManifestHeader *header = &r->backup->header;
	BkcBuffer	map = {0};
	bool		ok;

	/* without it a server would start from the wrong place and not notice */
	if (header->backup_label == NULL ||
		strncmp(header->backup_label, "START WAL LOCATION: ", 20) != 0)
		return bkc_error_set(err, BKC_ERR_CORRUPT, "backup %s has no usable backup_label", header->label);
	ok = bkc_tablespace_map_rewrite(header->tablespace_map, header, r->dirs, r->ndirs, &map, err);
	bkc_buffer_free(&map);
	return ok;
}

static bool
make_links(const BkcRestore *r, BkcError *err)
{
	char		rel[32];

	for (size_t i = 1; i < r->ndirs; i++)
	{
		snprintf(rel, sizeof(rel), "pg_tblspc/%u", r->dirs[i].oid);
		if (symlinkat(r->dirs[i].link, r->dirs[0].fd, rel) != 0)
			return bkc_error_os(err, errno, "could not create symbolic link \"%s\"", rel);
	}
	return true;
}

bool
bkc_restore_label(BkcRestore *r, BkcError *err)
{
	const BkcManifestHeader *header = &r->backup->header;
	BkcBuffer	text = {0};
	bool		ok;

	r->place = BKC_AT_TARGET;
	ok = make_links(r, err) &&
		bkc_buffer_append_str(&text, header->backup_label, err) &&
		bkc_restore_put(r, "backup_label", &text, err);
	bkc_buffer_reset(&text);
	if (ok && r->ndirs > 1)
		ok = bkc_tablespace_map_rewrite(header->tablespace_map, header, r->dirs, r->ndirs,
										&text, err) &&
			bkc_restore_put(r, "tablespace_map", &text, err);
	bkc_buffer_reset(&text);
	ok = ok && bkc_restore_put(r, r->goal.standby ? "standby.signal" : "recovery.signal", &text, err);
	if (ok && r->take_over)
		ok = bkc_restore_put_mark(r, BKC_TAKEOVER_MARK, err);
	bkc_buffer_free(&text);
	return ok;
}
