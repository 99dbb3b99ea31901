/* INSERT: columns and values, defaults, identity; UPDATE and DELETE have their own files. */
#include "ecosystem/sandbox/sql/translate_internal.h"

#include "common/buf.h"

/* --- one row's columns --- */

static const char *given(struct tr *tr, const struct object *o, int column, const char *sql, const struct xtype *type, int line) {
	sql = tr_put(tr, sql, type, o, column, "INSERT", line);
	return o->columns[column].identity ? arena_fmt(tr->arena, "s_identity_given(%lld,%s)", (long long)o->id, sql) : sql;
}

/* What a column gets that is not named; NULL: nothing, it stays NULL. */
static const char *omitted(struct tr *tr, const struct object *o, int column, bool even_null, int line) {
	const struct column *c = &o->columns[column];
	struct xtype type = { .type = SQL_INT, .nullable = true, .null = true };
	if (c->computed_expr)
		return NULL;
	if (c->identity)
		return arena_fmt(tr->arena, "s_identity(%lld)", (long long)o->id);
	if (c->type.type == SQL_ROWVERSION)
		return "s_rowversion()";
	if (c->default_expr) {
		struct tr_scope *scope = tr->scope;
		tr->scope = NULL;
		const char *sql = tr_expr(tr, c->default_expr, &type);
		tr->scope = scope;
		return tr_put(tr, sql, &type, o, column, "INSERT", line);
	}
	if (c->nullable && !even_null)
		return NULL;
	return tr_put(tr, "NULL", &type, o, column, "INSERT", line);
}

struct row {
	const char *columns, *values; /* both comma separated */
};

static void add(struct tr *tr, struct row *row, const char *column, const char *value) {
	bool first = !*row->columns;
	row->columns = arena_fmt(tr->arena, "%s%s%s", row->columns, first ? "" : ",", column);
	row->values = arena_fmt(tr->arena, "%s%s%s", row->values, first ? "" : ",", value);
}

static bool listed(const int *columns, int count, int column) {
	for (int i = 0; i < count; i++)
		if (columns[i] == column)
			return true;
	return false;
}

static void add_omitted(struct tr *tr, const struct object *o, const int *columns, int count, struct row *row, int line) {
	for (int i = 0; i < o->column_count; i++) {
		const char *value = listed(columns, count, i) ? NULL : omitted(tr, o, i, false, line);
		if (value)
			add(tr, row, o->columns[i].sql, value);
	}
}

const char *tr_insert_into(struct tr *tr, const struct object *target, const int *columns, int count, const char *const *values,
	const struct xtype *types, int line) {
	struct row row = { "", "" };
	for (int i = 0; i < count; i++)
		add(tr, &row, target->columns[columns[i]].sql, given(tr, target, columns[i], values[i], &types[i], line));
	add_omitted(tr, target, columns, count, &row, line);
	return arena_fmt(tr->arena, "INSERT INTO %s(%s) VALUES(%s)", target->sql, row.columns, row.values);
}

/* --- the column list --- */

static bool identity_insert(const struct tr *tr, const struct object *o) {
	return tr->host->identity_insert && tr->host->identity_insert(tr->host->arg, o);
}

static void check_column(struct tr *tr, const struct object *o, const int *columns, int count, int column, int line) {
	const struct column *c = &o->columns[column];
	if (listed(columns, count, column))
		sqlerror_set(tr->error, 264, line,
			"The column name '%s' is specified more than once in the SET clause or column list of an INSERT. A "
			"column "
			"cannot be assigned more than one value in the same clause.",
			c->name);
	if (c->computed_expr)
		sqlerror_set(tr->error, 271, line,
			"The column \"%s\" cannot be modified because it is either a computed column or is the result of a UNION "
			"operator.",
			c->name);
	if (c->identity && !identity_insert(tr, o))
		sqlerror_set(tr->error, 544, line,
			"Cannot insert explicit value for identity column in table '%s' when IDENTITY_INSERT is set to OFF.",
			o->name);
}

static int *column_list(struct tr *tr, const struct stmt *s, const struct object *o, int *count) {
	int *columns = arena_alloc(tr->arena, sizeof *columns * (size_t)(s->column_count + o->column_count + 1));
	*count = 0;
	for (int i = 0; i < s->column_count; i++) {
		int column = catalog_column(o, s->columns[i]);
		if (column < 0)
			sqlerror_set(tr->error, 207, s->line, "Invalid column name '%s'.", s->columns[i]);
		else
			check_column(tr, o, columns, *count, column, s->line);
		if (tr_failed(tr))
			return columns;
		columns[(*count)++] = column;
	}
	for (int i = 0; !s->column_count && i < o->column_count; i++)
		if (!o->columns[i].computed_expr && !o->columns[i].identity)
			columns[(*count)++] = i;
	if (s->column_count && o->identity >= 0 && identity_insert(tr, o) && !listed(columns, *count, o->identity))
		sqlerror_set(tr->error, 545, s->line,
			"Explicit value must be specified for identity column in table '%s' either when IDENTITY_INSERT is set "
			"to "
			"ON or when a replication user is inserting into a NOT FOR REPLICATION identity column.",
			o->name);
	return columns;
}

static void wrong_count(struct tr *tr, const struct stmt *s, const struct object *o, int have, int want) {
	bool select = s->select != NULL;
	if (!s->column_count && have == want + 1 && o->identity >= 0)
		sqlerror_set(tr->error, 8101, s->line,
			"An explicit value for the identity column in table '%s' can only be specified when a column list is "
			"used "
			"and IDENTITY_INSERT is ON.",
			o->name);
	else if (!s->column_count)
		sqlerror_set(
			tr->error, 213, s->line, "Column name or number of supplied values does not match table definition.");
	else if (have < want)
		sqlerror_set(tr->error, select ? 120 : 109, s->line,
			select ? "The select list for the INSERT statement contains fewer items than the insert list. The number "
				 "of SELECT values must match the "
				 "number of INSERT columns."
			       : "There are more columns in the INSERT statement than values specified in the VALUES clause. The "
				 "number of values in the VALUES clause "
				 "must match the number of columns specified in the INSERT statement.");
	else
		sqlerror_set(tr->error, select ? 121 : 110, s->line,
			select ? "The select list for the INSERT statement contains more items than the insert list. The number "
				 "of SELECT values must match the number "
				 "of INSERT columns."
			       : "There are fewer columns in the INSERT statement than values specified in the VALUES clause. "
				 "The number of values in the VALUES clause "
				 "must match the number of columns specified in the INSERT statement.");
}

static void explicit_rowversion(struct tr *tr, int line) {
	sqlerror_set(tr->error, 273, line,
		"Cannot insert an explicit value into a timestamp column. Use INSERT with a column list to exclude the timestamp "
		"column, or insert a DEFAULT into the timestamp column.");
}

/* --- VALUES --- */

static const char *cell(struct tr *tr, const struct object *o, int column, const struct expr *e, int line) {
	struct xtype type;
	if (e->kind == E_DEFAULT) {
		const char *value = omitted(tr, o, column, true, line);
		return value ? value : "NULL";
	}
	if (column == o->rowversion)
		explicit_rowversion(tr, line);
	const char *sql = tr_expr(tr, e, &type);
	return given(tr, o, column, sql, &type, line);
}

static const char *values(struct tr *tr, const struct stmt *s, const struct object *o, const int *columns, int count) {
	const char *names = "";
	struct buf rows;
	buf_init(&rows, (size_t)1 << 28);
	for (int r = 0; r < s->row_count && !tr_failed(tr); r++) {
		struct row row = { "", "" };
		for (int i = 0; i < count; i++)
			add(tr, &row, o->columns[columns[i]].sql, cell(tr, o, columns[i], s->rows[r][i], s->line));
		add_omitted(tr, o, columns, count, &row, s->line);
		buf_addf(&rows, "%s(%s)", r ? "," : "", row.values);
		names = row.columns;
	}
	const char *sql = arena_fmt(tr->arena, "INSERT INTO %s(%s) VALUES%s", o->sql, names, buf_text(&rows));
	buf_release(&rows);
	return sql;
}

static const char *default_values(struct tr *tr, const struct stmt *s, const struct object *o) {
	struct row row = { "", "" };
	add_omitted(tr, o, NULL, 0, &row, s->line);
	if (!*row.columns)
		return arena_fmt(tr->arena, "INSERT INTO %s DEFAULT VALUES", o->sql);
	return arena_fmt(tr->arena, "INSERT INTO %s(%s) VALUES(%s)", o->sql, row.columns, row.values);
}

/* --- SELECT --- */

static const char *from_query(
	struct tr *tr, const struct stmt *s, const struct object *o, const int *columns, int count, struct tr_query *q) {
	struct row row = { "", "" };
	if (q->compound || !q->plain || q->ordered || q->limited)
		q = tr_wrapped(tr, q);
	for (int i = 0; i < count; i++) {
		if (columns[i] == o->rowversion)
			explicit_rowversion(tr, s->line);
		add(tr, &row, o->columns[columns[i]].sql,
			given(tr, o, columns[i], q->columns[i].sql, &q->columns[i].type, s->line));
	}
	add_omitted(tr, o, columns, count, &row, s->line);
	const char *limit = s->top ? arena_fmt(tr->arena, " LIMIT %s", tr_limit(tr, s->top)) : "";
	/* WHERE true keeps SQLite from reading ON as part of an upsert */
	const char *tail = *q->tail ? q->tail : " WHERE 1";
	return arena_fmt(tr->arena, "INSERT INTO %s(%s) %s%s%s%s%s%s", o->sql, row.columns, q->with, q->head, row.values, tail,
		q->order, limit);
}

/* --- the statement --- */

static struct tr_source *bare_source(struct tr *tr, const struct object *o, const char *exposed) {
	struct tr_scope *scope = tr_push_scope(tr);
	struct tr_source *source = tr_add_source(tr, exposed, true, NULL, o->column_count);
	for (int i = 0; i < o->column_count; i++)
		source->columns[i] = (struct tr_column){
			.name = o->columns[i].name, .sql = o->columns[i].sql, .type = xtype_of_column(&o->columns[i])
		};
	scope->sources.count = 0;
	return source;
}

int tr_insert(struct tr *tr, const struct stmt *s) {
	struct object *o = catalog_object(tr->host->catalog, &s->name, tr->error);
	int count = 0;
	const char *sql;
	if (!o)
		return -1;
	if (o->kind != O_TABLE)
		return sqlerror_set(tr->error, 4405, s->line,
			"View or function '%s' is not updatable because the modification affects multiple base tables.", o->name);
	tr->out->target = o;
	tr->out->command = 195;
	tr_use_object(tr, o, 'I');
	int *columns = column_list(tr, s, o, &count);
	if (tr_failed(tr))
		return -1;
	if (s->select) {
		struct tr_query *q = tr_select(tr, s->select, true);
		if (!tr_failed(tr) && q->column_count != count)
			wrong_count(tr, s, o, q->column_count, count);
		sql = tr_failed(tr) ? "" : from_query(tr, s, o, columns, count, q);
	} else if (s->rows) {
		if (s->row_width != count)
			wrong_count(tr, s, o, s->row_width, count);
		sql = tr_failed(tr) ? "" : values(tr, s, o, columns, count);
	} else {
		sql = default_values(tr, s, o);
	}
	if (tr_failed(tr))
		return -1;
	struct tr_source *inserted = bare_source(tr, o, "inserted");
	struct tr_output output;
	tr_output(tr, s, inserted, NULL, &output);
	const char *list = tr_failed(tr) ? "" : tr_output_targets(tr, s, &output, inserted, NULL);
	tr_pop_scope(tr);
	if (*list)
		tr_step(tr, TR_ROWS, true, arena_fmt(tr->arena, "%s RETURNING %s", sql, list));
	else
		tr_step(tr, TR_RUN, true, sql);
	return tr_failed(tr) ? -1 : 0;
}

int translate_insert_rows(struct arena *arena, const struct tr_host *host, const struct stmt *s,
	const struct sql_column *given_columns, int count, struct tr_result *out, struct sqlerror *error) {
	struct tr tr;
	int want = 0;
	*out = (struct tr_result){ .command = 195 };
	tr_init(&tr, arena, host, out, error);
	struct object *o = catalog_object(host->catalog, &s->name, error);
	if (!o)
		return -1;
	out->target = o;
	tr_use_object(&tr, o, 'I');
	int *columns = column_list(&tr, s, o, &want);
	if (!error->number && want != count)
		sqlerror_set(error, 213, s->line, "Column name or number of supplied values does not match table definition.");
	const char **values_list = arena_alloc(arena, sizeof *values_list * (size_t)(count + 1));
	struct xtype *types = arena_alloc(arena, sizeof *types * (size_t)(count + 1));
	for (int i = 0; i < count && !error->number; i++) {
		values_list[i] = arena_fmt(arena, "?%d", i + 1);
		types[i] = xtype_from_column(&given_columns[i], tr.collation);
		types[i].nullable = true;
		if (columns[i] == o->rowversion)
			explicit_rowversion(&tr, s->line);
	}
	if (!error->number)
		tr_feed(&tr, tr_insert_into(&tr, o, columns, count, values_list, types, s->line), 0, count);
	tr_finish(&tr);
	return error->number ? -1 : 0;
}
