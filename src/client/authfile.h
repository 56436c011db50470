/*
 * authfile.h
 *		Reading pg_hba.conf, pg_ident.conf and the lists of names that they refer
 *		to: lines, and what in a line leads to another file.
 *
 * Follows the server's grammar (hba.c): a backslash at its end continues a
 * line, tokens are parted by blanks and commas and may be quoted with "",
 * @name stands for what is in a file, and since 16 a line of two fields may be
 * include, include_if_exists or include_dir and a name.
 */
#ifndef BKC_CLIENT_AUTHFILE_H
#define BKC_CLIENT_AUTHFILE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buffer.h"
#include "base/error.h"

typedef struct BkcAuthLine
{
	const char *raw;			/* as it stands, without its last newline */
	size_t		raw_len;
	BkcBuffer	text;			/* continuation lines joined */
} BkcAuthLine;

/* A zeroed one begins at text; bkc_auth_lines_free() may be called again. */
typedef struct BkcAuthLines
{
	const char *next;
	const char *end;
	BkcAuthLine line;
} BkcAuthLines;

/* text belongs to the caller and must live longer. */
extern void bkc_auth_lines_begin(BkcAuthLines *lines, const char *text, size_t len);

/* The next line into lines->line; *end = true when there is none. */
extern bool bkc_auth_lines_next(BkcAuthLines *lines, bool *end, BkcError *err);
extern void bkc_auth_lines_free(BkcAuthLines *lines);

/* A place in a line's text that names another file, or a folder of files. */
typedef struct BkcAuthReference
{
	size_t		from;			/* these bytes of the text ... */
	size_t		to;
	bool		at;				/* ... are @name; else the name of an include */
	bool		folder;			/* include_dir */
	BkcBuffer	name;			/* decoded */
} BkcAuthReference;

/* A zeroed one is empty. */
typedef struct BkcAuthReferences
{
	BkcAuthReference *items;
	size_t		count;
} BkcAuthReferences;

/*
 * All references of a line, in their order; what the list held is freed
 * first.  includes: does this server know them?
 */
extern bool bkc_auth_references(const BkcAuthLine *line, bool includes,
								BkcAuthReferences *references, BkcError *err);
extern void bkc_auth_references_free(BkcAuthReferences *references);

/* Append the reference with another name, quoted. */
extern bool bkc_auth_put_reference(BkcBuffer *out, const BkcAuthReference *reference,
								   const char *name, BkcError *err);

#endif							/* BKC_CLIENT_AUTHFILE_H */
