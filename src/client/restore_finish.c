/*
 * restore_finish.c
 *		The end of a restore: backup_manifest, everything to disk, pg_control.
 *
 * The order of the last steps, and why a folder that is not complete never
 * starts, whenever the power goes:
 *
 *	1.	Every file, link and folder is on disk, pg_control under its temporary
 *		name among them.
 *	2.	The markers are removed, and that is on disk.
 *	3.	pg_control gets its name by rename(2), and that is on disk.
 *
 * No server starts without global/pg_control, so nothing before step 3 can be
 * started; and step 3 is one atomic step with nothing left to do after it.
 * The markers go before and not after, because a marker next to a pg_control
 * would be a third state: a folder that starts, may become somebody's
 * production, and still says that it is unfinished and may be replaced.
 * A crash between 2 and 3 leaves a folder without marker and without
 * pg_control; --force knows it by the temporary name (restore_target.c).
 */
#include "restore.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fault.h"
#include "base/file.h"
#include "base/host.h"

#include "pgmanifest.h"
#include "restore_sync.h"

/* ---- backup_manifest ---- */

static int
compare_extra(const void *key, const void *item)
{
	return strcmp(key, ((const BkcExtra *) item)->rel);
}

/* Files that pg_verifybackup ignores and that are gone after the first start. */
static bool
is_signal(const char *rel)
{
	return strcmp(rel, "recovery.signal") == 0 || strcmp(rel, "standby.signal") == 0;
}

static bool
put_entry(const BkcRestore *r, BkcPgManifest *manifest, size_t index, BkcError *err)
{
	const BkcEntry *entry = &r->backup->entries[index];
	const BkcPlanned *planned = &r->planned[index];
	const char *rel = planned->rel;
	char		dir[32] = "";

	if (entry->type != BKC_ENTRY_FILE || planned->dir == BKC_SKIP || entry->root == BKC_ROOT_WAL)
		return true;
	if (planned->dir > 0)
		snprintf(dir, sizeof(dir), "pg_tblspc/%u", r->dirs[planned->dir].oid);
	else
	{
		/* WAL is judged by its range, not by its files */
		if (strncmp(rel, "pg_wal/", 7) == 0)
			return true;
		if (r->nextras > 0 &&
			bsearch(rel, r->extras, r->nextras, sizeof(BkcExtra), compare_extra) != NULL)
			return true;
		if (strcmp(rel, BKC_CONTROL_TEMP) == 0)
			rel = BKC_CONTROL_FILE;
	}
	return bkc_pgmanifest_file(manifest, dir, rel, entry->size, entry->mtime, entry->sha256, err);
}

static bool
put_files(const BkcRestore *r, BkcPgManifest *manifest, BkcError *err)
{
	for (size_t i = 0; i < r->backup->nentries; i++)
	{
		if (!put_entry(r, manifest, i, err))
			return false;
	}
	for (size_t i = 0; i < r->nextras; i++)
	{
		const BkcExtra *extra = &r->extras[i];

		if (!is_signal(extra->rel) &&
			!bkc_pgmanifest_file(manifest, "", extra->rel, extra->size, extra->mtime,
								 extra->sha256, err))
			return false;
	}
	return true;
}

static bool
write_manifest(const BkcRestore *r, BkcError *err)
{
	const BkcManifestHeader *header = &r->backup->header;
	BkcPgManifest *manifest = NULL;
	bool		ok;
	int			fd;

	fd = openat(r->dirs[0].fd, "backup_manifest",
				O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return bkc_error_os(err, errno, "could not create file \"backup_manifest\"");
	ok = bkc_pgmanifest_begin(fd, "backup_manifest", header->pg_version_num,
							  header->system_identifier, &manifest, err) &&
		put_files(r, manifest, err) &&
		bkc_pgmanifest_end(manifest, header->timeline, header->start_lsn, header->stop_lsn, err);
	bkc_pgmanifest_free(manifest);
	if (ok && r->group_access && fchmod(fd, 0640) != 0)
		ok = bkc_error_os(err, errno, "could not set permissions of file \"backup_manifest\"");
	if (!ok)
	{
		close(fd);
		return false;
	}
	return bkc_file_close(fd, "backup_manifest", err);
}

/* ---- the last steps ---- */

static bool
remove_marker(const BkcPlaceDir *dir, BkcError *err)
{
	if (unlinkat(dir->fd, BKC_RESTORE_MARKER, 0) != 0)
		return bkc_error_os(err, errno, "could not remove \"%s/%s\"", dir->path, BKC_RESTORE_MARKER);
	return bkc_file_fsync(dir->fd, dir->path, err);
}

static bool
place_control(BkcRestore *r, BkcError *err)
{
	int			global = openat(r->dirs[0].fd, "global", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	bool		ok;

	if (global < 0)
		return bkc_error_os(err, errno, "could not open folder \"global\"");
	if (renameat(r->dirs[0].fd, BKC_CONTROL_TEMP, r->dirs[0].fd, BKC_CONTROL_FILE) != 0)
		ok = bkc_error_os(err, errno, "could not rename \"%s\" to \"%s\"", BKC_CONTROL_TEMP,
						  BKC_CONTROL_FILE);
	else
	{
		r->placed = true;
		ok = bkc_file_fsync(global, "global", err);
	}
	close(global);
	return ok;
}

bool
bkc_restore_finish(BkcRestore *r, BkcError *err)
{
	r->place = BKC_AT_TARGET;
	if (!write_manifest(r, err) || !bkc_fault(BKC_FAULT_RESTORE_EXTRAS, err))
		return false;
	if (r->group_access && fchmod(r->dirs[0].fd, 0750) != 0)
		return bkc_error_os(err, errno, "could not set permissions of folder \"%s\"", r->dirs[0].path);
	if (!bkc_restore_sync(r, err))
		return false;
	r->place = BKC_AT_TARGET;
	if (!bkc_fault(BKC_FAULT_RESTORE_SYNCED, err) || !bkc_host_check(err))
		return false;

	for (size_t i = r->ndirs; i > 0; i--)
	{
		if (!remove_marker(&r->dirs[i - 1], err))
			return false;
	}
	return place_control(r, err) && bkc_fault(BKC_FAULT_RESTORE_CONTROL, err);
}
