/* The declarations in sp_executesql's second parameter: names, types, OUTPUT. Only what a client library writes there;
 * T-SQL itself is read by the engine. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include "ecosystem/sandbox/sql/tds_rpc.h"

static const struct {
	const char *name;
	enum sql_type type;
	int length; /* without parentheses */
	uint8_t precision, scale;
} types[] = {
	{ "bit", SQL_BIT, 0, 0, 0 },
	{ "tinyint", SQL_TINYINT, 0, 0, 0 },
	{ "smallint", SQL_SMALLINT, 0, 0, 0 },
	{ "int", SQL_INT, 0, 0, 0 },
	{ "integer", SQL_INT, 0, 0, 0 },
	{ "bigint", SQL_BIGINT, 0, 0, 0 },
	{ "decimal", SQL_DECIMAL, 0, 18, 0 },
	{ "dec", SQL_DECIMAL, 0, 18, 0 },
	{ "numeric", SQL_DECIMAL, 0, 18, 0 },
	{ "float", SQL_FLOAT, 0, 0, 0 },
	{ "real", SQL_REAL, 0, 0, 0 },
	{ "money", SQL_MONEY, 0, 0, 0 },
	{ "char", SQL_CHAR, 1, 0, 0 },
	{ "varchar", SQL_VARCHAR, 1, 0, 0 },
	{ "text", SQL_VARCHAR, SQL_MAX_LENGTH, 0, 0 },
	{ "nchar", SQL_NCHAR, 1, 0, 0 },
	{ "nvarchar", SQL_NVARCHAR, 1, 0, 0 },
	{ "ntext", SQL_NVARCHAR, SQL_MAX_LENGTH, 0, 0 },
	{ "sysname", SQL_NVARCHAR, 128, 0, 0 },
	{ "binary", SQL_BINARY, 1, 0, 0 },
	{ "varbinary", SQL_VARBINARY, 1, 0, 0 },
	{ "image", SQL_VARBINARY, SQL_MAX_LENGTH, 0, 0 },
	{ "date", SQL_DATE, 0, 0, 0 },
	{ "time", SQL_TIME, 0, 0, 7 },
	{ "datetime", SQL_DATETIME, 0, 0, 0 },
	{ "smalldatetime", SQL_SMALLDATETIME, 0, 0, 0 },
	{ "datetime2", SQL_DATETIME2, 0, 0, 7 },
	{ "datetimeoffset", SQL_DATETIMEOFFSET, 0, 0, 7 },
	{ "uniqueidentifier", SQL_UNIQUEIDENTIFIER, 0, 0, 0 },
	{ "rowversion", SQL_ROWVERSION, 0, 0, 0 },
	{ "timestamp", SQL_ROWVERSION, 0, 0, 0 },
};

static const char *blanks(const char *at)
{
	while (isspace((unsigned char)*at))
		at++;
	return at;
}

static bool word_char(char c)
{
	return isalnum((unsigned char)c) || c == '_' || c == '@' || c == '#' || c == '$' || (unsigned char)c >= 0x80;
}

/* A word into out (cut); NULL when there is none. */
static const char *word(const char *at, char *out, size_t size)
{
	size_t n = 0;

	at = blanks(at);
	while (word_char(*at) && n < size - 1)
		out[n++] = *at++;
	out[n] = '\0';
	return n > 0 && !word_char(*at) ? at : NULL;
}

static void set_type(struct tds_def *def, const char *name)
{
	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		if (strcasecmp(types[i].name, name) != 0)
			continue;
		def->known = true;
		def->column.type = types[i].type;
		def->column.length = types[i].length;
		def->column.precision = types[i].precision;
		def->column.scale = types[i].scale;
	}
}

static void set_size(struct tds_def *def, long a, long b)
{
	struct sql_column *c = &def->column;

	if (c->type == SQL_DECIMAL) {
		def->known = def->known && a >= 1 && a <= 38 && b >= 0 && b <= a;
		c->precision = (uint8_t)a;
		c->scale = (uint8_t)b;
	} else if (c->type == SQL_TIME || c->type == SQL_DATETIME2 || c->type == SQL_DATETIMEOFFSET) {
		def->known = def->known && a >= 0 && a <= 7;
		c->scale = (uint8_t)a;
	} else if (c->type == SQL_FLOAT) {
		c->type = a <= 24 ? SQL_REAL : SQL_FLOAT;
	} else {
		def->known = def->known && (a == SQL_MAX_LENGTH || (a >= 1 && a <= 8000));
		c->length = (int)a;
	}
}

/* "(max)", "(10)", "(10, 2)" or nothing. */
static const char *size(struct tds_def *def, const char *at)
{
	long a, b = 0;
	char *end;

	at = blanks(at);
	if (*at != '(')
		return at;
	at = blanks(at + 1);
	if (strncasecmp(at, "max", 3) == 0) {
		a = SQL_MAX_LENGTH;
		at += 3;
	} else {
		if (!isdigit((unsigned char)*at))
			return NULL;
		a = strtol(at, &end, 10);
		at = end;
	}
	at = blanks(at);
	if (*at == ',') {
		at = blanks(at + 1);
		if (!isdigit((unsigned char)*at))
			return NULL;
		b = strtol(at, &end, 10);
		at = blanks(end);
	}
	if (*at != ')')
		return NULL;
	if (a > 8000 || b > 38)
		def->known = false;
	else
		set_size(def, a, b);
	return at + 1;
}

/* One declaration; returns what stands behind it (',' or the end), NULL on an error. */
static const char *one(struct tds_def *def, const char *at)
{
	char name[129];
	const char *behind;

	memset(def, 0, sizeof(*def));
	def->column.nullable = true;
	at = word(at, def->name, sizeof(def->name));
	if (!at || def->name[0] != '@' || def->name[1] == '\0')
		return NULL;
	at = word(at, name, sizeof(name));
	if (at && strcasecmp(name, "as") == 0)
		at = word(at, name, sizeof(name));
	if (!at)
		return NULL;
	set_type(def, name);
	at = size(def, at);
	if (!at)
		return NULL;
	behind = word(at, name, sizeof(name));
	if (behind) {
		if (strcasecmp(name, "output") != 0 && strcasecmp(name, "out") != 0)
			return NULL;
		def->output = true;
		at = behind;
	}
	at = blanks(at);
	return *at == ',' || *at == '\0' ? at : NULL;
}

int tds_defs_parse(const char *text, struct tds_def **defs)
{
	struct tds_def *list = NULL, *grown;
	int count = 0, cap = 0;
	const char *at = blanks(text);

	*defs = NULL;
	if (*at == '\0')
		return 0;
	for (;; at++) {
		if (count == cap) {
			cap = cap ? cap * 2 : 8;
			grown = count < TDS_PARAMS_MAX ? realloc(list, (size_t)cap * sizeof(*list)) : NULL;
			if (!grown)
				break;
			list = grown;
		}
		at = one(&list[count], at);
		if (!at)
			break;
		count++;
		if (*at == '\0') {
			*defs = list;
			return count;
		}
	}
	free(list);
	return -1;
}
