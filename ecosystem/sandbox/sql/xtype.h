/* xtype: the type of an expression as SQL Server would describe it, with its collation and how strongly it holds.
 * Plain data; the strings are borrowed from the arena or the catalogue. */
#ifndef SANDBOX_SQL_XTYPE_H
#define SANDBOX_SQL_XTYPE_H

#include <stdbool.h>
#include <stdint.h>
#include "ecosystem/sandbox/sql/engine.h"

enum xtype_label {
	LABEL_DEFAULT,  /* literals, variables, results of functions without a column in them */
	LABEL_IMPLICIT, /* columns */
	LABEL_EXPLICIT, /* COLLATE */
	LABEL_NONE,     /* two implicit ones differ: any comparison is error 468 (451 in a result) */
};

struct xtype {
	enum sql_type type;
	int length; /* as in engine.h; 0 where it means nothing */
	uint8_t precision, scale;
	bool nullable;
	bool null; /* the literal NULL: fits every type */
	enum xtype_label label;
	const char *collation;  /* char kinds: name of the SQLite collation too; else NULL */
	const char *collation2; /* LABEL_NONE: the other one */
};

enum xtype_family { FAMILY_INTEGER, FAMILY_EXACT, FAMILY_FLOAT, FAMILY_CHAR, FAMILY_BINARY, FAMILY_DATE, FAMILY_GUID };

/* A type alone: nullable, with the precision and scale an integer or date type has by itself, no collation. */
struct xtype xtype_of(enum sql_type type, int length, int precision, int scale);
enum xtype_family xtype_family(enum sql_type type);
bool xtype_is_char(enum sql_type type);
bool xtype_is_unicode(enum sql_type type);
bool xtype_is_date(enum sql_type type);
bool xtype_is_integer(enum sql_type type); /* bit too */
/* "nvarchar", "decimal", "datetime2" ... as in messages and sys.types. */
const char *xtype_name(enum sql_type type);
/* 0..: the higher one wins in an expression (SQL Server's data type precedence). */
int xtype_precedence(enum sql_type type);
/* The type both sides are converted to by an operator, UNION, CASE...; collation merged. */
struct xtype xtype_common(const struct xtype *a, const struct xtype *b);
/* Merges collation and label of b into a (a + b, CASE, comparison). */
void xtype_merge_collation(struct xtype *a, const struct xtype *b);
/* Is the conversion without CAST allowed (else 257), with CAST (else 529)? */
bool xtype_implicit(enum sql_type from, enum sql_type to);
bool xtype_explicit(enum sql_type from, enum sql_type to);
/* The SQLite collation under which values of the type compare right: "DEC", "DTO", "GUID", a T-SQL collation, or NULL
 * for SQLite's own order. */
const char *xtype_sqlite_collation(const struct xtype *type);
/* Column type for CREATE TABLE in SQLite with its COLLATE: "INTEGER", "TEXT COLLATE DEC", ... into out. */
void xtype_sqlite_column(const struct xtype *type, char *out, size_t size);
struct sql_column xtype_column(const struct xtype *type, const char *name);
struct xtype xtype_from_column(const struct sql_column *column, const char *collation);

#endif
