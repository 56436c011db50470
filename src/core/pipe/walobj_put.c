/*
 * walobj_put.c
 *		Writing WAL objects (contract: walobj.h).
 *
 * Crash and retry: an object is durable when its commit returns, or not there.
 * When a commit's answer is lost, the file is offered again, the name is taken,
 * and comparing the hashes tells that it was us.
 */
#include "pipe/walobj.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/host.h"
#include "base/text.h"
#include "pipe/keyring.h"
#include "pipe/object.h"
#include "pipe/walobj_content.h"
#include "pipe/walobj_reader.h"

#define SEGMENT_LEN		24
#define SHA256_HEX		(2 * BKC_SHA256_SIZE + 1)

/* Histories have some hundred bytes; what is larger than this is none. */
#define SMALL_FILE_MAX	((uint64_t) 16 << 20)

struct BkcWalWriter
{
	BkcStore   *store;
	uint64_t	sysid;
	BkcCodec	codec;
	BkcWalContent content;
	BkcBuffer	text;			/* of the info frame */
	BkcWalPut  *begun;			/* by begin() and not finished */
};

/* A file that is being stored. */
struct BkcWalPut
{
	BkcWalInfo	info;			/* sha256 is known when hashed */
	BkcWalSource source;
	bool		partial;
	bool		hashed;
	char		name[BKC_NAME_MAX]; /* set when named */

	/* when begun */
	bool		settled;		/* it was there: outcome is known */
	BkcWalOutcome outcome;
	BkcObjectWriter *object;	/* unless settled */
	bool		under_way;
	BkcWalPut  *next;
};

/* While a file is read, those before it go on.  Their errors are told when they are finished. */
static void
move_begun(void *arg)
{
	BkcWalWriter *w = arg;
	BkcError	ignored;
	bool		under_way;

	for (BkcWalPut *put = w->begun; put != NULL; put = put->next)
		if (put->under_way)
			(void) bkc_object_commit_begin(put->object, &under_way, &ignored);
}

bool
bkc_walwriter_new(BkcStore *store, uint64_t sysid, BkcCodec codec, int level,
				  BkcWalWriter **writer, BkcError *err)
{
	BkcWalWriter *new = calloc(1, sizeof(*new));

	*writer = NULL;
	if (new == NULL)
		return bkc_error_oom(err);
	new->store = store;
	new->sysid = sysid;
	new->codec = codec;
	if (!bkc_walcontent_init(&new->content, codec, level, err))
	{
		bkc_walwriter_close(&new);
		return false;
	}
	new->content.move = move_begun;
	new->content.move_arg = new;
	*writer = new;
	return true;
}

void
bkc_walwriter_use(BkcWalWriter *writer, BkcStore *store)
{
	writer->store = store;
}

void
bkc_walwriter_close(BkcWalWriter **writer)
{
	BkcWalWriter *w = *writer;

	*writer = NULL;
	if (w == NULL)
		return;
	bkc_walcontent_free(&w->content);
	bkc_buffer_free(&w->text);
	free(w);
}

/* ---- one object ---- */

/*
 * Is it still the file of that name?  A segment that is no longer kept is
 * renamed and written anew, and what was read of it may be anything.
 */
static bool
check_same_file(const BkcWalSource *source, BkcError *err)
{
	struct stat opened;
	struct stat named;

	if (fstat(source->fd, &opened) == 0 && stat(source->path, &named) == 0 &&
		opened.st_dev == named.st_dev && opened.st_ino == named.st_ino)
		return true;
	return bkc_error_set(err, BKC_ERR_UNAVAILABLE, "WAL file \"%s\" was removed while it was read",
						 source->path);
}

/* All of the object but its commit; *object is to be closed also after a failure. */
static bool
write_object(BkcWalWriter *w, const char *name, BkcKind kind, const BkcWalInfo *info,
			 const BkcWalSource *source, BkcObjectWriter **object, BkcError *err)
{
	BkcFrame	frame = {.type = BKC_FRAME_INFO, .flags = BKC_FRAME_STORED};

	*object = NULL;
	bkc_buffer_reset(&w->text);
	if (!bkc_walinfo_encode(info, &w->text, err))
		return false;
	if (w->text.len > BKC_WAL_INFO_SIZE)
		return bkc_error_set(err, BKC_ERR_INVALID, "info of object \"%s\" has %zu bytes",
							 name, w->text.len);
	frame.data = w->text.data;
	frame.len = frame.plain_len = (uint32_t) w->text.len;
	return bkc_object_create(w->store, name, kind, w->codec, info->size, object, err) &&
		   bkc_object_put(*object, &frame, false, NULL, err) &&
		   bkc_walcontent_put(&w->content, source, info->sha256, *object, err) &&
		   (!source->whole || check_same_file(source, err));
}

static bool
commit_object(BkcObjectWriter *object, uint64_t *stored, BkcError *err)
{
	uint64_t	size = bkc_object_size(object);

	if (!bkc_object_commit(object, err))
		return false;
	if (stored != NULL)
		*stored = size;
	return true;
}

static bool
store_object(BkcWalWriter *w, const char *name, BkcKind kind, const BkcWalInfo *info,
			 const BkcWalSource *source, uint64_t *stored, BkcError *err)
{
	BkcObjectWriter *object;
	bool		ok;

	ok = write_object(w, name, kind, info, source, &object, err) &&
		 commit_object(object, stored, err);
	bkc_object_close(object);
	return ok;
}

/* ---- a file ---- */

/* Fill in what the file's name says. */
static bool
describe_file(const BkcWalWriter *w, const BkcWalFile *file, BkcWalPut *put, BkcError *err)
{
	BkcWalInfo *info = &put->info;
	size_t		len = strnlen(file->file, sizeof(info->file));
	char		segment[SEGMENT_LEN + 1];
	uint64_t	segno;

	if (len >= sizeof(info->file))
		return bkc_error_set(err, BKC_ERR_INVALID, "name of a WAL file is too long");
	memcpy(info->file, file->file, len + 1);
	info->system_identifier = w->sysid;
	info->time = file->time;
	put->partial = bkc_wal_is_partial(info->file);
	if (!put->partial && !bkc_wal_is_segment(info->file))
		return true;			/* a history, or a name that naming the object will refuse */
	memcpy(segment, info->file, SEGMENT_LEN);
	segment[SEGMENT_LEN] = '\0';
	if (!bkc_wal_segment_parse(segment, file->segment_size, &info->timeline, &segno))
		return bkc_error_set(err, BKC_ERR_INVALID,
							 "\"%s\" is not a WAL file with segments of %u bytes",
							 info->file, file->segment_size);
	info->segment_size = file->segment_size;
	info->start_lsn = segno * file->segment_size;
	info->end_lsn = info->start_lsn + file->segment_size;
	return true;
}

static bool
open_file(const BkcWalFile *file, BkcWalPut *put, BkcError *err)
{
	struct stat st;
	int			fd = bkc_file_open_read(file->path, err);

	if (fd < 0)
		return false;
	put->source.fd = fd;
	put->source.path = file->path;
	put->source.whole = true;
	if (fstat(fd, &st) != 0)
		return bkc_error_os(err, errno, "could not stat file \"%s\"", file->path);
	put->source.size = (uint64_t) st.st_size;
	put->info.size = put->source.size;
	if (put->info.segment_size != 0 && put->source.size != put->info.segment_size)
		return bkc_error_set(err, BKC_ERR_INVALID, "WAL file \"%s\" has %llu bytes instead of %u",
							 file->path, (unsigned long long) put->source.size,
							 put->info.segment_size);
	if (put->source.size == 0 ||
		(put->info.segment_size == 0 && put->source.size > SMALL_FILE_MAX))
		return bkc_error_set(err, BKC_ERR_INVALID, "\"%s\" of %llu bytes is not a WAL file",
							 file->path, (unsigned long long) put->source.size);
	return true;
}

/* The name of a partial segment's object has its hash. */
static bool
name_object(const BkcWalWriter *w, BkcWalPut *put, BkcError *err)
{
	char		hash[BKC_WAL_HASH_DIGITS + 1];

	if (!put->partial)
		return bkc_name_wal_file(w->sysid, put->info.file, NULL, put->name, err);
	return bkc_keyring_hash(w->store, w->sysid, put->info.sha256, hash, err) &&
		bkc_name_wal_file(w->sysid, put->info.file, hash, put->name, err);
}

static bool
name_conflict(const BkcWalWriter *w, const BkcWalPut *put, char name[BKC_NAME_MAX], BkcError *err)
{
	char		hash[BKC_WAL_HASH_DIGITS + 1];

	return bkc_keyring_hash(w->store, w->sysid, put->info.sha256, hash, err) &&
		bkc_name_wal_conflict(w->sysid, put->info.file, hash, name, err);
}

static bool
hash_file(BkcWalWriter *w, BkcWalPut *put, BkcError *err)
{
	if (!put->hashed)
		put->hashed = bkc_walcontent_hash(&w->content, &put->source, put->info.sha256, err);
	return put->hashed;
}

/* Everything up to the object's name; put->source.fd is to be closed also after a failure. */
static bool
put_begin(BkcWalWriter *w, const BkcWalFile *file, BkcWalPut *put, BkcError *err)
{
	memset(put, 0, sizeof(*put));
	put->source.fd = -1;
	if (!describe_file(w, file, put, err))
		return false;

	/* before anything is read, what is no WAL file at all is refused */
	if (!put->partial && !name_object(w, put, err))
		return false;
	return open_file(file, put, err);
}

static void
put_end_reading(BkcWalPut *put)
{
	if (put->source.fd >= 0)
		close(put->source.fd);
	put->source.fd = -1;
	put->source.path = NULL;
}

static void
put_end(BkcWalPut *put)
{
	put_end_reading(put);
	bkc_object_close(put->object);
}

/* ---- when the name is taken ---- */

static bool
same_content(const BkcWalInfo *a, const BkcWalInfo *b)
{
	return a->size == b->size && memcmp(a->sha256, b->sha256, BKC_SHA256_SIZE) == 0;
}

static bool
other_content(const BkcWalWriter *w, const BkcWalPut *put, const BkcWalInfo *other, BkcError *err)
{
	char		mine_hash[SHA256_HEX];
	char		other_hash[SHA256_HEX];
	char		mine_time[32];
	char		other_time[32];

	bkc_hex_encode(put->info.sha256, BKC_SHA256_SIZE, mine_hash);
	bkc_hex_encode(other->sha256, BKC_SHA256_SIZE, other_hash);
	bkc_format_time(put->info.time, mine_time, sizeof(mine_time));
	bkc_format_time(other->time, other_time, sizeof(other_time));
	bkc_error_set(err, BKC_ERR_EXISTS,
				  "WAL file \"%s\" is in repository \"%s\" already with other content",
				  put->info.file, w->store->location);
	return bkc_error_detail(err, "The file here has SHA-256 %s and is of %s; the one in the repository has %s and is of %s.",
							mine_hash, mine_time, other_hash, other_time);
}

static bool
resolve_hint(const BkcWalPut *put, BkcError *err)
{
	return bkc_error_hint(err, "A second cluster or a restored copy writes to the same repository, or this server went back in time without a new timeline. "
						  "If the file of this server is the right one: SELECT backup_wal_conflict_resolve('%s', 'reason').",
						  put->info.file);
}

static bool
damaged_hint(const BkcWalPut *put, BkcError *err)
{
	return bkc_error_hint(err, "The object stays as it is. To store this server's file beside it: "
						  "SELECT backup_wal_conflict_resolve('%s', 'reason').", put->info.file);
}

/* What readers get under the file's name. */
typedef struct Other
{
	char		name[BKC_NAME_MAX];
	bool		conflict;		/* a conflict object */
	bool		damaged;		/* cannot be read, and a conflict object would count instead */
	BkcWalInfo	info;			/* unless damaged */
} Other;

/* With other->damaged it is true, and err says why. */
static bool
look_at_other(const BkcWalWriter *w, const BkcWalPut *put, Other *other, BkcError *err)
{
	memset(other, 0, sizeof(*other));
	if (put->partial)
		memcpy(other->name, put->name, sizeof(other->name));
	else if (!bkc_wal_find(w->store, w->sysid, put->info.file, other->name, err))
		return false;
	other->conflict = strcmp(other->name, put->name) != 0;
	if (bkc_wal_info(w->store, other->name, &other->info, err))
		return true;
	other->damaged = err->code == BKC_ERR_CORRUPT && !other->conflict;
	return other->damaged;
}

static bool
settle_existing(const BkcWalWriter *w, const BkcWalPut *put, BkcWalOutcome *outcome, BkcError *err)
{
	Other		other;

	if (!look_at_other(w, put, &other, err))
	{
		if (err->code == BKC_ERR_NOT_FOUND)
			bkc_error_set(err, BKC_ERR_UNAVAILABLE,
						  "object \"%s\" vanished from repository \"%s\" while it was looked at",
						  put->name, w->store->location);
		return false;
	}
	if (!other.damaged && same_content(&other.info, &put->info))
	{
		*outcome = other.conflict ? BKC_WAL_RESOLVED : BKC_WAL_SAME;
		return bkc_store_sync(w->store, other.name, err);
	}
	if (!other.damaged)
		other_content(w, put, &other.info, err);
	if (put->partial)
		return false;
	return other.damaged ? damaged_hint(put, err) : resolve_hint(put, err);
}

/* ---- the calls ---- */

/* put->object is to be closed also after a failure. */
static bool
begin_file(BkcWalWriter *w, const BkcWalFile *file, BkcWalPut *put, BkcError *err)
{
	uint64_t	size;

	if (!put_begin(w, file, put, err))
		return false;
	if (file->ask_first)
	{
		if (put->partial && (!hash_file(w, put, err) || !name_object(w, put, err)))
			return false;
		if (bkc_store_stat(w->store, put->name, &size, err))
		{
			put->settled = true;
			return hash_file(w, put, err) && settle_existing(w, put, &put->outcome, err);
		}
		if (err->code != BKC_ERR_NOT_FOUND)
			return false;
	}
	put->outcome = BKC_WAL_STORED;
	return bkc_walcontent_prepare(&w->content, &put->source, put->info.sha256, err) &&
		   name_object(w, put, err) &&
		   write_object(w, put->name, BKC_KIND_WAL, &put->info, &put->source, &put->object, err);
}

static bool
finish_file(BkcWalWriter *w, BkcWalPut *put, BkcWalOutcome *outcome, uint64_t *stored,
			BkcError *err)
{
	bool		ok = put->settled || commit_object(put->object, stored, err) ||
			  (err->code == BKC_ERR_EXISTS && settle_existing(w, put, &put->outcome, err));

	*outcome = put->outcome;
	return ok;
}

bool
bkc_walwriter_put(BkcWalWriter *writer, const BkcWalFile *file, BkcWalOutcome *outcome,
				  uint64_t *stored, BkcError *err)
{
	BkcWalPut	put;
	bool		ok;

	*stored = 0;
	ok = begin_file(writer, file, &put, err) && finish_file(writer, &put, outcome, stored, err);
	put_end(&put);
	return ok;
}

bool
bkc_walwriter_begin(BkcWalWriter *writer, const BkcWalFile *file, BkcWalPut **put, BkcError *err)
{
	BkcWalPut  *new = malloc(sizeof(*new));
	bool		ok;

	*put = NULL;
	if (new == NULL)
		return bkc_error_oom(err);
	ok = begin_file(writer, file, new, err) &&
		 (new->settled || bkc_object_commit_begin(new->object, &new->under_way, err));
	new->next = writer->begun;
	writer->begun = *put = new;
	if (!ok)
	{
		bkc_walwriter_give_up(writer, put);
		return false;
	}

	/* nothing more is read of it, and the caller's path need not stay */
	put_end_reading(new);
	return true;
}

bool
bkc_walwriter_under_way(const BkcWalPut *put)
{
	return put->under_way;
}

bool
bkc_walwriter_finish(BkcWalWriter *writer, BkcWalPut **put, BkcWalOutcome *outcome,
					 uint64_t *stored, BkcError *err)
{
	bool		ok;

	*stored = 0;
	ok = finish_file(writer, *put, outcome, stored, err);
	bkc_walwriter_give_up(writer, put);
	return ok;
}

void
bkc_walwriter_give_up(BkcWalWriter *writer, BkcWalPut **put)
{
	BkcWalPut **at = &writer->begun;

	if (*put == NULL)
		return;
	while (*at != *put)
		at = &(*at)->next;
	*at = (*put)->next;
	put_end(*put);
	free(*put);
	*put = NULL;
}

/*
 * Is there anything to resolve?  A file that was in conflict before gets a newer time than
 * what it replaces, because the newest counts.
 */
static bool
check_conflict(const BkcWalWriter *w, BkcWalPut *put, BkcError *err)
{
	Other		other;

	if (!look_at_other(w, put, &other, err))
	{
		if (err->code == BKC_ERR_NOT_FOUND)
			bkc_error_set(err, BKC_ERR_STATE, "WAL file \"%s\" is not in repository \"%s\"",
						  put->info.file, w->store->location);
		return false;
	}
	if (other.damaged)
		return true;
	if (same_content(&other.info, &put->info))
		return bkc_error_set(err, BKC_ERR_STATE,
							 "WAL file \"%s\" is in repository \"%s\" with the same content",
							 put->info.file, w->store->location);
	if (other.conflict && put->info.time <= other.info.time)
		put->info.time = other.info.time + 1;
	return true;
}

static bool
take_reason(BkcWalPut *put, const char *reason, const char *by, BkcError *err)
{
	BkcWalInfo *info = &put->info;

	if (put->partial)
		return bkc_error_set(err, BKC_ERR_INVALID,
							 "partial segment \"%s\" cannot be in conflict with another", info->file);
	if (reason[0] == '\0' || strlen(reason) >= sizeof(info->reason))
		return bkc_error_set(err, BKC_ERR_INVALID, "a reason of 1 to %zu bytes must be given",
							 sizeof(info->reason) - 1);
	if (by[0] == '\0' || strlen(by) >= sizeof(info->by))
		return bkc_error_set(err, BKC_ERR_INVALID, "invalid role name");
	memcpy(info->reason, reason, strlen(reason) + 1);
	memcpy(info->by, by, strlen(by) + 1);
	return true;
}

static bool
resolve_file(BkcWalWriter *w, const BkcWalFile *file, BkcWalPut *put, const char *reason,
			 const char *by, BkcError *err)
{
	char		name[BKC_NAME_MAX];
	Other		other;

	if (!put_begin(w, file, put, err) ||
		!take_reason(put, reason, by, err) ||
		!bkc_walcontent_prepare(&w->content, &put->source, put->info.sha256, err) ||
		!check_conflict(w, put, err) ||
		!name_conflict(w, put, name, err))
		return false;
	if (store_object(w, name, BKC_KIND_WAL, &put->info, &put->source, NULL, err))
		return true;
	if (err->code != BKC_ERR_EXISTS)
		return false;

	/* somebody has been faster with the same, or it has counted before and was replaced */
	if (!look_at_other(w, put, &other, err))
		return false;
	if (other.conflict && same_content(&other.info, &put->info))
		return true;
	return bkc_error_set(err, BKC_ERR_EXISTS,
						 "WAL file \"%s\" was in conflict with this content before, and other content was chosen since",
						 put->info.file);
}

bool
bkc_walwriter_resolve(BkcWalWriter *writer, const BkcWalFile *file, const char *reason,
					  const char *by, BkcError *err)
{
	BkcWalPut	put;
	bool		ok;

	ok = resolve_file(writer, file, &put, reason, by, err);
	put_end(&put);
	return ok;
}

bool
bkc_walwriter_chunk(BkcWalWriter *writer, const char *segment, uint32_t segment_size,
					uint64_t generation, uint32_t offset, uint32_t len, int fd, const char *path,
					int64_t time, uint64_t *stored, BkcError *err)
{
	BkcWalFile	file = {.file = segment, .segment_size = segment_size, .time = time};
	BkcWalPut	put = {0};

	*stored = 0;
	if (!bkc_name_wal_chunk(writer->sysid, segment, generation, offset, put.name, err) ||
		!describe_file(writer, &file, &put, err))
		return false;
	if (len == 0 || offset > segment_size || len > segment_size - offset)
		return bkc_error_set(err, BKC_ERR_INVALID,
							 "chunk of %u bytes at offset %u of segment \"%s\"",
							 len, offset, segment);
	put.info.size = len;
	put.info.start_lsn += offset;
	put.info.end_lsn = put.info.start_lsn + len;
	put.source = (BkcWalSource) {.fd = fd, .path = path, .offset = offset, .size = len};
	return bkc_walcontent_prepare(&writer->content, &put.source, put.info.sha256, err) &&
		store_object(writer, put.name, BKC_KIND_WAL_CHUNK, &put.info, &put.source, stored, err);
}
