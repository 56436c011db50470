/*
 * backup_manifest.c
 *		See backup_manifest.h.
 */
#include "pgcompat.h"

#include <stdlib.h>

#include "backup_manifest.h"
#include "base/file.h"
#include "format/names.h"
#include "miscadmin.h"
#include "utils/json.h"
#include "utils/memutils.h"

#define DAMAGED_FILES_MAX	100

typedef struct Work
{
	BkcManifestJob *job;
	BkcManifestPut *put;
	BkcResults	results;
	uint8	   *seen;			/* one bit a file */
	uint32		nfiles;			/* listed and extra */
	uint32		damaged;
	BkcPiece   *pieces;
	uint32		pieces_alloc;
} Work;

static void
work_close(void *arg)
{
	Work	   *w = arg;

	bkc_manifest_put_close(w->put);
	w->put = NULL;
	bkc_results_close_read(&w->results);
}

static void
result_file(const Work *w, uint32 index, const BkcListRecord **rec, const char **path)
{
	const BkcScan *scan = w->job->scan;

	if (index < scan->count)
	{
		*rec = &scan->records[index];
		*path = bkc_scan_path(scan, (*rec)->path);
	}
	else
	{
		const BkcExtra *extra = &w->job->extras->items[index - scan->count];

		*rec = &extra->rec;
		*path = extra->path;
	}
}

static void
note_damaged(Work *w, const BkcListRecord *rec, const char *path, const BkcResult *result,
			 const uint32 *bad)
{
	StringInfo	out = &w->job->damaged;
	char		src[MAXPGPATH];
	BkcError	err;

	if (w->damaged++ >= DAMAGED_FILES_MAX || !bkc_copy_source(rec, path, src, &err))
		return;
	bkc_text_clean(src);
	appendStringInfoString(out, out->len > 0 ? ", {\"file\": " : "{\"file\": ");
	escape_json(out, src);
	appendStringInfo(out, ", \"count\": %llu, \"blocks\": [",
					 (unsigned long long) result->bad_count);
	for (uint32 i = 0; i < result->nbad; i++)
		appendStringInfo(out, "%s%u", i > 0 ? ", " : "", bad[i]);
	appendStringInfoString(out, "]}");
}

static void
put_result(Work *w, const BkcResult *result, const BkcResultPiece *pieces, const uint32 *bad)
{
	const BkcListRecord *rec;
	const char *path;
	BkcEntry	entry = {0};
	BkcError	err;

	if (result->record >= w->nfiles ||
		(w->seen[result->record / 8] & (1 << (result->record % 8))) != 0)
		elog(ERROR, "copy worker reported file %u twice or out of range", result->record);
	w->seen[result->record / 8] |= 1 << (result->record % 8);
	if (result->status == BKC_RESULT_VANISHED)
	{
		w->job->vanished++;
		return;
	}
	result_file(w, result->record, &rec, &path);
	if (result->npieces > w->pieces_alloc)
	{
		w->pieces_alloc = result->npieces * 2;
		w->pieces = repalloc(w->pieces, w->pieces_alloc * sizeof(BkcPiece));
	}
	for (uint32 i = 0; i < result->npieces; i++)
	{
		w->pieces[i].label[0] = '\0';
		w->pieces[i].pack_worker = pieces[i].worker;
		w->pieces[i].pack_number = pieces[i].number;
		w->pieces[i].first_frame = pieces[i].first_frame;
		w->pieces[i].frame_count = pieces[i].frame_count;
	}
	entry.type = BKC_ENTRY_FILE;
	entry.root = rec->root;
	entry.tablespace = rec->tablespace;
	entry.path = unconstify(char *, path);
	entry.mode = rec->mode;
	entry.mtime = rec->mtime;
	entry.size = result->size;
	memcpy(entry.sha256, result->sha256, sizeof(entry.sha256));
	entry.pieces = w->pieces;
	entry.npieces = result->npieces;
	entry.bad_blocks = unconstify(uint32 *, bad);
	entry.nbad_blocks = result->nbad;
	entry.bad_block_count = result->bad_count;
	if (result->bad_count > 0)
		note_damaged(w, rec, path, result, bad);
	if (!bkc_manifest_put_entry(w->put, &entry, &err))
		bkc_ereport(ERROR, &err);
}

static void
put_pack(Work *w, const BkcPackInfo *pack)
{
	BkcManifestJob *job = w->job;
	char		name[BKC_NAME_MAX];
	uint64_t	size;
	BkcError	err;

	/* the last question before we say that the backup exists */
	if (!bkc_name_pack(job->header->system_identifier, job->header->label,
					   pack->worker, pack->number, name, &err) ||
		!bkc_store_stat(job->store, name, &size, &err))
	{
		if (err.code == BKC_ERR_NOT_FOUND)
			bkc_error_hint(&err, "Was the repository removed, emptied or unmounted while the backup ran?");
		bkc_ereport(ERROR, &err);
	}
	if (size != pack->size)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("object \"%s\" has %llu bytes in the repository, but %llu were stored",
						name, (unsigned long long) size, (unsigned long long) pack->size)));
	if (!bkc_manifest_put_pack(w->put, pack, &err))
		bkc_ereport(ERROR, &err);
}

/* One pass over all results: files first, then packs, as the manifest wants them. */
static void
put_results(Work *w, bool packs)
{
	BkcError	err;

	for (uint32 worker = 0; worker <= BKC_MAX_WORKERS; worker++)
	{
		BkcResultItem item;

		if (!bkc_results_open(w->job->header->label, worker, &w->results, &err))
			bkc_ereport(ERROR, &err);
		do
		{
			CHECK_FOR_INTERRUPTS();
			if (!bkc_results_next(&w->results, &item, &err))
				bkc_ereport(ERROR, &err);
			if (packs && item == BKC_ITEM_PACK)
				put_pack(w, &w->results.pack);
			else if (!packs && item == BKC_ITEM_FILE)
				put_result(w, &w->results.result, bkc_results_pieces(&w->results),
						   bkc_results_bad(&w->results));
		} while (item != BKC_ITEM_END);
		bkc_results_close_read(&w->results);
	}
}

static void
put_dirs(Work *w)
{
	const BkcScan *scan = w->job->scan;
	BkcError	err;

	for (size_t i = 0; i < scan->ndirs; i++)
	{
		const BkcScanDir *dir = &scan->dirs[i];
		BkcEntry	entry = {0};

		entry.type = BKC_ENTRY_DIR;
		entry.root = dir->root;
		entry.tablespace = dir->tablespace;
		entry.path = scan->strings + dir->path;
		entry.mode = dir->mode;
		entry.mtime = dir->mtime;
		if (!bkc_manifest_put_entry(w->put, &entry, &err))
			bkc_ereport(ERROR, &err);
	}
}

static void
check_complete(const Work *w)
{
	for (uint32 i = 0; i < w->nfiles; i++)
	{
		const BkcListRecord *rec;
		const char *path;

		if ((w->seen[i / 8] & (1 << (i % 8))) != 0)
			continue;
		result_file(w, i, &rec, &path);
		ereport(ERROR,
				(errcode(ERRCODE_INTERNAL_ERROR),
				 errmsg("file \"%s\" was listed for the backup but not stored", path)));
	}
}

/*
 * Unmounted between the packs' check and the commit, a repository would hold
 * a manifest alone, below the mount point: the begin object is the witness.
 */
static void
check_still_there(const BkcManifestJob *job)
{
	char		name[BKC_NAME_MAX];
	uint64_t	size;
	BkcError	err;

	if (bkc_name_begin(job->header->system_identifier, job->header->label, name, &err) &&
		bkc_store_stat(job->store, name, &size, &err))
		return;
	if (err.code == BKC_ERR_NOT_FOUND)
		bkc_error_hint(&err, "Was the repository removed, emptied or unmounted while the backup ran?");
	bkc_ereport(ERROR, &err);
}

void
bkc_backup_manifest(BkcManifestJob *job)
{
	Work	   *w = palloc0(sizeof(*w));
	BkcError	err;

	w->job = job;
	w->nfiles = (uint32) job->scan->count + job->extras->count;
	w->seen = palloc0(w->nfiles / 8 + 1);
	w->pieces_alloc = 16;
	w->pieces = palloc(w->pieces_alloc * sizeof(BkcPiece));
	initStringInfo(&job->damaged);
	bkc_guard(work_close, w);

	/* nearly; of a manifest that is uploaded in parts this is told before its end is known */
	job->store->backup_size = job->scan->bytes;
	if (!bkc_manifest_put_begin(job->store, job->header, &w->put, &err))
		bkc_ereport(ERROR, &err);
	put_dirs(w);
	put_results(w, false);
	check_complete(w);
	put_results(w, true);
	if (job->before_commit != NULL)
		job->before_commit(job->arg, job);
	*job->commit_tried = true;
	if (!bkc_manifest_put_commit(w->put, &job->totals, &err))
		bkc_ereport(ERROR, &err);
	check_still_there(job);
	work_close(w);
}
