/*
 * secret.c
 *		Memory for keys (contract: secret.h).
 */
#include "crypto/secret.h"

#include <stddef.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/text.h"
#include "crypto/digest.h"

static size_t
page_size(void)
{
	long		size = sysconf(_SC_PAGESIZE);

	return size > 0 ? (size_t) size : 4096;
}

BkcSecret *
bkc_secret_new(BkcError *err)
{
	void	   *page = mmap(NULL, page_size(), PROT_READ | PROT_WRITE,
							MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (page == MAP_FAILED)
	{
		bkc_error_oom(err);
		return NULL;
	}

	/* as far as the system knows it and ulimit -l allows it: a key in memory is better than none */
#ifdef MADV_DONTDUMP
	(void) madvise(page, page_size(), MADV_DONTDUMP);
#endif
	(void) mlock(page, page_size());
	return page;
}

BkcSecret *
bkc_secret_random(BkcError *err)
{
	BkcSecret  *secret = bkc_secret_new(err);

	if (secret != NULL && !bkc_random(secret->bytes, sizeof(secret->bytes), err))
	{
		bkc_secret_free(secret);
		return NULL;
	}
	return secret;
}

void
bkc_secret_free(BkcSecret *secret)
{
	if (secret == NULL)
		return;
	bkc_wipe(secret->bytes, sizeof(secret->bytes));
	(void) munmap(secret, page_size());
}
