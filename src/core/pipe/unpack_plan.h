/*
 * unpack_plan.h
 *		Between the files of unpack.h: planning of a loaded backup.
 */
#ifndef BKC_PIPE_UNPACK_PLAN_H
#define BKC_PIPE_UNPACK_PLAN_H

#include "pipe/unpack.h"

#define BKC_UNIT_BYTES	((uint64_t) 16 * 1024 * 1024)
#define BKC_UNIT_FILES	4096

/* Sort packs; fill order, units and wal. */
extern bool bkc_backup_plan(BkcBackup *backup, BkcError *err);

/* The pack's record; NULL when the backup has no such pack. */
extern const BkcPackInfo *bkc_backup_find_pack(const BkcBackup *backup, uint32_t worker,
											   uint32_t number);

#endif							/* BKC_PIPE_UNPACK_PLAN_H */
