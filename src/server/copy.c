/*
 * copy.c
 *		See copy.h.
 */
#include "pgcompat.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fault.h"
#include "base/file.h"
#include "base/host.h"
#include "common/relpath.h"
#include "copy.h"

/* how long a missing tablespace may be one that is just being dropped */
#define DROP_CHECKS		20
#define DROP_CHECK_MS	100

struct BkcCopier
{
	BkcCopySpec spec;
	BkcPackWriter *packs;
	BkcChain   *chain;
	BkcResultWriter *results;
	uint8	   *buf;			/* BKC_FRAME_PLAIN_MAX bytes, page aligned */
};

static void
copy_progress(void *arg, uint64_t plain, uint64_t stored)
{
	BkcJob	   *job = arg;

	pg_atomic_fetch_add_u64(&job->bytes_done, plain);
	pg_atomic_fetch_add_u64(&job->bytes_stored, stored);
}

static bool
copy_pack_committed(void *arg, const BkcPackInfo *info, BkcError *err)
{
	BkcCopier  *copier = arg;

	return bkc_results_add_pack(copier->results, info, err);
}

bool
bkc_copier_new(const BkcCopySpec *spec, BkcCopier **out, BkcError *err)
{
	BkcCopier  *copier = calloc(1, sizeof(*copier));
	BkcPackSpec pack = {
		.store = spec->store,
		.system_identifier = spec->system_identifier,
		.worker = spec->worker,
		.codec = spec->codec,
		.pack_size = BKC_PACK_SIZE_DEFAULT,
		.committed = copy_pack_committed,
		.arg = copier,
	};
	BkcChainSpec chain = {
		.codec = spec->codec,
		.level = spec->level,
		.max_rate = spec->max_rate,
		.progress = copy_progress,
		.progress_arg = spec->job,
	};

	*out = NULL;
	if (copier == NULL)
		return bkc_error_oom(err);
	copier->spec = *spec;
	strlcpy(pack.label, spec->label, sizeof(pack.label));
	if (posix_memalign((void **) &copier->buf, 4096, BKC_FRAME_PLAIN_MAX) != 0)
	{
		copier->buf = NULL;
		bkc_error_oom(err);
	}
	else if (bkc_results_create(spec->label, spec->worker, &copier->results, err) &&
			 bkc_packwriter_new(&pack, &copier->packs, err) &&
			 bkc_chain_new_backup(&chain, copier->packs, &copier->chain, err))
	{
		*out = copier;
		return true;
	}
	bkc_copier_close(&copier);
	return false;
}

void
bkc_copier_close(BkcCopier **p)
{
	BkcCopier  *copier = *p;

	if (copier == NULL)
		return;
	bkc_chain_close(&copier->chain);
	bkc_packwriter_close(&copier->packs);
	bkc_results_close(copier->results);
	free(copier->buf);
	free(copier);
	*p = NULL;
}

bool
bkc_copy_source(const BkcListRecord *rec, const char *path, char out[MAXPGPATH], BkcError *err)
{
	int			n = -1;

	switch ((BkcRoot) rec->root)
	{
		case BKC_ROOT_PGDATA:
			n = snprintf(out, MAXPGPATH, "%s", path);
			break;
		case BKC_ROOT_TABLESPACE:
			n = snprintf(out, MAXPGPATH, "pg_tblspc/%u/%s", rec->tablespace, path);
			break;
		case BKC_ROOT_CONFIG:
			n = snprintf(out, MAXPGPATH, "/%s", path);
			break;
		case BKC_ROOT_WAL:
			n = snprintf(out, MAXPGPATH, "pg_wal/%s", path);
			break;
	}
	if (n < 0 || n >= MAXPGPATH)
		return bkc_error_set(err, BKC_ERR_INVALID, "path of file \"%s\" is too long", path);
	return true;
}

static bool
add_result(BkcCopier *copier, uint32 index, uint32 status, const BkcBadBlocks *bad, BkcError *err)
{
	const BkcDigestResult *digest = bkc_chain_digest(copier->chain);
	const BkcPiece *pieces = NULL;
	size_t		npieces = 0;
	BkcResult	result = {.record = index, .status = status};

	if (status == BKC_RESULT_STORED)
	{
		bkc_chain_pieces(copier->chain, &pieces, &npieces);
		result.size = digest->bytes;
		memcpy(result.sha256, digest->sha256, sizeof(result.sha256));
	}
	result.npieces = (uint32) npieces;
	if (bad != NULL)
	{
		result.bad_count = bad->count;
		result.nbad = bad->listed;
	}
	return bkc_results_add(copier->results, &result, pieces, bad ? bad->blocks : NULL, err);
}

/* The file's content through the chain; stops at the listed size or at the file's end. */
static bool
copy_content(BkcCopier *copier, int fd, const char *src, const BkcListRecord *rec,
			 BkcBadBlocks *bad, BkcError *err)
{
	bool		check = copier->spec.check_pages && (rec->flags & BKC_LIST_RELATION) != 0;
	uint64		offset = 0;

	while (offset < rec->size)
	{
		size_t		want = (size_t) Min(rec->size - offset, BKC_FRAME_PLAIN_MAX);
		size_t		got;

		if (!bkc_host_check(err) ||
			!bkc_file_pread(fd, src, copier->buf, want, offset, &got, err) ||
			!bkc_fault(BKC_FAULT_COPY_FRAME, err))
			return false;
		if (got == 0)
			break;
		if (check)
			bkc_pages_check(fd, copier->buf, got, offset, rec->first_block,
							copier->spec.job->start_lsn, bad);
		if (!bkc_chain_write_plain(copier->chain, copier->buf, got, err))
			return false;
		offset += got;
		if (got < want)
			break;
	}
	return true;
}

static void
note_bad_blocks(BkcJob *job, const char *src, const BkcListRecord *rec, const BkcBadBlocks *bad)
{
	LWLockAcquire(bkc_shared->lock, LW_EXCLUSIVE);
	if (job->bad_blocks == 0)
		snprintf(job->bad_first, sizeof(job->bad_first), "block %u of file \"%.200s\"",
				 bad->blocks[0], src);
	job->bad_blocks += bad->count;
	LWLockRelease(bkc_shared->lock);
	bkc_pg_report_checksum_failures(rec->dboid, (int) Min(bad->count, INT_MAX));
}

/*
 * A configuration file may be a symbolic link (Kubernetes makes all of them
 * so); in the data directory nothing that we list is one.
 */
static int
open_source(const BkcListRecord *rec, const char *src, BkcError *err)
{
	int			fd;

	if (rec->root != BKC_ROOT_CONFIG)
		return bkc_file_open_read(src, err);
	fd = open(src, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		bkc_error_os(err, errno, "could not open file \"%s\"", src);
	return fd;
}

/*
 * Relation files and WAL end where they were when listed: the WAL brings the
 * rest.  Everything else may have been replaced since by another file of
 * that name, whose size is the one that counts.
 */
static bool
current_record(int fd, const char *src, const BkcListRecord *listed, BkcListRecord *now,
			   BkcError *err)
{
	struct stat st;

	*now = *listed;
	if ((listed->flags & BKC_LIST_RELATION) != 0 || listed->root == BKC_ROOT_WAL)
		return true;
	if (fstat(fd, &st) < 0)
		return bkc_error_os(err, errno, "could not stat file \"%s\"", src);
	now->size = st.st_size;
	return true;
}

/*
 * Is a file of a linked tablespace gone because the tablespace was dropped,
 * or because its file system is not there any more?  A drop removes the
 * link right after the folder.
 */
static bool
tablespace_dropped(const BkcListRecord *rec, BkcError *err)
{
	char		link[MAXPGPATH];
	char		folder[MAXPGPATH];
	struct stat st;

	if (rec->root != BKC_ROOT_TABLESPACE)
		return true;
	snprintf(link, sizeof(link), "pg_tblspc/%u", rec->tablespace);
	snprintf(folder, sizeof(folder), "%s/%s", link, TABLESPACE_VERSION_DIRECTORY);
	for (int i = 0; i < DROP_CHECKS; i++)
	{
		if (stat(folder, &st) == 0 || lstat(link, &st) < 0)
			return true;
		if (!bkc_host_check(err))
			return false;
		bkc_host->wait(DROP_CHECK_MS);
	}
	return bkc_error_set(err, BKC_ERR_STATE, "the folder of tablespace %u is gone", rec->tablespace) ||
		bkc_error_hint(err, "Is its file system mounted?");
}

static bool
copy_opened(BkcCopier *copier, int fd, const char *src, const BkcListRecord *rec,
			BkcBadBlocks *bad, BkcError *err)
{
	BkcListRecord now;
	bool		ok;

	if (!current_record(fd, src, rec, &now, err) ||
		!bkc_fault(BKC_FAULT_COPY_FILE, err) ||
		!bkc_chain_begin(copier->chain, err))
		return false;
	ok = copy_content(copier, fd, src, &now, bad, err) &&
		bkc_chain_end(copier->chain, err);
	if (!ok)
		bkc_chain_abort(copier->chain);
	return ok;
}

bool
bkc_copier_file(BkcCopier *copier, uint32 index, const BkcListRecord *rec,
				const char *path, BkcError *err)
{
	BkcBadBlocks bad = {0};
	char		src[MAXPGPATH];
	int			fd;
	bool		ok;

	if (!bkc_copy_source(rec, path, src, err))
		return false;
	fd = open_source(rec, src, err);
	if (fd < 0)
	{
		/* dropped since it was listed: the WAL knows */
		if (err->code != BKC_ERR_NOT_FOUND || rec->root == BKC_ROOT_WAL ||
			!tablespace_dropped(rec, err))
			return false;
		return add_result(copier, index, BKC_RESULT_VANISHED, NULL, err);
	}
	ok = copy_opened(copier, fd, src, rec, &bad, err);
	close(fd);
	if (!ok)
		return false;
	if (bad.count > 0)
	{
		note_bad_blocks(copier->spec.job, src, rec, &bad);
		if (copier->spec.job->args.abort_on_checksum)
			return bkc_error_set(err, BKC_ERR_CORRUPT,
								 "page checksum of block %u of file \"%s\" is wrong",
								 bad.blocks[0], src) ||
				bkc_error_detail(err, "%llu pages of this file are damaged.",
								 (unsigned long long) bad.count) ||
				bkc_error_hint(err, "The backup was told to stop at damaged pages (checksum_failure = abort).");
	}
	return add_result(copier, index, BKC_RESULT_STORED, &bad, err);
}

bool
bkc_copier_bytes(BkcCopier *copier, uint32 index, const void *data, size_t len, BkcError *err)
{
	const char *p = data;
	bool		ok = bkc_chain_begin(copier->chain, err);

	if (!ok)
		return false;
	while (ok && len > 0)
	{
		size_t		n = Min(len, BKC_FRAME_PLAIN_MAX);

		ok = bkc_chain_write_plain(copier->chain, p, n, err);
		p += n;
		len -= n;
	}
	ok = ok && bkc_chain_end(copier->chain, err);
	if (!ok)
	{
		bkc_chain_abort(copier->chain);
		return false;
	}
	return add_result(copier, index, BKC_RESULT_STORED, NULL, err);
}

bool
bkc_copier_run(BkcCopier *copier, BkcFileList *list, BkcError *err)
{
	BkcJob	   *job = copier->spec.job;

	for (;;)
	{
		uint32		i = pg_atomic_fetch_add_u32(&job->cursor, 1);

		BkcListRecord rec;
		char		path[MAXPGPATH];

		if (i >= list->count)
			return true;
		if (!bkc_host_check(err) ||
			!bkc_list_get(list, i, &rec, path, err) ||
			!bkc_copier_file(copier, i, &rec, path, err))
			return false;
		pg_atomic_fetch_add_u64(&job->files_done, 1);
	}
}

bool
bkc_copier_finish(BkcCopier *copier, BkcError *err)
{
	return bkc_packwriter_flush(copier->packs, err) &&
		bkc_results_flush(copier->results, err);
}
