/*
 * rotate.c
 *		Lets a new key open everything in a repository that is sealed.
 */
#include "main.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "pipe/keycopies.h"

#include "json.h"
#include "keys.h"
#include "report.h"
#include "session.h"

static bool
rotate(BkcSession *session, const BkcOptions *options, BkcRotation *done,
	   char id[BKC_WRAP_ID_HEX], BkcError *err)
{
	const char *file = bkc_option(options, "new-key-file");
	uint8_t		bytes[BKC_WRAP_ID_SIZE];

	if (!bkc_session_open(session, options, err) || !bkc_session_cluster(session, options, err))
		return false;
	if (!bkc_keys_attach_new(options, file, &session->url, session->store, err))
	{
		session->place = BKC_AT_COMMAND_LINE;
		return false;
	}
	if (!bkc_keyring_wrapping_id(session->store->keys, 0, session->sysid, bytes, err) ||
		!bkc_keys_rotate(session->store, session->sysid, 0,
						 bkc_option_given(options, "remove-old"), done, err))
		return false;
	bkc_hex_encode(bytes, sizeof(bytes), id);
	return true;
}

static int
run_rotate_key(const BkcOptions *options)
{
	bool		json = bkc_option_given(options, "json");
	BkcSession	session = {0};
	BkcRotation done = {0};
	char		id[BKC_WRAP_ID_HEX];
	BkcError	err;
	int			status = BKC_EXIT_OK;

	if (!rotate(&session, options, &done, id, &err))
		status = bkc_report_error(&err, session.place, json);
	else if (json)
		bkc_json_print(json_pack("{s:s, s:i, s:s, s:o, s:o, s:o}", "status", "ok",
								 "exit_status", status, "key_id", id,
								 "data_keys", bkc_json_u64(done.keys),
								 "added", bkc_json_u64(done.added),
								 "removed", bkc_json_u64(done.removed)));
	else
		printf("key %s opens all %" PRIu64 " data keys of cluster %" PRIu64 ", each tried: %" PRIu64
			   " copies added, %" PRIu64 " of other keys removed\n",
			   id, done.keys, session.sysid, done.added, done.removed);
	if (status == BKC_EXIT_OK)
		fprintf(stderr, "A server that writes here seals with the first key of its pg_backupctl.encryption_key_file: "
				"put the new one there, and keep the old one until that is done and this was run once more.\n");
	bkc_session_close(&session);
	return status;
}

static const BkcOptionDef rotate_options[] = {
	BKC_OPTION_REPO,
	BKC_OPTION_KEYS,
	{"new-key-file", 0, "FILE", true, "the key that is to open everything"},
	{"remove-old", 0, NULL, false, "then remove what lets other keys open it"},
	BKC_OPTION_CLUSTER,
	BKC_OPTION_JSON,
	BKC_OPTION_HELP,
	BKC_OPTION_END
};

const BkcCommand bkc_command_rotate_key = {
	.name = "rotate-key",
	.summary = "let a new key open what is sealed in a repository",
	.options = rotate_options,
	.notes = "Data are not touched: each data key gets a copy for the new key, which is tried.\n"
	"Give all keys that were in use.  When a data key cannot be opened, nothing is removed.\n",
	.run = run_rotate_key
};
