/*
 * conffile.h
 *		Reading postgresql.conf: lines, settings, and a list of settings.
 *
 * Follows the server's grammar (guc-file.l): name [=] value [# comment] on one
 * line, values in quotes with '' and backslash escapes, or bare.  Names are
 * compared in lower case.
 */
#ifndef BKC_CLIENT_CONFFILE_H
#define BKC_CLIENT_CONFFILE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buffer.h"
#include "base/error.h"

#define BKC_CONF_NAME_MAX	128

typedef struct BkcConfLine
{
	const char *text;			/* as it stands, without its newline */
	size_t		len;
	bool		is_setting;		/* else empty, a comment, or no setting that a server would take */
	char		name[BKC_CONF_NAME_MAX];	/* lower case */
	BkcBuffer	value;			/* decoded */
} BkcConfLine;

/* A zeroed one begins at text; bkc_conf_lines_free() may be called again. */
typedef struct BkcConfLines
{
	const char *next;
	const char *end;
	BkcConfLine line;
} BkcConfLines;

/* text belongs to the caller and must live longer. */
extern void bkc_conf_lines_begin(BkcConfLines *lines, const char *text, size_t len);

/* The next line into lines->line; *end = true when there is none. */
extern bool bkc_conf_lines_next(BkcConfLines *lines, bool *end, BkcError *err);
extern void bkc_conf_lines_free(BkcConfLines *lines);

/* Names and values; the last value of a name counts, as in the server. */
typedef struct BkcSetting
{
	char	   *name;
	char	   *value;
} BkcSetting;

/* A zeroed one is empty. */
typedef struct BkcSettings
{
	BkcSetting *items;
	size_t		count;
} BkcSettings;

extern bool bkc_settings_set(BkcSettings *settings, const char *name, const char *value,
							 BkcError *err);
/* NULL when not set */
extern const char *bkc_settings_get(const BkcSettings *settings, const char *name);
extern void bkc_settings_free(BkcSettings *settings);

/* Append "name = 'value'" and a newline. */
extern bool bkc_conf_put(BkcBuffer *out, const char *name, const char *value, BkcError *err);

#endif							/* BKC_CLIENT_CONFFILE_H */
