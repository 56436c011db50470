/*
 * pgmanifest.c
 *		Writing backup_manifest, the file that pg_verifybackup reads.
 *
 * Its last line carries the SHA-256 of all bytes before it, so everything
 * passes through one buffer that is hashed when it is written.
 */
#include "pgmanifest.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/file.h"
#include "base/text.h"

#define FLUSH_AT	(256 * 1024)
#define MTIME_MAX	INT64_C(253402300799)	/* the end of the year 9999 */

struct BkcPgManifest
{
	int			fd;
	const char *path;
	BkcBuffer	out;
	BkcBuffer	name;
	BkcSha256  *hash;
	bool		first;
};

static bool
flush(BkcPgManifest *m, BkcError *err)
{
	if (!bkc_sha256_update(m->hash, bkc_buffer_str(&m->out), m->out.len, err) ||
		!bkc_file_write(m->fd, m->path, bkc_buffer_str(&m->out), m->out.len, err))
		return false;
	bkc_buffer_reset(&m->out);
	return true;
}

bool
bkc_pgmanifest_begin(int fd, const char *path, uint32_t pg_version_num,
					 uint64_t system_identifier, BkcPgManifest **manifest, BkcError *err)
{
	BkcPgManifest *m = calloc(1, sizeof(*m));

	*manifest = m;
	if (m == NULL)
		return bkc_error_oom(err);
	m->fd = fd;
	m->path = path;
	m->first = true;
	m->hash = bkc_sha256_new(err);
	if (m->hash == NULL || !bkc_sha256_begin(m->hash, err))
		return false;

	/* 15 and 16 read only version 1, since 17 both */
	if (pg_version_num < 170000)
		return bkc_buffer_append_str(&m->out, "{ \"PostgreSQL-Backup-Manifest-Version\": 1,\n"
									 "\"Files\": [", err);
	return bkc_buffer_printf(&m->out, err, "{ \"PostgreSQL-Backup-Manifest-Version\": 2,\n"
							 "\"System-Identifier\": %" PRIu64 ",\n\"Files\": [", system_identifier);
}

/* As the server's escape_json(). */
static bool
put_json(BkcBuffer *out, const char *text, size_t len, BkcError *err)
{
	bool		ok = bkc_buffer_append(out, "\"", 1, err);

	for (size_t i = 0; ok && i < len; i++)
	{
		unsigned char c = (unsigned char) text[i];
		static const char letters[] = "\b\f\n\r\t\"\\";
		static const char escapes[] = "bfnrt\"\\";
		const char *letter = c != '\0' ? strchr(letters, c) : NULL;

		if (letter != NULL)
			ok = bkc_buffer_printf(out, err, "\\%c", escapes[letter - letters]);
		else if (c < ' ')
			ok = bkc_buffer_printf(out, err, "\\u%04x", c);
		else
			ok = bkc_buffer_append(out, &text[i], 1, err);
	}
	return ok && bkc_buffer_append(out, "\"", 1, err);
}

static bool
put_path(BkcPgManifest *m, BkcError *err)
{
	const char *path = bkc_buffer_str(&m->name);
	char		hex[3];
	bool		ok;

	if (bkc_utf8_valid(path, m->name.len))
		return bkc_buffer_append_str(&m->out, "\"Path\": ", err) &&
			put_json(&m->out, path, m->name.len, err);
	ok = bkc_buffer_append_str(&m->out, "\"Encoded-Path\": \"", err);
	for (size_t i = 0; ok && i < m->name.len; i++)
	{
		bkc_hex_encode((const uint8_t *) path + i, 1, hex);
		ok = bkc_buffer_append_str(&m->out, hex, err);
	}
	return ok && bkc_buffer_append_str(&m->out, "\"", err);
}

bool
bkc_pgmanifest_file(BkcPgManifest *m, const char *dir, const char *name, uint64_t size,
					int64_t mtime, const uint8_t sha256[BKC_SHA256_SIZE], BkcError *err)
{
	char		time[40];
	char		hex[2 * BKC_SHA256_SIZE + 1];
	bool		ok;

	/* a hostile manifest may say anything; no real file is older or younger */
	if (mtime < 0 || mtime > MTIME_MAX)
		mtime = 0;
	bkc_format_time_gmt(mtime * 1000000, time, sizeof(time));
	bkc_hex_encode(sha256, BKC_SHA256_SIZE, hex);
	bkc_buffer_reset(&m->name);
	ok = bkc_buffer_printf(&m->name, err, "%s%s%s", dir, dir[0] != '\0' ? "/" : "", name) &&
		bkc_buffer_append_str(&m->out, m->first ? "\n{ " : ",\n{ ", err) &&
		put_path(m, err) &&
		bkc_buffer_printf(&m->out, err, ", \"Size\": %" PRIu64 ", \"Last-Modified\": \"%s\", "
						  "\"Checksum-Algorithm\": \"SHA256\", \"Checksum\": \"%s\" }",
						  size, time, hex);
	m->first = false;
	return ok && (m->out.len < FLUSH_AT || flush(m, err));
}

bool
bkc_pgmanifest_end(BkcPgManifest *m, uint32_t timeline, uint64_t start_lsn, uint64_t stop_lsn,
				   BkcError *err)
{
	uint8_t		sha256[BKC_SHA256_SIZE];
	char		hex[2 * BKC_SHA256_SIZE + 1];
	char		from[24];
	char		to[24];

	bkc_format_lsn(start_lsn, from, sizeof(from));
	bkc_format_lsn(stop_lsn, to, sizeof(to));
	if (!bkc_buffer_printf(&m->out, err, "\n],\n\"WAL-Ranges\": [\n"
						   "{ \"Timeline\": %u, \"Start-LSN\": \"%s\", \"End-LSN\": \"%s\" }\n],\n",
						   timeline, from, to) ||
		!flush(m, err) ||
		!bkc_sha256_end(m->hash, sha256, err))
		return false;
	bkc_hex_encode(sha256, sizeof(sha256), hex);
	return bkc_buffer_printf(&m->out, err, "\"Manifest-Checksum\": \"%s\"}\n", hex) &&
		bkc_file_write(m->fd, m->path, bkc_buffer_str(&m->out), m->out.len, err);
}

void
bkc_pgmanifest_free(BkcPgManifest *m)
{
	if (m == NULL)
		return;
	bkc_buffer_free(&m->out);
	bkc_buffer_free(&m->name);
	bkc_sha256_free(m->hash);
	free(m);
}
