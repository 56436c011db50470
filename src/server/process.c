/*
 * process.c
 *		See process.h.
 */
#include "pgcompat.h"

#include <signal.h>

#include "libpq/pqsignal.h"
#include "postmaster/interrupt.h"
#include "process.h"
#include "tcop/tcopprot.h"
#include "utils/guc.h"

/*
 * With a connection (to no database, mostly): pg_stat_activity shows the
 * process then, and signals of other processes reach it.
 */
void
bkc_process_describe(BackgroundWorker *worker, const char *function, const char *type,
					 BgWorkerStartTime start, int restart)
{
	memset(worker, 0, sizeof(*worker));
	worker->bgw_flags = BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION;
	worker->bgw_start_time = start;
	worker->bgw_restart_time = restart;
	strlcpy(worker->bgw_library_name, "pg_backupctl", sizeof(worker->bgw_library_name));
	strlcpy(worker->bgw_function_name, function, sizeof(worker->bgw_function_name));
	strlcpy(worker->bgw_type, type, sizeof(worker->bgw_type));
	strlcpy(worker->bgw_name, type, sizeof(worker->bgw_name));
}

void
bkc_process_begin(void)
{
	pqsignal(SIGHUP, SignalHandlerForConfigReload);
	pqsignal(SIGTERM, die);
	BackgroundWorkerUnblockSignals();
}

bool
bkc_process_reload(void)
{
	if (!ConfigReloadPending)
		return false;
	ConfigReloadPending = false;
	ProcessConfigFile(PGC_SIGHUP);
	return true;
}
