/*
 * test_store_s3.c
 *		The S3 driver against a real server, which run-unit.sh has started.
 */
#include "conformance.h"
#include "s3server.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/text.h"

static char bucket[S3_BUCKET_MAX];	/* of all tests that need nothing special */

/* ---- the conformance suite: one bucket, a new prefix for each case ---- */

typedef struct Place
{
	S3Way		way;
	char		prefix[32];
} Place;

static bool
setup_place(S3Way way, void **repo, BkcError *err)
{
	Place	   *place = calloc(1, sizeof(*place));
	uint8_t		random[8];

	*repo = place;
	if (place == NULL || !bkc_random(random, sizeof(random), err))
		return false;
	place->way = way;
	bkc_hex_encode(random, sizeof(random), place->prefix);
	return true;
}

static bool
setup_http_path(void **repo, BkcError *err)
{
	return setup_place(S3_HTTP_PATH, repo, err);
}

static bool
setup_http_host(void **repo, BkcError *err)
{
	return setup_place(S3_HTTP_HOST, repo, err);
}

static bool
setup_tls_path(void **repo, BkcError *err)
{
	return setup_place(S3_TLS_PATH, repo, err);
}

static bool
setup_tls_host(void **repo, BkcError *err)
{
	return setup_place(S3_TLS_HOST, repo, err);
}

static bool
open_place(void *repo, BkcStore **store, BkcError *err)
{
	const Place *place = repo;
	char		url[1024];

	s3server_url(url, sizeof(url), place->way, bucket, place->prefix, "");
	return s3server_try_open(url, store, err);
}

static void
teardown_place(void *repo)
{
	free(repo);
}

static int
run_conformance(void)
{
	static const Conformance ways[] = {
		{"http_path", setup_http_path, open_place, teardown_place, false},
		{"http_host", setup_http_host, open_place, teardown_place, true},
		{"tls_path", setup_tls_path, open_place, teardown_place, true},
		{"tls_host", setup_tls_host, open_place, teardown_place, true},
	};
	int			failures = 0;

	for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++)
		failures += conformance_run(&ways[i]);
	return failures;
}

int
main(void)
{
	int			status;

	if (!s3server_there(&status))
		return status;
	s3server_bucket(bucket, false);
	status = run_conformance();
	s3server_end();
	return status;
}
