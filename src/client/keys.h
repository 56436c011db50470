/*
 * keys.h
 *		The keys that a command was given, for the repositories it opens.
 *
 * They are read once in a program: a key command may be slow, or ask somebody.
 */
#ifndef BKC_CLIENT_KEYS_H
#define BKC_CLIENT_KEYS_H

#include <stdbool.h>

#include "base/buffer.h"
#include "base/url.h"
#include "pipe/keyring.h"

#include "options.h"

/* Options of every command that reads a repository. */
#define BKC_OPTION_KEYS \
	{"key-file", 0, "FILE", false, "key that opens what is sealed, readable for nobody else;\nmay be given several times"}, \
	{"key-command", 0, "COMMAND", false, "shell command that prints the key"}, \
	{"require-encryption", 0, NULL, false, "refuse backups and WAL that are not sealed"}

/*
 * Attach the keys of the options and of the URL (key_file=, encryption=required) to its store.
 * BKC_ERR_KEY, BKC_ERR_ACCESS when one cannot be used.
 */
extern bool bkc_keys_attach(const BkcOptions *options, const BkcUrl *url, BkcStore *store,
							BkcError *err);

/* The same with one more key in front of them, which is what new copies are made for. */
extern bool bkc_keys_attach_new(const BkcOptions *options, const char *new_file, const BkcUrl *url,
								BkcStore *store, BkcError *err);

/*
 * Append the options as words for another call of this program, which may run in another folder;
 * put() appends one word.
 */
extern bool bkc_keys_put_options(const BkcOptions *options, BkcBuffer *command,
								 bool (*put) (BkcBuffer *command, const char *word, BkcError *err),
								 BkcError *err);

#endif							/* BKC_CLIENT_KEYS_H */
