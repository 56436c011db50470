/*
 * file.h
 *		The driver of repositories in a file system: file:///absolute/path.
 *
 * Objects are files (0600) in folders (0700) below a root folder.  Nothing is
 * touched before the first call that needs it; the root folder, with parents
 * that are missing, is made by the first write.  The path of the root may
 * pass through symbolic links, it is the administrator's; nothing below it
 * may.
 *
 * The root folder that a store has seen first stays its root.  When the disk is
 * unmounted, or the folder moved away, every call is BKC_ERR_UNAVAILABLE: what went into
 * the empty folder below the mount point would be gone with the next mount.
 *
 * What survives a crash.  An object's bytes are synced before its name is
 * made, and the name before commit returns.  Folders follow one rule: before
 * a folder is made inside another, the entry of that other folder is synced.
 * So every folder that has a child folder is durable, whoever made it, and
 * commit has to sync only two: the object's folder and that one's parent.
 * Without the rule a folder made by a process that was killed at the wrong
 * moment would be taken for durable by the next one.
 *
 * Files named ".tmp-..." are unfinished writes.  Entries that are neither
 * regular files nor folders, or whose names are no object names (lost+found),
 * are left alone by everything.
 *
 * Parameters: none of its own.
 */
#ifndef BKC_STORE_FILE_FILE_H
#define BKC_STORE_FILE_FILE_H

#include <sys/types.h>

#include "store/setup.h"

extern const BkcStoreDriver bkc_store_file_driver;

/* The rest is shared by the sources of this folder only. */

typedef struct BkcFileStore
{
	BkcStore	base;
	char	   *root;
	bool		seen;			/* the root folder was opened; it was: */
	dev_t		dev;
	ino_t		ino;
} BkcFileStore;

#define BKC_FILE_DIR_MODE		0700
#define BKC_FILE_OBJECT_MODE	0600

/*
 * "could not <verb> object "<name>" in repository "<location>": <reason>",
 * with code and hint for saved_errno.  name NULL: the repository itself.
 * Returns false.
 */
extern bool bkc_file_error(const BkcFileStore *store, const char *verb, const char *name,
						   int saved_errno, BkcError *err);

/*
 * A folder of the repository.  parent is -1 when dir is the root.  Closing
 * keeps errno and may be repeated.
 */
typedef struct BkcFileDir
{
	int			dir;
	int			parent;
} BkcFileDir;

#define BKC_FILE_DIR_INIT	{-1, -1}

/*
 * Open the folder that holds name; *last points to the last component in it.
 * For a prefix (ends with '/' or is "") that is the folder of the prefix
 * itself and *last is "".  BKC_ERR_NOT_FOUND when a component is missing or
 * is an object; BKC_ERR_STATE when one is a symbolic link or the like.
 */
extern bool bkc_file_dir_open(BkcFileStore *store, const char *verb, const char *name,
							  BkcFileDir *dir, const char **last, BkcError *err);

/* The same, making what is missing.  A component that is an object is BKC_ERR_STATE. */
extern bool bkc_file_dir_make(BkcFileStore *store, const char *name,
							  BkcFileDir *dir, const char **last, BkcError *err);
extern void bkc_file_dir_close(BkcFileDir *dir);

/* Make the names in the folder, and the folder's own, durable. */
extern bool bkc_file_dir_sync(BkcFileStore *store, const char *name, const BkcFileDir *dir,
							  BkcError *err);

/* rmdir the folders on the way to name that are empty, from the last upwards; never the root. */
extern void bkc_file_dir_prune(BkcFileStore *store, const char *name);

/* May an entry of a folder be (part of) an object's name?  And is it an unfinished write's? */
extern bool bkc_file_entry_valid(const char *entry);
extern bool bkc_file_entry_tmp(const char *entry);

/* The operations that have sources of their own. */
extern bool bkc_file_open_write(BkcStore *store, const char *name, uint64_t expected_size,
								BkcWriter **writer, BkcError *err);
extern bool bkc_file_open_object(BkcStore *store, const char *name, uint64_t offset,
								 uint64_t length, BkcReader **reader, BkcError *err);
extern bool bkc_file_list(BkcStore *store, const char *prefix, bool deep,
						  bool (*each) (void *arg, const char *name, uint64_t size, BkcError *err),
						  void *arg, BkcError *err);
extern bool bkc_file_remove(BkcStore *store, const char *const *names, size_t n, BkcError *err);
extern bool bkc_file_sweep(BkcStore *store, const char *prefix, BkcError *err);
extern const BkcStoreSetupOps bkc_file_setup_ops;

#endif							/* BKC_STORE_FILE_FILE_H */
