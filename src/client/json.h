/*
 * json.h
 *		What --json prints: one object on standard output, with stable keys.
 *
 * Built with jansson.  Its constructors give NULL when memory is short, and
 * a NULL inside json_pack() makes the whole NULL, so that one check at the
 * end, in bkc_json_print(), is enough.
 */
#ifndef BKC_CLIENT_JSON_H
#define BKC_CLIENT_JSON_H

#include <jansson.h>
#include <stdint.h>

#include "base/error.h"

/* Any text: bytes that are not UTF-8 become U+FFFD.  NULL gives null. */
extern json_t *bkc_json_text(const char *text);

/* Numbers that do not fit a double (system identifiers) are strings. */
extern json_t *bkc_json_id(uint64_t value);
extern json_t *bkc_json_u64(uint64_t value);
extern json_t *bkc_json_time(int64_t usec);
extern json_t *bkc_json_lsn(uint64_t lsn);
extern json_t *bkc_json_seconds(int64_t usec);

/* {"status": "failed", "exit_status": N, "error": {...}} */
extern json_t *bkc_json_error(const BkcError *err, int status);

/* {"code", "message"} and, where there are any, "detail" and "hint" */
extern json_t *bkc_json_error_object(const BkcError *err);

/* Add and own value; NULL values mark the array or object as broken by returning false. */
extern bool bkc_json_append(json_t *array, json_t *value);
extern bool bkc_json_set(json_t *object, const char *key, json_t *value);

/* Prints the value and releases it; false when it is NULL. */
extern bool bkc_json_print(json_t *value);

#endif							/* BKC_CLIENT_JSON_H */
