/*
 * documents.c
 *		The small JSON objects: cluster, begin, notes (contract: documents.h;
 *		fields: FORMAT.md, "Documents").
 */
#include "format/documents.h"

#include <inttypes.h>
#include <string.h>

#include "format/fields.h"

#define DOCUMENT_VERSION	1

/* ---- what the documents share ---- */

/* An array that a caller filled: it must hold a text. */
static bool
check_array(const char *what, const char *text, size_t size, BkcError *err)
{
	if (memchr(text, '\0', size) == NULL)
		return bkc_error_set(err, BKC_ERR_INVALID, "%s has no end", what);
	return true;
}

static bool
is_word(const char *text)
{
	size_t		len = strspn(text, "abcdefghijklmnopqrstuvwxyz");

	return len > 0 && text[len] == '\0';
}

static bool
is_owner_id(const char *text)
{
	size_t		len = strspn(text, "0123456789abcdef");

	return len > 0 && text[len] == '\0';
}

/* The field named for the kind of document holds its version. */
static bool
open_document(BkcFields *f, const char *kind, const char *text, size_t len, BkcError *err)
{
	int64_t		version;

	if (!bkc_fields_parse(f, text, len, err) ||
		!bkc_fields_int(f, kind, 1, INT32_MAX, &version, err))
		return false;
	if (version != DOCUMENT_VERSION)
		return bkc_error_set(err, BKC_ERR_UNSUPPORTED,
							 "\"%s\" has version %" PRId64 ", this program knows version %d",
							 kind, version, DOCUMENT_VERSION);
	return true;
}

static bool
close_document(BkcFields *f, bool ok, const char *name, BkcError *err)
{
	bkc_fields_free(f);
	return ok || bkc_error_context(err, "object \"%s\"", name);
}

static bool
finish_encode(json_t *object, bool complete, BkcBuffer *out, BkcError *err)
{
	bool		ok = complete ? bkc_fields_dump(object, out, err) : bkc_error_oom(err);

	json_decref(object);
	return ok;
}

static bool
impossible(const char *field, BkcErrorCode code, BkcError *err)
{
	return bkc_error_set(err, code, "field \"%s\" has a value that is not possible", field);
}

/* ---- cluster ---- */

static bool
check_cluster(const BkcClusterDoc *doc, BkcErrorCode code, BkcError *err)
{
	if (doc->system_identifier == 0)
		return impossible("system_identifier", code, err);
	if (doc->created < 0)
		return impossible("created", code, err);
	return true;
}

bool
bkc_clusterdoc_encode(const BkcClusterDoc *doc, BkcBuffer *out, BkcError *err)
{
	json_t	   *object;

	if (!check_array("cluster name", doc->name, sizeof(doc->name), err) ||
		!check_cluster(doc, BKC_ERR_INVALID, err))
		return false;
	object = json_pack("{}");
	return finish_encode(object, object != NULL &&
						 bkc_fields_put_int(object, "pg_backupctl_cluster", DOCUMENT_VERSION) &&
						 bkc_fields_put_sysid(object, "system_identifier",
											  doc->system_identifier) &&
						 bkc_fields_put_text(object, "name", doc->name) &&
						 bkc_fields_put_int(object, "pg_version_num", doc->pg_version_num) &&
						 bkc_fields_put_time(object, "created", doc->created), out, err);
}

bool
bkc_clusterdoc_decode(const char *text, size_t len, const char *name,
					  BkcClusterDoc *doc, BkcError *err)
{
	BkcFields	f = {0};
	bool		ok;

	memset(doc, 0, sizeof(*doc));
	ok = open_document(&f, "pg_backupctl_cluster", text, len, err) &&
		bkc_fields_sysid(&f, "system_identifier", &doc->system_identifier, err) &&
		bkc_fields_array(&f, "name", doc->name, sizeof(doc->name), err) &&
		bkc_fields_u32(&f, "pg_version_num", &doc->pg_version_num, err) &&
		bkc_fields_time(&f, "created", &doc->created, err) &&
		bkc_fields_end(&f, err) &&
		check_cluster(doc, BKC_ERR_CORRUPT, err);
	return close_document(&f, ok, name, err);
}

/* ---- begin ---- */

static bool
check_begin(const BkcBeginDoc *doc, BkcErrorCode code, BkcError *err)
{
	if (!bkc_label_valid(doc->label))
		return impossible("label", code, err);
	if (!is_word(doc->type))
		return impossible("type", code, err);
	if (doc->parent[0] != '\0' && !bkc_label_valid(doc->parent))
		return impossible("parent", code, err);
	if (doc->system_identifier == 0)
		return impossible("system_identifier", code, err);
	/* without an owner nobody, or everybody, could sweep the backup */
	if (!is_owner_id(doc->owner))
		return impossible("owner", code, err);
	if (doc->start_time < 0)
		return impossible("start_time", code, err);
	return true;
}

bool
bkc_begindoc_encode(const BkcBeginDoc *doc, BkcBuffer *out, BkcError *err)
{
	json_t	   *object;

	if (!check_array("label", doc->label, sizeof(doc->label), err) ||
		!check_array("type", doc->type, sizeof(doc->type), err) ||
		!check_array("parent", doc->parent, sizeof(doc->parent), err) ||
		!check_array("owner", doc->owner, sizeof(doc->owner), err) ||
		!check_array("host", doc->host, sizeof(doc->host), err) ||
		!check_begin(doc, BKC_ERR_INVALID, err))
		return false;
	object = json_pack("{}");
	return finish_encode(object, object != NULL &&
						 bkc_fields_put_int(object, "pg_backupctl_begin", DOCUMENT_VERSION) &&
						 bkc_fields_put_text(object, "label", doc->label) &&
						 bkc_fields_put_text(object, "type", doc->type) &&
						 (doc->parent[0] == '\0' ||
						  bkc_fields_put_text(object, "parent", doc->parent)) &&
						 bkc_fields_put_sysid(object, "system_identifier",
											  doc->system_identifier) &&
						 bkc_fields_put_text(object, "owner", doc->owner) &&
						 bkc_fields_put_text(object, "host", doc->host) &&
						 bkc_fields_put_time(object, "start_time", doc->start_time), out, err);
}

bool
bkc_begindoc_decode(const char *text, size_t len, const char *name,
					BkcBeginDoc *doc, BkcError *err)
{
	BkcFields	f = {0};
	bool		ok;

	memset(doc, 0, sizeof(*doc));
	ok = open_document(&f, "pg_backupctl_begin", text, len, err) &&
		bkc_fields_array(&f, "label", doc->label, sizeof(doc->label), err) &&
		bkc_fields_array(&f, "type", doc->type, sizeof(doc->type), err) &&
		(json_object_get(f.object, "parent") == NULL ||
		 bkc_fields_array(&f, "parent", doc->parent, sizeof(doc->parent), err)) &&
		bkc_fields_sysid(&f, "system_identifier", &doc->system_identifier, err) &&
		bkc_fields_array(&f, "owner", doc->owner, sizeof(doc->owner), err) &&
		bkc_fields_array(&f, "host", doc->host, sizeof(doc->host), err) &&
		bkc_fields_time(&f, "start_time", &doc->start_time, err) &&
		bkc_fields_end(&f, err) &&
		check_begin(doc, BKC_ERR_CORRUPT, err);
	return close_document(&f, ok, name, err);
}

/* ---- notes ---- */

static bool
check_verify(const BkcVerifyNote *note, BkcErrorCode code, BkcError *err)
{
	const uint64_t max = (uint64_t) BKC_JSON_INT_MAX;

	if (!bkc_label_valid(note->label))
		return impossible("label", code, err);
	if (note->time < 0)
		return impossible("time", code, err);
	if (!is_word(note->level))
		return impossible("level", code, err);
	if (note->files > max || note->bytes > max)
		return impossible("files", code, err);
	if (note->failures > max || (note->ok && note->failures != 0))
		return impossible("failures", code, err);
	return true;
}

bool
bkc_verifynote_encode(const BkcVerifyNote *note, BkcBuffer *out, BkcError *err)
{
	json_t	   *object;

	if (!check_array("label", note->label, sizeof(note->label), err) ||
		!check_array("level", note->level, sizeof(note->level), err) ||
		!check_array("failure", note->first_failure, sizeof(note->first_failure), err) ||
		!check_verify(note, BKC_ERR_INVALID, err))
		return false;
	object = json_pack("{}");
	return finish_encode(object, object != NULL &&
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

/* Notes inform and decide nothing, so fields of later versions are passed over. */
bool
bkc_verifynote_decode(const char *text, size_t len, const char *name,
					  BkcVerifyNote *note, BkcError *err)
{
	BkcFields	f = {0};
	bool		ok;

	memset(note, 0, sizeof(*note));
	ok = open_document(&f, "pg_backupctl_verify", text, len, err) &&
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
	return close_document(&f, ok, name, err);
}
