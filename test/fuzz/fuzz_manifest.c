/*
 * fuzz_manifest.c
 *		libFuzzer entry point: any bytes as the lines of a manifest.
 *
 * The hash in the trailer would keep a fuzzer from ever seeing a complete
 * manifest, but everything that is parsed comes before it is compared.
 */
#include <string.h>

#include "format/manifest.h"

extern int	LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	BkcError	err;
	BkcManifestReader *r = bkc_manifest_reader_new("fuzz", &err);
	BkcManifestHeader header;
	BkcEntry	entry;
	BkcPackInfo pack;
	BkcManifestLine kind;
	bool		ok = r != NULL;

	memset(&header, 0, sizeof(header));
	memset(&entry, 0, sizeof(entry));
	while (ok && size > 0)
	{
		const uint8_t *newline = memchr(data, '\n', size);
		size_t		len = newline ? (size_t) (newline - data) : size;

		ok = bkc_manifest_read_line(r, (const char *) data, len, &kind, &header, &entry, &pack,
									&err);
		len += newline != NULL;
		data += len;
		size -= len;
	}
	if (ok)
		(void) bkc_manifest_reader_finish(r, &err);
	bkc_manifest_reader_free(r);
	bkc_manifest_header_free(&header);
	bkc_entry_free(&entry);
	return 0;
}
