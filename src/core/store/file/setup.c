/*
 * setup.c
 *		Making the folder of a repository.
 */
#include "store/file/file.h"

#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"

static bool
file_setup_check(BkcStore *store, const BkcStoreSetup *options, BkcError *err)
{
	if (options->asked == 0)
		return true;
	bkc_error_set(err, BKC_ERR_INVALID,
				  "repository \"%s\" is a folder, which has no versions, encryption, locks or lifecycle rules",
				  store->location);
	return bkc_error_hint(err, "Leave out all options but --repo and --dry-run.");
}

static bool
tell(BkcStoreStepEach each, void *arg, BkcStoreStepState state, const char *text,
	 const char *hint, BkcError *err)
{
	return each(arg, &(BkcStoreStep) {"folder", state, text, hint}, err);
}

/* A folder that is there is the administrator's: nothing about it is changed. */
static bool
look(const struct stat *st, BkcStoreStepEach each, void *arg, BkcError *err)
{
	char		text[128];

	if ((st->st_mode & 07777 & ~BKC_FILE_DIR_MODE) == 0)
		return tell(each, arg, BKC_STEP_THERE, "is there", NULL, err);
	snprintf(text, sizeof(text), "is there, with mode %04o: others may look into it",
			 (unsigned) st->st_mode & 07777);
	return tell(each, arg, BKC_STEP_WARNING, text, "Use chmod 0700.", err);
}

static bool
file_setup(BkcStore *store, const BkcStoreSetup *options, BkcStoreStepEach each, void *arg,
		   BkcError *err)
{
	BkcFileStore *fstore = (BkcFileStore *) store;
	struct stat st;

	/* the path may pass through links, as it may for every other operation */
	if (stat(fstore->root, &st) == 0)
		return S_ISDIR(st.st_mode) ? look(&st, each, arg, err)
			: bkc_error_set(err, BKC_ERR_STATE, "\"%s\" is not a folder", fstore->root);
	if (errno != ENOENT)
		return bkc_file_error(fstore, "look at", NULL, errno, err);
	if (options->dry_run)
		return tell(each, arg, BKC_STEP_TO_DO, "would be made, with mode 0700", NULL, err);
	if (!bkc_dir_create(fstore->root, BKC_FILE_DIR_MODE, err))
		return bkc_error_context(err, "could not set up repository \"%s\"", store->location);
	return tell(each, arg, BKC_STEP_DONE, "was made, with mode 0700",
				geteuid() == 0 ? "It belongs to root: give it to the user of the server with chown." : NULL,
				err);
}

const BkcStoreSetupOps bkc_file_setup_ops = {
	.check = file_setup_check,
	.run = file_setup,
};
