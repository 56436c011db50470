/*
 * walinfo.c
 *		The info frame of WAL objects (contract: walinfo.h; fields: FORMAT.md, "WAL").
 */
#include "format/walinfo.h"

#include <string.h>

#include "base/bytes.h"
#include "base/text.h"
#include "format/fields.h"
#include "format/names.h"

#define INFO_VERSION	1
#define SEGMENT_LEN		24

/* ---- what must fit together ---- */

/* A segment, a partial one, or a part of one: something with a place in the WAL. */
static bool
has_place(const BkcWalInfo *info)
{
	return bkc_wal_is_segment(info->file) || bkc_wal_is_partial(info->file);
}

/* Where the segment that the file is (a part of) begins; false when the size does not allow it. */
static bool
segment_start(const BkcWalInfo *info, uint32_t *timeline, uint64_t *start)
{
	char		segment[SEGMENT_LEN + 1];
	uint64_t	segno;

	memcpy(segment, info->file, SEGMENT_LEN);
	segment[SEGMENT_LEN] = '\0';
	if (!bkc_wal_segment_parse(segment, info->segment_size, timeline, &segno))
		return false;
	*start = segno * info->segment_size;
	return true;
}

static bool
check_place(const BkcWalInfo *info, BkcErrorCode code, BkcError *err)
{
	uint32_t	timeline;
	uint64_t	start;
	uint64_t	end;

	if (!segment_start(info, &timeline, &start))
		return bkc_fields_impossible("wal_segment_size", code, err);
	if (info->timeline != timeline)
		return bkc_fields_impossible("timeline", code, err);
	if (info->size > info->segment_size)
		return bkc_fields_impossible("size", code, err);
	if (info->start_lsn < start ||
		info->start_lsn - start > info->segment_size - info->size)
		return bkc_fields_impossible("start_lsn", code, err);
	/* the end of the very last segment there could be does not fit into an LSN */
	if (!bkc_add_u64(info->start_lsn, info->size, &end) || info->end_lsn != end)
		return bkc_fields_impossible("end_lsn", code, err);
	if (bkc_wal_is_partial(info->file) && info->size != info->segment_size)
		return bkc_fields_impossible("size", code, err);
	return true;
}

static bool
check_info(const BkcWalInfo *info, BkcErrorCode code, BkcError *err)
{
	static const char any_hash[] = "0000000000000000";
	const char *hash = bkc_wal_is_partial(info->file) ? any_hash : NULL;
	char		name[BKC_NAME_MAX];

	if (info->system_identifier == 0)
		return bkc_fields_impossible("system_identifier", code, err);
	if (!bkc_name_wal_file(info->system_identifier, info->file, hash, name, err))
		return bkc_fields_impossible("file", code, err);
	if (info->size == 0 || info->size > (uint64_t) BKC_JSON_INT_MAX)
		return bkc_fields_impossible("size", code, err);
	if (info->time < 0)
		return bkc_fields_impossible("time", code, err);
	/* who and why belong together; a partial segment is never in another's way */
	if ((info->reason[0] == '\0') != (info->by[0] == '\0') ||
		(info->reason[0] != '\0' && hash != NULL))
		return bkc_fields_impossible("reason", code, err);
	if (has_place(info))
		return check_place(info, code, err);
	if (info->timeline != 0 || info->segment_size != 0 || info->start_lsn != 0 ||
		info->end_lsn != 0)
		return bkc_fields_impossible("timeline", code, err);
	return true;
}

/* ---- writing ---- */

static bool
put_place(json_t *object, const BkcWalInfo *info)
{
	return bkc_fields_put_int(object, "timeline", info->timeline) &&
		bkc_fields_put_int(object, "wal_segment_size", info->segment_size) &&
		bkc_fields_put_lsn(object, "start_lsn", info->start_lsn) &&
		bkc_fields_put_lsn(object, "end_lsn", info->end_lsn);
}

bool
bkc_walinfo_encode(const BkcWalInfo *info, BkcBuffer *out, BkcError *err)
{
	char		sha256[2 * BKC_SHA256_SIZE + 1];
	json_t	   *object;

	if (!bkc_fields_check_array("file name", info->file, sizeof(info->file), err) ||
		!bkc_fields_check_array("reason", info->reason, sizeof(info->reason), err) ||
		!bkc_fields_check_array("role", info->by, sizeof(info->by), err) ||
		!check_info(info, BKC_ERR_INVALID, err))
		return false;
	bkc_hex_encode(info->sha256, BKC_SHA256_SIZE, sha256);
	object = json_pack("{}");
	return bkc_fields_finish(object, object != NULL &&
							 bkc_fields_put_int(object, "pg_backupctl_wal", INFO_VERSION) &&
							 bkc_fields_put_text(object, "file", info->file) &&
							 bkc_fields_put_sysid(object, "system_identifier",
												  info->system_identifier) &&
							 bkc_fields_put_int(object, "size", (int64_t) info->size) &&
							 bkc_fields_put_text(object, "sha256", sha256) &&
							 bkc_fields_put_time(object, "time", info->time) &&
							 (!has_place(info) || put_place(object, info)) &&
							 (info->reason[0] == '\0' ||
							  (bkc_fields_put_text(object, "reason", info->reason) &&
							   bkc_fields_put_text(object, "resolved_by", info->by))), out, err);
}

/* ---- reading ---- */

static bool
wrong_object(const char *what, BkcError *err)
{
	return bkc_error_set(err, BKC_ERR_CORRUPT, "field \"%s\" does not fit the object's name", what);
}

/* All that the name says must be what the info says. */
static bool
check_against_name(const BkcWalInfo *info, const char *name, const BkcWalName *parsed,
				   bool sealed, BkcError *err)
{
	char		plain[BKC_NAME_MAX];
	char		hash[2 * BKC_SHA256_SIZE + 1];
	uint32_t	timeline;
	uint64_t	start;

	/* the folder of all WAL of a cluster tells which cluster it is */
	if (!bkc_name_wal_root(info->system_identifier, plain, err))
		return false;
	if (strncmp(name, plain, strlen(plain)) != 0)
		return wrong_object("system_identifier", err);
	if (strcmp(info->file, parsed->file) != 0)
		return wrong_object("file", err);
	if ((info->reason[0] != '\0') != parsed->conflict)
		return wrong_object("reason", err);
	bkc_hex_encode(info->sha256, BKC_SHA256_SIZE, hash);
	if (parsed->hash[0] != '\0' && !sealed && strncmp(hash, parsed->hash, BKC_WAL_HASH_DIGITS) != 0)
		return wrong_object("sha256", err);
	if (!has_place(info))
		return true;
	if (!segment_start(info, &timeline, &start) ||
		info->start_lsn - start != (parsed->type == BKC_WALNAME_CHUNK ? parsed->offset : 0))
		return wrong_object("start_lsn", err);
	if (parsed->type != BKC_WALNAME_CHUNK && info->size != info->segment_size)
		return wrong_object("size", err);
	return true;
}

static bool
read_fields(BkcFields *f, BkcWalInfo *info, const BkcWalName *parsed, BkcError *err)
{
	bool		place = parsed->type == BKC_WALNAME_SEGMENT ||
		parsed->type == BKC_WALNAME_PARTIAL || parsed->type == BKC_WALNAME_CHUNK;

	return bkc_fields_array(f, "file", info->file, sizeof(info->file), err) &&
		bkc_fields_sysid(f, "system_identifier", &info->system_identifier, err) &&
		bkc_fields_u64(f, "size", &info->size, err) &&
		bkc_fields_hex(f, "sha256", info->sha256, BKC_SHA256_SIZE, err) &&
		bkc_fields_time(f, "time", &info->time, err) &&
		(!place ||
		 (bkc_fields_u32(f, "timeline", &info->timeline, err) &&
		  bkc_fields_u32(f, "wal_segment_size", &info->segment_size, err) &&
		  bkc_fields_lsn(f, "start_lsn", &info->start_lsn, err) &&
		  bkc_fields_lsn(f, "end_lsn", &info->end_lsn, err))) &&
		(!parsed->conflict ||
		 (bkc_fields_array(f, "reason", info->reason, sizeof(info->reason), err) &&
		  bkc_fields_array(f, "resolved_by", info->by, sizeof(info->by), err))) &&
		bkc_fields_end(f, err);
}

bool
bkc_walinfo_decode(const char *text, size_t len, const char *name, bool sealed,
				   BkcWalInfo *info, BkcError *err)
{
	BkcFields	f = {0};
	BkcWalName	parsed;
	bool		ok;

	memset(info, 0, sizeof(*info));
	if (!bkc_name_parse_wal(name, &parsed))
		return bkc_error_set(err, BKC_ERR_INVALID, "\"%s\" is not the name of a WAL object", name);
	ok = bkc_fields_open(&f, "pg_backupctl_wal", INFO_VERSION, text, len, err) &&
		read_fields(&f, info, &parsed, err) &&
		check_info(info, BKC_ERR_CORRUPT, err) &&
		check_against_name(info, name, &parsed, sealed, err);
	bkc_fields_free(&f);
	return ok || bkc_error_context(err, "object \"%s\"", name);
}
