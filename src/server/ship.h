/*
 * ship.h
 *		Sending WAL files to repositories: what the archiver and the WAL
 *		helpers do alike.
 *
 * Each process keeps a store for each repository open from file to file, and
 * one writer.  Nothing here raises.
 */
#ifndef BKC_SERVER_SHIP_H
#define BKC_SERVER_SHIP_H

#include "pgcompat.h"

#include "base/url.h"
#include "store/store.h"

/*
 * The configured repositories, parsed anew when the setting has changed; repos[i] is the
 * index of list->items[i] in shared memory.  NULL with an error when there is none or the
 * setting is broken.
 */
extern const BkcRepoList *bkc_ship_repositories(int repos[], BkcError *err);

/*
 * An open store of a repository that holds this cluster and that this server may write to.
 * It belongs to this module and lives until the next bkc_ship_*() call that fails for it.
 */
extern bool bkc_ship_store(const BkcRepoDef *def, BkcStore **store, BkcError *err);

/*
 * Store one file in one repository.  true: it is durable there.  Success and failure are
 * noted in shared memory, the latter is logged.  time_is_up: what the caller has given to
 * bkc_host_watch(), so that an upload is cancelled by it.
 */
extern bool bkc_ship_file(const BkcRepoDef *def, int repo, const char *file, const char *path,
						  bool ask_first, bool (*time_is_up) (void), BkcError *err);

/* Close everything. */
extern void bkc_ship_close(void);

#endif							/* BKC_SERVER_SHIP_H */
