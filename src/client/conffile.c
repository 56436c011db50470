/*
 * conffile.c
 *		Reading postgresql.conf: lines, settings, and a list of settings.
 */
#include "conffile.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"

void
bkc_conf_lines_begin(BkcConfLines *lines, const char *text, size_t len)
{
	memset(lines, 0, sizeof(*lines));
	lines->next = text;
	lines->end = text + len;
}

void
bkc_conf_lines_free(BkcConfLines *lines)
{
	bkc_buffer_free(&lines->line.value);
}

static bool
is_name_char(char c, bool first)
{
	unsigned char u = (unsigned char) c;

	if (isalpha(u) || c == '_' || u >= 0x80)
		return true;
	return !first && (isdigit(u) || c == '$' || c == '.');
}

static const char *
skip_space(const char *p, const char *end)
{
	while (p < end && (*p == ' ' || *p == '\t' || *p == '\r'))
		p++;
	return p;
}

/* Behind the opening quote.  NULL when the closing one is missing, or err is set. */
static const char *
read_quoted(const char *p, const char *end, BkcBuffer *value, BkcError *err)
{
	static const char letters[] = "bfnrt";
	static const char meanings[] = "\b\f\n\r\t";

	while (p < end)
	{
		char		c = *p++;
		const char *letter;

		if (c == '\'')
		{
			if (p == end || *p != '\'')
				return p;
			p++;
		}
		else if (c == '\\')
		{
			if (p == end)
				return NULL;
			c = *p++;
			letter = strchr(letters, c);
			if (c >= '0' && c <= '7')
			{
				int			code = c - '0';

				for (int i = 0; i < 2 && p < end && *p >= '0' && *p <= '7'; i++)
					code = code * 8 + (*p++ - '0');
				c = (char) code;
			}
			else if (c != '\0' && letter != NULL)
				c = meanings[letter - letters];
		}
		if (!bkc_buffer_append(value, &c, 1, err))
			return NULL;
	}
	return NULL;
}

/* name [=] value [# comment] into line; a line that is none of that is no setting. */
static bool
parse_line(BkcConfLine *line, BkcError *err)
{
	const char *end = line->text + line->len;
	const char *p = skip_space(line->text, end);
	const char *start = p;
	size_t		n = 0;

	bkc_error_clear(err);
	line->is_setting = false;
	bkc_buffer_reset(&line->value);
	while (p < end && is_name_char(*p, p == start))
	{
		if (n + 1 >= sizeof(line->name))
			return true;
		line->name[n++] = (char) tolower((unsigned char) *p++);
	}
	line->name[n] = '\0';
	start = p;
	p = skip_space(p, end);
	if (p < end && *p == '=')
		p = skip_space(p + 1, end);
	/* name'value' without a blank is fine for the server, too */
	if (n == 0 || p == end || (p == start && *p != '\''))
		return true;
	if (*p == '\'')
	{
		p = read_quoted(p + 1, end, &line->value, err);
		if (p == NULL)
			return err->code == BKC_OK;
	}
	else
	{
		start = p;
		while (p < end && *p != '#' && *p != ' ' && *p != '\t' && *p != '\r')
			p++;
		if (p == start)
			return true;
		if (!bkc_buffer_append(&line->value, start, (size_t) (p - start), err))
			return false;
	}
	p = skip_space(p, end);
	line->is_setting = p == end || *p == '#';
	return true;
}

bool
bkc_conf_lines_next(BkcConfLines *lines, bool *end, BkcError *err)
{
	const char *newline;

	*end = lines->next >= lines->end;
	if (*end)
		return true;
	newline = memchr(lines->next, '\n', (size_t) (lines->end - lines->next));
	lines->line.text = lines->next;
	lines->line.len = (size_t) ((newline != NULL ? newline : lines->end) - lines->next);
	lines->next = newline != NULL ? newline + 1 : lines->end;
	return parse_line(&lines->line, err);
}

bool
bkc_settings_set(BkcSettings *settings, const char *name, const char *value, BkcError *err)
{
	char	   *copy = strdup(value);
	char	   *name_copy;
	BkcSetting *items;

	if (copy == NULL)
		return bkc_error_oom(err);
	for (size_t i = 0; i < settings->count; i++)
	{
		if (strcmp(settings->items[i].name, name) == 0)
		{
			free(settings->items[i].value);
			settings->items[i].value = copy;
			return true;
		}
	}
	name_copy = strdup(name);
	items = reallocarray(settings->items, settings->count + 1, sizeof(BkcSetting));
	if (items != NULL)
		settings->items = items;
	if (items == NULL || name_copy == NULL)
	{
		free(name_copy);
		free(copy);
		return bkc_error_oom(err);
	}
	items[settings->count].name = name_copy;
	items[settings->count].value = copy;
	settings->count++;
	return true;
}

const char *
bkc_settings_get(const BkcSettings *settings, const char *name)
{
	for (size_t i = 0; i < settings->count; i++)
	{
		if (strcmp(settings->items[i].name, name) == 0)
			return settings->items[i].value;
	}
	return NULL;
}

void
bkc_settings_free(BkcSettings *settings)
{
	for (size_t i = 0; i < settings->count; i++)
	{
		free(settings->items[i].name);
		free(settings->items[i].value);
	}
	free(settings->items);
	memset(settings, 0, sizeof(*settings));
}

bool
bkc_conf_put(BkcBuffer *out, const char *name, const char *value, BkcError *err)
{
	return bkc_buffer_printf(out, err, "%s = '", name) &&
		bkc_conf_quote(out, value, err) &&
		bkc_buffer_append_str(out, "'\n", err);
}
