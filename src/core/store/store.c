/*
 * store.c
 *		The table of drivers and what is common to them: checking of names and
 *		order of calls, fault points, the probe.
 */
#include "store/store.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/fault.h"
#include "base/host.h"
#include "base/text.h"
#include "format/names.h"
#include "store/file/file.h"
#include "store/s3/s3.h"

static const BkcStoreDriver *const drivers[] = {
	&bkc_store_file_driver,
	&bkc_store_s3_driver,
};

#define NDRIVERS (sizeof(drivers) / sizeof(drivers[0]))

const char *const bkc_store_common_params[] = {"compression", "encryption", "key_file", NULL};

static const BkcStoreDriver *
find_driver(const BkcUrl *url, BkcError *err)
{
	char		known[256] = "";
	size_t		used = 0;

	for (size_t i = 0; i < NDRIVERS; i++)
	{
		if (strcmp(drivers[i]->scheme, url->scheme) == 0)
			return drivers[i];
		if (used < sizeof(known))
			used += (size_t) snprintf(known + used, sizeof(known) - used, "%s\"%s\"",
									  i == 0 ? "" : ", ", drivers[i]->scheme);
	}
	bkc_error_set(err, BKC_ERR_INVALID, "repository URL \"%s\" has the unknown scheme \"%s\"",
				  url->text, url->scheme);
	bkc_error_hint(err, "Known schemes are: %s.", known);
	return NULL;
}

/* The driver's own and the common parameters are known, anything else is a typing error. */
static bool
check_params(const BkcStoreDriver *driver, const BkcUrl *url, BkcError *err)
{
	const char *known[64];
	size_t		n = 0;

	for (size_t i = 0; driver->params[i] != NULL && n < 60; i++)
		known[n++] = driver->params[i];
	for (size_t i = 0; bkc_store_common_params[i] != NULL && n < 63; i++)
		known[n++] = bkc_store_common_params[i];
	known[n] = NULL;
	return bkc_url_check_params(url, known, err);
}

/* What encryption= and key_file= mean is decided by those who make key rings. */
static bool
check_common(const BkcUrl *url, BkcError *err)
{
	const char *encryption = bkc_url_param(url, "encryption");
	const char *key_file = bkc_url_param(url, "key_file");

	if (encryption != NULL && strcmp(encryption, "off") != 0 && strcmp(encryption, "on") != 0 &&
		strcmp(encryption, "required") != 0)
		return bkc_error_set(err, BKC_ERR_INVALID,
							 "parameter \"encryption\" of repository URL must be off, on or required");
	if (key_file != NULL && key_file[0] != '/')
	{
		bkc_error_set(err, BKC_ERR_INVALID, "parameter \"key_file\" of repository URL must be an absolute path");
		return bkc_error_hint(err, "Several paths are separated by commas, which are written %%2C in a list of repositories.");
	}
	return true;
}

bool
bkc_store_check_url(const BkcUrl *url, BkcError *err)
{
	const BkcStoreDriver *driver = find_driver(url, err);

	return driver != NULL && check_params(driver, url, err) && check_common(url, err) &&
		driver->check(url, err);
}

bool
bkc_store_check_class(const BkcUrl *url, const char *class, BkcError *err)
{
	const BkcStoreDriver *driver = find_driver(url, err);

	if (driver == NULL)
		return false;
	if (driver->check_class != NULL)
		return driver->check_class(url, class, err);
	bkc_error_set(err, BKC_ERR_UNSUPPORTED, "a repository of scheme \"%s\" has no storage classes",
				  url->scheme);
	return bkc_error_hint(err, "Leave the storage class away, or name a repository in S3.");
}

bool
bkc_store_open(const BkcUrl *url, BkcStore **store, BkcError *err)
{
	const BkcStoreDriver *driver = find_driver(url, err);
	char	   *location;

	*store = NULL;
	if (driver == NULL || !check_params(driver, url, err) || !check_common(url, err) ||
		!driver->check(url, err))
		return false;
	location = strndup(url->text, strcspn(url->text, "?"));
	if (location == NULL)
		return bkc_error_oom(err);
	if (!driver->open(url, store, err))
	{
		free(location);
		*store = NULL;
		return false;
	}
	(*store)->location = location;
	return true;
}

void
bkc_store_close(BkcStore *store)
{
	char	   *location;

	if (store == NULL)
		return;
	location = store->location;
	if (store->leaving != NULL)
		store->leaving(store, store->leaving_arg);
	if (store->release_keys != NULL)
		store->release_keys(store->keys);
	store->ops->close(store);
	free(location);
}

/* Does a component begin like the temporary names of unfinished writes? */
static bool
has_tmp_component(const char *name)
{
	const char *p = name;

	while (p != NULL)
	{
		if (strncmp(p, BKC_STORE_TMP_PREFIX, strlen(BKC_STORE_TMP_PREFIX)) == 0)
			return true;
		p = strchr(p, '/');
		if (p != NULL)
			p++;
	}
	return false;
}

static bool
check_name(const char *name, BkcError *err)
{
	if (!bkc_name_valid(name) || has_tmp_component(name))
		return bkc_error_set(err, BKC_ERR_INVALID, "invalid object name \"%s\"", name);
	return true;
}

/* "" or a valid name followed by '/'. */
static bool
check_prefix(const char *prefix, BkcError *err)
{
	char		name[BKC_NAME_MAX];
	size_t		len = strlen(prefix);

	if (len == 0)
		return true;
	if (len <= sizeof(name) && prefix[len - 1] == '/')
	{
		memcpy(name, prefix, len - 1);
		name[len - 1] = '\0';
		if (bkc_name_valid(name) && !has_tmp_component(name))
			return true;
	}
	return bkc_error_set(err, BKC_ERR_INVALID, "invalid prefix of object names \"%s\"", prefix);
}

bool
bkc_store_open_write(BkcStore *store, const char *name, uint64_t expected_size,
					 BkcWriter **writer, BkcError *err)
{
	*writer = NULL;
	if (!check_name(name, err) || !bkc_host_check(err) ||
		!bkc_fault(BKC_FAULT_STORE_OPEN_WRITE, err))
		return false;
	if (!bkc_store_note(store,
						store->ops->open_write(store, name, expected_size, writer, err), err))
	{
		*writer = NULL;
		return false;
	}
	(*writer)->store = store;
	(*writer)->whole = (*writer)->ended = false;
	return true;
}

bool
bkc_writer_write(BkcWriter *writer, const void *data, size_t len, BkcError *err)
{
	if (writer->ended || writer->whole)
		return bkc_error_set(err, BKC_ERR_INTERNAL, "write to an object whose writing has ended");

	/* whatever goes wrong in between, an object with a hole must never be committed */
	writer->ended = true;
	if (!bkc_host_check(err) || !bkc_fault(BKC_FAULT_STORE_WRITE, err))
		return false;
	if (len > 0 && !writer->ops->write(writer, data, len, err))
		return bkc_store_note(writer->store, false, err);
	writer->ended = false;
	return true;
}

bool
bkc_writer_commit_begin(BkcWriter *writer)
{
	if (writer->ended)
		return false;
	writer->whole = true;
	return writer->ops->commit_begin != NULL && writer->ops->commit_begin(writer);
}

bool
bkc_writer_commit(BkcWriter *writer, BkcError *err)
{
	if (writer->ended)
		return bkc_error_set(err, BKC_ERR_INTERNAL, "commit of an object whose writing has ended");
	writer->ended = true;
	return bkc_host_check(err) &&
		bkc_fault(BKC_FAULT_STORE_COMMIT, err) &&
		bkc_store_note(writer->store, writer->ops->commit(writer, err), err);
}

void
bkc_writer_close(BkcWriter *writer)
{
	if (writer != NULL)
		writer->ops->close(writer);
}

bool
bkc_store_open_read(BkcStore *store, const char *name, uint64_t offset, uint64_t length,
					BkcReader **reader, BkcError *err)
{
	*reader = NULL;
	if (!check_name(name, err) || !bkc_host_check(err))
		return false;
	if (!bkc_store_note(store,
						store->ops->open_read(store, name, offset, length, reader, err), err))
	{
		*reader = NULL;
		return false;
	}
	(*reader)->store = store;
	return true;
}

bool
bkc_reader_read(BkcReader *reader, void *buf, size_t len, size_t *got, BkcError *err)
{
	*got = 0;
	return bkc_host_check(err) &&
		bkc_fault(BKC_FAULT_STORE_READ, err) &&
		bkc_store_note(reader->store, reader->ops->read(reader, buf, len, got, err), err);
}

void
bkc_reader_close(BkcReader *reader)
{
	if (reader != NULL)
		reader->ops->close(reader);
}

bool
bkc_store_stat(BkcStore *store, const char *name, uint64_t *size, BkcError *err)
{
	*size = 0;
	return check_name(name, err) && bkc_host_check(err) &&
		bkc_store_note(store, store->ops->stat(store, name, size, err), err);
}

bool
bkc_store_sync(BkcStore *store, const char *name, BkcError *err)
{
	return check_name(name, err) && bkc_host_check(err) &&
		bkc_fault(BKC_FAULT_STORE_SYNC, err) &&
		(store->ops->sync == NULL || store->ops->sync(store, name, err));
}

bool
bkc_store_list(BkcStore *store, const char *prefix, bool deep,
			   bool (*each) (void *arg, const char *name, uint64_t size, BkcError *err),
			   void *arg, BkcError *err)
{
	return check_prefix(prefix, err) &&
		bkc_host_check(err) &&
		bkc_fault(BKC_FAULT_STORE_LIST, err) &&
		bkc_store_note(store, store->ops->list(store, prefix, deep, each, arg, err), err);
}

/* All names first: nothing is removed by a call that cannot be right. */
static bool
check_names(const char *const *names, size_t n, BkcError *err)
{
	for (size_t i = 0; i < n; i++)
	{
		if (!check_name(names[i], err))
			return false;
	}
	return true;
}

bool
bkc_store_remove(BkcStore *store, const char *const *names, size_t n, BkcError *err)
{
	return check_names(names, n, err) &&
		bkc_host_check(err) &&
		bkc_fault(BKC_FAULT_STORE_REMOVE, err) &&
		(n == 0 || bkc_store_note(store, store->ops->remove(store, names, n, err), err));
}

bool
bkc_store_remove_versions(BkcStore *store, const char *const *names, size_t n, BkcError *err)
{
	if (store->ops->remove_versions == NULL)
		return bkc_store_remove(store, names, n, err);
	return check_names(names, n, err) &&
		bkc_host_check(err) &&
		(n == 0 || store->ops->remove_versions(store, names, n, err));
}

bool
bkc_store_remove_former(BkcStore *store, const char *prefix, BkcError *err)
{
	/* nobody wants to lose all of a repository */
	if (prefix[0] == '\0')
		return bkc_error_set(err, BKC_ERR_INVALID, "removal of everything");
	return check_prefix(prefix, err) &&
		bkc_host_check(err) &&
		(store->ops->remove_former == NULL || store->ops->remove_former(store, prefix, err));
}

bool
bkc_store_locked(BkcStore *store, const char *name, int64_t *until, BkcError *err)
{
	*until = 0;
	return check_names(&name, 1, err) &&
		bkc_host_check(err) &&
		(store->ops->locked == NULL || store->ops->locked(store, name, until, err));
}

bool
bkc_store_hold(BkcStore *store, const char *name, bool on, BkcError *err)
{
	if (store->ops->hold == NULL)
		return bkc_error_set(err, BKC_ERR_UNSUPPORTED, "repository \"%s\" has no legal holds",
							 store->location);
	return check_names(&name, 1, err) &&
		bkc_host_check(err) &&
		store->ops->hold(store, name, on, err);
}

/* ---- storage classes ---- */

bool
bkc_store_use_class(BkcStore *store, const char *class, BkcError *err)
{
	if (class[0] == '\0')
		return true;
	if ((store->caps & BKC_CAP_CLASSES) == 0)
		return bkc_error_set(err, BKC_ERR_UNSUPPORTED, "repository \"%s\" has no storage classes",
							 store->location);
	if (snprintf(store->class, sizeof(store->class), "%s", class) >= (int) sizeof(store->class))
		return bkc_error_set(err, BKC_ERR_INVALID, "storage class \"%s\" is too long", class);
	return true;
}

bool
bkc_store_try_class(BkcStore *store, BkcError *err)
{
	return store->class[0] == '\0' || store->ops->try_class == NULL ||
		(bkc_host_check(err) && store->ops->try_class(store, err));
}

bool
bkc_store_archived(BkcStore *store, const char *prefix, BkcArchiveEach each, void *arg,
				   BkcError *err)
{
	return check_prefix(prefix, err) &&
		bkc_host_check(err) &&
		(store->ops->archived == NULL || store->ops->archived(store, prefix, each, arg, err));
}

bool
bkc_store_thaw(BkcStore *store, const char *name, int days, BkcError *err)
{
	if (store->ops->thaw == NULL)
		return bkc_error_set(err, BKC_ERR_UNSUPPORTED, "repository \"%s\" has no storage classes",
							 store->location);
	return check_names(&name, 1, err) && bkc_host_check(err) &&
		store->ops->thaw(store, name, days, err);
}

bool
bkc_store_sweep(BkcStore *store, const char *prefix, BkcError *err)
{
	return check_prefix(prefix, err) &&
		bkc_host_check(err) &&
		store->ops->sweep(store, prefix, err);
}

bool
bkc_store_tidy(BkcStore *store, const char *prefix, uint64_t seconds, uint64_t *n, BkcError *err)
{
	*n = 0;
	return check_prefix(prefix, err) &&
		bkc_host_check(err) &&
		(store->ops->tidy == NULL || store->ops->tidy(store, prefix, seconds, n, err));
}

bool
bkc_store_describe(BkcStore *store, BkcStoreFindingEach each, void *arg, BkcError *err)
{
	return bkc_host_check(err) &&
		(store->ops->describe == NULL || store->ops->describe(store, each, arg, err)) &&
		bkc_store_tell_facts(store, each, arg, err);
}

bool
bkc_store_space(BkcStore *store, uint64_t *free_bytes, BkcError *err)
{
	*free_bytes = 0;
	if ((store->caps & BKC_CAP_SPACE) == 0)
		return bkc_error_set(err, BKC_ERR_UNSUPPORTED,
							 "free space of repository \"%s\" is not known", store->location);
	return store->ops->space(store, free_bytes, err);
}

/* ---- probe ---- */

#define PROBE_SIZE	32

typedef struct ProbeSearch
{
	const char *name;
	bool		found;
} ProbeSearch;

static bool
probe_each(void *arg, const char *name, uint64_t size, BkcError *err)
{
	ProbeSearch *search = arg;

	if (strcmp(name, search->name) == 0 && size == PROBE_SIZE)
		search->found = true;
	return true;
}

static bool
probe_write(BkcStore *store, const char *name, const uint8_t *data, BkcError *err)
{
	BkcWriter  *writer = NULL;
	bool		ok;

	ok = bkc_store_open_write(store, name, PROBE_SIZE, &writer, err) &&
		bkc_writer_write(writer, data, PROBE_SIZE, err) &&
		bkc_writer_commit(writer, err);
	bkc_writer_close(writer);
	return ok;
}

static bool
probe_read(BkcStore *store, const char *name, const uint8_t *data, BkcError *err)
{
	BkcReader  *reader = NULL;
	uint8_t		back[PROBE_SIZE + 1];
	size_t		got;
	bool		ok;

	ok = bkc_store_open_read(store, name, 0, UINT64_MAX, &reader, err) &&
		bkc_reader_read(reader, back, sizeof(back), &got, err);
	bkc_reader_close(reader);
	if (ok && (got != PROBE_SIZE || memcmp(back, data, PROBE_SIZE) != 0))
		return bkc_error_set(err, BKC_ERR_CORRUPT, "object \"%s\" reads back differently", name);
	return ok;
}

static bool
probe_list(BkcStore *store, const char *name, const uint8_t *data, BkcError *err)
{
	ProbeSearch search = {.name = name};

	if (!bkc_store_list(store, "probe/", true, probe_each, &search, err))
		return false;
	if (!search.found)
		return bkc_error_set(err, BKC_ERR_CORRUPT, "object \"%s\" is missing in the listing", name);
	return true;
}

static bool
probe_remove(BkcStore *store, const char *name, const uint8_t *data, BkcError *err)
{
	return bkc_store_remove(store, &name, 1, err);
}

static const struct
{
	const char *what;
	bool		(*run) (BkcStore *store, const char *name, const uint8_t *data, BkcError *err);
}			probe_steps[] = {
	{"write to", probe_write},
	{"read from", probe_read},
	{"list", probe_list},
	{"remove from", probe_remove},
};

#define LEFTOVERS_MAX	16

typedef struct Leftovers
{
	char		names[LEFTOVERS_MAX][BKC_NAME_MAX];
	size_t		n;
} Leftovers;

static bool
collect_leftover(void *arg, const char *name, uint64_t size, BkcError *err)
{
	Leftovers  *l = arg;

	if (l->n < LEFTOVERS_MAX && strlen(name) < BKC_NAME_MAX)
		memcpy(l->names[l->n++], name, strlen(name) + 1);
	return true;
}

/* A killed probe leaves an object or an unfinished write: each kill at most one. */
static bool
probe_clear(BkcStore *store, const char *prefix, BkcError *err)
{
	Leftovers	found = {.n = 0};
	const char *names[LEFTOVERS_MAX];

	if (!bkc_store_list(store, prefix, true, collect_leftover, &found, err))
		return false;
	for (size_t i = 0; i < found.n; i++)
		names[i] = found.names[i];
	return (found.n == 0 || bkc_store_remove(store, names, found.n, err)) &&
		bkc_store_sweep(store, prefix, err);
}

bool
bkc_store_probe(BkcStore *store, const char *who, BkcError *err)
{
	uint8_t		random[PROBE_SIZE];
	char		hex[2 * 8 + 1];
	char		prefix[BKC_NAME_MAX];
	char		name[BKC_NAME_MAX];
	const char *names[1];

	if (!bkc_random(random, sizeof(random), err))
		return false;
	bkc_hex_encode(random, 8, hex);
	if (snprintf(prefix, sizeof(prefix), "probe/%s/", who) >= (int) sizeof(prefix) ||
		snprintf(name, sizeof(name), "%s%s", prefix, hex) >= (int) sizeof(name) ||
		!bkc_name_valid(name))
		return bkc_error_set(err, BKC_ERR_INTERNAL, "\"%s\" cannot name a probe", who);
	if (!probe_clear(store, prefix, err))
		return bkc_error_context(err, "could not clear former probes in repository \"%s\"",
								 store->location);

	for (size_t i = 0; i < sizeof(probe_steps) / sizeof(probe_steps[0]); i++)
	{
		BkcError	ignored;

		if (probe_steps[i].run(store, name, random, err))
			continue;
		names[0] = name;
		if (i > 0)
			(void) bkc_store_remove(store, names, 1, &ignored);
		return bkc_error_context(err, "could not %s repository \"%s\"", probe_steps[i].what,
								 store->location);
	}
	return bkc_store_try_class(store, err);
}
