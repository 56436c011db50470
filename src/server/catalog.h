/*
 * catalog.h
 *		Reading and writing the extension's tables, each call in a short
 *		transaction of its own.
 *
 * For processes without a transaction (leaders).  All functions ereport;
 * none does anything but SQL, so that no transaction spans other work.
 */
#ifndef BKC_SERVER_CATALOG_H
#define BKC_SERVER_CATALOG_H

#include "pgcompat.h"

#include "crypto/keyfile.h"
#include "format/envelope.h"
#include "format/manifest.h"
#include "shared.h"
#include "sqlrun.h"

/*
 * SQL: is a row of backup_catalog of the cluster that the parameter names?  A row without an
 * identifier is of this one.
 */
#define BKC_CATALOG_OF(column, parameter) \
	"COALESCE(" column ", (SELECT s.system_identifier FROM pg_catalog.pg_control_system() s))" \
	" OPERATOR(pg_catalog.=) " parameter

/* Insert the row "running"; returns its id. */
extern int64 bkc_catalog_insert(const BkcJobArgs *args, const char *label,
								const char *repository, const char *location, int64 start_time);

/* What a finished backup is, from its manifest. */
typedef struct BkcCatalogDone
{
	const BkcManifestHeader *header;
	const BkcManifestTotals *totals;
	const char *metadata;		/* JSON text, merged into the row's */
	bool		sealed;
	char		key_id[BKC_WRAP_ID_HEX];	/* of the wrapping key, "" when not sealed */
} BkcCatalogDone;

extern void bkc_catalog_complete(int64 id, const char *repository, const BkcCatalogDone *done);

/* status: "failed" or "cancelled". */
extern void bkc_catalog_fail(int64 id, const char *status, const char *error);

typedef struct BkcCatalogRow
{
	int64		id;
	char		label[BKC_LABEL_MAX];
	char		repository[BKC_REPO_NAME_MAX];
	uint64		system_identifier;	/* 0 for backups of other tools */
} BkcCatalogRow;

/* Rows that say "running"; palloc'ed in the current context. */
extern BkcCatalogRow *bkc_catalog_running(int *n);

/* A completed backup by id, NULL = the latest of ours; false when there is none. */
extern bool bkc_catalog_find(const int64 *id, BkcCatalogRow *row);

/* The verdict ("passed" or "failed"), when, and the findings (JSON text) of a verification. */
extern void bkc_catalog_verification(int64 id, const char *repository, const char *status,
									 int64 time, const char *findings);

/* How many completed backups of this cluster a repository should hold, as text; NULL = none. */
extern char *bkc_catalog_completed(const char *repository);

/* One column of one row as text in the current context, NULL when null or no row. */
extern char *bkc_catalog_lookup(const char *sql);

/* Call each(arg, value) for the text values of a one-column query. */
extern void bkc_catalog_each(const char *sql, void (*each) (void *arg, const char *value),
							 void *arg);

#endif							/* BKC_SERVER_CATALOG_H */
