/*
 * configfiles.h
 *		The server's configuration files that do not lie in the data directory.
 */
#ifndef BKC_SERVER_CONFIGFILES_H
#define BKC_SERVER_CONFIGFILES_H

#include "pgcompat.h"

#include "nodes/pg_list.h"

/*
 * Absolute paths (char *), each once: config_file, hba_file, ident_file and
 * whatever they include, without those below the data directory (these are
 * part of it).  Files that cannot be read are left out with a WARNING.
 */
extern List *bkc_config_files(void);

#endif							/* BKC_SERVER_CONFIGFILES_H */
