/*
 * names.h
 *		Object names below a repository's URL (FORMAT.md, "Names").
 *
 * Names consist of [A-Za-z0-9._-] components joined by '/'; they never begin
 * or end with '/', and no component is empty, "." or "..".
 * Functions fill a fixed array and cannot fail on valid input; invalid input
 * (a label that bkc_label_valid() refuses) is BKC_ERR_INVALID.
 */
#ifndef BKC_FORMAT_NAMES_H
#define BKC_FORMAT_NAMES_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

#define BKC_NAME_MAX	256		/* with the zero byte */

extern bool bkc_name_valid(const char *name);

/* <sysid>/cluster */
extern bool bkc_name_cluster(uint64_t sysid, char out[BKC_NAME_MAX], BkcError *err);

/* <sysid>/backups/ (a prefix: ends with '/') */
extern bool bkc_name_backups(uint64_t sysid, char out[BKC_NAME_MAX], BkcError *err);

/* <sysid>/backups/<label>/ (a prefix) */
extern bool bkc_name_backup(uint64_t sysid, const char *label, char out[BKC_NAME_MAX],
							 BkcError *err);
extern bool bkc_name_begin(uint64_t sysid, const char *label, char out[BKC_NAME_MAX],
							 BkcError *err);
extern bool bkc_name_manifest(uint64_t sysid, const char *label, char out[BKC_NAME_MAX],
							 BkcError *err);

/* <sysid>/backups/<label>/data/<worker>-<n>.pack */
extern bool bkc_name_pack(uint64_t sysid, const char *label, uint32_t worker, uint32_t n,
						  char out[BKC_NAME_MAX], BkcError *err);

/* <sysid>/backups/<label>/notes/<time>-<kind>; time is YYYYMMDDTHHMMSSmmmZ, kind [a-z]{1,16} */
extern bool bkc_name_note(uint64_t sysid, const char *label, int64_t now, const char *kind,
						  char out[BKC_NAME_MAX], BkcError *err);

/* First component of a name as a system identifier (decimal, no leading zero). */
extern bool bkc_name_parse_sysid(const char *component, uint64_t *sysid);

/* Last component of "<worker>-<n>.pack". */
extern bool bkc_name_parse_pack(const char *base, uint32_t *worker, uint32_t *n);

#endif							/* BKC_FORMAT_NAMES_H */
