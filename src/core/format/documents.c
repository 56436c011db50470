/*
 * documents.c
 *		The small JSON objects: cluster, begin, owners; notes are in notes.c
 *		(contract: documents.h; fields: FORMAT.md, "Documents" and "Ownership").
 */
#include "format/documents.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "format/fields.h"
#include "format/names.h"

#define DOCUMENT_VERSION	1

/* ---- what the documents share ---- */

static bool
is_owner_id(const char *text)
{
	size_t		len = strspn(text, "0123456789abcdef");

	return len > 0 && text[len] == '\0';
}

/* ---- cluster ---- */

static bool
check_cluster(const BkcClusterDoc *doc, BkcErrorCode code, BkcError *err)
{
	if (doc->system_identifier == 0)
		return bkc_fields_impossible("system_identifier", code, err);
	if (doc->created < 0)
		return bkc_fields_impossible("created", code, err);
	return true;
}

bool
bkc_clusterdoc_encode(const BkcClusterDoc *doc, BkcBuffer *out, BkcError *err)
{
	json_t	   *object;

	if (!bkc_fields_check_array("cluster name", doc->name, sizeof(doc->name), err) ||
		!check_cluster(doc, BKC_ERR_INVALID, err))
		return false;
	object = json_pack("{}");
	return bkc_fields_finish(object, object != NULL &&
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
	ok = bkc_fields_open(&f, "pg_backupctl_cluster", DOCUMENT_VERSION, text, len, err) &&
		bkc_fields_sysid(&f, "system_identifier", &doc->system_identifier, err) &&
		bkc_fields_array(&f, "name", doc->name, sizeof(doc->name), err) &&
		bkc_fields_u32(&f, "pg_version_num", &doc->pg_version_num, err) &&
		bkc_fields_time(&f, "created", &doc->created, err) &&
		bkc_fields_end(&f, err) &&
		check_cluster(doc, BKC_ERR_CORRUPT, err);
	return bkc_fields_close(&f, ok, name, err);
}

/* ---- begin ---- */

static bool
check_begin(const BkcBeginDoc *doc, BkcErrorCode code, BkcError *err)
{
	if (!bkc_label_valid(doc->label))
		return bkc_fields_impossible("label", code, err);
	if (!bkc_fields_is_word(doc->type))
		return bkc_fields_impossible("type", code, err);
	if (doc->parent[0] != '\0' && !bkc_label_valid(doc->parent))
		return bkc_fields_impossible("parent", code, err);
	if (doc->system_identifier == 0)
		return bkc_fields_impossible("system_identifier", code, err);
	/* without an owner nobody, or everybody, could sweep the backup */
	if (!is_owner_id(doc->owner))
		return bkc_fields_impossible("owner", code, err);
	if (doc->start_time < 0)
		return bkc_fields_impossible("start_time", code, err);
	return true;
}

bool
bkc_begindoc_encode(const BkcBeginDoc *doc, BkcBuffer *out, BkcError *err)
{
	char		key[BKC_KEY_ID_HEX];
	json_t	   *object;

	if (!bkc_fields_check_array("label", doc->label, sizeof(doc->label), err) ||
		!bkc_fields_check_array("type", doc->type, sizeof(doc->type), err) ||
		!bkc_fields_check_array("parent", doc->parent, sizeof(doc->parent), err) ||
		!bkc_fields_check_array("owner", doc->owner, sizeof(doc->owner), err) ||
		!bkc_fields_check_array("host", doc->host, sizeof(doc->host), err) ||
		!check_begin(doc, BKC_ERR_INVALID, err))
		return false;
	bkc_hex_encode(doc->data_key, BKC_KEY_ID_SIZE, key);
	object = json_pack("{}");
	return bkc_fields_finish(object, object != NULL &&
							 bkc_fields_put_int(object, "pg_backupctl_begin", DOCUMENT_VERSION) &&
							 bkc_fields_put_text(object, "label", doc->label) &&
							 bkc_fields_put_text(object, "type", doc->type) &&
							 (doc->parent[0] == '\0' ||
							  bkc_fields_put_text(object, "parent", doc->parent)) &&
							 bkc_fields_put_sysid(object, "system_identifier",
												  doc->system_identifier) &&
							 bkc_fields_put_text(object, "owner", doc->owner) &&
							 bkc_fields_put_text(object, "host", doc->host) &&
							 bkc_fields_put_time(object, "start_time", doc->start_time) &&
							 (!doc->sealed || bkc_fields_put_text(object, "data_key", key)),
							 out, err);
}

static bool
read_data_key(BkcFields *f, BkcBeginDoc *doc, BkcError *err)
{
	doc->sealed = json_object_get(f->object, "data_key") != NULL;
	return !doc->sealed || bkc_fields_hex(f, "data_key", doc->data_key, BKC_KEY_ID_SIZE, err);
}

bool
bkc_begindoc_decode(const char *text, size_t len, const char *name,
					BkcBeginDoc *doc, BkcError *err)
{
	BkcFields	f = {0};
	bool		ok;

	memset(doc, 0, sizeof(*doc));
	ok = bkc_fields_open(&f, "pg_backupctl_begin", DOCUMENT_VERSION, text, len, err) &&
		bkc_fields_array(&f, "label", doc->label, sizeof(doc->label), err) &&
		bkc_fields_array(&f, "type", doc->type, sizeof(doc->type), err) &&
		(json_object_get(f.object, "parent") == NULL ||
		 bkc_fields_array(&f, "parent", doc->parent, sizeof(doc->parent), err)) &&
		bkc_fields_sysid(&f, "system_identifier", &doc->system_identifier, err) &&
		bkc_fields_array(&f, "owner", doc->owner, sizeof(doc->owner), err) &&
		bkc_fields_array(&f, "host", doc->host, sizeof(doc->host), err) &&
		bkc_fields_time(&f, "start_time", &doc->start_time, err) &&
		read_data_key(&f, doc, err) &&
		bkc_fields_end(&f, err) &&
		check_begin(doc, BKC_ERR_CORRUPT, err);
	return bkc_fields_close(&f, ok, name, err);
}

/* ---- owners ---- */

static bool
check_owner(const BkcOwnerDoc *doc, BkcErrorCode code, BkcError *err)
{
	if (doc->number == 0 || doc->number > BKC_OWNER_NUMBER_MAX)
		return bkc_fields_impossible("number", code, err);
	if (doc->system_identifier == 0)
		return bkc_fields_impossible("system_identifier", code, err);
	if (!is_owner_id(doc->owner))
		return bkc_fields_impossible("owner", code, err);
	if (doc->data_directory[0] != '/')
		return bkc_fields_impossible("data_directory", code, err);
	if (doc->timeline == 0)
		return bkc_fields_impossible("timeline", code, err);
	if (doc->session == 0)
		return bkc_fields_impossible("session", code, err);
	if (doc->time < 0)
		return bkc_fields_impossible("time", code, err);
	if (!bkc_fields_is_word(doc->reason))
		return bkc_fields_impossible("reason", code, err);
	if ((doc->successor != 0) != (strcmp(doc->reason, "adopted") == 0) ||
		doc->successor == doc->system_identifier)
		return bkc_fields_impossible("successor", code, err);
	return true;
}

static bool
put_session(json_t *object, uint64_t session)
{
	char		text[17];

	snprintf(text, sizeof(text), "%016" PRIx64, session);
	return bkc_fields_put_text(object, "session", text);
}

static bool
get_session(BkcFields *f, uint64_t *session, BkcError *err)
{
	uint8_t		bytes[8];

	if (!bkc_fields_hex(f, "session", bytes, sizeof(bytes), err))
		return false;
	*session = 0;
	for (size_t i = 0; i < sizeof(bytes); i++)
		*session = *session << 8 | bytes[i];
	return true;
}

/* The number says which object counts, so the two places it stands in must agree. */
static bool
check_owner_name(const BkcOwnerDoc *doc, const char *name, BkcError *err)
{
	char		expected[BKC_NAME_MAX];

	if (!bkc_name_owner(doc->system_identifier, doc->number, expected, err))
		return false;
	if (strcmp(name, expected) != 0)
		return bkc_error_set(err, BKC_ERR_CORRUPT, "content belongs to object \"%s\"", expected);
	return true;
}

bool
bkc_ownerdoc_encode(const BkcOwnerDoc *doc, BkcBuffer *out, BkcError *err)
{
	json_t	   *object;

	if (!bkc_fields_check_array("owner", doc->owner, sizeof(doc->owner), err) ||
		!bkc_fields_check_array("host", doc->host, sizeof(doc->host), err) ||
		!bkc_fields_check_array("data directory", doc->data_directory,
								sizeof(doc->data_directory), err) ||
		!bkc_fields_check_array("reason", doc->reason, sizeof(doc->reason), err) ||
		!bkc_fields_check_array("role", doc->by, sizeof(doc->by), err) ||
		!check_owner(doc, BKC_ERR_INVALID, err))
		return false;
	object = json_pack("{}");
	return bkc_fields_finish(object, object != NULL &&
							 bkc_fields_put_int(object, "pg_backupctl_owner", DOCUMENT_VERSION) &&
							 bkc_fields_put_sysid(object, "system_identifier",
												  doc->system_identifier) &&
							 bkc_fields_put_int(object, "number", doc->number) &&
							 bkc_fields_put_text(object, "owner", doc->owner) &&
							 bkc_fields_put_text(object, "host", doc->host) &&
							 bkc_fields_put_text(object, "data_directory",
												 doc->data_directory) &&
							 bkc_fields_put_int(object, "timeline", doc->timeline) &&
							 bkc_fields_put_lsn(object, "lsn", doc->lsn) &&
							 put_session(object, doc->session) &&
							 bkc_fields_put_time(object, "time", doc->time) &&
							 bkc_fields_put_text(object, "reason", doc->reason) &&
							 bkc_fields_put_text(object, "by", doc->by) &&
							 (doc->successor == 0 ||
							  bkc_fields_put_sysid(object, "successor", doc->successor)),
							 out, err);
}

bool
bkc_ownerdoc_decode(const char *text, size_t len, const char *name,
					BkcOwnerDoc *doc, BkcError *err)
{
	BkcFields	f = {0};
	bool		ok;

	memset(doc, 0, sizeof(*doc));
	ok = bkc_fields_open(&f, "pg_backupctl_owner", DOCUMENT_VERSION, text, len, err) &&
		bkc_fields_sysid(&f, "system_identifier", &doc->system_identifier, err) &&
		bkc_fields_u32(&f, "number", &doc->number, err) &&
		bkc_fields_array(&f, "owner", doc->owner, sizeof(doc->owner), err) &&
		bkc_fields_array(&f, "host", doc->host, sizeof(doc->host), err) &&
		bkc_fields_array(&f, "data_directory", doc->data_directory, sizeof(doc->data_directory),
						 err) &&
		bkc_fields_u32(&f, "timeline", &doc->timeline, err) &&
		bkc_fields_lsn(&f, "lsn", &doc->lsn, err) &&
		get_session(&f, &doc->session, err) &&
		bkc_fields_time(&f, "time", &doc->time, err) &&
		bkc_fields_array(&f, "reason", doc->reason, sizeof(doc->reason), err) &&
		bkc_fields_array(&f, "by", doc->by, sizeof(doc->by), err) &&
		(json_object_get(f.object, "successor") == NULL ||
		 bkc_fields_sysid(&f, "successor", &doc->successor, err)) &&
		bkc_fields_end(&f, err) &&
		check_owner(doc, BKC_ERR_CORRUPT, err) &&
		check_owner_name(doc, name, err);
	return bkc_fields_close(&f, ok, name, err);
}
