/* Conversions between types, and arithmetic: which are allowed, and as which t_ function they are written. */
#include "ecosystem/sandbox/sql/translate_internal.h"

#include <string.h>
#include "ecosystem/sandbox/sql/decimal.h"

static bool fits(int have, int want) {
	return want == SQL_MAX_LENGTH || (have != SQL_MAX_LENGTH && have <= want);
}

/* Do all values of `from` stand in SQLite as values of `to` do? */
static bool same_form(const struct xtype *from, const struct xtype *to) {
	switch (xtype_family(to->type)) {
	case FAMILY_INTEGER:
		return xtype_is_integer(from->type) && (to->type == from->type || (to->type != SQL_BIT && xtype_precedence(to->type) > xtype_precedence(from->type)));
	case FAMILY_EXACT:
		return xtype_family(from->type) == FAMILY_EXACT && from->scale == to->scale && from->precision <= to->precision;
	case FAMILY_FLOAT:
		return xtype_family(from->type) == FAMILY_FLOAT && (to->type == SQL_FLOAT || from->type == SQL_REAL);
	case FAMILY_CHAR:
		if (!xtype_is_char(from->type) || (xtype_is_unicode(from->type) && !xtype_is_unicode(to->type)))
			return false;
		if (to->type == SQL_CHAR || to->type == SQL_NCHAR)
			return from->length == to->length && (from->type == SQL_CHAR || from->type == SQL_NCHAR);
		return fits(from->length, to->length);
	case FAMILY_BINARY:
		if (to->type == SQL_ROWVERSION || from->type == SQL_ROWVERSION)
			return from->type == to->type || (to->type == SQL_VARBINARY && fits(8, to->length));
		return xtype_family(from->type) == FAMILY_BINARY &&
		       (to->type == SQL_VARBINARY ? fits(from->length, to->length) : from->type == to->type && from->length == to->length);
	case FAMILY_DATE:
		return from->type == to->type && from->scale == to->scale;
	case FAMILY_GUID:
		return from->type == to->type;
	}
	return false;
}

/* Length or precision, and scale, as t_cast takes them. */
static int size_of(const struct xtype *t) {
	return xtype_family(t->type) == FAMILY_EXACT ? t->precision : t->length;
}

static const char *cast_text(struct tr *tr, const char *function, const char *sql, const struct xtype *from, const struct xtype *to,
                             const char *style) {
	return arena_fmt(tr->arena, "%s(%s,%d,%d,%d,%d%s%s)", function, sql, from->type, to->type, size_of(to), to->scale, style ? "," : "",
			 style ? style : "");
}

const char *tr_convert(struct tr *tr, const char *sql, const struct xtype *from, const struct xtype *to, int line) {
	if (from->null)
		return "NULL";
	if (same_form(from, to))
		return sql;
	if (!xtype_implicit(from->type, to->type)) {
		if (xtype_explicit(from->type, to->type))
			sqlerror_set(tr->error, 257, line,
				     "Implicit conversion from data type %s to %s is not allowed. Use the CONVERT function to run this query.",
				     xtype_name(from->type), xtype_name(to->type));
		else
			sqlerror_set(tr->error, 206, line, "Operand type clash: %s is incompatible with %s", xtype_name(from->type),
				     xtype_name(to->type));
		return "NULL";
	}
	return cast_text(tr, "t_cast", sql, from, to, NULL);
}

const char *tr_cast(struct tr *tr, const char *sql, const struct xtype *from, const struct xtype *to, const char *style, bool try_,
                    int line) {
	if (from->null)
		return "NULL";
	if (!style && same_form(from, to))
		return sql;
	if (!xtype_explicit(from->type, to->type)) {
		sqlerror_set(tr->error, 529, line, "Explicit conversion from data type %s to %s is not allowed.", xtype_name(from->type),
			     xtype_name(to->type));
		return "NULL";
	}
	return cast_text(tr, try_ ? "t_try_cast" : "t_cast", sql, from, to, style);
}

const char *tr_put(struct tr *tr, const char *sql, const struct xtype *from, const struct object *object, int column,
                   const char *verb, int line) {
	const struct column *c = &object->columns[column];
	struct xtype to = xtype_of_column(c);
	if (!from->null && !xtype_implicit(from->type, to.type) && from->type != to.type) {
		tr_convert(tr, sql, from, &to, line);
		return "NULL";
	}
	struct xtype wide = to;
	if (from->null ? to.nullable : (same_form(from, &wide) && (to.nullable || !from->nullable)))
		return sql;
	const char *table = object->temporary ? object->name
					      : arena_fmt(tr->arena, "%s.%s.%s", object->database->name, object->schema, object->name);
	return arena_fmt(tr->arena, "t_put(%s,%d,%d,%d,%d,%d,%s,%s,'%s')", from->null ? "NULL" : sql, from->null ? to.type : from->type,
			 to.type, size_of(&to), to.scale, to.nullable, tr_quote(tr, table), tr_quote(tr, c->name), verb);
}

/* --- arithmetic --- */

static const char *operator_name(char op) {
	switch (op) {
	case '+':
		return "add";
	case '-':
		return "subtract";
	case '*':
		return "multiply";
	case '/':
		return "divide";
	case '%':
		return "modulo";
	case '&':
		return "'&'";
	case '|':
		return "'|'";
	default:
		return "'^'";
	}
}

static const char *refuse(struct tr *tr, char op, const struct xtype *a, const struct xtype *b, int line) {
	sqlerror_set(tr->error, 402, line, "The data types %s and %s are incompatible in the %s operator.", xtype_name(a->type),
		     xtype_name(b->type), operator_name(op));
	return "NULL";
}

static const char *refuse_one(struct tr *tr, char op, const struct xtype *a, int line) {
	sqlerror_set(tr->error, 8117, line, "Operand data type %s is invalid for %s operator.", xtype_name(a->type), operator_name(op));
	return "NULL";
}

static void exact_size(const struct xtype *t, int *precision, int *scale) {
	*precision = t->precision;
	*scale = xtype_is_integer(t->type) ? 0 : t->scale;
}

static int longest(const struct xtype *t) {
	return xtype_family(t->type) == FAMILY_BINARY || !xtype_is_unicode(t->type) ? 8000 : 4000;
}

static const char *concatenate(struct tr *tr, const char *a, const struct xtype *a_type, const char *b, const struct xtype *b_type,
                               struct xtype *type, int line) {
	if (type->label == LABEL_NONE && xtype_is_char(type->type))
		tr_collation(tr, type, "add", line);
	bool unlimited = a_type->length == SQL_MAX_LENGTH || b_type->length == SQL_MAX_LENGTH;
	type->type = xtype_family(type->type) == FAMILY_BINARY ? SQL_VARBINARY
		     : xtype_is_unicode(type->type)	       ? SQL_NVARCHAR
							       : SQL_VARCHAR;
	type->length = unlimited ? SQL_MAX_LENGTH : a_type->length + b_type->length;
	type->nullable = a_type->nullable || b_type->nullable;
	const char *sql = type->type == SQL_VARBINARY ? arena_fmt(tr->arena, "t_join(%s,%s)", a, b) : arena_fmt(tr->arena, "(%s||%s)", a, b);
	if (unlimited || type->length <= longest(type))
		return sql;
	type->length = longest(type);
	return arena_fmt(tr->arena, "t_cut(%s,%d)", sql, type->length);
}

static const char *exact(struct tr *tr, char op, const char *a, const struct xtype *a_type, const char *b, const struct xtype *b_type,
                         struct xtype *type) {
	int p1, s1, p2, s2, p, s;
	exact_size(a_type, &p1, &s1);
	exact_size(b_type, &p2, &s2);
	if (type->type == SQL_MONEY) {
		p = 19;
		s = 4;
	} else {
		decimal_result_type(op, p1, s1, p2, s2, &p, &s);
	}
	type->precision = (uint8_t)p;
	type->scale = (uint8_t)s;
	return arena_fmt(tr->arena, "t_dec('%c',%s,%s,%d,%d,%d)", op, a, b, p, s, type->type);
}

/* datetime + 1 */
static const char *shift_date(struct tr *tr, char op, const char *a, const struct xtype *a_type, const char *b,
                              const struct xtype *b_type, struct xtype *type, int line) {
	struct xtype date = xtype_of(SQL_DATETIME, 0, 0, 0);
	bool allowed = (op == '+' || op == '-') && (type->type == SQL_DATETIME || type->type == SQL_SMALLDATETIME);
	if (!allowed) {
		if (xtype_is_date(a_type->type) && xtype_is_date(b_type->type))
			return a_type->type == b_type->type ? refuse_one(tr, op, a_type, line) : refuse(tr, op, a_type, b_type, line);
		const struct xtype *number = xtype_is_date(a_type->type) ? b_type : a_type;
		if (xtype_is_char(number->type))
			return refuse(tr, op, a_type, b_type, line);
		sqlerror_set(tr->error, 206, line, "Operand type clash: %s is incompatible with %s", xtype_name(b_type->type),
			     xtype_name(a_type->type));
		return "NULL";
	}
	enum sql_type kind = type->type;
	*type = date;
	type->type = kind;
	a = tr_convert(tr, a, a_type, &date, line);
	b = tr_convert(tr, b, b_type, &date, line);
	return arena_fmt(tr->arena, "t_date_sum(%s,%s,'%c',%d)", a, b, op, kind);
}

const char *tr_arithmetic(struct tr *tr, const char *op_text, const char *a, const struct xtype *a_type, const char *b,
                          const struct xtype *b_type, struct xtype *type, int line) {
	char op = op_text[0];
	bool bits = op == '&' || op == '|' || op == '^';
	*type = xtype_common(a_type, b_type);
	if (a_type->null && b_type->null) {
		*type = xtype_of(SQL_INT, 0, 0, 0);
		return "NULL";
	}
	enum xtype_family family = xtype_family(type->type);
	if (!a_type->null && !b_type->null && family == FAMILY_CHAR &&
	    (xtype_family(a_type->type) == FAMILY_BINARY || xtype_family(b_type->type) == FAMILY_BINARY))
		return refuse(tr, op, a_type, b_type, line);
	if (family == FAMILY_CHAR || (family == FAMILY_BINARY && type->type != SQL_ROWVERSION))
		return op == '+' ? concatenate(tr, a, a_type, b, b_type, type, line)
		       : a_type->type == b_type->type || a_type->null || b_type->null ? refuse_one(tr, op, type, line)
									      : refuse(tr, op, a_type, b_type, line);
	if (family == FAMILY_DATE)
		return shift_date(tr, op, a, a_type, b, b_type, type, line);
	if (family == FAMILY_GUID || family == FAMILY_BINARY)
		return a_type->type == b_type->type ? refuse_one(tr, op, a_type, line) : refuse(tr, op, a_type, b_type, line);
	if (!bits && a_type->type == SQL_BIT && b_type->type == SQL_BIT)
		return refuse(tr, op, a_type, b_type, line);
	if (bits && family != FAMILY_INTEGER)
		return refuse(tr, op, a_type, b_type, line);
	if (op == '%' && family == FAMILY_FLOAT)
		return refuse(tr, op, a_type, b_type, line);
	if (family == FAMILY_EXACT) {
		struct xtype x = *a_type, y = *b_type, d = *type;
		if (!xtype_is_integer(x.type) && xtype_family(x.type) != FAMILY_EXACT) {
			a = tr_convert(tr, a, &x, &d, line);
			x = d;
		}
		if (!xtype_is_integer(y.type) && xtype_family(y.type) != FAMILY_EXACT) {
			b = tr_convert(tr, b, &y, &d, line);
			y = d;
		}
		return exact(tr, op, a, &x, b, &y, type);
	}
	a = tr_convert(tr, a, a_type, type, line);
	b = tr_convert(tr, b, b_type, type, line);
	if (bits && op != '^')
		return arena_fmt(tr->arena, "(%s%c%s)", a, op, b);
	type->precision = xtype_of(type->type, 0, 0, 0).precision;
	return arena_fmt(tr->arena, "%s('%c',%s,%s,%d)", family == FAMILY_FLOAT ? "t_float" : "t_int", op, a, b, type->type);
}

const char *tr_negate(struct tr *tr, const char *sql, struct xtype *type, int line) {
	if (type->null)
		return "NULL";
	switch (xtype_family(type->type)) {
	case FAMILY_EXACT:
		return arena_fmt(tr->arena, "t_dec('-',0,%s,%d,%d,%d)", sql, type->precision, type->scale, type->type);
	case FAMILY_FLOAT:
		return arena_fmt(tr->arena, "(-%s)", sql);
	case FAMILY_INTEGER:
		if (type->type != SQL_BIT)
			return arena_fmt(tr->arena, "t_int('-',0,%s,%d)", sql, type->type == SQL_TINYINT ? SQL_SMALLINT : type->type);
		break;
	case FAMILY_CHAR:
	case FAMILY_BINARY:
	case FAMILY_DATE:
	case FAMILY_GUID:
		break;
	}
	sqlerror_set(tr->error, 8117, line, "Operand data type %s is invalid for minus operator.", xtype_name(type->type));
	return "NULL";
}
