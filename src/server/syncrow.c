/*
 * syncrow.c
 *		See syncrow.h.
 *
 * Of what was written in several places the newest counts: a row that was changed after a note was
 * written is not changed back by it.
 */
#include "pgcompat.h"

#include "base/fault.h"
#include "base/text.h"
#include "errors.h"
#include "format/names.h"
#include "mb/pg_wchar.h"
#include "pipe/keycopies.h"
#include "pipe/manifestio.h"
#include "sqlrun.h"
#include "syncrow.h"
#include "utils/json.h"

/* ---- reading ---- */

static bool
keep_header(void *arg, const BkcManifestHeader *header, BkcError *err)
{
	BkcSyncBackup *b = arg;

	b->header.pg_version_num = header->pg_version_num;
	b->header.start_time = header->start_time;
	b->header.stop_time = header->stop_time;
	b->header.timeline = header->timeline;
	b->header.start_lsn = header->start_lsn;
	b->header.stop_lsn = header->stop_lsn;
	strlcpy(b->header.type, header->type, sizeof(b->header.type));
	strlcpy(b->parent, header->parent ? header->parent : "", sizeof(b->parent));
	return true;
}

static bool
read_sealing(BkcStore *store, BkcSyncBackup *b, BkcError *err)
{
	uint64		sysid = b->system_identifier;
	uint8_t		id[BKC_KEY_ID_SIZE];
	size_t		copies = 0;

	if (!bkc_repo_backup_key(store, sysid, b->label, &b->done.sealed, id, err) ||
		(b->done.sealed &&
		 !bkc_repo_key_copies(store, sysid, id, &copies, b->done.key_id, err)))
		return false;
	b->has_sealing = true;

	/* the note comes before the deed, and a lock may have forbidden that */
	b->shredded = b->notes.has_shred && b->done.sealed && copies == 0;
	return true;
}

bool
bkc_syncrow_read(BkcStore *store, BkcSyncBackup *b, bool whole, BkcError *err)
{
	uint64		sysid = b->system_identifier;
	BkcManifestScan scan = {.header = keep_header, .arg = b};

	if (!bkc_notes_load(store, sysid, b->label, &b->notes, err))
		return false;
	if (!whole && !b->notes.has_shred)
		return true;
	if (!read_sealing(store, b, err))
		return false;
	if (!whole || b->shredded)
		return true;
	if (!bkc_manifest_scan(store, sysid, b->label, &scan, &b->totals, err))
		return false;
	b->has_manifest = true;
	b->done.header = &b->header;
	b->done.totals = &b->totals;
	return true;
}

/* ---- the row ---- */

/* Notes are UTF-8; what the database's encoding does not have is an ERROR. */
static char *
from_utf8(const char *text)
{
	return pg_any_to_server(pstrdup(text), (int) strlen(text), PG_UTF8);
}

static char *
time_text(int64 time)
{
	char	   *text = palloc(40);

	bkc_format_time(time, text, 40);
	return text;
}

static char *
lsn_text(uint64 lsn)
{
	char	   *text = palloc(32);

	bkc_format_lsn(lsn, text, 32);
	return text;
}

static char *
id_text(int64 id)
{
	return psprintf("%lld", (long long) id);
}

char *
bkc_syncrow_metadata(const BkcSyncBackup *b)
{
	char	   *counts = b->has_manifest ?
		psprintf("{\"files\": %llu, \"checksum_failures\": %llu}", (unsigned long long) b->totals.files,
				 (unsigned long long) b->totals.bad_blocks) : pstrdup("{}");
	char	   *note;
	size_t		len;

	if (!b->notes.has_catalog)
		return counts;

	/* both are objects; of the note that was checked when it was read */
	note = from_utf8(b->notes.catalog.metadata);
	note += strspn(note, " \t\r\n");
	len = strlen(note);
	while (len > 0 && note[len - 1] != '}')
		len--;
	note[Max(len, 1) - 1] = '\0';
	if (!b->has_manifest)
		return psprintf("%s}", note);
	return psprintf("%s%s%s", note, note[1 + strspn(note + 1, " \t\r\n")] ? ", " : "", counts + 1);
}

void
bkc_syncrow_find(uint64 system_identifier, const char *label, BkcSyncRow *row)
{
	const char *values[2] = {label, id_text((int64) system_identifier)};

	memset(row, 0, sizeof(*row));
	bkc_sqlrun_begin();
	bkc_sqlrun_exec("SELECT id, status FROM %s.backup_catalog WHERE label OPERATOR(pg_catalog.=) $1"
					" AND " BKC_CATALOG_OF("system_identifier", "$2::bigint"),
					SPI_OK_SELECT, 2, values);
	if (SPI_processed > 0)
	{
		row->found = true;
		row->id = strtoll(bkc_sqlrun_value(0, 1), NULL, 10);
		strlcpy(row->status, bkc_sqlrun_value(0, 2), sizeof(row->status));
	}
	bkc_sqlrun_finish();
}

static char *
type_of(const BkcSyncBackup *b)
{
	char	   *type;

	if (b->has_manifest)
		return pstrdup(b->header.type);
	type = pstrdup(strchr(b->label, '-') + 1);
	*strrchr(type, '-') = '\0';
	return type;
}

static char *
version_of(const BkcSyncBackup *b)
{
	if (b->notes.has_catalog)
		return from_utf8(b->notes.catalog.pg_version);
	if (!b->has_manifest)
		return NULL;
	return psprintf("%u.%u", b->header.pg_version_num / 10000, b->header.pg_version_num % 10000);
}

/* Within a transaction.  0 when somebody else has just added it. */
static int64
insert_row(const BkcSyncBackup *b)
{
	const BkcCatalogNote *note = b->notes.has_catalog ? &b->notes.catalog : NULL;
	const char *parent = b->parent[0] ? b->parent : note && note->parent[0] ? note->parent : NULL;
	const char *values[] = {
		type_of(b), b->label, b->repository, b->location,
		time_text(b->has_manifest ? b->header.start_time : bkc_label_time(b->label)),
		b->has_manifest ? time_text(b->header.stop_time) : NULL,
		b->has_manifest ? psprintf("%llu", (unsigned long long) b->totals.stored_bytes) : NULL,
		b->has_manifest ? psprintf("%llu", (unsigned long long) b->totals.bytes) : NULL,
		b->done.sealed ? "AES-256-GCM" : "none",
		b->done.sealed && !b->shredded ? b->done.key_id : NULL,
		note && note->retention_date != 0 ? time_text(note->retention_date) : NULL,
		note && note->tier[0] ? from_utf8(note->tier) : NULL,
		parent,
		b->has_manifest ? psprintf("%u", b->header.timeline) : NULL,
		b->has_manifest ? lsn_text(b->header.start_lsn) : NULL,
		b->has_manifest ? lsn_text(b->header.stop_lsn) : NULL,
		version_of(b),
		id_text((int64) b->system_identifier),
		bkc_syncrow_metadata(b)
	};

	bkc_sqlrun_exec("INSERT INTO %s.backup_catalog (backup_type, label, repository, backup_location, status,"
					" backup_date, finished_at, backup_size_bytes, original_size_bytes, encryption_status,"
					" encryption_key_id, retention_date, tier, parent_id, timeline, start_lsn, stop_lsn,"
					" pg_version, system_identifier, metadata)"
					" VALUES ($1, $2, $3, $4, 'completed', $5::timestamptz, $6::timestamptz, $7::bigint,"
					" $8::bigint, $9, $10, $11::timestamptz, $12,"
					" (SELECT p.id FROM %s.backup_catalog p WHERE p.label OPERATOR(pg_catalog.=) $13),"
					" $14::bigint, $15::pg_lsn, $16::pg_lsn, $17, $18::bigint, $19::jsonb)"
					" ON CONFLICT (label) DO NOTHING RETURNING id",
					SPI_OK_INSERT_RETURNING, lengthof(values), values);
	return SPI_processed == 0 ? 0 : strtoll(bkc_sqlrun_value(0, 1), NULL, 10);
}

/* ---- what may change later: within a transaction, each returns how many rows it changed ---- */

static uint64
write_copy(const BkcSyncBackup *b, const char *id)
{
	const char *values[2] = {id, b->repository};
	uint64		changed;

	bkc_sqlrun_exec("INSERT INTO %s.backup_copy AS y (backup_id, repository, status)"
					" VALUES ($1::bigint, $2, 'completed') ON CONFLICT (backup_id, repository)"
					" DO UPDATE SET status = 'completed'"
					" WHERE y.status NOT IN ('completed', 'expiring')", SPI_OK_INSERT, 2, values);
	changed = SPI_processed;
	bkc_sqlrun_exec("UPDATE %s.backup_catalog SET status = 'completed'"
					" WHERE id OPERATOR(pg_catalog.=) $1::bigint"
					" AND status OPERATOR(pg_catalog.=) 'missing'", SPI_OK_UPDATE, 1, values);
	return changed + SPI_processed;
}

static uint64
write_verification(const BkcSyncBackup *b, const char *id)
{
	const BkcVerifyNote *note = &b->notes.verify;
	StringInfoData findings;
	const char *values[5];
	uint64		changed;

	if (!b->notes.has_verify)
		return 0;
	initStringInfo(&findings);
	appendStringInfo(&findings, "{\"level\": \"%s\", \"files\": %llu, \"bytes\": %llu, \"failures\": %llu, \"findings\": [",
					 note->level, (unsigned long long) note->files,
					 (unsigned long long) note->bytes, (unsigned long long) note->failures);
	if (note->first_failure[0])
		escape_json(&findings, from_utf8(note->first_failure));
	appendStringInfoString(&findings, "]}");
	values[0] = id;
	values[1] = b->repository;
	values[2] = note->ok ? "passed" : "failed";
	values[3] = time_text(note->time);
	values[4] = findings.data;
	bkc_sqlrun_exec("UPDATE %s.backup_copy y SET verification = $3 FROM %s.backup_catalog c"
					" WHERE c.id OPERATOR(pg_catalog.=) $1::bigint"
					" AND y.backup_id OPERATOR(pg_catalog.=) c.id"
					" AND y.repository OPERATOR(pg_catalog.=) $2"
					" AND y.verification OPERATOR(pg_catalog.<>) $3"
					" AND (y.verification OPERATOR(pg_catalog.=) 'not verified' OR c.verification_date IS NULL"
					"  OR c.verification_date OPERATOR(pg_catalog.<) $4::timestamptz)",
					SPI_OK_UPDATE, 4, values);
	changed = SPI_processed;
	bkc_sqlrun_exec("UPDATE %s.backup_catalog SET verification_status = $3,"
					" verification_date = $4::timestamptz,"
					" metadata = metadata OPERATOR(pg_catalog.||)"
					" pg_catalog.jsonb_build_object('verification', $5::jsonb)"
					" WHERE id OPERATOR(pg_catalog.=) $1::bigint AND (verification_date IS NULL"
					" OR verification_date OPERATOR(pg_catalog.<) $4::timestamptz)"
					" AND $2 IS NOT NULL", SPI_OK_UPDATE, 5, values);
	return changed + SPI_processed;
}

/* What was held by hand, without a note, stays so. */
static uint64
write_hold(const BkcSyncBackup *b, const char *id)
{
	const BkcHoldNote *note = &b->notes.hold;
	const char *values[5];

	if (!b->notes.has_hold)
		return 0;
	values[0] = id;
	values[1] = note->held ? "true" : "false";
	values[2] = time_text(note->time);
	values[3] = note->held ? from_utf8(note->reason) : NULL;
	values[4] = note->held ? from_utf8(note->by) : NULL;
	bkc_sqlrun_exec("UPDATE %s.backup_catalog SET held = $2::boolean,"
					" metadata = metadata OPERATOR(pg_catalog.-) ARRAY['hold_reason', 'hold_by']"
					" OPERATOR(pg_catalog.||) pg_catalog.jsonb_strip_nulls("
					"  pg_catalog.jsonb_build_object('hold_at', $3, 'hold_reason', $4, 'hold_by', $5))"
					" WHERE id OPERATOR(pg_catalog.=) $1::bigint"
					" AND ($2::boolean OR NOT held)"
					" AND COALESCE((metadata OPERATOR(pg_catalog.->>) 'hold_at')::timestamptz"
					"   OPERATOR(pg_catalog.<) $3::timestamptz, true)", SPI_OK_UPDATE, 5, values);
	return SPI_processed;
}

static uint64
write_shredding(const BkcSyncBackup *b, const char *id)
{
	const BkcShredNote *note = &b->notes.shred;
	const char *values[4];

	if (!b->shredded)
		return 0;
	values[0] = id;
	values[1] = time_text(note->time);
	values[2] = from_utf8(note->by);
	values[3] = from_utf8(note->reason);
	bkc_sqlrun_exec("UPDATE %s.backup_catalog SET encryption_status = 'shredded',"
					" encryption_key_id = NULL,"
					" metadata = metadata OPERATOR(pg_catalog.-) 'shred_pending' OPERATOR(pg_catalog.||)"
					" pg_catalog.jsonb_build_object('shredded', pg_catalog.jsonb_build_object("
					"  'at', $2, 'by', $3, 'reason', $4))"
					" WHERE id OPERATOR(pg_catalog.=) $1::bigint"
					" AND encryption_status OPERATOR(pg_catalog.=) 'AES-256-GCM'", SPI_OK_UPDATE, 4, values);
	return SPI_processed;
}

void
bkc_syncrow_write(const BkcSyncBackup *b, const BkcSyncRow *row, bool *added, bool *updated)
{
	int64		id = row->id;
	uint64		changed = 0;

	*added = *updated = false;
	if (row->found && b->has_manifest)
	{
		/* somebody took it for failed, but here it is */
		BkcCatalogDone done = b->done;
		BkcError	err;

		done.metadata = bkc_syncrow_metadata(b);
		bkc_catalog_complete(row->id, b->repository, &done);
		changed = 1;
		if (!bkc_fault(BKC_FAULT_SYNC_ROW, &err))
			bkc_ereport(ERROR, &err);
	}
	bkc_sqlrun_begin();
	if (!row->found)
		id = insert_row(b);
	if (id != 0)
	{
		const char *text = id_text(id);

		changed += write_copy(b, text);
		changed += write_verification(b, text);
		changed += write_hold(b, text);
		changed += write_shredding(b, text);
	}
	bkc_sqlrun_finish();
	*added = !row->found && id != 0;
	*updated = row->found && changed > 0;
}

void
bkc_syncrow_missing(int64 id, const char *repository)
{
	const char *values[2] = {id_text(id), repository};

	bkc_sqlrun_begin();
	bkc_sqlrun_exec("UPDATE %s.backup_copy SET status = 'missing'"
					" WHERE backup_id OPERATOR(pg_catalog.=) $1::bigint"
					" AND repository OPERATOR(pg_catalog.=) $2"
					" AND status OPERATOR(pg_catalog.=) 'completed'", SPI_OK_UPDATE, 2, values);
	bkc_sqlrun_exec("UPDATE %s.backup_catalog c SET status = 'missing'"
					" WHERE c.id OPERATOR(pg_catalog.=) $1::bigint"
					" AND c.status OPERATOR(pg_catalog.=) 'completed'"
					" AND NOT EXISTS (SELECT FROM %s.backup_copy y WHERE y.backup_id OPERATOR(pg_catalog.=) c.id"
					"  AND y.status OPERATOR(pg_catalog.=) 'completed')", SPI_OK_UPDATE, 1, values);
	bkc_sqlrun_finish();
}
