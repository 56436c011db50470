/*
 * filerepo.c
 *		A file repository in a temporary folder, for tests.
 */
#include "filerepo.h"

#include <errno.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"

bool
filerepo_new(FileRepo *repo, BkcError *err)
{
	const char *tmp = getenv("TMPDIR");

	snprintf(repo->top, sizeof(repo->top), "%s/bkc-unit-XXXXXX",
			 tmp != NULL && strlen(tmp) < 40 ? tmp : "/tmp");
	if (mkdtemp(repo->top) == NULL)
		return bkc_error_os(err, errno, "could not create folder \"%s\"", repo->top);

	/* tests that drop root's rights must be able to pass */
	if (chmod(repo->top, 0755) != 0)
		return bkc_error_os(err, errno, "could not set permissions of \"%s\"", repo->top);
	snprintf(repo->root, sizeof(repo->root), "%s/repo", repo->top);
	return true;
}

bool
filerepo_open(const FileRepo *repo, BkcStore **store, BkcError *err)
{
	BkcUrl		url = {0};
	char		text[128];
	bool		ok;

	snprintf(text, sizeof(text), "file://%s", repo->root);
	ok = bkc_url_parse(text, &url, err) && bkc_store_open(&url, store, err);
	bkc_url_free(&url);
	return ok;
}

void
filerepo_free(FileRepo *repo)
{
	BkcError	err;

	if (!bkc_dir_remove_tree(repo->top, false, &err))
		fprintf(stderr, "%s\n", err.message);
}

const char *
filerepo_path(const FileRepo *repo, const char *name)
{
	static char path[512];

	snprintf(path, sizeof(path), "%s/%s", repo->root, name);
	return path;
}

static int	entries;

static int
count_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	if (ftw->level > 0)
		entries++;
	return 0;
}

int
filerepo_count_entries(const FileRepo *repo)
{
	entries = 0;
	(void) nftw(repo->root, count_entry, 16, FTW_PHYS);
	return entries;
}

pid_t
start_child(int (*function) (void *arg), void *arg)
{
	pid_t		pid;

	fflush(NULL);
	pid = fork();
	if (pid == 0)
		_exit(function(arg));
	return pid;
}

int
wait_for_child(pid_t pid)
{
	int			status;

	if (pid < 0)
		return 255;
	while (waitpid(pid, &status, 0) < 0)
	{
		if (errno != EINTR)
			return 255;
	}
	return WIFEXITED(status) ? WEXITSTATUS(status) : 255;
}

int
run_in_child(int (*function) (void *arg), void *arg)
{
	return wait_for_child(start_child(function, arg));
}
