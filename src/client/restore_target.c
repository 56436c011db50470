/*
 * restore_target.c
 *		May these folders be written to?  Looks only, writes nothing.
 *
 * PGDATA must be empty or absent; --force also takes the data directory of a
 * stopped server or an unfinished restore.  Tablespaces' folders must be
 * empty or absent; what an unfinished restore left there is known by its
 * marker (restore_begin.c), so that --force clears only what is provably
 * ours and never a folder that another cluster lives in.
 */
#include "restore.h"

#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/host.h"

#define MARKER_MAX		(64 * 1024)
#define PID_FILE_MAX	(64 * 1024)

/* ---- paths ---- */

/*
 * Absolute and without links as far as it exists; what does not exist yet must
 * not climb.  "data", "/srv/../srv/data" and "/link/data" are all fine.
 */
static bool
resolve(const char *given, char **out, BkcError *err)
{
	char	   *cwd = given[0] == '/' ? NULL : getcwd(NULL, 0);
	char	   *path = NULL;
	char	   *real = NULL;
	size_t		len;
	bool		ok = false;

	if (given[0] != '/' && cwd == NULL)
		return bkc_error_os(err, errno, "could not find out the current folder");
	path = given[0] == '/' ? strdup(given) : bkc_path_join(cwd, given, err);
	if (path == NULL)
	{
		bkc_error_oom(err);
		goto done;
	}
	len = strlen(path);
	while (len > 1 && path[len - 1] == '/')
		path[--len] = '\0';
	for (;;)
	{
		char		cut = path[len];

		path[len] = '\0';
		real = realpath(len > 0 ? path : "/", NULL);
		path[len] = cut;
		if (real != NULL)
			break;
		if (errno != ENOENT)
		{
			bkc_error_os(err, errno, "could not look at folder \"%s\"", path);
			goto done;
		}
		while (len > 0 && path[len - 1] != '/')
			len--;
		while (len > 0 && path[len - 1] == '/')
			len--;
	}
	while (path[len] == '/')
		len++;
	if (path[len] == '\0')
	{
		*out = real;
		real = NULL;
		ok = true;
	}
	else if (!bkc_path_is_safe(path + len))
		bkc_error_set(err, BKC_ERR_INVALID, "\"%s\" is not a usable path for a new folder", given);
	else
	{
		*out = bkc_path_join(real, path + len, err);
		ok = *out != NULL;
	}

done:
	free(real);
	free(path);
	free(cwd);
	return ok;
}

/* Is inner the same folder as outer or below it? */
static bool
is_within(const char *inner, const char *outer)
{
	size_t		len = strlen(outer);

	if (strcmp(outer, "/") == 0)
		return true;
	return strncmp(inner, outer, len) == 0 && (inner[len] == '\0' || inner[len] == '/');
}

static bool
has_file(const char *dir, const char *name, BkcError *err, bool *has)
{
	char	   *path = bkc_path_join(dir, name, err);
	struct stat st;
	bool		ok = true;

	if (path == NULL)
		return false;
	*has = false;
	if (lstat(path, &st) == 0)
		*has = S_ISREG(st.st_mode);
	else if (errno != ENOENT && errno != ENOTDIR)
		ok = bkc_error_os(err, errno, "could not look at \"%s\"", path);
	free(path);
	return ok;
}

/* ---- PGDATA ---- */

/* Refuse when the process that postmaster.pid names is alive. */
static bool
check_not_running(const char *pgdata, BkcError *err)
{
	char	   *path = bkc_path_join(pgdata, "postmaster.pid", err);
	BkcBuffer	text = {0};
	char	   *end;
	long		pid;
	bool		ok;

	if (path == NULL)
		return false;
	ok = bkc_file_slurp(path, PID_FILE_MAX, &text, err);
	if (!ok && err->code == BKC_ERR_NOT_FOUND)
		ok = true;
	else if (ok)
	{
		/* negative: a server in single-user mode */
		pid = labs(strtol(bkc_buffer_str(&text), &end, 10));
		if (pid == 0 || (*end != '\n' && *end != '\0'))
		{
			bkc_error_set(err, BKC_ERR_STATE, "\"%s\" cannot be read: is a server running there?", path);
			bkc_error_hint(err, "Remove that file when you are sure that there is none.");
			ok = false;
		}
		else if (kill((pid_t) pid, 0) == 0 || errno == EPERM)
		{
			bkc_error_set(err, BKC_ERR_STATE, "a server is running in \"%s\" (process %ld)", pgdata, pid);
			bkc_error_hint(err, "Stop it first, or restore into another folder.  If process %ld is no server, remove \"%s\".",
						   pid, path);
			ok = false;
		}
	}
	bkc_buffer_free(&text);
	free(path);
	return ok;
}

/*
 * --force would empty a file system that is mounted somewhere below (pg_wal
 * on a volume of its own), and could not remove the folder it is mounted on.
 */
static bool
check_no_mounts(const char *path, dev_t device, BkcError *err)
{
	DIR		   *handle = opendir(path);
	struct dirent *entry;
	bool		ok = true;

	if (handle == NULL)
		return bkc_error_os(err, errno, "could not open folder \"%s\"", path);
	for (errno = 0; ok && (entry = readdir(handle)) != NULL; errno = 0)
	{
		char	   *child;
		struct stat st;

		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		child = bkc_path_join(path, entry->d_name, err);
		ok = child != NULL && bkc_host_check(err);
		if (ok && lstat(child, &st) == 0 && S_ISDIR(st.st_mode))
		{
			if (st.st_dev != device)
			{
				bkc_error_set(err, BKC_ERR_STATE, "\"%s\" is another file system", child);
				bkc_error_hint(err, "--force does not empty what is mounted inside a data directory: unmount it, or restore into another folder.");
				ok = false;
			}
			else
				ok = check_no_mounts(child, device, err);
		}
		free(child);
	}
	if (ok && errno != 0)
		ok = bkc_error_os(err, errno, "could not read folder \"%s\"", path);
	closedir(handle);
	return ok;
}

/* The folder is not empty: may it be replaced? */
static bool
check_replace(BkcRestore *r, BkcError *err)
{
	const char *pgdata = r->dirs[0].path;
	bool		marker;
	bool		version;
	bool		control;
	bool		temp;
	bool		cluster;
	struct stat st;

	if (!has_file(pgdata, BKC_RESTORE_MARKER, err, &marker) ||
		!has_file(pgdata, "PG_VERSION", err, &version) ||
		!has_file(pgdata, BKC_CONTROL_FILE, err, &control) ||
		!has_file(pgdata, BKC_CONTROL_TEMP, err, &temp))
		return false;

	/* the temporary pg_control: all was done but the last step (restore_finish.c) */
	cluster = version && (control || temp);
	if (!r->force || (!marker && !cluster))
	{
		bkc_error_set(err, BKC_ERR_STATE, "folder \"%s\" is not empty", pgdata);
		if (marker || (cluster && !control))
			return bkc_error_hint(err, "It holds an unfinished restore: --force replaces it.");
		if (cluster)
			return bkc_error_hint(err, "It holds a data directory: --force replaces it when its server is stopped; everything in it is removed.");
		bkc_error_detail(err, "It holds neither a data directory nor an unfinished restore.");
		return bkc_error_hint(err, "Restore into a folder that is empty or does not exist.");
	}
	r->replace = true;

	/*
	 * Only then are links in pg_tblspc surely those of a restore: they are
	 * made behind all files, and the temporary pg_control is the first thing
	 * that a new attempt removes, durably, before it clears anything.  A
	 * marker alone may stand beside the links of the cluster that a --force
	 * was about to replace.
	 */
	r->unfinished = temp && !control;
	if (stat(pgdata, &st) != 0)
		return bkc_error_os(err, errno, "could not stat folder \"%s\"", pgdata);
	return check_not_running(pgdata, err) && check_no_mounts(pgdata, st.st_dev, err) &&
		(!marker || bkc_restore_lock(r, err));
}

static bool
check_pgdata(BkcRestore *r, BkcError *err)
{
	BkcPlaceDir *dir = &r->dirs[0];
	struct stat st;
	bool		exists;
	bool		empty;

	if (bkc_option(r->options, "pgdata")[0] == '\0')
		return bkc_error_set(err, BKC_ERR_INVALID, "--pgdata is empty");
	if (!resolve(bkc_option(r->options, "pgdata"), &dir->path, err))
		return bkc_error_context(err, "--pgdata");
	if (strcmp(dir->path, "/") == 0)
		return bkc_error_set(err, BKC_ERR_INVALID, "the root folder cannot be a data directory");
	if (!bkc_dir_state(dir->path, &exists, &empty, err))
		return false;
	if (exists && geteuid() != 0 && stat(dir->path, &st) == 0 && st.st_uid != geteuid())
	{
		bkc_error_set(err, BKC_ERR_ACCESS, "folder \"%s\" belongs to another user", dir->path);
		return bkc_error_hint(err, "A server starts only in a data directory of its own user; run the restore as that user.");
	}
	return empty || check_replace(r, err);
}

/* ---- tablespaces ---- */

/* Is the marker in a tablespace's folder ours, for this PGDATA? */
static bool
marker_is_ours(const BkcRestore *r, const char *dir, bool *ours, BkcError *err)
{
	BkcBuffer	text = {0};
	BkcBuffer	line = {0};
	char	   *path = bkc_path_join(dir, BKC_RESTORE_MARKER, err);
	bool		ok = path != NULL;

	*ours = false;
	if (ok && !bkc_file_slurp(path, MARKER_MAX, &text, err))
		ok = err->code == BKC_ERR_NOT_FOUND;
	else if (ok)
	{
		ok = bkc_buffer_printf(&line, err, "\npgdata %s\n", r->dirs[0].path);
		*ours = ok && strstr(bkc_buffer_str(&text), bkc_buffer_str(&line)) != NULL;
	}
	bkc_buffer_free(&line);
	bkc_buffer_free(&text);
	free(path);
	return ok;
}

/*
 * Does a link of an unfinished PGDATA lead to this folder?  The last moments
 * of a restore, when the markers are gone and pg_control is not there yet.
 */
static bool
link_is_ours(const BkcRestore *r, const char *dir, bool *ours, BkcError *err)
{
	char	   *folder;
	DIR		   *handle;
	struct dirent *entry;
	bool		ok = true;

	if (!r->unfinished)
		return true;
	folder = bkc_path_join(r->dirs[0].path, "pg_tblspc", err);
	if (folder == NULL)
		return false;
	handle = opendir(folder);
	for (errno = 0; ok && handle != NULL && (entry = readdir(handle)) != NULL; errno = 0)
	{
		char	   *link = bkc_path_join(folder, entry->d_name, err);
		char	   *target = link != NULL && entry->d_name[0] != '.' ? realpath(link, NULL) : NULL;

		ok = link != NULL;
		if (target != NULL && strcmp(target, dir) == 0)
			*ours = true;
		free(target);
		free(link);
	}
	if (ok && handle != NULL && errno != 0)
		ok = bkc_error_os(err, errno, "could not read folder \"%s\"", folder);
	if (handle != NULL)
		closedir(handle);
	free(folder);
	return ok;
}

/* Only the marker and folders PG_...: what restore itself makes there. */
static bool
holds_only_ours(const char *path, bool *only, BkcError *err)
{
	DIR		   *handle = opendir(path);
	struct dirent *entry;
	bool		ok = true;

	*only = true;
	if (handle == NULL)
		return bkc_error_os(err, errno, "could not open folder \"%s\"", path);
	for (errno = 0; (entry = readdir(handle)) != NULL; errno = 0)
	{
		const char *name = entry->d_name;

		if (strcmp(name, ".") != 0 && strcmp(name, "..") != 0 &&
			strcmp(name, BKC_RESTORE_MARKER) != 0 && strncmp(name, "PG_", 3) != 0)
			*only = false;
	}
	if (errno != 0)
	{
		ok = bkc_error_os(err, errno, "could not read folder \"%s\"", path);
		*only = false;
	}
	closedir(handle);
	return ok;
}

/* May we write there?  Asked before --force removes anything. */
static bool
check_usable(const char *path, bool exists, BkcError *err)
{
	char	   *parent = strdup(path);
	bool		ok;

	if (parent == NULL)
		return bkc_error_oom(err);
	while (!exists && strlen(parent) > 1)
	{
		char	   *slash = strrchr(parent, '/');

		slash[slash == parent ? 1 : 0] = '\0';
		exists = access(parent, F_OK) == 0;
	}
	ok = access(parent, W_OK | X_OK) == 0 ||
		bkc_error_os(err, errno, "cannot write to folder \"%s\"", parent);
	free(parent);
	return ok;
}

static bool
check_tablespace(BkcRestore *r, BkcPlaceDir *dir, BkcError *err)
{
	bool		mapped = strcmp(dir->link, dir->original) != 0;
	bool		exists;
	bool		empty;
	bool		ours = false;
	bool		only = false;

	if (!resolve(dir->link, &dir->path, err) ||
		!bkc_dir_state(dir->path, &exists, &empty, err) ||
		!check_usable(dir->path, exists, err))
		return bkc_error_context(err, "tablespace %u", dir->oid);
	if (empty)
		return true;
	if (r->force && (!marker_is_ours(r, dir->path, &ours, err) ||
					 !link_is_ours(r, dir->path, &ours, err) ||
					 (ours && !holds_only_ours(dir->path, &only, err))))
		return false;
	if (ours && only)
	{
		dir->resume = true;
		return true;
	}
	bkc_error_set(err, BKC_ERR_STATE, "folder \"%s\" of tablespace %u is not empty",
				  dir->link, dir->oid);
	if (!mapped)
		bkc_error_detail(err, "This is where the tablespace was when the backup was taken; the cluster may still live there.");
	return bkc_error_hint(err, "Put the tablespace elsewhere: --tablespace-map \"%s=NEW\", where NEW is empty or does not exist.",
						  dir->original);
}

static bool
check_overlaps(const BkcRestore *r, BkcError *err)
{
	const char *pgdata = r->dirs[0].path;

	for (size_t i = 1; i < r->ndirs; i++)
	{
		const BkcPlaceDir *dir = &r->dirs[i];

		if (is_within(dir->path, pgdata) || is_within(pgdata, dir->path))
		{
			bkc_error_set(err, BKC_ERR_INVALID, "folder \"%s\" of tablespace %u and PGDATA \"%s\" lie in one another",
						  dir->link, dir->oid, pgdata);
			return bkc_error_hint(err, "Put the tablespace elsewhere: --tablespace-map \"%s=NEW\".",
								  dir->original);
		}
		for (size_t k = 1; k < i; k++)
		{
			if (strcmp(dir->path, r->dirs[k].path) == 0)
				return bkc_error_set(err, BKC_ERR_INVALID, "tablespaces %u and %u would share folder \"%s\"",
									 r->dirs[k].oid, dir->oid, dir->link);
		}
	}
	return true;
}

/* A restore must not land in the repository, nor --force remove it. */
static bool
check_repository(const BkcRestore *r, BkcError *err)
{
	char	   *repo = NULL;
	bool		ok = true;

	if (strcmp(r->session.url.scheme, "file") != 0)
		return true;
	if (!resolve(r->session.url.path, &repo, err))
		return false;
	for (size_t i = 0; ok && i < r->ndirs; i++)
	{
		if (is_within(r->dirs[i].path, repo) || is_within(repo, r->dirs[i].path))
			ok = bkc_error_set(err, BKC_ERR_INVALID, "folder \"%s\" and the repository \"%s\" lie in one another",
							   r->dirs[i].path, repo);
	}
	free(repo);
	return ok;
}

bool
bkc_restore_target_check(BkcRestore *r, BkcError *err)
{
	r->place = BKC_AT_TARGET;
	if (!check_pgdata(r, err))
		return false;
	for (size_t i = 1; i < r->ndirs; i++)
	{
		if (!check_tablespace(r, &r->dirs[i], err))
			return false;
	}
	return check_overlaps(r, err) && check_repository(r, err) && bkc_restore_space(r, err);
}
