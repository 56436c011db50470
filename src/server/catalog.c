/*
 * catalog.c
 *		See catalog.h.
 *
 * Arguments go in as text and are cast in the statement: the statements can
 * be read as they stand, and one helper runs them all.
 */
#include "pgcompat.h"

#include "access/xlog.h"
#include "base/text.h"
#include "catalog.h"
#include "executor/spi.h"
#include "sqlrun.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

int64
bkc_catalog_insert(const BkcJobArgs *args, const char *label, const char *repository,
				   const char *location, int64 start_time)
{
	const char *values[10];
	char		start[40];
	char		sysid[32];
	int64		id;

	snprintf(sysid, sizeof(sysid), "%lld", (long long) GetSystemIdentifier());
	values[0] = args->type;
	values[1] = label;
	values[2] = repository;
	values[3] = location;
	values[4] = args->tier[0] ? args->tier : NULL;
	values[5] = sysid;
	values[6] = args->options[0] ? args->options : "{}";
	values[7] = args->requested_by;
	bkc_sqlrun_begin();
	values[8] = args->has_retention ? timestamptz_to_str(args->retention_date) : NULL;
	bkc_format_time(start_time, start, sizeof(start));
	values[9] = start;
	bkc_sqlrun_exec("INSERT INTO %s.backup_catalog (backup_type, label, repository, backup_location, status,"
		" tier, system_identifier, pg_version, metadata, retention_date, backup_date)"
		" VALUES ($1, $2, $3, $4, 'running', $5, $6::bigint,"
		" pg_catalog.current_setting('server_version'),"
		" pg_catalog.jsonb_build_object('options', $7::jsonb, 'requested_by', $8),"
		" $9::timestamptz, $10::timestamptz) RETURNING id", SPI_OK_INSERT_RETURNING, 10, values);
	id = strtoll(bkc_sqlrun_value(0, 1), NULL, 10);
	values[0] = psprintf("%lld", (long long) id);
	values[1] = repository;
	bkc_sqlrun_exec("INSERT INTO %s.backup_copy (backup_id, repository, status)"
		" VALUES ($1::bigint, $2, 'running')", SPI_OK_INSERT, 2, values);
	bkc_sqlrun_finish();
	return id;
}

void
bkc_catalog_complete(int64 id, const char *repository, const BkcCatalogDone *done)
{
	const BkcManifestHeader *h = done->header;
	const BkcManifestTotals *t = done->totals;
	const char *values[10];
	char		start[32];
	char		stop[32];
	char		finished[40];

	bkc_format_lsn(h->start_lsn, start, sizeof(start));
	bkc_format_lsn(h->stop_lsn, stop, sizeof(stop));
	bkc_format_time(h->stop_time, finished, sizeof(finished));
	bkc_sqlrun_begin();
	values[0] = psprintf("%lld", (long long) id);
	values[1] = psprintf("%llu", (unsigned long long) t->stored_bytes);
	values[2] = psprintf("%llu", (unsigned long long) t->bytes);
	values[3] = psprintf("%u", h->timeline);
	values[4] = start;
	values[5] = stop;
	values[6] = done->metadata;
	values[7] = finished;
	values[8] = done->sealed ? "AES-256-GCM" : "none";
	values[9] = done->sealed ? done->key_id : NULL;
	bkc_sqlrun_exec("UPDATE %s.backup_catalog SET status = 'completed', error = NULL,"
		" finished_at = $8::timestamptz,"
		" backup_size_bytes = $2::bigint, original_size_bytes = $3::bigint,"
		" timeline = $4::bigint, start_lsn = $5::pg_lsn, stop_lsn = $6::pg_lsn,"
		" encryption_status = $9, encryption_key_id = $10,"
		" metadata = metadata OPERATOR(pg_catalog.||) $7::jsonb"
		" WHERE id OPERATOR(pg_catalog.=) $1::bigint", SPI_OK_UPDATE, 10, values);
	values[1] = repository;
	bkc_sqlrun_exec("UPDATE %s.backup_copy SET status = 'completed'"
		" WHERE backup_id OPERATOR(pg_catalog.=) $1::bigint"
		" AND repository OPERATOR(pg_catalog.=) $2", SPI_OK_UPDATE, 2, values);
	bkc_sqlrun_finish();
}

void
bkc_catalog_fail(int64 id, const char *status, const char *error)
{
	const char *values[3];

	bkc_sqlrun_begin();
	values[0] = psprintf("%lld", (long long) id);
	values[1] = status;
	values[2] = error;
	bkc_sqlrun_exec("UPDATE %s.backup_catalog SET status = $2, error = $3,"
		" finished_at = pg_catalog.clock_timestamp()"
		" WHERE id OPERATOR(pg_catalog.=) $1::bigint"
		" AND status OPERATOR(pg_catalog.=) 'running'", SPI_OK_UPDATE, 3, values);
	bkc_sqlrun_exec("UPDATE %s.backup_copy SET status = $2"
		" WHERE backup_id OPERATOR(pg_catalog.=) $1::bigint"
		" AND status OPERATOR(pg_catalog.=) 'running'", SPI_OK_UPDATE, 2, values);
	bkc_sqlrun_finish();
}

static void
copy_row(uint64 i, BkcCatalogRow *row)
{
	char	   *label = bkc_sqlrun_value(i, 2);
	char	   *repository = bkc_sqlrun_value(i, 3);
	char	   *sysid = bkc_sqlrun_value(i, 4);

	row->system_identifier = sysid ? (uint64) strtoll(sysid, NULL, 10) : GetSystemIdentifier();
	row->id = strtoll(bkc_sqlrun_value(i, 1), NULL, 10);
	strlcpy(row->label, label ? label : "", sizeof(row->label));
	strlcpy(row->repository, repository ? repository : "", sizeof(row->repository));
}

BkcCatalogRow *
bkc_catalog_running(int *n)
{
	BkcCatalogRow *rows;

	bkc_sqlrun_begin();
	bkc_sqlrun_exec("SELECT id, label, repository, system_identifier FROM %s.backup_catalog"
		" WHERE status OPERATOR(pg_catalog.=) 'running' AND label IS NOT NULL ORDER BY id", SPI_OK_SELECT, 0, NULL);
	*n = (int) SPI_processed;
	rows = MemoryContextAllocZero(bkc_sqlrun_outer_context(), sizeof(BkcCatalogRow) * (*n + 1));
	for (int i = 0; i < *n; i++)
		copy_row(i, &rows[i]);
	bkc_sqlrun_finish();
	return rows;
}

bool
bkc_catalog_find(const int64 *id, BkcCatalogRow *row)
{
	const char *values[1];
	bool		found;

	bkc_sqlrun_begin();
	values[0] = id ? psprintf("%lld", (long long) *id) : NULL;
	bkc_sqlrun_exec("SELECT id, label, repository, system_identifier FROM %s.backup_catalog"
		" WHERE status OPERATOR(pg_catalog.=) 'completed'"
		" AND NOT EXISTS (SELECT FROM %s.backup_copy y WHERE y.backup_id OPERATOR(pg_catalog.=) id"
		"  AND y.status OPERATOR(pg_catalog.=) 'expiring')"
		" AND CASE WHEN $1 IS NULL THEN label IS NOT NULL"
		" AND encryption_status OPERATOR(pg_catalog.<>) 'shredded'"
		" ELSE id OPERATOR(pg_catalog.=) $1::bigint END"
		" ORDER BY label DESC LIMIT 1", SPI_OK_SELECT, 1, values);
	found = SPI_processed > 0;
	if (found)
		copy_row(0, row);
	bkc_sqlrun_finish();
	return found;
}

void
bkc_catalog_verification(int64 id, const char *repository, const char *status,
						 int64 time, const char *findings)
{
	const char *values[4];
	char		when[40];

	bkc_format_time(time, when, sizeof(when));
	bkc_sqlrun_begin();
	values[0] = psprintf("%lld", (long long) id);
	values[1] = status;
	values[2] = findings;
	values[3] = when;
	bkc_sqlrun_exec("UPDATE %s.backup_catalog SET verification_status = $2,"
		" verification_date = $4::timestamptz,"
		" metadata = metadata OPERATOR(pg_catalog.||)"
		" pg_catalog.jsonb_build_object('verification', $3::jsonb)"
		" WHERE id OPERATOR(pg_catalog.=) $1::bigint", SPI_OK_UPDATE, 4, values);
	values[2] = repository;
	bkc_sqlrun_exec("UPDATE %s.backup_copy SET verification = $2"
		" WHERE backup_id OPERATOR(pg_catalog.=) $1::bigint"
		" AND repository OPERATOR(pg_catalog.=) $3", SPI_OK_UPDATE, 3, values);
	bkc_sqlrun_finish();
}

static char *
lookup(const char *sql, int nargs, const char *const *values)
{
	char	   *result = NULL;

	bkc_sqlrun_begin();
	bkc_sqlrun_exec(sql, SPI_OK_SELECT, nargs, values);
	if (SPI_processed > 0)
	{
		char	   *value = bkc_sqlrun_value(0, 1);

		if (value != NULL)
			result = MemoryContextStrdup(bkc_sqlrun_outer_context(), value);
	}
	bkc_sqlrun_finish();
	return result;
}

char *
bkc_catalog_lookup(const char *sql)
{
	return lookup(sql, 0, NULL);
}

char *
bkc_catalog_completed(const char *repository)
{
	const char *values[2] = {repository, psprintf("%lld", (long long) GetSystemIdentifier())};

	return lookup("SELECT NULLIF(pg_catalog.count(*), 0)::text FROM %s.backup_catalog"
				  " WHERE status OPERATOR(pg_catalog.=) 'completed' AND label IS NOT NULL"
				  " AND repository OPERATOR(pg_catalog.=) $1"
				  " AND " BKC_CATALOG_OF("system_identifier", "$2::bigint"), 2, values);
}

void
bkc_catalog_each(const char *sql, void (*each) (void *arg, const char *value), void *arg)
{
	bkc_sqlrun_begin();
	bkc_sqlrun_exec(sql, SPI_OK_SELECT, 0, NULL);
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		char	   *value = bkc_sqlrun_value(i, 1);

		if (value != NULL)
		{
			MemoryContext old = MemoryContextSwitchTo(bkc_sqlrun_outer_context());

			each(arg, value);
			MemoryContextSwitchTo(old);
		}
	}
	bkc_sqlrun_finish();
}
