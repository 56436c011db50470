/*
 * file.h
 *		Files below a folder: safe opening, whole reads, durable writes.
 *
 * Nothing here follows a symbolic link in the last component, everything is
 * opened with O_CLOEXEC, EINTR is retried, short reads and writes are
 * continued.  Errors name the path.
 */
#ifndef BKC_BASE_FILE_H
#define BKC_BASE_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>

#include "base/buffer.h"
#include "base/error.h"

/* Temporary files of this project have names that begin so (16 hex digits follow). */
#define BKC_FILE_TMP_PREFIX		".bkc-tmp-"

/* Open for reading a regular file; fd or -1. */
extern int	bkc_file_open_read(const char *path, BkcError *err);

/*
 * Create exclusively for writing with that mode, whatever the umask; fd or -1
 * (BKC_ERR_EXISTS when there).
 */
extern int	bkc_file_create(const char *path, mode_t mode, BkcError *err);

/* Read up to len bytes at offset, continuing short reads; *got < len only at end of file. */
extern bool bkc_file_pread(int fd, const char *path, void *buf, size_t len, uint64_t offset,
						   size_t *got, BkcError *err);
extern bool bkc_file_write(int fd, const char *path, const void *buf, size_t len, BkcError *err);
extern bool bkc_file_fsync(int fd, const char *path, BkcError *err);

/* close(2) whose failure is reported; fd is gone either way.  -1 is accepted and does nothing. */
extern bool bkc_file_close(int fd, const char *path, BkcError *err);

/*
 * fsync a folder, so that names created or removed in it are durable.  Here
 * the last component may be a link: syncing what it points to harms nothing.
 */
extern bool bkc_dir_fsync(const char *path, BkcError *err);

/*
 * mkdir -p with mode (whatever the umask) for what is missing, fsync of each
 * parent that gained an entry.  Links to folders are followed on the way, but
 * a last component that is a link is refused.
 */
extern bool bkc_dir_create(const char *path, mode_t mode, BkcError *err);

/*
 * Is the folder there and empty?  Results by pointer: exists, empty
 * (a missing folder is empty).  Anything else than a folder is an error.
 */
extern bool bkc_dir_state(const char *path, bool *exists, bool *empty, BkcError *err);

/*
 * rm -r that never follows links and stays inside path; missing is success.
 * Works also when the host says cancelled, because it tidies up.
 */
extern bool bkc_dir_remove_tree(const char *path, bool keep_top, BkcError *err);

/* Whole file into buf (appended), at most max bytes: larger is BKC_ERR_INVALID. */
extern bool bkc_file_slurp(const char *path, size_t max, BkcBuffer *buf, BkcError *err);

/*
 * Is the file kept from others?  Nobody but its owner may do anything with it; when that is root a
 * group may read it, which is how a secret is given to a server's user (Kubernetes does it so).
 */
extern bool bkc_file_is_private(const struct stat *st);

/*
 * bkc_file_slurp() for a file with a secret: it must be a regular file of our own user or of root
 * (root may use anybody's) that is private, else BKC_ERR_ACCESS.  A link is followed.  The caller
 * wipes buf (up to its cap).
 */
extern bool bkc_file_slurp_secret(const char *path, size_t max, BkcBuffer *buf, BkcError *err);

/*
 * Durable whole-file write: temporary name beside it, fsync, then link(2)
 * (create only: BKC_ERR_EXISTS when the name is taken) or rename(2)
 * (replace), fsync of the folder.  A crash leaves the old state or all of the
 * new, and at worst a temporary file.  After an error of the last step (fsync
 * of the folder) the new file may be there all the same.
 */
extern bool bkc_file_put(const char *path, const void *data, size_t len, mode_t mode,
						 bool replace, BkcError *err);

/* "dir/name" into a malloc'ed string; NULL and err when out of memory. */
extern char *bkc_path_join(const char *dir, const char *name, BkcError *err);

/*
 * Is this a relative path that stays where it is put: not empty, not
 * absolute, no empty, "." or ".." component?  Says nothing about links on
 * the way.
 */
extern bool bkc_path_is_safe(const char *path);

/*
 * Open (creating folders with dirmode where missing) the parent folder of a
 * safe relative path below rootfd, refusing to pass through any symbolic
 * link.  What is made is durable.  Returns a descriptor of the parent, *base
 * points into path.  -1 on error.
 */
extern int	bkc_path_open_parent(int rootfd, const char *path, mode_t dirmode,
								 const char **base, BkcError *err);

#endif							/* BKC_BASE_FILE_H */
