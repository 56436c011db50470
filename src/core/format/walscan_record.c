/*
 * walscan_record.c
 *		What one WAL record says (contract: walscan_record.h).
 *
 * Layouts: access/xlogrecord.h, access/xact.h (xl_xact_commit, xl_xact_abort),
 * access/xlog_internal.h (xl_restore_point).  None of these records refers to
 * blocks, so that the main data begin right behind a few short headers.
 */
#include "format/walscan_record.h"

#include <string.h>

#include "base/bytes.h"

#define RMID_XLOG				0
#define RMID_XACT				1

#define XLOG_INFO_MASK			0xF0	/* the rest is XLogInsert's */
#define XLOG_RESTORE_POINT		0x70
#define XACT_OP_MASK			0x70
#define XACT_COMMIT				0x00
#define XACT_ABORT				0x20
#define XACT_COMMIT_PREPARED	0x30
#define XACT_ABORT_PREPARED		0x40
#define XACT_HAS_INFO			0x80

#define XINFO_HAS_DBINFO		(1U << 0)
#define XINFO_HAS_SUBXACTS		(1U << 1)
#define XINFO_HAS_RELFILENODES	(1U << 2)
#define XINFO_HAS_INVALS		(1U << 3)	/* commits only */
#define XINFO_HAS_TWOPHASE		(1U << 4)
#define XINFO_HAS_DROPPED_STATS	(1U << 8)
#define DBINFO_SIZE				8

#define ID_TOPLEVEL_XID			252
#define ID_ORIGIN				253
#define ID_DATA_LONG			254
#define ID_DATA_SHORT			255

#define MAGIC_17				0xD116
#define POINT_SIZE				72
#define USECS_1970_TO_2000		INT64_C(946684800000000)

/* What record->window is waiting for. */
enum
{
	STEP_DONE,
	STEP_ID,					/* of a header in front of the main data */
	STEP_SHORT,					/* length of the main data */
	STEP_LONG,					/* likewise */
	STEP_MAIN,					/* time, and what follows it */
	STEP_COUNT,					/* of an array */
	STEP_XID					/* of the prepared transaction */
};

/*
 * The arrays in front of a prepared transaction's xid, in their order: each
 * is a count and its elements.
 */
static const struct
{
	uint32_t	flag;
	uint32_t	size;			/* of an element, up to 17 ... */
	uint32_t	size_18;		/* ... and since 18 */
}			arrays[] = {
	{XINFO_HAS_SUBXACTS, 4, 4},
	{XINFO_HAS_RELFILENODES, 12, 12},
	{XINFO_HAS_DROPPED_STATS, 12, 16},	/* object ids have 64 bits */
	{XINFO_HAS_INVALS, 16, 16},
};

#define N_ARRAYS	(sizeof(arrays) / sizeof(arrays[0]))

/* A field that does not fit into the record is never waited for. */
static void
wait_for(BkcWalRecord *rec, uint64_t at, uint32_t len, int step)
{
	bool		inside = len > 0 && len <= BKC_WALRECORD_WINDOW && at + len <= rec->end;

	rec->at = at;
	rec->want = len;
	rec->have = 0;
	rec->step = inside ? step : STEP_DONE;
}

static void
set_time(BkcWalRecord *rec, const uint8_t *field)
{
	int64_t		since_2000 = (int64_t) bkc_get_u64(field);

	/* no clock says so, but whoever forges a record might */
	if (__builtin_add_overflow(since_2000, USECS_1970_TO_2000, &rec->time))
		rec->time = INT64_MAX;
}

static void
found(BkcWalRecord *rec)
{
	rec->known = true;
	rec->step = STEP_DONE;
}

/* A header in front of the main data. */
static void
step_id(BkcWalRecord *rec)
{
	switch (rec->window[0])
	{
		case ID_ORIGIN:
			wait_for(rec, rec->at + 3, 1, STEP_ID);
			break;
		case ID_TOPLEVEL_XID:
			wait_for(rec, rec->at + 5, 1, STEP_ID);
			break;
		case ID_DATA_SHORT:
			wait_for(rec, rec->at + 1, 1, STEP_SHORT);
			break;
		case ID_DATA_LONG:
			wait_for(rec, rec->at + 1, 4, STEP_LONG);
			break;
		default:
			rec->step = STEP_DONE;	/* nothing that we know */
	}
}

/* The main data are the rest of the record. */
static void
step_length(BkcWalRecord *rec, uint64_t len)
{
	uint64_t	at = rec->at + rec->want;
	uint32_t	need = rec->info & XACT_HAS_INFO ? 12 : 8;

	if (rec->type == BKC_WALRECORD_POINT)
		need = POINT_SIZE;
	wait_for(rec, at, need, STEP_MAIN);
	if (at + len != rec->end)
		rec->step = STEP_DONE;
}

/* On to the next array that there is, or to the xid behind them. */
static void
next_part(BkcWalRecord *rec, uint64_t at)
{
	while (rec->part < N_ARRAYS && (rec->xinfo & arrays[rec->part].flag) == 0)
		rec->part++;
	wait_for(rec, at, 4, rec->part < N_ARRAYS ? STEP_COUNT : STEP_XID);
}

static void
step_main(BkcWalRecord *rec)
{
	uint8_t		op = rec->info & XACT_OP_MASK;

	set_time(rec, rec->window);
	if (rec->type == BKC_WALRECORD_POINT)
	{
		memcpy(rec->name, rec->window + 8, sizeof(rec->name));
		rec->name[sizeof(rec->name) - 1] = '\0';
		found(rec);
		return;
	}
	if (op != XACT_COMMIT_PREPARED && op != XACT_ABORT_PREPARED)
	{
		found(rec);
		return;
	}

	/* the record's own xid is not that of the prepared transaction */
	rec->xid = 0;
	rec->xinfo = rec->info & XACT_HAS_INFO ? bkc_get_u32(rec->window + 8) : 0;
	if (!rec->commit)
		rec->xinfo &= ~XINFO_HAS_INVALS;
	if (rec->xinfo & XINFO_HAS_TWOPHASE)
		next_part(rec, rec->at + 12 + (rec->xinfo & XINFO_HAS_DBINFO ? DBINFO_SIZE : 0));
	else
		found(rec);
}

static void
step_count(BkcWalRecord *rec)
{
	uint64_t	size = rec->magic > MAGIC_17 ? arrays[rec->part].size_18 : arrays[rec->part].size;
	uint64_t	count = bkc_get_u32(rec->window);

	rec->part++;
	next_part(rec, rec->at + 4 + count * size);
}

static void
step(BkcWalRecord *rec)
{
	switch (rec->step)
	{
		case STEP_ID:
			step_id(rec);
			break;
		case STEP_SHORT:
			step_length(rec, rec->window[0]);
			break;
		case STEP_LONG:
			step_length(rec, bkc_get_u32(rec->window));
			break;
		case STEP_MAIN:
			step_main(rec);
			break;
		case STEP_COUNT:
			step_count(rec);
			break;
		case STEP_XID:
			rec->xid = bkc_get_u32(rec->window);
			found(rec);
			break;
	}
}

static BkcWalRecordType
type_of(uint8_t rmid, uint8_t info, bool *commit)
{
	uint8_t		op = info & XACT_OP_MASK;

	*commit = op == XACT_COMMIT || op == XACT_COMMIT_PREPARED;
	if (rmid == RMID_XACT && (*commit || op == XACT_ABORT || op == XACT_ABORT_PREPARED))
		return BKC_WALRECORD_XACT;
	if (rmid == RMID_XLOG && (info & XLOG_INFO_MASK) == XLOG_RESTORE_POINT)
		return BKC_WALRECORD_POINT;
	return BKC_WALRECORD_OTHER;
}

void
bkc_walrecord_begin(BkcWalRecord *rec, const uint8_t header[BKC_WALRECORD_HEADER], uint16_t magic)
{
	rec->info = header[16];
	rec->type = type_of(header[17], rec->info, &rec->commit);
	rec->known = false;
	rec->step = STEP_DONE;
	if (rec->type == BKC_WALRECORD_OTHER)
		return;
	rec->end = bkc_get_u32(header);
	rec->xid = bkc_get_u32(header + 4);
	rec->time = 0;
	rec->name[0] = '\0';
	rec->xinfo = 0;
	rec->part = 0;
	rec->magic = magic;
	wait_for(rec, BKC_WALRECORD_HEADER, 1, STEP_ID);
}

void
bkc_walrecord_feed(BkcWalRecord *rec, uint32_t at, const uint8_t *data, size_t len)
{
	while (rec->step != STEP_DONE)
	{
		uint64_t	next = rec->at + rec->have;
		size_t		skip;
		uint32_t	n;

		/* fields are asked for in their order, so next is never behind us */
		if (next < at || next - at >= len)
			return;
		skip = (size_t) (next - at);
		n = rec->want - rec->have;
		if (n > len - skip)
			n = (uint32_t) (len - skip);
		memcpy(rec->window + rec->have, data + skip, n);
		rec->have += n;
		if (rec->have < rec->want)
			return;
		step(rec);
	}
}
