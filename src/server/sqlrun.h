/*
 * sqlrun.h
 *		SQL from a process without a transaction (leaders): each access is a
 *		short transaction of its own, so that none spans other work.
 *
 *		bkc_sqlrun_begin();
 *		bkc_sqlrun_exec("SELECT name FROM %s.backup_schedule_entry", SPI_OK_SELECT, 0, NULL);
 *		for (uint64 i = 0; i < SPI_processed; i++)
 *			... bkc_sqlrun_value(i, 1) ...
 *		bkc_sqlrun_finish();
 *
 * All ereport; leader.c aborts the transaction after an error.  What is allocated in
 * between is gone after finish; results go into bkc_sqlrun_outer_context().
 */
#ifndef BKC_SERVER_SQLRUN_H
#define BKC_SERVER_SQLRUN_H

#include "pgcompat.h"

#include "executor/spi.h"

/* In a session, which has a transaction, it is that of the caller. */
extern void bkc_sqlrun_begin(void);
extern void bkc_sqlrun_finish(void);

/*
 * Run a statement in which every %s stands for the extension's schema, quoted; ERROR when it is not
 * installed.  values are the arguments as text, NULL = null; the statement casts them.
 */
extern void bkc_sqlrun_exec(const char *format, int expected, int nargs, const char *const *values);

/* Of the result of the last statement, as text; NULL = null.  Columns count from 1. */
extern char *bkc_sqlrun_value(uint64 row, int column);

/* The context that was current when begin was called. */
extern MemoryContext bkc_sqlrun_outer_context(void);

/* Is the extension installed in this database?  A transaction of its own. */
extern bool bkc_sqlrun_installed(void);

/*
 * Any access that may fail or be repeated: so many attempts, then false
 * (reported as WARNING).
 */
extern bool bkc_sqlrun_try(void (*access) (void *arg), void *arg, int tries, const char *what);

#define BKC_SQLRUN_TRIES	3

#endif							/* BKC_SERVER_SQLRUN_H */
