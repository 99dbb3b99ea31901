/* Recursive-descent JSON reader over an arena that is freed as a whole.
 * It does not write documents; replies go through common/json. */
#include "ecosystem/sandbox/gateway/gw_json.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "common/utf8.h"

#define DEPTH_MAX 32
#define CHUNK_SIZE 65536u

struct gw_chunk {
	struct gw_chunk *next;
	size_t used, size;
	_Alignas(16) char data[];
};

struct reader {
	struct gw_doc *doc;
	const char *at, *end;
};

static void *arena_take(struct gw_doc *doc, size_t len)
{
	struct gw_chunk *chunk = doc->chunks;
	void *out;

	len = (len + 15u) & ~(size_t)15u;
	if (!chunk || chunk->size - chunk->used < len) {
		size_t size = len > CHUNK_SIZE ? len : CHUNK_SIZE;

		chunk = malloc(sizeof(*chunk) + size);
		if (!chunk)
			abort();
		chunk->next = doc->chunks;
		chunk->used = 0;
		chunk->size = size;
		doc->chunks = chunk;
	}
	out = chunk->data + chunk->used;
	chunk->used += len;
	return out;
}

static void skip_blanks(struct reader *r)
{
	while (r->at < r->end && strchr(" \t\r\n", *r->at) && *r->at)
		r->at++;
}

static int hex4(struct reader *r, uint32_t *out)
{
	*out = 0;
	if (r->end - r->at < 4)
		return -1;
	for (int i = 0; i < 4; i++) {
		char c = *r->at++;
		const char *digits = "0123456789abcdef";
		const char *p = c ? strchr(digits, c >= 'A' && c <= 'F' ? c + 32 : c) : NULL;

		if (!p)
			return -1;
		*out = *out << 4 | (uint32_t)(p - digits);
	}
	return 0;
}

/* After "\u": the character, with its second half when it is a surrogate pair. */
static int unicode_escape(struct reader *r, char **to)
{
	uint32_t code, low;

	if (hex4(r, &code) != 0 || code == 0 || (code >= 0xDC00 && code <= 0xDFFF))
		return -1;
	if (code >= 0xD800 && code <= 0xDBFF) {
		if (r->end - r->at < 2 || r->at[0] != '\\' || r->at[1] != 'u')
			return -1;
		r->at += 2;
		if (hex4(r, &low) != 0 || low < 0xDC00 || low > 0xDFFF)
			return -1;
		code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
	}
	*to += utf8_encode(code, *to);
	return 0;
}

static int escape(struct reader *r, char **to)
{
	static const char from[] = "\"\\/bfnrt", into[] = "\"\\/\b\f\n\r\t";
	const char *p;
	char c;

	if (r->at >= r->end)
		return -1;
	c = *r->at++;
	if (c == 'u')
		return unicode_escape(r, to);
	p = c ? strchr(from, c) : NULL;
	if (!p)
		return -1;
	*(*to)++ = into[p - from];
	return 0;
}

/* At the opening quote. The decoded text is never longer than the source. */
static const char *read_string(struct reader *r)
{
	const char *close = r->at + 1;
	char *text, *to;

	while (close < r->end && *close != '"')
		close += *close == '\\' && close + 1 < r->end ? 2 : 1;
	if (close >= r->end)
		return NULL;
	text = to = arena_take(r->doc, (size_t)(close - r->at));
	for (r->at++; *r->at != '"';) {
		unsigned char c = (unsigned char)*r->at++;

		if (c == '\\') {
			if (escape(r, &to) != 0)
				return NULL;
		} else if (c < 0x20) {
			return NULL;
		} else {
			*to++ = (char)c;
		}
	}
	r->at++;
	*to = '\0';
	return text;
}

static const char *read_digits(const char *at, const char *end)
{
	const char *from = at;

	while (at < end && *at >= '0' && *at <= '9')
		at++;
	return at > from ? at : NULL;
}

static const char *read_number(struct reader *r)
{
	const char *from = r->at, *at = r->at;
	char *text;

	if (*at == '-')
		at++;
	if (at < r->end && *at == '0')
		at++;
	else if (!(at = read_digits(at, r->end)))
		return NULL;
	if (at < r->end && *at == '.' && !(at = read_digits(at + 1, r->end)))
		return NULL;
	if (at < r->end && (*at == 'e' || *at == 'E')) {
		at++;
		if (at < r->end && (*at == '+' || *at == '-'))
			at++;
		if (!(at = read_digits(at, r->end)))
			return NULL;
	}
	text = arena_take(r->doc, (size_t)(at - from) + 1);
	memcpy(text, from, (size_t)(at - from));
	text[at - from] = '\0';
	r->at = at;
	return text;
}

static int read_value(struct reader *r, struct gw_value *out, int depth);

static int read_member(struct reader *r, struct gw_value *out, bool object, int depth)
{
	*out = (struct gw_value){ .type = GW_NULL };
	skip_blanks(r);
	if (object) {
		if (r->at >= r->end || *r->at != '"' || !(out->name = read_string(r)))
			return -1;
		skip_blanks(r);
		if (r->at >= r->end || *r->at++ != ':')
			return -1;
	}
	return read_value(r, out, depth + 1);
}

static int read_container(struct reader *r, struct gw_value *out, int depth)
{
	bool object = *r->at++ == '{';
	char close = object ? '}' : ']';
	const struct gw_value **link = &out->first;

	out->type = object ? GW_OBJECT : GW_ARRAY;
	skip_blanks(r);
	if (r->at < r->end && *r->at == close) {
		r->at++;
		return 0;
	}
	for (;;) {
		struct gw_value *item = arena_take(r->doc, sizeof(*item));

		if (read_member(r, item, object, depth) != 0)
			return -1;
		*link = item;
		link = &item->next;
		skip_blanks(r);
		if (r->at >= r->end)
			return -1;
		if (*r->at == close) {
			r->at++;
			return 0;
		}
		if (*r->at++ != ',')
			return -1;
	}
}

static int read_word(struct reader *r, const char *word)
{
	size_t len = strlen(word);

	if ((size_t)(r->end - r->at) < len || memcmp(r->at, word, len) != 0)
		return -1;
	r->at += len;
	return 0;
}

static int read_value(struct reader *r, struct gw_value *out, int depth)
{
	if (depth > DEPTH_MAX)
		return -1;
	skip_blanks(r);
	if (r->at >= r->end)
		return -1;
	switch (*r->at) {
	case '{':
	case '[':
		return read_container(r, out, depth);
	case '"':
		out->type = GW_STRING;
		out->text = read_string(r);
		return out->text ? 0 : -1;
	case 't':
		out->type = GW_TRUE;
		return read_word(r, "true");
	case 'f':
		out->type = GW_FALSE;
		return read_word(r, "false");
	case 'n':
		out->type = GW_NULL;
		return read_word(r, "null");
	default:
		out->type = GW_NUMBER;
		out->text = read_number(r);
		return out->text ? 0 : -1;
	}
}

int gw_doc_parse(struct gw_doc *doc, const char *text, size_t len, struct err *err)
{
	struct reader r = { .doc = doc, .at = text, .end = text + len };
	struct gw_value *root;

	*doc = (struct gw_doc){ .root = NULL };
	if (len == 0 || !utf8_valid(text, len))
		return err_set(err, ERR_PERM, "JSON", "no JSON text in valid UTF-8");
	root = arena_take(doc, sizeof(*root));
	*root = (struct gw_value){ .type = GW_NULL };
	if (read_value(&r, root, 0) != 0)
		return err_set(err, ERR_PERM, "JSON", "JSON error at byte %zu", (size_t)(r.at - text));
	skip_blanks(&r);
	if (r.at != r.end)
		return err_set(err, ERR_PERM, "JSON", "text behind the JSON document at byte %zu", (size_t)(r.at - text));
	doc->root = root;
	return 0;
}

void gw_doc_release(struct gw_doc *doc)
{
	struct gw_chunk *next;

	for (struct gw_chunk *chunk = doc->chunks; chunk; chunk = next) {
		next = chunk->next;
		free(chunk);
	}
	*doc = (struct gw_doc){ .root = NULL };
}

const struct gw_value *gw_get(const struct gw_value *object, const char *name)
{
	if (!object || object->type != GW_OBJECT)
		return NULL;
	for (const struct gw_value *member = object->first; member; member = member->next)
		if (strcmp(member->name, name) == 0)
			return member;
	return NULL;
}

const char *gw_string(const struct gw_value *value)
{
	return value && value->type == GW_STRING ? value->text : NULL;
}

int gw_int64(const struct gw_value *value, int64_t *out)
{
	char *end;

	if (!value || value->type != GW_NUMBER || strpbrk(value->text, ".eE"))
		return -1;
	errno = 0;
	*out = strtoll(value->text, &end, 10);
	return errno == 0 && *end == '\0' ? 0 : -1;
}

int64_t gw_get_int64(const struct gw_value *object, const char *name, int64_t fallback)
{
	int64_t value;

	return gw_int64(gw_get(object, name), &value) == 0 ? value : fallback;
}

const char *gw_get_string(const struct gw_value *object, const char *name, const char *fallback)
{
	const char *text = gw_string(gw_get(object, name));

	return text ? text : fallback;
}

static void print_string(const char *text, struct buf *out)
{
	buf_add_char(out, '"');
	for (const char *p = text; *p; p++) {
		static const char from[] = "\"\\\b\f\n\r\t", into[] = "\"\\bfnrt";
		const char *special = strchr(from, *p);

		if (special) {
			buf_add_char(out, '\\');
			buf_add_char(out, into[special - from]);
		} else if ((unsigned char)*p < 0x20) {
			buf_addf(out, "\\u%04x", (unsigned)*p);
		} else {
			buf_add_char(out, *p);
		}
	}
	buf_add_char(out, '"');
}

void gw_print(const struct gw_value *value, struct buf *out)
{
	switch (value->type) {
	case GW_NULL:
		buf_add_text(out, "null");
		break;
	case GW_TRUE:
		buf_add_text(out, "true");
		break;
	case GW_FALSE:
		buf_add_text(out, "false");
		break;
	case GW_NUMBER:
		buf_add_text(out, value->text);
		break;
	case GW_STRING:
		print_string(value->text, out);
		break;
	case GW_ARRAY:
	case GW_OBJECT:
		buf_add_char(out, value->type == GW_OBJECT ? '{' : '[');
		for (const struct gw_value *item = value->first; item; item = item->next) {
			if (item->name) {
				print_string(item->name, out);
				buf_add_char(out, ':');
			}
			gw_print(item, out);
			if (item->next)
				buf_add_char(out, ',');
		}
		buf_add_char(out, value->type == GW_OBJECT ? '}' : ']');
		break;
	}
}
