/*
 * fault.c
 *		Named places where tests make things go wrong: the specification's
 *		parser and the actions.
 */
#include "base/fault.h"

#include <ctype.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include "base/host.h"
#include "base/text.h"

#ifdef BKC_FAULTS

typedef enum FaultAction
{
	FAULT_FAIL,
	FAULT_NOSPACE,
	FAULT_CANCEL,
	FAULT_SLEEP,
	FAULT_KILL,
	FAULT_EXIT
} FaultAction;

/* One item of a specification. */
typedef struct FaultRule
{
	BkcFault	point;
	FaultAction action;
	int			sleep_ms;
	uint64_t	count;			/* 0: every passage */
} FaultRule;

#define FAULT_SLICE_MS		20
#define FAULT_SLEEP_MAX_MS	(24 * 3600 * 1000)

static const char *const point_names[BKC_FAULT_COUNT] = {
#define X(id, name) [BKC_FAULT_##id] = name,
	BKC_FAULT_LIST(X)
#undef X
};

static const struct
{
	const char *name;
	FaultAction action;
}			actions[] = {
	{"fail", FAULT_FAIL},
	{"nospace", FAULT_NOSPACE},
	{"cancel", FAULT_CANCEL},
	{"sleep", FAULT_SLEEP},
	{"kill", FAULT_KILL},
	{"exit", FAULT_EXIT},
};

/* Passages of this process, counted anew when the specification changes. */
static uint64_t passages[BKC_FAULT_COUNT];
static uint64_t counted_for;

static bool
word_is(const char *word, size_t len, const char *name)
{
	return strlen(name) == len && memcmp(word, name, len) == 0;
}

static bool
unknown_point(const char *word, size_t len, BkcError *err)
{
	size_t		used = 0;
	int			i;

	bkc_error_set(err, BKC_ERR_INVALID, "unknown fault point \"%.*s\"", (int) len, word);
	bkc_error_detail(err, "Fault points are:");
	for (i = 0; i < BKC_FAULT_COUNT; i++)
	{
		used = strlen(err->detail);
		if (used + strlen(point_names[i]) + 3 > sizeof(err->detail))
			break;
		bkc_error_detail(err, "%s %s%s", err->detail, point_names[i],
						 i + 1 < BKC_FAULT_COUNT ? "," : ".");
	}
	return false;
}

/* A decimal number of exactly len digits, at least 1 and at most max. */
static bool
parse_number(const char *word, size_t len, uint64_t max, uint64_t *value)
{
	char		digits[24];

	if (len == 0 || len >= sizeof(digits))
		return false;
	memcpy(digits, word, len);
	digits[len] = '\0';
	return bkc_parse_u64(digits, max, value) && *value > 0;
}

/* action[:argument], already without the count. */
static bool
parse_action(const char *word, size_t len, FaultRule *rule, BkcError *err)
{
	const char *colon = memchr(word, ':', len);
	size_t		name_len = colon != NULL ? (size_t) (colon - word) : len;
	uint64_t	ms;
	size_t		i;

	for (i = 0; i < sizeof(actions) / sizeof(actions[0]); i++)
	{
		if (word_is(word, name_len, actions[i].name))
			break;
	}
	if (i == sizeof(actions) / sizeof(actions[0]))
	{
		bkc_error_set(err, BKC_ERR_INVALID, "unknown action \"%.*s\" of fault point \"%s\"",
					  (int) name_len, word, point_names[rule->point]);
		return bkc_error_detail(err, "Actions are: fail, nospace, cancel, sleep:MS, kill, exit.");
	}
	rule->action = actions[i].action;
	if (rule->action == FAULT_SLEEP)
	{
		if (colon == NULL ||
			!parse_number(colon + 1, len - name_len - 1, FAULT_SLEEP_MAX_MS, &ms))
		{
			bkc_error_set(err, BKC_ERR_INVALID,
						  "action \"%.*s\" of fault point \"%s\" needs a time", (int) len,
						  word, point_names[rule->point]);
			return bkc_error_hint(err, "Write sleep:MS with 1 to %d milliseconds.",
								  FAULT_SLEEP_MAX_MS);
		}
		rule->sleep_ms = (int) ms;
	}
	else if (colon != NULL)
		return bkc_error_set(err, BKC_ERR_INVALID,
							 "action \"%s\" of fault point \"%s\" takes no argument",
							 actions[i].name, point_names[rule->point]);
	return true;
}

/* name=action[:argument][@count], without white space around it. */
static bool
parse_rule(const char *item, size_t len, FaultRule *rule, BkcError *err)
{
	const char *equals = memchr(item, '=', len);
	const char *at = memchr(item, '@', len);
	size_t		name_len = equals != NULL ? (size_t) (equals - item) : len;
	int			i;

	memset(rule, 0, sizeof(*rule));
	for (i = 0; i < BKC_FAULT_COUNT; i++)
	{
		if (word_is(item, name_len, point_names[i]))
			break;
	}
	if (i == BKC_FAULT_COUNT)
		return unknown_point(item, name_len, err);
	rule->point = (BkcFault) i;
	if (equals == NULL)
	{
		bkc_error_set(err, BKC_ERR_INVALID, "fault point \"%s\" has no action", point_names[i]);
		return bkc_error_hint(err, "Write name=action, for example %s=fail.", point_names[i]);
	}
	if (at != NULL &&
		!parse_number(at + 1, (size_t) (item + len - at) - 1, UINT64_MAX, &rule->count))
	{
		bkc_error_set(err, BKC_ERR_INVALID, "invalid count \"%.*s\" of fault point \"%s\"",
					  (int) (item + len - at), at, point_names[i]);
		return bkc_error_hint(err, "Write @N with a number from 1.");
	}
	item = equals + 1;
	len -= name_len + 1;
	return parse_action(item, at != NULL ? (size_t) (at - item) : len, rule, err);
}

/*
 * Take the next rule from *spec; false with *end set when there is none, and
 * with err when it is wrong.
 */
static bool
next_rule(const char **spec, FaultRule *rule, bool *end, BkcError *err)
{
	const char *item = *spec;
	size_t		len;

	*end = *item == '\0';
	if (*end)
		return false;
	len = strcspn(item, ",");
	*spec = item + len + (item[len] == ',');
	if (item[len] == ',' && **spec == '\0')
		*spec = item + len;		/* a comma at the end is followed by an empty item */
	while (len > 0 && isspace((unsigned char) *item))
	{
		item++;
		len--;
	}
	while (len > 0 && isspace((unsigned char) item[len - 1]))
		len--;
	if (len == 0)
		return bkc_error_set(err, BKC_ERR_INVALID, "empty item in list of fault points");
	return parse_rule(item, len, rule, err);
}

static bool
run_action(const FaultRule *rule, BkcError *err)
{
	const char *name = point_names[rule->point];
	int64_t		left = (int64_t) rule->sleep_ms * 1000;
	int64_t		before;
	int64_t		took;

	switch (rule->action)
	{
		case FAULT_FAIL:
			return bkc_error_set(err, BKC_ERR_IO, "fault point %s", name);
		case FAULT_NOSPACE:
			return bkc_error_set(err, BKC_ERR_NO_SPACE, "fault point %s", name);
		case FAULT_CANCEL:
			return bkc_error_set(err, BKC_ERR_CANCELLED, "fault point %s", name);
		case FAULT_SLEEP:

			/*
			 * A wait may return early; the clock says how long it took.  At
			 * least a millisecond is counted, so that a clock that stands
			 * still or is set back cannot keep us here.
			 */
			while (left > 0)
			{
				if (!bkc_host_check(err))
					return false;
				before = bkc_host->now();
				bkc_host->wait(left < FAULT_SLICE_MS * 1000 ? (int) ((left + 999) / 1000)
							   : FAULT_SLICE_MS);
				took = bkc_host->now() - before;
				left -= took < 1000 ? 1000 : took;
			}
			return bkc_host_check(err);
		case FAULT_KILL:
			kill(getpid(), SIGKILL);
			return true;
		case FAULT_EXIT:
			_exit(1);
	}
	return true;
}

/* FNV-1a: enough to see that the specification is another one; never 0. */
static uint64_t
hash_spec(const char *spec)
{
	uint64_t	hash = UINT64_C(14695981039346656037);

	for (; *spec != '\0'; spec++)
		hash = (hash ^ (unsigned char) *spec) * UINT64_C(1099511628211);
	return hash | 1;
}

bool
bkc_fault(BkcFault point, BkcError *err)
{
	const char *spec = bkc_host->fault_spec != NULL ? bkc_host->fault_spec() : NULL;
	uint64_t	hash;
	uint64_t	passage;
	FaultRule	rule;
	bool		end;

	if (spec == NULL || spec[0] == '\0')
	{
		counted_for = 0;
		return true;
	}
	hash = hash_spec(spec);
	if (hash != counted_for)
	{
		memset(passages, 0, sizeof(passages));
		counted_for = hash;
	}
	passage = ++passages[point];

	/* A specification that is wrong fails loudly rather than testing nothing. */
	while (next_rule(&spec, &rule, &end, err))
	{
		if (rule.point == point && (rule.count == 0 || rule.count == passage) &&
			!run_action(&rule, err))
			return false;
	}
	return end;
}

bool
bkc_fault_spec_check(const char *spec, BkcError *err)
{
	FaultRule	rule;
	bool		end;

	if (spec == NULL)
		return true;
	while (next_rule(&spec, &rule, &end, err))
		;
	return end;
}

#else							/* !BKC_FAULTS */

bool
bkc_fault_spec_check(const char *spec, BkcError *err)
{
	if (spec == NULL || spec[0] == '\0')
		return true;
	bkc_error_set(err, BKC_ERR_UNSUPPORTED, "fault points are not part of this build");
	return bkc_error_hint(err, "Leave the setting empty, or build with -DBKC_FAULTS.");
}

#endif							/* BKC_FAULTS */
