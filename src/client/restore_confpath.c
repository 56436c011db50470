/*
 * restore_confpath.c
 *		Where a file that the server read is now.
 *
 * Paths inside here are absolute ones without their first slash, as the
 * manifest has them for the config root.
 */
#include "restore_config.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file.h"

#define REPLACED_SUFFIX ".replaced"

/* ---- paths as text ---- */

/* Length of the folder part of a path, 0 when it has none. */
static size_t
folder_len(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash != NULL ? (size_t) (slash - path) : 0;
}

/*
 * The first len bytes of folder, and name, without "." and "..".  NULL when
 * that climbs out of the top or ends there, or, then err is set, when memory
 * is short.
 */
static char *
join(const char *folder, size_t len, const char *name, BkcError *err)
{
	size_t		n = len;
	char	   *out = malloc(len + strlen(name) + 2);
	bool		ok = true;

	if (out == NULL)
	{
		bkc_error_oom(err);
		return NULL;
	}
	memcpy(out, folder, len);
	while (ok && *name != '\0')
	{
		size_t		part = strcspn(name, "/");

		if (part == 2 && name[0] == '.' && name[1] == '.')
		{
			ok = n > 0;
			while (n > 0 && out[n - 1] != '/')
				n--;
			n -= n > 0;
		}
		else if (part > 0 && !(part == 1 && name[0] == '.'))
		{
			if (n > 0)
				out[n++] = '/';
			memcpy(out + n, name, part);
			n += part;
		}
		name += part + (name[part] == '/');
	}
	out[n] = '\0';
	if (ok && n > 0)
		return out;
	free(out);
	return NULL;
}

/* The name that leads from the folder of the file from to rel, both below PGDATA. */
static char *
relative(const char *from, const char *rel, BkcError *err)
{
	BkcBuffer	out = {0};
	size_t		common = 0;
	bool		ok = true;

	for (size_t i = 0; from[i] != '\0' && from[i] == rel[i]; i++)
	{
		if (from[i] == '/')
			common = i + 1;
	}
	for (const char *p = from + common; ok && *p != '\0'; p++)
	{
		if (*p == '/')
			ok = bkc_buffer_append_str(&out, "../", err);
	}
	if (ok && bkc_buffer_append_str(&out, rel + common, err))
		return (char *) out.data;
	bkc_buffer_free(&out);
	return NULL;
}

/* ---- finding ---- */

const BkcConfigFile *
bkc_config_outside(const BkcRestore *r, const char *rel)
{
	for (size_t i = 0; i < r->nconfigs; i++)
	{
		if (strcmp(r->configs[i].rel, rel) == 0)
			return &r->configs[i];
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

/* Where a file's path, or its folder's, ends. */
static size_t
path_len(const char *path, bool folder)
{
	return folder ? folder_len(path) : strlen(path);
}

/*
 * NULL when it is not there, or err is set.  What lay outside the data
 * directory is known by the config root; the server has put nothing in there
 * that lies below it.
 */
static char *
find(const BkcRestore *r, const char *path, bool folder, BkcError *err)
{
	const char *data = r->backup->header.data_directory;
	size_t		len = strlen(path);
	char	   *found = NULL;

	for (size_t i = 0; found == NULL && i < r->nconfigs; i++)
	{
		const char *original = r->backup->entries[r->configs[i].entry].path;

		if (path_len(original, folder) == len && memcmp(original, path, len) == 0)
		{
			found = strndup(r->configs[i].rel, path_len(r->configs[i].rel, folder));
			if (found == NULL)
			{
				bkc_error_oom(err);
				return NULL;
			}
		}
	}
	if (found != NULL || data == NULL)
		return found;
	len = strlen(data + 1);
	if (strncmp(path, data + 1, len) != 0 || path[len] != '/' ||
		!is_there(r, path + len + 1, folder))
		return NULL;
	found = strdup(path + len + 1);
	if (found == NULL)
		bkc_error_oom(err);
	return found;
}

char *
bkc_config_find(const BkcRestore *r, const char *path, BkcError *err)
{
	char	   *clean;
	char	   *found = NULL;

	bkc_error_clear(err);
	clean = join("", 0, path, err);
	if (clean != NULL)
		found = find(r, clean, false, err);
	free(clean);
	return found;
}

/* The path that a name in the file at rel had for the server; NULL as in join(). */
static char *
original_path(const BkcRestore *r, const char *rel, const char *name, BkcError *err)
{
	const BkcConfigFile *file = bkc_config_outside(r, rel);
	const char *data = r->backup->header.data_directory;
	char	   *path;
	char	   *out;

	if (name[0] == '/')
		return join("", 0, name, err);
	if (file != NULL)
	{
		const char *original = r->backup->entries[file->entry].path;

		return join(original, folder_len(original), name, err);
	}
	if (data == NULL)
		return NULL;
	path = join(data + 1, strlen(data + 1), rel, err);
	if (path == NULL)
		return NULL;
	out = join(path, folder_len(path), name, err);
	free(path);
	return out;
}

void
bkc_config_target_free(BkcConfigTarget *target)
{
	free(target->rel);
	free(target->name);
	memset(target, 0, sizeof(*target));
}

/*
 * A name that has been turned before leads to where the file is now, not to
 * where it was: a file that is included twice is read twice.
 */
bool
bkc_config_refer(const BkcRestore *r, const char *from, const char *to, const char *name,
				 bool folder, BkcConfigTarget *target, BkcError *err)
{
	char	   *path;
	char	   *lands = NULL;

	memset(target, 0, sizeof(*target));
	bkc_error_clear(err);
	path = original_path(r, from, name, err);
	if (path != NULL)
		target->rel = find(r, path, folder, err);
	free(path);
	if (err->code == BKC_OK && name[0] != '/')
		lands = join(to, folder_len(to), name, err);
	if (err->code == BKC_OK && target->rel == NULL && lands != NULL && is_there(r, lands, folder))
	{
		target->rel = lands;
		return true;
	}
	if (err->code == BKC_OK && target->rel != NULL &&
		(lands == NULL || strcmp(lands, target->rel) != 0))
		target->name = relative(to, target->rel, err);
	free(lands);
	if (err->code == BKC_OK)
		return true;
	bkc_config_target_free(target);
	return false;
}

bool
bkc_config_enter(BkcConfigWork *work, const BkcConfigFrame *up, const char *rel)
{
	int			depth = 0;

	for (; up != NULL; up = up->up)
	{
		if (++depth > BKC_CONFIG_DEPTH_MAX || strcmp(up->rel, rel) == 0)
			return false;
	}
	return work->nread++ < BKC_CONFIG_FILES_MAX;
}

/* ---- folders ---- */

static int
compare_names(const void *a, const void *b)
{
	return strcmp(*(char *const *) a, *(char *const *) b);
}

void
bkc_config_list_free(BkcConfigList *list)
{
	for (size_t i = 0; i < list->count; i++)
		free(list->rels[i]);
	free(list->rels);
	memset(list, 0, sizeof(*list));
}

static bool
add_name(BkcConfigList *list, const char *folder, const char *name, BkcError *err)
{
	size_t		len = strlen(name);
	char	  **grown;

	if (name[0] == '.' || len < 6 || strcmp(name + len - 5, ".conf") != 0)
		return true;
	grown = reallocarray(list->rels, list->count + 1, sizeof(char *));
	if (grown == NULL)
		return bkc_error_oom(err);
	list->rels = grown;
	grown[list->count] = bkc_path_join(folder, name, err);
	if (grown[list->count] == NULL)
		return false;
	list->count++;
	return true;
}

bool
bkc_config_list(const BkcRestore *r, const char *folder, BkcConfigList *list, BkcError *err)
{
	char	   *path = bkc_path_join(r->dirs[0].path, folder, err);
	DIR		   *handle = NULL;
	struct dirent *entry;
	bool		ok = path != NULL;

	memset(list, 0, sizeof(*list));
	if (ok)
	{
		handle = opendir(path);
		ok = handle != NULL || bkc_error_os(err, errno, "could not open folder \"%s\"", path);
	}
	while (ok && (entry = readdir(handle)) != NULL)
		ok = add_name(list, folder, entry->d_name, err);
	if (handle != NULL)
		closedir(handle);
	if (list->count > 1)
		qsort(list->rels, list->count, sizeof(char *), compare_names);
	free(path);
	return ok;
}

/* ---- replacing ---- */

bool
bkc_config_replace(BkcRestore *r, const char *rel, const BkcBuffer *content, BkcError *err)
{
	BkcBuffer	old = {0};
	BkcBuffer	name = {0};
	bool		ok = true;

	if (bkc_restore_exists(r, rel))
		ok = bkc_restore_get(r, rel, &old, err) &&
			bkc_buffer_printf(&name, err, "%s" REPLACED_SUFFIX, rel) &&
			bkc_restore_put(r, bkc_buffer_str(&name), &old, err);
	bkc_buffer_free(&name);
	bkc_buffer_free(&old);
	return ok && bkc_restore_put(r, rel, content, err);
}
