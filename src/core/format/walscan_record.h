/*
 * walscan_record.h
 *		What one WAL record says: when a transaction ended, or a restore point.
 *
 * The record's bytes come in pieces and are not kept: the reader knows where the next
 * field lies that it needs and lets everything else pass.  So a commit of
 * a million subtransactions needs no more memory than a small one.
 */
#ifndef BKC_FORMAT_WALSCAN_RECORD_H
#define BKC_FORMAT_WALSCAN_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BKC_WALRECORD_HEADER	24	/* XLogRecord */
#define BKC_WALRECORD_WINDOW	72	/* the largest field: a restore point's time and name */

typedef enum BkcWalRecordType
{
	BKC_WALRECORD_OTHER,		/* of no interest here */
	BKC_WALRECORD_XACT,
	BKC_WALRECORD_POINT
} BkcWalRecordType;

typedef struct BkcWalRecord
{
	BkcWalRecordType type;
	bool		known;			/* the following was found */
	bool		commit;			/* XACT */
	uint32_t	xid;			/* XACT */
	int64_t		time;			/* microseconds since 1970 */
	char		name[64];		/* POINT */

	/* private: the field that is waited for, by its offset from the record's start */
	int			step;
	uint64_t	at;
	uint32_t	want;
	uint32_t	have;
	uint32_t	end;			/* of the record */
	uint32_t	xinfo;
	uint16_t	magic;
	uint8_t		info;
	uint8_t		part;
	uint8_t		window[BKC_WALRECORD_WINDOW];
} BkcWalRecord;

/* header: the record's; magic: that of its page, it tells the version of PostgreSQL. */
extern void bkc_walrecord_begin(BkcWalRecord *rec, const uint8_t header[BKC_WALRECORD_HEADER],
								uint16_t magic);

/* The bytes behind the header, in order; at is their offset from the record's start. */
extern void bkc_walrecord_feed(BkcWalRecord *rec, uint32_t at, const uint8_t *data, size_t len);

#endif							/* BKC_FORMAT_WALSCAN_RECORD_H */
