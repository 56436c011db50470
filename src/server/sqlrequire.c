/*
 * sqlrequire.c
 *		See sqlrequire.h.
 */
#include "pgcompat.h"

#include "access/xlog.h"
#include "miscadmin.h"
#include "settings.h"
#include "sqlrequire.h"

void
bkc_require_superuser(const char *action)
{
	if (!superuser())
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("must be superuser to %s", action)));
}

void
bkc_require_writing_server(const char *action)
{
	if (RecoveryInProgress())
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("a standby cannot %s", action),
				 errhint("Promote it first, or call the function on the primary.")));
	if (!bkc_set_enabled)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("pg_backupctl is switched off on this server"),
				 errdetail("pg_backupctl.enabled is off, as in every restored clone."),
				 errhint("Set pg_backupctl.enabled to on if this server is to write into its configured repositories.")));
}
