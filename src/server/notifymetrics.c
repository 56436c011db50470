/*
 * notifymetrics.c
 *		See notifymetrics.h.
 */
#include "pgcompat.h"

#include "notify.h"
#include "notify/cloudwatch.h"
#include "notifymetrics.h"
#include "sqlrun.h"

/* Columns behind the repository. */
static const struct
{
	const char *name;
	const char *unit;
}			metrics[] = {
	{"BackupSize", "Bytes"},
	{"BackupDuration", "Seconds"},
	{"BackupAge", "Seconds"},
	{"ArchiveLag", "Bytes"},
};

/* In the context that was current before the query. */
static BkcMetric *
collect(const char *cluster, size_t *n)
{
	MemoryContext context = CurrentMemoryContext;
	BkcMetric  *list;

	*n = 0;
	bkc_sqlrun_begin();
	bkc_sqlrun_exec("SELECT a.repository, b.size, b.seconds, b.age,"
					" CASE WHEN a.status OPERATOR(pg_catalog.<>) 'not configured' THEN a.backlog_bytes END"
					" FROM %s.backup_archiver_state() a LEFT JOIN LATERAL ("
					"   SELECT c.backup_size_bytes,"
					"     EXTRACT(epoch FROM c.finished_at OPERATOR(pg_catalog.-) c.backup_date),"
					"     EXTRACT(epoch FROM pg_catalog.clock_timestamp() OPERATOR(pg_catalog.-) c.finished_at)"
					"   FROM %s.backup_copy y JOIN %s.backup_catalog c ON c.id OPERATOR(pg_catalog.=) y.backup_id"
					"   WHERE y.repository OPERATOR(pg_catalog.=) a.repository"
					"     AND y.status OPERATOR(pg_catalog.=) 'completed'"
					"   ORDER BY c.finished_at DESC NULLS LAST LIMIT 1) AS b (size, seconds, age) ON true",
					SPI_OK_SELECT, 0, NULL);
	list = MemoryContextAllocZero(context,
								  sizeof(BkcMetric) * (SPI_processed * lengthof(metrics) + 1));
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		char	   *repository = MemoryContextStrdup(context, bkc_sqlrun_value(i, 1));

		for (int m = 0; m < lengthof(metrics); m++)
		{
			char	   *value = bkc_sqlrun_value(i, m + 2);

			if (value == NULL)
				continue;
			list[(*n)++] = (BkcMetric) {
				.name = metrics[m].name, .unit = metrics[m].unit, .value = strtod(value, NULL),
				.cluster = cluster, .repository = repository
			};
		}
	}
	bkc_sqlrun_finish();
	return list;
}

bool
bkc_notify_metrics(const BkcTarget *target, int *wait_s, BkcError *err)
{
	BkcNotice	place = {0};
	BkcMetric  *list;
	size_t		n;

	bkc_notify_place(&place);
	list = collect(place.cluster, &n);
	*wait_s = 0;
	if (n == 0)
		return bkc_error_set(err, BKC_ERR_STATE, "there is no repository to tell of");
	return bkc_cloudwatch_send(target, list, n, wait_s, err);
}
