/*
 * unpack_plan.c
 *		From a manifest's entries to units of work.
 *
 * Everything here depends on the manifest alone, and every order has a last
 * criterion that decides: processes that load the same backup share a cursor
 * into the same units.  The manifest's reader has checked that pieces lie in
 * listed packs and make up their file's size.
 */
#include "pipe/unpack_plan.h"

#include <stdlib.h>
#include <string.h>

/* ---- packs ---- */

static int
compare_u64(uint64_t a, uint64_t b)
{
	return (a > b) - (a < b);
}

static int
compare_packs(const void *pa, const void *pb)
{
	const BkcPackInfo *a = pa;
	const BkcPackInfo *b = pb;

	if (a->worker != b->worker)
		return compare_u64(a->worker, b->worker);
	return compare_u64(a->number, b->number);
}

const BkcPackInfo *
bkc_backup_find_pack(const BkcBackup *backup, uint32_t worker, uint32_t number)
{
	BkcPackInfo key = {.worker = worker, .number = number};

	if (backup->npacks == 0)
		return NULL;
	return bsearch(&key, backup->packs, backup->npacks, sizeof(key), compare_packs);
}

/* ---- files ---- */

/* In order[]: files that are units of their own, then runs, then empty files. */
static int
entry_class(const BkcEntry *entry)
{
	if (entry->npieces == 0)
		return 2;
	return entry->size >= BKC_UNIT_BYTES || entry->npieces > 1 ? 0 : 1;
}

static int
compare_order(const void *pa, const void *pb, void *arg)
{
	const BkcBackup *backup = arg;
	uint32_t	ia = *(const uint32_t *) pa;
	uint32_t	ib = *(const uint32_t *) pb;
	const BkcEntry *a = &backup->entries[ia];
	const BkcEntry *b = &backup->entries[ib];
	int			d = entry_class(a) - entry_class(b);

	if (d == 0 && a->npieces > 0)
	{
		const BkcPiece *x = &a->pieces[0];
		const BkcPiece *y = &b->pieces[0];

		d = strcmp(x->label, y->label);
		if (d == 0)
			d = compare_u64(x->pack_worker, y->pack_worker);
		if (d == 0)
			d = compare_u64(x->pack_number, y->pack_number);
		if (d == 0)
			d = compare_u64(x->first_frame, y->first_frame);
	}
	return d != 0 ? d : compare_u64(ia, ib);
}

static int
compare_wal(const void *pa, const void *pb, void *arg)
{
	const BkcBackup *backup = arg;
	uint32_t	ia = *(const uint32_t *) pa;
	uint32_t	ib = *(const uint32_t *) pb;
	int			d = strcmp(backup->entries[ia].path, backup->entries[ib].path);

	return d != 0 ? d : compare_u64(ia, ib);
}

static bool
plan_order(BkcBackup *backup, BkcError *err)
{
	size_t		files = 0;
	size_t		wal = 0;

	for (size_t i = 0; i < backup->nentries; i++)
	{
		const BkcEntry *entry = &backup->entries[i];

		if (entry->type != BKC_ENTRY_FILE)
			continue;
		files++;
		wal += entry->root == BKC_ROOT_WAL;
	}
	backup->order = malloc((files + 1) * sizeof(*backup->order));
	backup->wal = malloc((wal + 1) * sizeof(*backup->wal));
	if (backup->order == NULL || backup->wal == NULL)
		return bkc_error_oom(err);
	for (size_t i = 0; i < backup->nentries; i++)
	{
		if (backup->entries[i].type != BKC_ENTRY_FILE)
			continue;
		backup->order[backup->norder++] = (uint32_t) i;
		if (backup->entries[i].root == BKC_ROOT_WAL)
			backup->wal[backup->nwal++] = (uint32_t) i;
	}
	qsort_r(backup->order, backup->norder, sizeof(*backup->order), compare_order, backup);
	qsort_r(backup->wal, backup->nwal, sizeof(*backup->wal), compare_wal, backup);
	return true;
}

/* ---- units ---- */

/* May the file go into the run that ends with prev? */
static bool
joins_run(const BkcUnit *run, const BkcEntry *prev, const BkcEntry *entry)
{
	int			class = entry_class(entry);

	if (class == 0 || class != entry_class(prev) ||
		run->count >= BKC_UNIT_FILES || run->bytes + entry->size > BKC_UNIT_BYTES)
		return false;
	return class == 2 ||
		(prev->pieces[0].pack_worker == entry->pieces[0].pack_worker &&
		 prev->pieces[0].pack_number == entry->pieces[0].pack_number &&
		 strcmp(prev->pieces[0].label, entry->pieces[0].label) == 0);
}

static int
compare_units(const void *pa, const void *pb)
{
	const BkcUnit *a = pa;
	const BkcUnit *b = pb;

	if (a->bytes != b->bytes)
		return compare_u64(b->bytes, a->bytes);
	return compare_u64(a->first, b->first);
}

/* Count the units (units == NULL) or fill them. */
static size_t
cut_units(const BkcBackup *backup, BkcUnit *units)
{
	BkcUnit		unit = {0};
	size_t		n = 0;

	for (size_t i = 0; i < backup->norder; i++)
	{
		const BkcEntry *entry = &backup->entries[backup->order[i]];

		if (i > 0 && joins_run(&unit, &backup->entries[backup->order[i - 1]], entry))
		{
			unit.count++;
			unit.bytes += entry->size;
		}
		else
		{
			unit.first = (uint32_t) i;
			unit.count = 1;
			unit.bytes = entry->size;
			n++;
		}
		if (units != NULL)
			units[n - 1] = unit;
	}
	return n;
}

bool
bkc_backup_plan(BkcBackup *backup, BkcError *err)
{
	if (backup->npacks > 0)
		qsort(backup->packs, backup->npacks, sizeof(*backup->packs), compare_packs);
	if (!plan_order(backup, err))
		return false;
	backup->nunits = cut_units(backup, NULL);
	backup->units = malloc((backup->nunits + 1) * sizeof(*backup->units));
	if (backup->units == NULL)
		return bkc_error_oom(err);
	cut_units(backup, backup->units);
	qsort(backup->units, backup->nunits, sizeof(*backup->units), compare_units);
	return true;
}
