/*
 * marks.c
 *		See marks.h.
 *
 * A new file is written under another name, with the inode number that it
 * has already, and renamed: it never exists half written.  A line that is appended
 * later may be cut by a crash; such a line does not count, and what it was to
 * say is found out again.
 */
#include "pgcompat.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/file.h"
#include "base/text.h"
#include "common/file_perm.h"
#include "marks.h"
#include "miscadmin.h"
#include "settings.h"
#include "shared.h"
#include "spool.h"
#include "storage/fd.h"

#define MARK_MAX		32768
#define HEAD_MAX		256		/* the first line */
#define OWNER_PATH		BKC_SPOOL_DIR "/owner"

static void
mark_path(char path[MAXPGPATH], const char *name)
{
	snprintf(path, MAXPGPATH, "%s/%s", BKC_SPOOL_DIR, name);
}

/*
 * The text of a file and its inode; *there = false when it is proven absent.  What cannot be read
 * must not count as absent: it may be what refuses us, or who we are.
 */
static bool
bound_read(const char *path, BkcBuffer *text, unsigned long long *inode, bool *there,
		   BkcError *err)
{
	struct stat st;

	*there = false;
	if (stat(path, &st) != 0)
		return errno == ENOENT || bkc_error_os(err, errno, "could not stat file \"%s\"", path);
	if (!bkc_file_slurp(path, MARK_MAX, text, err))
		return err->code == BKC_ERR_NOT_FOUND;
	*inode = (unsigned long long) st.st_ino;
	*there = true;
	return true;
}

/* head, the file's inode number, tail and a line break; durable. */
static bool
bound_write(const char *path, const char *head, const char *tail, BkcError *err)
{
	char		tmp[MAXPGPATH];
	char		text[HEAD_MAX];
	struct stat st;
	int			fd;
	bool		ok;

	if (!bkc_dir_create(BKC_SPOOL_DIR, pg_dir_create_mode, err))
		return false;
	snprintf(tmp, sizeof(tmp), "%s.new.%d", path, MyProcPid);
	(void) unlink(tmp);
	fd = bkc_file_create(tmp, pg_file_create_mode, err);
	if (fd < 0)
		return false;
	ok = fstat(fd, &st) == 0 || bkc_error_os(err, errno, "could not stat file \"%s\"", tmp);
	if (ok)
	{
		snprintf(text, sizeof(text), "%s%llu%s\n", head, (unsigned long long) st.st_ino, tail);
		ok = bkc_file_write(fd, tmp, text, strlen(text), err);
	}
	if (ok)
		ok = bkc_file_close(fd, tmp, err);
	else
		close(fd);
	if (ok && durable_rename(tmp, path, LOG) != 0)
		ok = bkc_error_set(err, BKC_ERR_IO, "could not write file \"%s\"", path);
	if (!ok)
		(void) unlink(tmp);
	return ok;
}

/* ---- marks ---- */

/* Names of whole lines "used NAME"; what does not fit is left out, and so not used. */
static void
collect_used(const char *text, char used[BKC_MARK_USED_MAX])
{
	size_t		len = 0;

	for (const char *end; (end = strchr(text, '\n')) != NULL; text = end + 1)
	{
		size_t		n = (size_t) (end - text) + 1;

		if (strncmp(text, "used ", 5) != 0 || len + n - 5 >= BKC_MARK_USED_MAX)
			continue;
		memcpy(used + len, text + 5, n - 5);
		len += n - 5;
	}
	used[len] = '\0';
}

/* The first line: "<inode> [<system identifier> <timeline>[ <note>]]". */
static bool
read_head(const char *name, const char *line, unsigned long long inode, BkcMark *mark)
{
	unsigned long long said;
	unsigned long long sysid = 0;
	unsigned int timeline = 0;
	int			at = 0;
	int			n = sscanf(line, "%llu %llu %u%n", &said, &sysid, &timeline, &at);

	if (n < 1 || said != inode ||
		(strcmp(name, BKC_MARK_TAKEOVER) != 0 &&
		 (n != 3 || sysid != GetSystemIdentifier() || timeline == 0)))
		return false;
	mark->timeline = timeline;
	if (n == 3 && line[at] == ' ')
		strlcpy(mark->note, line + at + 1, sizeof(mark->note));
	return true;
}

bool
bkc_mark_read(const char *name, BkcMark *mark, BkcError *err)
{
	char		path[MAXPGPATH];
	char		head[HEAD_MAX];
	BkcBuffer	text = {0};
	unsigned long long inode;
	const char *line_end;
	bool		there;
	bool		ok;

	memset(mark, 0, sizeof(*mark));
	mark_path(path, name);
	ok = bound_read(path, &text, &inode, &there, err);
	if (ok && there && (line_end = strchr(bkc_buffer_str(&text), '\n')) != NULL)
	{
		strlcpy(head, bkc_buffer_str(&text),
				Min(sizeof(head), (size_t) (line_end - bkc_buffer_str(&text)) + 1));
		mark->valid = read_head(name, head, inode, mark);
		if (mark->valid)
			collect_used(line_end + 1, mark->used);
	}
	bkc_buffer_free(&text);
	return ok;
}

bool
bkc_mark_is_used(const BkcMark *mark, const char *repository)
{
	size_t		len = strlen(repository);

	for (const char *at = mark->used; *at != '\0'; at = strchr(at, '\n') + 1)
		if (strncmp(at, repository, len) == 0 && at[len] == '\n')
			return true;
	return false;
}

bool
bkc_mark_write(const char *name, TimeLineID timeline, const char *note, BkcError *err)
{
	char		path[MAXPGPATH];
	char		tail[64 + BKC_MARK_NOTE_MAX] = "";

	mark_path(path, name);
	if (timeline != 0)
		snprintf(tail, sizeof(tail), " %llu %u%s%s", (unsigned long long) GetSystemIdentifier(),
				 timeline, note[0] != '\0' ? " " : "", note);
	return bound_write(path, "", tail, err);
}

bool
bkc_mark_use(const char *name, const char *repository, BkcError *err)
{
	char		path[MAXPGPATH];
	char		line[BKC_REPO_NAME_MAX + 8];
	BkcMark		mark;
	int			fd;
	bool		ok;

	if (!bkc_mark_read(name, &mark, err))
		return false;
	if (bkc_mark_is_used(&mark, repository))
		return true;
	mark_path(path, name);
	if (strlen(mark.used) + strlen(repository) + 2 > BKC_MARK_USED_MAX)
		return bkc_error_set(err, BKC_ERR_STATE, "file \"%s\" names too many repositories", path);
	fd = open(path, O_WRONLY | O_APPEND | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return errno == ENOENT || bkc_error_os(err, errno, "could not open file \"%s\"", path);
	/* the line before may have been cut by a crash */
	snprintf(line, sizeof(line), "\nused %s\n", repository);
	ok = bkc_file_write(fd, path, line, strlen(line), err) && bkc_file_fsync(fd, path, err);
	close(fd);
	return ok;
}

void
bkc_mark_remove(const char *name)
{
	char		path[MAXPGPATH];

	mark_path(path, name);
	if (access(path, F_OK) == 0 || errno != ENOENT)
		(void) durable_unlink(path, LOG);
}

/* ---- identity ---- */

/* "<32 hex digits> <inode>\n" of this very file? */
static bool
owner_read(char owner[BKC_OWNER_ID_MAX], bool *valid, BkcError *err)
{
	BkcBuffer	text = {0};
	unsigned long long inode;
	unsigned long long said;
	uint8_t		id[16];
	bool		there;
	bool		ok = bound_read(OWNER_PATH, &text, &inode, &there, err);

	*valid = false;
	if (ok && there && text.len > 33)
	{
		strlcpy(owner, bkc_buffer_str(&text), 33);
		*valid = bkc_hex_decode(owner, id, sizeof(id)) &&
			sscanf(bkc_buffer_str(&text) + 32, " %llu", &said) == 1 && said == inode;
	}
	bkc_buffer_free(&text);
	return ok;
}

static bool
owner_create(char owner[BKC_OWNER_ID_MAX], BkcError *err)
{
	uint8_t		id[16];
	char		head[BKC_OWNER_ID_MAX + 1];

	if (!bkc_random(id, sizeof(id), err))
		return false;
	bkc_hex_encode(id, sizeof(id), owner);
	snprintf(head, sizeof(head), "%s ", owner);
	return bound_write(OWNER_PATH, head, "", err);
}

/*
 * The shared lock is held over this little work, once in the life of a data
 * directory: two processes at once must not end with different identities.
 */
bool
bkc_identity_get(char owner[BKC_OWNER_ID_MAX], BkcError *err)
{
	bool		valid;
	bool		ok;

	if (!owner_read(owner, &valid, err))
		return false;
	if (valid)
		return true;
	LWLockAcquire(bkc_shared->lock, LW_EXCLUSIVE);
	ok = owner_read(owner, &valid, err) && (valid || owner_create(owner, err));
	LWLockRelease(bkc_shared->lock);
	return ok;
}

bool
bkc_identity_renew(char owner[BKC_OWNER_ID_MAX], BkcError *err)
{
	bool		ok;

	LWLockAcquire(bkc_shared->lock, LW_EXCLUSIVE);
	ok = owner_create(owner, err);
	LWLockRelease(bkc_shared->lock);
	return ok;
}
