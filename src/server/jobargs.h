/*
 * jobargs.h
 *		What a job is asked to do, from SQL values.  All of it raises what is wrong.
 */
#ifndef BKC_SERVER_JOBARGS_H
#define BKC_SERVER_JOBARGS_H

#include "pgcompat.h"

#include "shared.h"
#include "utils/jsonb.h"

/* Defaults of everything. */
extern void bkc_jobargs_begin(BkcJobArgs *args, BkcJobKind kind, const char *requested_by);

/* "full", "expire", "verify", "wal-check". */
extern void bkc_jobargs_kind(BkcJobArgs *args, const char *type);

/* NULL values change nothing.  A repository must be a defined one. */
extern void bkc_jobargs_repository(BkcJobArgs *args, const char *name);
extern void bkc_jobargs_text(const char *what, const char *value, char *out, size_t size);

/* The JSON object of backup_now(options => ...). */
extern void bkc_jobargs_options(BkcJobArgs *args, Jsonb *options);

/* Last: what only all of them together can be wrong with. */
extern void bkc_jobargs_end(const BkcJobArgs *args);

#endif							/* BKC_SERVER_JOBARGS_H */
