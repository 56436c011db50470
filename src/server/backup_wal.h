/*
 * backup_wal.h
 *		The WAL of a backup that relies on the archive for it.
 */
#ifndef BKC_SERVER_BACKUP_WAL_H
#define BKC_SERVER_BACKUP_WAL_H

#include "pgcompat.h"

#include "base/url.h"
#include "shared.h"
#include "store/store.h"

/* Does WAL go to that repository?  ereports when it does not, as far as anybody knows. */
extern void bkc_backup_archive_preflight(const BkcRepoDef *repo);

/*
 * The same question for a backup with its own WAL: trouble of any repository is a WARNING, which
 * the job keeps.
 */
extern void bkc_backup_archive_warn(BkcJob *job);

/*
 * Wait until every segment from start to stop is proven in the repository; an ERROR that names
 * the first missing one after job->args.archive_wait seconds.
 */
extern void bkc_backup_archive_wait(const BkcJob *job, const BkcRepoDef *repo, BkcStore *store,
									const BkcPgBackup *backup);

#endif							/* BKC_SERVER_BACKUP_WAL_H */
