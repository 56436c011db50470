/*
 * xml.c
 *		The XML documents of S3's replies, by expat.
 */
#include "store/s3/s3.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include <expat.h>

#define PATH_MAX_LEN	256
#define DEPTH_MAX		16
#define TEXT_MAX		(64 * 1024)

typedef struct Parse
{
	XML_Parser	parser;
	BkcS3XmlEach each;			/* or */
	BkcS3XmlRange range;
	void	   *arg;
	BkcError   *err;
	bool		failed;			/* err is set */
	int			depth;			/* elements that are open */
	size_t		starts[DEPTH_MAX];	/* length of path before each */
	size_t		places[DEPTH_MAX];	/* of its first byte in the document */
	char		path[PATH_MAX_LEN];
	BkcBuffer	text;
	bool		leaf;			/* no child was seen since the last start */
	size_t		blanks;			/* before the document: servers send some while they work */
} Parse;

static void
stop(Parse *p)
{
	p->failed = true;
	(void) XML_StopParser(p->parser, XML_FALSE);
}

static void XMLCALL
on_start(void *arg, const XML_Char *name, const XML_Char **attributes)
{
	Parse	   *p = arg;
	size_t		len = strlen(p->path);

	if (p->failed)
		return;
	if (p->depth >= DEPTH_MAX || len + strlen(name) + 2 > sizeof(p->path))
	{
		bkc_error_set(p->err, BKC_ERR_CORRUPT, "the XML in the reply is nested too deeply");
		stop(p);
		return;
	}
	p->places[p->depth] = p->blanks + (size_t) XML_GetCurrentByteIndex(p->parser);
	p->starts[p->depth++] = len;
	bkc_buffer_reset(&p->text);
	p->leaf = true;
	if (p->depth == 1)
	{
		/* the root: its name, with an empty path */
		if (p->each != NULL && !p->each(p->arg, "", name, p->err))
			stop(p);
		return;
	}
	if (len > 0)
		p->path[len++] = '/';
	memcpy(p->path + len, name, strlen(name) + 1);
}

static void XMLCALL
on_text(void *arg, const XML_Char *text, int len)
{
	Parse	   *p = arg;

	if (p->failed)
		return;
	if (p->text.len + (size_t) len > TEXT_MAX)
	{
		bkc_error_set(p->err, BKC_ERR_CORRUPT, "the XML in the reply has a text that is too long");
		stop(p);
	}
	else if (!bkc_buffer_append(&p->text, text, (size_t) len, p->err))
		stop(p);
}

static bool
tell_end(Parse *p)
{
	if (p->each != NULL)
		return p->each(p->arg, p->path, p->leaf ? bkc_buffer_str(&p->text) : NULL, p->err);
	return p->range(p->arg, p->path, p->places[p->depth - 1],
					p->blanks + (size_t) (XML_GetCurrentByteIndex(p->parser) +
							  XML_GetCurrentByteCount(p->parser)), p->err);
}

static void XMLCALL
on_end(void *arg, const XML_Char *name)
{
	Parse	   *p = arg;

	if (p->failed)
		return;
	if (p->depth > 1 && !tell_end(p))
		stop(p);
	p->path[p->starts[--p->depth]] = '\0';
	p->leaf = false;
	bkc_buffer_reset(&p->text);
}

static bool
parse(Parse *p, const void *data, size_t len)
{
	const char *text = data;
	bool		ok;

	while (p->blanks < len && isspace((unsigned char) text[p->blanks]))
		p->blanks++;
	p->parser = XML_ParserCreate(NULL);
	if (p->parser == NULL)
		return bkc_error_oom(p->err);
	XML_SetUserData(p->parser, p);
	XML_SetElementHandler(p->parser, on_start, on_end);
	XML_SetCharacterDataHandler(p->parser, on_text);
	ok = XML_Parse(p->parser, text + p->blanks, (int) (len - p->blanks),
				   XML_TRUE) == XML_STATUS_OK && !p->failed;
	if (!ok && !p->failed)
		bkc_error_set(p->err, BKC_ERR_CORRUPT, "the reply is not well-formed XML: %s",
					  XML_ErrorString(XML_GetErrorCode(p->parser)));
	XML_ParserFree(p->parser);
	bkc_wipe(p->text.data, p->text.cap);	/* STS's replies hold keys */
	bkc_buffer_free(&p->text);
	return ok;
}

bool
bkc_s3_xml(const void *data, size_t len, BkcS3XmlEach each, void *arg, BkcError *err)
{
	return parse(&(Parse) {.each = each, .arg = arg, .err = err}, data, len);
}

bool
bkc_s3_xml_ranges(const void *data, size_t len, BkcS3XmlRange range, void *arg, BkcError *err)
{
	return parse(&(Parse) {.range = range, .arg = arg, .err = err}, data, len);
}

bool
bkc_s3_xml_escape(BkcBuffer *out, const char *text, BkcError *err)
{
	for (; *text != '\0'; text++)
	{
		static const char special[] = "&<>\"'";
		static const char *const entities[] = {"&amp;", "&lt;", "&gt;", "&quot;", "&apos;"};
		const char *found = strchr(special, *text);

		if (!(found != NULL ? bkc_buffer_append_str(out, entities[found - special], err)
			  : bkc_buffer_append(out, text, 1, err)))
			return false;
	}
	return true;
}
