/*
 * jobargs.c
 *		See jobargs.h.
 */
#include "pgcompat.h"

#include "base/text.h"
#include "jobargs.h"
#include "settings.h"
#include "store/store.h"
#include "utils/builtins.h"

/* seconds; longer than an archiver's pause after its failures */
#define ARCHIVE_WAIT	300

void
bkc_jobargs_begin(BkcJobArgs *args, BkcJobKind kind, const char *requested_by)
{
	memset(args, 0, sizeof(*args));
	args->kind = kind;
	args->fast_checkpoint = true;
	args->archive_wait = ARCHIVE_WAIT;
	args->jobs = bkc_set_jobs;
	strlcpy(args->requested_by, requested_by, sizeof(args->requested_by));
	strlcpy(args->type, "full", sizeof(args->type));
}

static const struct
{
	const char *type;
	BkcJobKind	kind;
}			types[] = {
	{"full", BKC_JOB_BACKUP},
	{"verify", BKC_JOB_VERIFY},
	{"expire", BKC_JOB_EXPIRE},
	{"wal-check", BKC_JOB_WAL_CHECK},
};

void
bkc_jobargs_kind(BkcJobArgs *args, const char *type)
{
	if (type == NULL)
		return;
	for (int i = 0; i < lengthof(types); i++)
	{
		if (strcmp(types[i].type, type) == 0)
		{
			args->kind = types[i].kind;
			return;
		}
	}
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("job type \"%s\" is not known", type),
			 errhint("Types are: full, expire, verify, wal-check.")));
}

void
bkc_jobargs_text(const char *what, const char *value, char *out, size_t size)
{
	if (value == NULL)
		return;
	if (strlen(value) >= size)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("%s \"%s\" is too long", what, value),
				 errdetail("It may have at most %zu bytes.", size - 1)));
	strlcpy(out, value, size);
}

void
bkc_jobargs_repository(BkcJobArgs *args, const char *name)
{
	if (name != NULL)
		(void) bkc_settings_repository(name);
	bkc_jobargs_text("repository", name, args->repository, sizeof(args->repository));
}

/* ---- options ---- */

typedef struct Option
{
	const char *name;
	void		(*take) (BkcJobArgs *args, const char *name, const char *value);
} Option;

static void
option_error(const char *name, const char *value, const char *expected)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("invalid value \"%s\" for option \"%s\"", value, name),
			 errhint("%s", expected)));
}

static void
take_checkpoint(BkcJobArgs *args, const char *name, const char *value)
{
	args->fast_checkpoint = strcmp(value, "fast") == 0;
	if (!args->fast_checkpoint && strcmp(value, "spread") != 0)
		option_error(name, value, "Use fast or spread.");
}

static void
take_check_space(BkcJobArgs *args, const char *name, const char *value)
{
	args->ignore_space = strcmp(value, "false") == 0;
	if (!args->ignore_space && strcmp(value, "true") != 0)
		option_error(name, value, "Use true, or false to go on where free space seems too little.");
}

static void
take_checksum_failure(BkcJobArgs *args, const char *name, const char *value)
{
	args->abort_on_checksum = strcmp(value, "abort") == 0;
	if (!args->abort_on_checksum && strcmp(value, "warn") != 0)
		option_error(name, value, "Use warn or abort.");
}

static void
take_jobs(BkcJobArgs *args, const char *name, const char *value)
{
	uint64_t	n;

	if (!bkc_parse_u64(value, 32, &n) || n < 1)
		option_error(name, value, "Use a number from 1 to 32.");
	args->jobs = (int) n;
}

static void
take_compression(BkcJobArgs *args, const char *name, const char *value)
{
	BkcCodec	codec;
	int			level;

	bkc_settings_codec(NULL, value, &codec, &level);	/* raises what is wrong with it */
	strlcpy(args->compression, value, sizeof(args->compression));
}

static void
take_wal(BkcJobArgs *args, const char *name, const char *value)
{
	args->wal_in_archive = strcmp(value, "archive") == 0;
	if (!args->wal_in_archive && strcmp(value, "backup") != 0)
		option_error(name, value, "Use backup (the backup stores its own WAL) or archive.");
}

static void
take_archive_wait(BkcJobArgs *args, const char *name, const char *value)
{
	uint64_t	n;

	if (!bkc_parse_u64(value, 86400, &n) || n < 1)
		option_error(name, value, "Use a number of seconds from 1 to 86400.");
	args->archive_wait = (int) n;
}

static void
take_storage_class(BkcJobArgs *args, const char *name, const char *value)
{
	if (args->storage_class[0] != '\0' && strcmp(args->storage_class, value) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("two storage classes are given: \"%s\" and \"%s\"", args->storage_class,
						value)));
	bkc_jobargs_text("storage class", value, args->storage_class, sizeof(args->storage_class));
}

static const Option options[] = {
	{"archive_wait", take_archive_wait},
	{"check_space", take_check_space},
	{"checkpoint", take_checkpoint},
	{"checksum_failure", take_checksum_failure},
	{"compression", take_compression},
	{"jobs", take_jobs},
	{"storage_class", take_storage_class},
	{"wal", take_wal},
	{NULL, NULL}
};

static void
take_option(BkcJobArgs *args, const char *name, const char *value)
{
	StringInfoData known;

	for (const Option *o = options; o->name != NULL; o++)
	{
		if (strcmp(o->name, name) == 0)
		{
			o->take(args, name, value);
			return;
		}
	}
	initStringInfo(&known);
	for (const Option *o = options; o->name != NULL; o++)
		appendStringInfo(&known, "%s%s", o > options ? ", " : "", o->name);
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("unknown option \"%s\"", name),
			 errhint("Options are: %s.", known.data)));
}

static char *
scalar_text(const char *name, const JsonbValue *v)
{
	switch (v->type)
	{
		case jbvString:
			return pnstrdup(v->val.string.val, v->val.string.len);
		case jbvNumeric:
			return DatumGetCString(DirectFunctionCall1(numeric_out,
													   NumericGetDatum(v->val.numeric)));
		case jbvBool:
			return pstrdup(v->val.boolean ? "true" : "false");
		default:
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("option \"%s\" must be a string or a number", name)));
	}
}

void
bkc_jobargs_options(BkcJobArgs *args, Jsonb *jb)
{
	JsonbIterator *it;
	JsonbIteratorToken token;
	JsonbValue	v;
	char	   *text;

	if (!JB_ROOT_IS_OBJECT(jb))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("options must be a JSON object"),
				 errhint("For example options => '{\"checkpoint\": \"spread\"}'.")));
	it = JsonbIteratorInit(&jb->root);
	while ((token = JsonbIteratorNext(&it, &v, true)) != WJB_DONE)
	{
		char	   *name;

		if (token != WJB_KEY)
			continue;
		name = pnstrdup(v.val.string.val, v.val.string.len);
		(void) JsonbIteratorNext(&it, &v, true);
		take_option(args, name, scalar_text(name, &v));
	}
	text = JsonbToCString(NULL, &jb->root, VARSIZE(jb));
	if (strlen(text) >= sizeof(args->options))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("options are too long")));
	strlcpy(args->options, text, sizeof(args->options));
}

void
bkc_jobargs_end(const BkcJobArgs *args)
{
	const BkcRepoDef *repo;
	BkcError	err;

	if (args->storage_class[0] == '\0')
		return;
	if (args->kind != BKC_JOB_BACKUP)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("only a backup can have a storage class")));
	repo = bkc_settings_repository(args->repository[0] ? args->repository : NULL);
	if (!bkc_store_check_class(&repo->url, args->storage_class, &err))
	{
		bkc_error_context(&err, "repository \"%s\"", repo->name);
		bkc_ereport(ERROR, &err);
	}
}
