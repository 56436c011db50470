/*
 * repolist.c
 *		Lists of named repositories, "name=url, name=url" (second half of url.h).
 */
#include "base/url.h"

#include <stdlib.h>
#include <string.h>

#include "base/text.h"

#define NAME_MAX_LEN	31
#define WHITE			" \t\r\n\f\v"

static bool
is_white(char c)
{
	return c != '\0' && strchr(WHITE, c) != NULL;
}

static bool
name_valid(const char *name, size_t len)
{
	size_t		i;

	if (len == 0 || len > NAME_MAX_LEN || name[0] < 'a' || name[0] > 'z')
		return false;
	for (i = 1; i < len; i++)
	{
		if (!(name[i] >= 'a' && name[i] <= 'z') && !(name[i] >= '0' && name[i] <= '9') &&
			name[i] != '_' && name[i] != '-')
			return false;
	}
	return true;
}

/*
 * number counts from 1; what stands before "=" or ":" should have been a name.
 * With an "@" to come it may be part of a password with a comma in it, and is
 * not shown.
 */
static bool
bad_item(size_t number, const char *item, size_t len, BkcError *err)
{
	size_t		shown = strcspn(item, "=:");

	if (len == 0)
	{
		bkc_error_set(err, BKC_ERR_INVALID, "item %zu of the list of repositories is empty",
					  number);
		return bkc_error_hint(err, "Remove the superfluous comma.");
	}
	if (strchr(item, '@') != NULL)
		bkc_error_set(err, BKC_ERR_INVALID,
					  "item %zu of the list of repositories does not begin with a name", number);
	else
		bkc_error_set(err, BKC_ERR_INVALID,
					  "item %zu of the list of repositories does not begin with a name: \"%.*s\"",
					  number, bkc_text_clip(item, shown < len ? shown : len, 80), item);
	return bkc_error_hint(err, "Write name=URL, where the name is a lower-case letter followed by "
						  "up to 30 lower-case letters, digits, \"_\" or \"-\". "
						  "A comma inside a URL is written %%2C.");
}

/* One item without white space around it; its URL is parsed in place. */
static bool
parse_item(BkcRepoList *list, const char *item, size_t len, BkcError *err)
{
	const char *end = item + len;
	const char *url = memchr(item, '=', len);
	size_t		name_len = url != NULL ? (size_t) (url - item) : 0;
	BkcRepoDef *def = &list->items[list->count];
	char	   *text;
	bool		ok;

	while (name_len > 0 && is_white(item[name_len - 1]))
		name_len--;
	if (!name_valid(item, name_len))
		return bad_item(list->count + 1, item, len, err);
	for (url++; url < end && is_white(*url);)
		url++;

	def->name = strndup(item, name_len);
	text = strndup(url, (size_t) (end - url));
	if (def->name == NULL || text == NULL)
		ok = bkc_error_oom(err);
	else if (bkc_repolist_find(list, def->name) != NULL)
		ok = bkc_error_set(err, BKC_ERR_INVALID,
						   "repository \"%s\" stands twice in the list of repositories",
						   def->name);
	else
	{
		ok = bkc_url_parse(text, &def->url, err);
		if (!ok)
			bkc_error_context(err, "repository \"%s\"", def->name);
	}
	free(text);
	list->count++;				/* bkc_repolist_free() also takes half an item */
	return ok;
}

bool
bkc_repolist_parse(const char *text, BkcRepoList *list, BkcError *err)
{
	size_t		count = 1;
	size_t		len;
	const char *p;
	const char *end;

	memset(list, 0, sizeof(*list));
	if (text == NULL || text[strspn(text, WHITE)] == '\0')
		return true;
	for (p = text; *p != '\0'; p++)
		count += *p == ',';
	list->items = calloc(count, sizeof(list->items[0]));
	if (list->items == NULL)
		return bkc_error_oom(err);
	for (;;)
	{
		end = text + strcspn(text, ",");
		p = end;
		text += strspn(text, WHITE);
		while (p > text && is_white(p[-1]))
			p--;
		len = p > text ? (size_t) (p - text) : 0;
		if (len == 0)
			bad_item(list->count + 1, text, len, err);
		if (len == 0 || !parse_item(list, text, len, err))
		{
			bkc_repolist_free(list);
			return false;
		}
		if (*end == '\0')
			return true;
		text = end + 1;
	}
}

void
bkc_repolist_free(BkcRepoList *list)
{
	size_t		i;

	for (i = 0; i < list->count; i++)
	{
		free(list->items[i].name);
		bkc_url_free(&list->items[i].url);
	}
	free(list->items);
	list->items = NULL;
	list->count = 0;
}

const BkcRepoDef *
bkc_repolist_find(const BkcRepoList *list, const char *name)
{
	size_t		i;

	for (i = 0; i < list->count; i++)
	{
		if (strcmp(list->items[i].name, name) == 0)
			return &list->items[i];
	}
	return NULL;
}
