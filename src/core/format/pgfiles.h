/*
 * pgfiles.h
 *		What the core knows of PostgreSQL's own files: WAL names, the control
 *		file's fields.  A test of the server build compares each with the
 *		server's headers and functions.
 */
#ifndef BKC_FORMAT_PGFILES_H
#define BKC_FORMAT_PGFILES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

#define BKC_WAL_NAME_MAX	64

/* 24 hex digits; segment size must be a power of two, 1 MB .. 1 GB. */
extern void bkc_wal_segment_name(uint32_t timeline, uint64_t segno, uint32_t segment_size,
								 char out[BKC_WAL_NAME_MAX]);
extern bool bkc_wal_segment_parse(const char *name, uint32_t segment_size,
								  uint32_t *timeline, uint64_t *segno);
extern void bkc_wal_history_name(uint32_t timeline, char out[BKC_WAL_NAME_MAX]);
extern bool bkc_wal_is_segment(const char *name);	/* 24 upper-case hex digits */
extern bool bkc_wal_is_history(const char *name);	/* 00000002.history */
extern bool bkc_wal_is_backup(const char *name);	/* <segment>.<8 hex digits>.backup */
extern bool bkc_wal_is_partial(const char *name);	/* <segment>.partial */

/* Timeline of a segment's or history file's name, 0 when it is neither. */
extern uint32_t bkc_wal_timeline(const char *name);

/*
 * A timeline's history: one entry for each ancestor, oldest first.  switch_lsn is where
 * the ancestor was left.  Comments and reasons are skipped.  BKC_ERR_CORRUPT
 * for anything that PostgreSQL would refuse, too.  An empty file has no entries;
 * *entries is malloc'ed, NULL when there are none.
 *
 * Switch points need not grow: a recovery to timeline 3 that stops before 2
 * forked off writes the history of 3 with its own, earlier point behind it.
 * Like PostgreSQL, look for a point from the newest timeline to the oldest:
 * an ancestor's part ends at the smallest of its own and all later switch points.
 */
typedef struct BkcHistoryEntry
{
	uint32_t	timeline;
	uint64_t	switch_lsn;
} BkcHistoryEntry;

extern bool bkc_wal_history_parse(const char *text, size_t len, uint32_t timeline,
								  BkcHistoryEntry **entries, size_t *n, BkcError *err);

/* Fields of global/pg_control (majors 15 to 19) that a restore needs. */
typedef struct BkcControl
{
	uint64_t	system_identifier;
	uint32_t	control_version;
	uint32_t	catalog_version;
	uint32_t	timeline;		/* of the last checkpoint */
	int			max_connections;
	int			max_worker_processes;
	int			max_wal_senders;
	int			max_prepared_xacts;
	int			max_locks_per_xact;
	uint32_t	block_size;
	uint32_t	wal_segment_size;
	uint32_t	data_checksum_version;
} BkcControl;

/*
 * BKC_ERR_CORRUPT when the CRC is wrong, BKC_ERR_UNSUPPORTED for an unknown
 * control_version.  Known are 1300 (13 to 16), 1700, 1800 and 1905 (19rc1).
 */
extern bool bkc_control_parse(const uint8_t *data, size_t len, BkcControl *control, BkcError *err);

/* CRC-32C as PostgreSQL computes it (init 0xFFFFFFFF, final xor). */
extern uint32_t bkc_crc32c(const void *data, size_t len);

#endif							/* BKC_FORMAT_PGFILES_H */
