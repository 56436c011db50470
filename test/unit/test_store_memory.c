/*
 * test_store_memory.c
 *		The store in memory: the conformance cases.
 */
#include "conformance.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static bool
memory_setup(void **repo, BkcError *err)
{
	BkcStore   *store;
	bool		ok = bkc_store_memory_new(&store, err);

	*repo = store;
	return ok;
}

static bool
memory_open(void *repo, BkcStore **store, BkcError *err)
{
	return bkc_store_memory_share(repo, store, err);
}

static void
memory_teardown(void *repo)
{
	bkc_store_close(repo);
}

int
main(void)
{
	static const Conformance memory = {
		.name = "memory",
		.setup = memory_setup,
		.open = memory_open,
		.teardown = memory_teardown,
	};

	return conformance_run(&memory);
}
