/* Token handling shared by the parser files: keywords, names, types, the one place that reports syntax errors.
 * No grammar of statements or expressions here. */
#include "ecosystem/sandbox/sql/parser_internal.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

const struct token *parser_peek(const struct parser *p, int ahead) {
	int i = p->at + ahead;
	return &p->tokens[i < p->count ? i : p->count - 1];
}

bool parser_is_at(const struct parser *p, int ahead, const char *word) {
	const struct token *t = parser_peek(p, ahead);
	return (t->kind == T_WORD || t->kind == T_SYMBOL) && strcasecmp(t->text, word) == 0;
}

bool parser_is(const struct parser *p, const char *word) {
	return parser_is_at(p, 0, word);
}

bool parser_accept(struct parser *p, const char *word) {
	if (!parser_is(p, word))
		return false;
	p->at++;
	return true;
}

bool parser_accept2(struct parser *p, const char *first, const char *second) {
	if (!parser_is(p, first) || !parser_is_at(p, 1, second))
		return false;
	p->at += 2;
	return true;
}

bool parser_failed(const struct parser *p) {
	return p->error->number != 0;
}

void parser_fail(struct parser *p) {
	const struct token *t = parser_peek(p, 0);
	if (t->kind == T_WORD && parser_reserved(t->text))
		sqlerror_set(p->error, 156, t->line, "Incorrect syntax near the keyword '%.128s'.", t->text);
	else if (t->kind == T_END && p->at > 0)
		sqlerror_set(p->error, 102, t->line, "Incorrect syntax near '%.128s'.", p->tokens[p->count > 1 ? p->count - 2 : 0].text);
	else
		sqlerror_set(p->error, 102, t->line, "Incorrect syntax near '%.128s'.", t->text);
	p->at = p->count - 1;
}

void parser_expect(struct parser *p, const char *word) {
	if (!parser_accept(p, word))
		parser_fail(p);
}

bool parser_enter(struct parser *p) {
	if (++p->depth <= PARSER_DEPTH_MAX)
		return true;
	sqlerror_set(p->error, 191, parser_peek(p, 0)->line,
		     "Some part of your SQL statement is nested too deeply. Rewrite the query or break it up into smaller queries.");
	p->at = p->count - 1;
	return false;
}

bool parser_reserved(const char *word) {
	static const char *const words[] = {
		"ADD", "ALL", "ALTER", "AND", "ANY", "AS", "ASC", "AUTHORIZATION", "BACKUP", "BEGIN", "BETWEEN", "BREAK", "BROWSE",
		"BULK", "BY", "CASCADE", "CASE", "CHECK", "CHECKPOINT", "CLOSE", "CLUSTERED", "COALESCE", "COLLATE", "COLUMN",
		"COMMIT", "COMPUTE", "CONSTRAINT", "CONTAINS", "CONTAINSTABLE", "CONTINUE", "CONVERT", "CREATE", "CROSS", "CURRENT",
		"CURRENT_DATE", "CURRENT_TIME", "CURRENT_TIMESTAMP", "CURRENT_USER", "CURSOR", "DATABASE", "DBCC", "DEALLOCATE",
		"DECLARE", "DEFAULT", "DELETE", "DENY", "DESC", "DISK", "DISTINCT", "DISTRIBUTED", "DOUBLE", "DROP", "DUMP", "ELSE",
		"END", "ERRLVL", "ESCAPE", "EXCEPT", "EXEC", "EXECUTE", "EXISTS", "EXIT", "EXTERNAL", "FETCH", "FILE", "FILLFACTOR",
		"FOR", "FOREIGN", "FREETEXT", "FREETEXTTABLE", "FROM", "FULL", "FUNCTION", "GOTO", "GRANT", "GROUP", "HAVING",
		"HOLDLOCK", "IDENTITY", "IDENTITY_INSERT", "IDENTITYCOL", "IF", "IN", "INDEX", "INNER", "INSERT", "INTERSECT",
		"INTO", "IS", "JOIN", "KEY", "KILL", "LEFT", "LIKE", "LINENO", "LOAD", "MERGE", "NATIONAL", "NOCHECK",
		"NONCLUSTERED", "NOT", "NULL", "NULLIF", "OF", "OFF", "OFFSETS", "ON", "OPEN", "OPENDATASOURCE", "OPENQUERY",
		"OPENROWSET", "OPENXML", "OPTION", "OR", "ORDER", "OUTER", "OVER", "PERCENT", "PIVOT", "PLAN", "PRECISION",
		"PRIMARY", "PRINT", "PROC", "PROCEDURE", "PUBLIC", "RAISERROR", "READ", "READTEXT", "RECONFIGURE", "REFERENCES",
		"REPLICATION", "RESTORE", "RESTRICT", "RETURN", "REVERT", "REVOKE", "RIGHT", "ROLLBACK", "ROWCOUNT", "ROWGUIDCOL",
		"RULE", "SAVE", "SCHEMA", "SECURITYAUDIT", "SELECT", "SEMANTICKEYPHRASETABLE", "SEMANTICSIMILARITYDETAILSTABLE",
		"SEMANTICSIMILARITYTABLE", "SESSION_USER", "SET", "SETUSER", "SHUTDOWN", "SOME", "STATISTICS", "SYSTEM_USER",
		"TABLE", "TABLESAMPLE", "TEXTSIZE", "THEN", "TO", "TOP", "TRAN", "TRANSACTION", "TRIGGER", "TRUNCATE",
		"TRY_CONVERT", "TSEQUAL", "UNION", "UNIQUE", "UNPIVOT", "UPDATE", "UPDATETEXT", "USE", "USER", "VALUES", "VARYING",
		"VIEW", "WAITFOR", "WHEN", "WHERE", "WHILE", "WITH", "WITHIN", "WRITETEXT", NULL
	};
	for (int i = 0; words[i]; i++)
		if (strcasecmp(words[i], word) == 0)
			return true;
	return false;
}

bool parser_is_ident(const struct parser *p) {
	const struct token *t = parser_peek(p, 0);
	return t->kind == T_QUOTED || (t->kind == T_WORD && !parser_reserved(t->text));
}

const char *parser_ident(struct parser *p) {
	if (!parser_is_ident(p)) {
		parser_fail(p);
		return "";
	}
	return p->tokens[p->at++].text;
}

struct name parser_name(struct parser *p) {
	struct name n = { .line = parser_peek(p, 0)->line };
	n.part[n.count++] = parser_ident(p);
	while (n.count < 4 && parser_accept(p, ".")) {
		if (parser_is(p, "."))
			n.part[n.count++] = "";
		else
			n.part[n.count++] = parser_ident(p);
	}
	return n;
}

const char **parser_ident_list(struct parser *p, int *count) {
	struct vec list = { 0 };
	parser_expect(p, "(");
	do {
		const char *word = parser_ident(p);
		vec_add(p->arena, &list, arena_dup(p->arena, word, strlen(word)));
		if (!parser_accept(p, "ASC"))
			parser_accept(p, "DESC");
	} while (parser_accept(p, ","));
	parser_expect(p, ")");
	const char **names = arena_alloc(p->arena, sizeof *names * (size_t)list.count);
	for (int i = 0; i < list.count; i++)
		names[i] = list.at[i];
	*count = list.count;
	return names;
}

struct type_word {
	const char *word;
	enum sql_type type;
	int length; /* default; 0 = the type has none */
	uint8_t precision, scale;
	int max;    /* longest length; 0 = none may be written */
};

static const struct type_word type_words[] = {
	{ "bit", SQL_BIT, 0, 1, 0, 0 },
	{ "tinyint", SQL_TINYINT, 0, 3, 0, 0 },
	{ "smallint", SQL_SMALLINT, 0, 5, 0, 0 },
	{ "int", SQL_INT, 0, 10, 0, 0 },
	{ "integer", SQL_INT, 0, 10, 0, 0 },
	{ "bigint", SQL_BIGINT, 0, 19, 0, 0 },
	{ "decimal", SQL_DECIMAL, 0, 18, 0, 38 },
	{ "dec", SQL_DECIMAL, 0, 18, 0, 38 },
	{ "numeric", SQL_DECIMAL, 0, 18, 0, 38 },
	{ "float", SQL_FLOAT, 0, 53, 0, 53 },
	{ "real", SQL_REAL, 0, 24, 0, 0 },
	{ "money", SQL_MONEY, 0, 19, 4, 0 },
	{ "smallmoney", SQL_MONEY, 0, 10, 4, 0 },
	{ "char", SQL_CHAR, 1, 0, 0, 8000 },
	{ "varchar", SQL_VARCHAR, 1, 0, 0, 8000 },
	{ "text", SQL_VARCHAR, SQL_MAX_LENGTH, 0, 0, 0 },
	{ "nchar", SQL_NCHAR, 1, 0, 0, 4000 },
	{ "nvarchar", SQL_NVARCHAR, 1, 0, 0, 4000 },
	{ "sysname", SQL_NVARCHAR, 128, 0, 0, 0 },
	{ "ntext", SQL_NVARCHAR, SQL_MAX_LENGTH, 0, 0, 0 },
	{ "binary", SQL_BINARY, 1, 0, 0, 8000 },
	{ "varbinary", SQL_VARBINARY, 1, 0, 0, 8000 },
	{ "image", SQL_VARBINARY, SQL_MAX_LENGTH, 0, 0, 0 },
	{ "date", SQL_DATE, 0, 10, 0, 0 },
	{ "time", SQL_TIME, 0, 16, 7, 7 },
	{ "datetime", SQL_DATETIME, 0, 23, 3, 0 },
	{ "smalldatetime", SQL_SMALLDATETIME, 0, 16, 0, 0 },
	{ "datetime2", SQL_DATETIME2, 0, 27, 7, 7 },
	{ "datetimeoffset", SQL_DATETIMEOFFSET, 0, 34, 7, 7 },
	{ "uniqueidentifier", SQL_UNIQUEIDENTIFIER, 0, 0, 0, 0 },
	{ "rowversion", SQL_ROWVERSION, 0, 0, 0, 0 },
	{ "timestamp", SQL_ROWVERSION, 0, 0, 0, 0 },
};

static int type_number(struct parser *p) {
	const struct token *t = parser_peek(p, 0);
	if (t->kind != T_INTEGER || t->len > 5) {
		parser_fail(p);
		return 0;
	}
	p->at++;
	return (int)strtol(t->text, NULL, 10);
}

static void type_arguments(struct parser *p, const struct type_word *w, struct type_spec *spec) {
	if (parser_accept(p, "MAX")) {
		if (spec->type != SQL_VARCHAR && spec->type != SQL_NVARCHAR && spec->type != SQL_VARBINARY)
			parser_fail(p);
		spec->length = SQL_MAX_LENGTH;
		parser_expect(p, ")");
		return;
	}
	int n = type_number(p);
	if (spec->type == SQL_DECIMAL) {
		int s = parser_accept(p, ",") ? type_number(p) : 0;
		if (n < 1 || n > 38)
			sqlerror_set(p->error, 2750, spec->line,
				     "Column or parameter #1: Specified column precision %d is greater than the maximum precision of 38.", n);
		else if (s > n)
			sqlerror_set(p->error, 192, spec->line, "The scale must be less than or equal to the precision.");
		spec->precision = (uint8_t)n;
		spec->scale = (uint8_t)s;
	} else if (n > w->max || (n < 1 && w->length)) {
		sqlerror_set(p->error, n ? 131 : 1001, spec->line,
			     "The size (%d) given to the type '%s' exceeds the maximum allowed for any data type (%d).", n, w->word, w->max);
	} else if (w->length) {
		spec->length = n;
	} else if (spec->type == SQL_FLOAT) {
		spec->type = n <= 24 ? SQL_REAL : SQL_FLOAT;
	} else {
		spec->scale = (uint8_t)n;
	}
	if (parser_failed(p))
		p->at = p->count - 1;
	parser_expect(p, ")");
}

struct type_spec parser_type(struct parser *p) {
	const struct token *t = parser_peek(p, 0);
	struct type_spec spec = { .type = SQL_INT, .line = t->line };
	if (parser_is_at(p, 0, "sys") && parser_is_at(p, 1, "."))
		p->at += 2;
	t = parser_peek(p, 0);
	const struct type_word *w = NULL;
	for (size_t i = 0; i < sizeof type_words / sizeof type_words[0]; i++)
		if ((t->kind == T_WORD || t->kind == T_QUOTED) && strcasecmp(t->text, type_words[i].word) == 0)
			w = &type_words[i];
	if (!w) {
		if (parser_is_ident(p))
			sqlerror_set(p->error, 2715, t->line, "Column, parameter, or variable #1: Cannot find data type %.128s.", t->text);
		parser_fail(p);
		return spec;
	}
	p->at++;
	spec = (struct type_spec){ .type = w->type, .length = w->length, .precision = w->precision, .scale = w->scale,
				   .line = t->line };
	parser_accept(p, "VARYING");
	if (w->max && parser_accept(p, "("))
		type_arguments(p, w, &spec);
	return spec;
}
