/*
 * main.h
 *		The commands: each is one table in a file of its own.
 */
#ifndef BKC_CLIENT_MAIN_H
#define BKC_CLIENT_MAIN_H

#include "options.h"

extern const BkcCommand bkc_command_list;
extern const BkcCommand bkc_command_verify;
extern const BkcCommand bkc_command_check;
extern const BkcCommand bkc_command_restore;
extern const BkcCommand bkc_command_wal_get;
extern const BkcCommand bkc_command_repo_setup;
extern const BkcCommand bkc_command_keygen;
extern const BkcCommand bkc_command_rotate_key;

#endif							/* BKC_CLIENT_MAIN_H */
