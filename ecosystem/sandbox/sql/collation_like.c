/* LIKE and the search for a part of a text under a collation. */
#include "ecosystem/sandbox/sql/collation_internal.h"

#include <stdlib.h>

static bool same(const struct collation *rule, const struct collation_element *a, const struct collation_element *b) {
	if (rule->binary)
		return a->code == b->code;
	return a->letter == b->letter && (rule->ignore_accent || a->accent == b->accent) && (rule->ignore_case || a->upper == b->upper);
}

static int order(const struct collation *rule, const struct collation_element *a, const struct collation_element *b) {
	uint32_t x = rule->binary ? a->code : a->letter, y = rule->binary ? b->code : b->letter;
	if (x != y)
		return x < y ? -1 : 1;
	if (!rule->binary && !rule->ignore_accent && a->accent != b->accent)
		return a->accent < b->accent ? -1 : 1;
	if (!rule->binary && !rule->ignore_case && a->upper != b->upper)
		return a->upper ? 1 : -1;
	return 0;
}

size_t collation_match(const struct collation *rule, const char *text, size_t text_len, const char *pattern, size_t pattern_len) {
	struct collation_reader t, p;
	struct collation_element e, f;
	collation_reader_init(&t, text, text_len);
	collation_reader_init(&p, pattern, pattern_len);
	while (collation_next(&p, &f))
		if (!collation_next(&t, &e) || !same(rule, &e, &f))
			return 0;
	if (t.waiting)
		return 0;
	return (size_t)((const char *)t.at - text);
}

/* --- LIKE --- */

struct like {
	const struct collation *rule;
	struct collation_element *text, *pattern;
	size_t text_count, pattern_count;
	uint32_t escape;
};

static struct collation_element *elements(const char *text, size_t len, size_t *count) {
	struct collation_element *list = malloc(sizeof *list * (len * 2 + 1));
	struct collation_reader r;
	size_t n = 0;
	if (!list)
		abort();
	collation_reader_init(&r, text, len);
	while (collation_next(&r, &list[n]))
		n++;
	*count = n;
	return list;
}

/* The set "[...]" at p (after the bracket): tells where it ends (0 = never closed) and whether e is in it. */
static size_t in_set(const struct like *l, size_t p, const struct collation_element *e, bool *inside) {
	bool negated = p < l->pattern_count && l->pattern[p].code == '^', found = false;
	p += negated;
	for (size_t first = p; p < l->pattern_count; p++) {
		uint32_t c = l->pattern[p].code;
		if (c == ']' && p > first) {
			*inside = found != negated;
			return p + 1;
		}
		if (l->escape && c == l->escape && p + 1 < l->pattern_count)
			p++;
		if (p + 2 < l->pattern_count && l->pattern[p + 1].code == '-' && l->pattern[p + 2].code != ']') {
			found = found || (order(l->rule, e, &l->pattern[p]) >= 0 && order(l->rule, e, &l->pattern[p + 2]) <= 0);
			p += 2;
		} else {
			found = found || same(l->rule, e, &l->pattern[p]);
		}
	}
	return 0;
}

/* One place of the pattern against one of the text; moves both. */
static bool one(const struct like *l, size_t *t, size_t *p) {
	uint32_t c = l->pattern[*p].code;
	if (*t >= l->text_count)
		return false;
	if (l->escape && c == l->escape && *p + 1 < l->pattern_count) {
		++*p;
	} else if (c == '_') {
		++*p;
		for (++*t; *t < l->text_count && l->text[*t].second; ++*t)
			;
		return true;
	} else if (c == '[') {
		bool inside = false;
		size_t next = in_set(l, *p + 1, &l->text[*t], &inside);
		if (!next || !inside)
			return false;
		*p = next;
		++*t;
		return true;
	}
	return same(l->rule, &l->text[(*t)++], &l->pattern[(*p)++]);
}

static bool is_any(const struct like *l, size_t p) {
	return p < l->pattern_count && l->pattern[p].code == '%' && l->escape != '%';
}

static bool match(const struct like *l) {
	size_t t = 0, p = 0, star_t = 0, star_p = 0;
	bool star = false;
	while (t < l->text_count || p < l->pattern_count) {
		if (is_any(l, p)) {
			star = true;
			star_t = t;
			star_p = ++p;
			continue;
		}
		if (p < l->pattern_count && one(l, &t, &p))
			continue;
		if (!star || star_t >= l->text_count)
			return false;
		t = ++star_t;
		p = star_p;
	}
	return true;
}

bool collation_like(const struct collation *rule, const char *text, size_t text_len, const char *pattern, size_t pattern_len,
                    uint32_t escape) {
	struct like l = { .rule = rule, .escape = escape };
	l.text = elements(text, text_len, &l.text_count);
	l.pattern = elements(pattern, pattern_len, &l.pattern_count);
	bool matched = match(&l);
	free(l.text);
	free(l.pattern);
	return matched;
}
