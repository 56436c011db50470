/*
 * spool.c
 *		See spool.h.
 *
 * The list and the results move through files rather than dynamic shared
 * memory because they grow with the number of files (millions are possible)
 * and /dev/shm is 64 MB in a container.  They are read, not mapped: an I/O error
 *		of a mapping would be a SIGBUS, and restart the server.
 */
#include "pgcompat.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/file.h"
#include "common/file_perm.h"
#include "errors.h"
#include "marks.h"
#include "miscadmin.h"
#include "shared.h"
#include "spool.h"
#include "storage/fd.h"

#define LIST_MAGIC		UINT64CONST(0x3174736c63706b62)
#define TAG_RESULT		1
#define TAG_PACK		2
#define FLUSH_SIZE		(64 * 1024)

typedef struct ListHeader
{
	uint64		magic;
	uint64		count;
	uint64		strings_size;
} ListHeader;

struct BkcResultWriter
{
	int			fd;
	char		path[MAXPGPATH];
	BkcBuffer	buf;
};

void
bkc_spool_init(void)
{
	if (MakePGDirectory(BKC_SPOOL_DIR) < 0 && errno != EEXIST)
		ereport(ERROR,
				(errcode_for_file_access(),
				 errmsg("could not create directory \"%s\": %m", BKC_SPOOL_DIR)));
}

void
bkc_spool_owner(char owner[BKC_OWNER_ID_MAX])
{
	BkcError	err;

	if (!bkc_identity_get(owner, &err))
		bkc_ereport(ERROR, &err);
}

static void
list_path(char *path, const char *label)
{
	snprintf(path, MAXPGPATH, "%s/%s.files", BKC_SPOOL_DIR, label);
}

static void
results_path(char *path, const char *label, uint32 worker)
{
	snprintf(path, MAXPGPATH, "%s/%s.%u", BKC_SPOOL_DIR, label, worker);
}

void
bkc_list_write(const char *label, const BkcListRecord *records, uint32 count,
			   const char *strings, size_t strings_size)
{
	char		path[MAXPGPATH];
	ListHeader	header = {LIST_MAGIC, count, strings_size};
	BkcError	err;
	int			fd;
	bool		ok;

	list_path(path, label);
	fd = bkc_file_create(path, pg_file_create_mode, &err);
	if (fd < 0)
		bkc_ereport(ERROR, &err);
	ok = bkc_file_write(fd, path, &header, sizeof(header), &err) &&
		bkc_file_write(fd, path, records, sizeof(BkcListRecord) * (size_t) count, &err) &&
		bkc_file_write(fd, path, strings, strings_size, &err);
	if (ok)
		ok = bkc_file_close(fd, path, &err);
	else
		close(fd);
	if (!ok)
		bkc_ereport(ERROR, &err);
}

void
bkc_list_init(BkcFileList *list)
{
	memset(list, 0, sizeof(*list));
	list->fd = -1;
}

bool
bkc_list_open(const char *label, BkcFileList *list, BkcError *err)
{
	ListHeader	header;
	size_t		got;
	struct stat st;

	bkc_list_init(list);
	list_path(list->name, label);
	list->fd = bkc_file_open_read(list->name, err);
	if (list->fd < 0)
		return false;
	if (!bkc_file_pread(list->fd, list->name, &header, sizeof(header), 0, &got, err))
		return false;
	if (got != sizeof(header) || header.magic != LIST_MAGIC || fstat(list->fd, &st) < 0 ||
		(uint64) st.st_size != sizeof(header) + header.count * sizeof(BkcListRecord) +
		header.strings_size)
		return bkc_error_set(err, BKC_ERR_INTERNAL, "file list \"%s\" is not complete",
							 list->name);
	list->count = (uint32) header.count;
	list->strings = sizeof(header) + header.count * sizeof(BkcListRecord);
	return true;
}

bool
bkc_list_get(BkcFileList *list, uint32 index, BkcListRecord *rec, char path[MAXPGPATH],
			 BkcError *err)
{
	size_t		got;

	if (!bkc_file_pread(list->fd, list->name, rec, sizeof(*rec),
						sizeof(ListHeader) + (uint64) index * sizeof(*rec), &got, err))
		return false;
	if (got == sizeof(*rec))
	{
		if (!bkc_file_pread(list->fd, list->name, path, MAXPGPATH, list->strings + rec->path,
							&got, err))
			return false;
		if (memchr(path, '\0', got) != NULL)
			return true;
	}
	return bkc_error_set(err, BKC_ERR_INTERNAL, "file list \"%s\" is not complete", list->name);
}

void
bkc_list_close(BkcFileList *list)
{
	if (list->fd >= 0)
		close(list->fd);
	bkc_list_init(list);
}

bool
bkc_results_create(const char *label, uint32 worker, BkcResultWriter **out, BkcError *err)
{
	BkcResultWriter *w = calloc(1, sizeof(*w));

	*out = NULL;
	if (w == NULL)
		return bkc_error_oom(err);
	results_path(w->path, label, worker);
	w->fd = bkc_file_create(w->path, pg_file_create_mode, err);
	if (w->fd < 0)
	{
		free(w);
		return false;
	}
	*out = w;
	return true;
}

bool
bkc_results_flush(BkcResultWriter *w, BkcError *err)
{
	if (w->buf.len > 0 && !bkc_file_write(w->fd, w->path, w->buf.data, w->buf.len, err))
		return false;
	bkc_buffer_reset(&w->buf);
	return true;
}

bool
bkc_results_add(BkcResultWriter *w, const BkcResult *result,
				const BkcPiece *pieces, const uint32 *bad, BkcError *err)
{
	uint64		tag = TAG_RESULT;

	if (!bkc_buffer_append(&w->buf, &tag, sizeof(tag), err) ||
		!bkc_buffer_append(&w->buf, result, sizeof(*result), err))
		return false;
	for (uint32 i = 0; i < result->npieces; i++)
	{
		BkcResultPiece piece = {
			pieces[i].pack_worker, pieces[i].pack_number,
			pieces[i].first_frame, pieces[i].frame_count
		};

		if (!bkc_buffer_append(&w->buf, &piece, sizeof(piece), err))
			return false;
	}
	if (!bkc_buffer_append(&w->buf, bad, sizeof(uint32) * result->nbad, err))
		return false;
	return w->buf.len < FLUSH_SIZE || bkc_results_flush(w, err);
}

bool
bkc_results_add_pack(BkcResultWriter *w, const BkcPackInfo *info, BkcError *err)
{
	uint64		tag = TAG_PACK;

	return bkc_buffer_append(&w->buf, &tag, sizeof(tag), err) &&
		bkc_buffer_append(&w->buf, info, sizeof(*info), err);
}

void
bkc_results_close(BkcResultWriter *w)
{
	if (w == NULL)
		return;
	close(w->fd);
	bkc_buffer_free(&w->buf);
	free(w);
}

bool
bkc_results_open(const char *label, uint32 worker, BkcResults *r, BkcError *err)
{
	char		path[MAXPGPATH];

	memset(r, 0, sizeof(*r));
	results_path(path, label, worker);
	r->file = fopen(path, "re");
	if (r->file == NULL && errno != ENOENT)
		return bkc_error_os(err, errno, "could not open file \"%s\"", path);
	return true;
}

static bool
take(BkcResults *r, void *out, size_t len, BkcError *err)
{
	if (len == 0 || fread(out, len, 1, r->file) == 1)
		return true;
	if (ferror(r->file))
		return bkc_error_os(err, errno, "could not read a copy worker's results");
	return bkc_error_set(err, BKC_ERR_INTERNAL, "a copy worker's results are not complete");
}

static bool
take_buffer(BkcResults *r, BkcBuffer *buf, size_t len, BkcError *err)
{
	bkc_buffer_reset(buf);
	if (!bkc_buffer_reserve(buf, len, err) || !take(r, buf->data, len, err))
		return false;
	buf->len = len;
	return true;
}

bool
bkc_results_next(BkcResults *r, BkcResultItem *item, BkcError *err)
{
	uint64		tag;

	*item = BKC_ITEM_END;
	if (r->file == NULL)
		return true;
	if (fread(&tag, sizeof(tag), 1, r->file) != 1 && feof(r->file))
		return true;
	if (!ferror(r->file) && tag == TAG_PACK)
	{
		*item = BKC_ITEM_PACK;
		return take(r, &r->pack, sizeof(r->pack), err);
	}
	if (!ferror(r->file) && tag == TAG_RESULT)
	{
		*item = BKC_ITEM_FILE;
		return take(r, &r->result, sizeof(r->result), err) &&
			take_buffer(r, &r->pieces, sizeof(BkcResultPiece) * (size_t) r->result.npieces, err) &&
			take_buffer(r, &r->bad, sizeof(uint32) * (size_t) r->result.nbad, err);
	}
	return bkc_error_set(err, BKC_ERR_INTERNAL, "a copy worker's results cannot be read");
}

void
bkc_results_close_read(BkcResults *r)
{
	if (r->file != NULL)
		fclose(r->file);
	bkc_buffer_free(&r->pieces);
	bkc_buffer_free(&r->bad);
	memset(r, 0, sizeof(*r));
}

void
bkc_spool_remove(const char *label)
{
	char		path[MAXPGPATH];

	list_path(path, label);
	(void) unlink(path);
	for (uint32 worker = 0; worker <= BKC_MAX_WORKERS; worker++)
	{
		results_path(path, label, worker);
		(void) unlink(path);
	}
}

void
bkc_spool_sweep(void)
{
	DIR		   *dir = AllocateDir(BKC_SPOOL_DIR);
	struct dirent *de;

	if (dir == NULL && errno == ENOENT)
		return;
	while ((de = ReadDir(dir, BKC_SPOOL_DIR)) != NULL)
	{
		char		label[BKC_LABEL_MAX];
		const char *dot = strrchr(de->d_name, '.');
		char		path[MAXPGPATH * 2];

		CHECK_FOR_INTERRUPTS();
		if (dot == NULL || (size_t) (dot - de->d_name) >= sizeof(label))
			continue;
		strlcpy(label, de->d_name, dot - de->d_name + 1);
		if (!bkc_label_valid(label) || bkc_shared_label_active(label))
			continue;
		snprintf(path, sizeof(path), "%s/%s", BKC_SPOOL_DIR, de->d_name);
		(void) unlink(path);
	}
	FreeDir(dir);
}
