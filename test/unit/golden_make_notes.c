/*
 * golden_make_notes.c
 *		Writes the golden repository of notes with the core.
 */
#include "golden_notes.h"

#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "format/names.h"
#include "golden_make.h"
#include "pipe/keycopies.h"
#include "pipe/object.h"

static bool
put_begin(BkcStore *store, const char *label, BkcError *err)
{
	BkcBeginDoc doc = {.type = "full", .system_identifier = GOLDEN_SYSID, .owner = "00ff",
		.host = "db1.example.org", .start_time = bkc_label_time(label)};
	BkcBuffer	text = {0};
	char		name[BKC_NAME_MAX];
	bool		ok;

	snprintf(doc.label, sizeof(doc.label), "%s", label);
	ok = bkc_name_begin(GOLDEN_SYSID, label, name, err) &&
		bkc_begindoc_encode(&doc, &text, err) &&
		bkc_document_put(store, name, BKC_KIND_BEGIN, bkc_buffer_str(&text), text.len, err);
	bkc_buffer_free(&text);
	return ok;
}

/* By way of the core's own structures, so that its writers are looked at. */
static bool
encode(BkcStore *store, const GoldenNote *note, BkcBuffer *out, BkcError *err)
{
	const char *kind = strrchr(note->name, '-') + 1;
	size_t		len = strlen(note->json);
	BkcVerifyNote verify;
	BkcHoldNote hold;
	BkcCatalogNote catalog;
	bool		held = strcmp(kind, "hold") == 0;
	bool		ok;

	if (note->more)
		return bkc_buffer_append(out, note->json, len, err);
	if (strcmp(kind, "verify") == 0)
		return bkc_verifynote_decode(note->json, len, note->name, &verify, err) &&
			bkc_verifynote_encode(&verify, out, err);
	if (held || strcmp(kind, "release") == 0)
		return bkc_holdnote_decode(note->json, len, note->name, held, &hold, err) &&
			bkc_holdnote_encode(&hold, out, err);
	if (strcmp(kind, "shred") == 0)
	{
		BkcShredNote shred = {.label = GOLDEN_RELEASED, .time = INT64_C(1795363200000000),
			.reason = "GDPR 17", .by = "dba"};
		bool		sealed;

		return bkc_repo_backup_key(store, GOLDEN_SYSID, note->label, &sealed, shred.data_key,
								   err) &&
			bkc_shrednote_encode(&shred, out, err);
	}
	if (!bkc_catalognote_decode(note->json, len, note->name, &catalog, err))
		return false;
	ok = bkc_catalognote_encode(&catalog, out, err);
	bkc_catalognote_free(&catalog);
	return ok;
}

static bool
put_note(BkcStore *store, const GoldenNote *note, BkcError *err)
{
	BkcBuffer	text = {0};
	char		name[BKC_NAME_MAX];
	bool		ok = encode(store, note, &text, err);

	snprintf(name, sizeof(name), GOLDEN_SYSID_TEXT "/backups/%s/notes/%s", note->label, note->name);
	ok = ok && bkc_document_put(store, name, BKC_KIND_NOTE, bkc_buffer_str(&text), text.len, err);
	bkc_buffer_free(&text);
	return ok;
}

bool
golden_make_notes(BkcStore *store, BkcError *err)
{
	BkcBuffer	text = {0};
	char		name[BKC_NAME_MAX];
	bool		ok = bkc_name_cluster(GOLDEN_SYSID, name, err) &&
		bkc_clusterdoc_encode(&golden_core_cluster, &text, err) &&
		bkc_document_put(store, name, BKC_KIND_CLUSTER, bkc_buffer_str(&text), text.len, err);

	bkc_buffer_free(&text);
	for (int i = 0; ok && i < GOLDEN_NOTED; i++)
		ok = put_begin(store, golden_noted[i], err) &&
			golden_make_small(store, golden_noted[i], err);
	for (size_t i = 0; ok && i < golden_nnotes; i++)
		ok = (golden_notes[i].sealed && store->keys == NULL) ||
			put_note(store, &golden_notes[i], err);
	return ok;
}
