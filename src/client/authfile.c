/*
 * authfile.c
 *		Reading pg_hba.conf, pg_ident.conf and the lists of names that they refer
 *		to.
 */
#include "authfile.h"

#include <stdlib.h>
#include <string.h>

typedef struct Token
{
	size_t		from;			/* in the line's text, with its quotes */
	size_t		to;
	bool		quoted;			/* begins with a quote: '@' means nothing special then */
	bool		comma;			/* the next token belongs to the same field */
	BkcBuffer	value;			/* decoded */
} Token;

/* ---- lines ---- */

void
bkc_auth_lines_begin(BkcAuthLines *lines, const char *text, size_t len)
{
	memset(lines, 0, sizeof(*lines));
	lines->next = text;
	lines->end = text + len;
}

void
bkc_auth_lines_free(BkcAuthLines *lines)
{
	bkc_buffer_free(&lines->line.text);
}

bool
bkc_auth_lines_next(BkcAuthLines *lines, bool *end, BkcError *err)
{
	BkcAuthLine *line = &lines->line;
	bool		continued = true;

	*end = lines->next >= lines->end;
	line->raw = lines->next;
	line->raw_len = 0;
	bkc_buffer_reset(&line->text);
	while (continued && lines->next < lines->end)
	{
		const char *part = lines->next;
		const char *newline = memchr(part, '\n', (size_t) (lines->end - part));
		size_t		len = (size_t) ((newline != NULL ? newline : lines->end) - part);

		lines->next = newline != NULL ? newline + 1 : lines->end;
		line->raw_len = (size_t) (part + len - line->raw);
		while (len > 0 && part[len - 1] == '\r')
			len--;
		continued = len > 0 && part[len - 1] == '\\';
		if (!bkc_buffer_append(&line->text, part, continued ? len - 1 : len, err))
			return false;
	}
	return true;
}

/* ---- tokens ---- */

static bool
is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

/* One character of a token: kept, or a quote that only turns quoting on or off. */
static bool
token_char(Token *token, char c, bool *in_quote, bool *was_quote, BkcError *err)
{
	bool		ok = true;

	if (c != '"' || *was_quote)
		ok = bkc_buffer_append(&token->value, &c, 1, err);

	/* two of them are one that is meant */
	*was_quote = *in_quote && c == '"' && !*was_quote;
	if (c == '"')
	{
		*in_quote = !*in_quote;
		token->quoted |= token->value.len == 0;
	}
	return ok;
}

/* The token at or behind *at; *end = true when there is none. */
static bool
next_token(const BkcBuffer *text, size_t *at, Token *token, bool *end, BkcError *err)
{
	const char *p = bkc_buffer_str(text);
	size_t		i = *at;
	bool		in_quote = false;
	bool		was_quote = false;

	bkc_buffer_reset(&token->value);
	token->quoted = token->comma = false;
	while (i < text->len && (is_blank(p[i]) || p[i] == ','))
		i++;
	token->from = i;
	while (i < text->len && (in_quote || (!is_blank(p[i]) && p[i] != '#' && p[i] != ',')))
	{
		if (!token_char(token, p[i++], &in_quote, &was_quote, err))
			return false;
	}
	token->to = i;
	token->comma = i < text->len && p[i] == ',';
	*at = i < text->len && p[i] == '#' ? text->len : i;
	*end = token->to == token->from;
	return true;
}

/* ---- references ---- */

void
bkc_auth_references_free(BkcAuthReferences *references)
{
	for (size_t i = 0; i < references->count; i++)
		bkc_buffer_free(&references->items[i].name);
	free(references->items);
	memset(references, 0, sizeof(*references));
}

static bool
add_reference(BkcAuthReferences *references, const Token *token, size_t skip, BkcError *err)
{
	BkcAuthReference *items;

	items = reallocarray(references->items, references->count + 1, sizeof(BkcAuthReference));
	if (items == NULL)
		return bkc_error_oom(err);
	references->items = items;
	items += references->count++;
	memset(items, 0, sizeof(*items));
	items->from = token->from;
	items->to = token->to;
	items->at = skip > 0;
	return bkc_buffer_append_str(&items->name, bkc_buffer_str(&token->value) + skip, err);
}

/* Two fields, the first of which is a word for including: the second into *name. */
static bool
find_include(const BkcAuthLine *line, Token *name, bool *found, bool *folder, BkcError *err)
{
	Token		behind = {0};
	size_t		at = 0;
	const char *word;
	bool		end;
	bool		last = false;
	bool		ok;

	if (!next_token(&line->text, &at, name, &end, err))
		return false;
	word = bkc_buffer_str(&name->value);
	*folder = strcmp(word, "include_dir") == 0;
	*found = !name->comma &&
		(*folder || strcmp(word, "include") == 0 || strcmp(word, "include_if_exists") == 0);
	if (!*found)
		return true;
	ok = next_token(&line->text, &at, name, &end, err) &&
		next_token(&line->text, &at, &behind, &last, err);
	*found = !end && last;
	bkc_buffer_free(&behind.value);
	return ok;
}

static bool
find_ats(const BkcAuthLine *line, Token *token, BkcAuthReferences *references, BkcError *err)
{
	size_t		at = 0;
	bool		end = false;

	while (!end)
	{
		if (!next_token(&line->text, &at, token, &end, err))
			return false;
		if (!end && !token->quoted && token->value.len > 1 && token->value.data[0] == '@' &&
			!add_reference(references, token, 1, err))
			return false;
	}
	return true;
}

bool
bkc_auth_references(const BkcAuthLine *line, bool includes, BkcAuthReferences *references,
					BkcError *err)
{
	Token		token = {0};
	bool		found = false;
	bool		folder = false;
	bool		ok = true;

	bkc_auth_references_free(references);
	if (includes)
		ok = find_include(line, &token, &found, &folder, err);
	if (ok && found)
	{
		/* the server takes this name as it is, also where it begins with '@' */
		ok = add_reference(references, &token, 0, err);
		if (ok)
			references->items[0].folder = folder;
	}
	else
		ok = ok && find_ats(line, &token, references, err);
	bkc_buffer_free(&token.value);
	return ok;
}

bool
bkc_auth_put_reference(BkcBuffer *out, const BkcAuthReference *reference, const char *name,
					   BkcError *err)
{
	bool		ok = bkc_buffer_append_str(out, reference->at ? "@\"" : "\"", err);

	for (; ok && *name != '\0'; name++)
		ok = (*name != '"' || bkc_buffer_append(out, "\"", 1, err)) &&
			bkc_buffer_append(out, name, 1, err);
	return ok && bkc_buffer_append_str(out, "\"", err);
}
