/*
 * settings.h
 *		The pg_backupctl.* settings and what follows from them.
 */
#ifndef BKC_SERVER_SETTINGS_H
#define BKC_SERVER_SETTINGS_H

#include "base/url.h"
#include "format/envelope.h"

#define BKC_SET_REPOS	8		/* in the setting; each gets all WAL */

extern char *bkc_set_repositories;
extern char *bkc_set_database;
extern bool bkc_set_enabled;
extern int	bkc_set_jobs;
extern char *bkc_set_compression;
extern int	bkc_set_encryption; /* BkcSealing */
extern char *bkc_set_key_file;
extern char *bkc_set_key_command;
extern int	bkc_set_max_rate;	/* kB per second, 0 = unlimited */
extern int	bkc_set_rpo_target; /* seconds, 0 = no chunks */
extern int	bkc_set_wal_workers;
extern int	bkc_set_archive_timeout;	/* seconds, for one file */
extern int	bkc_set_shutdown_timeout;	/* seconds, for all files of the archiver's last cycle */
extern int	bkc_set_health_interval;	/* seconds between two looks for alarms, 0 = none */
extern int	bkc_set_event_retention;	/* seconds, 0 = for ever */
extern char *bkc_set_fault;		/* only in builds with fault points ... */
extern char *bkc_set_test_clock;	/* ... and this, see clock.h */

/* Define the settings; preloaded says whether those that need it may be defined. */
extern void bkc_settings_define(bool preloaded);

/*
 * Parse pg_backupctl.repositories and find one by name; NULL = the first.
 * The result is owned by the current memory context.  ereport(ERROR) when
 * there is none of that name, listing those there are.
 */
extern const BkcRepoDef *bkc_settings_repository(const char *name);

/* The whole list, owned by the current memory context. */
extern const BkcRepoList *bkc_settings_repositories(void);

/* Codec and level for a repository: its URL's compression= or the setting. */
extern void bkc_settings_codec(const BkcRepoDef *repo, const char *override,
							   BkcCodec *codec, int *level);

#endif							/* BKC_SERVER_SETTINGS_H */
