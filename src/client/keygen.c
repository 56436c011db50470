/*
 * keygen.c
 *		Makes a wrapping key.
 */
#include "main.h"

#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>

#include "base/file.h"
#include "base/text.h"
#include "crypto/digest.h"
#include "crypto/keyfile.h"

#include "json.h"
#include "report.h"

#define KEY_LINE	(2 * BKC_SECRET_SIZE + 1)

static bool
make_key(char line[KEY_LINE + 1], char id[BKC_WRAP_ID_HEX], BkcError *err)
{
	BkcSecret  *secret = bkc_secret_random(err);
	uint8_t		bytes[BKC_WRAP_ID_SIZE];
	bool		ok = secret != NULL && bkc_wrapping_id(secret, bytes, err);

	if (ok)
	{
		bkc_hex_encode(bytes, sizeof(bytes), id);
		bkc_hex_encode(secret->bytes, BKC_SECRET_SIZE, line);
		memcpy(line + KEY_LINE - 1, "\n", 2);
	}
	bkc_secret_free(secret);
	return ok;
}

static void
tell(const char *path, const char *id, bool json)
{
	if (json)
		bkc_json_print(json_pack("{s:s, s:i, s:s, s:o}", "status", "ok", "exit_status", BKC_EXIT_OK,
								 "key_id", id, "file", bkc_json_text(path)));
	else
		fprintf(path != NULL ? stdout : stderr, "key %s%s%s\n", id,
				path != NULL ? " written to " : "", path != NULL ? path : "");
	if (!json)
		fprintf(stderr, "Keep a copy of it where neither this machine nor the repository is: without it "
				"nothing that it seals can ever be restored.\n");
}

static int
run_keygen(const BkcOptions *options)
{
	const char *path = bkc_option(options, "out");
	bool		json = bkc_option_given(options, "json");
	char		line[KEY_LINE + 1];
	char		id[BKC_WRAP_ID_HEX];
	BkcPlace	place = BKC_AT_PROGRAM;
	BkcError	err;
	bool		ok;

	if (json && path == NULL)
	{
		bkc_error_set(&err, BKC_ERR_INVALID, "--json needs --out: standard output cannot be both");
		return bkc_report_error(&err, BKC_AT_COMMAND_LINE, false);
	}

	/* as in keys.c: no picture of a memory with a key in it */
	(void) prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
	ok = make_key(line, id, &err);
	if (ok && path != NULL)
	{
		place = BKC_AT_TARGET;
		ok = bkc_file_put(path, line, strlen(line), 0600, false, &err);
		if (!ok && err.code == BKC_ERR_EXISTS)
			bkc_error_hint(&err, "A key that is in use must not be replaced: choose another name.");
	}
	else if (ok)
		fputs(line, stdout);
	bkc_wipe(line, sizeof(line));
	if (!ok)
		return bkc_report_error(&err, place, json);
	tell(path, id, json);
	return BKC_EXIT_OK;
}

static const BkcOptionDef keygen_options[] = {
	{"out", 'o', "FILE", false, "write it to this new file (default: to standard output)"},
	BKC_OPTION_JSON,
	BKC_OPTION_HELP,
	BKC_OPTION_END
};

const BkcCommand bkc_command_keygen = {
	.name = "keygen",
	.summary = "make a key for sealed backups",
	.options = keygen_options,
	.notes = "The key is 32 random bytes as 64 hex digits.  The file is readable for its owner alone;\n"
	"give it to the server's user.  What is printed otherwise is the key's id, which is no secret.\n",
	.run = run_keygen
};
