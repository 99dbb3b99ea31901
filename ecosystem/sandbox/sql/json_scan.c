/* Scanning JSON in place. What the values become is decided by OPENJSON and the JSON functions. */
#include "ecosystem/sandbox/sql/json_scan.h"

#include <ctype.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define DEPTH_MAX 128

/* --- checking --- */

struct check {
	const char *p, *end;
	int depth;
};

static void blanks(struct check *c) {
	while (c->p < c->end && (*c->p == ' ' || *c->p == '\t' || *c->p == '\n' || *c->p == '\r'))
		c->p++;
}

static bool string(struct check *c) {
	if (c->p >= c->end || *c->p != '"')
		return false;
	for (c->p++; c->p < c->end && *c->p != '"'; c->p++) {
		if ((unsigned char)*c->p < 0x20)
			return false;
		if (*c->p != '\\')
			continue;
		if (++c->p >= c->end)
			return false;
		if (*c->p == 'u') {
			for (int i = 0; i < 4; i++)
				if (++c->p >= c->end || !isxdigit((unsigned char)*c->p))
					return false;
		} else if (!strchr("\"\\/bfnrt", *c->p)) {
			return false;
		}
	}
	if (c->p >= c->end)
		return false;
	c->p++;
	return true;
}

static bool digits(struct check *c) {
	const char *start = c->p;
	while (c->p < c->end && isdigit((unsigned char)*c->p))
		c->p++;
	return c->p > start;
}

static bool number(struct check *c) {
	if (*c->p == '-')
		c->p++;
	if (c->p < c->end && *c->p == '0')
		c->p++;
	else if (!digits(c))
		return false;
	if (c->p < c->end && *c->p == '.') {
		c->p++;
		if (!digits(c))
			return false;
	}
	if (c->p < c->end && (*c->p == 'e' || *c->p == 'E')) {
		c->p++;
		if (c->p < c->end && (*c->p == '+' || *c->p == '-'))
			c->p++;
		return digits(c);
	}
	return true;
}

static bool word(struct check *c, const char *text) {
	size_t len = strlen(text);
	if ((size_t)(c->end - c->p) < len || memcmp(c->p, text, len) != 0)
		return false;
	c->p += len;
	return true;
}

static bool value(struct check *c);

static bool container(struct check *c, bool object) {
	char close = object ? '}' : ']';
	c->p++;
	blanks(c);
	if (c->p < c->end && *c->p == close) {
		c->p++;
		return true;
	}
	for (;;) {
		if (object) {
			blanks(c);
			if (!string(c))
				return false;
			blanks(c);
			if (c->p >= c->end || *c->p != ':')
				return false;
			c->p++;
		}
		if (!value(c))
			return false;
		blanks(c);
		if (c->p >= c->end || (*c->p != ',' && *c->p != close))
			return false;
		if (*c->p++ == close)
			return true;
	}
}

static bool value(struct check *c) {
	blanks(c);
	if (c->p >= c->end || c->depth >= DEPTH_MAX)
		return false;
	if (*c->p == '{' || *c->p == '[') {
		c->depth++;
		bool good = container(c, *c->p == '{');
		c->depth--;
		return good;
	}
	if (*c->p == '"')
		return string(c);
	if (*c->p == '-' || isdigit((unsigned char)*c->p))
		return number(c);
	return word(c, "true") || word(c, "false") || word(c, "null");
}

int json_scan_check(const char *text, size_t len, size_t *wrong) {
	struct check c = { .p = text, .end = text + len };
	blanks(&c);
	bool good = c.p < c.end && (*c.p == '{' || *c.p == '[') && value(&c);
	if (good) {
		blanks(&c);
		good = c.p == c.end;
	}
	*wrong = (size_t)(c.p - text);
	return good ? 0 : -1;
}

/* --- walking checked text --- */

static const char *skip_blanks(const char *p, const char *end) {
	while (p < end && (*p == ' ' || *p == '\t' || *p == '\n' || *p == '\r'))
		p++;
	return p;
}

static const char *skip_string(const char *p, const char *end) {
	for (p++; p < end && *p != '"'; p++)
		if (*p == '\\')
			p++;
	return p < end ? p + 1 : end;
}

static const char *skip_container(const char *p, const char *end) {
	int depth = 0;
	while (p < end) {
		if (*p == '"') {
			p = skip_string(p, end);
			continue;
		}
		if (*p == '{' || *p == '[')
			depth++;
		else if ((*p == '}' || *p == ']') && --depth == 0)
			return p + 1;
		p++;
	}
	return end;
}

struct json_span json_scan_value(const char *p, const char *end) {
	struct json_span s = { 0 };
	p = skip_blanks(p, end);
	if (p >= end)
		return s;
	const char *after = p;
	s.at = p;
	if (*p == '"') {
		s.type = JSON_SCAN_STRING;
		after = skip_string(p, end);
	} else if (*p == '{' || *p == '[') {
		s.type = *p == '{' ? JSON_SCAN_OBJECT : JSON_SCAN_ARRAY;
		after = skip_container(p, end);
	} else {
		s.type = *p == 'n' ? JSON_SCAN_NULL : *p == 't' || *p == 'f' ? JSON_SCAN_BOOL : JSON_SCAN_NUMBER;
		while (after < end && !strchr(",]} \t\r\n", *after))
			after++;
	}
	s.len = (size_t)(after - p);
	return s;
}

void json_scan_enter(const struct json_span *container_span, struct json_cursor *cursor) {
	cursor->object = container_span->type == JSON_SCAN_OBJECT;
	cursor->at = container_span->at + 1;
	cursor->end = container_span->at + container_span->len - 1;
}

bool json_scan_next(struct json_cursor *cursor, struct json_span *key, struct json_span *item) {
	const char *p = skip_blanks(cursor->at, cursor->end);
	if (p < cursor->end && *p == ',')
		p = skip_blanks(p + 1, cursor->end);
	*key = (struct json_span){ 0 };
	if (p >= cursor->end)
		return false;
	if (cursor->object) {
		*key = json_scan_value(p, cursor->end);
		p = skip_blanks(key->at + key->len, cursor->end);
		if (p < cursor->end)
			p++; /* the colon */
	}
	*item = json_scan_value(p, cursor->end);
	cursor->at = item->at ? item->at + item->len : cursor->end;
	return item->at != NULL;
}

static unsigned hex4(const char *p) {
	unsigned code = 0;
	for (int i = 0; i < 4; i++) {
		unsigned char c = (unsigned char)p[i];
		code = code * 16 + (isdigit(c) ? (unsigned)(c - '0') : (unsigned)(tolower(c) - 'a' + 10));
	}
	return code;
}

static char *put_utf8(char *out, uint32_t code) {
	if (code < 0x80) {
		*out++ = (char)code;
	} else if (code < 0x800) {
		*out++ = (char)(0xc0 | code >> 6);
		*out++ = (char)(0x80 | (code & 0x3f));
	} else if (code < 0x10000) {
		*out++ = (char)(0xe0 | code >> 12);
		*out++ = (char)(0x80 | (code >> 6 & 0x3f));
		*out++ = (char)(0x80 | (code & 0x3f));
	} else {
		*out++ = (char)(0xf0 | code >> 18);
		*out++ = (char)(0x80 | (code >> 12 & 0x3f));
		*out++ = (char)(0x80 | (code >> 6 & 0x3f));
		*out++ = (char)(0x80 | (code & 0x3f));
	}
	return out;
}

/* A lone surrogate becomes U+FFFD: there is no UTF-8 for it. */
static const char *unicode(const char *p, const char *end, uint32_t *code) {
	*code = hex4(p);
	p += 4;
	if (*code >= 0xd800 && *code < 0xdc00 && end - p >= 6 && p[0] == '\\' && p[1] == 'u') {
		unsigned low = hex4(p + 2);
		if (low >= 0xdc00 && low < 0xe000) {
			*code = 0x10000 + ((*code - 0xd800) << 10) + (low - 0xdc00);
			return p + 6;
		}
	}
	if (*code >= 0xd800 && *code < 0xe000)
		*code = 0xfffd;
	return p;
}

size_t json_scan_decode(const struct json_span *s, char *out) {
	const char *p = s->at + 1, *end = s->at + s->len - 1;
	char *start = out;
	while (p < end) {
		if (*p != '\\') {
			*out++ = *p++;
			continue;
		}
		p++;
		uint32_t code;
		switch (*p++) {
		case 'b':
			*out++ = '\b';
			break;
		case 'f':
			*out++ = '\f';
			break;
		case 'n':
			*out++ = '\n';
			break;
		case 'r':
			*out++ = '\r';
			break;
		case 't':
			*out++ = '\t';
			break;
		case 'u':
			p = unicode(p, end, &code);
			out = put_utf8(out, code);
			break;
		default:
			*out++ = p[-1];
		}
	}
	return (size_t)(out - start);
}

bool json_scan_key_is(const struct json_span *key, const char *text, size_t len) {
	if (!memchr(key->at, '\\', key->len))
		return key->len == len + 2 && memcmp(key->at + 1, text, len) == 0;
	char *decoded = malloc(key->len);
	if (!decoded)
		abort();
	size_t n = json_scan_decode(key, decoded);
	bool same = n == len && memcmp(decoded, text, len) == 0;
	free(decoded);
	return same;
}

/* --- paths --- */

static const char *quoted_step(const char *p, const char *end, char *keys, size_t *used, size_t *len) {
	*len = 0;
	for (p++; p < end && *p != '"'; p++) {
		if (*p == '\\' && p + 1 < end)
			p++;
		if (*used + 1 >= sizeof ((struct json_path *)0)->keys)
			return NULL;
		keys[(*used)++] = *p;
		(*len)++;
	}
	return p < end ? p + 1 : NULL;
}

static const char *plain_step(const char *p, const char *end, char *keys, size_t *used, size_t *len) {
	*len = 0;
	for (; p < end && *p != '.' && *p != '['; p++) {
		if (!isalnum((unsigned char)*p) && *p != '_' && *p != '$' && (unsigned char)*p < 0x80)
			return NULL;
		if (*used + 1 >= sizeof ((struct json_path *)0)->keys)
			return NULL;
		keys[(*used)++] = *p;
		(*len)++;
	}
	return *len ? p : NULL;
}

int json_path_parse(const char *text, size_t len, struct json_path *path) {
	const char *p = text, *end = text + len;
	size_t used = 0;
	memset(path, 0, sizeof *path);
	p = skip_blanks(p, end);
	if ((size_t)(end - p) > 7 && memcmp(p, "strict ", 7) == 0) {
		path->strict = true;
		p += 7;
	} else if ((size_t)(end - p) > 4 && memcmp(p, "lax ", 4) == 0) {
		p += 4;
	}
	p = skip_blanks(p, end);
	if (p >= end || *p++ != '$')
		return -1;
	while (p < end) {
		struct json_step *step = &path->steps[path->count];
		if (path->count == JSON_STEPS_MAX)
			return -1;
		if (*p == '.') {
			step->key = path->keys + used;
			p++;
			p = p < end && *p == '"' ? quoted_step(p, end, path->keys, &used, &step->key_len)
						 : plain_step(p, end, path->keys, &used, &step->key_len);
			if (!p)
				return -1;
		} else if (*p == '[') {
			char *after;
			step->index = strtol(p + 1, &after, 10);
			if (after == p + 1 || after >= end || *after != ']' || step->index < 0)
				return -1;
			p = after + 1;
		} else {
			return -1;
		}
		path->count++;
	}
	return 0;
}

struct json_span json_path_find(struct json_span from, const struct json_path *path, int first) {
	static const struct json_span none = { 0 };
	for (int i = first; i < path->count && from.at; i++) {
		const struct json_step *step = &path->steps[i];
		struct json_cursor cursor;
		struct json_span key, item;
		long n = 0;
		bool found = false;
		if (from.type != (step->key ? JSON_SCAN_OBJECT : JSON_SCAN_ARRAY))
			return none;
		json_scan_enter(&from, &cursor);
		while (!found && json_scan_next(&cursor, &key, &item))
			found = step->key ? json_scan_key_is(&key, step->key, step->key_len) : n++ == step->index;
		from = found ? item : none;
	}
	return from;
}
