/*
 * list.c
 *		Listing objects in the byte order of their full names.
 *
 * The entries of one folder are sorted by the names they stand for: a folder
 * "a" by "a/", because all objects in it begin so.  So "a-b" and "a.b" come
 * before what is in "a", and "a0" after it, as they do in a store that knows
 * no folders.
 */
#include "store/file/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/host.h"
#include "format/names.h"

typedef struct Entry
{
	char	   *key;			/* name, with '/' when it is a folder */
	bool		folder;
	uint64_t	size;
} Entry;

typedef struct Entries
{
	Entry	   *items;
	size_t		count;
	size_t		room;
} Entries;

typedef struct Listing
{
	BkcFileStore *store;
	bool		deep;
	bool		(*each) (void *arg, const char *name, uint64_t size, BkcError *err);
	void	   *arg;
	char		name[BKC_NAME_MAX]; /* full name of what is being looked at */
} Listing;

static void
entries_free(Entries *entries)
{
	for (size_t i = 0; i < entries->count; i++)
		free(entries->items[i].key);
	free(entries->items);
}

static bool
entries_add(Entries *entries, const char *name, bool folder, uint64_t size, BkcError *err)
{
	size_t		len = strlen(name);
	Entry	   *entry;

	if (entries->count == entries->room)
	{
		size_t		room = entries->room == 0 ? 64 : entries->room * 2;
		Entry	   *items = reallocarray(entries->items, room, sizeof(Entry));

		if (items == NULL)
			return bkc_error_oom(err);
		entries->items = items;
		entries->room = room;
	}
	entry = &entries->items[entries->count];
	entry->key = malloc(len + 2);
	if (entry->key == NULL)
		return bkc_error_oom(err);
	memcpy(entry->key, name, len);
	entry->key[len] = folder ? '/' : '\0';
	entry->key[len + 1] = '\0';
	entry->folder = folder;
	entry->size = size;
	entries->count++;
	return true;
}

/* strcmp compares as unsigned char, which is the byte order wanted. */
static int
entry_compare(const void *a, const void *b)
{
	return strcmp(((const Entry *) a)->key, ((const Entry *) b)->key);
}

/*
 * Next entry that is an object or a folder of objects.  false at the end
 * (err->code is BKC_OK) or on an error.  What vanishes meanwhile is skipped.
 */
static bool
next_entry(Listing *l, DIR *d, const char **name, struct stat *st, BkcError *err)
{
	struct dirent *de;

	bkc_error_clear(err);
	for (;;)
	{
		errno = 0;
		de = readdir(d);
		if (de == NULL)
		{
			if (errno == 0)
				return false;
			if (errno == EINTR)
				continue;
			return bkc_file_error(l->store, "list", NULL, errno, err);
		}
		if (!bkc_file_entry_valid(de->d_name))
			continue;
		if (!bkc_host_check(err))
			return false;
		if (fstatat(dirfd(d), de->d_name, st, AT_SYMLINK_NOFOLLOW) != 0)
		{
			if (errno == ENOENT)
				continue;
			return bkc_file_error(l->store, "list", NULL, errno, err);
		}
		if (!S_ISREG(st->st_mode) && !S_ISDIR(st->st_mode))
			continue;
		*name = de->d_name;
		return true;
	}
}

/* Open a folder inside another.  NULL with err->code BKC_OK when it has vanished. */
static DIR *
open_folder(Listing *l, int parent, const char *name, BkcError *err)
{
	int			fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	DIR		   *d;

	bkc_error_clear(err);
	if (fd < 0)
	{
		if (errno != ENOENT && errno != ENOTDIR && errno != ELOOP)
			bkc_file_error(l->store, "list", NULL, errno, err);
		return NULL;
	}
	d = fdopendir(fd);
	if (d == NULL)
	{
		bkc_file_error(l->store, "list", NULL, errno, err);
		close(fd);
	}
	return d;
}

/* Is there any object in the folder?  Folders of unfinished writes only do not count. */
static bool
holds_object(Listing *l, int parent, const char *name, unsigned depth, bool *holds, BkcError *err)
{
	DIR		   *d = open_folder(l, parent, name, err);
	const char *entry;
	struct stat st;

	*holds = false;
	if (d == NULL)
		return err->code == BKC_OK;
	while (!*holds && next_entry(l, d, &entry, &st, err))
	{
		if (S_ISREG(st.st_mode))
			*holds = true;
		else if (depth < BKC_NAME_MAX / 2 &&
				 !holds_object(l, dirfd(d), entry, depth + 1, holds, err))
			break;
	}
	closedir(d);
	return err->code == BKC_OK;
}

static bool
read_entries(Listing *l, DIR *d, Entries *entries, BkcError *err)
{
	const char *name;
	struct stat st;

	while (next_entry(l, d, &name, &st, err))
	{
		if (!entries_add(entries, name, S_ISDIR(st.st_mode), (uint64_t) st.st_size, err))
			return false;
	}
	return err->code == BKC_OK;
}

static bool list_folder(Listing *l, DIR *d, size_t len, BkcError *err);

/* One entry of the folder whose prefix is the first len bytes of l->name. */
static bool
list_entry(Listing *l, DIR *d, const Entry *entry, size_t len, BkcError *err)
{
	size_t		key_len = strlen(entry->key);
	char		child[BKC_NAME_MAX];
	bool		holds;
	bool		ok;
	DIR		   *sub;

	/* a longer name is no object's */
	if (len + key_len >= sizeof(l->name))
		return true;
	memcpy(l->name + len, entry->key, key_len + 1);
	if (!entry->folder)
		return l->each(l->arg, l->name, entry->size, err);

	memcpy(child, entry->key, key_len - 1);
	child[key_len - 1] = '\0';
	if (!l->deep)
	{
		if (!holds_object(l, dirfd(d), child, 0, &holds, err))
			return false;
		return !holds || l->each(l->arg, l->name, 0, err);
	}
	sub = open_folder(l, dirfd(d), child, err);
	if (sub == NULL)
		return err->code == BKC_OK;
	ok = list_folder(l, sub, len + key_len, err);
	closedir(sub);
	return ok;
}

static bool
list_folder(Listing *l, DIR *d, size_t len, BkcError *err)
{
	Entries		entries = {0};
	bool		ok = read_entries(l, d, &entries, err);

	if (ok && entries.count > 1)
		qsort(entries.items, entries.count, sizeof(Entry), entry_compare);
	for (size_t i = 0; ok && i < entries.count; i++)
		ok = bkc_host_check(err) && list_entry(l, d, &entries.items[i], len, err);
	entries_free(&entries);
	return ok;
}

bool
bkc_file_list(BkcStore *store, const char *prefix, bool deep,
			  bool (*each) (void *arg, const char *name, uint64_t size, BkcError *err),
			  void *arg, BkcError *err)
{
	Listing		l = {.store = (BkcFileStore *) store, .deep = deep, .each = each, .arg = arg};
	BkcFileDir	dir = BKC_FILE_DIR_INIT;
	const char *last;
	size_t		len = strlen(prefix);
	DIR		   *d;
	bool		ok;

	if (!bkc_file_dir_open(l.store, "list", prefix, &dir, &last, err))
	{
		if (err->code != BKC_ERR_NOT_FOUND)
			return false;
		bkc_error_clear(err);
		return true;
	}
	memcpy(l.name, prefix, len + 1);
	d = open_folder(&l, dir.dir, ".", err);
	bkc_file_dir_close(&dir);
	if (d == NULL)
		return err->code == BKC_OK;
	ok = list_folder(&l, d, len, err);
	closedir(d);
	return ok;
}
