/*
 * walobj_reader.c
 *		Reading WAL objects (contracts: walobj_reader.h; bkc_wal_info() in walobj.h).
 */
#include "pipe/walobj_reader.h"

#include <stdlib.h>
#include <string.h>

#include "base/host.h"
#include "pipe/codec.h"

struct BkcWalReader
{
	BkcObjectReader *object;	/* NULL: none is open */
	BkcDecompressor *decompressor;
	BkcSha256  *sha;
	uint8_t    *plain;			/* BKC_FRAME_PLAIN_MAX bytes */
	char		name[BKC_NAME_MAX];
	uint64_t	size;			/* as the info frame says */
	uint8_t		sha256[BKC_SHA256_SIZE];	/* likewise */
	uint64_t	got;			/* plain bytes so far */
};

/* Open an object and read its info frame; max as in bkc_object_open_head(). */
static bool
open_object(BkcStore *store, const char *name, uint64_t max, BkcObjectReader **object,
			BkcWalInfo *info, BkcError *err)
{
	BkcWalName	parsed;
	BkcFrame	frame;
	bool		end;

	*object = NULL;
	if (!bkc_name_parse_wal(name, &parsed))
		return bkc_error_set(err, BKC_ERR_INVALID, "\"%s\" is not the name of a WAL object", name);
	if (!bkc_object_open_head(store, name, parsed.type == BKC_WALNAME_CHUNK ?
							  BKC_KIND_WAL_CHUNK : BKC_KIND_WAL, max, object, err))
		return false;
	if (!bkc_object_next(*object, &frame, 0, &end, err))
		goto fail;

	/* the info is never empty, so a data frame must follow */
	if (frame.type != BKC_FRAME_INFO || (frame.flags & BKC_FRAME_LAST) ||
		!(frame.flags & BKC_FRAME_STORED) || frame.len > BKC_WAL_INFO_SIZE)
	{
		bkc_error_set(err, BKC_ERR_CORRUPT,
					  "object \"%s\" does not begin with what it holds", name);
		goto fail;
	}
	if (bkc_walinfo_decode((const char *) frame.data, frame.len, name,
						   bkc_object_envelope(*object)->cipher != BKC_CIPHER_NONE, info, err))
		return true;

fail:
	bkc_object_reader_close(*object);
	*object = NULL;
	return false;
}

bool
bkc_wal_info(BkcStore *store, const char *name, BkcWalInfo *info, BkcError *err)
{
	BkcObjectReader *object;

	if (!open_object(store, name, BKC_WAL_HEAD_SIZE, &object, info, err))
		return false;
	bkc_object_reader_close(object);
	return true;
}

bool
bkc_walreader_new(BkcWalReader **r, BkcError *err)
{
	BkcWalReader *new = calloc(1, sizeof(*new));

	*r = NULL;
	if (new == NULL)
		return bkc_error_oom(err);
	new->plain = malloc(BKC_FRAME_PLAIN_MAX);
	if (new->plain == NULL)
		bkc_error_oom(err);
	else if (bkc_decompressor_new(&new->decompressor, err) &&
			 (new->sha = bkc_sha256_new(err)) != NULL)
	{
		*r = new;
		return true;
	}
	bkc_walreader_free(new);
	return false;
}

static void
forget_object(BkcWalReader *r)
{
	bkc_object_reader_close(r->object);
	r->object = NULL;
}

bool
bkc_walreader_open(BkcWalReader *r, BkcStore *store, const char *name, BkcWalInfo *info,
				   BkcError *err)
{
	forget_object(r);
	if (!open_object(store, name, UINT64_MAX, &r->object, info, err))
		return false;
	memcpy(r->name, name, strlen(name) + 1);
	r->size = info->size;
	memcpy(r->sha256, info->sha256, sizeof(r->sha256));
	r->got = 0;
	return bkc_sha256_begin(r->sha, err);
}

/* All frames were read: are they what the info frame says? */
static bool
check_whole(BkcWalReader *r, BkcError *err)
{
	uint8_t		sha256[BKC_SHA256_SIZE];

	if (r->got != r->size)
		return bkc_error_set(err, BKC_ERR_CORRUPT, "object \"%s\" holds %llu bytes instead of %llu",
							 r->name, (unsigned long long) r->got, (unsigned long long) r->size);
	if (!bkc_sha256_end(r->sha, sha256, err))
		return false;
	if (memcmp(sha256, r->sha256, sizeof(sha256)) != 0)
		return bkc_error_set(err, BKC_ERR_CORRUPT,
							 "content of object \"%s\" does not have the SHA-256 it should have",
							 r->name);
	return true;
}

bool
bkc_walreader_next(BkcWalReader *r, const uint8_t **data, uint32_t *len, BkcError *err)
{
	BkcFrame	frame;
	bool		end;

	*len = 0;
	if (!bkc_host_check(err) || !bkc_object_next(r->object, &frame, 0, &end, err))
		return false;
	if (end)
		return check_whole(r, err);
	if (frame.type != BKC_FRAME_DATA)
		return bkc_error_set(err, BKC_ERR_CORRUPT, "object \"%s\" has a frame of type %u",
							 r->name, (unsigned) frame.type);
	if (frame.plain_len > r->size - r->got)
		return bkc_error_set(err, BKC_ERR_CORRUPT, "object \"%s\" holds more than its %llu bytes",
							 r->name, (unsigned long long) r->size);
	*data = frame.data;
	if (!(frame.flags & BKC_FRAME_STORED))
	{
		if (!bkc_decompressor_run(r->decompressor,
								  (BkcCodec) bkc_object_envelope(r->object)->codec,
								  frame.data, frame.len, r->plain, frame.plain_len, err))
			return bkc_error_context(err, "object \"%s\"", r->name);
		*data = r->plain;
	}
	if (!bkc_sha256_update(r->sha, *data, frame.plain_len, err))
		return false;
	r->got += frame.plain_len;
	*len = frame.plain_len;
	return true;
}

void
bkc_walreader_free(BkcWalReader *r)
{
	if (r == NULL)
		return;
	forget_object(r);
	bkc_decompressor_free(r->decompressor);
	bkc_sha256_free(r->sha);
	free(r->plain);
	free(r);
}
