/*
 * setup.c
 *		Setting the place of a repository up: what is common to the drivers.
 */
#include "store/setup.h"

#include "base/host.h"

bool
bkc_store_setup_check(BkcStore *store, const BkcStoreSetup *options, BkcError *err)
{
	if (store->ops->setup == NULL)
		return bkc_error_set(err, BKC_ERR_INVALID, "repository \"%s\" needs no setting up",
							 store->location);
	return store->ops->setup->check(store, options, err);
}

bool
bkc_store_setup(BkcStore *store, const BkcStoreSetup *options, BkcStoreStepEach each, void *arg,
				BkcError *err)
{
	return bkc_store_setup_check(store, options, err) &&
		bkc_host_check(err) &&
		store->ops->setup->run(store, options, each, arg, err);
}
