/* Aggregates and window functions. */
#include "ecosystem/sandbox/sql/translate_internal.h"

#include <stdlib.h>
#include <string.h>

static const char *const aggregates[] = { "COUNT", "COUNT_BIG", "SUM", "AVG", "MIN", "MAX", "STRING_AGG", NULL };
static const char *const windows[] = { "ROW_NUMBER", "RANK", "DENSE_RANK", "NTILE", "LAG", "LEAD", "FIRST_VALUE", "LAST_VALUE",
	NULL };

static bool among(const char *const *list, const char *name) {
	for (; *list; list++)
		if (strcmp(*list, name) == 0)
			return true;
	return false;
}

bool tr_is_aggregate(const struct expr *e) { return e->kind == E_CALL && !e->over && among(aggregates, e->text); }

bool tr_has_aggregate(const struct expr *e) {
	if (!e)
		return false;
	if (tr_is_aggregate(e))
		return true;
	for (int i = 0; i < e->arg_count; i++)
		if (tr_has_aggregate(e->args[i]))
			return true;
	for (int i = 0; e->over && i < e->over->order_count; i++)
		if (tr_has_aggregate(e->over->order[i].expr))
			return true;
	return tr_has_aggregate(e->a) || tr_has_aggregate(e->b) || tr_has_aggregate(e->c);
}

static void wrong_type(struct tr *tr, const struct expr *e, const struct xtype *type) {
	sqlerror_set(tr->error, 8117, e->line, "Operand data type %s is invalid for %s operator.", xtype_name(type->type),
		strcmp(e->text, "SUM") == 0   ? "sum"
		: strcmp(e->text, "AVG") == 0 ? "avg"
		: strcmp(e->text, "MIN") == 0 ? "min"
					      : "max");
}

static const char *sum(struct tr *tr, const struct expr *e, const char *sql, struct xtype *type) {
	bool average = strcmp(e->text, "AVG") == 0;
	switch (xtype_family(type->type)) {
	case FAMILY_INTEGER:
		if (type->type == SQL_BIT)
			break;
		*type = xtype_of(type->type == SQL_BIGINT ? SQL_BIGINT : SQL_INT, 0, 0, 0);
		return arena_fmt(
			tr->arena, "%s(%s%s,%d,0)", average ? "t_avg" : "t_sum", e->distinct ? "DISTINCT " : "", sql, type->type);
	case FAMILY_EXACT:
		if (type->type != SQL_MONEY) {
			type->precision = 38;
			if (average && type->scale < 6)
				type->scale = 6;
		}
		return arena_fmt(tr->arena, "%s(%s,%d,%d)", average ? "t_avg" : "t_sum", sql, type->type, type->scale);
	case FAMILY_FLOAT:
		*type = xtype_of(SQL_FLOAT, 0, 0, 0);
		return arena_fmt(tr->arena, "%s(%s%s)", average ? "avg" : "sum", e->distinct ? "DISTINCT " : "", sql);
	case FAMILY_CHAR:
	case FAMILY_BINARY:
	case FAMILY_DATE:
	case FAMILY_GUID:
		break;
	}
	wrong_type(tr, e, type);
	return "NULL";
}

static const char *joined(struct tr *tr, const struct expr *e, const char *sql, struct xtype *type) {
	struct xtype separator, text = tr_string_type(tr, SQL_NVARCHAR, 4000);
	if (!xtype_is_char(type->type)) {
		sql = tr_convert(tr, sql, type, &text, e->line);
		*type = text;
	}
	if (type->length != SQL_MAX_LENGTH)
		type->length = xtype_is_unicode(type->type) ? 4000 : 8000;
	return arena_fmt(tr->arena, "group_concat(%s,%s)", sql, tr_expr(tr, e->args[1], &separator));
}

static const char *body(struct tr *tr, const struct expr *e, struct xtype *type) {
	bool count = strncmp(e->text, "COUNT", 5) == 0, join = strcmp(e->text, "STRING_AGG") == 0;
	struct xtype whole = xtype_of(strcmp(e->text, "COUNT_BIG") == 0 ? SQL_BIGINT : SQL_INT, 0, 0, 0);
	whole.nullable = false;
	*type = whole;
	if (count && e->star)
		return "count(*)";
	if (e->star || e->arg_count != 1 + join) {
		sqlerror_set(tr->error, 174, e->line, "The %s function requires %d argument(s).", e->text, 1 + join);
		return "NULL";
	}
	const char *sql = tr_expr(tr, e->args[0], type);
	if (tr_failed(tr))
		return "NULL";
	if (type->null)
		sqlerror_set(tr->error, 8117, e->line, "Operand data type NULL is invalid for %s operator.", e->text);
	if (count) {
		const char *collate = e->distinct ? tr_collate(tr, type) : "";
		*type = whole;
		return arena_fmt(tr->arena, "count(%s%s%s)", e->distinct ? "DISTINCT " : "", sql, collate);
	}
	type->nullable = true;
	if (join)
		return joined(tr, e, sql, type);
	if (strcmp(e->text, "SUM") == 0 || strcmp(e->text, "AVG") == 0)
		return sum(tr, e, sql, type);
	if (type->type == SQL_BIT) {
		wrong_type(tr, e, type);
		return "NULL";
	}
	return arena_fmt(tr->arena, "%s(%s%s)", strcmp(e->text, "MIN") == 0 ? "min" : "max", sql, tr_collate(tr, type));
}

const char *tr_aggregate(struct tr *tr, const struct expr *e, struct xtype *type) {
	struct tr_scope *scope = tr->scope;
	if (!scope || scope->no_aggregates) {
		sqlerror_set(tr->error, 147, e->line,
			"An aggregate may not appear in the WHERE clause unless it is in a subquery contained in a HAVING clause "
			"or "
			"a select list, and the column being aggregated is an outer reference.");
		return "NULL";
	}
	if (scope->in_aggregate) {
		sqlerror_set(tr->error, 130, e->line,
			"Cannot perform an aggregate function on an expression containing an aggregate or a subquery.");
		return "NULL";
	}
	scope->in_aggregate = true;
	const char *sql = body(tr, e, type);
	scope->in_aggregate = false;
	return sql;
}

/* --- OVER --- */

static const char *over_clause(struct tr *tr, const struct expr *e) {
	const char *sql = "";
	struct xtype type;
	for (int i = 0; i < e->over->partition_count; i++) {
		const char *one = tr_expr(tr, e->over->partition[i], &type);
		sql = arena_fmt(tr->arena, "%s%s%s%s", sql, i ? "," : "PARTITION BY ", one, tr_collate(tr, &type));
	}
	for (int i = 0; i < e->over->order_count; i++) {
		const struct expr *key = e->over->order[i].expr;
		if (key->kind == E_INTEGER)
			sqlerror_set(tr->error, 5308, e->line,
				"Windowed functions, aggregates and NEXT VALUE FOR functions do not support integer indices as "
				"ORDER BY "
				"clause expressions.");
		const char *one = tr_expr(tr, key, &type);
		sql = arena_fmt(tr->arena, "%s%s%s%s%s", sql, i ? "," : " ORDER BY ", one, tr_collate(tr, &type),
			e->over->order[i].desc ? " DESC" : "");
	}
	return arena_fmt(tr->arena, " OVER (%s%s%s)", sql, e->over->frame ? " " : "", e->over->frame ? e->over->frame : "");
}

static const char *ranked(struct tr *tr, const struct expr *e, struct xtype *type) {
	const char *list = "";
	char lower[20];
	size_t n = 0;
	for (; n < sizeof lower - 1 && e->text[n]; n++)
		lower[n] = (char)(e->text[n] >= 'A' && e->text[n] <= 'Z' ? e->text[n] + 32 : e->text[n]);
	lower[n] = '\0';
	*type = xtype_of(SQL_BIGINT, 0, 0, 0);
	type->nullable = false;
	if (!e->over->order_count)
		sqlerror_set(tr->error, 4112, e->line, "The function '%s' must have an OVER clause with ORDER BY.", e->text);
	for (int i = 0; i < e->arg_count; i++) {
		struct xtype own, whole = xtype_of(SQL_INT, 0, 0, 0);
		const char *one = tr_expr(tr, e->args[i], &own);
		if (i == 0 && strcmp(e->text, "NTILE") != 0) {
			*type = own;
			type->nullable = true;
		} else {
			one = tr_convert(tr, one, &own, i == 2 ? type : &whole, e->line);
		}
		list = arena_fmt(tr->arena, "%s%s%s", list, i ? "," : "", one);
	}
	return arena_fmt(tr->arena, "%s(%s)", lower, list);
}

const char *tr_window(struct tr *tr, const struct expr *e, struct xtype *type) {
	struct tr_scope *scope = tr->scope;
	const char *sql;
	if (!scope || scope->no_windows) {
		sqlerror_set(tr->error, 4108, e->line, "Windowed functions can only appear in the SELECT or ORDER BY clauses.");
		return "NULL";
	}
	if (among(windows, e->text)) {
		sql = ranked(tr, e, type);
	} else if (among(aggregates, e->text) && !e->distinct) {
		sql = body(tr, e, type);
	} else {
		sqlerror_set(tr->error, e->distinct ? 10759 : 195, e->line,
			e->distinct ? "Use of DISTINCT is not allowed with the OVER clause."
				    : "'%s' is not a recognized built-in function name.",
			e->text);
		return "NULL";
	}
	return arena_fmt(tr->arena, "%s%s", sql, over_clause(tr, e));
}
