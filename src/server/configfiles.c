/*
 * configfiles.c
 *		See configfiles.h.
 *
 * The server itself says which files it has read (pg_file_settings, and from
 * 16 on pg_hba_file_rules and pg_ident_file_mappings, whose file_name column
 * is looked up in a way that does no harm on 15).  What is left are the
 * "@file" references in pg_hba.conf, which no view shows.
 */
#include "pgcompat.h"

#include <ctype.h>
#include <limits.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/file.h"
#include "catalog.h"
#include "configfiles.h"
#include "miscadmin.h"
#include "utils/guc.h"

#define CONFIG_FILE_MAX	(16 * 1024 * 1024)
#define REFERENCE_DEPTH_MAX	10		/* the server's own limit */

/* True when the path was not there yet. */
static bool
add_new_path(List **list, const char *path)
{
	ListCell   *lc;
	char		clean[MAXPGPATH];
	char		target[PATH_MAX];
	char		data[PATH_MAX];
	size_t		len;

	if (path == NULL || path[0] != '/' || strlen(path) >= MAXPGPATH)
		return false;
	strlcpy(clean, path, sizeof(clean));
	canonicalize_path(clean);
	foreach(lc, *list)
		if (strcmp(lfirst(lc), clean) == 0)
			return false;
	if (realpath(clean, target) == NULL || access(clean, R_OK) < 0)
	{
		ereport(WARNING,
				(errcode_for_file_access(),
				 errmsg("configuration file \"%s\" is not part of the backup: %m", clean)));
		return false;
	}

	/* a file in the data directory is part of it anyway; a link there is not */
	if (realpath(DataDir, data) == NULL)
		strlcpy(data, DataDir, sizeof(data));
	len = strlen(data);
	if (strncmp(target, data, len) == 0 && target[len] == '/')
		return false;
	*list = lappend(*list, pstrdup(clean));
	return true;
}

static void
add_path(void *arg, const char *path)
{
	(void) add_new_path((List **) arg, path);
}

/*
 * The name after an '@' that begins a token, bare or in double quotes; the
 * length of what was read, 0 when it is no reference.
 */
static size_t
reference_name(const char *p, char *name, size_t size)
{
	bool		quoted = p[1] == '"';
	const char *begin = p + 1 + (quoted ? 1 : 0);
	size_t		n = strcspn(begin, quoted ? "\"\r\n" : " \t\r\n,\"#");

	if (n == 0 || n >= size || (quoted && begin[n] != '"'))
		return 0;
	strlcpy(name, begin, n + 1);
	return (size_t) (begin - p) + n;
}

/* Lists of databases or users kept elsewhere ("@name"), which may refer to others. */
static void
add_references(List **list, const char *path, int depth)
{
	BkcBuffer	buf = {0};
	BkcError	err;
	char		dir[MAXPGPATH];
	char		target[PATH_MAX];

	strlcpy(dir, path, sizeof(dir));
	get_parent_directory(dir);
	CHECK_FOR_INTERRUPTS();
	if (depth < REFERENCE_DEPTH_MAX && realpath(path, target) != NULL &&
		bkc_file_slurp(target, CONFIG_FILE_MAX, &buf, &err))
	{
		const char *text = bkc_buffer_str(&buf);

		for (const char *p = text; (p = strchr(p, '@')) != NULL; p++)
		{
			char		name[MAXPGPATH];
			char		full[MAXPGPATH * 2];

			if ((p > text && !isspace((unsigned char) p[-1]) && p[-1] != ',') ||
				reference_name(p, name, sizeof(name)) == 0)
				continue;
			snprintf(full, sizeof(full), "%s%s%s", is_absolute_path(name) ? "" : dir,
					 is_absolute_path(name) ? "" : "/", name);
			if (access(full, F_OK) == 0 && add_new_path(list, full))
				add_references(list, full, depth + 1);
		}
	}
	bkc_buffer_free(&buf);
}

static const char *const queries[] = {
	"SELECT DISTINCT sourcefile FROM pg_catalog.pg_file_settings ORDER BY 1",
	"SELECT DISTINCT pg_catalog.to_jsonb(r) OPERATOR(pg_catalog.->>) 'file_name'"
	" FROM pg_catalog.pg_hba_file_rules r ORDER BY 1",
	"SELECT DISTINCT pg_catalog.to_jsonb(r) OPERATOR(pg_catalog.->>) 'file_name'"
	" FROM pg_catalog.pg_ident_file_mappings r ORDER BY 1",
	NULL
};

typedef struct QueryArg
{
	const char *sql;
	List	   *list;
} QueryArg;

static void
run_query(void *arg)
{
	QueryArg   *q = arg;

	bkc_catalog_each(q->sql, add_path, &q->list);
}

List *
bkc_config_files(void)
{
	QueryArg	q = {NULL, NIL};
	const char *hba = GetConfigOption("hba_file", false, false);
	const char *ident = GetConfigOption("ident_file", false, false);

	add_path(&q.list, GetConfigOption("config_file", false, false));
	add_path(&q.list, hba);
	add_path(&q.list, ident);

	/* a file that the server itself could not read now does not prevent the backup */
	for (int i = 0; queries[i] != NULL; i++)
	{
		q.sql = queries[i];
		(void) bkc_sqlrun_try(run_query, &q, 1, "find all configuration files");
	}
	add_references(&q.list, hba, 0);
	add_references(&q.list, ident, 0);
	return q.list;
}
