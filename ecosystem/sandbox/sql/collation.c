/* Comparison on three levels (letter, accent, case) as Windows collations do it, for Latin, Greek and Cyrillic; the binary ones by code
 * point. Simplified: hyphens count as other signs do, supplementary characters have weights in every version.
 * LIKE is in collation_like.c. */
#include "ecosystem/sandbox/sql/collation_internal.h"

#include <pthread.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include "common/utf8.h"
#include "ecosystem/sandbox/sql/collation_data.h"
#include "ecosystem/sandbox/sql/decimal.h"

/* --- names --- */

static const char *const families[] = {
	"Latin1_General", "SQL_Latin1_General_CP1", "SQL_Latin1_General_CP850", "SQL_Latin1_General_CP1250", "German_PhoneBook",
	"French", "Polish", "Czech", "Modern_Spanish", "Danish_Norwegian", "Finnish_Swedish", "Cyrillic_General", "Greek", "Turkish",
	"Hungarian", "Romanian", "Croatian", "Slovenian", "Slovak", "Latin1_General_100", "German_PhoneBook_100", "French_100",
	"Latin1_General_140", "Polish_100", "Czech_100", "Modern_Spanish_100", "Cyrillic_General_100", "Greek_100",
};
static const char *const ends[] = {
	"CI_AS", "CI_AI", "CS_AS", "CS_AI", "BIN", "BIN2", "CI_AS_KS", "CI_AS_WS", "CI_AS_KS_WS", "CS_AS_KS_WS", "CI_AS_SC", "CI_AI_SC",
	"CS_AS_SC", "CS_AI_SC", "CI_AS_SC_UTF8", "CI_AI_SC_UTF8", "CS_AS_SC_UTF8", "BIN2_UTF8", "CI_AS_KS_WS_SC", "CI_AI_KS_WS",
};
enum {
	FAMILIES = sizeof families / sizeof families[0],
	ENDS = sizeof ends / sizeof ends[0]
};
static char names[FAMILIES * ENDS][64];
static pthread_once_t names_once = PTHREAD_ONCE_INIT;

static void make_names(void) {
	for (size_t f = 0; f < FAMILIES; f++)
		for (size_t e = 0; e < ENDS; e++)
			snprintf(names[f * ENDS + e], sizeof names[0], "%s_%s", families[f], ends[e]);
}

const char *collation_canonical(const char *name) {
	pthread_once(&names_once, make_names);
	for (size_t i = 0; i < FAMILIES * ENDS; i++)
		if (strcasecmp(names[i], name) == 0)
			return names[i];
	return NULL;
}

struct collation collation_of(const char *name) {
	return (struct collation){ .binary = strcasestr(name, "_BIN") != NULL,
				   .ignore_case = strcasestr(name, "_CI") != NULL,
				   .ignore_accent = strcasestr(name, "_AI") != NULL };
}

/* --- case --- */

uint32_t collation_lower(uint32_t c) {
	if (c < 0x80)
		return c >= 'A' && c <= 'Z' ? c + 32 : c;
	for (size_t i = 0; i < collation_case_count && collation_cases[i].first <= c; i++)
		if (c <= collation_cases[i].last && (c - collation_cases[i].first) % collation_cases[i].step == 0)
			return (uint32_t)((int32_t)c + collation_cases[i].shift);
	return c;
}

uint32_t collation_upper(uint32_t c) {
	if (c < 0x80)
		return c >= 'a' && c <= 'z' ? c - 32 : c;
	for (size_t i = 0; i < collation_case_count; i++) {
		const struct collation_case *r = &collation_cases[i];
		int32_t upper = (int32_t)c - r->shift;
		if (upper >= r->first && upper <= r->last && (upper - r->first) % r->step == 0)
			return (uint32_t)upper;
	}
	return c;
}

bool collation_same_name(const char *a, const char *b) {
	const struct collation names_rule = { .ignore_case = true };
	return strcasecmp(a, b) == 0 || collation_compare(&names_rule, a, strlen(a), b, strlen(b)) == 0;
}

/* --- elements --- */

static const struct {
	uint32_t letter;
	char first, second;
} doubles[] = { { 0xDF, 's', 's' },  { 0x1E9E, 'S', 'S' }, { 0xE6, 'a', 'e' },  { 0xC6, 'A', 'E' },  { 0x153, 'o', 'e' },
		{ 0x152, 'O', 'E' }, { 0xFE, 't', 'h' },   { 0xDE, 'T', 'H' },  { 0x133, 'i', 'j' }, { 0x132, 'I', 'J' } };

static const struct collation_letter *find_letter(uint32_t c) {
	size_t low = 0, high = collation_letter_count;
	while (low < high) {
		size_t middle = (low + high) / 2;
		if (collation_letters[middle].letter == c)
			return &collation_letters[middle];
		if (collation_letters[middle].letter < c)
			low = middle + 1;
		else
			high = middle;
	}
	return NULL;
}

static bool is_sign(uint32_t c) {
	if (c < 0x80)
		return !(c >= 'a' && c <= 'z') && !(c >= 'A' && c <= 'Z') && !(c >= '0' && c <= '9');
	return c < 0xC0 || c == 0xD7 || c == 0xF7 || (c >= 0x2000 && c < 0x2C00) || (c >= 0x3000 && c < 0x3040);
}

/* Full-width forms, raised digits and ordinal letters count as the plain ones. */
static uint32_t plain_form(uint32_t c) {
	static const struct {
		uint32_t from, to;
	} raised[] = { { 0xB2, '2' }, { 0xB3, '3' }, { 0xB9, '1' }, { 0xAA, 'a' }, { 0xBA, 'o' }, { 0xB5, 0x3BC }, { 0x3C2, 0x3C3 } };
	if (c >= 0xFF01 && c <= 0xFF5E)
		return c - 0xFF01 + '!';
	for (size_t i = 0; i < sizeof raised / sizeof raised[0]; i++)
		if (raised[i].from == c)
			return raised[i].to;
	return c;
}

static struct collation_element weigh(uint32_t c) {
	struct collation_element e = { .code = c };
	if (c >= 0x80) {
		c = plain_form(c);
		const struct collation_letter *letter = find_letter(c);
		if (letter) {
			c = letter->base;
			e.accent = letter->mark;
		}
	}
	uint32_t lower = collation_lower(c);
	e.upper = lower != c;
	if (is_sign(lower))
		e.letter = 0x100 + lower;
	else
		e.letter = (lower >= '0' && lower <= '9' ? 0x200000 : 0x300000) + lower;
	return e;
}

static bool is_mark(uint32_t c) {
	return c >= 0x300 && c < 0x370;
}

static size_t decode(const unsigned char *at, const unsigned char *end, uint32_t *c) {
	if (*at < 0x80) {
		*c = *at;
		return 1;
	}
	if (utf8_sequence((const char *)at, (size_t)(end - at)) == 0) {
		*c = 0xFFFD00u + *at;
		return 1;
	}
	return utf8_decode((const char *)at, (size_t)(end - at), c);
}

void collation_reader_init(struct collation_reader *r, const char *text, size_t len) {
	*r = (struct collation_reader){ .at = (const unsigned char *)text, .end = (const unsigned char *)text + len };
}

bool collation_next(struct collation_reader *r, struct collation_element *e) {
	if (r->waiting) {
		*e = r->next;
		r->waiting = false;
		return true;
	}
	uint32_t c;
	do {
		if (r->at >= r->end)
			return false;
		r->at += decode(r->at, r->end, &c);
	} while (c == 0xAD || c == 0x200B || c == 0x200C || c == 0x200D || c == 0xFEFF);
	*e = weigh(c);
	for (size_t i = 0; c >= 0x80 && i < sizeof doubles / sizeof doubles[0]; i++)
		if (doubles[i].letter == c) {
			*e = weigh((unsigned char)doubles[i].first);
			e->code = c;
			r->next = weigh((unsigned char)doubles[i].second);
			r->next.code = c;
			r->next.second = r->waiting = true;
		}
	while (r->at < r->end && (*r->at == 0xCC || *r->at == 0xCD)) {
		size_t n = decode(r->at, r->end, &c);
		if (!is_mark(c))
			break;
		e->accent = (uint16_t)(e->accent * 31 + c);
		r->at += n;
	}
	return true;
}

static size_t without_blanks(const char *text, size_t len) {
	while (len > 0 && text[len - 1] == ' ')
		len--;
	return len;
}

static int compare_bytes(const char *a, size_t a_len, const char *b, size_t b_len) {
	size_t n = a_len < b_len ? a_len : b_len;
	int c = n ? memcmp(a, b, n) : 0;
	if (c != 0)
		return c;
	return a_len < b_len ? -1 : a_len > b_len;
}

int collation_compare(const struct collation *rule, const char *a, size_t a_len, const char *b, size_t b_len) {
	a_len = without_blanks(a, a_len);
	b_len = without_blanks(b, b_len);
	if (rule->binary)
		return compare_bytes(a, a_len, b, b_len);
	if (a_len == b_len && (a_len == 0 || memcmp(a, b, a_len) == 0))
		return 0;
	struct collation_reader x, y;
	struct collation_element e, f;
	int accent = 0, letter_case = 0;
	collation_reader_init(&x, a, a_len);
	collation_reader_init(&y, b, b_len);
	for (;;) {
		bool more_a = collation_next(&x, &e), more_b = collation_next(&y, &f);
		if (!more_a || !more_b) {
			if (more_a != more_b)
				return more_a ? 1 : -1;
			break;
		}
		if (e.letter != f.letter)
			return e.letter < f.letter ? -1 : 1;
		if (!accent && e.accent != f.accent)
			accent = e.accent < f.accent ? -1 : 1;
		if (!letter_case && e.upper != f.upper)
			letter_case = e.upper ? 1 : -1;
	}
	if (!rule->ignore_accent && accent)
		return accent;
	return rule->ignore_case ? 0 : letter_case;
}

/* --- SQLite --- */

static int compare_callback(void *arg, int a_len, const void *a, int b_len, const void *b) {
	size_t packed = (size_t)(uintptr_t)arg;
	struct collation rule = { .binary = packed & 1, .ignore_case = packed & 2, .ignore_accent = packed & 4 };
	return collation_compare(&rule, a, (size_t)a_len, b, (size_t)b_len);
}

static int compare_decimals(void *arg, int a_len, const void *a, int b_len, const void *b) {
	struct decimal x, y;
	(void)arg;
	if (decimal_parse(a, (size_t)a_len, &x) != DECIMAL_OK || decimal_parse(b, (size_t)b_len, &y) != DECIMAL_OK)
		return compare_bytes(a, (size_t)a_len, b, (size_t)b_len);
	return decimal_compare(&x, &y);
}

/* "2026-11-24 05:04:17.1230000 +01:00": minutes since the year 0 less the offset, then the rest as text. */
static int64_t utc_minutes(const char *t, size_t len) {
	int year = 0, month = 0, day = 0, hour = 0, minute = 0, off_hour = 0, off_minute = 0;
	char text[40], sign = '+';
	snprintf(text, sizeof text, "%.*s", (int)(len < 39 ? len : 39), t);
	sscanf(text, "%4d-%2d-%2d %2d:%2d", &year, &month, &day, &hour, &minute);
	const char *zone = strrchr(text, ' ');
	if (zone)
		sscanf(zone + 1, "%c%2d:%2d", &sign, &off_hour, &off_minute);
	int64_t y = month <= 2 ? year - 1 : year, m = month <= 2 ? month + 9 : month - 3;
	int64_t days = y * 365 + y / 4 - y / 100 + y / 400 + (m * 153 + 2) / 5 + day;
	int64_t offset = off_hour * 60 + off_minute;
	return days * 1440 + hour * 60 + minute - (sign == '-' ? -offset : offset);
}

static int compare_offsets(void *arg, int a_len, const void *a, int b_len, const void *b) {
	int64_t x = utc_minutes(a, (size_t)a_len), y = utc_minutes(b, (size_t)b_len);
	(void)arg;
	if (x != y)
		return x < y ? -1 : 1;
	int c = a_len > 16 && b_len > 16 ? strncmp((const char *)a + 16, (const char *)b + 16, 3) : 0;
	if (c == 0 && a_len > 19 && b_len > 19) {
		double f = strtod((const char *)a + 16 + 3, NULL), g = strtod((const char *)b + 16 + 3, NULL);
		c = f < g ? -1 : f > g;
	}
	return c;
}

/* The last group counts first, then the others from behind, as SQL Server sorts them. */
static int compare_guids(void *arg, int a_len, const void *a, int b_len, const void *b) {
	static const int groups[5][2] = { { 24, 12 }, { 19, 4 }, { 14, 4 }, { 9, 4 }, { 0, 8 } };
	(void)arg;
	if (a_len != 36 || b_len != 36)
		return compare_bytes(a, (size_t)a_len, b, (size_t)b_len);
	for (int i = 0; i < 5; i++) {
		int c = memcmp((const char *)a + groups[i][0], (const char *)b + groups[i][0], (size_t)groups[i][1]);
		if (c != 0)
			return c;
	}
	return 0;
}

static void needed(void *arg, sqlite3 *db, int encoding, const char *name) {
	const char *known = collation_canonical(name);
	(void)arg;
	(void)encoding;
	if (!known)
		return;
	struct collation rule = collation_of(known);
	uintptr_t packed = (rule.binary ? 1u : 0u) | (rule.ignore_case ? 2u : 0u) | (rule.ignore_accent ? 4u : 0u);
	sqlite3_create_collation(db, name, SQLITE_UTF8, (void *)packed, compare_callback);
}

int collation_register(struct sqlite3 *db) {
	int rc = sqlite3_create_collation(db, "DEC", SQLITE_UTF8, NULL, compare_decimals);
	if (rc == SQLITE_OK)
		rc = sqlite3_create_collation(db, "DTO", SQLITE_UTF8, NULL, compare_offsets);
	if (rc == SQLITE_OK)
		rc = sqlite3_create_collation(db, "GUID", SQLITE_UTF8, NULL, compare_guids);
	if (rc == SQLITE_OK)
		rc = sqlite3_collation_needed(db, NULL, needed);
	return rc;
}
