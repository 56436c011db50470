/*
 * fuzz_walscan.c
 *		libFuzzer entry point: any bytes as WAL, and as one record of it.
 *
 * The first byte says in pieces of which size they come.  Records' CRCs would
 * keep a fuzzer out, so that what reads them is called by itself, too.
 */
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "format/walscan.h"
#include "format/walscan_record.h"

#define MB		(1024 * 1024)

extern int	LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
on_xact(void *arg, const BkcWalXact *xact, bool *stop)
{
	*stop = xact->xid == 1;
}

static void
on_point(void *arg, const BkcWalPoint *point, bool *stop)
{
	*stop = strlen(point->name) == 1;
}

static void
scan(const uint8_t *data, size_t size, size_t piece)
{
	BkcWalScanner *scanner;
	BkcError	err;

	/* the address that the first page names is taken as it is */
	if (size < 16 || !bkc_walscan_new(bkc_get_u64(data + 8) & ~(uint64_t) (MB - 1), MB,
									  on_xact, on_point, NULL, &scanner, &err))
		return;
	while (size > 0)
	{
		size_t		n = piece < size ? piece : size;

		if (!bkc_walscan_feed(scanner, data, n, &err))
			abort();
		data += n;
		size -= n;
	}
	(void) bkc_walscan_ended(scanner);
	(void) bkc_walscan_lsn(scanner);
	bkc_walscan_free(scanner);
}

static void
read_record(const uint8_t *data, size_t size, size_t piece, uint16_t magic)
{
	BkcWalRecord rec;
	size_t		at = BKC_WALRECORD_HEADER;

	if (size < BKC_WALRECORD_HEADER)
		return;
	bkc_walrecord_begin(&rec, data, magic);
	while (at < size)
	{
		size_t		n = piece < size - at ? piece : size - at;

		bkc_walrecord_feed(&rec, (uint32_t) at, data + at, n);
		at += n;
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t		piece;

	if (size < 1)
		return 0;
	piece = data[0] == 0 ? size : data[0];
	scan(data + 1, size - 1, piece);
	read_record(data + 1, size - 1, piece, 0xD110);
	read_record(data + 1, size - 1, piece, 0xD118);
	return 0;
}
