/*
 * ship.h
 *		Sending WAL files to repositories: what the archiver and the WAL
 *		helpers do alike.
 *
 * Each process keeps a store for each repository open from file to file, and
 * one writer.  Nothing here raises.
 *
 * A file is sent in two halves: bkc_ship_begin() reads, compresses and gives it to the
 * repository, bkc_ship_finish() waits until it is durable.  Where that waiting is for replies,
 * a second file of the same repository may be begun in between.
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
 * Begin to send one file to one repository.  What goes wrong is told by bkc_ship_finish(), which
 * must follow before the settings are read anew.
 */
extern void bkc_ship_begin(const BkcRepoDef *def, int repo, const char *file, const char *path,
						   bool ask_first);

/* One file is under way to that repository, and it is worth while to begin another now. */
extern bool bkc_ship_has_room(const BkcRepoDef *def);

/*
 * The file that was begun first.  true: it is durable there.  After a failure nothing is under way
 * any more: one that was begun behind it is given up, without being said to have failed.  Success
 * and failure are noted in shared memory, the latter is logged.  time_is_up: what the caller has
 * given to bkc_host_watch(), so that an upload is cancelled by it.
 */
extern bool bkc_ship_finish(bool (*time_is_up)(void), BkcError *err);

/* Give up what is under way. */
extern void bkc_ship_give_up(void);

/* Begin and finish; nothing may be under way. */
extern bool bkc_ship_file(const BkcRepoDef *def, int repo, const char *file, const char *path,
						  bool ask_first, bool (*time_is_up) (void), BkcError *err);

/* Close everything. */
extern void bkc_ship_close(void);

#endif							/* BKC_SERVER_SHIP_H */
