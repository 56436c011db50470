/*
 * keynames.c
 *		Names of keys, and which names are a backup's content (contract: names.h).
 */
#include "format/names.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "format/envelope.h"
#include "format/label.h"

#define WRAPPING_SIZE	8
#define BACKUPS			"/backups/"

bool
bkc_name_keys(uint64_t sysid, char out[BKC_NAME_MAX], BkcError *err)
{
	out[0] = '\0';
	if (sysid == 0)
		return bkc_error_set(err, BKC_ERR_INVALID, "system identifier is zero");
	snprintf(out, BKC_NAME_MAX, "%" PRIu64 "/keys/", sysid);
	return true;
}

bool
bkc_name_key_copies(uint64_t sysid, const uint8_t id[16], char out[BKC_NAME_MAX], BkcError *err)
{
	char		hex[BKC_KEY_ID_HEX];
	size_t		len;

	if (!bkc_name_keys(sysid, out, err))
		return false;
	bkc_hex_encode(id, BKC_KEY_ID_SIZE, hex);
	len = strlen(out);
	snprintf(out + len, BKC_NAME_MAX - len, "%s/", hex);
	return true;
}

bool
bkc_name_key(uint64_t sysid, const uint8_t id[16], const uint8_t wrapping[8],
			 char out[BKC_NAME_MAX], BkcError *err)
{
	if (!bkc_name_key_copies(sysid, id, out, err))
		return false;
	bkc_hex_encode(wrapping, WRAPPING_SIZE, out + strlen(out));
	return true;
}

/* What was understood is written again and compared, as with all names. */
bool
bkc_name_parse_key(const char *name, uint64_t *sysid, uint8_t id[16], uint8_t wrapping[8])
{
	char		again[BKC_NAME_MAX];
	char		hex[BKC_KEY_ID_HEX];
	size_t		len = strlen(name);
	size_t		tail = 2 * BKC_KEY_ID_SIZE + 1 + 2 * WRAPPING_SIZE;
	BkcError	err;

	if (len <= tail || len >= BKC_NAME_MAX || !bkc_name_parse_cluster(name, sysid))
		return false;
	memcpy(hex, name + len - tail, sizeof(hex) - 1);
	hex[sizeof(hex) - 1] = '\0';
	return bkc_hex_decode(hex, id, BKC_KEY_ID_SIZE) &&
		bkc_hex_decode(name + len - 2 * WRAPPING_SIZE, wrapping, WRAPPING_SIZE) &&
		bkc_name_key(*sysid, id, wrapping, again, &err) && strcmp(name, again) == 0;
}

bool
bkc_name_parse_cluster(const char *name, uint64_t *sysid)
{
	char		component[24];
	size_t		len = strcspn(name, "/");

	if (name[len] == '\0' || len >= sizeof(component))
		return false;
	memcpy(component, name, len);
	component[len] = '\0';
	return bkc_name_parse_sysid(component, sysid);
}

bool
bkc_name_parse_content(const char *name, char label[BKC_LABEL_MAX])
{
	const char *rest = name + strcspn(name, "/");
	size_t		len;

	label[0] = '\0';
	if (strncmp(rest, BACKUPS, strlen(BACKUPS)) != 0)
		return false;
	rest += strlen(BACKUPS);
	len = strcspn(rest, "/");
	if (rest[len] != '/' || len >= BKC_LABEL_MAX)
		return false;
	memcpy(label, rest, len);
	label[len] = '\0';
	rest += len + 1;
	return bkc_label_valid(label) &&
		(strcmp(rest, "manifest") == 0 || strncmp(rest, "data/", 5) == 0 ||
		 strncmp(rest, "map/", 4) == 0);
}

bool
bkc_name_is_bulk(const char *name)
{
	char		label[BKC_LABEL_MAX];
	uint32_t	worker;
	uint32_t	number;

	return bkc_name_parse_content(name, label) &&
		bkc_name_parse_pack(strrchr(name, '/') + 1, &worker, &number) &&
		worker != BKC_WORKER_LEADER;
}
