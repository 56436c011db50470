/*
 * walusage.c
 *		See walusage.h.
 */
#include "pipe/walusage.h"

#include <string.h>

#include "format/names.h"

static bool
count(void *arg, const char *name, uint64_t size, BkcError *err)
{
	BkcWalUsage *usage = arg;

	usage->objects++;
	usage->bytes += size;
	return true;
}

bool
bkc_wal_usage(BkcStore *store, uint64_t sysid, BkcWalUsage *usage, BkcError *err)
{
	char		root[BKC_NAME_MAX];

	memset(usage, 0, sizeof(*usage));
	return bkc_name_wal_root(sysid, root, err) &&
		bkc_store_list(store, root, true, count, usage, err);
}
