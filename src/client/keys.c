/*
 * keys.c
 *		The keys that a command was given (see keys.h).
 */
#include "keys.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "base/file.h"

/* What was read last, and for which settings. */
static BkcKeyring *ring = NULL;
static char *ring_settings = NULL;

/* Several files of a key are one list, and a comma would make two of one. */
static bool
put_key_file(BkcBuffer *files, const char *path, bool list, BkcError *err)
{
	if (!list && strchr(path, ',') != NULL)
		return bkc_error_set(err, BKC_ERR_INVALID, "path of key file \"%s\" contains a comma", path);
	return (files->len == 0 || bkc_buffer_append_str(files, ",", err)) &&
		bkc_buffer_append_str(files, path, err);
}

static bool
collect_key_files(const BkcOptions *options, const BkcUrl *url, BkcBuffer *files, BkcError *err)
{
	const char *path;

	for (size_t i = 0; (path = bkc_option_nth(options, "key-file", i)) != NULL; i++)
	{
		if (!put_key_file(files, path, false, err))
			return false;
	}
	path = bkc_url_param(url, "key_file");
	return path == NULL || put_key_file(files, path, true, err);
}

/* Read the keys unless they are those that were read last. */
static bool
load_keys(const BkcKeySpec *spec, BkcError *err)
{
	BkcBuffer	settings = {0};
	BkcKeyring *new;
	bool		ok;

	ok = bkc_buffer_printf(&settings, err, "%s\n%s\n%d", spec->files,
						   spec->command != NULL ? spec->command : "", spec->only_sealed);
	if (ok && (ring_settings == NULL || strcmp(ring_settings, bkc_buffer_str(&settings)) != 0))
	{
		/* a program that holds a key leaves no picture of its memory behind */
		if (spec->files[0] != '\0' || spec->command != NULL)
			(void) prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
		ok = bkc_keyring_new(spec, &new, err);
		if (ok)
		{
			bkc_keyring_free(ring);
			free(ring_settings);
			ring = new;
			ring_settings = strdup(bkc_buffer_str(&settings));
			ok = ring_settings != NULL || bkc_error_oom(err);
		}
	}
	bkc_buffer_free(&settings);
	return ok;
}

bool
bkc_keys_attach(const BkcOptions *options, const BkcUrl *url, BkcStore *store, BkcError *err)
{
	const char *encryption = bkc_url_param(url, "encryption");
	BkcBuffer	files = {0};
	BkcKeySpec	spec = {.sealing = BKC_SEALING_OFF};
	bool		ok = collect_key_files(options, url, &files, err);

	spec.files = bkc_buffer_str(&files);
	spec.command = bkc_option(options, "key-command");
	spec.only_sealed = bkc_option_given(options, "require-encryption") ||
		(encryption != NULL && strcmp(encryption, "required") == 0);
	ok = ok && load_keys(&spec, err);
	bkc_buffer_free(&files);
	if (ok)
		bkc_keyring_attach(ring, store);
	return ok;
}

bool
bkc_keys_attach_new(const BkcOptions *options, const char *new_file, const BkcUrl *url,
					BkcStore *store, BkcError *err)
{
	BkcBuffer	files = {0};
	BkcKeySpec	spec = {.sealing = BKC_SEALING_OFF};
	BkcKeyring *keys;
	bool		ok;

	ok = put_key_file(&files, new_file, false, err) && collect_key_files(options, url, &files, err);
	spec.files = bkc_buffer_str(&files);
	spec.command = bkc_option(options, "key-command");
	(void) prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
	ok = ok && bkc_keyring_new(&spec, &keys, err);
	bkc_buffer_free(&files);
	if (!ok)
		return false;
	bkc_keyring_attach(keys, store);
	bkc_keyring_free(keys);
	return true;
}

/* The other call may be made in any folder. */
static bool
put_key_path(BkcBuffer *command, const char *path,
		 bool (*put) (BkcBuffer *command, const char *word, BkcError *err), BkcError *err)
{
	char	   *here;
	char	   *whole;
	bool		ok;

	if (path[0] == '/')
		return put(command, path, err);
	here = getcwd(NULL, 0);
	if (here == NULL)
		return bkc_error_os(err, errno, "could not find out the current folder");
	whole = bkc_path_join(here, path, err);
	ok = whole != NULL && put(command, whole, err);
	free(whole);
	free(here);
	return ok;
}

bool
bkc_keys_put_options(const BkcOptions *options, BkcBuffer *command,
					 bool (*put) (BkcBuffer *command, const char *word, BkcError *err),
					 BkcError *err)
{
	const char *text;

	for (size_t i = 0; (text = bkc_option_nth(options, "key-file", i)) != NULL; i++)
	{
		if (!bkc_buffer_append_str(command, " --key-file ", err) ||
			!put_key_path(command, text, put, err))
			return false;
	}
	text = bkc_option(options, "key-command");
	if (text != NULL &&
		(!bkc_buffer_append_str(command, " --key-command ", err) || !put(command, text, err)))
		return false;
	return !bkc_option_given(options, "require-encryption") ||
		bkc_buffer_append_str(command, " --require-encryption", err);
}
