/*
 * filerepo.h
 *		A file repository in a temporary folder, for tests.
 */
#ifndef FILEREPO_H
#define FILEREPO_H

#include <stdbool.h>
#include <sys/types.h>

#include "store/store.h"

typedef struct FileRepo
{
	char		top[64];		/* temporary folder, for everything else that a test needs */
	char		root[80];		/* the repository's folder in it, not made */
} FileRepo;

extern bool filerepo_new(FileRepo *repo, BkcError *err);
extern bool filerepo_open(const FileRepo *repo, BkcStore **store, BkcError *err);
extern void filerepo_free(FileRepo *repo);

/* "<root>/<name>" in a static buffer that the next call overwrites. */
extern const char *filerepo_path(const FileRepo *repo, const char *name);

/* How many files and folders are really there below root, unfinished writes included. */
extern int	filerepo_count_entries(const FileRepo *repo);

/* Run function in a child process; its result is the exit status, 255 when it was killed. */
extern int	run_in_child(int (*function) (void *arg), void *arg);

/* The same without waiting; wait_for_child() gives the status. */
extern pid_t start_child(int (*function) (void *arg), void *arg);
extern int	wait_for_child(pid_t pid);

#endif							/* FILEREPO_H */
