/*
 * restore_plan.c
 *		Where every entry of the manifest goes.
 *
 *		pgdata					PGDATA/<path>
 *		tablespace with a link	<its folder>/<path>
 *		tablespace in place		PGDATA/pg_tblspc/<oid>/<path>
 *		wal						PGDATA/pg_wal/<path>
 *		config					PGDATA/pg_backupctl_config/<path>
 *
 * pg_control goes to a temporary name.  What restore writes itself, and what
 * belongs to a running server, is left out.
 */
#include "restore.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"

#define BLOCK	4096			/* what a file takes is rounded up to this */

/* Files of PGDATA that are never restored from the backup. */
static const char *const left_out[] = {
	"backup_label",
	"tablespace_map",
	"backup_manifest",
	"recovery.signal",
	"standby.signal",
	"postmaster.pid",
	"postmaster.opts",
	BKC_RESTORE_MARKER,
	BKC_CONTROL_TEMP
};

static bool
is_left_out(const char *path)
{
	for (size_t i = 0; i < sizeof(left_out) / sizeof(left_out[0]); i++)
	{
		if (strcmp(path, left_out[i]) == 0)
			return true;
	}
	return false;
}

static bool
bad_entry(const BkcEntry *entry, const char *why, BkcError *err)
{
	char		root[32];

	bkc_root_name(entry->root, entry->tablespace, root);
	return bkc_error_set(err, BKC_ERR_CORRUPT, "manifest entry \"%s/%s\" is refused: %s",
						 root, entry->path, why);
}

/* ---- tablespaces and --tablespace-map ---- */

/* A place as a link shows it: absolute, no doubled or trailing slash, no "." or "..". */
static bool
clean_path(const char *text, size_t len, char **out, BkcError *err)
{
	char	   *path = malloc(len + 2);
	size_t		n = 0;

	if (path == NULL)
		return bkc_error_oom(err);
	for (size_t i = 0; i < len; i++)
	{
		if (text[i] == '/' && n > 0 && path[n - 1] == '/')
			continue;
		path[n++] = text[i];
	}
	while (n > 1 && path[n - 1] == '/')
		n--;
	path[n] = '\0';
	if (path[0] != '/' || path[1] == '\0' || !bkc_path_is_safe(path + 1))
	{
		bkc_error_set(err, BKC_ERR_INVALID, "\"%s\" is not an absolute path without \".\" and \"..\"",
					  path);
		free(path);
		return false;
	}
	*out = path;
	return true;
}

/* OLD=NEW, where "\=" is an equals sign in a path, as pg_basebackup has it. */
static bool
split_map(const char *text, char **from, char **to, BkcError *err)
{
	char	   *copy = strdup(text);
	char	   *second = NULL;
	size_t		n = 0;
	bool		ok;

	if (copy == NULL)
		return bkc_error_oom(err);
	for (const char *p = text; *p != '\0'; p++)
	{
		if (p[0] == '\\' && p[1] == '=')
			copy[n++] = *++p;
		else if (*p == '=' && second == NULL)
		{
			copy[n++] = '\0';
			second = copy + n;
		}
		else
			copy[n++] = *p;
	}
	copy[n] = '\0';
	if (second == NULL)
		ok = bkc_error_set(err, BKC_ERR_INVALID, "\"%s\" is not of the form OLD=NEW", text);
	else
		ok = clean_path(copy, strlen(copy), from, err) &&
			clean_path(second, strlen(second), to, err);
	free(copy);
	return ok;
}

/* "a", "b" for the detail of an error. */
static void
list_originals(const BkcRestore *r, char *out, size_t outlen)
{
	size_t		len = 0;

	snprintf(out, outlen, "none");
	for (size_t i = 1; i < r->ndirs && len < outlen; i++)
	{
		int			n = snprintf(out + len, outlen - len, "%s\"%s\"", i > 1 ? ", " : "",
								 r->dirs[i].original);

		len += n > 0 ? (size_t) n : 0;
	}
}

static bool
apply_map(BkcRestore *r, const char *from, char **to, BkcError *err)
{
	char		names[700];

	for (size_t i = 1; i < r->ndirs; i++)
	{
		BkcPlaceDir *dir = &r->dirs[i];

		if (strcmp(dir->original, from) != 0)
			continue;
		if (dir->link != NULL)
			return bkc_error_set(err, BKC_ERR_INVALID, "\"%s\" is mapped twice", from);
		dir->link = *to;
		*to = NULL;
		return true;
	}
	list_originals(r, names, sizeof(names));
	bkc_error_set(err, BKC_ERR_INVALID, "the backup has no tablespace at \"%s\"", from);
	return bkc_error_detail(err, "Its tablespaces outside PGDATA: %s.", names);
}

/* dirs: PGDATA first, then the tablespaces that links point to. */
static bool
plan_dirs(BkcRestore *r, BkcError *err)
{
	const BkcManifestHeader *header = &r->backup->header;
	const char *text;

	r->dirs = calloc(header->ntablespaces + 1, sizeof(BkcPlaceDir));
	if (r->dirs == NULL)
		return bkc_error_oom(err);
	r->dirs[0].fd = -1;
	r->ndirs = 1;
	for (size_t i = 0; i < header->ntablespaces; i++)
	{
		BkcPlaceDir *dir = &r->dirs[r->ndirs];

		if (header->tablespaces[i].path == NULL)
			continue;
		dir->fd = -1;
		dir->oid = header->tablespaces[i].oid;
		dir->original = header->tablespaces[i].path;
		r->ndirs++;
	}

	r->place = BKC_AT_COMMAND_LINE;
	for (size_t i = 0; (text = bkc_option_nth(r->options, "tablespace-map", i)) != NULL; i++)
	{
		char	   *from = NULL;
		char	   *to = NULL;
		bool		ok = split_map(text, &from, &to, err) && apply_map(r, from, &to, err);

		free(from);
		free(to);
		if (!ok)
			return bkc_error_context(err, "--tablespace-map");
	}
	r->place = BKC_AT_REPOSITORY;
	for (size_t i = 1; i < r->ndirs; i++)
	{
		if (r->dirs[i].link != NULL)
			continue;
		if (!clean_path(r->dirs[i].original, strlen(r->dirs[i].original), &r->dirs[i].link, err))
		{
			err->code = BKC_ERR_CORRUPT;
			return bkc_error_context(err, "tablespace %u in the manifest", r->dirs[i].oid);
		}
	}
	return true;
}

/* Index into dirs; 0 for a tablespace in place; BKC_SKIP for an unknown one. */
static uint32_t
find_dir(const BkcRestore *r, uint32_t oid)
{
	const BkcManifestHeader *header = &r->backup->header;

	for (size_t i = 1; i < r->ndirs; i++)
	{
		if (r->dirs[i].oid == oid)
			return (uint32_t) i;
	}
	for (size_t i = 0; i < header->ntablespaces; i++)
	{
		if (header->tablespaces[i].oid == oid)
			return 0;
	}
	return BKC_SKIP;
}

/* ---- the config root ---- */

static bool
plan_configs(BkcRestore *r, BkcError *err)
{
	const BkcBackup *backup = r->backup;

	for (size_t i = 0; i < backup->nentries; i++)
	{
		const BkcEntry *entry = &backup->entries[i];
		BkcConfigFile *configs;

		if (entry->root != BKC_ROOT_CONFIG || entry->type != BKC_ENTRY_FILE)
			continue;
		configs = reallocarray(r->configs, r->nconfigs + 1, sizeof(BkcConfigFile));
		if (configs == NULL)
			return bkc_error_oom(err);
		r->configs = configs;
		memset(&configs[r->nconfigs], 0, sizeof(BkcConfigFile));
		configs[r->nconfigs].entry = i;
		configs[r->nconfigs].rel = bkc_path_join(BKC_CONFIG_DIR, entry->path, err);
		if (configs[r->nconfigs].rel == NULL)
			return false;
		r->nconfigs++;
	}
	return true;
}

/*
 * Is this path of PGDATA taken by a file of the config root?  So it is when
 * the backup is one of a cluster that was itself restored by us.
 */
static bool
taken_by_config(const BkcRestore *r, const char *path)
{
	if (strncmp(path, BKC_CONFIG_DIR "/", sizeof(BKC_CONFIG_DIR)) != 0)
		return false;
	for (size_t k = 0; k < r->nconfigs; k++)
	{
		if (strcmp(r->configs[k].rel, path) == 0)
			return true;
	}
	return false;
}

/* ---- entries ---- */

/* Does the path lie at or below pg_tblspc/<oid> of a tablespace that will be a link? */
static bool
behind_link(const BkcRestore *r, const char *path)
{
	char		link[32];

	if (strncmp(path, "pg_tblspc/", 10) != 0)
		return false;
	for (size_t i = 1; i < r->ndirs; i++)
	{
		int			len = snprintf(link, sizeof(link), "pg_tblspc/%u", r->dirs[i].oid);

		if (strncmp(path, link, (size_t) len) == 0 && (path[len] == '\0' || path[len] == '/'))
			return true;
	}
	return false;
}

static bool
plan_pgdata(BkcRestore *r, const BkcEntry *entry, BkcPlanned *planned, BkcError *err)
{
	if (behind_link(r, entry->path))
		return bad_entry(entry, "it lies behind a tablespace's link", err);
	if (is_left_out(entry->path) || taken_by_config(r, entry->path))
	{
		planned->dir = BKC_SKIP;
		return true;
	}
	planned->dir = 0;
	planned->rel = strcmp(entry->path, BKC_CONTROL_FILE) == 0 ? BKC_CONTROL_TEMP : entry->path;
	return true;
}

static bool
plan_tablespace(BkcRestore *r, const BkcEntry *entry, BkcPlanned *planned, BkcError *err)
{
	const BkcManifestHeader *header = &r->backup->header;
	char		version[40];
	char		below[64];
	size_t		len;

	len = (size_t) snprintf(version, sizeof(version), "PG_%u_%u", header->pg_version_num / 10000,
							header->catalog_version);
	if (strncmp(entry->path, version, len) != 0 ||
		(entry->path[len] != '\0' && entry->path[len] != '/'))
		return bad_entry(entry, "a tablespace holds only the folder of the server's version", err);
	planned->dir = find_dir(r, entry->tablespace);
	if (planned->dir == BKC_SKIP)
		return bad_entry(entry, "the manifest's header has no such tablespace", err);
	planned->rel = entry->path;
	if (planned->dir == 0)
	{
		snprintf(below, sizeof(below), "pg_tblspc/%u", entry->tablespace);
		planned->rel = bkc_path_join(below, entry->path, err);
		planned->owned = true;
	}
	return planned->rel != NULL;
}

static bool
plan_wal(BkcRestore *r, const BkcEntry *entry, BkcPlanned *planned, BkcError *err)
{
	if (entry->type != BKC_ENTRY_FILE ||
		(!bkc_wal_is_segment(entry->path) && !bkc_wal_is_history(entry->path)))
		return bad_entry(entry, "it is neither a WAL segment nor a timeline history file", err);
	planned->dir = 0;
	planned->rel = bkc_path_join("pg_wal", entry->path, err);
	planned->owned = true;
	return planned->rel != NULL;
}

static bool
plan_config(BkcRestore *r, const BkcEntry *entry, BkcPlanned *planned, BkcError *err)
{
	planned->dir = BKC_SKIP;
	if (entry->type != BKC_ENTRY_FILE)
		return true;			/* only files matter there */
	for (size_t k = 0; k < r->nconfigs; k++)
	{
		if (&r->backup->entries[r->configs[k].entry] == entry)
		{
			planned->dir = 0;
			planned->rel = r->configs[k].rel;
		}
	}
	return true;
}

static bool
plan_entry(BkcRestore *r, const BkcEntry *entry, BkcPlanned *planned, BkcError *err)
{
	if (entry->type == BKC_ENTRY_LINK)
		return bkc_error_set(err, BKC_ERR_UNSUPPORTED,
							 "the backup holds a symbolic link, \"%s\", which this version does not restore",
							 entry->path);
	switch (entry->root)
	{
		case BKC_ROOT_PGDATA:
			return plan_pgdata(r, entry, planned, err);
		case BKC_ROOT_TABLESPACE:
			return plan_tablespace(r, entry, planned, err);
		case BKC_ROOT_WAL:
			return plan_wal(r, entry, planned, err);
		case BKC_ROOT_CONFIG:
			return plan_config(r, entry, planned, err);
	}
	return bad_entry(entry, "unknown root", err);
}

static bool
plan_entries(BkcRestore *r, BkcError *err)
{
	const BkcBackup *backup = r->backup;
	bool		control = false;
	bool		version = false;

	r->planned = calloc(backup->nentries + 1, sizeof(BkcPlanned));
	if (r->planned == NULL)
		return bkc_error_oom(err);
	for (size_t i = 0; i < backup->nentries; i++)
	{
		const BkcEntry *entry = &backup->entries[i];
		BkcPlanned *planned = &r->planned[i];

		if (!plan_entry(r, entry, planned, err))
			return false;
		if (planned->dir == BKC_SKIP)
			continue;
		r->dirs[planned->dir].files++;
		r->dirs[planned->dir].bytes += (entry->size + BLOCK - 1) / BLOCK * BLOCK;
		if (entry->type == BKC_ENTRY_FILE)
		{
			r->plan_files++;
			r->plan_bytes += entry->size;
		}
		if (entry->root != BKC_ROOT_PGDATA)
			continue;
		control |= entry->type == BKC_ENTRY_FILE && strcmp(entry->path, BKC_CONTROL_FILE) == 0;
		version |= entry->type == BKC_ENTRY_FILE && strcmp(entry->path, "PG_VERSION") == 0;

		/* PGDATA itself has no entry; "global" has always had its mode */
		if (entry->type == BKC_ENTRY_DIR && strcmp(entry->path, "global") == 0)
			r->group_access = (entry->mode & 0050) == 0050;
	}
	if (!control || !version)
		return bkc_error_set(err, BKC_ERR_CORRUPT, "backup %s holds no \"%s\"",
							 backup->header.label, control ? "PG_VERSION" : BKC_CONTROL_FILE);
	return true;
}

bool
bkc_restore_plan(BkcRestore *r, BkcError *err)
{
	return plan_dirs(r, err) && plan_configs(r, err) && plan_entries(r, err);
}

void
bkc_restore_plan_free(BkcRestore *r)
{
	for (size_t i = 0; r->planned != NULL && i < r->backup->nentries; i++)
	{
		if (r->planned[i].owned)
			free((void *) r->planned[i].rel);
	}
	free(r->planned);
	for (size_t i = 0; i < r->nconfigs; i++)
		free(r->configs[i].rel);
	free(r->configs);
	for (size_t i = 0; i < r->ndirs; i++)
	{
		free(r->dirs[i].link);
		free(r->dirs[i].path);
	}
	free(r->dirs);
	r->planned = NULL;
	r->configs = NULL;
	r->dirs = NULL;
	r->nconfigs = r->ndirs = 0;
}
