/*
 * restore_config.h
 *		What the files of the configuration part of restore share.
 *
 *		restore_config.c	postgresql.auto.conf, and the order of it all
 *		restore_confwalk.c	postgresql.conf and what it includes: read, and
 *							mend what leads out of the restored folder
 *		restore_confmake.c	a postgresql.conf where PGDATA had none, pg_hba.conf
 *							and pg_ident.conf
 */
#ifndef BKC_CLIENT_RESTORE_CONFIG_H
#define BKC_CLIENT_RESTORE_CONFIG_H

#include "conffile.h"
#include "restore.h"

typedef struct BkcConfigWork
{
	BkcRestore *r;
	BkcSettings settings;		/* effective so far */
	bool		mend;			/* change files while walking */
} BkcConfigWork;

/* ---- restore_confwalk.c ---- */

/*
 * Read a file below PGDATA and what it includes into work->settings, and mark
 * the files of the config root that it comes by.  With work->mend settings
 * and includes that lead out of the restored folder are commented out or
 * turned to where the files are now.
 */
extern bool bkc_config_walk(BkcConfigWork *work, const char *rel, BkcError *err);

/*
 * Where the file (or folder) that had this absolute path is now: malloc'ed,
 * below PGDATA.  NULL when it is not in the backup, or, then err is set, when
 * memory is short.
 */
extern char *bkc_config_find(const BkcRestore *r, const char *path, bool folder, BkcError *err);

/* data_directory, hba_file, ...: settings that name a place the restored folder must not use. */
extern bool bkc_config_is_place(const char *name);

/* ---- restore_confmake.c ---- */

/*
 * The file that was in effect as postgresql.conf: PGDATA's own, or a copy
 * below BKC_CONFIG_DIR; NULL when there is none.  Belongs to r.
 */
extern bool bkc_config_main(BkcRestore *r, const char **rel, BkcError *err);

/*
 * postgresql.conf from the settings that make sense elsewhere.  from: where
 * they were read, or NULL.
 */
extern bool bkc_config_make(BkcConfigWork *work, const char *from, BkcError *err);

/* pg_hba.conf and pg_ident.conf where a server looks for them. */
extern bool bkc_config_make_auth(BkcConfigWork *work, BkcError *err);

#endif							/* BKC_CLIENT_RESTORE_CONFIG_H */
