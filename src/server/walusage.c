/*
 * walusage.c
 *		See walusage.h.
 */
#include "pgcompat.h"

#include "access/xlog.h"
#include "errors.h"
#include "pipe/walusage.h"
#include "sqlrun.h"
#include "walusage.h"

typedef struct NoteArg
{
	const char *repository;
	BkcWalUsage usage;
} NoteArg;

static void
write_usage(void *arg)
{
	NoteArg    *a = arg;
	const char *values[3];

	values[0] = a->repository;
	values[1] = psprintf("%llu", (unsigned long long) a->usage.objects);
	values[2] = psprintf("%llu", (unsigned long long) a->usage.bytes);
	bkc_sqlrun_begin();
	bkc_sqlrun_exec("INSERT INTO %s.backup_wal_usage (repository, objects, bytes)"
					" VALUES ($1, $2::bigint, $3::bigint)"
					" ON CONFLICT (repository) DO UPDATE SET objects = EXCLUDED.objects,"
					" bytes = EXCLUDED.bytes, measured_at = EXCLUDED.measured_at",
					SPI_OK_INSERT, 3, values);
	bkc_sqlrun_finish();
}

void
bkc_walusage_note(const BkcRepoDef *repo, BkcStore *store)
{
	NoteArg		arg = {.repository = repo->name};
	BkcError	err;

	if (bkc_wal_usage(store, GetSystemIdentifier(), &arg.usage, &err))
		(void) bkc_sqlrun_try(write_usage, &arg, 1, "note how much WAL there is");
	else
		bkc_ereport(err.code == BKC_ERR_CANCELLED ? ERROR : WARNING, &err);
}
