/*
 * manifest_sample.h
 *		Manifests for tests: parts, a whole one, and a reader for texts.
 *
 * Everything here fails the running test by itself when it cannot do its
 * work; include <cmocka.h> and what it needs before this file.
 */
#ifndef MANIFEST_SAMPLE_H
#define MANIFEST_SAMPLE_H

#include "format/envelope.h"
#include "format/manifest.h"

#define SAMPLE_NAME		"1/backups/x/manifest"
#define SAMPLE_LABEL	"20261120T120301Z-full-7f3a"
#define SAMPLE_OLDER	"20261119T120301Z-full-0000"
#define MIB				((uint64_t) BKC_FRAME_PLAIN_MAX)

extern char *sample_text_copy(const char *text);

/* The caller frees them. */
extern BkcManifestHeader sample_header(void);
extern BkcEntry sample_file_entry(const char *path, uint64_t size); /* in pack 1-0 from frame 0 */

/* Write one line; put_entry() frees the entry. */
extern void sample_put_header(BkcManifestWriter *w, BkcBuffer *out);
extern void sample_put_entry(BkcManifestWriter *w, BkcEntry entry, BkcBuffer *out);
extern void sample_put_pack(BkcManifestWriter *w, uint32_t worker, uint32_t number,
							uint32_t frames, BkcBuffer *out);

/* A whole manifest with one of each kind. */
extern void sample_manifest(BkcBuffer *out);

/* What a reader fills. */
typedef struct SampleLines
{
	BkcManifestHeader header;
	BkcEntry	entry;
	BkcPackInfo pack;
	BkcManifestLine kind;
} SampleLines;

extern void sample_free_lines(SampleLines *l);
extern bool sample_feed(BkcManifestReader *r, const char *line, size_t len, SampleLines *l,
						BkcError *err);

/* A whole text, cut at newlines as pipe/ does it. */
extern bool sample_read_text(const char *text, size_t len, BkcManifestTotals *totals,
							 BkcError *err);

#endif							/* MANIFEST_SAMPLE_H */
