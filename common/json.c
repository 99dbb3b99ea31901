/* Reading JSON: a strict pass over the text (grammar, UTF-8, depth, exact numbers), then cJSON builds the tree.
 * cJSON is not seen outside; the writer is in json_write.c. */
#include "common/json.h"

#include <stdlib.h>
#include <string.h>

#include <cjson/cJSON.h>

#include "common/utf8.h"

#define DEPTH_MAX 32
#define PLAIN_DIGITS 15 /* integers up to here are exact in cJSON's doubles and in its printing */

/* Other numbers travel through cJSON as strings that begin with this byte. It never occurs in UTF-8 and no escape makes
 * it, so no string of the input can be taken for a number. */
#define NUMBER_MARK '\xFF'

/* --- the strict pass --- */

struct scan {
	const char *text;
	size_t len, at;
	size_t copied;     /* everything before is in out */
	struct buf out;    /* the text with marked numbers */
	const char *fault; /* what was wrong at `at` */
};

static bool fault(struct scan *scan, const char *what)
{
	scan->fault = what;
	return false;
}

static int peek(const struct scan *scan)
{
	return scan->at < scan->len ? (unsigned char)scan->text[scan->at] : -1;
}

static bool digit(int c)
{
	return c >= '0' && c <= '9';
}

static void skip_blanks(struct scan *scan)
{
	int c = peek(scan);

	while (c == ' ' || c == '\t' || c == '\n' || c == '\r') {
		scan->at++;
		c = peek(scan);
	}
}

/* Four hex digits behind "\u". */
static bool scan_hex4(struct scan *scan, unsigned *value)
{
	*value = 0;
	for (int i = 0; i < 4; i++, scan->at++) {
		int c = peek(scan);
		unsigned nibble;
		if (digit(c))
			nibble = (unsigned)c - '0';
		else if ((c | 32) >= 'a' && (c | 32) <= 'f' && c > 0)
			nibble = ((unsigned)c | 32u) - 'a' + 10;
		else
			return fault(scan, "four hex digits expected after \\u");
		*value = *value << 4 | nibble;
	}
	return true;
}

static bool scan_unicode_escape(struct scan *scan)
{
	unsigned high, low;

	if (!scan_hex4(scan, &high))
		return false;
	if (high == 0)
		return fault(scan, "\\u0000 is not accepted");
	if (high >= 0xDC00 && high <= 0xDFFF)
		return fault(scan, "second half of a surrogate pair without the first");
	if (high < 0xD800 || high > 0xDBFF)
		return true;
	if (scan->at + 2 > scan->len || memcmp(scan->text + scan->at, "\\u", 2) != 0)
		return fault(scan, "first half of a surrogate pair without the second");
	scan->at += 2;
	if (!scan_hex4(scan, &low))
		return false;
	return (low >= 0xDC00 && low <= 0xDFFF) || fault(scan, "first half of a surrogate pair without the second");
}

static bool scan_escape(struct scan *scan)
{
	int c;

	scan->at++;
	c = peek(scan);
	if (c == 'u') {
		scan->at++;
		return scan_unicode_escape(scan);
	}
	if (c <= 0 || !strchr("\"\\/bfnrt", c))
		return fault(scan, "unknown escape in a string");
	scan->at++;
	return true;
}

static bool scan_string(struct scan *scan)
{
	scan->at++;
	for (;;) {
		int c = peek(scan);
		size_t step;
		if (c == '"') {
			scan->at++;
			return true;
		}
		if (c < 0)
			return fault(scan, "the text ends inside a string");
		if (c < 0x20)
			return fault(scan, "raw control character in a string");
		if (c == '\\') {
			if (!scan_escape(scan))
				return false;
			continue;
		}
		step = utf8_sequence(scan->text + scan->at, scan->len - scan->at);
		if (step == 0)
			return fault(scan, "invalid UTF-8");
		scan->at += step;
	}
}

static size_t scan_digits(struct scan *scan)
{
	size_t start = scan->at;

	while (digit(peek(scan)))
		scan->at++;
	return scan->at - start;
}

static bool scan_number(struct scan *scan)
{
	size_t start = scan->at, digits;
	bool plain = true;

	if (peek(scan) == '-')
		scan->at++;
	if (peek(scan) == '0' && scan->at + 1 < scan->len && digit(scan->text[scan->at + 1]))
		return fault(scan, "a number with a leading zero");
	digits = scan_digits(scan);
	if (digits == 0)
		return fault(scan, "a value expected");
	if (peek(scan) == '.') {
		plain = false;
		scan->at++;
		if (scan_digits(scan) == 0)
			return fault(scan, "a digit expected after the decimal point");
	}
	if (peek(scan) == 'e' || peek(scan) == 'E') {
		plain = false;
		scan->at++;
		if (peek(scan) == '+' || peek(scan) == '-')
			scan->at++;
		if (scan_digits(scan) == 0)
			return fault(scan, "a digit expected in the exponent");
	}
	if (plain && digits <= PLAIN_DIGITS)
		return true;
	buf_add(&scan->out, scan->text + scan->copied, start - scan->copied);
	buf_add_char(&scan->out, '"');
	buf_add_char(&scan->out, NUMBER_MARK);
	buf_add(&scan->out, scan->text + start, scan->at - start);
	buf_add_char(&scan->out, '"');
	scan->copied = scan->at;
	return true;
}

static bool scan_word(struct scan *scan, const char *word)
{
	size_t len = strlen(word);

	if (scan->len - scan->at < len || memcmp(scan->text + scan->at, word, len) != 0)
		return fault(scan, "a value expected");
	scan->at += len;
	return true;
}

static bool scan_value(struct scan *scan, int depth);

static bool scan_member_name(struct scan *scan)
{
	skip_blanks(scan);
	if (peek(scan) != '"')
		return fault(scan, "a member name in quotes expected");
	if (!scan_string(scan))
		return false;
	skip_blanks(scan);
	if (peek(scan) != ':')
		return fault(scan, "':' expected after the member name");
	scan->at++;
	return true;
}

static bool scan_container(struct scan *scan, int depth)
{
	bool object = peek(scan) == '{';
	int end = object ? '}' : ']';

	if (depth > DEPTH_MAX)
		return fault(scan, "nested deeper than 32 levels");
	scan->at++;
	skip_blanks(scan);
	if (peek(scan) == end) {
		scan->at++;
		return true;
	}
	for (;;) {
		if (object && !scan_member_name(scan))
			return false;
		if (!scan_value(scan, depth + 1))
			return false;
		skip_blanks(scan);
		if (peek(scan) == end) {
			scan->at++;
			return true;
		}
		if (peek(scan) != ',')
			return fault(scan, object ? "',' or '}' expected" : "',' or ']' expected");
		scan->at++;
	}
}

static bool scan_value(struct scan *scan, int depth)
{
	skip_blanks(scan);
	switch (peek(scan)) {
	case -1:
		return fault(scan, "the text ends where a value is expected");
	case '{':
	case '[':
		return scan_container(scan, depth);
	case '"':
		return scan_string(scan);
	case 't':
		return scan_word(scan, "true");
	case 'f':
		return scan_word(scan, "false");
	case 'n':
		return scan_word(scan, "null");
	default:
		return scan_number(scan);
	}
}

static bool scan_document(struct scan *scan)
{
	if (scan->len >= 3 && memcmp(scan->text, "\xEF\xBB\xBF", 3) == 0)
		return fault(scan, "a byte order mark is not accepted");
	if (!scan_value(scan, 1))
		return false;
	skip_blanks(scan);
	return scan->at == scan->len || fault(scan, "text after the end of the document");
}

/* Columns count characters, as an editor shows them. */
static int syntax_error(const struct scan *scan, struct err *err)
{
	size_t line = 1, column = 1;

	for (size_t i = 0; i < scan->at; i++) {
		if (scan->text[i] == '\n') {
			line++;
			column = 1;
		} else if (((unsigned char)scan->text[i] & 0xC0) != 0x80) {
			column++;
		}
	}
	return err_set(err, ERR_PERM, "JSON", "JSON at %zu:%zu: %s", line, column, scan->fault);
}

/* --- the tree --- */

static const cJSON *peel(const struct json *value)
{
	return (const cJSON *)value;
}

struct json *json_parse(const char *text, size_t len, struct err *err)
{
	struct scan scan = { .text = text, .len = len };
	cJSON *root = NULL;

	if (len > SIZE_MAX / 4) {
		err_set(err, ERR_PERM, "JSON", "JSON text of %zu bytes is too long", len);
		return NULL;
	}
	buf_init(&scan.out, len * 3 + 1); /* a marked token has at least two bytes and gains three */
	if (!scan_document(&scan)) {
		syntax_error(&scan, err);
		goto out;
	}
	buf_add(&scan.out, text + scan.copied, len - scan.copied);
	if (buf_check(&scan.out, "JSON text", err) < 0)
		goto out;
	root = cJSON_ParseWithLengthOpts(scan.out.data, scan.out.len + 1, NULL, true);
	if (!root)
		err_set(err, ERR_TEMP, "JSON", "out of memory for %zu bytes of JSON", len);
out:
	buf_release(&scan.out);
	return (struct json *)root;
}

void json_free(struct json *root)
{
	cJSON_Delete((cJSON *)root);
}

const struct json *json_get(const struct json *object, const char *name)
{
	const struct json *member = json_is_object(object) ? json_first(object) : NULL;

	while (member && strcmp(json_name(member), name) != 0)
		member = json_next(member);
	return member;
}

const struct json *json_first(const struct json *container)
{
	return container ? (const struct json *)peel(container)->child : NULL;
}

const struct json *json_next(const struct json *value)
{
	return value ? (const struct json *)peel(value)->next : NULL;
}

const char *json_name(const struct json *member)
{
	return member ? peel(member)->string : NULL;
}

size_t json_size(const struct json *container)
{
	size_t count = 0;

	for (const struct json *each = json_first(container); each; each = json_next(each))
		count++;
	return count;
}

bool json_is_object(const struct json *value)
{
	return cJSON_IsObject(peel(value));
}

bool json_is_array(const struct json *value)
{
	return cJSON_IsArray(peel(value));
}

bool json_is_null(const struct json *value)
{
	return !value || cJSON_IsNull(peel(value));
}

/* The exact token of a number that does not travel as a double; NULL for everything else. */
static const char *marked_number(const struct json *value)
{
	if (!cJSON_IsString(peel(value)) || peel(value)->valuestring[0] != NUMBER_MARK)
		return NULL;
	return peel(value)->valuestring + 1;
}

bool json_is_string(const struct json *value)
{
	return cJSON_IsString(peel(value)) && !marked_number(value);
}

bool json_is_number(const struct json *value)
{
	return cJSON_IsNumber(peel(value)) || marked_number(value);
}

const char *json_string(const struct json *value)
{
	return json_is_string(value) ? peel(value)->valuestring : NULL;
}

/* --- exact integers --- */

/* Adds one decimal digit to a magnitude that is kept negative, because INT64_MIN has no positive twin. */
static bool push_digit(int64_t *negative, int value)
{
	return !__builtin_mul_overflow(*negative, (int64_t)10, negative) &&
	       !__builtin_sub_overflow(*negative, (int64_t)value, negative);
}

/* The exponent of a number token, clamped to where nothing but zero can be an int64. */
static long token_exponent(const char *token)
{
	const char *at = strpbrk(token, "eE");
	long value;

	if (!at)
		return 0;
	value = strtol(at + 1, NULL, 10);
	return value > 100000000 ? 100000000 : value < -100000000 ? -100000000 : value;
}

/* Reads a JSON number token as an integer without a detour over doubles; 12.50e1 is 125, 12.5 is refused. */
static int token_int64(const char *token, int64_t *out)
{
	bool negative = token[0] == '-', point = false, zero = true;
	long shift = token_exponent(token); /* decimal places the point still has to move right */
	int64_t value = 0;
	const char *end = token + strcspn(token, "eE"), *at;

	for (at = token + negative; at < end; at++) {
		if (*at == '.')
			point = true;
		else if (*at != '0')
			zero = false;
		if (point && *at != '.')
			shift--;
	}
	/* Zeros at the end can be dropped for a negative shift; anything else there is a fraction. */
	for (; !zero && shift < 0; shift++) {
		do
			end--;
		while (*end == '.');
		if (*end != '0')
			return -1;
	}
	for (at = token + negative; at < end; at++)
		if (*at != '.' && !push_digit(&value, *at - '0'))
			return -1;
	for (; !zero && shift > 0; shift--)
		if (!push_digit(&value, 0))
			return -1;
	if (!negative && value == INT64_MIN)
		return -1;
	*out = negative ? value : -value;
	return 0;
}

static bool integer_text(const char *text)
{
	size_t sign = text[0] == '-', digits = strspn(text + sign, "0123456789");

	return digits > 0 && digits < 40 && text[sign + digits] == '\0';
}

int json_int64(const struct json *value, int64_t *out)
{
	const char *token = marked_number(value);

	if (token)
		return token_int64(token, out);
	if (cJSON_IsNumber(peel(value))) {
		*out = (int64_t)peel(value)->valuedouble;
		return 0;
	}
	if (json_is_string(value) && integer_text(peel(value)->valuestring))
		return token_int64(peel(value)->valuestring, out);
	return -1;
}

int json_bool(const struct json *value, bool *out)
{
	if (!cJSON_IsBool(peel(value)))
		return -1;
	*out = cJSON_IsTrue(peel(value));
	return 0;
}

const char *json_get_string(const struct json *object, const char *name, const char *fallback)
{
	const char *text = json_string(json_get(object, name));

	return text ? text : fallback;
}

int64_t json_get_int64(const struct json *object, const char *name, int64_t fallback)
{
	int64_t value;

	return json_int64(json_get(object, name), &value) == 0 ? value : fallback;
}

bool json_get_bool(const struct json *object, const char *name, bool fallback)
{
	bool value;

	return json_bool(json_get(object, name), &value) == 0 ? value : fallback;
}

/* --- printing a tree --- */

static void print_member(const struct json *value, const char *name, struct buf *out)
{
	const char *token = marked_number(value);

	if (json_is_object(value) || json_is_array(value)) {
		if (json_is_object(value))
			json_object_open(out, name);
		else
			json_array_open(out, name);
		for (const struct json *each = json_first(value); each; each = json_next(each))
			print_member(each, json_name(each), out);
		if (json_is_object(value))
			json_object_close(out);
		else
			json_array_close(out);
	} else if (token) {
		json_add_raw(out, name, token);
	} else if (json_is_number(value)) {
		json_add_int64(out, name, (int64_t)peel(value)->valuedouble);
	} else if (json_is_string(value)) {
		json_add_string(out, name, json_string(value));
	} else if (cJSON_IsBool(peel(value))) {
		json_add_bool(out, name, cJSON_IsTrue(peel(value)));
	} else {
		json_add_null(out, name);
	}
}

void json_print(const struct json *value, struct buf *out)
{
	print_member(value, NULL, out);
}
