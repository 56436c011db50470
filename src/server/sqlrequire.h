/*
 * sqlrequire.h
 *		What functions that SQL calls ask for before they write to a repository.  Both ereport.
 */
#ifndef BKC_SERVER_SQLREQUIRE_H
#define BKC_SERVER_SQLREQUIRE_H

/* action: "take over a repository" */
extern void bkc_require_superuser(const char *action);

/* No standby, and pg_backupctl.enabled is on. */
extern void bkc_require_writing_server(const char *action);

#endif							/* BKC_SERVER_SQLREQUIRE_H */
