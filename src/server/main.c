/*
 * main.c
 *		Entry point of the library.
 */
#include "pgcompat.h"

#include "errors.h"
#include "fmgr.h"
#include "launcher.h"
#include "miscadmin.h"
#include "settings.h"
#include "shared.h"
#include "streamer.h"

PG_MODULE_MAGIC;

void
_PG_init(void)
{
	bkc_host_install();

	/*
	 * Loaded later (by the first function call of a session) there is no
	 * shared memory and no worker: the functions say what is missing.
	 */
	bkc_settings_define(process_shared_preload_libraries_in_progress);
	if (!process_shared_preload_libraries_in_progress)
		return;
	bkc_shared_init();
	bkc_launcher_register();
	bkc_streamer_register();
}
