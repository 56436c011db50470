/*
 * ownfiles.c
 *		See ownfiles.h.
 */
#include "pgcompat.h"

#include <sys/stat.h>
#include <unistd.h>

#include "access/timeline.h"
#include "access/xlog_internal.h"
#include "base/file.h"
#include "catalog/pg_control.h"
#include "format/pgfiles.h"
#include "miscadmin.h"
#include "ownfiles.h"

#define CONTROL_READS		10

static void
store(BkcCopier *copier, BkcExtras *extras, BkcRoot root, const char *path, const struct stat *st)
{
	uint32		index;
	BkcError	err;

	if (!bkc_extras_add(extras, root, path, st->st_size, st->st_mode & 0777, st->st_mtime,
						&index, &err) ||
		!bkc_copier_file(copier, index, &extras->items[index - extras->base].rec, path, &err))
		bkc_ereport(ERROR, &err);
}

void
bkc_own_config(BkcCopier *copier, BkcExtras *extras, List *paths)
{
	ListCell   *lc;

	foreach(lc, paths)
	{
		const char *path = lfirst(lc);
		struct stat st;

		if (stat(path, &st) == 0 && S_ISREG(st.st_mode))
			store(copier, extras, BKC_ROOT_CONFIG, path + 1, &st);
	}
}

/*
 * pg_control is written in place and may be read half old, half new: its CRC
 * tells.
 */
void
bkc_own_control(BkcCopier *copier, BkcExtras *extras)
{
	uint8		data[PG_CONTROL_FILE_SIZE];
	struct stat st;
	uint32		index;
	BkcError	err;
	BkcControl	control;

	for (int i = 0;; i++)
	{
		size_t		got = 0;
		int			fd = bkc_file_open_read(XLOG_CONTROL_FILE, &err);
		bool		ok = fd >= 0 && fstat(fd, &st) == 0 &&
			bkc_file_pread(fd, XLOG_CONTROL_FILE, data, sizeof(data), 0, &got, &err);

		if (fd >= 0)
			close(fd);
		if (!ok)
			bkc_ereport(ERROR, &err);
		if (got == sizeof(data) && bkc_control_parse(data, got, &control, &err))
			break;
		if (i == CONTROL_READS)
			ereport(ERROR,
					(errcode(ERRCODE_DATA_CORRUPTED),
					 errmsg("could not read a correct \"%s\" in %d attempts",
							XLOG_CONTROL_FILE, CONTROL_READS)));
		CHECK_FOR_INTERRUPTS();
		pg_usleep(10000L);
	}
	if (!bkc_extras_add(extras, BKC_ROOT_PGDATA, XLOG_CONTROL_FILE, sizeof(data),
						st.st_mode & 0777, st.st_mtime, &index, &err) ||
		!bkc_copier_bytes(copier, index, data, sizeof(data), &err))
		bkc_ereport(ERROR, &err);
}

void
bkc_own_history(BkcCopier *copier, BkcExtras *extras, TimeLineID timeline)
{
	char		name[MAXFNAMELEN];
	char		path[MAXPGPATH];
	struct stat st;

	if (timeline <= 1)
		return;
	TLHistoryFileName(name, timeline);
	snprintf(path, sizeof(path), XLOGDIR "/%s", name);
	if (stat(path, &st) == 0)
		store(copier, extras, BKC_ROOT_WAL, name, &st);
	else if (errno != ENOENT)
		ereport(ERROR,
				(errcode_for_file_access(),
				 errmsg("could not stat file \"%s\": %m", path)));
}
