/*
 * url.h
 *		Repository URLs and "name=url, name=url" lists.
 *
 * scheme://authority/path?key=value&key=value - percent-encoding is decoded
 * in path, keys and values, not in the scheme.  A secret never stands in a
 * URL: user:password@ is refused with a hint.
 */
#ifndef BKC_BASE_URL_H
#define BKC_BASE_URL_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"

typedef struct BkcUrlParam
{
	char	   *key;
	char	   *value;
} BkcUrlParam;

typedef struct BkcUrl
{
	char	   *text;			/* as given */
	char	   *scheme;			/* lower case */
	char	   *authority;		/* host, bucket, ...; "" for file:///... */
	char	   *path;			/* decoded, leading slash kept, no trailing slash; "" for "/" */
	BkcUrlParam *params;
	size_t		nparams;
} BkcUrl;

/* A zeroed BkcUrl is valid; free may be called again. */
extern bool bkc_url_parse(const char *text, BkcUrl *url, BkcError *err);
extern void bkc_url_free(BkcUrl *url);

/* NULL when the URL has no such parameter. */
extern const char *bkc_url_param(const BkcUrl *url, const char *key);

/*
 * Every parameter must be in the NULL-terminated list; otherwise the error
 * names the unknown one and lists the known ones.
 */
extern bool bkc_url_check_params(const BkcUrl *url, const char *const *known, BkcError *err);

typedef struct BkcRepoDef
{
	char	   *name;
	BkcUrl		url;
} BkcRepoDef;

typedef struct BkcRepoList
{
	BkcRepoDef *items;
	size_t		count;
} BkcRepoList;

/*
 * "main=s3://a/b?x=y, local=file:///c": split at commas, the name ends at
 * the first '=', white space around items is dropped.  Names are
 * [a-z][a-z0-9_-]{0,30}, unique.  An empty text gives an empty list.
 */
extern bool bkc_repolist_parse(const char *text, BkcRepoList *list, BkcError *err);
extern void bkc_repolist_free(BkcRepoList *list);
extern const BkcRepoDef *bkc_repolist_find(const BkcRepoList *list, const char *name);

#endif							/* BKC_BASE_URL_H */
