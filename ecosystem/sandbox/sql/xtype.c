/* Types of expressions: precedence, which conversions are allowed, and how a type is kept in SQLite.
 * Precision and scale of arithmetic are in decimal.c, the conversions themselves in functions_cast.c. */
#include "ecosystem/sandbox/sql/xtype.h"

#include <stdio.h>
#include <string.h>

struct type_info {
	const char *name;
	enum xtype_family family;
	int precedence;
	uint8_t precision;
	const char *sqlite; /* column type with collation, NULL for char kinds */
};

static const struct type_info infos[] = {
	[SQL_BIT] = { "bit", FAMILY_INTEGER, 10, 1, "INTEGER" },
	[SQL_TINYINT] = { "tinyint", FAMILY_INTEGER, 11, 3, "INTEGER" },
	[SQL_SMALLINT] = { "smallint", FAMILY_INTEGER, 12, 5, "INTEGER" },
	[SQL_INT] = { "int", FAMILY_INTEGER, 13, 10, "INTEGER" },
	[SQL_BIGINT] = { "bigint", FAMILY_INTEGER, 14, 19, "INTEGER" },
	[SQL_DECIMAL] = { "decimal", FAMILY_EXACT, 16, 18, "TEXT COLLATE DEC" },
	[SQL_FLOAT] = { "float", FAMILY_FLOAT, 18, 53, "REAL" },
	[SQL_REAL] = { "real", FAMILY_FLOAT, 17, 24, "REAL" },
	[SQL_MONEY] = { "money", FAMILY_EXACT, 15, 19, "TEXT COLLATE DEC" },
	[SQL_CHAR] = { "char", FAMILY_CHAR, 4, 0, NULL },
	[SQL_VARCHAR] = { "varchar", FAMILY_CHAR, 5, 0, NULL },
	[SQL_NCHAR] = { "nchar", FAMILY_CHAR, 6, 0, NULL },
	[SQL_NVARCHAR] = { "nvarchar", FAMILY_CHAR, 7, 0, NULL },
	[SQL_BINARY] = { "binary", FAMILY_BINARY, 1, 0, "BLOB" },
	[SQL_VARBINARY] = { "varbinary", FAMILY_BINARY, 2, 0, "BLOB" },
	[SQL_DATE] = { "date", FAMILY_DATE, 20, 10, "TEXT" },
	[SQL_TIME] = { "time", FAMILY_DATE, 19, 16, "TEXT" },
	[SQL_DATETIME] = { "datetime", FAMILY_DATE, 22, 23, "TEXT" },
	[SQL_SMALLDATETIME] = { "smalldatetime", FAMILY_DATE, 21, 16, "TEXT" },
	[SQL_DATETIME2] = { "datetime2", FAMILY_DATE, 23, 27, "TEXT" },
	[SQL_DATETIMEOFFSET] = { "datetimeoffset", FAMILY_DATE, 24, 34, "TEXT COLLATE DTO" },
	[SQL_UNIQUEIDENTIFIER] = { "uniqueidentifier", FAMILY_GUID, 8, 0, "TEXT COLLATE GUID" },
	[SQL_ROWVERSION] = { "timestamp", FAMILY_BINARY, 3, 0, "BLOB" },
};

struct xtype xtype_of(enum sql_type type, int length, int precision, int scale) {
	return (struct xtype){ .type = type, .length = length, .precision = (uint8_t)(precision ? precision : infos[type].precision),
			       .scale = (uint8_t)(type == SQL_MONEY ? 4 : type == SQL_DATETIME ? 3 : scale), .nullable = true };
}

enum xtype_family xtype_family(enum sql_type type) {
	return infos[type].family;
}

bool xtype_is_char(enum sql_type type) {
	return infos[type].family == FAMILY_CHAR;
}

bool xtype_is_unicode(enum sql_type type) {
	return type == SQL_NCHAR || type == SQL_NVARCHAR;
}

bool xtype_is_date(enum sql_type type) {
	return infos[type].family == FAMILY_DATE;
}

bool xtype_is_integer(enum sql_type type) {
	return infos[type].family == FAMILY_INTEGER;
}

const char *xtype_name(enum sql_type type) {
	return infos[type].name;
}

int xtype_precedence(enum sql_type type) {
	return infos[type].precedence;
}

void xtype_merge_collation(struct xtype *a, const struct xtype *b) {
	if (!xtype_is_char(b->type) || b->null || !b->collation)
		return;
	if (!a->collation || a->null || b->label > a->label) {
		a->collation = b->collation;
		a->collation2 = b->collation2;
		a->label = b->label;
	} else if (a->label == b->label && (a->label == LABEL_IMPLICIT || a->label == LABEL_EXPLICIT) &&
		   strcmp(a->collation, b->collation) != 0) {
		a->collation2 = b->collation;
		a->label = LABEL_NONE;
	}
}

static int wider_length(int a, int b) {
	return a == SQL_MAX_LENGTH || b == SQL_MAX_LENGTH ? SQL_MAX_LENGTH : a > b ? a : b;
}

/* Digits needed for the whole part and the fraction of both. */
static void wider_decimal(struct xtype *t, const struct xtype *a, const struct xtype *b) {
	int scale = a->scale > b->scale ? a->scale : b->scale;
	int whole = a->precision - a->scale > b->precision - b->scale ? a->precision - a->scale : b->precision - b->scale;
	if (whole + scale > 38)
		scale = whole > 38 ? 0 : 38 - whole;
	t->precision = (uint8_t)(whole + scale > 38 ? 38 : whole + scale);
	t->scale = (uint8_t)scale;
}

static bool is_exact_number(enum sql_type type) {
	return infos[type].family == FAMILY_EXACT || infos[type].family == FAMILY_INTEGER;
}

struct xtype xtype_common(const struct xtype *a, const struct xtype *b) {
	if (a->null || b->null) {
		struct xtype t = a->null ? *b : *a;
		t.nullable = true;
		return t;
	}
	struct xtype t = infos[a->type].precedence >= infos[b->type].precedence ? *a : *b;
	const struct xtype *other = infos[a->type].precedence >= infos[b->type].precedence ? b : a;
	t.nullable = a->nullable || b->nullable;
	if (t.type == SQL_DECIMAL && is_exact_number(other->type))
		wider_decimal(&t, a, b);
	if (infos[t.type].family == infos[other->type].family && (infos[t.type].family == FAMILY_CHAR || infos[t.type].family == FAMILY_BINARY)) {
		t.length = wider_length(a->length, b->length);
		if (t.type == SQL_NCHAR && other->type == SQL_VARCHAR)
			t.type = SQL_NVARCHAR;
		if (xtype_is_unicode(t.type) && t.length > 4000)
			t.length = 4000;
	}
	if (xtype_is_date(t.type) && xtype_is_date(other->type) && t.scale < other->scale &&
	    (t.type == SQL_DATETIME2 || t.type == SQL_DATETIMEOFFSET || t.type == SQL_TIME))
		t.scale = other->scale;
	t.collation = a->collation;
	t.collation2 = a->collation2;
	t.label = a->label;
	xtype_merge_collation(&t, b);
	if (!xtype_is_char(t.type))
		t.collation = t.collation2 = NULL;
	return t;
}

static bool number_kind(enum sql_type type) {
	return infos[type].family == FAMILY_INTEGER || infos[type].family == FAMILY_EXACT || infos[type].family == FAMILY_FLOAT;
}

bool xtype_implicit(enum sql_type from, enum sql_type to) {
	enum xtype_family f = infos[from].family, t = infos[to].family;
	if (to == SQL_ROWVERSION)
		return f == FAMILY_BINARY;
	if (f == FAMILY_CHAR)
		return t != FAMILY_BINARY && to != SQL_MONEY;
	if (t == FAMILY_CHAR)
		return f != FAMILY_BINARY ? from != SQL_MONEY : from != SQL_ROWVERSION;
	if (f == FAMILY_DATE && t == FAMILY_DATE)
		return !(from == SQL_DATE && to == SQL_TIME) && !(from == SQL_TIME && to == SQL_DATE);
	if (f == FAMILY_DATE || f == FAMILY_GUID)
		return f == t;
	if (t == FAMILY_DATE)
		return (to == SQL_DATETIME || to == SQL_SMALLDATETIME) && (number_kind(from) || f == FAMILY_BINARY);
	if (f == FAMILY_BINARY)
		return t != FAMILY_FLOAT && (t != FAMILY_GUID || from != SQL_ROWVERSION);
	return t != FAMILY_GUID && (t != FAMILY_BINARY || f != FAMILY_FLOAT);
}

bool xtype_explicit(enum sql_type from, enum sql_type to) {
	enum xtype_family f = infos[from].family, t = infos[to].family;
	if (xtype_implicit(from, to) || t == FAMILY_CHAR)
		return true;
	if (f == FAMILY_CHAR)
		return true;
	if (t == FAMILY_BINARY)
		return f != FAMILY_GUID || to != SQL_ROWVERSION;
	if (f == FAMILY_DATE && number_kind(to))
		return from == SQL_DATETIME || from == SQL_SMALLDATETIME;
	return f == FAMILY_BINARY && t == FAMILY_DATE;
}

const char *xtype_sqlite_collation(const struct xtype *type) {
	if (xtype_is_char(type->type))
		return type->collation;
	if (infos[type->type].family == FAMILY_EXACT)
		return "DEC";
	if (type->type == SQL_DATETIMEOFFSET)
		return "DTO";
	return type->type == SQL_UNIQUEIDENTIFIER ? "GUID" : NULL;
}

void xtype_sqlite_column(const struct xtype *type, char *out, size_t size) {
	if (xtype_is_char(type->type))
		snprintf(out, size, "TEXT COLLATE %s", type->collation ? type->collation : "BINARY");
	else
		snprintf(out, size, "%s", infos[type->type].sqlite);
}

struct sql_column xtype_column(const struct xtype *type, const char *name) {
	struct sql_column c = { .type = type->null ? SQL_INT : type->type, .length = type->length, .precision = type->precision,
				.scale = type->scale, .nullable = type->nullable };
	snprintf(c.name, sizeof c.name, "%s", name ? name : "");
	return c;
}

struct xtype xtype_from_column(const struct sql_column *column, const char *collation) {
	struct xtype t = { .type = column->type, .length = column->length, .precision = column->precision,
			   .scale = column->scale, .nullable = column->nullable };
	if (xtype_is_char(t.type))
		t.collation = collation;
	return t;
}
