/*
 * fields.h
 *		Reading and writing the fields of JSON objects (private to format/).
 *
 * Every reader takes the fields it knows one by one and then calls
 * bkc_fields_end(), which refuses what is left: so a field that this
 * version does not know can never be silently ignored.  Errors are
 * BKC_ERR_CORRUPT and name the field; callers add what object it was in.
 */
#ifndef BKC_FORMAT_FIELDS_H
#define BKC_FORMAT_FIELDS_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/error.h"

/* Integers beyond this lose digits in many JSON programs, so none is written or read. */
#define BKC_JSON_INT_MAX	(INT64_C(1) << 53)

#define BKC_FIELDS_MAX		32	/* more than any of our objects has */

typedef struct BkcFields
{
	json_t	   *object;
	const json_t *taken[BKC_FIELDS_MAX];	/* values found so far */
	size_t		ntaken;
	bool		owned;			/* object is released by bkc_fields_free() */
} BkcFields;

/* Exactly one JSON object, no key twice. */
extern bool bkc_fields_parse(BkcFields *f, const char *text, size_t len, BkcError *err);

/*
 * The same, and the field named for the kind of object holds its version: another
 * than the known one is BKC_ERR_UNSUPPORTED.
 */
extern bool bkc_fields_open(BkcFields *f, const char *kind, int known, const char *text,
							size_t len, BkcError *err);

/* An object inside another one, borrowed; what names it in the error when it is none. */
extern bool bkc_fields_nested(BkcFields *f, json_t *value, const char *what, BkcError *err);

/* A zeroed BkcFields is valid; free may be called again. */
extern void bkc_fields_free(BkcFields *f);

/* The value, borrowed, or NULL when there is no such field. */
extern json_t *bkc_fields_take(BkcFields *f, const char *key);

/* Required fields. */
extern bool bkc_fields_int(BkcFields *f, const char *key, int64_t min, int64_t max,
						   int64_t *out, BkcError *err);
extern bool bkc_fields_u32(BkcFields *f, const char *key, uint32_t *out, BkcError *err);
extern bool bkc_fields_u64(BkcFields *f, const char *key, uint64_t *out, BkcError *err);
extern bool bkc_fields_bool(BkcFields *f, const char *key, bool *out, BkcError *err);

/* Borrowed UTF-8 text. */
extern bool bkc_fields_string(BkcFields *f, const char *key, const char **out, BkcError *err);

/* Text copied into an array of that size; longer text is an error. */
extern bool bkc_fields_array(BkcFields *f, const char *key, char *out, size_t outlen,
							 BkcError *err);

/*
 * Text of any bytes but NUL, stored as key (UTF-8) or key_hex (anything
 * else); malloc'ed.  Not required: *out is NULL when there is neither.
 */
extern bool bkc_fields_text(BkcFields *f, const char *key, bool required, char **out,
							BkcError *err);

/* System identifier, LSN, time, SHA-256: strings, because their range or form asks for it. */
extern bool bkc_fields_sysid(BkcFields *f, const char *key, uint64_t *out, BkcError *err);
extern bool bkc_fields_lsn(BkcFields *f, const char *key, uint64_t *out, BkcError *err);
extern bool bkc_fields_time(BkcFields *f, const char *key, int64_t *out, BkcError *err);
extern bool bkc_fields_hex(BkcFields *f, const char *key, uint8_t *out, size_t len, BkcError *err);

/* Is nothing left?  The error names a field that is. */
extern bool bkc_fields_end(const BkcFields *f, BkcError *err);

/* "field ... has a value that is not possible"; returns false. */
extern bool bkc_fields_impossible(const char *key, BkcErrorCode code, BkcError *err);

/* An array that a caller filled must hold a text: BKC_ERR_INVALID when it has no end. */
extern bool bkc_fields_check_array(const char *what, const char *text, size_t size, BkcError *err);

/* ---- writing; each returns false only when out of memory (err is not set) ---- */

extern bool bkc_fields_put_text(json_t *object, const char *key, const char *text);
extern bool bkc_fields_put_int(json_t *object, const char *key, int64_t value);
extern bool bkc_fields_put_sysid(json_t *object, const char *key, uint64_t sysid);
extern bool bkc_fields_put_lsn(json_t *object, const char *key, uint64_t lsn);
extern bool bkc_fields_put_time(json_t *object, const char *key, int64_t usec);

/*
 * Append the object in compact form and release it.  complete = false: it could not be
 * put together, which is out of memory.
 */
extern bool bkc_fields_finish(json_t *object, bool complete, BkcBuffer *out, BkcError *err);

/* Append the object in compact form. */
extern bool bkc_fields_dump(const json_t *object, BkcBuffer *out, BkcError *err);

/* The end of reading a document: frees the fields; a failure is told with the object's name. */
extern bool bkc_fields_close(BkcFields *f, bool ok, const char *name, BkcError *err);

/* Lower case letters, at least one. */
extern bool bkc_fields_is_word(const char *text);

#endif							/* BKC_FORMAT_FIELDS_H */
