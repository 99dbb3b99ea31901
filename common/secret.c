/* The register of secrets: every form in which one could show up in a text is worked out once, when it is registered.
 * Reading secrets from files or the environment is conf's business. */
#include "common/secret.h"

#include <assert.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "common/utf8.h"

#define MASK "***"
#define MASKED_FROM 6 /* shorter ones would blank out ordinary words */
#define FORMS 7
#define FORM_FACTOR 6 /* longest form of one byte: \u00XX */

struct secret {
	struct secret *next;
	char *forms[FORMS]; /* [0] is the secret itself; NULL behind the last */
	size_t lens[FORMS];
};

static pthread_rwlock_t lock = PTHREAD_RWLOCK_INITIALIZER;
static struct secret *all;

static size_t put_hex(char *out, const char *prefix, unsigned char c, const char *digits)
{
	size_t len = strlen(prefix);

	memcpy(out, prefix, len);
	out[len] = digits[c >> 4];
	out[len + 1] = digits[c & 15];
	return len + 2;
}

/* JSON the common way: short escapes, the rest raw; `slash` as some writers escape '/'. */
static size_t json_form(const char *bytes, size_t len, char *out, bool slash)
{
	static const char plain[] = "\"\\\b\f\n\r\t", escaped[] = "\"\\bfnrt";
	size_t used = 0;

	for (size_t i = 0; i < len; i++) {
		const char *at = memchr(plain, bytes[i], sizeof(plain) - 1);
		if (at) {
			out[used++] = '\\';
			out[used++] = escaped[at - plain];
		} else if (bytes[i] == '/' && slash) {
			out[used++] = '\\';
			out[used++] = '/';
		} else if ((unsigned char)bytes[i] < 0x20) {
			used += put_hex(out + used, "\\u00", (unsigned char)bytes[i], "0123456789abcdef");
		} else {
			out[used++] = bytes[i];
		}
	}
	return used;
}

static size_t put_unit(char *out, unsigned unit)
{
	put_hex(out, "\\u", (unsigned char)(unit >> 8), "0123456789abcdef");
	return 4 + put_hex(out + 4, "", (unsigned char)(unit & 0xFF), "0123456789abcdef");
}

/* JSON as it travels to SQL Server: everything but plain ASCII as \uXXXX (json_add_ascii_string). */
static size_t ascii_json_form(const char *bytes, size_t len, char *out)
{
	size_t used = 0;

	for (size_t at = 0; at < len;) {
		size_t step = utf8_sequence(bytes + at, len - at);
		uint32_t c = 0xFFFD;
		if (step > 0)
			utf8_decode(bytes + at, step, &c);
		if (c >= 0x10000) {
			used += put_unit(out + used, 0xD800u + ((c - 0x10000) >> 10));
			used += put_unit(out + used, 0xDC00u + ((c - 0x10000) & 0x3FF));
		} else if (c < 0x20 || c >= 0x7F || c == '"' || c == '\\') {
			used += put_unit(out + used, c);
		} else {
			out[used++] = (char)c;
		}
		at += step ? step : 1;
	}
	return used;
}

static size_t percent_form(const char *bytes, size_t len, char *out, const char *digits, bool plus)
{
	size_t used = 0;

	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)bytes[i];
		bool kept = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '-' ||
		            c == '.' || c == '_' || c == '~';
		if (kept)
			out[used++] = bytes[i];
		else if (c == ' ' && plus)
			out[used++] = '+';
		else
			used += put_hex(out + used, "%", c, digits);
	}
	return used;
}

static size_t make_form(int form, const char *bytes, size_t len, char *out)
{
	switch (form) {
	case 0:
		memcpy(out, bytes, len);
		return len;
	case 1:
		return json_form(bytes, len, out, false);
	case 2:
		return json_form(bytes, len, out, true);
	case 3:
		return ascii_json_form(bytes, len, out);
	case 4:
		return percent_form(bytes, len, out, "0123456789ABCDEF", false);
	case 5:
		return percent_form(bytes, len, out, "0123456789abcdef", false);
	default:
		return percent_form(bytes, len, out, "0123456789ABCDEF", true);
	}
}

static void free_secret(struct secret *secret)
{
	for (int i = 0; i < FORMS; i++)
		free(secret->forms[i]);
	free(secret);
}

static bool known_form(const struct secret *secret, int count, const char *text, size_t len)
{
	for (int i = 0; i < count; i++)
		if (secret->lens[i] == len && memcmp(secret->forms[i], text, len) == 0)
			return true;
	return false;
}

static struct secret *build(const char *bytes, size_t len)
{
	struct secret *secret = calloc(1, sizeof(*secret));
	char *scratch = malloc(len * FORM_FACTOR + 1);
	int count = 0;

	if (!secret || !scratch)
		goto fail;
	for (int form = 0; form < FORMS; form++) {
		size_t made = make_form(form, bytes, len, scratch);
		if (known_form(secret, count, scratch, made))
			continue;
		secret->forms[count] = malloc(made + 1);
		if (!secret->forms[count])
			goto fail;
		memcpy(secret->forms[count], scratch, made);
		secret->forms[count][made] = '\0';
		secret->lens[count++] = made;
	}
	explicit_bzero(scratch, len * FORM_FACTOR + 1);
	free(scratch);
	return secret;
fail:
	free(scratch);
	if (secret)
		free_secret(secret);
	return NULL;
}

static bool blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

const struct secret *secret_new(const char *bytes, size_t len)
{
	struct secret *secret;

	while (len > 0 && blank(bytes[0])) {
		bytes++;
		len--;
	}
	while (len > 0 && blank(bytes[len - 1]))
		len--;
	pthread_rwlock_wrlock(&lock);
	for (secret = all; secret; secret = secret->next)
		if (secret->lens[0] == len && memcmp(secret->forms[0], bytes, len) == 0)
			break;
	if (!secret) {
		secret = build(bytes, len);
		if (secret) {
			secret->next = all;
			all = secret;
		}
	}
	pthread_rwlock_unlock(&lock);
	return secret;
}

const char *secret_bytes(const struct secret *secret)
{
	return secret ? secret->forms[0] : "";
}

size_t secret_len(const struct secret *secret)
{
	return secret ? secret->lens[0] : 0;
}

/* Length of the longest form that starts at text; 0 for none. The lock is held. */
static size_t match(const char *text, size_t left)
{
	size_t longest = 0;

	for (const struct secret *secret = all; secret; secret = secret->next) {
		if (secret->lens[0] < MASKED_FROM)
			continue;
		for (int i = 0; i < FORMS && secret->forms[i]; i++)
			if (secret->lens[i] > longest && secret->lens[i] <= left && secret->forms[i][0] == text[0] &&
			    memcmp(text, secret->forms[i], secret->lens[i]) == 0)
				longest = secret->lens[i];
	}
	return longest;
}

void secret_mask(char *text)
{
	size_t len = strlen(text), written = 0, covered = 0;
	bool inside = false;

	pthread_rwlock_rdlock(&lock);
	/* Secrets may overlap, so a covered stretch grows while further ones start inside it. What is read lies always
	 * at or behind what is written, since the mask is shorter than any secret. */
	for (size_t at = 0; at <= len; at++) {
		size_t found = at < len ? match(text + at, len - at) : 0;
		if (inside && at >= covered && found == 0) {
			memcpy(text + written, MASK, strlen(MASK));
			written += strlen(MASK);
			inside = false;
		}
		if (found > 0) {
			inside = true;
			if (at + found > covered)
				covered = at + found;
		} else if (!inside && at < len) {
			text[written++] = text[at];
		}
	}
	pthread_rwlock_unlock(&lock);
	assert(written <= len);
	text[written] = '\0';
}
