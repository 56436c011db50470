/*
 * test_client_pgmanifest.c
 *		backup_manifest: JSON, checksum, encoded paths, versions.
 */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <unistd.h>

#include "../../src/client/pgmanifest.c"

static char *
write_manifest(uint32_t version, const char *const *names, size_t n)
{
	char		path[] = "/tmp/bkc_manifest.XXXXXX";
	int			fd = mkstemp(path);
	uint8_t		sha256[BKC_SHA256_SIZE];
	BkcPgManifest *m;
	BkcBuffer	text = {0};
	BkcError	err;

	assert_true(fd >= 0);
	memset(sha256, 0xAB, sizeof(sha256));
	assert_true(bkc_pgmanifest_begin(fd, path, version, UINT64_MAX, &m, &err));
	for (size_t i = 0; i < n; i++)
		assert_true(bkc_pgmanifest_file(m, i % 2 == 1 ? "dir" : "", names[i], i, 1700000000,
										sha256, &err));
	assert_true(bkc_pgmanifest_end(m, 3, 0x2000028, 0x100000000, &err));
	bkc_pgmanifest_free(m);
	close(fd);
	assert_true(bkc_file_slurp(path, 256 * 1024 * 1024, &text, &err));
	unlink(path);
	return (char *) text.data;
}

/* The last line is the SHA-256 of everything before it. */
static void
check_checksum(const char *text)
{
	const char *last = strstr(text, "\n\"Manifest-Checksum\"");
	uint8_t		sha256[BKC_SHA256_SIZE];
	char		expected[128];
	char		hex[2 * BKC_SHA256_SIZE + 1];
	BkcError	err;

	assert_non_null(last);
	last++;
	assert_true(bkc_sha256(text, (size_t) (last - text), sha256, &err));
	bkc_hex_encode(sha256, sizeof(sha256), hex);
	snprintf(expected, sizeof(expected), "\"Manifest-Checksum\": \"%s\"}\n", hex);
	assert_string_equal(last, expected);
}

static void
test_files(void **state)
{
	static const char *const names[] = {"base/1/2", "x", "a\"b\\c\n\x01", "gr\xC3\xBC\xC3\x9F",
		"bad\xFF"};
	char	   *text = write_manifest(150020, names, 5);
	json_error_t error;
	json_t	   *root = json_loads(text, 0, &error);
	json_t	   *files = json_object_get(root, "Files");
	json_t	   *range = json_array_get(json_object_get(root, "WAL-Ranges"), 0);

	assert_non_null(root);
	check_checksum(text);
	assert_int_equal(json_integer_value(json_object_get(root, "PostgreSQL-Backup-Manifest-Version")), 1);
	assert_null(json_object_get(root, "System-Identifier"));
	assert_int_equal(json_array_size(files), 5);
	assert_string_equal(json_string_value(json_object_get(json_array_get(files, 0), "Path")), names[0]);
	assert_string_equal(json_string_value(json_object_get(json_array_get(files, 1), "Path")), "dir/x");
	assert_string_equal(json_string_value(json_object_get(json_array_get(files, 2), "Path")), names[2]);
	assert_null(json_object_get(json_array_get(files, 4), "Path"));
	assert_string_equal(json_string_value(json_object_get(json_array_get(files, 4), "Encoded-Path")),
						"626164ff");
	assert_string_equal(json_string_value(json_object_get(json_array_get(files, 0), "Last-Modified")),
						"2023-11-14 22:13:20 GMT");
	assert_int_equal(json_integer_value(json_object_get(range, "Timeline")), 3);
	assert_string_equal(json_string_value(json_object_get(range, "Start-LSN")), "0/2000028");
	assert_string_equal(json_string_value(json_object_get(range, "End-LSN")), "1/0");
	json_decref(root);
	free(text);
}

static void
test_version_2(void **state)
{
	char	   *text = write_manifest(170000, NULL, 0);

	check_checksum(text);
	assert_non_null(strstr(text, "{ \"PostgreSQL-Backup-Manifest-Version\": 2,\n"
						   "\"System-Identifier\": 18446744073709551615,\n\"Files\": ["));
	free(text);
}

/* More than the buffer holds. */
static void
test_many(void **state)
{
	static const char *names[5000];
	char	   *text;
	size_t		lines = 0;

	for (size_t i = 0; i < 5000; i++)
		names[i] = "base/16384/12345_some_file_of_usual_length";
	text = write_manifest(160000, names, 5000);
	check_checksum(text);
	for (const char *p = text; (p = strstr(p, "\"Checksum\"")) != NULL; p++)
		lines++;
	assert_int_equal(lines, 5000);
	free(text);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_files),
		cmocka_unit_test(test_version_2),
		cmocka_unit_test(test_many),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
