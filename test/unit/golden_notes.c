/*
 * golden_notes.c
 *		What the golden repository of notes holds (see golden_notes.h).
 */
#include "golden_notes.h"

const char *const golden_noted[GOLDEN_NOTED] = {GOLDEN_HELD, GOLDEN_TIE, GOLDEN_RELEASED};

#define LABEL(l)	" \"label\": \"" l "\","
#define NOTE(l, n)	.label = l, .name = n, .json =

const GoldenNote golden_notes[] = {
	{NOTE(GOLDEN_HELD, "20261120T120309000Z-catalog")
		"{\"pg_backupctl_catalog\": 1," LABEL(GOLDEN_HELD)
		" \"time\": \"2026-11-20T12:03:09.000000Z\","
		" \"pg_version\": \"15.20 (Debian 15.20-0+deb12u1)\","
		" \"tier\": \"monthly\","
		" \"schedule\": \"n\xc3\xa4htlich\","
		" \"retention_date\": \"2033-11-20T12:03:01.000001Z\","
	" \"metadata\": \"{\\\"options\\\": {\\\"jobs\\\": 2}, \\\"who\\\": \\\"ren\xc3\xa9\\\", \\\"seconds\\\": 0.25}\"}"},
	{NOTE(GOLDEN_HELD, "20261120T130301250Z-verify")
		"{\"pg_backupctl_verify\": 1," LABEL(GOLDEN_HELD)
		" \"time\": \"2026-11-20T13:03:01.250000Z\","
		" \"level\": \"files\", \"ok\": true, \"files\": 2, \"bytes\": 44, \"failures\": 0,"
	" \"first_failure\": \"\", \"colour\": [\"blue\", {\"or\": null}]}", .more = true},
	{NOTE(GOLDEN_HELD, "20261120T140000000Z-hold")
		"{\"pg_backupctl_hold\": 1," LABEL(GOLDEN_HELD)
		" \"time\": \"2026-11-20T14:00:00.000999Z\","
	" \"reason\": \"case 4711\", \"by\": \"dba\"}"},
	{NOTE(GOLDEN_HELD, "20261120T140000001Z-release")
		"{\"pg_backupctl_release\": 1," LABEL(GOLDEN_HELD)
		" \"time\": \"2026-11-20T14:00:00.001000Z\","
	" \"reason\": \"\", \"by\": \"dba\"}"},
	{NOTE(GOLDEN_HELD, "20261120T140000002Z-hold")
		"{\"pg_backupctl_hold\": 1," LABEL(GOLDEN_HELD)
		" \"time\": \"2026-11-20T14:00:00.002000Z\","
	" \"reason_hex\": \"636166e9\", \"by\": \"ren\xc3\xa9 \\\"1\\\"\"}"},

	{NOTE(GOLDEN_TIE, "20261121T120309000Z-catalog")
		"{\"pg_backupctl_catalog\": 1," LABEL(GOLDEN_TIE)
		" \"time\": \"2026-11-21T12:03:09.000000Z\","
		" \"pg_version\": \"\","
		" \"metadata\": \"{}\","
	" \"parent\": \"" GOLDEN_HELD "\"}"},
	{NOTE(GOLDEN_TIE, "20261121T130301250Z-verify")
		"{\"pg_backupctl_verify\": 1," LABEL(GOLDEN_TIE)
		" \"time\": \"2026-11-21T13:03:01.250000Z\","
		" \"level\": \"restore\", \"ok\": false, \"files\": 2, \"bytes\": 44, \"failures\": 1,"
	" \"first_failure\": \"PG_VERSION\"}"},
	{NOTE(GOLDEN_TIE, "20261121T140000000Z-hold")
		"{\"pg_backupctl_hold\": 1," LABEL(GOLDEN_TIE)
		" \"time\": \"2026-11-21T14:00:00.000001Z\","
	" \"reason\": \"x\", \"by\": \"y\"}"},
	{NOTE(GOLDEN_TIE, "20261121T140000000Z-release")
		"{\"pg_backupctl_release\": 1," LABEL(GOLDEN_TIE)
		" \"time\": \"2026-11-21T14:00:00.000001Z\","
	" \"reason\": \"z\", \"by\": \"y\"}"},

	/* no catalog: as by an older writer */
	{NOTE(GOLDEN_RELEASED, "20261122T140000000Z-hold")
		"{\"pg_backupctl_hold\": 1," LABEL(GOLDEN_RELEASED)
		" \"time\": \"2026-11-22T14:00:00.000000Z\","
	" \"reason\": \"case 4712\", \"by\": \"dba\"}"},
	{NOTE(GOLDEN_RELEASED, "20261122T150000000Z-release")
		"{\"pg_backupctl_release\": 1," LABEL(GOLDEN_RELEASED)
		" \"time\": \"2026-11-22T15:00:00.000000Z\","
	" \"reason\": \"closed\", \"by\": \"auditor\"}"},

	/* its key is still there: a lock may forbid what the note says */
	{NOTE(GOLDEN_RELEASED, "20261122T160000000Z-shred")
		"{\"pg_backupctl_shred\": 1," LABEL(GOLDEN_RELEASED)
		" \"time\": \"2026-11-22T16:00:00.000000Z\","
	" \"reason\": \"GDPR 17\", \"by\": \"dba\"}", .sealed = true},
};

const size_t golden_nnotes = sizeof(golden_notes) / sizeof(golden_notes[0]);

/* the cluster's, and of each backup begin, manifest and a pack */
const size_t golden_notes_objects = sizeof(golden_notes) / sizeof(golden_notes[0]) +
	1 + 3 * GOLDEN_NOTED;
