/*
 * owner.c
 *		Which data directory may write (contract: owner.h).
 */
#include "pipe/owner.h"

#include <string.h>

#include "base/fault.h"
#include "base/host.h"
#include "pipe/object.h"
#include "pipe/walobj.h"

/* ---- who has it ---- */

static bool
highest_each(void *arg, const char *name, uint64_t size, BkcError *err)
{
	uint32_t   *highest = arg;
	uint32_t	number;

	if (bkc_name_parse_owner(strrchr(name, '/') + 1, &number) && number > *highest)
		*highest = number;
	return true;
}

/* The document of that number; text is for the caller to free. */
static bool
read_owner(BkcStore *store, uint64_t sysid, uint32_t number, BkcBuffer *text, BkcOwnerDoc *doc,
		   BkcError *err)
{
	char		name[BKC_NAME_MAX];

	if (!bkc_name_owner(sysid, number, name, err) ||
		!bkc_document_get(store, name, BKC_KIND_OWNER, text, err) ||
		!bkc_ownerdoc_decode((const char *) text->data, text->len, name, doc, err))
		return false;
	if (doc->number != number || doc->system_identifier != sysid)
		return bkc_error_set(err, BKC_ERR_CORRUPT, "object \"%s\" is number %u of cluster %llu",
							 name, doc->number, (unsigned long long) doc->system_identifier);
	return true;
}

bool
bkc_owner_current(BkcStore *store, uint64_t sysid, BkcOwnerDoc *doc, bool *found, BkcError *err)
{
	BkcBuffer	text = {0};
	char		folder[BKC_NAME_MAX];
	uint32_t	highest = 0;
	bool		ok;

	*found = false;
	if (!bkc_name_owners(sysid, folder, err) ||
		!bkc_store_list(store, folder, false, highest_each, &highest, err))
		return false;
	if (highest == 0)
		return true;
	ok = read_owner(store, sysid, highest, &text, doc, err);
	bkc_buffer_free(&text);
	*found = ok || err->code == BKC_ERR_CORRUPT || err->code == BKC_ERR_UNSUPPORTED ||
		err->code == BKC_ERR_KEY;
	if (!ok)
	{
		memset(doc, 0, sizeof(*doc));
		doc->number = highest;
	}
	return ok;
}

/*
 * The number is taken: by us, when the answer to an earlier try was lost?  No
 * two claims have the same text: the time is in it.
 */
static bool
claimed_by_us(BkcStore *store, const BkcOwnerDoc *doc, const BkcBuffer *text, BkcError *err)
{
	BkcBuffer	other_text = {0};
	BkcOwnerDoc other;
	BkcError	second;
	bool		same;

	same = read_owner(store, doc->system_identifier, doc->number, &other_text, &other, &second) &&
		other_text.len == text->len && memcmp(other_text.data, text->data, text->len) == 0;
	bkc_buffer_free(&other_text);
	return same;
}

bool
bkc_owner_claim(BkcStore *store, const BkcOwnerDoc *doc, BkcError *err)
{
	BkcBuffer	text = {0};
	char		name[BKC_NAME_MAX];
	bool		ok;

	ok = bkc_name_owner(doc->system_identifier, doc->number, name, err) &&
		bkc_ownerdoc_encode(doc, &text, err) &&
		bkc_fault(BKC_FAULT_OWNER_CLAIM, err) &&
		bkc_document_put(store, name, BKC_KIND_OWNER, (const char *) text.data, text.len, err);
	if (!ok && err->code == BKC_ERR_EXISTS)
		ok = claimed_by_us(store, doc, &text, err);
	bkc_buffer_free(&text);
	return ok;
}

/* ---- is there WAL beyond a position? ---- */

typedef struct Beyond
{
	BkcStore   *store;
	uint32_t	timeline;
	uint64_t	lsn;
	uint32_t	segment_size;
	uint64_t	segno;			/* of lsn */
	char	   *found;			/* BKC_NAME_MAX bytes */

	/* the last chunks of their generations in the segment of lsn, as far as they begin before it */
	BkcBuffer	chunks;			/* BkcWalName */
	BkcBuffer	logs;			/* uint32_t: logs that have a folder */
} Beyond;

static bool
logs_each(void *arg, const char *name, uint64_t size, BkcError *err)
{
	Beyond	   *b = arg;
	size_t		len = strlen(name);
	uint32_t	log;
	char		segment[BKC_WAL_NAME_MAX];
	uint32_t	timeline;
	uint64_t	first;

	/* "<log>/": read as the log's first segment would be, because that is checked strictly */
	if (len < 9 || name[len - 1] != '/' || name[len - 10] != '/')
		return true;
	memcpy(segment, "00000001", 8);
	memcpy(segment + 8, name + len - 9, 8);
	memcpy(segment + 16, "00000000", 9);
	if (!bkc_wal_segment_parse(segment, b->segment_size, &timeline, &first))
		return true;
	log = (uint32_t) (first * b->segment_size >> 32);
	if (log < b->lsn >> 32)
		return true;
	return bkc_buffer_append(&b->logs, &log, sizeof(log), err);
}

/* Remember the chunk; of one generation only the last. */
static bool
note_chunk(Beyond *b, const BkcWalName *parsed, BkcError *err)
{
	BkcWalName *last;

	if (b->chunks.len > 0)
	{
		last = (BkcWalName *) (void *) (b->chunks.data + b->chunks.len) - 1;
		if (last->generation == parsed->generation)
		{
			*last = *parsed;
			return true;
		}
	}
	return bkc_buffer_append(&b->chunks, parsed, sizeof(*parsed), err);
}

static bool
beyond_each(void *arg, const char *name, uint64_t size, BkcError *err)
{
	Beyond	   *b = arg;
	BkcWalName	parsed;
	uint32_t	timeline;
	uint64_t	segno;

	if (b->found[0] != '\0' || !bkc_name_parse_wal(name, &parsed) ||
		(parsed.type != BKC_WALNAME_SEGMENT && parsed.type != BKC_WALNAME_CHUNK) ||
		parsed.timeline != b->timeline ||
		!bkc_wal_segment_parse(parsed.file, b->segment_size, &timeline, &segno) ||
		segno < b->segno)
		return true;
	if (parsed.type == BKC_WALNAME_CHUNK && segno == b->segno &&
		segno * b->segment_size + parsed.offset < b->lsn)
		return note_chunk(b, &parsed, err);
	memcpy(b->found, name, strlen(name) + 1);
	return true;
}

/* Does one of the chunks that begin before the position reach behind it? */
static bool
look_into_chunks(Beyond *b, uint64_t sysid, BkcError *err)
{
	const BkcWalName *chunk = (const BkcWalName *) (const void *) b->chunks.data;
	size_t		n = b->chunks.len / sizeof(*chunk);

	for (; n > 0 && b->found[0] == '\0'; n--, chunk++)
	{
		char		name[BKC_NAME_MAX];
		BkcWalInfo	info;

		if (!bkc_host_check(err) ||
			!bkc_name_wal_chunk(sysid, chunk->file, chunk->generation, chunk->offset, name, err))
			return false;
		if (bkc_wal_info(b->store, name, &info, err))
		{
			if (info.end_lsn > b->lsn)
				memcpy(b->found, name, strlen(name) + 1);
		}
		else if (err->code == BKC_ERR_CORRUPT)
		{
			/* nobody can restore with it either; it must not stop archiving for ever */
			bkc_log(BKC_LOG_WARNING, "repository \"%s\": %s; it is passed over",
					b->store->location, err->message);
		}
		else if (err->code != BKC_ERR_NOT_FOUND)
			return false;
	}
	return true;
}

/* The names first: most questions are answered by them. */
static bool
look_into_logs(Beyond *b, uint64_t sysid, BkcError *err)
{
	for (size_t at = 0; at < b->logs.len && b->found[0] == '\0'; at += sizeof(uint32_t))
	{
		char		folder[BKC_NAME_MAX];
		uint32_t	log;

		memcpy(&log, b->logs.data + at, sizeof(log));
		if (!bkc_name_wal_log(sysid, b->timeline, log, folder, err) ||
			!bkc_store_list(b->store, folder, true, beyond_each, b, err))
			return false;
	}
	return b->found[0] != '\0' || look_into_chunks(b, sysid, err);
}

bool
bkc_owner_wal_beyond(BkcStore *store, uint64_t sysid, uint32_t timeline, uint64_t lsn,
					 uint32_t segment_size, char found[BKC_NAME_MAX], BkcError *err)
{
	Beyond		b = {
		.store = store,
		.timeline = timeline,
		.lsn = lsn,
		.segment_size = segment_size,
		.found = found
	};
	char		folder[BKC_NAME_MAX];
	char		segment[BKC_WAL_NAME_MAX];
	bool		ok;

	found[0] = '\0';
	bkc_wal_segment_name(timeline, 0, segment_size, segment);
	if (segment[0] == '\0')
		return bkc_error_set(err, BKC_ERR_INVALID, "%u is not the size of a WAL segment",
							 segment_size);
	b.segno = lsn / segment_size;
	ok = bkc_name_wal_timeline(sysid, timeline, folder, err) &&
		bkc_store_list(store, folder, false, logs_each, &b, err) &&
		look_into_logs(&b, sysid, err);
	bkc_buffer_free(&b.chunks);
	bkc_buffer_free(&b.logs);
	return ok;
}
