/*
 * manifest_read.c
 *		Manifest lines into structs (contract: manifest.h; fields: FORMAT.md, "Manifest").
 *
 * A manifest may come from anywhere, so this file only takes lines apart;
 * that their content is possible is judged by manifest_rules.c.
 */
#include "format/manifest.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "format/fields.h"
#include "format/manifest_rules.h"
#include "format/names.h"

#define ROOT_TABLESPACE		"tablespace/"

struct BkcManifestReader
{
	BkcManifestRules rules;
	uint64_t	line;			/* number of the current line, from 1 */
	bool		failed;
	char		name[];
};

BkcManifestReader *
bkc_manifest_reader_new(const char *name, BkcError *err)
{
	size_t		len = strlen(name) + 1;
	BkcManifestReader *r = calloc(1, sizeof(*r) + len);

	if (r == NULL)
	{
		bkc_error_oom(err);
		return NULL;
	}
	memcpy(r->name, name, len);
	if (!bkc_manifest_rules_init(&r->rules, BKC_ERR_CORRUPT, err))
	{
		bkc_manifest_reader_free(r);
		return NULL;
	}
	return r;
}

void
bkc_manifest_reader_free(BkcManifestReader *r)
{
	if (r == NULL)
		return;
	bkc_manifest_rules_free(&r->rules);
	free(r);
}

const BkcManifestTotals *
bkc_manifest_reader_totals(const BkcManifestReader *r)
{
	return &r->rules.totals;
}

bool
bkc_manifest_reader_finish(BkcManifestReader *r, BkcError *err)
{
	if (r->failed || r->rules.phase != BKC_PHASE_DONE)
		return bkc_error_set(err, BKC_ERR_CORRUPT, "manifest \"%s\" ends before its trailer",
							 r->name);
	return true;
}

/* "<worker>-<number>": a pack's name without folder and suffix. */
static bool
parse_pack_id(const char *id, uint32_t *worker, uint32_t *number)
{
	char		base[32];
	size_t		len = strlen(id);

	if (len > sizeof(base) - sizeof(".pack"))
		return false;
	memcpy(base, id, len);
	memcpy(base + len, ".pack", sizeof(".pack"));
	return bkc_name_parse_pack(base, worker, number);
}

static bool
read_pack_id(BkcFields *f, uint32_t *worker, uint32_t *number, BkcError *err)
{
	const char *id;

	if (!bkc_fields_string(f, "pack", &id, err))
		return false;
	return parse_pack_id(id, worker, number) ||
		bkc_error_set(err, BKC_ERR_CORRUPT, "field \"pack\" is not the name of a pack");
}

/* ---- header ---- */

static bool
read_tablespaces(BkcFields *f, BkcManifestHeader *header, BkcError *err)
{
	json_t	   *list = bkc_fields_take(f, "tablespaces");
	size_t		n = json_array_size(list);
	size_t		i;

	if (!json_is_array(list))
		return bkc_error_set(err, BKC_ERR_CORRUPT, "field \"tablespaces\" is not a list");
	if (n == 0)
		return true;
	header->tablespaces = calloc(n, sizeof(BkcTablespace));
	if (header->tablespaces == NULL)
		return bkc_error_oom(err);
	header->ntablespaces = n;
	for (i = 0; i < n; i++)
	{
		BkcTablespace *ts = &header->tablespaces[i];
		BkcFields	item;

		if (!bkc_fields_nested(&item, json_array_get(list, i), "tablespaces", err) ||
			!bkc_fields_u32(&item, "oid", &ts->oid, err) ||
			!bkc_fields_text(&item, "path", false, &ts->path, err) ||
			!bkc_fields_end(&item, err))
			return false;
	}
	return true;
}

/* There is one value: without the key the WAL is in the backup. */
static bool
read_wal_place(BkcFields *f, BkcManifestHeader *header, BkcError *err)
{
	json_t	   *value = bkc_fields_take(f, "wal");

	header->wal_in_archive = value != NULL;
	if (value == NULL || (json_is_string(value) &&
						  strcmp(json_string_value(value), "archive") == 0))
		return true;
	return bkc_error_set(err, BKC_ERR_CORRUPT, "field \"wal\" is not \"archive\"");
}

static bool
read_header_fields(BkcFields *f, BkcManifestHeader *h, BkcError *err)
{
	return bkc_fields_array(f, "label", h->label, sizeof(h->label), err) &&
		bkc_fields_array(f, "type", h->type, sizeof(h->type), err) &&
		bkc_fields_text(f, "parent", false, &h->parent, err) &&
		bkc_fields_sysid(f, "system_identifier", &h->system_identifier, err) &&
		bkc_fields_text(f, "cluster_name", true, &h->cluster_name, err) &&
		bkc_fields_text(f, "host", true, &h->host, err) &&
		bkc_fields_text(f, "data_directory", false, &h->data_directory, err) &&
		bkc_fields_text(f, "config_file", false, &h->config_file, err) &&
		bkc_fields_text(f, "hba_file", false, &h->hba_file, err) &&
		bkc_fields_text(f, "ident_file", false, &h->ident_file, err) &&
		bkc_fields_u32(f, "pg_version_num", &h->pg_version_num, err) &&
		bkc_fields_u32(f, "catalog_version", &h->catalog_version, err) &&
		bkc_fields_u32(f, "control_version", &h->control_version, err) &&
		bkc_fields_u32(f, "block_size", &h->block_size, err) &&
		bkc_fields_u32(f, "segment_blocks", &h->segment_blocks, err) &&
		bkc_fields_u32(f, "wal_segment_size", &h->wal_segment_size, err) &&
		bkc_fields_bool(f, "data_checksums", &h->data_checksums, err) &&
		bkc_fields_time(f, "start_time", &h->start_time, err) &&
		bkc_fields_time(f, "stop_time", &h->stop_time, err) &&
		bkc_fields_u32(f, "timeline", &h->timeline, err) &&
		bkc_fields_lsn(f, "start_lsn", &h->start_lsn, err) &&
		bkc_fields_lsn(f, "stop_lsn", &h->stop_lsn, err) &&
		read_wal_place(f, h, err) &&
		bkc_fields_text(f, "backup_label", true, &h->backup_label, err) &&
		bkc_fields_text(f, "tablespace_map", false, &h->tablespace_map, err) &&
		bkc_fields_text(f, "software", true, &h->software, err) &&
		read_tablespaces(f, h, err) &&
		bkc_fields_end(f, err);
}

static bool
read_header(BkcManifestReader *r, BkcFields *f, BkcManifestHeader *header, BkcError *err)
{
	int64_t		version;

	if (json_object_get(f->object, "pg_backupctl_manifest") == NULL)
		return bkc_error_set(err, BKC_ERR_CORRUPT, "not the header of a manifest");
	if (!bkc_fields_int(f, "pg_backupctl_manifest", 1, INT32_MAX, &version, err))
		return false;
	/* before anything else: a later version may have other fields */
	if (version != BKC_MANIFEST_VERSION)
		return bkc_error_set(err, BKC_ERR_UNSUPPORTED,
							 "manifest version %" PRId64 ", this program knows version %d",
							 version, BKC_MANIFEST_VERSION);
	return read_header_fields(f, header, err) &&
		bkc_manifest_rules_header(&r->rules, header, err);
}

/* ---- entries ---- */

static bool
read_root(BkcFields *f, BkcEntry *entry, BkcError *err)
{
	const char *text;
	uint64_t	oid;

	if (!bkc_fields_string(f, "root", &text, err))
		return false;
	if (strcmp(text, "pgdata") == 0)
		entry->root = BKC_ROOT_PGDATA;
	else if (strcmp(text, "config") == 0)
		entry->root = BKC_ROOT_CONFIG;
	else if (strcmp(text, "wal") == 0)
		entry->root = BKC_ROOT_WAL;
	else if (strncmp(text, ROOT_TABLESPACE, strlen(ROOT_TABLESPACE)) == 0 &&
			 bkc_name_parse_sysid(text + strlen(ROOT_TABLESPACE), &oid) && oid <= UINT32_MAX)
	{
		/* an OID is written like a system identifier: decimal, not 0, no leading zero */
		entry->root = BKC_ROOT_TABLESPACE;
		entry->tablespace = (uint32_t) oid;
	}
	else
		return bkc_error_set(err, BKC_ERR_CORRUPT, "unknown root");
	return true;
}

/* Four octal digits. */
static bool
read_mode(BkcFields *f, uint32_t *mode, BkcError *err)
{
	const char *text;
	uint32_t	value = 0;
	int			i;

	if (!bkc_fields_string(f, "mode", &text, err))
		return false;
	for (i = 0; i < 4 && text[i] >= '0' && text[i] <= '7'; i++)
		value = value << 3 | (uint32_t) (text[i] - '0');
	if (i != 4 || text[4] != '\0')
		return bkc_error_set(err, BKC_ERR_CORRUPT, "field \"mode\" is not four octal digits");
	*mode = value;
	return true;
}

static bool
read_piece(json_t *value, BkcPiece *piece, BkcError *err)
{
	BkcFields	f;

	if (!bkc_fields_nested(&f, value, "pieces", err))
		return false;
	if (json_object_get(value, "label") != NULL)
	{
		if (!bkc_fields_array(&f, "label", piece->label, sizeof(piece->label), err))
			return false;
		if (piece->label[0] == '\0')
			return bkc_error_set(err, BKC_ERR_CORRUPT, "field \"label\" is empty");
	}
	return read_pack_id(&f, &piece->pack_worker, &piece->pack_number, err) &&
		bkc_fields_u32(&f, "first", &piece->first_frame, err) &&
		bkc_fields_u32(&f, "frames", &piece->frame_count, err) &&
		bkc_fields_end(&f, err);
}

static bool
read_pieces(BkcFields *f, BkcEntry *entry, BkcError *err)
{
	json_t	   *list = bkc_fields_take(f, "pieces");
	size_t		n = json_array_size(list);
	size_t		i;

	if (list == NULL)
		return true;
	if (n == 0)
		return bkc_error_set(err, BKC_ERR_CORRUPT, "field \"pieces\" is not a list with elements");
	entry->pieces = calloc(n, sizeof(BkcPiece));
	if (entry->pieces == NULL)
		return bkc_error_oom(err);
	entry->npieces = n;
	for (i = 0; i < n; i++)
	{
		if (!read_piece(json_array_get(list, i), &entry->pieces[i], err))
			return false;
	}
	return true;
}

static bool
read_bad_blocks(BkcFields *f, BkcEntry *entry, BkcError *err)
{
	json_t	   *list = bkc_fields_take(f, "bad_blocks");
	size_t		n = json_array_size(list);
	int64_t		count;
	size_t		i;

	if (list == NULL)
		return true;
	if (!json_is_array(list) || n > BKC_BAD_BLOCKS_MAX)
		return bkc_error_set(err, BKC_ERR_CORRUPT,
							 "field \"bad_blocks\" is not a list of at most %d",
							 BKC_BAD_BLOCKS_MAX);
	if (!bkc_fields_int(f, "bad_block_count", 1, BKC_JSON_INT_MAX, &count, err))
		return false;
	entry->bad_block_count = (uint64_t) count;
	if (n == 0)
		return true;
	entry->bad_blocks = calloc(n, sizeof(uint32_t));
	if (entry->bad_blocks == NULL)
		return bkc_error_oom(err);
	entry->nbad_blocks = n;
	for (i = 0; i < n; i++)
	{
		json_t	   *item = json_array_get(list, i);
		json_int_t	block = json_integer_value(item);

		if (!json_is_integer(item) || block < 0 || block > UINT32_MAX)
			return bkc_error_set(err, BKC_ERR_CORRUPT,
								 "element of \"bad_blocks\" is no block number");
		entry->bad_blocks[i] = (uint32_t) block;
	}
	return true;
}

static bool
read_type(BkcFields *f, BkcEntry *entry, BkcError *err)
{
	const char *text;

	if (!bkc_fields_string(f, "type", &text, err))
		return false;
	if (strcmp(text, "file") == 0)
	{
		entry->type = BKC_ENTRY_FILE;
		return bkc_fields_u64(f, "size", &entry->size, err) &&
			bkc_fields_hex(f, "sha256", entry->sha256, BKC_SHA256_SIZE, err) &&
			read_pieces(f, entry, err) &&
			read_bad_blocks(f, entry, err);
	}
	if (strcmp(text, "dir") == 0)
		entry->type = BKC_ENTRY_DIR;
	else if (strcmp(text, "link") == 0)
	{
		entry->type = BKC_ENTRY_LINK;
		return bkc_fields_text(f, "target", true, &entry->link_target, err);
	}
	else
		return bkc_error_set(err, BKC_ERR_CORRUPT, "unknown type of entry");
	return true;
}

static bool
read_entry(BkcManifestReader *r, BkcFields *f, BkcEntry *entry, BkcError *err)
{
	return read_root(f, entry, err) &&
		bkc_fields_text(f, "path", true, &entry->path, err) &&
		read_mode(f, &entry->mode, err) &&
		bkc_fields_int(f, "mtime", -BKC_JSON_INT_MAX, BKC_JSON_INT_MAX, &entry->mtime, err) &&
		read_type(f, entry, err) &&
		bkc_fields_end(f, err) &&
		bkc_manifest_rules_entry(&r->rules, entry, err);
}

/* ---- packs and trailer ---- */

static bool
read_pack(BkcManifestReader *r, BkcFields *f, BkcPackInfo *pack, BkcError *err)
{
	return read_pack_id(f, &pack->worker, &pack->number, err) &&
		bkc_fields_u64(f, "size", &pack->size, err) &&
		bkc_fields_u32(f, "frames", &pack->frames, err) &&
		bkc_fields_end(f, err) &&
		bkc_manifest_rules_pack(&r->rules, pack, err);
}

static bool
check_total(BkcFields *f, const char *key, uint64_t expected, BkcError *err)
{
	uint64_t	value;

	if (!bkc_fields_u64(f, key, &value, err))
		return false;
	if (value != expected)
		return bkc_error_set(err, BKC_ERR_CORRUPT, "trailer says %" PRIu64 " %s, lines before say %"
							 PRIu64, value, key, expected);
	return true;
}

static bool
read_trailer(BkcManifestReader *r, BkcFields *f, BkcError *err)
{
	const BkcManifestTotals *totals = &r->rules.totals;
	uint8_t		expected[BKC_SHA256_SIZE];
	uint8_t		sha256[BKC_SHA256_SIZE];
	bool		end;

	if (!bkc_fields_bool(f, "end", &end, err))
		return false;
	if (!end)
		return bkc_error_set(err, BKC_ERR_CORRUPT, "field \"end\" is not true");
	if (!check_total(f, "files", totals->files, err) ||
		!check_total(f, "dirs", totals->dirs, err) ||
		!check_total(f, "links", totals->links, err) ||
		!check_total(f, "packs", totals->packs, err) ||
		!check_total(f, "bytes", totals->bytes, err) ||
		!check_total(f, "stored_bytes", totals->stored_bytes, err) ||
		!check_total(f, "bad_blocks", totals->bad_blocks, err) ||
		!bkc_fields_hex(f, "sha256", expected, BKC_SHA256_SIZE, err) ||
		!bkc_fields_end(f, err) ||
		!bkc_manifest_rules_end(&r->rules, sha256, err))
		return false;
	if (memcmp(sha256, expected, BKC_SHA256_SIZE) != 0)
		return bkc_error_set(err, BKC_ERR_CORRUPT,
							 "lines before do not match the SHA-256 of the trailer");
	return true;
}

/* ---- lines ---- */

/* Which kind a line is: the header is always the first, others tell by a field. */
static bool
classify_line(const BkcManifestReader *r, const BkcFields *f, BkcManifestLine *kind, BkcError *err)
{
	if (r->rules.phase == BKC_PHASE_HEADER)
		*kind = BKC_LINE_HEADER;
	else if (json_object_get(f->object, "root") != NULL)
		*kind = BKC_LINE_ENTRY;
	else if (json_object_get(f->object, "pack") != NULL)
		*kind = BKC_LINE_PACK;
	else if (json_object_get(f->object, "end") != NULL)
		*kind = BKC_LINE_END;
	else
		return bkc_error_set(err, BKC_ERR_CORRUPT, "unknown kind of line");
	return true;
}

static bool
read_line(BkcManifestReader *r, const char *line, size_t len, BkcManifestLine *kind,
		  BkcManifestHeader *header, BkcEntry *entry, BkcPackInfo *pack, BkcError *err)
{
	BkcFields	f = {0};
	bool		ok = false;

	if (r->rules.phase == BKC_PHASE_DONE)
		return bkc_error_set(err, BKC_ERR_CORRUPT, "a line after the trailer");
	if (len > BKC_MANIFEST_LINE_MAX)
		return bkc_error_set(err, BKC_ERR_CORRUPT, "line is too long: %zu bytes", len);
	if (!bkc_fields_parse(&f, line, len, err) || !classify_line(r, &f, kind, err))
		goto done;

	/* the trailer's line is the only one that is not in the hash */
	if (*kind != BKC_LINE_END && (!bkc_sha256_update(r->rules.sha, line, len, err) ||
								  !bkc_sha256_update(r->rules.sha, "\n", 1, err)))
		goto done;
	switch (*kind)
	{
		case BKC_LINE_HEADER:
			bkc_manifest_header_free(header);
			ok = read_header(r, &f, header, err);
			break;
		case BKC_LINE_ENTRY:
			bkc_entry_free(entry);
			ok = read_entry(r, &f, entry, err);
			break;
		case BKC_LINE_PACK:
			memset(pack, 0, sizeof(*pack));
			ok = read_pack(r, &f, pack, err);
			break;
		case BKC_LINE_END:
			ok = read_trailer(r, &f, err);
			break;
	}

done:
	bkc_fields_free(&f);
	return ok;
}

bool
bkc_manifest_read_line(BkcManifestReader *r, const char *line, size_t len,
					   BkcManifestLine *kind, BkcManifestHeader *header,
					   BkcEntry *entry, BkcPackInfo *pack, BkcError *err)
{
	if (r->failed)
		return bkc_error_set(err, BKC_ERR_INTERNAL, "manifest \"%s\" is read on after an error",
							 r->name);
	r->line++;
	if (read_line(r, line, len, kind, header, entry, pack, err))
		return true;
	r->failed = true;
	return bkc_error_context(err, "manifest \"%s\", line %" PRIu64, r->name, r->line);
}
