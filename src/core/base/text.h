/*
 * text.h
 *		Small text helpers: hex, UTF-8, sizes and times as people write them,
 *		LSNs, shell quoting.
 */
#ifndef BKC_BASE_TEXT_H
#define BKC_BASE_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/error.h"

/* Lower-case hex of len bytes into out (2 * len + 1 bytes). */
extern void bkc_hex_encode(const uint8_t *data, size_t len, char *out);

/* Exactly len bytes from exactly 2 * len hex digits; false when text is anything else. */
extern bool bkc_hex_decode(const char *text, uint8_t *out, size_t len);

/* RFC 4648 with padding; out has 4 * ((len + 2) / 3) + 1 bytes. */
extern void bkc_base64_encode(const uint8_t *data, size_t len, char *out);

/*
 * Up to max bytes from the len characters of text, padding required, nothing else allowed in it
 * (no line breaks); false when it is anything else or too long.
 */
extern bool bkc_base64_decode(const char *text, size_t len, uint8_t *out, size_t max, size_t *got);

extern bool bkc_utf8_valid(const char *text, size_t len);

/*
 * How many of the len bytes of text to show when it should be at most max:
 * never half a UTF-8 character.  An int, for use with "%.*s".
 */
extern int	bkc_text_clip(const char *text, size_t len, size_t max);

/* "2868 MB", "512 bytes", "12 kB": by pg_size_pretty's rules.  out has at least 32 bytes. */
extern void bkc_format_size(uint64_t bytes, char *out, size_t outlen);

/* "512", "64kB", "10MB", "1GB" (1024-based, units as in postgresql.conf, case-sensitive). */
extern bool bkc_parse_size(const char *text, uint64_t *bytes, BkcError *err);

/* Whole-string decimal number without sign within [0, max]. */
extern bool bkc_parse_u64(const char *text, uint64_t max, uint64_t *value);

/* "2026-11-20T12:03:01.123456Z" from/to microseconds since 1970; out has at least 32 bytes. */
extern void bkc_format_time(int64_t usec, char *out, size_t outlen);
extern bool bkc_parse_time(const char *text, int64_t *usec);

/*
 * A point in time as people write it: "2026-11-20 12:03:01.5+01", date and time
 * separated by a space or "T", seconds and their fraction (up to six digits) may be
 * missing.  The zone may not: Z, UTC, GMT, +02, +0200, +02:00.  BKC_ERR_INVALID with a hint.
 */
extern bool bkc_parse_moment(const char *text, int64_t *usec, BkcError *err);

/* "2026-11-20 12:03:01.123456+00", as a setting; a fraction of zero is left out without full. */
extern void bkc_format_moment(int64_t usec, bool full, char *out, size_t outlen);

/* "2026-11-20 12:03:01 GMT", as backup_manifest wants it. */
extern void bkc_format_time_gmt(int64_t usec, char *out, size_t outlen);

/* "16/B374D848"; parses "%X/%X" and "%X/%08X".  out has at least 20 bytes. */
extern void bkc_format_lsn(uint64_t lsn, char *out, size_t outlen);
extern bool bkc_parse_lsn(const char *text, uint64_t *lsn);

/* Append text quoted for a POSIX shell ('...'), left bare when it needs no quoting. */
extern bool bkc_shell_quote(BkcBuffer *buf, const char *text, BkcError *err);

/*
 * Append text as the inside of a single-quoted postgresql.conf value (quote
 * and backslash doubled, line breaks as \n and \r).
 */
extern bool bkc_conf_quote(BkcBuffer *buf, const char *text, BkcError *err);

/* n random bytes from getrandom(2); never less. */
extern bool bkc_random(void *out, size_t n, BkcError *err);

#endif							/* BKC_BASE_TEXT_H */
