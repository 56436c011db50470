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
#include <unistd.h>

#include "base/file.h"
#include "catalog.h"
#include "configfiles.h"
#include "miscadmin.h"
#include "utils/guc.h"

#define CONFIG_FILE_MAX	(16 * 1024 * 1024)

static void
add_path(void *arg, const char *path)
{
	List	  **list = arg;
	ListCell   *lc;
	size_t		len = strlen(DataDir);
	char		clean[MAXPGPATH];

	if (path == NULL || path[0] != '/' || strlen(path) >= MAXPGPATH)
		return;
	strlcpy(clean, path, sizeof(clean));
	canonicalize_path(clean);
	if (strncmp(clean, DataDir, len) == 0 && clean[len] == '/')
		return;
	foreach(lc, *list)
		if (strcmp(lfirst(lc), clean) == 0)
			return;
	if (access(clean, R_OK) < 0)
	{
		ereport(WARNING,
				(errcode_for_file_access(),
				 errmsg("configuration file \"%s\" is not part of the backup: %m", clean)));
		return;
	}
	*list = lappend(*list, pstrdup(clean));
}

/* "@name" tokens of an authentication file: database or user lists kept elsewhere. */
static void
add_references(List **list, const char *path)
{
	BkcBuffer	buf = {0};
	BkcError	err;
	char		dir[MAXPGPATH];
	const char *p;

	strlcpy(dir, path, sizeof(dir));
	get_parent_directory(dir);
	if (bkc_file_slurp(path, CONFIG_FILE_MAX, &buf, &err))
	{
		for (p = bkc_buffer_str(&buf); (p = strchr(p, '@')) != NULL; p++)
		{
			size_t		n = strcspn(p + 1, " \t\r\n,\"#");
			char		name[MAXPGPATH];
			char		full[MAXPGPATH * 2];

			if (n == 0 || n >= sizeof(name) ||
				(p > bkc_buffer_str(&buf) && !isspace((unsigned char) p[-1]) && p[-1] != ','))
				continue;
			strlcpy(name, p + 1, n + 1);
			snprintf(full, sizeof(full), "%s%s%s", is_absolute_path(name) ? "" : dir,
					 is_absolute_path(name) ? "" : "/", name);
			if (access(full, F_OK) == 0)
				add_path(list, full);
		}
	}
	bkc_buffer_free(&buf);
}

List *
bkc_config_files(void)
{
	List	   *list = NIL;
	const char *hba = GetConfigOption("hba_file", false, false);
	const char *ident = GetConfigOption("ident_file", false, false);

	add_path(&list, GetConfigOption("config_file", false, false));
	add_path(&list, hba);
	add_path(&list, ident);
	bkc_catalog_each("SELECT DISTINCT sourcefile FROM pg_catalog.pg_file_settings ORDER BY 1",
					 add_path, &list);
	bkc_catalog_each("SELECT DISTINCT pg_catalog.to_jsonb(r) OPERATOR(pg_catalog.->>) 'file_name'"
					 " FROM pg_catalog.pg_hba_file_rules r ORDER BY 1", add_path, &list);
	bkc_catalog_each("SELECT DISTINCT pg_catalog.to_jsonb(r) OPERATOR(pg_catalog.->>) 'file_name'"
					 " FROM pg_catalog.pg_ident_file_mappings r ORDER BY 1", add_path, &list);
	add_references(&list, hba);
	add_references(&list, ident);
	return list;
}
