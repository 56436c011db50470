/*
 * walget_backup.c
 *		WAL inside backups.
 *
 * A manifest begins with the backup's timeline and LSNs, so that most of them
 * need not be read further.
 */
#include "walget.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/host.h"
#include "pipe/manifestio.h"
#include "pipe/stages.h"

/* A backup of which only the wanted file and the packs are kept. */
typedef struct WalSearch
{
	BkcWalGet  *w;
	BkcSession *session;
	BkcBackup	backup;			/* entries: the file, once found */
	BkcEntry	entry;
	bool		passed;			/* by its header it cannot have the file */
	bool		found;
} WalSearch;

/* May a backup with that header hold the file? */
static bool
may_hold(const BkcWalGet *w, const BkcManifestHeader *header)
{
	uint32_t	timeline;
	uint64_t	segno;

	/* the histories of its own timeline and of all before */
	if (w->history)
		return header->timeline >= w->timeline;
	if (header->wal_in_archive || header->timeline != w->timeline)
		return false;
	if (!bkc_wal_segment_parse(w->file, header->wal_segment_size, &timeline, &segno))
		return false;
	return segno >= header->start_lsn / header->wal_segment_size &&
		segno <= header->stop_lsn / header->wal_segment_size;
}

/* What conclusions about a history that nobody has need to know. */
static void
note_timeline(BkcWalGet *w, const BkcManifestHeader *header)
{
	if (header->timeline > w->backup_timeline)
		w->backup_timeline = header->timeline;
	if (w->label != NULL && strcmp(header->label, w->label) == 0)
		w->label_timeline = header->timeline;
}

static bool
take_header(void *arg, const BkcManifestHeader *header, BkcError *err)
{
	WalSearch  *search = arg;

	/* the numbers; strings belong to the scan */
	memcpy(search->backup.header.label, header->label, sizeof(header->label));
	search->backup.header.system_identifier = header->system_identifier;
	search->backup.header.pg_version_num = header->pg_version_num;
	search->backup.header.wal_segment_size = header->wal_segment_size;
	search->backup.header.timeline = header->timeline;
	note_timeline(search->w, header);
	if (may_hold(search->w, header))
		return true;
	search->passed = true;
	return bkc_error_set(err, BKC_ERR_NOT_FOUND, "backup %s has no such file", header->label);
}

static bool
take_entry(void *arg, const BkcEntry *entry, BkcError *err)
{
	WalSearch  *search = arg;

	if (entry->root != BKC_ROOT_WAL || entry->type != BKC_ENTRY_FILE ||
		strcmp(entry->path, search->w->file) != 0 || search->found)
		return true;
	search->entry = *entry;
	search->entry.link_target = NULL;
	search->entry.bad_blocks = NULL;
	search->entry.nbad_blocks = 0;
	search->entry.path = strdup(entry->path);
	search->entry.pieces = NULL;
	if (entry->npieces > 0)
	{
		search->entry.pieces = calloc(entry->npieces, sizeof(BkcPiece));
		if (search->entry.pieces != NULL)
			memcpy(search->entry.pieces, entry->pieces, entry->npieces * sizeof(BkcPiece));
	}
	search->found = true;
	return (search->entry.path != NULL && (entry->npieces == 0 || search->entry.pieces != NULL)) ||
		bkc_error_oom(err);
}

static bool
take_pack(void *arg, const BkcPackInfo *pack, BkcError *err)
{
	BkcBackup  *backup = &((WalSearch *) arg)->backup;
	BkcPackInfo *packs = reallocarray(backup->packs, backup->npacks + 1, sizeof(BkcPackInfo));

	if (packs == NULL)
		return bkc_error_oom(err);
	backup->packs = packs;
	packs[backup->npacks++] = *pack;
	return true;
}

static void
search_free(WalSearch *search)
{
	bkc_entry_free(&search->entry);
	free(search->backup.packs);
	memset(search, 0, sizeof(*search));
}

/* The order that bkc_backup_find_pack() wants; a manifest may list them in any. */
static int
compare_packs(const void *a, const void *b)
{
	const BkcPackInfo *x = a;
	const BkcPackInfo *y = b;

	if (x->worker != y->worker)
		return x->worker < y->worker ? -1 : 1;
	return (x->number > y->number) - (x->number < y->number);
}

static bool
fill_from_backup(void *arg, int fd, const char *path, BkcError *err)
{
	WalSearch  *search = arg;
	BkcUnpacker *unpacker = NULL;
	BkcStage   *sink = bkc_stage_file_new(err);
	bool		ok;

	if (sink == NULL)
		return false;
	bkc_stage_file_target(sink, fd, path);
	ok = bkc_unpacker_new(search->session->store, &search->backup, sink, NULL, NULL, &unpacker,
						  err) &&
		bkc_unpack_file(unpacker, &search->entry, err);
	bkc_unpacker_close(unpacker);
	return ok;
}

/* Looks into one backup; true means that all that matters of its manifest was read. */
static bool
search_manifest(WalSearch *search, const char *label, BkcError *err)
{
	BkcManifestScan scan = {
		.header = take_header,
		.entry = take_entry,
		.pack = take_pack,
		.arg = search
	};

	if (!bkc_manifest_scan(search->session->store, search->session->sysid, label, &scan,
						   &search->backup.totals, err))
		return search->passed;
	if (!search->found)
		return true;
	qsort(search->backup.packs, search->backup.npacks, sizeof(BkcPackInfo), compare_packs);
	search->backup.entries = &search->entry;
	search->backup.nentries = 1;
	return search->w->history ||
		bkc_walget_take_size(search->w, search->backup.header.wal_segment_size, label, err);
}

static bool
get_from(BkcWalGet *w, BkcSession *session, const char *label, bool *found, BkcError *err)
{
	WalSearch	search = {.w = w, .session = session};
	bool		ok;

	ok = search_manifest(&search, label, err);
	*found = ok && search.found;
	if (*found && !bkc_walget_behind_end(w))
		ok = bkc_walget_deliver(w, w->file, w->path, false, fill_from_backup, &search, err);
	else
		*found = false;
	search_free(&search);
	return ok;
}

/*
 * A damaged backup hides no file of the others, but it may hold the
 * file itself; only a history that a backup beside the one that is
 * restored may have is not worth the recovery, nor one of a timeline that the archive
 * does not know.
 */
static bool
forgivable(const BkcWalGet *w, BkcSession *session, const char *label, BkcError *err)
{
	BkcError	ignored;
	bool		archive;
	bool		timeline;

	if (err->code != BKC_ERR_CORRUPT && err->code != BKC_ERR_UNSUPPORTED &&
		err->code != BKC_ERR_KEY)
		return false;
	if (w->history && w->label != NULL)
		return strcmp(label, w->label) != 0;

	/* an archive knows the timelines that there were, by their WAL if not by their histories */
	if (w->history && bkc_walget_has_wal(session, 0, &archive, &ignored) && archive &&
		bkc_walget_has_wal(session, w->timeline, &timeline, &ignored) && !timeline)
		return true;
	if (w->label == NULL && err->hint[0] == '\0')
		bkc_error_hint(err, "Add --backup LABEL to the restore_command: then segments are looked for in that backup only.");
	return false;
}

/* All complete backups, newest first. */
static bool
get_from_any(BkcWalGet *w, BkcSession *session, bool *seen, bool *found, BkcError *err)
{
	BkcBackupRef *list = NULL;
	BkcError	one;
	size_t		n = 0;
	bool		ok;

	*found = false;
	if (!bkc_repo_backups(session->store, session->sysid, &list, &n, err))
		return false;
	ok = true;
	for (size_t i = n; !*found && i > 0; i--)
	{
		if (!list[i - 1].complete)
			continue;
		*seen = true;
		if (get_from(w, session, list[i - 1].label, found, &one))
			continue;
		*found = false;
		if (forgivable(w, session, list[i - 1].label, &one))
		{
			bkc_log(BKC_LOG_WARNING, "%s", one.message);
			continue;
		}
		if (ok)
			*err = one;
		ok = false;
		if (w->target_failed || one.code == BKC_ERR_CANCELLED)
			break;
	}
	free(list);
	if (*found && !ok)
		bkc_log(BKC_LOG_WARNING, "%s", err->message);
	return *found || ok;
}

bool
bkc_walget_backup(BkcWalGet *w, BkcSession *session, bool *seen, bool *found, BkcError *err)
{
	bool		complete;

	/*
	 * Which timelines are taken already is asked of all backups, so that two
	 * successors of one backup do not choose the same one.
	 */
	if (w->label == NULL || w->history)
		return get_from_any(w, session, seen, found, err);
	*found = false;
	if (!bkc_repo_backup_complete(session->store, session->sysid, w->label, &complete, err))
		return false;
	if (!complete)
		return true;			/* another repository may have the backup */
	*seen = true;
	return get_from(w, session, w->label, found, err);
}
