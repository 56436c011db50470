/*
 * manifest_write.c
 *		Manifest lines out of structs (contract: manifest.h; fields: FORMAT.md, "Manifest").
 */
#include "format/manifest.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/text.h"
#include "format/fields.h"
#include "format/manifest_rules.h"

#define PACK_ID_MAX		24		/* "<worker>-<number>" */

struct BkcManifestWriter
{
	BkcManifestRules rules;
};

BkcManifestWriter *
bkc_manifest_writer_new(BkcError *err)
{
	BkcManifestWriter *w = calloc(1, sizeof(*w));

	if (w == NULL)
	{
		bkc_error_oom(err);
		return NULL;
	}
	if (!bkc_manifest_rules_init(&w->rules, BKC_ERR_INVALID, err))
	{
		bkc_manifest_writer_free(w);
		return NULL;
	}
	return w;
}

void
bkc_manifest_writer_free(BkcManifestWriter *w)
{
	if (w == NULL)
		return;
	bkc_manifest_rules_free(&w->rules);
	free(w);
}

const BkcManifestTotals *
bkc_manifest_writer_totals(const BkcManifestWriter *w)
{
	return &w->rules.totals;
}

/*
 * Append one line and take it into the hash.  out is as before when this
 * fails, so that a caller who gives up never holds half a line.
 */
static bool
append_line(BkcManifestWriter *w, const json_t *object, BkcBuffer *out, BkcError *err)
{
	size_t		start = out->len;

	if (!bkc_fields_dump(object, out, err) || !bkc_buffer_append(out, "\n", 1, err))
		goto fail;
	if (out->len - start - 1 > BKC_MANIFEST_LINE_MAX)
	{
		bkc_error_set(err, BKC_ERR_INVALID, "manifest line of %zu bytes is too long",
					  out->len - start - 1);
		goto fail;
	}
	if (!bkc_sha256_update(w->rules.sha, out->data + start, out->len - start, err))
		goto fail;
	return true;

fail:
	if (out->len > start)
	{
		out->len = start;
		out->data[start] = '\0';
	}
	return false;
}

static bool
set_ascii(json_t *object, const char *key, const char *text)
{
	return json_object_set_new_nocheck(object, key, json_string_nocheck(text)) == 0;
}

static bool
set_pack_id(json_t *object, uint32_t worker, uint32_t number)
{
	char		id[PACK_ID_MAX];

	snprintf(id, sizeof(id), "%" PRIu32 "-%" PRIu32, worker, number);
	return set_ascii(object, "pack", id);
}

/* ---- header ---- */

static bool
set_tablespaces(json_t *object, const BkcManifestHeader *header)
{
	json_t	   *list = json_array();
	size_t		i;

	if (json_object_set_new_nocheck(object, "tablespaces", list) != 0)
		return false;
	for (i = 0; i < header->ntablespaces; i++)
	{
		const BkcTablespace *ts = &header->tablespaces[i];
		json_t	   *item = json_pack("{}");

		if (json_array_append_new(list, item) != 0 ||
			!bkc_fields_put_int(item, "oid", ts->oid) ||
			(ts->path != NULL && !bkc_fields_put_text(item, "path", ts->path)))
			return false;
	}
	return true;
}

/* Where the server's files were: what a restore needs to know of a foreign layout. */
static bool
set_server_files(json_t *o, const BkcManifestHeader *header)
{
	return (header->data_directory == NULL ||
			bkc_fields_put_text(o, "data_directory", header->data_directory)) &&
		(header->config_file == NULL ||
		 bkc_fields_put_text(o, "config_file", header->config_file)) &&
		(header->hba_file == NULL ||
		 bkc_fields_put_text(o, "hba_file", header->hba_file)) &&
		(header->ident_file == NULL ||
		 bkc_fields_put_text(o, "ident_file", header->ident_file));
}

static bool
set_header(json_t *o, const BkcManifestHeader *header)
{
	return bkc_fields_put_int(o, "pg_backupctl_manifest", BKC_MANIFEST_VERSION) &&
		set_ascii(o, "label", header->label) &&
		set_ascii(o, "type", header->type) &&
		(header->parent == NULL || set_ascii(o, "parent", header->parent)) &&
		bkc_fields_put_sysid(o, "system_identifier", header->system_identifier) &&
		bkc_fields_put_text(o, "cluster_name", header->cluster_name) &&
		bkc_fields_put_text(o, "host", header->host) &&
		set_server_files(o, header) &&
		bkc_fields_put_int(o, "pg_version_num", header->pg_version_num) &&
		bkc_fields_put_int(o, "catalog_version", header->catalog_version) &&
		bkc_fields_put_int(o, "control_version", header->control_version) &&
		bkc_fields_put_int(o, "block_size", header->block_size) &&
		bkc_fields_put_int(o, "segment_blocks", header->segment_blocks) &&
		bkc_fields_put_int(o, "wal_segment_size", header->wal_segment_size) &&
		json_object_set_new_nocheck(o, "data_checksums",
									json_boolean(header->data_checksums)) == 0 &&
		bkc_fields_put_time(o, "start_time", header->start_time) &&
		bkc_fields_put_time(o, "stop_time", header->stop_time) &&
		bkc_fields_put_int(o, "timeline", header->timeline) &&
		bkc_fields_put_lsn(o, "start_lsn", header->start_lsn) &&
		bkc_fields_put_lsn(o, "stop_lsn", header->stop_lsn) &&
		(!header->wal_in_archive || set_ascii(o, "wal", "archive")) &&
		bkc_fields_put_text(o, "backup_label", header->backup_label) &&
		(header->tablespace_map == NULL ||
		 bkc_fields_put_text(o, "tablespace_map", header->tablespace_map)) &&
		bkc_fields_put_text(o, "software", header->software) &&
		set_tablespaces(o, header);
}

bool
bkc_manifest_write_header(BkcManifestWriter *w, const BkcManifestHeader *header,
						  BkcBuffer *out, BkcError *err)
{
	json_t	   *object;
	bool		ok = false;

	if (!bkc_manifest_rules_header(&w->rules, header, err))
		return bkc_error_context(err, "manifest header");
	object = json_pack("{}");
	if (object == NULL || !set_header(object, header))
		bkc_error_oom(err);
	else
		ok = append_line(w, object, out, err);
	json_decref(object);
	return ok;
}

/* ---- entries ---- */

static bool
set_pieces(json_t *object, const BkcEntry *entry)
{
	json_t	   *list = json_array();
	size_t		i;

	if (json_object_set_new_nocheck(object, "pieces", list) != 0)
		return false;
	for (i = 0; i < entry->npieces; i++)
	{
		const BkcPiece *piece = &entry->pieces[i];
		json_t	   *item = json_pack("{}");

		if (json_array_append_new(list, item) != 0 ||
			(piece->label[0] != '\0' && !set_ascii(item, "label", piece->label)) ||
			!set_pack_id(item, piece->pack_worker, piece->pack_number) ||
			!bkc_fields_put_int(item, "first", piece->first_frame) ||
			!bkc_fields_put_int(item, "frames", piece->frame_count))
			return false;
	}
	return true;
}

static bool
set_bad_blocks(json_t *object, const BkcEntry *entry)
{
	json_t	   *list = json_array();
	size_t		i;

	if (json_object_set_new_nocheck(object, "bad_blocks", list) != 0)
		return false;
	for (i = 0; i < entry->nbad_blocks; i++)
	{
		if (json_array_append_new(list, json_integer(entry->bad_blocks[i])) != 0)
			return false;
	}
	return bkc_fields_put_int(object, "bad_block_count", (int64_t) entry->bad_block_count);
}

static bool
set_file(json_t *object, const BkcEntry *entry)
{
	char		hex[2 * BKC_SHA256_SIZE + 1];

	bkc_hex_encode(entry->sha256, BKC_SHA256_SIZE, hex);
	return bkc_fields_put_int(object, "size", (int64_t) entry->size) &&
		set_ascii(object, "sha256", hex) &&
		(entry->npieces == 0 || set_pieces(object, entry)) &&
		(entry->bad_block_count == 0 || set_bad_blocks(object, entry));
}

static bool
set_entry(json_t *object, const BkcEntry *entry)
{
	static const char *const types[] = {
		[BKC_ENTRY_FILE] = "file",
		[BKC_ENTRY_DIR] = "dir",
		[BKC_ENTRY_LINK] = "link",
	};
	char		root[32];
	char		mode[8];

	bkc_root_name(entry->root, entry->tablespace, root);
	snprintf(mode, sizeof(mode), "%04" PRIo32, entry->mode);
	return set_ascii(object, "root", root) &&
		bkc_fields_put_text(object, "path", entry->path) &&
		set_ascii(object, "type", types[entry->type]) &&
		set_ascii(object, "mode", mode) &&
		bkc_fields_put_int(object, "mtime", entry->mtime) &&
		(entry->type != BKC_ENTRY_LINK ||
		 bkc_fields_put_text(object, "target", entry->link_target)) &&
		(entry->type != BKC_ENTRY_FILE || set_file(object, entry));
}

bool
bkc_manifest_write_entry(BkcManifestWriter *w, const BkcEntry *entry, BkcBuffer *out,
						 BkcError *err)
{
	json_t	   *object;
	bool		ok = false;

	if (!bkc_manifest_rules_entry(&w->rules, entry, err))
		return bkc_error_context(err, "manifest entry \"%s\"", entry->path ? entry->path : "");
	object = json_pack("{}");
	if (object == NULL || !set_entry(object, entry))
		bkc_error_oom(err);
	else
		ok = append_line(w, object, out, err);
	json_decref(object);
	return ok;
}

/* ---- packs and trailer ---- */

bool
bkc_manifest_write_pack(BkcManifestWriter *w, const BkcPackInfo *pack, BkcBuffer *out,
						BkcError *err)
{
	json_t	   *object;
	bool		ok = false;

	if (!bkc_manifest_rules_pack(&w->rules, pack, err))
		return bkc_error_context(err, "manifest");
	object = json_pack("{}");
	if (object == NULL || !set_pack_id(object, pack->worker, pack->number) ||
		!bkc_fields_put_int(object, "size", (int64_t) pack->size) ||
		!bkc_fields_put_int(object, "frames", pack->frames))
		bkc_error_oom(err);
	else
		ok = append_line(w, object, out, err);
	json_decref(object);
	return ok;
}

static bool
set_trailer(json_t *object, const BkcManifestTotals *totals, const uint8_t *sha256)
{
	char		hex[2 * BKC_SHA256_SIZE + 1];

	bkc_hex_encode(sha256, BKC_SHA256_SIZE, hex);
	return json_object_set_new_nocheck(object, "end", json_true()) == 0 &&
		bkc_fields_put_int(object, "files", (int64_t) totals->files) &&
		bkc_fields_put_int(object, "dirs", (int64_t) totals->dirs) &&
		bkc_fields_put_int(object, "links", (int64_t) totals->links) &&
		bkc_fields_put_int(object, "packs", (int64_t) totals->packs) &&
		bkc_fields_put_int(object, "bytes", (int64_t) totals->bytes) &&
		bkc_fields_put_int(object, "stored_bytes", (int64_t) totals->stored_bytes) &&
		bkc_fields_put_int(object, "bad_blocks", (int64_t) totals->bad_blocks) &&
		set_ascii(object, "sha256", hex);
}

bool
bkc_manifest_write_trailer(BkcManifestWriter *w, BkcBuffer *out, BkcError *err)
{
	uint8_t		sha256[BKC_SHA256_SIZE];
	json_t	   *object;
	bool		ok = false;

	if (!bkc_manifest_rules_end(&w->rules, sha256, err))
		return bkc_error_context(err, "manifest");
	object = json_pack("{}");
	if (object == NULL || !set_trailer(object, &w->rules.totals, sha256))
		bkc_error_oom(err);
	else
		ok = bkc_fields_dump(object, out, err) && bkc_buffer_append(out, "\n", 1, err);
	json_decref(object);
	return ok;
}
