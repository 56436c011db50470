/*
 * walobj_get.c
 *		Reading whole WAL files (contract: walobj.h).
 */
#include "pipe/walobj.h"

#include <inttypes.h>
#include <string.h>

#include "base/file.h"
#include "base/host.h"
#include "pipe/walobj_reader.h"

/* More conflict objects of one file than anybody resolves by hand. */
#define CONFLICTS_MAX	1000

static bool
write_bytes(int fd, const char *path, const uint8_t *data, uint32_t len, BkcError *err)
{
	bool		ok;

	if (fd < 0)
		return true;
	bkc_host->wait_event(BKC_WAIT_FILE_WRITE);
	ok = bkc_file_write(fd, path, data, len, err);
	bkc_host->wait_event(BKC_WAIT_NONE);
	return ok;
}

bool
bkc_wal_read(BkcStore *store, const char *name, uint64_t max_size, int fd, const char *path,
			 BkcWalInfo *info, BkcError *err)
{
	BkcWalReader *r = NULL;
	const uint8_t *data;
	uint32_t	len;
	bool		ok;

	ok = bkc_walreader_new(&r, err) && bkc_walreader_open(r, store, name, info, err);
	if (ok && info->size > max_size)
		ok = bkc_error_set(err, BKC_ERR_CORRUPT, "object \"%s\" in repository \"%s\" has %" PRIu64 " bytes, more than the %" PRIu64 " that it can have",
						   name, store->location, info->size, max_size);
	while (ok)
	{
		ok = bkc_walreader_next(r, &data, &len, err);
		if (!ok || len == 0)
			break;
		ok = write_bytes(fd, path, data, len, err);
	}
	bkc_walreader_free(r);
	return ok;
}

/* ---- which object ---- */

typedef struct Find
{
	const char *file;
	char		plain[BKC_NAME_MAX];
	bool		have_plain;
	bool		past;			/* listed past all names that could count */
	BkcBuffer	hashes;			/* of conflict objects, BKC_WAL_HASH_DIGITS each */
} Find;

static bool
find_each(void *arg, const char *name, uint64_t size, BkcError *err)
{
	Find	   *find = arg;
	BkcWalName	parsed;
	int			cmp = strncmp(name, find->plain, strlen(find->plain));

	/* what ends a listing is an error, which bkc_wal_find() knows to be none */
	if (cmp > 0)
	{
		find->past = true;
		return bkc_error_set(err, BKC_ERR_INTERNAL, "end of listing");
	}
	if (cmp < 0 || !bkc_name_parse_wal(name, &parsed) || strcmp(parsed.file, find->file) != 0 ||
		parsed.type == BKC_WALNAME_CHUNK)
		return true;
	if (!parsed.conflict)
	{
		find->have_plain = true;
		return true;
	}
	if (find->hashes.len >= CONFLICTS_MAX * BKC_WAL_HASH_DIGITS)
		return bkc_error_set(err, BKC_ERR_CORRUPT,
							 "WAL file \"%s\" has more than %d conflict objects",
							 find->file, CONFLICTS_MAX);
	return bkc_buffer_append(&find->hashes, parsed.hash, BKC_WAL_HASH_DIGITS, err);
}

/* List the folder that the plain object stands in. */
static bool
list_objects(BkcStore *store, Find *find, BkcError *err)
{
	char		folder[BKC_NAME_MAX];
	size_t		len = (size_t) (strrchr(find->plain, '/') - find->plain) + 1;

	memcpy(folder, find->plain, len);
	folder[len] = '\0';
	return bkc_store_list(store, folder, false, find_each, find, err) || find->past;
}

/*
 * The conflict object that reaches furthest.  One that cannot be read is an
 * error: it may be the one that counts, and another would have other content.
 */
static bool
newest_conflict(BkcStore *store, uint64_t sysid, const Find *find, char name[BKC_NAME_MAX],
				BkcError *err)
{
	int64_t		newest = -1;

	for (size_t i = 0; i < find->hashes.len; i += BKC_WAL_HASH_DIGITS)
	{
		char		hash[BKC_WAL_HASH_DIGITS + 1];
		char		candidate[BKC_NAME_MAX];
		BkcWalInfo	info;

		memcpy(hash, find->hashes.data + i, BKC_WAL_HASH_DIGITS);
		hash[BKC_WAL_HASH_DIGITS] = '\0';
		if (!bkc_host_check(err) ||
			!bkc_name_wal_conflict(sysid, find->file, hash, candidate, err))
			return false;
		if (!bkc_wal_info(store, candidate, &info, err))
			return false;
		if (info.time > newest)
		{
			newest = info.time;
			memcpy(name, candidate, BKC_NAME_MAX);
		}
	}
	return true;
}

bool
bkc_wal_there(BkcStore *store, uint64_t sysid, const char *file, bool *there, BkcError *err)
{
	char		name[BKC_NAME_MAX];
	uint64_t	size;

	*there = false;
	if (!bkc_name_wal_file(sysid, file, NULL, name, err))
		return false;
	*there = bkc_store_stat(store, name, &size, err);
	return *there || err->code == BKC_ERR_NOT_FOUND;
}

bool
bkc_wal_find(BkcStore *store, uint64_t sysid, const char *file, char name[BKC_NAME_MAX],
			 BkcError *err)
{
	Find		find = {.file = file};
	bool		ok;

	name[0] = '\0';
	if (!bkc_name_wal_file(sysid, file, NULL, find.plain, err))
		return false;
	ok = list_objects(store, &find, err);
	if (ok && find.hashes.len > 0)
		ok = newest_conflict(store, sysid, &find, name, err);
	else if (ok && find.have_plain)
		memcpy(name, find.plain, BKC_NAME_MAX);
	else if (ok)
		ok = bkc_error_set(err, BKC_ERR_NOT_FOUND, "WAL file \"%s\" is not in repository \"%s\"",
						   file, store->location);
	bkc_buffer_free(&find.hashes);
	return ok;
}
