/*
 * notes.c
 *		The notes beside a backup (contract: notes.h; FORMAT.md, "Notes").
 */
#include "pipe/notes.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/host.h"
#include "base/text.h"
#include "format/names.h"
#include "pipe/object.h"

#define TIME_LEN	19			/* 20261120T120301045Z */

typedef enum Kind
{
	KIND_VERIFY,
	KIND_SHRED,
	KIND_HOLD,
	KIND_RELEASE,
	KIND_CATALOG,
	NKINDS
} Kind;

static const char *const kinds[NKINDS] = {"verify", "shred", "hold", "release", "catalog"};

/* Names of the newest; names sort by time. */
typedef struct Newest
{
	char		names[NKINDS][BKC_NAME_MAX];
} Newest;

static bool
take_name(void *arg, const char *name, uint64_t size, BkcError *err)
{
	Newest	   *newest = arg;
	const char *base = strrchr(name, '/');

	if (base == NULL || strlen(base + 1) <= TIME_LEN + 1 || base[1 + TIME_LEN] != '-')
		return true;
	for (int i = 0; i < NKINDS; i++)
		if (strcmp(base + 1 + TIME_LEN + 1, kinds[i]) == 0 &&
			strcmp(name, newest->names[i]) > 0 && strlen(name) < BKC_NAME_MAX)
			memcpy(newest->names[i], name, strlen(name) + 1);
	return true;
}

static bool
decode(Kind kind, const BkcBuffer *text, const char *name, const char *label, BkcNotes *notes,
	   BkcHoldNote *hold, BkcError *err)
{
	const char *data = (const char *) text->data;
	const char *found = NULL;
	bool		ok = false;

	switch (kind)
	{
		case KIND_VERIFY:
			ok = bkc_verifynote_decode(data, text->len, name, &notes->verify, err);
			found = notes->verify.label;
			break;
		case KIND_SHRED:
			ok = bkc_shrednote_decode(data, text->len, name, &notes->shred, err);
			found = notes->shred.label;
			break;
		case KIND_HOLD:
		case KIND_RELEASE:
			ok = bkc_holdnote_decode(data, text->len, name, kind == KIND_HOLD, hold, err);
			found = hold->label;
			break;
		case KIND_CATALOG:
			ok = bkc_catalognote_decode(data, text->len, name, &notes->catalog, err);
			found = notes->catalog.label;
			break;
		default:
			break;
	}
	if (ok && strcmp(found, label) != 0)
		return bkc_error_set(err, BKC_ERR_CORRUPT, "object \"%s\" is a note of another backup",
							 name);
	return ok;
}

/* *found = false: there is none of that kind, or none that can be read (*damaged). */
static bool
read_note(BkcStore *store, Kind kind, const char *name, const char *label, BkcNotes *notes,
		  BkcHoldNote *hold, bool *found, bool *damaged, BkcError *err)
{
	BkcBuffer	text = {0};
	bool		ok;

	*found = *damaged = false;
	if (name[0] == '\0')
		return true;
	ok = bkc_host_check(err) &&
		bkc_document_get(store, name, BKC_KIND_NOTE, &text, err) &&
		decode(kind, &text, name, label, notes, hold, err);
	bkc_buffer_free(&text);
	if (ok)
	{
		*found = true;
		return true;
	}
	if (err->code == BKC_ERR_NOT_FOUND)
		return true;			/* removed meanwhile */
	if (err->code != BKC_ERR_CORRUPT && err->code != BKC_ERR_UNSUPPORTED)
		return false;
	bkc_log(BKC_LOG_WARNING, "a note is passed over: %s", err->message);
	notes->unreadable++;
	*damaged = true;
	return true;
}

/* Its name says when it was. */
static void
damaged_hold(const char *label, const char *name, BkcHoldNote *hold)
{
	const char *t = strrchr(name, '/') + 1;
	char		time[32];

	memset(hold, 0, sizeof(*hold));
	hold->held = true;
	snprintf(hold->label, sizeof(hold->label), "%s", label);
	snprintf(hold->reason, sizeof(hold->reason), "a hold whose note cannot be read");
	snprintf(hold->by, sizeof(hold->by), "unknown");
	snprintf(time, sizeof(time), "%.4s-%.2s-%.2sT%.2s:%.2s:%.2s.%.3s000Z", t, t + 4, t + 6, t + 9,
			 t + 11, t + 13, t + 15);
	if (!bkc_parse_time(time, &hold->time))
		hold->time = 0;
}

static bool
read_hold(BkcStore *store, const Newest *newest, const char *label, BkcNotes *notes, BkcError *err)
{
	BkcHoldNote release;
	bool		held;
	bool		released;
	bool		damaged;
	bool		ignored;

	if (!read_note(store, KIND_HOLD, newest->names[KIND_HOLD], label, notes, &notes->hold, &held,
				   &damaged, err) ||
		!read_note(store, KIND_RELEASE, newest->names[KIND_RELEASE], label, notes, &release,
				   &released, &ignored, err))
		return false;
	notes->has_hold = held || released || damaged;
	if (damaged)
		damaged_hold(label, newest->names[KIND_HOLD], &notes->hold);
	if (released && ((!held && !damaged) || release.time > notes->hold.time))
		notes->hold = release;
	return true;
}

bool
bkc_notes_load(BkcStore *store, uint64_t sysid, const char *label, BkcNotes *notes, BkcError *err)
{
	Newest		newest = {0};
	char		prefix[BKC_NAME_MAX];
	size_t		len;
	bool		ignored;

	memset(notes, 0, sizeof(*notes));
	if (!bkc_name_backup(sysid, label, prefix, err))
		return false;
	len = strlen(prefix);
	if (len + sizeof("notes/") > sizeof(prefix))
		return bkc_error_set(err, BKC_ERR_INVALID, "name of a backup is too long");
	memcpy(prefix + len, "notes/", sizeof("notes/"));
	if (bkc_store_list(store, prefix, false, take_name, &newest, err) &&
		read_note(store, KIND_VERIFY, newest.names[KIND_VERIFY], label, notes, NULL,
				  &notes->has_verify, &ignored, err) &&
		read_note(store, KIND_SHRED, newest.names[KIND_SHRED], label, notes, NULL,
				  &notes->has_shred, &ignored, err) &&
		read_hold(store, &newest, label, notes, err) &&
		read_note(store, KIND_CATALOG, newest.names[KIND_CATALOG], label, notes, NULL,
				  &notes->has_catalog, &ignored, err))
		return true;
	bkc_notes_free(notes);
	return false;
}

void
bkc_notes_free(BkcNotes *notes)
{
	bkc_catalognote_free(&notes->catalog);
	notes->has_catalog = false;
}

/* ---- writing ---- */

bool
bkc_notes_put_hold(BkcStore *store, uint64_t sysid, const BkcHoldNote *note, BkcError *err)
{
	BkcBuffer	text = {0};
	char		name[BKC_NAME_MAX];
	bool		ok;

	ok = bkc_name_note(sysid, note->label, note->time, kinds[note->held ? KIND_HOLD : KIND_RELEASE],
					   name, err) &&
		bkc_holdnote_encode(note, &text, err) &&
		bkc_document_put(store, name, BKC_KIND_NOTE, bkc_buffer_str(&text), text.len, err);
	bkc_buffer_free(&text);
	return ok;
}

bool
bkc_notes_put_catalog(BkcStore *store, uint64_t sysid, const BkcCatalogNote *note, BkcError *err)
{
	BkcBuffer	text = {0};
	char		name[BKC_NAME_MAX];
	bool		ok;

	ok = bkc_name_note(sysid, note->label, note->time, kinds[KIND_CATALOG], name, err) &&
		bkc_catalognote_encode(note, &text, err) &&
		bkc_document_put(store, name, BKC_KIND_NOTE, bkc_buffer_str(&text), text.len, err);
	bkc_buffer_free(&text);
	return ok;
}

/* ---- the repository's own holds ---- */

typedef struct Names
{
	BkcBuffer	text;			/* with their zero bytes, one behind the other */
} Names;

static bool
add_name(void *arg, const char *name, uint64_t size, BkcError *err)
{
	Names	   *names = arg;

	return bkc_buffer_append(&names->text, name, strlen(name) + 1, err);
}

bool
bkc_notes_hold_objects(BkcStore *store, uint64_t sysid, const char *label, bool on, BkcError *err)
{
	Names		names = {{0}};
	char		prefix[BKC_NAME_MAX];
	bool		ok;

	ok = bkc_name_backup(sysid, label, prefix, err) &&
		bkc_store_list(store, prefix, true, add_name, &names, err);
	for (size_t at = 0; ok && at < names.text.len;)
	{
		const char *name = (const char *) names.text.data + at;

		ok = bkc_host_check(err) && bkc_store_hold(store, name, on, err);
		at += strlen(name) + 1;
	}
	bkc_buffer_free(&names.text);
	return ok;
}
