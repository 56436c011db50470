/*
 * manifest_rules.c
 *		What is true of every manifest (contract: manifest_rules.h; FORMAT.md, "Manifest").
 */
#include "format/manifest_rules.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/file.h"
#include "format/envelope.h"
#include "format/fields.h"
#include "format/packindex.h"
#include "format/pgfiles.h"

#define MODE_MAX		07777
#define PACK_SLOTS_MIN	64

bool
bkc_manifest_rules_init(BkcManifestRules *rules, BkcErrorCode code, BkcError *err)
{
	memset(rules, 0, sizeof(*rules));
	rules->code = code;
	rules->sha = bkc_sha256_new(err);
	return rules->sha != NULL && bkc_sha256_begin(rules->sha, err);
}

void
bkc_manifest_rules_free(BkcManifestRules *rules)
{
	bkc_sha256_free(rules->sha);
	free(rules->tablespaces);
	free(rules->packs);
	memset(rules, 0, sizeof(*rules));
}

/* ---- packs ---- */

/* Slot of a pack, or the free one where it would go.  The table is never full. */
static BkcPackUse *
pack_slot(BkcPackUse *packs, size_t slots, uint32_t worker, uint32_t number)
{
	/* Fibonacci hashing: worker and number are small and dense */
	uint64_t	key = (uint64_t) worker << 32 | number;
	size_t		i = (size_t) ((key * UINT64_C(0x9E3779B97F4A7C15)) >> 32) & (slots - 1);

	while (packs[i].used && (packs[i].worker != worker || packs[i].number != number))
		i = (i + 1) & (slots - 1);
	return &packs[i];
}

static bool
grow_packs(BkcManifestRules *rules, BkcError *err)
{
	size_t		slots = rules->pack_slots ? rules->pack_slots * 2 : PACK_SLOTS_MIN;
	BkcPackUse *packs = calloc(slots, sizeof(BkcPackUse));
	size_t		i;

	if (packs == NULL)
		return bkc_error_oom(err);
	for (i = 0; i < rules->pack_slots; i++)
	{
		const BkcPackUse *old = &rules->packs[i];

		if (old->used)
			*pack_slot(packs, slots, old->worker, old->number) = *old;
	}
	free(rules->packs);
	rules->packs = packs;
	rules->pack_slots = slots;
	return true;
}

/* Find or add; NULL when out of memory. */
static BkcPackUse *
use_pack(BkcManifestRules *rules, uint32_t worker, uint32_t number, BkcError *err)
{
	BkcPackUse *use;

	if (rules->npacks >= rules->pack_slots / 2 && !grow_packs(rules, err))
		return NULL;
	use = pack_slot(rules->packs, rules->pack_slots, worker, number);
	if (!use->used)
	{
		use->used = true;
		use->worker = worker;
		use->number = number;
		rules->npacks++;
		rules->nunlisted++;
	}
	return use;
}

/* ---- header ---- */

static bool
absolute_or_null(const char *path)
{
	return path == NULL || path[0] == '/';
}

static bool
power_of_two_within(uint32_t value, uint32_t min, uint32_t max)
{
	return value >= min && value <= max && (value & (value - 1)) == 0;
}

/* Does the label contain this type? */
static bool
type_matches_label(const char *type, const char *label)
{
	const char *part = strchr(label, '-');
	size_t		len = strlen(type);

	return part != NULL && strncmp(part + 1, type, len) == 0 && part[1 + len] == '-';
}

static bool
check_header_fields(const BkcManifestHeader *header, BkcErrorCode code, BkcError *err)
{
	const char *what = NULL;

	if (!bkc_label_valid(header->label))
		what = "label";
	else if (!type_matches_label(header->type, header->label))
		what = "type";
	else if (header->parent != NULL && (!bkc_label_valid(header->parent) ||
										strcmp(header->parent, header->label) >= 0))
		what = "parent";
	else if (header->system_identifier == 0)
		what = "system_identifier";
	else if (header->pg_version_num == 0)
		what = "pg_version_num";
	else if (!power_of_two_within(header->block_size, 1024, 32768))
		what = "block_size";
	else if (header->segment_blocks == 0)
		what = "segment_blocks";
	else if (!power_of_two_within(header->wal_segment_size, 1024 * 1024, 1024 * 1024 * 1024))
		what = "wal_segment_size";
	else if (header->start_time < 0 || header->stop_time < header->start_time)
		what = "stop_time";
	else if (header->timeline == 0)
		what = "timeline";
	else if (header->stop_lsn < header->start_lsn)
		what = "stop_lsn";
	else if (header->cluster_name == NULL)
		what = "cluster_name";
	else if (header->host == NULL)
		what = "host";
	else if (!absolute_or_null(header->data_directory))
		what = "data_directory";
	else if (!absolute_or_null(header->config_file))
		what = "config_file";
	else if (!absolute_or_null(header->hba_file))
		what = "hba_file";
	else if (!absolute_or_null(header->ident_file))
		what = "ident_file";
	else if (header->backup_label == NULL)
		what = "backup_label";
	else if (header->software == NULL)
		what = "software";
	return what == NULL ||
		bkc_error_set(err, code, "field \"%s\" has a value that is not possible", what);
}

static int
compare_u32(const void *a, const void *b)
{
	uint32_t	x = *(const uint32_t *) a;
	uint32_t	y = *(const uint32_t *) b;

	return (x > y) - (x < y);
}

static bool
keep_tablespaces(BkcManifestRules *rules, const BkcManifestHeader *header, BkcError *err)
{
	size_t		n = header->ntablespaces;
	size_t		i;

	if (n == 0)
		return true;
	rules->tablespaces = calloc(n, sizeof(uint32_t));
	if (rules->tablespaces == NULL)
		return bkc_error_oom(err);
	rules->ntablespaces = n;
	for (i = 0; i < n; i++)
	{
		const BkcTablespace *ts = &header->tablespaces[i];

		if (ts->path != NULL && ts->path[0] != '/')
			return bkc_error_set(err, rules->code, "path of tablespace %" PRIu32
								 " is not absolute", ts->oid);
		rules->tablespaces[i] = ts->oid;
	}
	qsort(rules->tablespaces, n, sizeof(uint32_t), compare_u32);
	for (i = 0; i < n; i++)
	{
		if (rules->tablespaces[i] == (i == 0 ? 0 : rules->tablespaces[i - 1]))
			return bkc_error_set(err, rules->code, "tablespace %" PRIu32
								 " is listed twice or has no OID", rules->tablespaces[i]);
	}
	return true;
}

bool
bkc_manifest_rules_header(BkcManifestRules *rules, const BkcManifestHeader *header, BkcError *err)
{
	if (rules->phase != BKC_PHASE_HEADER)
		return bkc_error_set(err, rules->code, "a second header");
	if (!check_header_fields(header, rules->code, err) || !keep_tablespaces(rules, header, err))
		return false;
	memcpy(rules->label, header->label, BKC_LABEL_MAX);
	rules->has_parent = header->parent != NULL;
	rules->wal_in_archive = header->wal_in_archive;
	rules->phase = BKC_PHASE_ENTRIES;
	return true;
}

/* ---- entries ---- */

static bool
check_root(const BkcManifestRules *rules, const BkcEntry *entry, BkcError *err)
{
	if (entry->root == BKC_ROOT_TABLESPACE)
	{
		if (bsearch(&entry->tablespace, rules->tablespaces, rules->ntablespaces,
					sizeof(uint32_t), compare_u32) == NULL)
			return bkc_error_set(err, rules->code, "tablespace %" PRIu32
								 " is not in the header", entry->tablespace);
		if (strncmp(entry->path, "PG_", 3) != 0)
			return bkc_error_set(err, rules->code,
								 "path in a tablespace does not begin with \"PG_\"");
		return true;
	}
	if (entry->tablespace != 0)
		return bkc_error_set(err, rules->code, "tablespace OID outside a tablespace");
	switch (entry->root)
	{
		case BKC_ROOT_PGDATA:
		case BKC_ROOT_CONFIG:
			return true;
		case BKC_ROOT_WAL:
			if (entry->type != BKC_ENTRY_FILE || (!bkc_wal_is_segment(entry->path) &&
												  !bkc_wal_is_history(entry->path)))
				return bkc_error_set(err, rules->code,
									 "entry of root \"wal\" is no segment and no history file");
			if (rules->wal_in_archive && bkc_wal_is_segment(entry->path))
				return bkc_error_set(err, rules->code,
									 "a segment in a backup whose WAL is in the archive");
			return true;
		default:
			return bkc_error_set(err, rules->code, "unknown root");
	}
}

static bool
check_piece(BkcManifestRules *rules, const BkcPiece *piece, BkcError *err)
{
	BkcPackUse *use;

	if (piece->frame_count == 0 || piece->frame_count > BKC_PACK_FRAMES_MAX ||
		piece->first_frame > BKC_PACK_FRAMES_MAX - piece->frame_count)
		return bkc_error_set(err, rules->code, "piece has frames that no pack can have");
	if (piece->label[0] != '\0')
	{
		/* packs of other backups are listed in their own manifests */
		if (!rules->has_parent || !bkc_label_valid(piece->label) ||
			strcmp(piece->label, rules->label) >= 0)
			return bkc_error_set(err, rules->code,
								 "piece lies in a backup that cannot be an ancestor");
		return true;
	}
	use = use_pack(rules, piece->pack_worker, piece->pack_number, err);
	if (use == NULL)
		return false;
	if (piece->first_frame + piece->frame_count > use->frames_needed)
		use->frames_needed = piece->first_frame + piece->frame_count;
	return true;
}

/* Every frame of a file is full but the last, so the size tells their number. */
static bool
check_file(BkcManifestRules *rules, const BkcEntry *entry, BkcError *err)
{
	uint64_t	expected = entry->size / BKC_FRAME_PLAIN_MAX +
		(entry->size % BKC_FRAME_PLAIN_MAX != 0);
	uint64_t	frames = 0;
	size_t		i;

	if (entry->link_target != NULL)
		return bkc_error_set(err, rules->code, "link target on a file");
	if (entry->size > (uint64_t) BKC_JSON_INT_MAX)
		return bkc_error_set(err, rules->code, "file is too large");
	for (i = 0; i < entry->npieces; i++)
	{
		if (!check_piece(rules, &entry->pieces[i], err))
			return false;
		frames += entry->pieces[i].frame_count;
	}
	if (frames != expected)
		return bkc_error_set(err, rules->code, "pieces have %" PRIu64 " frames, a file of %" PRIu64
							 " bytes has %" PRIu64, frames, entry->size, expected);
	if (entry->nbad_blocks > BKC_BAD_BLOCKS_MAX || entry->nbad_blocks > entry->bad_block_count ||
		entry->bad_block_count > (uint64_t) BKC_JSON_INT_MAX)
		return bkc_error_set(err, rules->code, "bad blocks do not match their count");
	return true;
}

static bool
check_other(const BkcManifestRules *rules, const BkcEntry *entry, BkcError *err)
{
	bool		is_link = entry->type == BKC_ENTRY_LINK;

	if (!is_link && entry->type != BKC_ENTRY_DIR)
		return bkc_error_set(err, rules->code, "unknown type of entry");
	if (entry->size != 0 || entry->npieces != 0 || entry->nbad_blocks != 0 ||
		entry->bad_block_count != 0)
		return bkc_error_set(err, rules->code, "only files have content");
	if (is_link != (entry->link_target != NULL) || (is_link && entry->link_target[0] == '\0'))
		return bkc_error_set(err, rules->code, "link target missing or misplaced");
	return true;
}

bool
bkc_manifest_rules_entry(BkcManifestRules *rules, const BkcEntry *entry, BkcError *err)
{
	BkcManifestTotals *totals = &rules->totals;

	if (rules->phase != BKC_PHASE_ENTRIES)
		return bkc_error_set(err, rules->code, "an entry at a wrong place");
	if (entry->path == NULL || !bkc_path_is_safe(entry->path))
		return bkc_error_set(err, rules->code, "path is not safe");
	if (entry->mode > MODE_MAX)
		return bkc_error_set(err, rules->code, "mode is out of range");
	if (entry->mtime > BKC_JSON_INT_MAX || entry->mtime < -BKC_JSON_INT_MAX)
		return bkc_error_set(err, rules->code, "mtime is out of range");
	if (!check_root(rules, entry, err))
		return false;
	if (entry->type != BKC_ENTRY_FILE)
	{
		if (!check_other(rules, entry, err))
			return false;
		if (entry->type == BKC_ENTRY_DIR)
			totals->dirs++;
		else
			totals->links++;
		return true;
	}
	if (!check_file(rules, entry, err))
		return false;
	totals->files++;
	if (!bkc_add_u64(totals->bytes, entry->size, &totals->bytes) ||
		!bkc_add_u64(totals->bad_blocks, entry->bad_block_count, &totals->bad_blocks))
		return bkc_error_set(err, rules->code, "files are too large");
	return true;
}

/* ---- packs and trailer ---- */

bool
bkc_manifest_rules_pack(BkcManifestRules *rules, const BkcPackInfo *pack, BkcError *err)
{
	BkcPackUse *use;

	if (rules->phase != BKC_PHASE_ENTRIES && rules->phase != BKC_PHASE_PACKS)
		return bkc_error_set(err, rules->code, "a pack at a wrong place");
	if (pack->frames == 0 || pack->frames > BKC_PACK_FRAMES_MAX)
		return bkc_error_set(err, rules->code, "pack cannot have %" PRIu32 " frames",
							 pack->frames);
	if (pack->size == 0 || pack->size > (uint64_t) BKC_JSON_INT_MAX)
		return bkc_error_set(err, rules->code, "pack cannot have %" PRIu64 " bytes", pack->size);

	use = use_pack(rules, pack->worker, pack->number, err);
	if (use == NULL)
		return false;
	if (use->listed)
		return bkc_error_set(err, rules->code, "pack %" PRIu32 "-%" PRIu32 " is listed twice",
							 pack->worker, pack->number);
	if (use->frames_needed > pack->frames)
		return bkc_error_set(err, rules->code, "pack %" PRIu32 "-%" PRIu32 " has %" PRIu32
							 " frames, but files need %" PRIu32,
							 pack->worker, pack->number, pack->frames, use->frames_needed);
	use->listed = true;
	rules->nunlisted--;
	rules->phase = BKC_PHASE_PACKS;
	rules->totals.packs++;
	if (!bkc_add_u64(rules->totals.stored_bytes, pack->size, &rules->totals.stored_bytes))
		return bkc_error_set(err, rules->code, "packs are too large");
	return true;
}

bool
bkc_manifest_rules_end(BkcManifestRules *rules, uint8_t sha256[BKC_SHA256_SIZE], BkcError *err)
{
	size_t		i;

	if (rules->phase != BKC_PHASE_ENTRIES && rules->phase != BKC_PHASE_PACKS)
		return bkc_error_set(err, rules->code, "a trailer at a wrong place");
	for (i = 0; rules->nunlisted > 0 && i < rules->pack_slots; i++)
	{
		const BkcPackUse *use = &rules->packs[i];

		if (use->used && !use->listed)
			return bkc_error_set(err, rules->code, "files need pack %" PRIu32 "-%" PRIu32
								 ", which is not listed", use->worker, use->number);
	}
	if (rules->totals.bytes > (uint64_t) BKC_JSON_INT_MAX ||
		rules->totals.stored_bytes > (uint64_t) BKC_JSON_INT_MAX ||
		rules->totals.bad_blocks > (uint64_t) BKC_JSON_INT_MAX)
		return bkc_error_set(err, rules->code, "totals are out of range");
	rules->phase = BKC_PHASE_DONE;
	return bkc_sha256_end(rules->sha, sha256, err);
}
