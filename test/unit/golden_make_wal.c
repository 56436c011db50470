/*
 * golden_make_wal.c
 *		Writes the WAL of the golden repository with the core.
 */
#include "golden_make.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "format/names.h"
#include "format/walinfo.h"
#include "pipe/walobj.h"

/* Write an object's content to where it lies in its file. */
static bool
write_content(int fd, const char *path, const GoldenWal *object, BkcError *err)
{
	uint8_t    *content = golden_wal_content(object);
	bool		ok;

	if (content == NULL)
		return bkc_error_oom(err);
	ok = lseek(fd, (off_t) object->offset, SEEK_SET) >= 0 ?
		bkc_file_write(fd, path, content, object->size, err) :
		bkc_error_os(err, errno, "could not seek in file \"%s\"", path);
	free(content);
	return ok;
}

/* What golden_wal.c says; the rest must come out of the core by itself. */
static bool
read_info(const GoldenWal *object, const char *name, BkcWalInfo *info, BkcError *err)
{
	return bkc_walinfo_decode(object->json, strlen(object->json), name, false, info, err);
}

static bool
put_object(BkcStore *store, const GoldenWal *object, BkcError *err)
{
	BkcWalWriter *writer = NULL;
	BkcWalOutcome outcome = BKC_WAL_STORED;
	char		path[] = "/tmp/bkc-golden-XXXXXX";
	char		name[BKC_NAME_MAX];
	BkcWalInfo	info;
	uint64_t	stored;
	bool		ok;
	int			fd = mkstemp(path);

	if (fd < 0)
		return bkc_error_os(err, errno, "could not create file \"%s\"", path);
	snprintf(name, sizeof(name), GOLDEN_SYSID_TEXT "/wal/%s", object->name);
	ok = write_content(fd, path, object, err) && read_info(object, name, &info, err) &&
		bkc_walwriter_new(store, GOLDEN_SYSID, (BkcCodec) object->codec, 9, &writer, err);
	if (ok && object->generation != 0)
		ok = bkc_walwriter_chunk(writer, info.file, GOLDEN_MIB, object->generation,
								 (uint32_t) object->offset, (uint32_t) object->size, fd, path,
								 info.time, &stored, err);
	else if (ok)
	{
		BkcWalFile	file = {
			.file = info.file,
			.path = path,
			.segment_size = GOLDEN_MIB,
			.time = info.time
		};

		ok = info.reason[0] != '\0' ?
			bkc_walwriter_resolve(writer, &file, info.reason, info.by, err) :
			bkc_walwriter_put(writer, &file, &outcome, &stored, err);
	}
	bkc_walwriter_close(&writer);
	close(fd);
	unlink(path);
	if (ok && outcome != BKC_WAL_STORED)
		return bkc_error_set(err, BKC_ERR_INTERNAL, "object \"%s\" was there already", name);
	return ok;
}

bool
golden_make_wal(BkcStore *store, BkcError *err)
{
	size_t		i;

	for (i = 0; i < golden_nwal; i++)
	{
		if (!put_object(store, &golden_wal[i], err))
			return false;
	}
	return true;
}
