/*
 * walobj_join.c
 *		The content of an open segment, joined from its chunks (contracts:
 *		walobj_chunks.h; bkc_wal_chunks_read() in walobj.h).
 *
 * What an older generation has beyond the newest may be WAL that a crash left
 * behind unfinished and that was written anew, so it counts only when everything before
 * it is the same: then the SHA-256 of both up to that point is.  So it follows that
 * what is joined is always the beginning of one generation's row, and only one row is
 * read at a time.
 *
 * A chunk turns out to be damaged only after some of it was written.  Therefore bytes
 * have places in the file, and what counts is how far good chunks go.
 */
#include "pipe/walobj_chunks.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/host.h"
#include "pipe/walobj_reader.h"

#define ZEROS_SIZE		(64 * 1024)

/* Reading a row once. */
typedef struct Pass
{
	uint64_t	prefix;			/* hash the bytes before this offset ... */
	const uint8_t *expected;	/* ... which must give this, NULL: no matter */
	uint8_t		sha256[BKC_SHA256_SIZE];	/* of them, once it was reached */
	bool		differs;		/* they are others: given up */
	uint64_t	limit;			/* write the bytes from prefix up to this offset */
	uint64_t	pos;			/* reached by good chunks */
	int64_t		time;			/* until when they reach */
} Pass;

typedef struct Join
{
	BkcChunks  *chunks;
	BkcWalReader *reader;
	BkcSha256  *sha;			/* of a pass's prefix */
	int			fd;
	const char *path;
	uint64_t	base;			/* where the segment begins in the file */
	uint64_t	limit;
	unsigned	wanted;
	BkcChunkRow row;			/* whose beginning is what we have */
	uint64_t	end;			/* how far that goes */
	uint64_t	claim;			/* how far it says that it goes */
	bool		broken;			/* the newest row is not all there */
	int64_t		time;
	bool		have_sha256;	/* of it */
	uint8_t		sha256[BKC_SHA256_SIZE];
} Join;

/* All of the bytes; with fd = -1 nothing. */
static bool
write_at(int fd, const char *path, uint64_t at, const uint8_t *data, size_t len, BkcError *err)
{
	while (fd >= 0 && len > 0)
	{
		ssize_t		n = pwrite(fd, data, len, (off_t) at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return bkc_error_os(err, n < 0 ? errno : ENOSPC, "could not write file \"%s\"", path);
		data += n;
		at += (uint64_t) n;
		len -= (size_t) n;
	}
	return true;
}

/* Bytes that follow those before in the row. */
static bool
pass_bytes(Join *join, Pass *pass, uint64_t pos, const uint8_t *data, size_t len, BkcError *err)
{
	if (pos < pass->prefix)
	{
		size_t		n = len < pass->prefix - pos ? len : (size_t) (pass->prefix - pos);

		if (!bkc_sha256_update(join->sha, data, n, err))
			return false;
		pos += n;
		data += n;
		len -= n;
		if (pos == pass->prefix)
		{
			if (!bkc_sha256_end(join->sha, pass->sha256, err))
				return false;
			pass->differs = pass->expected != NULL &&
				memcmp(pass->sha256, pass->expected, BKC_SHA256_SIZE) != 0;
		}
	}
	if (pass->differs || pos >= pass->limit)
		return true;
	if (len > pass->limit - pos)
		len = (size_t) (pass->limit - pos);
	return write_at(join->fd, join->path, join->base + pos, data, len, err);
}

/* All of a chunk, from the position that was reached. */
static bool
read_chunk(Join *join, Pass *pass, size_t i, const char *name, BkcError *err)
{
	uint64_t	pos = join->chunks->items[i].offset;
	BkcWalInfo	info;
	const uint8_t *data;
	uint32_t	len;

	if (!bkc_walreader_open(join->reader, join->chunks->store, name, &info, err) ||
		!bkc_chunks_check(join->chunks, name, &info, err))
		return false;
	if (pos + info.size <= pass->pos)
		return true;
	for (;;)
	{
		size_t		skip;

		if (!bkc_walreader_next(join->reader, &data, &len, err))
			return false;
		if (len == 0)
			break;
		skip = pos >= pass->pos ? 0 :
			len < pass->pos - pos ? len : (size_t) (pass->pos - pos);
		if (skip < len &&
			!pass_bytes(join, pass, pos + skip, data + skip, len - skip, err))
			return false;
		if (pass->differs)
			return true;
		pos += len;
	}
	pass->pos = pos;
	if (info.time > pass->time)
		pass->time = info.time;
	return true;
}

/* Read a row as far as it is of use. */
static bool
read_row(Join *join, const BkcChunkRow *row, Pass *pass, BkcError *err)
{
	BkcChunks  *chunks = join->chunks;
	uint64_t	stop = pass->limit > pass->prefix ? pass->limit : pass->prefix;

	if (!bkc_sha256_begin(join->sha, err))
		return false;
	for (size_t i = row->first; i < row->first + row->n; i++)
	{
		char		name[BKC_NAME_MAX];

		if (chunks->items[i].offset > pass->pos || pass->pos >= stop)
			break;
		if (!bkc_host_check(err) || !bkc_chunks_name(chunks, i, name, err))
			return false;
		if (!read_chunk(join, pass, i, name, err))
			return bkc_chunks_passed(chunks, name, err);
		if (pass->differs)
			break;
	}
	return true;
}

/* The hash of what we have, for comparing others with it. */
static bool
hash_joined(Join *join, BkcError *err)
{
	Pass		pass = {.prefix = join->end};

	if (join->have_sha256 || join->end == 0)
		return true;
	if (!read_row(join, &join->row, &pass, err))
		return false;
	if (pass.pos < join->end)
		return bkc_error_set(err, BKC_ERR_UNAVAILABLE,
							 "chunks of segment \"%s\" could be read once, but not twice",
							 join->chunks->segment);
	memcpy(join->sha256, pass.sha256, sizeof(join->sha256));
	join->have_sha256 = true;
	return true;
}

/* How far does the row of what we have say that it goes? */
static bool
claim_row(Join *join, BkcError *err)
{
	uint64_t	claim;

	if ((join->wanted & BKC_JOIN_CLAIM) == 0)
		return true;
	if (!bkc_chunks_claim(join->chunks, &join->row, join->end, &claim, err))
		return false;
	if (claim > join->claim)
		join->claim = claim;
	return true;
}

/* Lengthen what we have by an older row, if that agrees. */
static bool
join_older(Join *join, const BkcChunkRow *row, BkcError *err)
{
	Pass		pass = {.expected = join->sha256, .limit = join->limit};
	bool		longer;

	if (!bkc_chunks_longer(join->chunks, row, join->end, &longer, err))
		return false;
	if (!longer)
		return true;
	if (!hash_joined(join, err))
		return false;
	pass.prefix = join->end;
	if (!read_row(join, row, &pass, err))
		return false;
	if (pass.differs || pass.pos <= join->end)
		return true;
	join->row = *row;
	join->end = pass.pos;
	join->have_sha256 = false;
	if (pass.time > join->time)
		join->time = pass.time;
	return claim_row(join, err);
}

static bool
join_rows(Join *join, BkcError *err)
{
	Pass		pass = {.limit = join->limit};

	if (!bkc_chunks_newest(join->chunks, join->chunks->n, &join->row))
		return true;
	if (!read_row(join, &join->row, &pass, err))
		return false;
	join->end = pass.pos;
	join->time = pass.time;
	if (!claim_row(join, err))
		return false;
	join->broken = join->claim > join->end;
	for (BkcChunkRow row = join->row;
		 join->end < join->limit && bkc_chunks_newest(join->chunks, row.first, &row);)
	{
		if (!join_older(join, &row, err))
			return false;
	}

	/* nobody has compared what an older row has in the place of what the newest one lacks */
	if (join->broken && join->claim <= join->end)
		join->claim = join->end + 1;
	return true;
}

static bool
tell_joined(Join *join, BkcChunksJoined *joined, BkcError *err)
{
	if (join->end > join->limit)
		join->end = join->limit;
	joined->end = join->end;
	joined->time = join->time;
	joined->claim = join->claim;
	if ((join->wanted & BKC_JOIN_SHA256) == 0)
		return true;
	if (!hash_joined(join, err))
		return false;
	memcpy(joined->sha256, join->sha256, sizeof(joined->sha256));
	return true;
}

bool
bkc_chunks_join(BkcChunks *chunks, uint64_t limit, int fd, const char *path, uint64_t base,
				unsigned wanted, BkcChunksJoined *joined, BkcError *err)
{
	Join		join = {
		.chunks = chunks,
		.fd = fd,
		.path = path,
		.base = base,
		.limit = limit,
		.wanted = wanted
	};
	bool		ok;

	join.sha = bkc_sha256_new(err);
	ok = join.sha != NULL && bkc_walreader_new(&join.reader, err) && join_rows(&join, err) &&
		tell_joined(&join, joined, err);
	bkc_walreader_free(join.reader);
	bkc_sha256_free(join.sha);
	return ok;
}

/* ---- the calls ---- */

static bool
write_zeros(int fd, const char *path, uint64_t from, uint64_t to, BkcError *err)
{
	uint8_t    *zeros;
	bool		ok = true;

	if (fd < 0 || from >= to)
		return true;
	zeros = calloc(1, ZEROS_SIZE);
	if (zeros == NULL)
		return bkc_error_oom(err);
	while (ok && from < to)
	{
		size_t		n = to - from < ZEROS_SIZE ? (size_t) (to - from) : ZEROS_SIZE;

		ok = bkc_host_check(err) && write_at(fd, path, from, zeros, n, err);
		from += n;
	}
	free(zeros);
	return ok;
}

/* The offset at which to end. */
static uint64_t
limit_of(const BkcChunks *chunks, uint64_t until)
{
	uint64_t	start = bkc_chunks_lsn(chunks, 0);

	if (until < start)
		return 0;
	return until - start < chunks->segment_size ? until - start : chunks->segment_size;
}

static bool
read_segment(BkcChunks *chunks, uint64_t until, int fd, const char *path, uint64_t *end_lsn,
			 int64_t *time, BkcError *err)
{
	BkcChunksJoined joined;
	off_t		base = 0;

	if (fd >= 0)
	{
		base = lseek(fd, 0, SEEK_CUR);
		if (base < 0)
			return bkc_error_os(err, errno, "could not seek in file \"%s\"", path);
	}
	if (!bkc_chunks_list(chunks, err) ||
		!bkc_chunks_join(chunks, limit_of(chunks, until), fd, path, (uint64_t) base, 0, &joined,
						 err))
		return false;
	if (joined.end == 0)
		return bkc_chunks_none(chunks, err);
	if (!write_zeros(fd, path, (uint64_t) base + joined.end,
					 (uint64_t) base + chunks->segment_size, err))
		return false;
	if (fd >= 0 && lseek(fd, base + (off_t) chunks->segment_size, SEEK_SET) < 0)
		return bkc_error_os(err, errno, "could not seek in file \"%s\"", path);
	*end_lsn = bkc_chunks_lsn(chunks, joined.end);
	*time = joined.time;
	return true;
}

static bool
check_size(const char *segment, uint32_t segment_size, BkcError *err)
{
	uint32_t	timeline;
	uint64_t	segno;

	return bkc_wal_segment_parse(segment, segment_size, &timeline, &segno) ||
		bkc_error_set(err, BKC_ERR_INVALID, "\"%s\" is not a segment of %u bytes",
					  segment, segment_size);
}

bool
bkc_wal_chunks_read(BkcStore *store, uint64_t sysid, const char *segment, uint32_t segment_size,
					uint64_t until, int fd, const char *path, uint64_t *end_lsn, int64_t *time,
					BkcError *err)
{
	BkcChunks	chunks = {
		.store = store,
		.sysid = sysid,
		.segment = segment,
		.segment_size = segment_size
	};
	bool		ok;

	ok = check_size(segment, segment_size, err) &&
		read_segment(&chunks, until, fd, path, end_lsn, time, err);
	bkc_chunks_free(&chunks);
	return ok;
}

bool
bkc_wal_chunks_digest(BkcStore *store, uint64_t sysid, const char *segment, uint32_t segment_size,
					  uint64_t until, uint8_t sha256[BKC_SHA256_SIZE], uint64_t *end_lsn,
					  BkcError *err)
{
	BkcChunks	chunks = {
		.store = store,
		.sysid = sysid,
		.segment = segment,
		.segment_size = segment_size
	};
	BkcChunksJoined joined;
	bool		ok;

	ok = check_size(segment, segment_size, err) && bkc_chunks_list(&chunks, err) &&
		bkc_chunks_join(&chunks, limit_of(&chunks, until), -1, "", 0, BKC_JOIN_SHA256, &joined,
						err);
	if (ok && joined.end == 0)
		ok = bkc_chunks_none(&chunks, err);
	if (ok)
	{
		memcpy(sha256, joined.sha256, BKC_SHA256_SIZE);
		*end_lsn = bkc_chunks_lsn(&chunks, joined.end);
	}
	bkc_chunks_free(&chunks);
	return ok;
}
