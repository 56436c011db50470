/*
 * restore_config.h
 *		What the files of the configuration part of restore share.
 *
 *		restore_config.c	postgresql.auto.conf, and the order of it all
 *		restore_confpath.c	where a file that the server read is now
 *		restore_confwalk.c	postgresql.conf and what it includes: read, and
 *							mend what leads out of the restored folder
 *		restore_confmake.c	a postgresql.conf where PGDATA's was not in effect
 *		restore_confauth.c	pg_hba.conf and pg_ident.conf
 *
 * The manifest's header says where data directory and files were, so every
 * name in a file is resolved as the server did, and then looked for where
 * restore has put that file: below BKC_CONFIG_DIR when it lay outside the data
 * directory, else in its place.  Paths are compared as text, as the server
 * compared them when it chose what to store outside PGDATA.
 */
#ifndef BKC_CLIENT_RESTORE_CONFIG_H
#define BKC_CLIENT_RESTORE_CONFIG_H

#include "conffile.h"
#include "restore.h"

#define BKC_CONFIG_DEPTH_MAX	10	/* files that include files: as in the server */
#define BKC_CONFIG_FILES_MAX	10000	/* ... and what ends a tree that nobody wrote */

typedef struct BkcConfigWork
{
	BkcRestore *r;
	BkcSettings settings;		/* effective so far */
	bool		mend;			/* change files while walking */
	size_t		nread;			/* files read so far */
} BkcConfigWork;

/* A file that is being read, and the one that led to it. */
typedef struct BkcConfigFrame
{
	const char *rel;
	const struct BkcConfigFrame *up;	/* NULL for the first */
} BkcConfigFrame;

/* ---- restore_confpath.c ---- */

/*
 * Where the file that had this absolute path is now: malloc'ed, below PGDATA.
 * NULL when it is not there or, then err is set, when memory is short.
 */
extern char *bkc_config_find(const BkcRestore *r, const char *path, BkcError *err);

/* The file of the config root that is at rel; NULL when that is one of the data directory. */
extern const BkcConfigFile *bkc_config_outside(const BkcRestore *r, const char *rel);

/* Where a name in a file leads to. */
typedef struct BkcConfigTarget
{
	char	   *rel;			/* below PGDATA; NULL: it is not there */
	char	   *name;			/* what leads there now; NULL: the name as it is */
} BkcConfigTarget;

/*
 * Resolve the name of a file or a folder that stands in the file from and
 * will stand in the file to; both are below PGDATA.  *target needs to be freed
 * on success.
 */
extern bool bkc_config_refer(const BkcRestore *r, const char *from, const char *to,
							 const char *name, bool folder, BkcConfigTarget *target,
							 BkcError *err);
extern void bkc_config_target_free(BkcConfigTarget *target);

/* May rel be read from within up, or does it go in circles or too deep? */
extern bool bkc_config_enter(BkcConfigWork *work, const BkcConfigFrame *up, const char *rel);

/*
 * The files of a folder below PGDATA that a server includes, in its order:
 * paths below PGDATA.
 */
typedef struct BkcConfigList
{
	char	  **rels;
	size_t		count;
} BkcConfigList;

/* *list needs to be freed also on failure. */
extern bool bkc_config_list(const BkcRestore *r, const char *folder, BkcConfigList *list,
							BkcError *err);
extern void bkc_config_list_free(BkcConfigList *list);

/*
 * Put a file that was not there, or was not the one in effect: what has the
 * name now gets another.
 */
extern bool bkc_config_replace(BkcRestore *r, const char *rel, const BkcBuffer *content,
							   BkcError *err);

/* ---- restore_confwalk.c ---- */

/*
 * Read a file below PGDATA and what it includes into work->settings.  With
 * work->mend settings and includes that lead out of the restored folder are
 * commented out or turned to where the files are now.
 */
extern bool bkc_config_walk(BkcConfigWork *work, const char *rel, BkcError *err);

/* data_directory, hba_file, ...: settings that name a place the restored folder must not use. */
extern bool bkc_config_is_place(const char *name);

/* ---- restore_confmake.c ---- */

/*
 * postgresql.conf from the settings that make sense elsewhere.  from: where
 * they were read, or NULL.
 */
extern bool bkc_config_make(BkcConfigWork *work, const char *from, BkcError *err);

/* ---- restore_confauth.c ---- */

/* pg_hba.conf and pg_ident.conf where a server looks for them. */
extern bool bkc_config_make_auth(BkcConfigWork *work, BkcError *err);

#endif							/* BKC_CLIENT_RESTORE_CONFIG_H */
