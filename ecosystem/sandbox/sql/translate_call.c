/* Calls of scalar functions: one table says how each is written in SQLite, what its arguments are converted to and what it gives.
 * Aggregates and window functions are in translate_aggregate.c; the session's functions come from session_function(). */
#include "ecosystem/sandbox/sql/translate_internal.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

/* Arguments: s = text (numbers become nvarchar), n = text with its own collation passed last, i = int, b = bigint, f = float, d =
 * a date kind (text becomes datetime2), x = binary, - = as it is; after ? optional ones; * = the last letter repeats. Result: i
 * int, b bigint, f float, t bit, 0 type of the first argument, m the same with (max) or 4000/8000, S nvarchar(max), N
 * nvarchar(4000), V varchar(8000), D datetime, 2 datetime2(7), o datetimeoffset(7), a date, g uniqueidentifier, x varbinary(8000)
 */
struct function {
	const char *name, *sqlite, *arguments;
	char result;
};

static const struct function functions[] = {
	{ "LEN", "t_len", "s", 'i' },
	{ "DATALENGTH", "t_datalength", "-", 'i' },
	{ "LEFT", "t_left", "si", 'v' },
	{ "RIGHT", "t_right", "si", 'v' },
	{ "SUBSTRING", "t_substring", "sii", 'v' },
	{ "LTRIM", "t_ltrim", "s", 'v' },
	{ "RTRIM", "t_rtrim", "s", 'v' },
	{ "TRIM", "t_trim", "s", 'v' },
	{ "UPPER", "t_upper", "s", '0' },
	{ "LOWER", "t_lower", "s", '0' },
	{ "REVERSE", "t_reverse", "s", 'v' },
	{ "REPLACE", "t_replace", "sss", 'm' },
	{ "REPLICATE", "t_replicate", "si", 'm' },
	{ "STUFF", "t_stuff", "siis", 'm' },
	{ "SPACE", "t_space", "i", 'V' },
	{ "CHARINDEX", "t_charindex", "ss?i", 'i' },
	{ "CONCAT", "t_concat", "ss*", 'S' },
	{ "CONCAT_WS", "t_concat_ws", "sss*", 'S' },
	{ "ASCII", "t_ascii", "s", 'i' },
	{ "UNICODE", "t_unicode", "s", 'i' },
	{ "CHAR", "t_char", "i", 'V' },
	{ "NCHAR", "t_char", "i", 'N' },
	{ "QUOTENAME", "t_quotename", "s?s", 'N' },
	{ "STRING_ESCAPE", "t_string_escape", "ss", 'S' },
	{ "ISNUMERIC", "t_isnumeric", "-", 'i' },
	{ "ISDATE", "t_isdate", "-", 'i' },
	{ "NEWID", "t_newid", "", 'g' },
	{ "ISJSON", "t_isjson", "s", 'i' },
	{ "JSON_VALUE", "t_json_value", "ss", 'N' },
	{ "JSON_QUERY", "t_json_query", "s?s", 'S' },
	{ "GETDATE", "t_getdate", "", 'D' },
	{ "CURRENT_TIMESTAMP", "t_getdate", "", 'D' },
	{ "GETUTCDATE", "t_getutcdate", "", 'D' },
	{ "SYSDATETIME", "t_sysdatetime", "", '2' },
	{ "SYSUTCDATETIME", "t_sysutcdatetime", "", '2' },
	{ "SYSDATETIMEOFFSET", "t_sysdatetimeoffset", "", 'o' },
	{ "YEAR", "t_year", "d", 'i' },
	{ "MONTH", "t_month", "d", 'i' },
	{ "DAY", "t_day", "d", 'i' },
	{ "EOMONTH", "t_eomonth", "d?i", 'a' },
	{ "DATEFROMPARTS", "t_datefromparts", "iii", 'a' },
	{ "SQRT", "t_sqrt", "f", 'f' },
	{ "EXP", "t_exp", "f", 'f' },
	{ "LOG", "t_log", "f?f", 'f' },
	{ "RAND", "t_rand", "?i", 'f' },
};

static struct xtype text_type(const struct tr *tr, enum sql_type type, int length) { return tr_string_type(tr, type, length); }

static const char *argument(struct tr *tr, const struct expr *e, char kind, struct xtype *type) {
	const char *sql = tr_expr(tr, e, type);
	struct xtype to;
	if (type->null) {
		*type = kind == 'i' || kind == 'b' ? xtype_of(SQL_INT, 0, 0, 0) : text_type(tr, SQL_VARCHAR, 1);
		return "NULL";
	}
	switch (kind) {
	case 's':
		if (xtype_is_char(type->type))
			return sql;
		to = text_type(tr, SQL_NVARCHAR, 4000);
		break;
	case 'i':
		to = xtype_of(SQL_INT, 0, 0, 0);
		break;
	case 'b':
		to = xtype_of(SQL_BIGINT, 0, 0, 0);
		break;
	case 'f':
		to = xtype_of(SQL_FLOAT, 0, 0, 0);
		break;
	case 'd':
		if (xtype_is_date(type->type))
			return sql;
		to = xtype_of(xtype_is_char(type->type) ? SQL_DATETIME2 : SQL_DATETIME, 0, 0, xtype_is_char(type->type) ? 7 : 3);
		break;
	default:
		return sql;
	}
	to.nullable = type->nullable;
	sql = tr_convert(tr, sql, type, &to, e->line);
	*type = to;
	return sql;
}

static void result_type(struct tr *tr, char code, const struct xtype *types, int count, struct xtype *out) {
	bool unicode = count && xtype_is_unicode(types[0].type), max = count && types[0].length == SQL_MAX_LENGTH;
	struct xtype first = count ? types[0] : text_type(tr, SQL_VARCHAR, 1);
	switch (code) {
	case 'i':
		*out = xtype_of(SQL_INT, 0, 0, 0);
		return;
	case 'b':
		*out = xtype_of(SQL_BIGINT, 0, 0, 0);
		return;
	case 'f':
		*out = xtype_of(SQL_FLOAT, 0, 0, 0);
		return;
	case 'D':
		*out = xtype_of(SQL_DATETIME, 0, 0, 3);
		return;
	case '2':
		*out = xtype_of(SQL_DATETIME2, 0, 0, 7);
		return;
	case 'o':
		*out = xtype_of(SQL_DATETIMEOFFSET, 0, 0, 7);
		return;
	case 'a':
		*out = xtype_of(SQL_DATE, 0, 0, 0);
		return;
	case 'g':
		*out = xtype_of(SQL_UNIQUEIDENTIFIER, 0, 0, 0);
		return;
	case 'S':
		*out = text_type(tr, SQL_NVARCHAR, SQL_MAX_LENGTH);
		return;
	case 'N':
		*out = text_type(tr, SQL_NVARCHAR, 4000);
		return;
	case 'V':
		*out = text_type(tr, SQL_VARCHAR, 8000);
		return;
	default:
		break;
	}
	*out = first;
	if (code == 'v' || code == 'm')
		out->type = unicode ? SQL_NVARCHAR : SQL_VARCHAR;
	if (code == 'm' && !max)
		out->length = unicode ? 4000 : 8000;
	out->nullable = true;
	for (int i = 1; i < count; i++)
		if (xtype_is_char(types[i].type) && xtype_is_char(out->type))
			xtype_merge_collation(out, &types[i]);
}

static void wrong_count(struct tr *tr, const struct expr *e, int min, int max) {
	char lower[64];
	size_t n = 0;
	for (; n < sizeof lower - 1 && e->text[n]; n++)
		lower[n] = (char)tolower((unsigned char)e->text[n]);
	lower[n] = '\0';
	if (min == max)
		sqlerror_set(tr->error, 174, e->line, "The %s function requires %d argument(s).", lower, min);
	else
		sqlerror_set(tr->error, 189, e->line, "The %s function requires %d to %d arguments.", lower, min, max);
}

static void counts(const char *letters, int *min, int *max) {
	bool optional = false;
	*min = *max = 0;
	for (const char *p = letters; *p; p++) {
		if (*p == '?') {
			optional = true;
		} else if (*p == '*') {
			*max = 254;
		} else {
			*min += !optional;
			(*max)++;
		}
	}
}

static const char *call(struct tr *tr, const struct expr *e, const char *sqlite, const char *letters, struct xtype *types) {
	int min, max;
	const char *sql = arena_fmt(tr->arena, "%s(", sqlite);
	counts(letters, &min, &max);
	if (e->arg_count < min || e->arg_count > max || e->star || e->distinct) {
		wrong_count(tr, e, min, max);
		return "NULL";
	}
	const char *p = letters;
	char letter = '-';
	for (int i = 0; i < e->arg_count; i++) {
		if (*p == '?')
			p++;
		if (*p && *p != '*')
			letter = *p++;
		sql = arena_fmt(tr->arena, "%s%s%s", sql, i ? "," : "", argument(tr, e->args[i], letter, &types[i]));
	}
	return sql;
}

/* --- the ones that are not a plain call --- */

static const char *is_null(struct tr *tr, const struct expr *e, struct xtype *type) {
	struct xtype a, b;
	if (e->arg_count != 2) {
		wrong_count(tr, e, 2, 2);
		return "NULL";
	}
	const char *left = tr_expr(tr, e->args[0], &a), *right = tr_expr(tr, e->args[1], &b);
	if (a.null) {
		*type = b;
		return right;
	}
	*type = a;
	type->nullable = b.nullable;
	right = tr_convert(tr, right, &b, type, e->line);
	return arena_fmt(tr->arena, "ifnull(%s,%s)", left, right);
}

static const char *coalesce(struct tr *tr, const struct expr *e, struct xtype *type) {
	const char **sqls = arena_alloc(tr->arena, sizeof *sqls * (size_t)(e->arg_count + 1)), *list = "";
	if (e->arg_count < 2) {
		sqlerror_set(tr->error, 102, e->line, "Incorrect syntax near ')'.");
		return "NULL";
	}
	if (tr_choose(tr, e->args, e->arg_count, type, sqls)) {
		sqlerror_set(tr->error, 4127, e->line,
			"At least one of the arguments to COALESCE must be an expression that is not the NULL constant.");
		return "NULL";
	}
	for (int i = 0; i < e->arg_count; i++)
		list = arena_fmt(tr->arena, "%s%s%s", list, i ? "," : "", sqls[i]);
	return arena_fmt(tr->arena, "coalesce(%s)", list);
}

static const char *null_if(struct tr *tr, const struct expr *e, struct xtype *type) {
	struct xtype b;
	if (e->arg_count != 2) {
		wrong_count(tr, e, 2, 2);
		return "NULL";
	}
	const char *left = tr_expr(tr, e->args[0], type), *right = tr_expr(tr, e->args[1], &b);
	const char *test = tr_compare(tr, "=", left, type, right, &b, e->line);
	type->nullable = true;
	return arena_fmt(tr->arena, "(CASE WHEN %s THEN NULL ELSE %s END)", test, left);
}

static const char *iif(struct tr *tr, const struct expr *e, struct xtype *type) {
	struct expr *args[3];
	if (e->arg_count != 2) {
		wrong_count(tr, e, 3, 3);
		return "NULL";
	}
	args[0] = e->a;
	args[1] = e->args[0];
	struct expr as_case = { .kind = E_CASE, .line = e->line, .args = args, .arg_count = 2, .b = e->args[1] };
	return tr_case(tr, &as_case, type);
}

static const char *choose(struct tr *tr, const struct expr *e, struct xtype *type) {
	struct xtype index, whole = xtype_of(SQL_INT, 0, 0, 0);
	const char **sqls = arena_alloc(tr->arena, sizeof *sqls * (size_t)(e->arg_count + 1));
	if (e->arg_count < 2) {
		wrong_count(tr, e, 2, 254);
		return "NULL";
	}
	const char *sql = tr_expr(tr, e->args[0], &index);
	sql = arena_fmt(tr->arena, "(CASE %s", tr_convert(tr, sql, &index, &whole, e->line));
	if (tr_choose(tr, e->args + 1, e->arg_count - 1, type, sqls))
		return "NULL";
	type->nullable = true;
	for (int i = 0; i < e->arg_count - 1; i++)
		sql = arena_fmt(tr->arena, "%s WHEN %d THEN %s", sql, i + 1, sqls[i]);
	return arena_fmt(tr->arena, "%s END)", sql);
}

/* ABS, CEILING, FLOOR, ROUND, SIGN, POWER keep the type of their number. */
static const char *numeric(struct tr *tr, const struct expr *e, struct xtype *type) {
	bool round = strcmp(e->text, "ROUND") == 0, power = strcmp(e->text, "POWER") == 0;
	int min = round || power ? 2 : 1, max = round ? 3 : min;
	if (e->arg_count < min || e->arg_count > max) {
		wrong_count(tr, e, min, max);
		return "NULL";
	}
	const char *sql = tr_expr(tr, e->args[0], type), *more = "";
	struct xtype big = xtype_of(SQL_FLOAT, 0, 0, 0), whole = xtype_of(SQL_INT, 0, 0, 0), other;
	if (type->null)
		return "NULL";
	if (xtype_family(type->type) == FAMILY_CHAR) {
		sql = tr_convert(tr, sql, type, &big, e->line);
		*type = big;
	}
	if (type->type == SQL_TINYINT || type->type == SQL_SMALLINT || type->type == SQL_BIT)
		*type = whole;
	for (int i = 1; i < e->arg_count; i++) {
		const char *one = tr_expr(tr, e->args[i], &other);
		more = arena_fmt(tr->arena, "%s,%s", more, tr_convert(tr, one, &other, power ? &big : &whole, e->line));
	}
	if ((strcmp(e->text, "CEILING") == 0 || strcmp(e->text, "FLOOR") == 0) && type->type == SQL_DECIMAL)
		type->scale = 0;
	type->nullable = true;
	char lower[20];
	size_t n = 0;
	for (; n < sizeof lower - 1 && e->text[n]; n++)
		lower[n] = (char)tolower((unsigned char)e->text[n]);
	lower[n] = '\0';
	return arena_fmt(tr->arena, "t_%s(%d,%d,%d,%s%s)", lower, type->type, type->precision, type->scale, sql, more);
}

/* --- dates: the first argument is a word --- */

static const char *date_part(struct tr *tr, const struct expr *e) {
	static const char *const parts[][3] = {
		{ "year", "yy", "yyyy" },
		{ "quarter", "qq", "q" },
		{ "month", "mm", "m" },
		{ "dayofyear", "dy", "y" },
		{ "day", "dd", "d" },
		{ "week", "wk", "ww" },
		{ "weekday", "dw", "w" },
		{ "hour", "hh", "hh" },
		{ "minute", "mi", "n" },
		{ "second", "ss", "s" },
		{ "millisecond", "ms", "ms" },
		{ "microsecond", "mcs", "mcs" },
		{ "nanosecond", "ns", "ns" },
		{ "iso_week", "isowk", "isoww" },
	};
	const char *word = e->kind == E_COLUMN && e->name.count == 1 ? e->name.part[0] : "";
	for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++)
		for (int k = 0; k < 3; k++)
			if (tr_same_word(parts[i][k], word))
				return parts[i][0];
	sqlerror_set(tr->error, 155, e->line, "'%s' is not a recognized datepart option.", word);
	return "day";
}

static const char *date_call(struct tr *tr, const struct expr *e, struct xtype *type) {
	bool add = strcmp(e->text, "DATEADD") == 0, diff = strncmp(e->text, "DATEDIFF", 8) == 0;
	int want = add || diff ? 3 : 2;
	struct xtype a, b;
	if (e->arg_count != want) {
		wrong_count(tr, e, want, want);
		return "NULL";
	}
	const char *part = date_part(tr, e->args[0]);
	if (add) {
		const char *number = argument(tr, e->args[1], 'b', &a);
		bool literal = e->args[2]->kind == E_STRING || e->args[2]->kind == E_NSTRING;
		const char *date = tr_expr(tr, e->args[2], &b);
		if (!xtype_is_date(b.type)) {
			struct xtype to = xtype_of(SQL_DATETIME, 0, 0, 3);
			date = tr_convert(tr, date, &b, &to, e->line);
			b = to;
		}
		(void)literal;
		*type = b;
		type->nullable = true;
		return arena_fmt(tr->arena, "t_dateadd('%s',%s,%s,%d,%d)", part, number, date, b.type, b.scale);
	}
	const char *first = argument(tr, e->args[1], 'd', &a);
	if (!diff) {
		bool name = strcmp(e->text, "DATENAME") == 0;
		*type = name ? text_type(tr, SQL_NVARCHAR, 30) : xtype_of(SQL_INT, 0, 0, 0);
		return arena_fmt(tr->arena, "%s('%s',%s)", name ? "t_datename" : "t_datepart", part, first);
	}
	const char *second = argument(tr, e->args[2], 'd', &b);
	*type = xtype_of(strcmp(e->text, "DATEDIFF_BIG") == 0 ? SQL_BIGINT : SQL_INT, 0, 0, 0);
	return arena_fmt(tr->arena, "t_datediff('%s',%s,%s,%d)", part, first, second, type->type);
}

/* --- which one --- */

static const char *special(struct tr *tr, const struct expr *e, struct xtype *type) {
	static const struct {
		const char *name;
		const char *(*call)(struct tr *tr, const struct expr *e, struct xtype *type);
	} all[] = {
		{ "ISNULL", is_null },
		{ "COALESCE", coalesce },
		{ "NULLIF", null_if },
		{ "IIF", iif },
		{ "CHOOSE", choose },
		{ "ABS", numeric },
		{ "CEILING", numeric },
		{ "FLOOR", numeric },
		{ "ROUND", numeric },
		{ "SIGN", numeric },
		{ "POWER", numeric },
		{ "DATEADD", date_call },
		{ "DATEDIFF", date_call },
		{ "DATEDIFF_BIG", date_call },
		{ "DATEPART", date_call },
		{ "DATENAME", date_call },
	};
	for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
		if (strcmp(all[i].name, e->text) == 0)
			return all[i].call(tr, e, type);
	return NULL;
}

const char *tr_call(struct tr *tr, const struct expr *e, struct xtype *type) {
	struct xtype types[256];
	*type = xtype_of(SQL_INT, 0, 0, 0);
	if (e->over)
		return tr_window(tr, e, type);
	if (tr_is_aggregate(e))
		return tr_aggregate(tr, e, type);
	const char *sql = special(tr, e, type);
	if (sql)
		return sql;
	for (size_t i = 0; i < sizeof functions / sizeof functions[0]; i++)
		if (strcmp(functions[i].name, e->text) == 0) {
			sql = call(tr, e, functions[i].sqlite, functions[i].arguments, types);
			if (tr_failed(tr))
				return "NULL";
			result_type(tr, functions[i].result, types, e->arg_count, type);
			if (functions[i].result == 'i' && strcmp(e->text, "CHARINDEX") == 0) {
				xtype_merge_collation(&types[0], &types[1]);
				return arena_fmt(tr->arena, "%s%s%s)", sql, e->arg_count < 3 ? ",1," : ",",
					tr_quote(tr, tr_collation(tr, &types[0], "charindex", e->line)));
			}
			if (strcmp(e->text, "REPLACE") == 0)
				return arena_fmt(
					tr->arena, "%s,%s)", sql, tr_quote(tr, tr_collation(tr, type, "replace", e->line)));
			if (strcmp(e->text, "DATALENGTH") == 0)
				return arena_fmt(tr->arena, "%s,%d,%d)", sql, types[0].type, types[0].precision);
			if (strcmp(e->text, "CONCAT") == 0 || strcmp(e->text, "CONCAT_WS") == 0)
				type->nullable = false;
			return arena_fmt(tr->arena, "%s)", sql);
		}
	const struct tr_function *f = session_function(e->text);
	if (!f || e->text[0] == '@') {
		sqlerror_set(tr->error, 195, e->line, "'%s' is not a recognized built-in function name.", e->text);
		return "NULL";
	}
	sql = call(tr, e, f->sqlite, f->arguments, types);
	*type = f->type;
	if (xtype_is_char(type->type) && !type->collation)
		type->collation = tr->collation;
	return tr_failed(tr) ? "NULL" : arena_fmt(tr->arena, "%s)", sql);
}
