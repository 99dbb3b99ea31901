/* Scalar expressions and the logic of conditions. Comparisons, calls and conversions have their own files. */
#include "ecosystem/sandbox/sql/translate_internal.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "common/utf8.h"
#include "ecosystem/sandbox/sql/collation.h"

/* --- literals --- */

static const char *integer(struct tr *tr, const char *text, struct xtype *type) {
	while (text[0] == '0' && text[1])
		text++;
	size_t digits = strlen(text);
	if (digits < 10 || (digits == 10 && strcmp(text, "2147483647") <= 0)) {
		*type = xtype_of(SQL_INT, 0, (int)digits, 0);
		type->nullable = false;
		return text;
	}
	*type = xtype_of(SQL_DECIMAL, 0, digits > 38 ? 38 : (int)digits, 0);
	type->nullable = false;
	if (digits > 38)
		sqlerror_set(tr->error, 1007, 1, "The number '%.60s' is out of the range for numeric representation (maximum precision 38).", text);
	return tr_quote(tr, text);
}

static const char *decimal(struct tr *tr, const char *text, struct xtype *type) {
	while (text[0] == '0' && isdigit((unsigned char)text[1]))
		text++;
	const char *point = strchr(text, '.');
	int whole = (int)(point - text), scale = (int)strlen(point + 1);
	int precision = (whole == 1 && text[0] == '0' ? 0 : whole) + scale;
	if (precision > 38)
		sqlerror_set(tr->error, 1007, 1, "The number '%.60s' is out of the range for numeric representation (maximum precision 38).", text);
	*type = xtype_of(SQL_DECIMAL, 0, precision ? precision : 1, scale);
	type->nullable = false;
	return arena_fmt(tr->arena, "'%s%.*s'", whole ? "" : "0", whole + (scale ? 1 + scale : 0), text);
}

static const char *floating(struct tr *tr, const char *text, struct xtype *type) {
	char *sql = arena_fmt(tr->arena, "%.17g", strtod(text, NULL));
	*type = xtype_of(SQL_FLOAT, 0, 0, 0);
	type->nullable = false;
	return strpbrk(sql, ".en") ? sql : arena_fmt(tr->arena, "%s.0", sql);
}

static const char *string(struct tr *tr, const struct expr *e, struct xtype *type) {
	bool unicode = e->kind == E_NSTRING;
	int units = (int)utf8_utf16_units(e->text, e->len), limit = unicode ? 4000 : 8000;
	*type = tr_string_type(tr, unicode ? SQL_NVARCHAR : SQL_VARCHAR, units > limit ? SQL_MAX_LENGTH : units ? units : 1);
	type->nullable = false;
	return tr_quote_len(tr, e->text, e->len);
}

static const char *binary(struct tr *tr, const char *digits, struct xtype *type) {
	size_t len = (strlen(digits) + 1) / 2;
	*type = xtype_of(SQL_VARBINARY, len > 8000 ? SQL_MAX_LENGTH : len ? (int)len : 1, 0, 0);
	type->nullable = false;
	return arena_fmt(tr->arena, "X'%s%s'", strlen(digits) % 2 ? "0" : "", digits);
}

/* --- names --- */

static const char *variable(struct tr *tr, const struct expr *e, struct xtype *type) {
	*type = xtype_of(SQL_INT, 0, 0, 0);
	if (e->text[0] == '@' && e->text[1] == '@') {
		char upper[130];
		size_t n = 0;
		for (; n < sizeof upper - 1 && e->text[n]; n++)
			upper[n] = (char)toupper((unsigned char)e->text[n]);
		upper[n] = '\0';
		const struct tr_function *f = session_function(upper);
		if (!f) {
			sqlerror_set(tr->error, 137, e->line, "Must declare the scalar variable \"%s\".", e->text);
			return "NULL";
		}
		*type = f->type;
		if (xtype_is_char(type->type) && !type->collation)
			type->collation = tr->collation;
		return arena_fmt(tr->arena, "%s()", f->sqlite);
	}
	struct tr_variable v = { 0 };
	if (!tr->host->variable || !tr->host->variable(tr->host->arg, e->text, &v)) {
		sqlerror_set(tr->error, 137, e->line, "Must declare the scalar variable \"%s\".", e->text);
		return "NULL";
	}
	*type = v.type;
	type->nullable = true;
	if (xtype_is_char(type->type)) {
		type->collation = tr->collation;
		type->label = LABEL_DEFAULT;
	}
	for (int i = 0; i < tr->live_variables.count; i++)
		if (tr_same_word(tr->live_variables.at[i], e->text))
			return arena_fmt(tr->arena, "s_var(%d)", v.slot);
	return arena_fmt(tr->arena, "?%d", v.slot);
}

static struct tr_scope *scope_at(struct tr *tr, int depth) {
	struct tr_scope *scope = tr->scope;
	while (depth-- > 0)
		scope = scope->outer;
	return scope;
}

/* Is the column one of the scope's GROUP BY columns? */
static bool is_grouped(struct tr *tr, struct tr_scope *scope, const struct tr_column *column) {
	struct tr_scope *here = tr->scope;
	struct tr_source *source;
	int depth;
	bool found = false;
	tr->scope = scope;
	for (int i = 0; i < scope->group_count && !found; i++)
		found = scope->group[i]->kind == E_COLUMN && tr_resolve(tr, scope->group[i], &source, &depth) == column;
	tr->scope = here;
	return found;
}

static const char *column(struct tr *tr, const struct expr *e, struct xtype *type) {
	struct tr_source *source = NULL;
	int depth;
	const struct tr_column *c = tr_resolve(tr, e, &source, &depth);
	*type = xtype_of(SQL_INT, 0, 0, 0);
	if (!c)
		return "NULL";
	*type = c->type;
	struct tr_scope *scope = scope_at(tr, depth);
	if (scope->grouped && scope->checked && !scope->in_aggregate && !is_grouped(tr, scope, c)) {
		const char *name = arena_fmt(tr->arena, "%s.%s", source->exposed, c->name);
		sqlerror_set(tr->error, scope->clause_number, e->line,
				     "Column '%s' is invalid in the %s because it is not contained in either an aggregate function or the GROUP BY clause.",
				     name, scope->clause_number == 8121 ? "HAVING clause" : scope->clause_number == 8127 ? "ORDER BY clause" : "select list");
	}
	return c->sql;
}

/* --- operators --- */

static const char *unary(struct tr *tr, const struct expr *e, struct xtype *type) {
	const char *sql = tr_expr(tr, e->a, type);
	if (e->text[0] == '+')
		return sql;
	if (e->text[0] == '~') {
		if (!xtype_is_integer(type->type))
			sqlerror_set(tr->error, 8117, e->line, "Operand data type %s is invalid for '~' operator.", xtype_name(type->type));
		return type->type == SQL_BIT ? arena_fmt(tr->arena, "(1-%s)", sql)
		       : type->type == SQL_TINYINT ? arena_fmt(tr->arena, "(255-%s)", sql)
						   : arena_fmt(tr->arena, "(~%s)", sql);
	}
	switch ((int)e->a->kind) {
	case E_INTEGER:
	case E_FLOAT:
		if (type->type == SQL_DECIMAL)
			return arena_fmt(tr->arena, "'-%s", sql + 1);
		return strspn(sql, "0.") == strlen(sql) ? sql : arena_fmt(tr->arena, "(-%s)", sql);
	case E_DECIMAL:
		return strspn(sql, "'0.") == strlen(sql) ? sql : arena_fmt(tr->arena, "'-%s", sql + 1);
	default:
		return tr_negate(tr, sql, type, e->line);
	}
}

const char *tr_choose(struct tr *tr, struct expr **values, int count, struct xtype *type, const char **sqls) {
	struct xtype *types = arena_alloc(tr->arena, sizeof *types * (size_t)(count + 1));
	for (int i = 0; i < count; i++) {
		sqls[i] = tr_expr(tr, values[i], &types[i]);
		*type = i ? xtype_common(type, &types[i]) : types[i];
	}
	if (type->null)
		return "NULL";
	if (xtype_is_integer(type->type) || xtype_family(type->type) == FAMILY_FLOAT)
		type->precision = xtype_of(type->type, 0, 0, 0).precision;
	for (int i = 0; i < count; i++)
		sqls[i] = tr_convert(tr, sqls[i], &types[i], type, values[i]->line);
	return NULL;
}

const char *tr_case(struct tr *tr, const struct expr *e, struct xtype *type) {
	int branches = e->arg_count / 2, count = branches + (e->b != NULL);
	struct expr **values = arena_alloc(tr->arena, sizeof *values * (size_t)(count + 1));
	const char **sqls = arena_alloc(tr->arena, sizeof *sqls * (size_t)(count + 1));
	for (int i = 0; i < branches; i++)
		values[i] = e->args[2 * i + 1];
	if (e->b)
		values[branches] = e->b;
	if (tr_choose(tr, values, count, type, sqls))
		sqlerror_set(tr->error, 8133, e->line,
			     "At least one of the result expressions in a CASE specification must be an expression other than the NULL constant.");
	if (!e->b)
		type->nullable = true;
	const char *sql = "(CASE";
	for (int i = 0; i < branches; i++) {
		const char *test;
		if (e->a) {
			struct xtype a, b;
			const char *left = tr_expr(tr, e->a, &a), *right = tr_expr(tr, e->args[2 * i], &b);
			test = tr_compare(tr, "=", left, &a, right, &b, e->line);
		} else {
			test = tr_cond(tr, e->args[2 * i]);
		}
		sql = arena_fmt(tr->arena, "%s WHEN %s THEN %s", sql, test, sqls[i]);
	}
	return e->b ? arena_fmt(tr->arena, "%s ELSE %s END)", sql, sqls[branches]) : arena_fmt(tr->arena, "%s END)", sql);
}

static const char *cast(struct tr *tr, const struct expr *e, struct xtype *type) {
	struct xtype from, style_type;
	const char *sql = tr_expr(tr, e->a, &from), *style = NULL;
	*type = xtype_of(e->type.type, e->type.length, e->type.precision, e->type.scale);
	type->nullable = from.nullable || e->try_;
	if (e->b) {
		struct xtype whole = xtype_of(SQL_INT, 0, 0, 0);
		style = tr_expr(tr, e->b, &style_type);
		style = tr_convert(tr, style, &style_type, &whole, e->line);
	}
	if (xtype_is_char(type->type)) {
		bool text = xtype_is_char(from.type) && from.collation;
		type->collation = text ? from.collation : tr->collation;
		type->collation2 = text ? from.collation2 : NULL;
		type->label = text ? from.label : LABEL_DEFAULT;
	}
	return tr_cast(tr, sql, &from, type, style, e->try_, e->line);
}

static const char *collate(struct tr *tr, const struct expr *e, struct xtype *type) {
	const char *sql = tr_expr(tr, e->a, type);
	const char *name = tr_same_word(e->text, "DATABASE_DEFAULT") || tr_same_word(e->text, "CATALOG_DEFAULT") ? tr->collation
													      : collation_canonical(e->text);
	if (type->null)
		*type = tr_string_type(tr, SQL_VARCHAR, 1);
	if (!name)
		sqlerror_set(tr->error, 448, e->line, "Invalid collation '%s'.", e->text);
	else if (!xtype_is_char(type->type))
		sqlerror_set(tr->error, 447, e->line, "Expression type %s is invalid for COLLATE clause.", xtype_name(type->type));
	type->collation = name;
	type->collation2 = NULL;
	type->label = LABEL_EXPLICIT;
	return sql;
}

const char *tr_subquery(struct tr *tr, const struct select *select, struct xtype *type) {
	struct tr_query *q = tr_select(tr, select, false);
	*type = xtype_of(SQL_INT, 0, 0, 0);
	if (tr_failed(tr))
		return "NULL";
	if (q->column_count != 1) {
		sqlerror_set(tr->error, 116, select->line,
			     "Only one expression can be specified in the select list when the subquery is not introduced with EXISTS.");
		return "NULL";
	}
	*type = q->columns[0].type;
	type->nullable = true;
	if (q->single)
		return arena_fmt(tr->arena, "(%s)", tr_render(tr, q));
	if (q->plain && !q->ordered && !q->limited) {
		q->columns[0].sql = arena_fmt(tr->arena, "t_single(%s)", q->columns[0].sql);
		return arena_fmt(tr->arena, "(%s)", tr_render(tr, q));
	}
	return arena_fmt(tr->arena, "(SELECT t_single(n1) FROM (%s))", tr_render(tr, q));
}

static const char *plain_expr(struct tr *tr, const struct expr *e, struct xtype *type) {
	struct xtype a, b;
	const char *left, *right;
	switch ((int)e->kind) {
	case E_NULL:
		*type = (struct xtype){ .type = SQL_INT, .precision = 10, .nullable = true, .null = true };
		return "NULL";
	case E_INTEGER:
		return integer(tr, e->text, type);
	case E_DECIMAL:
		return decimal(tr, e->text, type);
	case E_FLOAT:
		return floating(tr, e->text, type);
	case E_STRING:
	case E_NSTRING:
		return string(tr, e, type);
	case E_BINARY:
		return binary(tr, e->text, type);
	case E_VARIABLE:
		return variable(tr, e, type);
	case E_COLUMN:
		return column(tr, e, type);
	case E_UNARY:
		return unary(tr, e, type);
	case E_BINARY_OP:
		left = tr_expr(tr, e->a, &a);
		right = tr_expr(tr, e->b, &b);
		return tr_arithmetic(tr, e->text, left, &a, right, &b, type, e->line);
	case E_CASE:
		return tr_case(tr, e, type);
	case E_CAST:
		return cast(tr, e, type);
	case E_CALL:
		return tr_call(tr, e, type);
	case E_COLLATE:
		return collate(tr, e, type);
	case E_SUBQUERY:
		return tr_subquery(tr, e->sub, type);
	case E_DEFAULT:
		sqlerror_set(tr->error, 156, e->line, "Incorrect syntax near the keyword 'DEFAULT'.");
		break;
	default:
		sqlerror_set(tr->error, 102, e->line, "Incorrect syntax near '%s'.", e->kind == E_STAR ? "*" : "expression");
		break;
	}
	*type = xtype_of(SQL_INT, 0, 0, 0);
	return "NULL";
}

const char *tr_expr(struct tr *tr, const struct expr *e, struct xtype *type) {
	struct tr_scope *scope = tr->scope;
	if (tr_failed(tr)) {
		*type = xtype_of(SQL_INT, 0, 0, 0);
		return "NULL";
	}
	bool look = scope && scope->grouped && scope->checked && !scope->in_aggregate && e->kind != E_COLUMN;
	for (int i = 0; look && i < scope->group_count; i++)
		if (scope->group[i]->kind == e->kind && tr_same_expr(tr, scope->group[i], e)) {
			scope->in_aggregate = true;
			const char *sql = plain_expr(tr, e, type);
			scope->in_aggregate = false;
			return sql;
		}
	return plain_expr(tr, e, type);
}

const char *tr_cond(struct tr *tr, const struct expr *e) {
	const char *a, *b;
	if (tr_failed(tr))
		return "0";
	switch ((int)e->kind) {
	case E_AND:
	case E_OR:
		a = tr_cond(tr, e->a);
		b = tr_cond(tr, e->b);
		return arena_fmt(tr->arena, "(%s %s %s)", a, e->kind == E_AND ? "AND" : "OR", b);
	case E_NOT:
		return arena_fmt(tr->arena, "(NOT %s)", tr_cond(tr, e->a));
	default:
		return tr_predicate(tr, e);
	}
}
