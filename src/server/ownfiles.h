/*
 * ownfiles.h
 *		Files of a backup that the leader stores itself: configuration outside
 *		the data directory, pg_control, the timeline's history.
 */
#ifndef BKC_SERVER_OWNFILES_H
#define BKC_SERVER_OWNFILES_H

#include "pgcompat.h"

#include "collect.h"
#include "nodes/pg_list.h"

/* paths as bkc_config_files() gives them.  All ereport. */
extern void bkc_own_config(BkcCopier *copier, BkcExtras *extras, List *paths);

/* Only after every other file has been read, and before the backup's stop. */
extern void bkc_own_control(BkcCopier *copier, BkcExtras *extras);

/* <timeline>.history, which recovery of a promoted cluster wants; nothing for timeline 1. */
extern void bkc_own_history(BkcCopier *copier, BkcExtras *extras, TimeLineID timeline);

#endif							/* BKC_SERVER_OWNFILES_H */
