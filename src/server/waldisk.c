/*
 * waldisk.c
 *		See waldisk.h.
 */
#include "pgcompat.h"

#include <dirent.h>
#include <errno.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/file.h"
#include "base/host.h"
#include "format/pgfiles.h"
#include "utils/timestamp.h"
#include "waldisk.h"

#define STATUS_DIR	XLOGDIR "/archive_status"
#define READY		".ready"

/* Calls each() with the name (without .ready) of every waiting file. */
static bool
each_ready(void (*each) (void *arg, const char *file), void *arg, BkcError *err)
{
	DIR		   *dir = opendir(STATUS_DIR);
	struct dirent *entry;
	bool		ok = true;

	if (dir == NULL)
		return bkc_error_os(err, errno, "could not open folder \"%s\"", STATUS_DIR);
	for (errno = 0; ok && (entry = readdir(dir)) != NULL; errno = 0)
	{
		char		file[MAXFNAMELEN];
		size_t		len = strlen(entry->d_name);

		if (len <= strlen(READY) || len - strlen(READY) >= sizeof(file) ||
			strcmp(entry->d_name + len - strlen(READY), READY) != 0)
			continue;
		len -= strlen(READY);
		memcpy(file, entry->d_name, len);
		file[len] = '\0';
		each(arg, file);
	}
	if (errno != 0)
		ok = bkc_error_os(err, errno, "could not read folder \"%s\"", STATUS_DIR);
	closedir(dir);
	return ok;
}

/* ---- counting ---- */

typedef struct Counting
{
	BkcWalWaiting *waiting;
	time_t		oldest;
} Counting;

static void
count_ready(void *arg, const char *file)
{
	Counting   *c = arg;
	BkcWalWaiting *w = c->waiting;
	char		path[MAXPGPATH];
	struct stat st;

	w->files++;
	snprintf(path, sizeof(path), "%s/%s" READY, STATUS_DIR, file);
	if (stat(path, &st) == 0 && (c->oldest == 0 || st.st_mtime < c->oldest))
		c->oldest = st.st_mtime;
	if (!bkc_wal_is_segment(file))
		return;
	w->segments++;
	if (w->first[0] == '\0' || strcmp(file, w->first) < 0)
		strlcpy(w->first, file, sizeof(w->first));
}

bool
bkc_waldisk_waiting(BkcWalWaiting *waiting, BkcError *err)
{
	Counting	c = {.waiting = waiting};

	memset(waiting, 0, sizeof(*waiting));
	if (!each_ready(count_ready, &c, err))
		return false;
	waiting->bytes = waiting->segments * (uint64) wal_segment_size;
	if (c.oldest != 0)
		waiting->oldest = time_t_to_timestamptz(c.oldest);
	return true;
}

/* ---- the next one ---- */

typedef struct Looking
{
	const char *after;
	char	   *next;
} Looking;

static void
look_at_ready(void *arg, const char *file)
{
	Looking    *l = arg;

	if (bkc_wal_is_segment(file) && strcmp(file, l->after) > 0 &&
		(l->next[0] == '\0' || strcmp(file, l->next) < 0))
		strlcpy(l->next, file, MAXFNAMELEN);
}

bool
bkc_waldisk_next(const char *after, char next[MAXFNAMELEN], BkcError *err)
{
	Looking		l = {.after = after, .next = next};

	next[0] = '\0';
	return each_ready(look_at_ready, &l, err);
}

int64
bkc_waldisk_ready_time(const char *file)
{
	char		path[MAXPGPATH];
	struct stat st;

	snprintf(path, sizeof(path), "%s/%s" READY, STATUS_DIR, file);
	if (stat(path, &st) < 0)
		return bkc_host->now();
	return (int64) st.st_mtim.tv_sec * 1000000 + st.st_mtim.tv_nsec / 1000;
}

bool
bkc_waldisk_free(uint64 *bytes, BkcError *err)
{
	struct statvfs fs;

	if (statvfs(XLOGDIR, &fs) < 0)
		return bkc_error_os(err, errno, "could not ask for the free space of \"%s\"", XLOGDIR);
	*bytes = (uint64) fs.f_bavail * fs.f_frsize;
	return true;
}

bool
bkc_waldisk_check(const char *file, const char *path, BkcError *err)
{
	XLogLongPageHeaderData header;
	XLogRecPtr	expected;
	TimeLineID	timeline;
	XLogSegNo	segno;
	struct stat st;
	size_t		got;
	int			fd;
	bool		ok;

	fd = bkc_file_open_read(path, err);
	if (fd < 0)
		return false;
	ok = bkc_file_pread(fd, path, &header, sizeof(header), 0, &got, err) &&
		(fstat(fd, &st) == 0 || bkc_error_os(err, errno, "could not stat file \"%s\"", path));
	close(fd);
	if (!ok)
		return false;
	if (st.st_size != wal_segment_size)
		return bkc_error_set(err, BKC_ERR_CORRUPT, "WAL file \"%s\" has %lld bytes instead of %d",
							 file, (long long) st.st_size, wal_segment_size);
	XLogFromFileName(file, &timeline, &segno, wal_segment_size);
	XLogSegNoOffsetToRecPtr(segno, 0, wal_segment_size, expected);
	if (got != sizeof(header) || header.std.xlp_magic != XLOG_PAGE_MAGIC ||
		(header.std.xlp_info & XLP_LONG_HEADER) == 0)
		return bkc_error_set(err, BKC_ERR_CORRUPT,
							 "WAL file \"%s\" does not begin with a page of this PostgreSQL version",
							 file);
	if (header.std.xlp_pageaddr != expected)
		return bkc_error_set(err, BKC_ERR_CORRUPT,
							 "WAL file \"%s\" begins with a page of another place", file) ||
			bkc_error_detail(err, "Its first page says %X/%X.",
							 LSN_FORMAT_ARGS(header.std.xlp_pageaddr));
	if (header.xlp_sysid != GetSystemIdentifier())
		return bkc_error_set(err, BKC_ERR_CORRUPT,
							 "WAL file \"%s\" belongs to another cluster", file) ||
			bkc_error_detail(err, "Its first page says system identifier %llu, this cluster has %llu.",
							 (unsigned long long) header.xlp_sysid,
							 (unsigned long long) GetSystemIdentifier());
	return true;
}
