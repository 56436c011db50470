/*
 * notes.c
 *		Notes beside a backup: verifications, holds, what only the catalog knows
 *		(contract: documents.h; fields: FORMAT.md, "Notes").
 *
 * Readers pass over fields of later versions.
 */
#include "format/documents.h"

#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "format/fields.h"

#define DOCUMENT_VERSION	1

/* ---- verify ---- */

static bool
check_verify(const BkcVerifyNote *note, BkcErrorCode code, BkcError *err)
{
	const uint64_t max = (uint64_t) BKC_JSON_INT_MAX;

	if (!bkc_label_valid(note->label))
		return bkc_fields_impossible("label", code, err);
	if (note->time < 0)
		return bkc_fields_impossible("time", code, err);
	if (!bkc_fields_is_word(note->level))
		return bkc_fields_impossible("level", code, err);
	if (note->files > max || note->bytes > max)
		return bkc_fields_impossible("files", code, err);
	if (note->failures > max || (note->ok && note->failures != 0))
		return bkc_fields_impossible("failures", code, err);
	return true;
}

bool
bkc_verifynote_encode(const BkcVerifyNote *note, BkcBuffer *out, BkcError *err)
{
	json_t	   *object;

	if (!bkc_fields_check_array("label", note->label, sizeof(note->label), err) ||
		!bkc_fields_check_array("level", note->level, sizeof(note->level), err) ||
		!bkc_fields_check_array("failure", note->first_failure, sizeof(note->first_failure),
								err) ||
		!check_verify(note, BKC_ERR_INVALID, err))
		return false;
	object = json_pack("{}");
	return bkc_fields_finish(object, object != NULL &&
							 bkc_fields_put_int(object, "pg_backupctl_verify", DOCUMENT_VERSION) &&
							 bkc_fields_put_text(object, "label", note->label) &&
							 bkc_fields_put_time(object, "time", note->time) &&
							 bkc_fields_put_text(object, "level", note->level) &&
							 json_object_set_new_nocheck(object, "ok", json_boolean(note->ok)) == 0 &&
							 bkc_fields_put_int(object, "files", (int64_t) note->files) &&
							 bkc_fields_put_int(object, "bytes", (int64_t) note->bytes) &&
							 bkc_fields_put_int(object, "failures", (int64_t) note->failures) &&
							 bkc_fields_put_text(object, "first_failure", note->first_failure),
							 out, err);
}

bool
bkc_verifynote_decode(const char *text, size_t len, const char *name,
					  BkcVerifyNote *note, BkcError *err)
{
	BkcFields	f = {0};
	bool		ok;

	memset(note, 0, sizeof(*note));
	ok = bkc_fields_open(&f, "pg_backupctl_verify", DOCUMENT_VERSION, text, len, err) &&
		bkc_fields_array(&f, "label", note->label, sizeof(note->label), err) &&
		bkc_fields_time(&f, "time", &note->time, err) &&
		bkc_fields_array(&f, "level", note->level, sizeof(note->level), err) &&
		bkc_fields_bool(&f, "ok", &note->ok, err) &&
		bkc_fields_u64(&f, "files", &note->files, err) &&
		bkc_fields_u64(&f, "bytes", &note->bytes, err) &&
		bkc_fields_u64(&f, "failures", &note->failures, err) &&
		bkc_fields_array(&f, "first_failure", note->first_failure, sizeof(note->first_failure),
						 err) &&
		check_verify(note, BKC_ERR_CORRUPT, err);
	return bkc_fields_close(&f, ok, name, err);
}

/* ---- shred ---- */

static bool
check_shred(const BkcShredNote *note, BkcErrorCode code, BkcError *err)
{
	if (!bkc_label_valid(note->label))
		return bkc_fields_impossible("label", code, err);
	if (note->time < 0)
		return bkc_fields_impossible("time", code, err);
	if (note->reason[0] == '\0')
		return bkc_fields_impossible("reason", code, err);
	return note->by[0] != '\0' || bkc_fields_impossible("by", code, err);
}

bool
bkc_shrednote_encode(const BkcShredNote *note, BkcBuffer *out, BkcError *err)
{
	char		key[BKC_KEY_ID_HEX];
	json_t	   *object;

	if (!bkc_fields_check_array("label", note->label, sizeof(note->label), err) ||
		!bkc_fields_check_array("reason", note->reason, sizeof(note->reason), err) ||
		!bkc_fields_check_array("role", note->by, sizeof(note->by), err) ||
		!check_shred(note, BKC_ERR_INVALID, err))
		return false;
	bkc_hex_encode(note->data_key, BKC_KEY_ID_SIZE, key);
	object = json_pack("{}");
	return bkc_fields_finish(object, object != NULL &&
							 bkc_fields_put_int(object, "pg_backupctl_shred", DOCUMENT_VERSION) &&
							 bkc_fields_put_text(object, "label", note->label) &&
							 bkc_fields_put_time(object, "time", note->time) &&
							 bkc_fields_put_text(object, "reason", note->reason) &&
							 bkc_fields_put_text(object, "by", note->by) &&
							 bkc_fields_put_text(object, "data_key", key), out, err);
}

bool
bkc_shrednote_decode(const char *text, size_t len, const char *name, BkcShredNote *note,
					 BkcError *err)
{
	BkcFields	f = {0};
	bool		ok;

	memset(note, 0, sizeof(*note));
	ok = bkc_fields_open(&f, "pg_backupctl_shred", DOCUMENT_VERSION, text, len, err) &&
		bkc_fields_array(&f, "label", note->label, sizeof(note->label), err) &&
		bkc_fields_time(&f, "time", &note->time, err) &&
		bkc_fields_array(&f, "reason", note->reason, sizeof(note->reason), err) &&
		bkc_fields_array(&f, "by", note->by, sizeof(note->by), err) &&
		bkc_fields_hex(&f, "data_key", note->data_key, BKC_KEY_ID_SIZE, err) &&
		check_shred(note, BKC_ERR_CORRUPT, err);
	return bkc_fields_close(&f, ok, name, err);
}

/* ---- hold, release ---- */

static const char *
hold_kind(bool held)
{
	return held ? "pg_backupctl_hold" : "pg_backupctl_release";
}

static bool
check_hold(const BkcHoldNote *note, BkcErrorCode code, BkcError *err)
{
	if (!bkc_label_valid(note->label))
		return bkc_fields_impossible("label", code, err);
	if (note->time < 0)
		return bkc_fields_impossible("time", code, err);
	if (note->held && note->reason[0] == '\0')
		return bkc_fields_impossible("reason", code, err);
	return note->by[0] != '\0' || bkc_fields_impossible("by", code, err);
}

bool
bkc_holdnote_encode(const BkcHoldNote *note, BkcBuffer *out, BkcError *err)
{
	json_t	   *object;

	if (!bkc_fields_check_array("label", note->label, sizeof(note->label), err) ||
		!bkc_fields_check_array("reason", note->reason, sizeof(note->reason), err) ||
		!bkc_fields_check_array("role", note->by, sizeof(note->by), err) ||
		!check_hold(note, BKC_ERR_INVALID, err))
		return false;
	object = json_pack("{}");
	return bkc_fields_finish(object, object != NULL &&
							 bkc_fields_put_int(object, hold_kind(note->held), DOCUMENT_VERSION) &&
							 bkc_fields_put_text(object, "label", note->label) &&
							 bkc_fields_put_time(object, "time", note->time) &&
							 bkc_fields_put_text(object, "reason", note->reason) &&
							 bkc_fields_put_text(object, "by", note->by), out, err);
}

bool
bkc_holdnote_decode(const char *text, size_t len, const char *name, bool held, BkcHoldNote *note,
					BkcError *err)
{
	BkcFields	f = {0};
	bool		ok;

	memset(note, 0, sizeof(*note));
	note->held = held;
	ok = bkc_fields_open(&f, hold_kind(held), DOCUMENT_VERSION, text, len, err) &&
		bkc_fields_array(&f, "label", note->label, sizeof(note->label), err) &&
		bkc_fields_time(&f, "time", &note->time, err) &&
		bkc_fields_array(&f, "reason", note->reason, sizeof(note->reason), err) &&
		bkc_fields_array(&f, "by", note->by, sizeof(note->by), err) &&
		check_hold(note, BKC_ERR_CORRUPT, err);
	return bkc_fields_close(&f, ok, name, err);
}

/* ---- catalog ---- */

static bool
check_catalog(const BkcCatalogNote *note, BkcErrorCode code, BkcError *err)
{
	json_error_t ignored;
	json_t	   *metadata;
	bool		object;

	if (!bkc_label_valid(note->label))
		return bkc_fields_impossible("label", code, err);
	if (note->parent[0] != '\0' && !bkc_label_valid(note->parent))
		return bkc_fields_impossible("parent", code, err);
	if (note->time < 0)
		return bkc_fields_impossible("time", code, err);
	if (note->retention_date < 0)
		return bkc_fields_impossible("retention_date", code, err);
	metadata = json_loads(note->metadata ? note->metadata : "", 0, &ignored);
	object = json_is_object(metadata);
	json_decref(metadata);
	return object || bkc_fields_impossible("metadata", code, err);
}

bool
bkc_catalognote_encode(const BkcCatalogNote *note, BkcBuffer *out, BkcError *err)
{
	json_t	   *object;

	if (!bkc_fields_check_array("label", note->label, sizeof(note->label), err) ||
		!bkc_fields_check_array("parent", note->parent, sizeof(note->parent), err) ||
		!bkc_fields_check_array("version", note->pg_version, sizeof(note->pg_version), err) ||
		!bkc_fields_check_array("tier", note->tier, sizeof(note->tier), err) ||
		!bkc_fields_check_array("schedule", note->schedule, sizeof(note->schedule), err) ||
		!check_catalog(note, BKC_ERR_INVALID, err))
		return false;
	object = json_pack("{}");
	return bkc_fields_finish(object, object != NULL &&
							 bkc_fields_put_int(object, "pg_backupctl_catalog", DOCUMENT_VERSION) &&
							 bkc_fields_put_text(object, "label", note->label) &&
							 bkc_fields_put_time(object, "time", note->time) &&
							 bkc_fields_put_text(object, "pg_version", note->pg_version) &&
							 bkc_fields_put_text(object, "metadata", note->metadata) &&
							 (note->tier[0] == '\0' ||
							  bkc_fields_put_text(object, "tier", note->tier)) &&
							 (note->schedule[0] == '\0' ||
							  bkc_fields_put_text(object, "schedule", note->schedule)) &&
							 (note->retention_date == 0 ||
							  bkc_fields_put_time(object, "retention_date", note->retention_date)) &&
							 (note->parent[0] == '\0' ||
							  bkc_fields_put_text(object, "parent", note->parent)), out, err);
}

static bool
optional(BkcFields *f, const char *key, char *out, size_t size, BkcError *err)
{
	return json_object_get(f->object, key) == NULL || bkc_fields_array(f, key, out, size, err);
}

bool
bkc_catalognote_decode(const char *text, size_t len, const char *name, BkcCatalogNote *note,
					   BkcError *err)
{
	BkcFields	f = {0};
	bool		ok;

	memset(note, 0, sizeof(*note));
	ok = bkc_fields_open(&f, "pg_backupctl_catalog", DOCUMENT_VERSION, text, len, err) &&
		bkc_fields_array(&f, "label", note->label, sizeof(note->label), err) &&
		bkc_fields_time(&f, "time", &note->time, err) &&
		bkc_fields_array(&f, "pg_version", note->pg_version, sizeof(note->pg_version), err) &&
		bkc_fields_text(&f, "metadata", true, &note->metadata, err) &&
		optional(&f, "tier", note->tier, sizeof(note->tier), err) &&
		optional(&f, "schedule", note->schedule, sizeof(note->schedule), err) &&
		optional(&f, "parent", note->parent, sizeof(note->parent), err) &&
		(json_object_get(f.object, "retention_date") == NULL ||
		 bkc_fields_time(&f, "retention_date", &note->retention_date, err)) &&
		check_catalog(note, BKC_ERR_CORRUPT, err);
	if (!ok)
		bkc_catalognote_free(note);
	return bkc_fields_close(&f, ok, name, err);
}

void
bkc_catalognote_free(BkcCatalogNote *note)
{
	free(note->metadata);
	note->metadata = NULL;
}
