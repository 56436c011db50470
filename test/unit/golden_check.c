/*
 * golden_check.c
 *		A whole repository, read by FORMAT.md alone: every object, and what
 *		objects say of one another.
 */
#include "golden.h"

#include <ftw.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define FRAME_BYTES		1048576

static char *
read_file(const char *path, size_t *len)
{
	FILE	   *file = fopen(path, "rb");
	struct stat st;
	char	   *data = NULL;

	if (file == NULL)
		return NULL;
	if (fstat(fileno(file), &st) == 0 && (data = malloc((size_t) st.st_size + 1)) != NULL)
	{
		*len = fread(data, 1, (size_t) st.st_size, file);
		if (*len != (size_t) st.st_size)
		{
			free(data);
			data = NULL;
		}
	}
	fclose(file);
	return data;
}

const char *
raw_load(const char *root, const char *name, int kind, RawObject *object)
{
	char		path[4096];
	const char *error;
	uint8_t    *data;
	size_t		len;

	memset(object, 0, sizeof(*object));
	raw_seal_root(root);
	snprintf(path, sizeof(path), "%s/%s", root, name);
	data = (uint8_t *) read_file(path, &len);
	if (data == NULL)
		return raw_wrong("%s cannot be read", name);
	error = raw_parse(name, kind, data, len, object);
	free(data);
	return error;
}

const char *
raw_load_document(const char *root, const char *name, int kind, json_t **document)
{
	RawObject	object;
	const char *error = raw_load(root, name, kind, &object);
	char	   *text;
	size_t		len;

	*document = NULL;
	if (error == NULL)
	{
		text = raw_content(&object, &len);
		error = text == NULL ? raw_wrong("out of memory") : raw_document(text, len, document);
		free(text);
	}
	raw_free(&object);
	return error;
}

const char *
raw_load_manifest(const char *root, const char *name, RawManifest *manifest)
{
	RawObject	object;
	const char *error = raw_load(root, name, 3, &object);
	char	   *text;
	size_t		len;

	memset(manifest, 0, sizeof(*manifest));
	if (error == NULL)
	{
		text = raw_content(&object, &len);
		error = text == NULL ? raw_wrong("out of memory") : raw_manifest(text, len, manifest);
		free(text);
	}
	raw_free(&object);
	return error;
}

/* ---- a backup ---- */

static const char *
string_of(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text == NULL ? "" : text;
}

static size_t
size_of(const json_t *object, const char *key)
{
	return (size_t) json_integer_value(json_object_get(object, key));
}

/* A file's pieces give its size and its SHA-256. */
static const char *
check_file(const json_t *entry, const RawObject *packs, const json_t *lines)
{
	const json_t *pieces = json_object_get(entry, "pieces");
	EVP_MD_CTX *sha = EVP_MD_CTX_new();
	size_t		left = size_of(entry, "size");
	unsigned char digest[EVP_MAX_MD_SIZE];
	char		hex[65];
	size_t		i;
	size_t		p;
	size_t		f;

	EVP_DigestInit_ex(sha, EVP_sha256(), NULL);
	for (i = 0; i < json_array_size(pieces); i++)
	{
		const json_t *piece = json_array_get(pieces, i);

		for (p = 0; p < json_array_size(lines); p++)
		{
			if (strcmp(string_of(json_array_get(lines, p), "pack"), string_of(piece, "pack")) == 0)
				break;
		}
		for (f = 0; f < size_of(piece, "frames"); f++)
		{
			const RawFrame *frame = &packs[p].frames[size_of(piece, "first") + f];

			/* only a file's last frame may be shorter */
			if (frame->plain_len != (left < FRAME_BYTES ? left : FRAME_BYTES))
			{
				EVP_MD_CTX_free(sha);
				return raw_wrong("a frame of %u bytes", frame->plain_len);
			}
			EVP_DigestUpdate(sha, frame->plain, frame->plain_len);
			left -= frame->plain_len;
		}
	}
	EVP_DigestFinal_ex(sha, digest, NULL);
	EVP_MD_CTX_free(sha);
	for (i = 0; i < 32; i++)
		snprintf(hex + 2 * i, 3, "%02x", digest[i]);
	return strcmp(hex, string_of(entry, "sha256")) == 0 ? NULL : raw_wrong("SHA-256");
}

static const char *
check_files(const RawManifest *m, const RawObject *packs)
{
	size_t		i;

	for (i = 0; i < json_array_size(m->entries); i++)
	{
		const json_t *entry = json_array_get(m->entries, i);
		const char *error;

		if (strcmp(string_of(entry, "type"), "file") != 0)
			continue;
		error = check_file(entry, packs, m->packs);
		if (error != NULL)
			return raw_wrong("file %s: %s", string_of(entry, "path"), error);
	}
	return NULL;
}

/* Packs are as the manifest says; all of them in memory at once. */
static const char *
check_packs(const char *root, const char *folder, const RawManifest *m, RawObject *packs)
{
	const char *error = NULL;
	size_t		i;

	for (i = 0; error == NULL && i < json_array_size(m->packs); i++)
	{
		const json_t *line = json_array_get(m->packs, i);
		char		name[512];

		snprintf(name, sizeof(name), "%sdata/%s.pack", folder, string_of(line, "pack"));
		error = raw_load(root, name, 4, &packs[i]);
		if (error != NULL)
			error = raw_wrong("%s: %s", name, error);
		else if (packs[i].size != size_of(line, "size") ||
				 packs[i].nframes != size_of(line, "frames"))
			error = raw_wrong("%s is not as the manifest says", name);
	}
	return error;
}

static uint64_t
lsn_of(const json_t *object, const char *key)
{
	unsigned	high = 0;
	unsigned	low = 0;

	(void) sscanf(string_of(object, key), "%X/%X", &high, &low);
	return (uint64_t) high << 32 | low;
}

/* Every segment that a backup needs is in the archive, if it relies on that. */
static const char *
check_archive(const char *root, const json_t *header, const char *sysid)
{
	uint64_t	segment_size = size_of(header, "wal_segment_size");
	uint64_t	lsn = lsn_of(header, "start_lsn");
	const char *error = NULL;

	if (json_object_get(header, "wal") == NULL)
		return NULL;
	for (lsn -= lsn % segment_size; error == NULL && lsn < lsn_of(header, "stop_lsn");
		 lsn += segment_size)
		error = raw_archived(root, sysid, (unsigned) size_of(header, "timeline"), lsn,
							 segment_size);
	return error;
}

static const char *
check_backup(const char *root, const char *name, const char *sysid, const char *label)
{
	RawManifest m;
	RawObject  *packs = NULL;
	const char *error = raw_load_manifest(root, name, &m);
	size_t		n = json_array_size(m.packs);
	char		folder[256];
	size_t		i;

	if (error != NULL)
		goto done;
	if (strcmp(string_of(m.header, "system_identifier"), sysid) != 0 ||
		strcmp(string_of(m.header, "label"), label) != 0)
	{
		error = raw_wrong("it belongs to another name");
		goto done;
	}
	if ((error = check_archive(root, m.header, sysid)) != NULL)
		goto done;
	packs = calloc(n + 1, sizeof(*packs));
	snprintf(folder, sizeof(folder), "%.*s", (int) (strrchr(name, '/') + 1 - name), name);
	error = packs == NULL ? raw_wrong("out of memory") : check_packs(root, folder, &m, packs);
	if (error == NULL)
		error = check_files(&m, packs);

done:
	for (i = 0; packs != NULL && i < n; i++)
		raw_free(&packs[i]);
	free(packs);
	raw_manifest_free(&m);
	return error;
}

/* ---- the whole ---- */

/* A document that says what its name says. */
static const char *
check_document(const char *root, const char *name, int kind, const char *sysid, const char *label)
{
	json_t	   *document;
	const char *error = raw_load_document(root, name, kind, &document);

	if (error == NULL && kind != 5 &&
		strcmp(string_of(document, "system_identifier"), sysid) != 0)
		error = raw_wrong("it belongs to another cluster");
	if (error == NULL && kind != 1 && strcmp(string_of(document, "label"), label) != 0)
		error = raw_wrong("it belongs to another backup");
	json_decref(document);
	return error;
}

static const char *
check_wal(const char *root, const char *name)
{
	RawObject	object;
	json_t	   *info;
	const char *error = raw_load_wal(root, name, &object, &info);

	json_decref(info);
	raw_free(&object);
	return error;
}

static const char *
check_owner(const char *root, const char *name)
{
	json_t	   *document;
	const char *error = raw_load_document(root, name, 9, &document);
	char		expected[64];

	if (error == NULL)
	{
		snprintf(expected, sizeof(expected), "%s/owner/%08zu",
				 string_of(document, "system_identifier"), size_of(document, "number"));
		if (strcmp(name, expected) != 0 || size_of(document, "number") == 0 ||
			size_of(document, "timeline") == 0)
			error = raw_wrong("it is not what its name says");
		else if (strspn(string_of(document, "session"), "0") == 16)
			error = raw_wrong("it has no session");
	}
	json_decref(document);
	return error;
}

static const char *
check_object(const char *root, const char *name)
{
	char		sysid[32];
	char		label[64];
	RawObject	object;
	const char *error;
	int			rest = 0;

	if (raw_matches(name, RAW_WAL_NAME))
		return check_wal(root, name);
	if (raw_matches(name, RAW_OWNER_NAME))
		return check_owner(root, name);
	if (raw_matches(name, RAW_KEY_NAME))
	{
		error = raw_load(root, name, 8, &object);
		raw_free(&object);
		return error;
	}
	if (!raw_matches(name, RAW_NAME))
		return raw_wrong("nothing has this name");
	if (sscanf(name, "%31[0-9]/backups/%63[^/]/%n", sysid, label, &rest) < 2)
		return check_document(root, name, 1, sysid, "");
	if (strcmp(name + rest, "begin") == 0)
		return check_document(root, name, 2, sysid, label);
	if (strcmp(name + rest, "manifest") == 0)
		return check_backup(root, name, sysid, label);
	if (strncmp(name + rest, "notes/", 6) == 0)
		return check_document(root, name, 5, sysid, label);
	error = raw_load(root, name, 4, &object);
	raw_free(&object);
	return error;
}

static const char *walk_root;
static const char *walk_error;
static size_t walk_objects;

static int
walk(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	const char *name = path + strlen(walk_root) + 1;
	const char *error;

	if (type == FTW_D)
		return 0;
	error = type == FTW_F ? check_object(walk_root, name) : raw_wrong("not a file");
	if (error != NULL)
	{
		walk_error = raw_wrong("%s: %s", name, error);
		return 1;
	}
	walk_objects++;
	return 0;
}

const char *
raw_repository(const char *root, size_t *objects)
{
	walk_root = root;
	walk_error = NULL;
	walk_objects = 0;
	if (nftw(root, walk, 16, FTW_PHYS) < 0)
		return raw_wrong("%s cannot be walked", root);
	*objects = walk_objects;
	return walk_error;
}
