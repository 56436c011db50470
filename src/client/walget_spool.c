/*
 * walget_spool.c
 *		The folder of segments that were fetched ahead:
 *
 *		pg_wal/pg_backupctl-prefetch/<system identifier>-<hash>/<segment>
 *
 * The hash is that of all that says where the WAL comes from and how much of it is
 * served, so that what was fetched for another recovery is never used.
 * A segment appears by rename when it is complete, checked and synced; the one
 * that is being fetched is locked by who fetches it.  Files that
 * vanish or come twice harm nothing: whoever misses one fetches it.
 *
 * This is the path that replay waits for: no repository, no library is touched here.
 */
#include "walget.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/host.h"

#include "host.h"

#define SPOOL_FOLDER	"pg_backupctl-prefetch"
#define LOCK_FILE		"lock"
#define TARGET_FILE		"RECOVERYXLOG"	/* where the server wants its segments */
#define CONTROL_FILE	"global/pg_control"
#define CONTROL_SIZE	1024	/* more than its contents */
#define CONTROL_TRIES	5
#define STALL_USEC		10000000	/* who fetches makes no progress */
#define CLEAR_TRIES		3

/* ---- where it is ---- */

/* The server may be writing it just now. */
static bool
read_control(const char *data_dir, BkcControl *control)
{
	char		path[PATH_MAX];
	uint8_t		data[CONTROL_SIZE];
	BkcError	err;
	size_t		got;
	bool		ok = false;

	if ((size_t) snprintf(path, sizeof(path), "%s/" CONTROL_FILE, data_dir) >= sizeof(path))
		return false;
	for (int i = 0; !ok && i < CONTROL_TRIES; i++)
	{
		int			fd = bkc_file_open_read(path, &err);

		if (fd < 0)
			return false;
		ok = bkc_file_pread(fd, path, data, sizeof(data), 0, &got, &err) &&
			bkc_control_parse(data, got, control, &err);
		close(fd);
		if (!ok && i + 1 < CONTROL_TRIES)
			bkc_host->wait(1);
	}
	return ok;
}

/* "X/pg_wal/RECOVERYXLOG" -> "X", "." for "pg_wal/RECOVERYXLOG" */
static bool
find_data_dir(const char *path, char out[PATH_MAX])
{
	const char *end = strrchr(path, '/');
	const char *begin;
	size_t		len;

	while (end != NULL && end > path && end[-1] == '/')
		end--;
	if (end == NULL || end - path < 6 || strncmp(end - 6, "pg_wal", 6) != 0)
		return false;
	begin = end - 6;
	if (begin > path && begin[-1] != '/')
		return false;
	len = (size_t) (begin - path);
	if (len >= PATH_MAX)
		return false;
	if (len == 0)
	{
		memcpy(out, ".", 2);
		return true;
	}
	memcpy(out, path, len);
	out[len] = '\0';
	return true;
}

void
bkc_walspool_surroundings(BkcWalGet *w)
{
	BkcControl	control;

	w->data_dir[0] = '\0';
	if (!find_data_dir(w->path, w->data_dir))
		return;
	if (!read_control(w->data_dir, &control))
	{
		w->data_dir[0] = '\0';
		return;
	}
	w->sysid = control.system_identifier;
	w->segment_size = control.wal_segment_size;
}

/* FNV-1a, the zero byte included: it tells recoveries apart, and nothing more. */
static uint64_t
add_hash(uint64_t hash, const char *text)
{
	do
	{
		hash ^= (uint8_t) *text;
		hash *= UINT64_C(0x100000001b3);
	} while (*text++ != '\0');
	return hash;
}

static uint64_t
hash_options(const BkcWalGet *w)
{
	uint64_t	hash = UINT64_C(0xcbf29ce484222325);
	char		text[128];

	for (size_t i = 0; i < w->nrepos; i++)
		hash = add_hash(hash, bkc_option_nth(w->options, "repo", i));
	hash = add_hash(hash, w->label != NULL ? w->label : "");
	snprintf(text, sizeof(text), "%" PRIu64 " %" PRIu32 " %" PRIu64, w->sysid, w->target, w->until);
	return add_hash(hash, text);
}

void
bkc_walspool_locate(BkcWalGet *w)
{
	size_t		dir_len;

	w->spool_top[0] = '\0';
	w->spool[0] = '\0';
	if (w->data_dir[0] == '\0' || w->prefetch == 0)
		return;
	dir_len = (size_t) (strrchr(w->path, '/') - w->path);
	if ((size_t) snprintf(w->spool_top, sizeof(w->spool_top), "%.*s/" SPOOL_FOLDER,
						  (int) dir_len, w->path) >= sizeof(w->spool_top) ||
		(size_t) snprintf(w->spool, sizeof(w->spool), "%s/%" PRIu64 "-%016" PRIx64,
						  w->spool_top, w->sysid, hash_options(w)) >= sizeof(w->spool))
	{
		w->spool_top[0] = '\0';
		w->spool[0] = '\0';
	}
}

bool
bkc_walspool_path(const BkcWalGet *w, const char *file, char out[PATH_MAX])
{
	return (size_t) snprintf(out, PATH_MAX, "%s/%s", w->spool, file) < PATH_MAX;
}

/* ---- taking ---- */

static bool
is_complete(const BkcWalGet *w, const char *path)
{
	struct stat st;

	return lstat(path, &st) == 0 && S_ISREG(st.st_mode) &&
		(uint64_t) st.st_size == w->segment_size;
}

bool
bkc_walspool_has(const BkcWalGet *w, const char *file)
{
	char		path[PATH_MAX];

	return bkc_walspool_path(w, file, path) && is_complete(w, path);
}

static bool
take(const BkcWalGet *w, const char *path)
{
	char		temp[PATH_MAX];

	if (!is_complete(w, path) || rename(path, w->path) != 0)
		return false;

	/* what a killed process has left; nobody else would come by */
	if ((size_t) snprintf(temp, sizeof(temp), "%s" BKC_WALGET_TEMP, w->path) < sizeof(temp))
		(void) unlink(temp);
	return true;
}

/*
 * Is somebody at work on that file?  The lock goes with the process, however
 * it ends.
 */
static bool
is_locked(int fd)
{
	return flock(fd, LOCK_SH | LOCK_NB) != 0 && errno == EWOULDBLOCK;
}

/* Wait until who fetches the file has done so or is gone. */
static void
wait_for(int fd)
{
	int64_t		progress = bkc_client_clock();
	off_t		size = -1;
	struct stat st;

	while (is_locked(fd) && !bkc_host->cancelled())
	{
		if (fstat(fd, &st) == 0 && st.st_size != size)
		{
			size = st.st_size;
			progress = bkc_client_clock();
		}
		if (bkc_client_clock() - progress > STALL_USEC)
			return;
		bkc_host->wait(1);
	}
}

bool
bkc_walspool_take(const BkcWalGet *w)
{
	char		path[PATH_MAX];
	char		temp[PATH_MAX];
	int			fd;

	if (w->spool[0] == '\0' || !bkc_walspool_path(w, w->file, path) ||
		(size_t) snprintf(temp, sizeof(temp), "%s" BKC_WALGET_TEMP, path) >= sizeof(temp))
		return false;
	if (take(w, path))
		return true;
	fd = open(temp, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (fd >= 0)
	{
		wait_for(fd);
		close(fd);
	}

	/* also without the temporary file: it may have been named just now */
	return !bkc_host->cancelled() && take(w, path);
}

/* ---- keeping order ---- */

/* One of the next segments? */
static bool
is_ahead(const BkcWalGet *w, uint64_t segno, const char *name)
{
	uint32_t	timeline;
	uint64_t	other;

	return bkc_wal_segment_parse(name, w->segment_size, &timeline, &other) &&
		timeline == w->timeline && other > segno && other - segno <= w->prefetch;
}

uint32_t
bkc_walspool_trim(const BkcWalGet *w)
{
	uint64_t	segno = bkc_walget_start(w) / w->segment_size;
	DIR		   *dir = opendir(w->spool);
	struct dirent *entry;
	uint32_t	ahead = 0;

	if (dir == NULL)
		return 0;
	while ((entry = readdir(dir)) != NULL)
	{
		if (!bkc_wal_is_segment(entry->d_name))
			continue;
		if (is_ahead(w, segno, entry->d_name))
			ahead++;
		else
			(void) unlinkat(dirfd(dir), entry->d_name, 0);
	}
	closedir(dir);
	return ahead;
}

/* A folder of ours; what else has its name is left alone. */
static bool
make_folder(const char *path)
{
	struct stat st;

	return (mkdir(path, 0700) == 0 || errno == EEXIST) && lstat(path, &st) == 0 &&
		S_ISDIR(st.st_mode) && st.st_uid == geteuid();
}

int
bkc_walspool_lock(const BkcWalGet *w)
{
	char		path[PATH_MAX];
	int			fd;

	if (!make_folder(w->spool_top) || !make_folder(w->spool) ||
		!bkc_walspool_path(w, LOCK_FILE, path))
		return -1;
	fd = open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return -1;
	if (flock(fd, LOCK_EX | LOCK_NB) == 0)
		return fd;
	close(fd);
	return -1;
}

static void
remove_unfinished(const char *folder)
{
	DIR		   *dir = opendir(folder);
	struct dirent *entry;

	if (dir == NULL)
		return;
	while ((entry = readdir(dir)) != NULL)
	{
		size_t		len = strlen(entry->d_name);
		int			fd;

		if (len <= strlen(BKC_WALGET_TEMP) ||
			strcmp(entry->d_name + len - strlen(BKC_WALGET_TEMP), BKC_WALGET_TEMP) != 0)
			continue;
		fd = openat(dirfd(dir), entry->d_name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
		if (fd >= 0 && !is_locked(fd))
			(void) unlinkat(dirfd(dir), entry->d_name, 0);
		if (fd >= 0)
			close(fd);
	}
	closedir(dir);
}

void
bkc_walspool_tidy(const BkcWalGet *w)
{
	const char *own = strrchr(w->spool, '/') + 1;
	DIR		   *dir = opendir(w->spool_top);
	struct dirent *entry;
	char		path[PATH_MAX];
	BkcError	ignored;

	if (dir == NULL)
		return;
	while ((entry = readdir(dir)) != NULL)
	{
		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0 ||
			strcmp(entry->d_name, own) == 0)
			continue;
		if ((size_t) snprintf(path, sizeof(path), "%s/%s", w->spool_top,
							  entry->d_name) < sizeof(path))
			(void) bkc_dir_remove_tree(path, false, &ignored);
	}
	closedir(dir);
	remove_unfinished(w->spool);
}

void
bkc_walspool_clear(const BkcWalGet *w)
{
	char		temp[PATH_MAX];
	BkcError	ignored;

	if ((size_t) snprintf(temp, sizeof(temp), "%s/../" TARGET_FILE BKC_WALGET_TEMP,
						  w->spool_top) < sizeof(temp))
		(void) unlink(temp);

	/* who still fetches finds no folder any more, but may have been faster once */
	for (int i = 0; i < CLEAR_TRIES; i++)
	{
		if (bkc_dir_remove_tree(w->spool_top, false, &ignored))
			return;
	}
}
