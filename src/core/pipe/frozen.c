/*
 * frozen.c
 *		Can a backup's packs be read, or are they in an archive?
 *
 * A thaw is billed by the byte, so of other backups only those packs count that
 * pieces of this one are in.
 */
#include "pipe/frozen.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/host.h"
#include "base/text.h"
#include "format/names.h"
#include "pipe/unpack_plan.h"

#define SOON	((int64_t) 86400 * 1000000)

typedef struct Search
{
	BkcStore   *store;
	const BkcBackup *backup;
	int			days;
	BkcFrozen  *frozen;
	const char *label;			/* the backup being looked at; NULL: this one */
	const BkcPiece **others;	/* pieces in packs of other backups, one for each pack, sorted */
	size_t		nothers;
	size_t		cap;
} Search;

/* ---- which packs ---- */

static int
compare_pieces(const void *a, const void *b)
{
	const BkcPiece *left = *(const BkcPiece *const *) a;
	const BkcPiece *right = *(const BkcPiece *const *) b;
	int			d = strcmp(left->label, right->label);

	if (d == 0 && left->pack_worker != right->pack_worker)
		d = left->pack_worker < right->pack_worker ? -1 : 1;
	if (d == 0 && left->pack_number != right->pack_number)
		d = left->pack_number < right->pack_number ? -1 : 1;
	return d;
}

static bool
add_other(Search *s, const BkcPiece *piece, BkcError *err)
{
	if (s->nothers > 0 && compare_pieces(&s->others[s->nothers - 1], &piece) == 0)
		return true;
	if (s->nothers == s->cap)
	{
		size_t		cap = s->cap == 0 ? 64 : s->cap * 2;
		const BkcPiece **bigger = realloc(s->others, cap * sizeof(*bigger));

		if (bigger == NULL)
			return bkc_error_oom(err);
		s->others = bigger;
		s->cap = cap;
	}
	s->others[s->nothers++] = piece;
	return true;
}

static bool
find_others(Search *s, BkcError *err)
{
	size_t		n = 0;

	for (size_t i = 0; i < s->backup->nentries; i++)
	{
		const BkcEntry *entry = &s->backup->entries[i];

		for (size_t p = 0; p < entry->npieces; p++)
		{
			if (entry->pieces[p].label[0] != '\0' && !add_other(s, &entry->pieces[p], err))
				return false;
		}
	}
	if (s->nothers > 1)
		qsort(s->others, s->nothers, sizeof(*s->others), compare_pieces);
	for (size_t i = 0; i < s->nothers; i++)
	{
		if (n == 0 || compare_pieces(&s->others[n - 1], &s->others[i]) != 0)
			s->others[n++] = s->others[i];
	}
	s->nothers = n;
	return true;
}

static bool
is_needed(const Search *s, const char *name)
{
	BkcPiece	key = {.frame_count = 0};
	const BkcPiece *wanted = &key;
	const char *base = strrchr(name, '/');

	if (base == NULL || !bkc_name_parse_pack(base + 1, &key.pack_worker, &key.pack_number))
		return false;
	if (s->label == NULL)
		return bkc_backup_find_pack(s->backup, key.pack_worker, key.pack_number) != NULL;
	snprintf(key.label, sizeof(key.label), "%s", s->label);
	return bsearch(&wanted, s->others, s->nothers, sizeof(*s->others), compare_pieces) != NULL;
}

/* ---- how they are ---- */

static bool
look_at(void *arg, const char *name, uint64_t size, const BkcArchive *archive, BkcError *err)
{
	Search	   *s = arg;
	BkcFrozen  *f = s->frozen;

	if (!bkc_host_check(err))
		return false;
	if (!is_needed(s, name))
		return true;
	memcpy(f->class, archive->class, sizeof(f->class));
	switch (archive->state)
	{
		case BKC_ARCHIVE_FROZEN:
			f->frozen++;
			f->frozen_bytes += size;
			if (s->days == 0)
				return true;
			f->requested++;
			return bkc_store_thaw(s->store, name, s->days, err);
		case BKC_ARCHIVE_THAWING:
			f->thawing++;
			f->thawing_bytes += size;
			return true;
		case BKC_ARCHIVE_THAWED:
			break;
	}
	f->thawed++;
	if (s->days > 0 && archive->until != 0 && archive->until < bkc_host->now() + SOON)
		return bkc_store_thaw(s->store, name, s->days, err);
	if (archive->until != 0 && (f->until == 0 || archive->until < f->until))
		f->until = archive->until;
	return true;
}

static bool
look_below(Search *s, const char *label, BkcError *err)
{
	char		prefix[BKC_NAME_MAX];

	return bkc_name_backup(s->backup->header.system_identifier, label, prefix, err) &&
		bkc_store_archived(s->store, prefix, look_at, s, err);
}

bool
bkc_backup_frozen(BkcStore *store, const BkcBackup *backup, int thaw_days, BkcFrozen *frozen,
				  BkcError *err)
{
	Search		s = {.store = store, .backup = backup, .days = thaw_days, .frozen = frozen};
	bool		ok;

	memset(frozen, 0, sizeof(*frozen));
	ok = find_others(&s, err) && look_below(&s, backup->header.label, err);
	for (size_t i = 0; ok && i < s.nothers; i++)
	{
		if (i > 0 && strcmp(s.others[i]->label, s.others[i - 1]->label) == 0)
			continue;
		s.label = s.others[i]->label;
		ok = look_below(&s, s.label, err);
	}
	frozen->packs = backup->npacks + s.nothers;
	free(s.others);
	return ok;
}

/* ---- what to say ---- */

bool
bkc_frozen_check(const BkcBackup *backup, const BkcFrozen *f, const char *done,
				 const char *command, BkcError *err)
{
	char		size[32];
	char		rest[32];

	if (f->frozen + f->thawing == 0)
		return true;
	bkc_format_size(f->frozen_bytes, size, sizeof(size));
	bkc_format_size(f->thawing_bytes, rest, sizeof(rest));
	if (f->frozen > f->requested)
	{
		bkc_error_set(err, BKC_ERR_ARCHIVED,
					  "backup %s cannot be %s now: %zu of its %zu packs (%s) are in storage class %s",
					  backup->header.label, done, f->frozen, f->packs, size, f->class);
		bkc_error_detail(err, "What is in an archive class must be thawed before it can be read; %zu packs are being thawed, and %zu are.",
						 f->thawing, f->thawed);
		return bkc_error_hint(err, "\"pg_backupctl %s --thaw\" requests it for %d days.  On AWS it takes 3 to 5 hours from GLACIER and up to 12 from DEEP_ARCHIVE, and is billed by the gigabyte.",
							  command, BKC_THAW_DAYS);
	}
	bkc_error_set(err, BKC_ERR_ARCHIVED,
				  "backup %s cannot be %s yet: %zu of its %zu packs are being thawed from storage class %s",
				  backup->header.label, done, f->frozen + f->thawing, f->packs, f->class);
	bkc_error_detail(err, "Requested now: %zu packs (%s); before: %zu (%s), which are not ready; %zu are ready.",
					 f->requested, size, f->thawing, rest, f->thawed);
	return bkc_error_hint(err, "Call the same command again later.  On AWS it takes 3 to 5 hours from GLACIER, and up to 12 from DEEP_ARCHIVE.");
}
