/*
 * scan.c
 *		See scan.h.  The rules are those of sendDir() in
 *		src/backend/backup/basebackup.c: names are matched by their last
 *		component in any folder.
 */
#include "pgcompat.h"

#include <sys/stat.h>
#include <unistd.h>

#include "catalog/pg_tablespace_d.h"
#include "common/file_perm.h"
#include "common/relpath.h"
#include "miscadmin.h"
#include "scan.h"
#include "storage/fd.h"
#include "utils/memutils.h"

/* folders that are kept, empty */
static const char *const emptied_dirs[] = {
	"pg_stat_tmp", "pg_replslot", "pg_dynshmem", "pg_notify", "pg_serial",
	"pg_snapshots", "pg_subtrans", NULL
};

typedef struct DroppedName
{
	const char *name;
	bool		prefix;
} DroppedName;

static const DroppedName dropped_names[] = {
	{"postgresql.auto.conf.tmp", false},
	{"current_logfiles.tmp", false},
	{"pg_internal.init", true},
	{"backup_label", false},
	{"tablespace_map", false},
	{"backup_manifest", false},
	{"postmaster.pid", false},
	{"postmaster.opts", false},
	{"pgsql_tmp", true},
	{".DS_Store", false},
	{NULL, false}
};

/* Where the walk is. */
typedef struct Place
{
	uint8		root;			/* BkcRoot */
	Oid			tablespace;
	const char *src;			/* folder as opened; "." is the data directory */
	const char *rel;			/* folder relative to the root; "" at the top */
} Place;

static void scan_folder(BkcScan *scan, const Place *place);

static bool
all_digits(const char *s, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (s[i] < '0' || s[i] > '9')
			return false;
	return len > 0;
}

bool
bkc_relname_parse(const char *name, BkcRelName *rel)
{
	const char *p = name;
	size_t		n;

	memset(rel, 0, sizeof(*rel));
	if (*p == 't')
	{
		/* t<backend>_<relation> */
		n = strspn(p + 1, "0123456789");
		if (n == 0 || p[1 + n] != '_')
			return false;
		rel->temporary = true;
		p += n + 2;
	}
	n = strspn(p, "0123456789");
	if (n == 0 || n > 10)
		return false;
	p += n;
	rel->oid_len = (int) (p - name);
	if (*p == '_')
	{
		static const char *const forks[] = {"_fsm", "_vm", "_init", NULL};
		int			i;

		for (i = 0; forks[i] != NULL; i++)
			if (strncmp(p, forks[i], strlen(forks[i])) == 0)
				break;
		if (forks[i] == NULL)
			return false;
		rel->init_fork = i == 2;
		p += strlen(forks[i]);
	}
	if (*p == '.')
	{
		n = strspn(p + 1, "0123456789");
		if (n == 0 || n > 9)
			return false;
		rel->segment = (uint32) strtoul(p + 1, NULL, 10);
		p += n + 1;
	}
	return *p == '\0';
}

static uint32
add_string(BkcScan *scan, const char *text)
{
	size_t		len = strlen(text) + 1;
	size_t		at = scan->strings_len;

	if (at + len > PG_UINT32_MAX)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("the file names of this cluster exceed 4 GB")));
	if (at + len > scan->strings_alloc)
	{
		scan->strings_alloc = Max(scan->strings_alloc * 3 / 2, at + len);
		scan->strings = repalloc_huge(scan->strings, scan->strings_alloc);
	}
	memcpy(scan->strings + at, text, len);
	scan->strings_len += len;
	return (uint32) at;
}

static void
add_dir(BkcScan *scan, const Place *place, const char *rel, const struct stat *st)
{
	BkcScanDir *dir;

	if (scan->ndirs == scan->dirs_alloc)
	{
		scan->dirs_alloc = scan->dirs_alloc * 3 / 2;
		scan->dirs = repalloc_huge(scan->dirs, scan->dirs_alloc * sizeof(BkcScanDir));
	}
	dir = &scan->dirs[scan->ndirs++];
	dir->root = place->root;
	dir->tablespace = place->tablespace;
	dir->path = add_string(scan, rel);
	dir->mode = st->st_mode & 0777;
	dir->mtime = st->st_mtime;
}

static BkcListRecord *
add_file(BkcScan *scan, const Place *place, const char *rel, const struct stat *st)
{
	BkcListRecord *rec;

	if (scan->count >= PG_UINT32_MAX / 2)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("this cluster has too many files")));
	if (scan->count == scan->alloc)
	{
		scan->alloc = scan->alloc * 3 / 2;
		scan->records = repalloc_huge(scan->records, scan->alloc * sizeof(BkcListRecord));
	}
	rec = &scan->records[scan->count++];
	memset(rec, 0, sizeof(*rec));
	rec->root = place->root;
	rec->tablespace = place->tablespace;
	rec->path = add_string(scan, rel);
	rec->size = st->st_size;
	rec->mode = st->st_mode & 0777;
	rec->mtime = st->st_mtime;
	scan->bytes += rec->size;
	return rec;
}

static bool
is_dropped(const char *name)
{
	for (const DroppedName *d = dropped_names; d->name != NULL; d++)
		if (d->prefix ? strncmp(name, d->name, strlen(d->name)) == 0 : strcmp(name, d->name) == 0)
			return true;
	return false;
}

static bool
is_emptied(const char *name)
{
	for (const char *const *d = emptied_dirs; *d != NULL; d++)
		if (strcmp(name, *d) == 0)
			return true;
	return false;
}

/*
 * Does this folder hold relations?  global, base/<oid>, PG_<version>/<oid>
 * of a tablespace (or of one in place below pg_tblspc).  *dboid is 0 for global.
 */
static bool
is_relation_folder(const Place *place, bool *database, Oid *dboid)
{
	const char *last = strrchr(place->rel, '/');
	const char *prev;

	*database = false;
	*dboid = InvalidOid;
	if (place->root == BKC_ROOT_PGDATA && strcmp(place->rel, "global") == 0)
		return true;
	if (last == NULL || !all_digits(last + 1, strlen(last + 1)))
		return false;
	for (prev = last; prev > place->rel && prev[-1] != '/'; prev--)
		;
	if (!(place->root == BKC_ROOT_PGDATA && strncmp(place->rel, "base/", 5) == 0 &&
		  prev == place->rel) &&
		strncmp(prev, "PG_", 3) != 0)
		return false;
	*database = true;
	*dboid = (Oid) strtoul(last + 1, NULL, 10);
	return true;
}

/* Is this an unlogged relation's file other than the init fork? */
static bool
is_unlogged(const Place *place, const char *name, const BkcRelName *rel)
{
	char		path[MAXPGPATH * 2];
	struct stat st;

	if (rel->init_fork)
		return false;
	snprintf(path, sizeof(path), "%s/%.*s_init", place->src, rel->oid_len, name);
	return lstat(path, &st) == 0;
}

/* A regular file: keep, or drop by the rules for relations. */
static void
scan_file(BkcScan *scan, const Place *place, const char *name, const char *rel,
		  const struct stat *st, bool relations, bool database, Oid dboid)
{
	BkcRelName	parsed;
	bool		is_relation = relations && bkc_relname_parse(name, &parsed);
	BkcListRecord *rec;

	if (place->root == BKC_ROOT_PGDATA && strcmp(rel, "global/pg_control") == 0)
		return;					/* by itself, last */
	if (is_relation && database && (parsed.temporary || is_unlogged(place, name, &parsed)))
		return;
	rec = add_file(scan, place, rel, st);
	if (is_relation && !parsed.temporary)
	{
		rec->flags |= BKC_LIST_RELATION;
		rec->dboid = dboid;
		rec->first_block = parsed.segment * (uint32) RELSEG_SIZE;
	}
}

void
bkc_scan_add_tablespace(BkcScan *scan, Oid oid, const char *path)
{
	MemoryContext old;

	for (size_t i = 0; i < scan->ntablespaces; i++)
		if (scan->tablespaces[i].oid == oid)
			return;
	if (path != NULL && !is_absolute_path(path))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("tablespace %u is linked to the relative path \"%s\"", oid, path),
				 errhint("Make the link in pg_tblspc absolute.")));
	old = MemoryContextSwitchTo(scan->context);
	scan->tablespaces = repalloc(scan->tablespaces,
								 (scan->ntablespaces + 1) * sizeof(BkcScanTablespace));
	scan->tablespaces[scan->ntablespaces].oid = oid;
	scan->tablespaces[scan->ntablespaces].path = path ? pstrdup(path) : NULL;
	scan->ntablespaces++;
	MemoryContextSwitchTo(old);
}

static void
scan_tablespace_link(BkcScan *scan, const char *name, const char *src)
{
	char		target[MAXPGPATH];
	ssize_t		len = readlink(src, target, sizeof(target) - 1);

	if (len < 0)
	{
		if (errno == ENOENT)
			return;				/* dropped in the meantime */
		ereport(ERROR,
				(errcode_for_file_access(),
				 errmsg("could not read symbolic link \"%s\": %m", src)));
	}
	if (len >= (ssize_t) sizeof(target) - 1)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("symbolic link \"%s\" target is too long", src)));
	target[len] = '\0';
	bkc_scan_add_tablespace(scan, (Oid) strtoul(name, NULL, 10), target);
}

/* pg_tblspc: links are tablespaces, folders are tablespaces in place. */
static void
find_tablespaces(BkcScan *scan)
{
	DIR		   *dir = AllocateDir("pg_tblspc");
	struct dirent *de;

	while ((de = ReadDir(dir, "pg_tblspc")) != NULL)
	{
		char		src[MAXPGPATH * 2];
		struct stat st;

		if (!all_digits(de->d_name, strlen(de->d_name)))
			continue;
		snprintf(src, sizeof(src), "pg_tblspc/%s", de->d_name);
		if (lstat(src, &st) < 0)
			continue;
		if (S_ISLNK(st.st_mode))
			scan_tablespace_link(scan, de->d_name, src);
		else if (S_ISDIR(st.st_mode))
			bkc_scan_add_tablespace(scan, (Oid) strtoul(de->d_name, NULL, 10), NULL);
	}
	FreeDir(dir);
}

/* A tablespace that lies inside the data directory is copied as a tablespace only. */
static bool
is_inner_tablespace(const BkcScan *scan, const Place *place, const char *rel)
{
	size_t		len = strlen(DataDir);

	if (place->root != BKC_ROOT_PGDATA)
		return false;
	for (size_t i = 0; i < scan->ntablespaces; i++)
	{
		const char *path = scan->tablespaces[i].path;

		if (path != NULL && strncmp(path, DataDir, len) == 0 && path[len] == '/' &&
			strcmp(path + len + 1, rel) == 0)
			return true;
	}
	return false;
}

/* Top-level folders that are not walked; true when this was one. */
static bool
scan_special(BkcScan *scan, const Place *place, const char *rel, const struct stat *st)
{
	struct stat dirst = *st;

	if (place->root != BKC_ROOT_PGDATA || place->rel[0] != '\0')
		return false;
	if (strcmp(rel, BKC_SPOOL_DIR) == 0)
		return true;
	if (strcmp(rel, "pg_wal") != 0)
		return false;

	/* a link to elsewhere becomes a folder; the WAL is stored by itself */
	if (S_ISLNK(st->st_mode) && stat("pg_wal", &dirst) < 0)
		dirst.st_mode = S_IFDIR | (0777 & ~pg_mode_mask);
	add_dir(scan, place, "pg_wal", &dirst);
	add_dir(scan, place, "pg_wal/archive_status", &dirst);
	if (BKC_PG_HAS_WAL_SUMMARIES)
		add_dir(scan, place, "pg_wal/summaries", &dirst);
	return true;
}

static void
scan_subfolder(BkcScan *scan, const Place *place, const char *src, const char *rel,
			   const char *name, const struct stat *st)
{
	Place		sub = *place;

	if (is_inner_tablespace(scan, place, rel))
		return;
	add_dir(scan, place, rel, st);
	if (is_emptied(name))
		return;
	sub.src = src;
	sub.rel = rel;
	scan_folder(scan, &sub);
}

static void
scan_skip(BkcScan *scan, const char *src)
{
	if (scan->skipped++ == 0)
		strlcpy(scan->first_skipped, src, sizeof(scan->first_skipped));
	ereport(WARNING,
			(errmsg("skipping special file \"%s\" in backup", src)));
}

static void
scan_folder(BkcScan *scan, const Place *place)
{
	DIR		   *dir;
	struct dirent *de;
	bool		database;
	Oid			dboid;
	bool		relations = is_relation_folder(place, &database, &dboid);
	bool		top = place->rel[0] == '\0';

	check_stack_depth();
	dir = AllocateDir(place->src);
	if (dir == NULL && errno == ENOENT && !top)
		return;					/* a dropped database */

	while ((de = ReadDir(dir, place->src)) != NULL)
	{
		char		src[MAXPGPATH * 2];
		char		rel[MAXPGPATH * 2];
		struct stat st;

		CHECK_FOR_INTERRUPTS();
		if (strcmp(de->d_name, ".") == 0 || strcmp(de->d_name, "..") == 0 ||
			is_dropped(de->d_name))
			continue;
		snprintf(rel, sizeof(rel), "%s%s%s", place->rel, top ? "" : "/", de->d_name);
		snprintf(src, sizeof(src), "%s%s%s",
				 strcmp(place->src, ".") == 0 ? "" : place->src,
				 strcmp(place->src, ".") == 0 ? "" : "/", de->d_name);
		if (strlen(src) >= MAXPGPATH)
			ereport(ERROR,
					(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
					 errmsg("path of file \"%s\" is too long", src)));
		if (lstat(src, &st) < 0)
		{
			if (errno == ENOENT)
				continue;
			ereport(ERROR,
					(errcode_for_file_access(),
					 errmsg("could not stat file or directory \"%s\": %m", src)));
		}
		if (scan_special(scan, place, rel, &st))
			continue;
		if (S_ISLNK(st.st_mode) && is_emptied(de->d_name))
		{
			st.st_mode = S_IFDIR | (0777 & ~pg_mode_mask);
			add_dir(scan, place, rel, &st);
		}
		else if (S_ISLNK(st.st_mode) && strcmp(place->rel, "pg_tblspc") == 0 &&
				 place->root == BKC_ROOT_PGDATA)
			continue;			/* walked by itself */
		else if (S_ISDIR(st.st_mode))
			scan_subfolder(scan, place, src, rel, de->d_name, &st);
		else if (S_ISREG(st.st_mode))
			scan_file(scan, place, de->d_name, rel, &st, relations, database, dboid);
		else
			scan_skip(scan, src);
	}
	FreeDir(dir);
}

/* A linked tablespace: only this major's folder of it. */
static void
scan_tablespace(BkcScan *scan, const BkcScanTablespace *ts)
{
	char		src[MAXPGPATH];
	struct stat st;
	Place		place = {
		.root = BKC_ROOT_TABLESPACE,
		.tablespace = ts->oid,
		.src = src,
		.rel = TABLESPACE_VERSION_DIRECTORY,
	};

	snprintf(src, sizeof(src), "pg_tblspc/%u/%s", ts->oid, TABLESPACE_VERSION_DIRECTORY);
	if (lstat(src, &st) < 0)
	{
		if (errno == ENOENT)
			return;
		ereport(ERROR,
				(errcode_for_file_access(),
				 errmsg("could not stat directory \"%s\": %m", src)));
	}
	add_dir(scan, &place, TABLESPACE_VERSION_DIRECTORY, &st);
	scan_folder(scan, &place);
}

/* Largest first, so that no worker begins a large file when the others are through. */
static int
compare_records(const void *a, const void *b, void *arg)
{
	const BkcListRecord *x = a;
	const BkcListRecord *y = b;
	const BkcScan *scan = arg;

	if (x->size != y->size)
		return x->size > y->size ? -1 : 1;
	if (x->root != y->root)
		return x->root < y->root ? -1 : 1;
	if (x->tablespace != y->tablespace)
		return x->tablespace < y->tablespace ? -1 : 1;
	return strcmp(bkc_scan_path(scan, x->path), bkc_scan_path(scan, y->path));
}

BkcScan *
bkc_scan(void)
{
	BkcScan    *scan = palloc0(sizeof(BkcScan));
	Place		top = {.root = BKC_ROOT_PGDATA, .tablespace = InvalidOid, .src = ".", .rel = ""};

	scan->context = CurrentMemoryContext;
	scan->alloc = 4096;
	scan->records = palloc(scan->alloc * sizeof(BkcListRecord));
	scan->dirs_alloc = 256;
	scan->dirs = palloc(scan->dirs_alloc * sizeof(BkcScanDir));
	scan->strings_alloc = 64 * 1024;
	scan->strings = palloc(scan->strings_alloc);
	scan->tablespaces = palloc(sizeof(BkcScanTablespace));

	find_tablespaces(scan);
	scan_folder(scan, &top);
	for (size_t i = 0; i < scan->ntablespaces; i++)
		if (scan->tablespaces[i].path != NULL)
			scan_tablespace(scan, &scan->tablespaces[i]);
	qsort_arg(scan->records, scan->count, sizeof(BkcListRecord), compare_records, scan);
	return scan;
}
