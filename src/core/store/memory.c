/*
 * memory.c
 *		A store in memory, for tests: the contract in its plainest form.
 *
 * A name is looked up in one sorted array.  Objects are counted references,
 * so that a reader goes on after a removal as it does on a file system.
 */
#include "store/store.h"

#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/host.h"
#include "format/names.h"

typedef struct Object
{
	size_t		refs;
	char	   *name;
	BkcBuffer	data;
} Object;

typedef struct Bucket
{
	size_t		refs;
	Object	  **objects;		/* sorted by name */
	size_t		count;
	size_t		room;
} Bucket;

typedef struct MemoryStore
{
	BkcStore	base;
	Bucket	   *bucket;
} MemoryStore;

typedef struct MemoryWriter
{
	BkcWriter	base;
	MemoryStore *store;
	Object	   *object;
} MemoryWriter;

typedef struct MemoryReader
{
	BkcReader	base;
	Object	   *object;
	size_t		offset;
	size_t		end;
} MemoryReader;

static void
object_release(Object *object)
{
	if (object == NULL || --object->refs > 0)
		return;
	bkc_buffer_free(&object->data);
	free(object->name);
	free(object);
}

/* Where name is or would be; *found tells which. */
static size_t
bucket_find(const Bucket *bucket, const char *name, bool *found)
{
	size_t		low = 0;
	size_t		high = bucket->count;

	*found = false;
	while (low < high)
	{
		size_t		mid = low + (high - low) / 2;
		int			cmp = strcmp(bucket->objects[mid]->name, name);

		if (cmp == 0)
		{
			*found = true;
			return mid;
		}
		if (cmp < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

/* The object of that name, or NULL and BKC_ERR_NOT_FOUND. */
static Object *
get_object(BkcStore *store, const char *name, BkcError *err)
{
	Bucket	   *bucket = ((MemoryStore *) store)->bucket;
	bool		found;
	size_t		at = bucket_find(bucket, name, &found);

	if (found)
		return bucket->objects[at];
	bkc_error_set(err, BKC_ERR_NOT_FOUND, "object \"%s\" is not in repository \"%s\"",
				  name, store->location);
	return NULL;
}

/* ---- writing ---- */

static bool
memory_write(BkcWriter *writer, const void *data, size_t len, BkcError *err)
{
	return bkc_buffer_append(&((MemoryWriter *) writer)->object->data, data, len, err);
}

static bool
memory_commit(BkcWriter *writer, BkcError *err)
{
	MemoryWriter *w = (MemoryWriter *) writer;
	Bucket	   *bucket = w->store->bucket;
	bool		found;
	size_t		at = bucket_find(bucket, w->object->name, &found);

	if (found)
		return bkc_error_set(err, BKC_ERR_EXISTS,
							 "object \"%s\" exists already in repository \"%s\"",
							 w->object->name, w->store->base.location);
	if (bucket->count == bucket->room)
	{
		size_t		room = bucket->room == 0 ? 64 : bucket->room * 2;
		Object	  **objects = reallocarray(bucket->objects, room, sizeof(Object *));

		if (objects == NULL)
			return bkc_error_oom(err);
		bucket->objects = objects;
		bucket->room = room;
	}
	memmove(bucket->objects + at + 1, bucket->objects + at,
			(bucket->count - at) * sizeof(Object *));
	bucket->objects[at] = w->object;
	bucket->count++;
	w->object = NULL;
	return true;
}

static void
memory_write_close(BkcWriter *writer)
{
	object_release(((MemoryWriter *) writer)->object);
	free(writer);
}

static const BkcWriterOps memory_writer_ops = {
	.write = memory_write,
	.commit = memory_commit,
	.close = memory_write_close,
};

static bool
memory_open_write(BkcStore *store, const char *name, uint64_t expected_size,
				  BkcWriter **writer, BkcError *err)
{
	MemoryWriter *w = calloc(1, sizeof(*w));
	Object	   *object = calloc(1, sizeof(*object));
	char	   *copy = strdup(name);

	if (w == NULL || object == NULL || copy == NULL)
	{
		free(w);
		free(object);
		free(copy);
		return bkc_error_oom(err);
	}
	object->refs = 1;
	object->name = copy;
	w->base.ops = &memory_writer_ops;
	w->store = (MemoryStore *) store;
	w->object = object;
	*writer = &w->base;
	return true;
}

/* ---- reading ---- */

static bool
memory_read(BkcReader *reader, void *buf, size_t len, size_t *got, BkcError *err)
{
	MemoryReader *r = (MemoryReader *) reader;
	size_t		left = r->end - r->offset;

	*got = left < len ? left : len;
	if (*got > 0)
		memcpy(buf, r->object->data.data + r->offset, *got);
	r->offset += *got;
	return true;
}

static void
memory_read_close(BkcReader *reader)
{
	object_release(((MemoryReader *) reader)->object);
	free(reader);
}

static const BkcReaderOps memory_reader_ops = {
	.read = memory_read,
	.close = memory_read_close,
};

static bool
memory_open_read(BkcStore *store, const char *name, uint64_t offset, uint64_t length,
				 BkcReader **reader, BkcError *err)
{
	Object	   *object = get_object(store, name, err);
	MemoryReader *r;
	size_t		size;

	if (object == NULL)
		return false;
	r = calloc(1, sizeof(*r));
	if (r == NULL)
		return bkc_error_oom(err);
	size = object->data.len;
	object->refs++;
	r->base.ops = &memory_reader_ops;
	r->object = object;
	r->offset = offset < size ? (size_t) offset : size;
	r->end = length < size - r->offset ? r->offset + (size_t) length : size;
	*reader = &r->base;
	return true;
}

static bool
memory_stat(BkcStore *store, const char *name, uint64_t *size, BkcError *err)
{
	Object	   *object = get_object(store, name, err);

	if (object == NULL)
		return false;
	*size = object->data.len;
	return true;
}

/* ---- listing and removing ---- */

static bool
memory_list(BkcStore *store, const char *prefix, bool deep,
			bool (*each) (void *arg, const char *name, uint64_t size, BkcError *err),
			void *arg, BkcError *err)
{
	Bucket	   *bucket = ((MemoryStore *) store)->bucket;
	size_t		len = strlen(prefix);
	char		folder[BKC_NAME_MAX] = "";
	bool		found;

	for (size_t i = bucket_find(bucket, prefix, &found); i < bucket->count; i++)
	{
		const Object *object = bucket->objects[i];
		const char *slash;

		if (strncmp(object->name, prefix, len) != 0)
			break;
		if (!bkc_host_check(err))
			return false;
		slash = deep ? NULL : strchr(object->name + len, '/');
		if (slash == NULL)
		{
			if (!each(arg, object->name, object->data.len, err))
				return false;
			continue;
		}
		/* all objects of a folder stand together: it is told once */
		if (folder[0] != '\0' && strncmp(object->name, folder, strlen(folder)) == 0)
			continue;
		memcpy(folder, object->name, (size_t) (slash - object->name) + 1);
		folder[slash - object->name + 1] = '\0';
		if (!each(arg, folder, 0, err))
			return false;
	}
	return true;
}

static bool
memory_remove(BkcStore *store, const char *const *names, size_t n, BkcError *err)
{
	Bucket	   *bucket = ((MemoryStore *) store)->bucket;

	for (size_t i = 0; i < n; i++)
	{
		bool		found;
		size_t		at = bucket_find(bucket, names[i], &found);

		if (!found)
			continue;
		object_release(bucket->objects[at]);
		bucket->count--;
		memmove(bucket->objects + at, bucket->objects + at + 1,
				(bucket->count - at) * sizeof(Object *));
	}
	return true;
}

/* Unfinished writes live in their writers only. */
static bool
memory_sweep(BkcStore *store, const char *prefix, BkcError *err)
{
	return true;
}

static bool
memory_space(BkcStore *store, uint64_t *free_bytes, BkcError *err)
{
	return bkc_error_set(err, BKC_ERR_UNSUPPORTED, "memory has no free space to ask for");
}

/* ---- the store ---- */

static void
memory_close(BkcStore *store)
{
	MemoryStore *m = (MemoryStore *) store;

	if (--m->bucket->refs == 0)
	{
		for (size_t i = 0; i < m->bucket->count; i++)
			object_release(m->bucket->objects[i]);
		free(m->bucket->objects);
		free(m->bucket);
	}
	free(m);
}

static const BkcStoreOps memory_ops = {
	.open_write = memory_open_write,
	.open_read = memory_open_read,
	.stat = memory_stat,
	.list = memory_list,
	.remove = memory_remove,
	.sweep = memory_sweep,
	.space = memory_space,
	.close = memory_close,
};

/* A handle on bucket, which gains a reference on success. */
static bool
new_handle(Bucket *bucket, BkcStore **store, BkcError *err)
{
	MemoryStore *m = calloc(1, sizeof(*m));
	char	   *location = strdup("memory://");

	if (m == NULL || location == NULL)
	{
		free(m);
		free(location);
		return bkc_error_oom(err);
	}
	m->base.ops = &memory_ops;
	m->base.caps = BKC_CAP_CREATE_ONLY;
	m->base.location = location;
	m->bucket = bucket;
	bucket->refs++;
	*store = &m->base;
	return true;
}

bool
bkc_store_memory_new(BkcStore **store, BkcError *err)
{
	Bucket	   *bucket = calloc(1, sizeof(*bucket));

	*store = NULL;
	if (bucket == NULL)
		return bkc_error_oom(err);
	if (new_handle(bucket, store, err))
		return true;
	free(bucket);
	return false;
}

bool
bkc_store_memory_share(BkcStore *store, BkcStore **other, BkcError *err)
{
	*other = NULL;
	if (store->ops != &memory_ops)
		return bkc_error_set(err, BKC_ERR_INTERNAL, "not a store in memory");
	return new_handle(((MemoryStore *) store)->bucket, other, err);
}
