/*
 * test_pipe_lineage.c
 *		Predecessors: chains of claims, who is none, and damage.
 */
#include "test_pipe_wal.h"

#include "format/documents.h"
#include "pipe/lineage.h"
#include "pipe/object.h"
#include "pipe/owner.h"

static void
cluster(BkcStore *store, uint64_t sysid)
{
	BkcClusterDoc doc = {.system_identifier = sysid, .pg_version_num = 150004, .created = TIME};
	BkcBuffer	text = {0};
	char		name[BKC_NAME_MAX];
	BkcError	err;

	assert_ok(bkc_name_cluster(sysid, name, &err));
	assert_ok(bkc_clusterdoc_encode(&doc, &text, &err));
	assert_ok(bkc_document_put(store, name, BKC_KIND_CLUSTER, bkc_buffer_str(&text), text.len,
							   &err));
	bkc_buffer_free(&text);
}

static void
claim(BkcStore *store, uint64_t sysid, uint32_t number, uint64_t successor)
{
	BkcOwnerDoc doc = {
		.number = number, .system_identifier = sysid, .owner = "ff", .host = "db1",
		.data_directory = "/d", .timeline = 1, .session = 1, .time = TIME + number,
		.successor = successor
	};
	BkcError	err;

	strcpy(doc.reason, successor != 0 ? "adopted" : "first");
	assert_ok(bkc_owner_claim(store, &doc, &err));
}

static void
lineage_is(BkcStore *store, uint64_t sysid, const char *expected)
{
	char		text[256] = "";
	size_t		len = 0;
	BkcPredecessor *list;
	size_t		n;
	BkcError	err;

	assert_ok(bkc_lineage_load(store, sysid, &list, &n, &err));
	for (size_t i = 0; i < n; i++)
	{
		bool		leads;
		uint64_t	next;

		len += (size_t) snprintf(text + len, sizeof(text) - len, "%s%u:%u", i > 0 ? " " : "",
								 (unsigned) list[i].system_identifier, list[i].depth);
		assert_ok(bkc_lineage_leads(store, list[i].system_identifier, sysid, &leads, &next, &err));
		assert_true(leads);
		assert_true(next != 0);
	}
	free(list);
	assert_string_equal(text, expected);
}

static void
leads_not(BkcStore *store, uint64_t sysid, uint64_t to, uint64_t expected)
{
	bool		leads = true;
	uint64_t	next;
	BkcError	err;

	assert_ok(bkc_lineage_leads(store, sysid, to, &leads, &next, &err));
	assert_false(leads);
	assert_true(next == expected);
}

static void
test_chains(void **state)
{
	BkcStore   *store = util_store();

	for (uint64_t sysid = 1; sysid <= 6; sysid++)
		cluster(store, sysid);
	lineage_is(store, 3, "");
	claim(store, 1, 1, 0);
	claim(store, 2, 1, 0);
	claim(store, 3, 1, 0);
	lineage_is(store, 3, "");
	leads_not(store, 1, 3, 0);
	claim(store, 2, 2, 3);
	lineage_is(store, 3, "2:1");
	claim(store, 1, 2, 2);
	lineage_is(store, 3, "2:1 1:2");
	lineage_is(store, 2, "1:1");
	leads_not(store, 1, 4, 2);
	leads_not(store, 4, 3, 0);

	/* several at once, adopted again by somebody else, and taken back */
	claim(store, 5, 1, 3);
	lineage_is(store, 3, "2:1 5:1 1:2");
	claim(store, 5, 2, 6);
	lineage_is(store, 3, "2:1 1:2");
	claim(store, 2, 3, 0);
	lineage_is(store, 3, "");
	lineage_is(store, 2, "1:1");

	/* a ring leads nowhere else, nor does a cluster that is not there */
	claim(store, 2, 4, 1);
	lineage_is(store, 3, "");
	leads_not(store, 1, 3, 2);
	claim(store, 1, 3, 77);
	lineage_is(store, 3, "");
	lineage_is(store, 77, "1:1 2:2");
	bkc_store_close(store);
}

static void
test_damage(void **state)
{
	BkcStore   *store = util_store();
	BkcPredecessor *list;
	size_t		n;
	BkcError	err;

	for (uint64_t sysid = 1; sysid <= 3; sysid++)
		cluster(store, sysid);
	claim(store, 1, 1, 3);
	claim(store, 2, 1, 3);
	util_put(store, "2/owner/00000002", "x", 1);
	lineage_is(store, 3, "1:1");
	leads_not(store, 2, 3, 0);
	bkc_store_close(store);

	/* what could not be asked is no answer */
	store = util_store();
	for (uint64_t sysid = 1; sysid <= 3; sysid++)
		cluster(store, sysid);
	claim(store, 1, 1, 3);
	wal_host();
	wal_cancel_after = 3;
	assert_fails(bkc_lineage_load(store, 3, &list, &n, &err), BKC_ERR_CANCELLED);
	assert_null(list);
	wal_cancel_after = -1;
	assert_ok(bkc_lineage_load(store, 3, &list, &n, &err));
	free(list);
	bkc_store_close(store);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_chains),
		cmocka_unit_test(test_damage),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
