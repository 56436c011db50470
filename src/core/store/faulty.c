/*
 * faulty.c
 *		A store that passes everything on to another and fails one call of
 *		choice, for tests that try every call in turn.
 *
 * The chosen call fails before anything is done, as a request does that never
 * reached the repository.
 */
#include "store/store.h"

#include <stdlib.h>
#include <string.h>

typedef struct FaultyStore
{
	BkcStore	base;
	BkcStore   *inner;
	uint64_t	fail_at;
	BkcErrorCode code;
	uint64_t	own_calls;
	uint64_t   *calls;			/* the caller's counter, or own_calls */
} FaultyStore;

typedef struct FaultyWriter
{
	BkcWriter	base;
	FaultyStore *store;
	BkcWriter  *inner;
} FaultyWriter;

typedef struct FaultyReader
{
	BkcReader	base;
	FaultyStore *store;
	BkcReader  *inner;
} FaultyReader;

/* Count a call; false when it is the one that has to fail. */
static bool
pass(FaultyStore *store, const char *call, BkcError *err)
{
	++*store->calls;
	if (*store->calls != store->fail_at)
		return true;
	return bkc_error_set(err, store->code, "call %llu (%s) fails on purpose",
						 (unsigned long long) *store->calls, call);
}

static bool
faulty_write(BkcWriter *writer, const void *data, size_t len, BkcError *err)
{
	FaultyWriter *w = (FaultyWriter *) writer;

	return pass(w->store, "write", err) && bkc_writer_write(w->inner, data, len, err);
}

/* No call of its own: what fails then is the commit. */
static bool
faulty_commit_begin(BkcWriter *writer)
{
	return bkc_writer_commit_begin(((FaultyWriter *) writer)->inner);
}

static bool
faulty_commit(BkcWriter *writer, BkcError *err)
{
	FaultyWriter *w = (FaultyWriter *) writer;

	return pass(w->store, "commit", err) && bkc_writer_commit(w->inner, err);
}

static void
faulty_write_close(BkcWriter *writer)
{
	bkc_writer_close(((FaultyWriter *) writer)->inner);
	free(writer);
}

static const BkcWriterOps faulty_writer_ops = {
	.write = faulty_write,
	.commit_begin = faulty_commit_begin,
	.commit = faulty_commit,
	.close = faulty_write_close,
};

static bool
faulty_open_write(BkcStore *store, const char *name, uint64_t expected_size,
				  BkcWriter **writer, BkcError *err)
{
	FaultyStore *f = (FaultyStore *) store;
	FaultyWriter *w;

	if (!pass(f, "open_write", err) || !bkc_store_use_class(f->inner, store->class, err))
		return false;
	w = calloc(1, sizeof(*w));
	if (w == NULL)
		return bkc_error_oom(err);
	w->base.ops = &faulty_writer_ops;
	w->store = f;
	if (!bkc_store_open_write(f->inner, name, expected_size, &w->inner, err))
	{
		free(w);
		return false;
	}
	*writer = &w->base;
	return true;
}

static bool
faulty_read(BkcReader *reader, void *buf, size_t len, size_t *got, BkcError *err)
{
	FaultyReader *r = (FaultyReader *) reader;

	return pass(r->store, "read", err) && bkc_reader_read(r->inner, buf, len, got, err);
}

static void
faulty_read_close(BkcReader *reader)
{
	bkc_reader_close(((FaultyReader *) reader)->inner);
	free(reader);
}

static const BkcReaderOps faulty_reader_ops = {
	.read = faulty_read,
	.close = faulty_read_close,
};

static bool
faulty_open_read(BkcStore *store, const char *name, uint64_t offset, uint64_t length,
				 BkcReader **reader, BkcError *err)
{
	FaultyStore *f = (FaultyStore *) store;
	FaultyReader *r;

	if (!pass(f, "open_read", err))
		return false;
	r = calloc(1, sizeof(*r));
	if (r == NULL)
		return bkc_error_oom(err);
	r->base.ops = &faulty_reader_ops;
	r->store = f;
	if (!bkc_store_open_read(f->inner, name, offset, length, &r->inner, err))
	{
		free(r);
		return false;
	}
	*reader = &r->base;
	return true;
}

static bool
faulty_stat(BkcStore *store, const char *name, uint64_t *size, BkcError *err)
{
	FaultyStore *f = (FaultyStore *) store;

	return pass(f, "stat", err) && bkc_store_stat(f->inner, name, size, err);
}

static bool
faulty_sync(BkcStore *store, const char *name, BkcError *err)
{
	FaultyStore *f = (FaultyStore *) store;

	return pass(f, "sync", err) && bkc_store_sync(f->inner, name, err);
}

static bool
faulty_list(BkcStore *store, const char *prefix, bool deep,
			bool (*each) (void *arg, const char *name, uint64_t size, BkcError *err),
			void *arg, BkcError *err)
{
	FaultyStore *f = (FaultyStore *) store;

	return pass(f, "list", err) && bkc_store_list(f->inner, prefix, deep, each, arg, err);
}

static bool
faulty_remove(BkcStore *store, const char *const *names, size_t n, BkcError *err)
{
	FaultyStore *f = (FaultyStore *) store;

	return pass(f, "remove", err) && bkc_store_remove(f->inner, names, n, err);
}

static bool
faulty_remove_versions(BkcStore *store, const char *const *names, size_t n, BkcError *err)
{
	FaultyStore *f = (FaultyStore *) store;

	return pass(f, "remove_versions", err) &&
		bkc_store_remove_versions(f->inner, names, n, err);
}

static bool
faulty_remove_former(BkcStore *store, const char *prefix, BkcError *err)
{
	FaultyStore *f = (FaultyStore *) store;

	return pass(f, "remove_former", err) && bkc_store_remove_former(f->inner, prefix, err);
}

static bool
faulty_locked(BkcStore *store, const char *name, int64_t *until, BkcError *err)
{
	FaultyStore *f = (FaultyStore *) store;

	return pass(f, "locked", err) && bkc_store_locked(f->inner, name, until, err);
}

static bool
faulty_hold(BkcStore *store, const char *name, bool on, BkcError *err)
{
	FaultyStore *f = (FaultyStore *) store;

	return pass(f, "hold", err) && bkc_store_hold(f->inner, name, on, err);
}

static bool
faulty_try_class(BkcStore *store, BkcError *err)
{
	FaultyStore *f = (FaultyStore *) store;

	return pass(f, "try_class", err) && bkc_store_use_class(f->inner, store->class, err) &&
		bkc_store_try_class(f->inner, err);
}

static bool
faulty_archived(BkcStore *store, const char *prefix, BkcArchiveEach each, void *arg, BkcError *err)
{
	FaultyStore *f = (FaultyStore *) store;

	return pass(f, "archived", err) && bkc_store_archived(f->inner, prefix, each, arg, err);
}

static bool
faulty_thaw(BkcStore *store, const char *name, int days, BkcError *err)
{
	FaultyStore *f = (FaultyStore *) store;

	return pass(f, "thaw", err) && bkc_store_thaw(f->inner, name, days, err);
}

static bool
faulty_sweep(BkcStore *store, const char *prefix, BkcError *err)
{
	FaultyStore *f = (FaultyStore *) store;

	return pass(f, "sweep", err) && bkc_store_sweep(f->inner, prefix, err);
}

static bool
faulty_tidy(BkcStore *store, const char *prefix, uint64_t seconds, uint64_t *n, BkcError *err)
{
	FaultyStore *f = (FaultyStore *) store;

	return pass(f, "tidy", err) && bkc_store_tidy(f->inner, prefix, seconds, n, err);
}

static bool
faulty_describe(BkcStore *store, BkcStoreFindingEach each, void *arg, BkcError *err)
{
	FaultyStore *f = (FaultyStore *) store;

	return pass(f, "describe", err) && bkc_store_describe(f->inner, each, arg, err);
}

static bool
faulty_space(BkcStore *store, uint64_t *free_bytes, BkcError *err)
{
	FaultyStore *f = (FaultyStore *) store;

	return pass(f, "space", err) && bkc_store_space(f->inner, free_bytes, err);
}

static void
faulty_close(BkcStore *store)
{
	bkc_store_close(((FaultyStore *) store)->inner);
	free(store);
}

static const BkcStoreOps faulty_ops = {
	.open_write = faulty_open_write,
	.open_read = faulty_open_read,
	.stat = faulty_stat,
	.sync = faulty_sync,
	.list = faulty_list,
	.remove = faulty_remove,
	.remove_versions = faulty_remove_versions,
	.remove_former = faulty_remove_former,
	.locked = faulty_locked,
	.hold = faulty_hold,
	.try_class = faulty_try_class,
	.archived = faulty_archived,
	.thaw = faulty_thaw,
	.sweep = faulty_sweep,
	.tidy = faulty_tidy,
	.describe = faulty_describe,
	.space = faulty_space,
	.close = faulty_close,
};

bool
bkc_store_faulty_new(BkcStore *inner, uint64_t fail_at, BkcErrorCode code,
					 uint64_t *calls, BkcStore **store, BkcError *err)
{
	FaultyStore *f = calloc(1, sizeof(*f));
	char	   *location = strdup(inner->location);

	*store = NULL;
	if (f == NULL || location == NULL)
	{
		free(f);
		free(location);
		bkc_store_close(inner);
		return bkc_error_oom(err);
	}
	f->base.ops = &faulty_ops;
	f->base.caps = inner->caps;
	f->base.location = location;
	f->inner = inner;
	f->fail_at = fail_at;
	f->code = code;
	f->calls = calls != NULL ? calls : &f->own_calls;
	*f->calls = 0;
	*store = &f->base;
	return true;
}
