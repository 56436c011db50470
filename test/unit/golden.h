/*
 * golden.h
 *		A small repository of which copies stay in test/golden for ever, one for
 *		each version of the format.
 *
 * golden.c and golden_wal.c say what it holds, golden_make.c and golden_make_wal.c write it with
 * the core, and golden_raw.c, golden_seal.c, golden_text.c, golden_check.c and golden_raw_wal.c
 * read it again without the core: they know nothing but FORMAT.md.
 * Nothing in the description may change once a copy is committed; a new version of the
 * format gets a description of its own.
 */
#ifndef GOLDEN_H
#define GOLDEN_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define GOLDEN_SYSID		UINT64_C(7435718529102938471)
#define GOLDEN_SYSID_TEXT	"7435718529102938471"
#define GOLDEN_LABEL		"20261120T120301Z-full-7f3a"
#define GOLDEN_BEGUN		"20261120T130000Z-full-0b1c"	/* was interrupted: no manifest */
#define GOLDEN_BACKUP		GOLDEN_SYSID_TEXT "/backups/" GOLDEN_LABEL
#define GOLDEN_ARCHIVED		"20261122T080000Z-full-a4c5"	/* its WAL is in the archive */
#define GOLDEN_HISTORY		"1\t0/2000A0\tno recovery target specified\n"
#define GOLDEN_BEGINS		3
#define GOLDEN_OWNERS		3
#define GOLDEN_MIB			((size_t) 1024 * 1024)

/* ---- what it holds ---- */

typedef enum GoldenData
{
	GOLDEN_TEXT,				/* text[] */
	GOLDEN_WORDS,				/* shrinks */
	GOLDEN_NOISE,				/* does not shrink */
	GOLDEN_PAGES,				/* pages of 8 kB, mostly empty */
	GOLDEN_SPAN,				/* words with noise at every MiB, so that packs fill up */
	GOLDEN_CONTROL,				/* a control file with a right checksum */
	GOLDEN_WAL					/* a WAL segment: one page header, then next to nothing */
} GoldenData;

typedef struct GoldenEntry
{
	const char *root;			/* as in the manifest */
	const char *path;
	const char *type;			/* "file" or "dir": nothing writes links yet */
	uint32_t	mode;
	int64_t		mtime;
	uint32_t	worker;			/* of files: whose packs they lie in */
	GoldenData	data;
	size_t		size;
	const char *text;
	uint32_t	bad_blocks[3];
	size_t		nbad_blocks;
} GoldenEntry;

/*
 * Entry i of the manifest, valid until the next call.  Behind those that show
 * something there are so many empty files that the manifest is more than one
 * frame.
 */
#define GOLDEN_EMPTY_FILES	6500

extern const size_t golden_nentries;
extern const GoldenEntry *golden_entry(size_t i);

/* The entries of the backup whose WAL is in the archive; all files in packs of worker 0. */
extern const size_t golden_narchived;
extern const GoldenEntry *golden_archived_entry(size_t i);

/* Codec of each worker's packs, by number as in FORMAT.md. */
#define GOLDEN_WORKERS	5
extern const uint8_t golden_codecs[GOLDEN_WORKERS];

/* The content of a file: malloc'ed, entry->size bytes. */
extern uint8_t *golden_content(const GoldenEntry *entry);

/*
 * The header, documents and notes as JSON: what FORMAT.md says they look
 * like.  name is that of the object without the system identifier.
 */
typedef struct GoldenDocument
{
	const char *name;
	uint16_t	kind;
	const char *json;
} GoldenDocument;

extern const GoldenDocument golden_documents[];
extern const size_t golden_ndocuments;
extern const char golden_header[];
extern const char golden_archived_header[];

/*
 * ---- WAL ----
 *
 * Segments of 1 MiB.  Timeline 1 ends in segment 2, which is there as a partial one; the
 * archive of timeline 2 has segments 3 and 4, of which the latter was disputed twice; segment 5
 * is open: three generations have chunks of it, and one reaches farthest without disagreeing.
 */
typedef struct GoldenWal
{
	const char *name;			/* of the object, below "<system identifier>/wal/" */
	uint16_t	kind;
	uint8_t		codec;			/* it is stored with, by number as in FORMAT.md */
	int			variant;		/* of the content */
	uint64_t	generation;		/* of chunks */
	size_t		offset;			/* likewise */
	size_t		size;
	const char *json;			/* info frame */
} GoldenWal;

extern const GoldenWal golden_wal[];
extern const size_t golden_nwal;

/* The content of an object: malloc'ed. */
extern uint8_t *golden_wal_content(const GoldenWal *object);

/* What the chunks of GOLDEN_OPEN give together: so many bytes of that segment. */
#define GOLDEN_OPEN			"000000020000000000000005"
#define GOLDEN_OPEN_FOLDER	"/wal/00000002/00000000/" GOLDEN_OPEN ".chunks/"
#define GOLDEN_OPEN_SIZE	24876
#define GOLDEN_OPEN_TIME	"2026-11-22T09:00:20.000000Z"
extern void golden_open_segment(uint8_t out[GOLDEN_OPEN_SIZE]);

/*
 * ---- reading: FORMAT.md's part ----
 *
 * Functions return NULL, or what is wrong (a static buffer that the next
 * failure overwrites).
 */

extern const char *raw_wrong(const char *fmt,...) __attribute__((format(printf, 1, 2)));

/* Does the pattern (a literal) match the whole text? */
extern bool raw_matches(const char *text, const char *pattern);

#define RAW_U32		"(0|[1-9][0-9]{0,9})"
#define RAW_LABEL	"[0-9]{8}T[0-9]{6}Z-[a-z]{1,12}-[0-9a-f]{4}"

/* Names of the objects that this version writes. */
#define RAW_NAME	"[1-9][0-9]{0,19}/(cluster|backups/" RAW_LABEL "/(begin|manifest|" \
	"data/" RAW_U32 "-" RAW_U32 "[.]pack|notes/[0-9]{8}T[0-9]{9}Z-[a-z]{1,16}))"

#define RAW_WAL_NAME "[1-9][0-9]{0,19}/wal/(" \
	"[0-9A-F]{8}[.]history([.]conflict-[0-9a-f]{16})?|[0-9A-F]{8}/[0-9A-F]{8}/[0-9A-F]{24}(" \
	"([.][0-9A-F]{8}[.]backup)?([.]conflict-[0-9a-f]{16})?|[.]partial-[0-9a-f]{16}|" \
	"[.]chunks/[0-9a-f]{16}-[0-3][0-9a-f]{7}))"
#define RAW_KEY_NAME "[1-9][0-9]{0,19}/keys/[0-9a-f]{32}/[0-9a-f]{16}"
#define RAW_OWNER_NAME "[1-9][0-9]{0,19}/owner/[0-9]{8}"

#define RAW_STORED	2			/* a frame's flag */

typedef struct RawFrame
{
	size_t		offset;			/* of the header, in the object */
	uint32_t	stored_len;
	uint32_t	plain_len;
	uint8_t		type;
	uint8_t		flags;
	uint8_t		digest[16];
	uint8_t    *plain;
} RawFrame;

typedef struct RawObject
{
	char		name[256];
	uint16_t	kind;
	uint8_t		codec;
	bool		sealed;
	uint8_t		key[32];		/* of a sealed one's frames */
	size_t		size;			/* of the whole object */
	RawFrame   *frames;			/* those of type data only */
	size_t		nframes;
	char	   *info;			/* text of the info frame, NULL where there is none */
	size_t		info_len;
} RawObject;

/* golden_raw.c: all that can be said of an object by itself.  raw_free() in any case. */
extern const char *raw_parse(const char *name, int kind, const uint8_t *data, size_t len,
							 RawObject *object);
extern void raw_free(RawObject *object);

/*
 * golden_seal.c: where keys are looked for; the key of an object, by its envelope and name; a
 * frame's payload, opened in place; the hash in the names of partial and conflict objects.
 */
extern void raw_seal_root(const char *root);
extern const char *raw_object_key(const uint8_t *envelope, const char *name, uint8_t out[32]);
extern bool raw_unseal(const uint8_t key[32], const uint8_t *header, uint8_t *payload, size_t len);
extern const char *raw_names_hash(const char *name, const char *sha256, char out[17]);

/* The wrapping key of sealed golden repositories. */
#define GOLDEN_KEY	"0123456789abcdeffedcba987654321000112233445566778899aabbccddeeff"

/* Plain content of all data frames, malloc'ed and followed by a zero byte. */
extern char *raw_content(const RawObject *object, size_t *len);

/* golden_text.c: a document, one JSON object with exactly the keys of its kind. */
extern const char *raw_document(const char *text, size_t len, json_t **document);

typedef struct RawManifest
{
	json_t	   *header;
	json_t	   *entries;		/* lists of the lines */
	json_t	   *packs;
	json_t	   *trailer;
} RawManifest;

extern const char *raw_manifest(const char *text, size_t len, RawManifest *manifest);
extern void raw_manifest_free(RawManifest *manifest);

/* Value of a text, also in its "_hex" form: malloc'ed, NULL when it is not there. */
extern char *raw_text(const json_t *object, const char *key);

/* golden_check.c: the same out of files below the folder root ... */
extern const char *raw_load(const char *root, const char *name, int kind, RawObject *object);
extern const char *raw_load_document(const char *root, const char *name, int kind,
									 json_t **document);
extern const char *raw_load_manifest(const char *root, const char *name, RawManifest *manifest);

/* golden_raw_wal.c: a WAL object and what its info frame says; all of it is checked. */
extern const char *raw_load_wal(const char *root, const char *name, RawObject *object,
								json_t **info);

/*
 * The content of an open segment, joined from the chunks in a folder ("<sysid>/wal/.../<segment>.chunks/"):
 * malloc'ed.  *len = 0 when there is nothing from its beginning on.
 */
extern const char *raw_join_chunks(const char *root, const char *folder, uint8_t **bytes,
								   size_t *len);

/* The whole segment that holds the byte at an LSN is there, and nothing is wrong with it. */
extern const char *raw_archived(const char *root, const char *sysid, unsigned timeline,
								uint64_t lsn, uint64_t segment_size);

/* ... and everything in a repository, every byte of every file included. */
extern const char *raw_repository(const char *root, size_t *objects);

#endif							/* GOLDEN_H */
