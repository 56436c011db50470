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

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file.h"

#define DEPTH_MAX	10			/* as in the server */

static const char *const place_names[] = {
	"data_directory",
	"hba_file",
	"ident_file",
	"external_pid_file"
};

static bool walk(BkcConfigWork *work, const char *rel, int depth, BkcError *err);

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

/* ---- finding files ---- */

/* Length of the folder part of a path, 0 when it has none. */
static size_t
folder_len(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash != NULL ? (size_t) (slash - path) : 0;
}

/* Among the files of the config root; path without its first slash, len without trailing ones. */
static char *
find_in_root(const BkcRestore *r, const char *path, size_t len, bool folder, BkcError *err)
{
	for (size_t i = 0; i < r->nconfigs; i++)
	{
		const char *original = r->backup->entries[r->configs[i].entry].path;
		size_t		original_len = folder ? folder_len(original) : strlen(original);
		char	   *found;

		if (original_len != len || memcmp(original, path, len) != 0)
			continue;
		found = strndup(r->configs[i].rel,
						folder ? folder_len(r->configs[i].rel) : strlen(r->configs[i].rel));
		if (found == NULL)
			bkc_error_oom(err);
		return found;
	}
	return NULL;
}

static bool
is_there(const BkcRestore *r, const char *rel, bool folder)
{
	struct stat st;

	return fstatat(r->dirs[0].fd, rel, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
		(folder ? S_ISDIR(st.st_mode) : S_ISREG(st.st_mode));
}

/*
 * The config root holds what lay outside PGDATA, so a path that it does not
 * know led into PGDATA.  The backup does not say where that was: the longest
 * tail of the path that is there now is the file.
 */
char *
bkc_config_find(const BkcRestore *r, const char *path, bool folder, BkcError *err)
{
	size_t		len = strlen(path);
	char	   *found;

	bkc_error_clear(err);
	while (len > 1 && path[len - 1] == '/')
		len--;
	if (path[0] != '/' || len < 2)
		return NULL;
	found = find_in_root(r, path + 1, len - 1, folder, err);
	if (found != NULL || err->code != BKC_OK)
		return found;
	found = strndup(path + 1, len - 1);
	if (found == NULL)
	{
		bkc_error_oom(err);
		return NULL;
	}
	for (char *tail = strchr(found, '/'); tail != NULL; tail = strchr(tail + 1, '/'))
	{
		if (!bkc_path_is_safe(tail + 1) || !is_there(r, tail + 1, folder))
			continue;
		memmove(found, tail + 1, strlen(tail + 1) + 1);
		return found;
	}
	free(found);
	return NULL;
}

/*
 * dir/value without "." and ".."; NULL when it climbs out of PGDATA (or memory
 * is short, then err is set).
 */
static char *
join_relative(const char *rel, const char *value, BkcError *err)
{
	size_t		n = folder_len(rel);
	char	   *out = malloc(n + strlen(value) + 2);
	bool		ok = true;

	if (out == NULL)
	{
		bkc_error_oom(err);
		return NULL;
	}
	memcpy(out, rel, n);
	while (ok && *value != '\0')
	{
		size_t		len = strcspn(value, "/");

		if (len == 2 && value[0] == '.' && value[1] == '.')
		{
			ok = n > 0;
			while (n > 0 && out[n - 1] != '/')
				n--;
			n -= n > 0;
		}
		else if (len > 0 && !(len == 1 && value[0] == '.'))
		{
			if (n > 0)
				out[n++] = '/';
			memcpy(out + n, value, len);
			n += len;
		}
		value += len + (value[len] == '/');
	}
	out[n] = '\0';
	if (!ok || n == 0)
	{
		free(out);
		return NULL;
	}
	return out;
}

/*
 * Where an included file or folder is now, below PGDATA: malloc'ed; NULL when
 * it is not there, then err tells whether memory was short.  *moved: the
 * include's own words do not lead there any more.
 */
static char *
find_included(const BkcConfigWork *work, const char *rel, const char *value, bool folder,
			  bool *moved, BkcError *err)
{
	char	   *found;

	bkc_error_clear(err);
	*moved = value[0] == '/';
	found = *moved ? bkc_config_find(work->r, value, folder, err) : join_relative(rel, value, err);
	if (found != NULL && (!is_there(work->r, found, folder) || strcmp(found, rel) == 0))
	{
		free(found);
		found = NULL;
	}
	return found;
}

/* ---- include_dir ---- */

static int
compare_names(const void *a, const void *b)
{
	return strcmp(*(char *const *) a, *(char *const *) b);
}

static bool
list_folder(const char *path, char ***names, size_t *n, BkcError *err)
{
	DIR		   *handle = opendir(path);
	struct dirent *entry;
	bool		ok = true;

	*names = NULL;
	*n = 0;
	if (handle == NULL)
		return bkc_error_os(err, errno, "could not open folder \"%s\"", path);
	while (ok && (entry = readdir(handle)) != NULL)
	{
		size_t		len = strlen(entry->d_name);
		char	  **grown;

		if (entry->d_name[0] == '.' || len < 6 || strcmp(entry->d_name + len - 5, ".conf") != 0)
			continue;
		grown = reallocarray(*names, *n + 1, sizeof(char *));
		if (grown != NULL)
			*names = grown;
		ok = grown != NULL && ((*names)[*n] = strdup(entry->d_name)) != NULL;
		if (ok)
			(*n)++;
		else
			bkc_error_oom(err);
	}
	closedir(handle);
	if (*n > 1)
		qsort(*names, *n, sizeof(char *), compare_names);
	return ok;
}

static bool
walk_folder(BkcConfigWork *work, const char *rel, int depth, BkcError *err)
{
	char	   *path = bkc_path_join(work->r->dirs[0].path, rel, err);
	char	  **names = NULL;
	size_t		n = 0;
	bool		ok;

	ok = path != NULL && list_folder(path, &names, &n, err);
	for (size_t i = 0; i < n; i++)
	{
		char	   *file = ok ? bkc_path_join(rel, names[i], err) : NULL;

		ok = file != NULL && walk(work, file, depth, err);
		free(file);
		free(names[i]);
	}
	free(names);
	free(path);
	return ok;
}

/* ---- mending ---- */

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

/* The include again, from the including file's folder to where the other is now. */
static bool
turn_include(BkcBuffer *out, const BkcConfLine *line, const char *rel, const char *found,
			 BkcError *err)
{
	BkcBuffer	path = {0};
	bool		ok;

	ok = comment_out(out, line, "turned to the restored copy", err);
	for (const char *p = rel; ok && *p != '\0'; p++)
	{
		if (*p == '/')
			ok = bkc_buffer_append_str(&path, "../", err);
	}
	ok = ok && bkc_buffer_append_str(&path, found, err) &&
		bkc_conf_put(out, line->name, bkc_buffer_str(&path), err);
	bkc_buffer_free(&path);
	return ok;
}

static bool
walk_include(BkcConfigWork *work, const char *rel, const BkcConfLine *line, int depth,
			 BkcBuffer *out, BkcError *err)
{
	bool		folder = strcmp(line->name, "include_dir") == 0;
	bool		moved;
	char	   *found;
	bool		ok;

	found = find_included(work, rel, bkc_buffer_str(&line->value), folder, &moved, err);
	if (found == NULL && err->code != BKC_OK)
		return false;
	if (found == NULL)
		return comment_out(out, line, "left out, the backup does not hold it", err);
	ok = (moved ? turn_include(out, line, rel, found, err) : keep_line(out, line, err)) &&
		(folder ? walk_folder(work, found, depth + 1, err) : walk(work, found, depth + 1, err));
	free(found);
	return ok;
}

static bool
walk_line(BkcConfigWork *work, const char *rel, const BkcConfLine *line, int depth,
		  BkcBuffer *out, BkcError *err)
{
	if (!line->is_setting)
		return keep_line(out, line, err);
	if (strcmp(line->name, "include") == 0 || strcmp(line->name, "include_if_exists") == 0 ||
		strcmp(line->name, "include_dir") == 0)
		return walk_include(work, rel, line, depth, out, err);

	/* their values are kept: pg_hba.conf is looked for there */
	if (!bkc_settings_set(&work->settings, line->name, bkc_buffer_str(&line->value), err))
		return false;
	if (bkc_config_is_place(line->name))
		return comment_out(out, line, "left out, the folder that is started is meant", err);
	return keep_line(out, line, err);
}

static bool
walk(BkcConfigWork *work, const char *rel, int depth, BkcError *err)
{
	BkcBuffer	text = {0};
	BkcBuffer	out = {0};
	BkcConfLines lines = {0};
	bool		end = false;
	bool		ok;

	if (depth > DEPTH_MAX)
		return bkc_error_set(err, BKC_ERR_CORRUPT, "configuration file \"%s\" is included too deeply", rel);
	for (size_t i = 0; i < work->r->nconfigs; i++)
	{
		if (strcmp(work->r->configs[i].rel, rel) == 0)
			work->r->configs[i].reached = true;
	}
	ok = bkc_restore_get(work->r, rel, &text, err);
	bkc_conf_lines_begin(&lines, bkc_buffer_str(&text), text.len);
	while (ok)
	{
		ok = bkc_conf_lines_next(&lines, &end, err);
		if (!ok || end)
			break;
		ok = walk_line(work, rel, &lines.line, depth, &out, err);
	}

	/* a missing last newline is no change worth a new file */
	if (ok && work->mend && !(out.len >= text.len && out.len <= text.len + 1 &&
							  memcmp(bkc_buffer_str(&out), bkc_buffer_str(&text), text.len) == 0))
		ok = bkc_restore_put(work->r, rel, &out, err);
	bkc_conf_lines_free(&lines);
	bkc_buffer_free(&out);
	bkc_buffer_free(&text);
	return ok;
}

bool
bkc_config_walk(BkcConfigWork *work, const char *rel, BkcError *err)
{
	return walk(work, rel, 0, err);
}
