/*
 * names.c
 *		Object names (contract: names.h; list: FORMAT.md, "Names").
 */
#include "format/names.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/text.h"
#include "format/label.h"

#define NOTE_KIND_MAX	16

bool
bkc_name_valid(const char *name)
{
	const char *p;
	const char *start = name;

	if (name == NULL)
		return false;
	for (p = name;; p++)
	{
		if (*p == '/' || *p == '\0')
		{
			size_t		len = (size_t) (p - start);

			if (len == 0 || (len == 1 && start[0] == '.') ||
				(len == 2 && start[0] == '.' && start[1] == '.'))
				return false;
			if (*p == '\0')
				break;
			start = p + 1;
		}
		else if (!((*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z') ||
				   (*p >= '0' && *p <= '9') || *p == '.' || *p == '_' || *p == '-'))
			return false;
		if (p - name >= BKC_NAME_MAX)
			return false;
	}
	return p - name < BKC_NAME_MAX;
}

/* The parts of every name are checked before, so what can go wrong here is a bug. */
static bool BKC_PRINTF(3, 4)
format_name(char out[BKC_NAME_MAX], BkcError *err, const char *fmt,...)
{
	va_list		args;
	int			len;

	va_start(args, fmt);
	len = vsnprintf(out, BKC_NAME_MAX, fmt, args);
	va_end(args);
	if (len < 0 || len >= BKC_NAME_MAX)
	{
		out[0] = '\0';
		return bkc_error_set(err, BKC_ERR_INTERNAL, "object name is too long");
	}
	return true;
}

static bool
check_sysid(uint64_t sysid, char out[BKC_NAME_MAX], BkcError *err)
{
	out[0] = '\0';
	if (sysid == 0)
		return bkc_error_set(err, BKC_ERR_INVALID, "system identifier is zero");
	return true;
}

static bool
check_backup(uint64_t sysid, const char *label, char out[BKC_NAME_MAX], BkcError *err)
{
	if (!check_sysid(sysid, out, err))
		return false;
	if (!bkc_label_valid(label))
	{
		bkc_error_set(err, BKC_ERR_INVALID, "invalid backup label \"%.64s\"", label ? label : "");
		return bkc_error_hint(err, "Labels look like 20261120T120301Z-full-7f3a.");
	}
	return true;
}

bool
bkc_name_cluster(uint64_t sysid, char out[BKC_NAME_MAX], BkcError *err)
{
	return check_sysid(sysid, out, err) &&
		format_name(out, err, "%" PRIu64 "/cluster", sysid);
}

bool
bkc_name_backups(uint64_t sysid, char out[BKC_NAME_MAX], BkcError *err)
{
	return check_sysid(sysid, out, err) &&
		format_name(out, err, "%" PRIu64 "/backups/", sysid);
}

bool
bkc_name_backup(uint64_t sysid, const char *label, char out[BKC_NAME_MAX], BkcError *err)
{
	return check_backup(sysid, label, out, err) &&
		format_name(out, err, "%" PRIu64 "/backups/%s/", sysid, label);
}

bool
bkc_name_begin(uint64_t sysid, const char *label, char out[BKC_NAME_MAX], BkcError *err)
{
	return check_backup(sysid, label, out, err) &&
		format_name(out, err, "%" PRIu64 "/backups/%s/begin", sysid, label);
}

bool
bkc_name_manifest(uint64_t sysid, const char *label, char out[BKC_NAME_MAX], BkcError *err)
{
	return check_backup(sysid, label, out, err) &&
		format_name(out, err, "%" PRIu64 "/backups/%s/manifest", sysid, label);
}

bool
bkc_name_pack(uint64_t sysid, const char *label, uint32_t worker, uint32_t n,
			  char out[BKC_NAME_MAX], BkcError *err)
{
	return check_backup(sysid, label, out, err) &&
		format_name(out, err, "%" PRIu64 "/backups/%s/data/%" PRIu32 "-%" PRIu32 ".pack",
					sysid, label, worker, n);
}

bool
bkc_name_note(uint64_t sysid, const char *label, int64_t now, const char *kind,
			  char out[BKC_NAME_MAX], BkcError *err)
{
	time_t		when = (time_t) (now / 1000000);
	char		stamp[16];		/* 20261120T120301 */
	struct tm	tm;
	size_t		len;

	if (!check_backup(sysid, label, out, err))
		return false;
	len = kind ? strspn(kind, "abcdefghijklmnopqrstuvwxyz") : 0;
	if (len == 0 || len > NOTE_KIND_MAX || kind[len] != '\0')
		return bkc_error_set(err, BKC_ERR_INVALID, "invalid kind of note \"%.40s\"",
							 kind ? kind : "");
	if (now < 0 || gmtime_r(&when, &tm) == NULL || tm.tm_year > 9999 - 1900 ||
		strftime(stamp, sizeof(stamp), "%Y%m%dT%H%M%S", &tm) == 0)
		return bkc_error_set(err, BKC_ERR_INVALID, "clock is out of range for the name of a note");
	return format_name(out, err, "%" PRIu64 "/backups/%s/notes/%s%03dZ-%s", sysid, label, stamp,
					   (int) (now % 1000000 / 1000), kind);
}

/*
 * A decimal number in the one form we write it (no sign, no leading zero),
 * so that no two names mean the same thing.
 */
static bool
parse_canonical(const char *text, uint64_t max, uint64_t *value)
{
	if (text[0] == '0' && text[1] != '\0')
		return false;
	return bkc_parse_u64(text, max, value);
}

bool
bkc_name_parse_sysid(const char *component, uint64_t *sysid)
{
	uint64_t	value;

	if (component == NULL || !parse_canonical(component, UINT64_MAX, &value) || value == 0)
		return false;
	*sysid = value;
	return true;
}

bool
bkc_name_parse_pack(const char *base, uint32_t *worker, uint32_t *n)
{
	static const char suffix[] = ".pack";
	char		text[32];
	char	   *dash;
	size_t		len;
	uint64_t	first;
	uint64_t	second;

	if (base == NULL)
		return false;
	len = strnlen(base, sizeof(text));
	if (len >= sizeof(text) || len < sizeof(suffix) ||
		memcmp(base + len - (sizeof(suffix) - 1), suffix, sizeof(suffix)) != 0)
		return false;
	len -= sizeof(suffix) - 1;
	memcpy(text, base, len);
	text[len] = '\0';
	dash = strchr(text, '-');
	if (dash == NULL)
		return false;
	*dash = '\0';
	if (!parse_canonical(text, UINT32_MAX, &first) ||
		!parse_canonical(dash + 1, UINT32_MAX, &second))
		return false;
	*worker = (uint32_t) first;
	*n = (uint32_t) second;
	return true;
}
