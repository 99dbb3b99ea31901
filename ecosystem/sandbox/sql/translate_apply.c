/* CROSS APPLY and OUTER APPLY. SQLite has no correlated sources, so the forms that can be are rewritten: plain expressions, a joined
 * query, one row (TOP 1, aggregates) as scalar subqueries, VALUES as a numbered choice, OPENJSON and STRING_SPLIT as they are. */
#include "ecosystem/sandbox/sql/translate_internal.h"

#include <string.h>

static const char *joined(struct tr *tr, const char *left, const char *right, const char *on, bool outer) {
	if (outer)
		return arena_fmt(tr->arena, "%s LEFT JOIN %s ON %s", left, right, on ? on : "1");
	return on ? arena_fmt(tr->arena, "%s JOIN %s ON %s", left, right, on) : arena_fmt(tr->arena, "%s JOIN %s", left, right);
}

static struct tr_source *add(struct tr *tr, const struct from *f, const struct tr_query *q) {
	struct tr_source *source = tr_add_source(tr, f->alias, true, NULL, q->column_count);
	for (int i = 0; i < q->column_count; i++) {
		source->columns[i] = q->columns[i];
		if (i < f->column_alias_count)
			source->columns[i].name = f->column_alias[i];
		if (source->columns[i].type.label == LABEL_EXPLICIT)
			source->columns[i].type.label = LABEL_IMPLICIT;
	}
	return source;
}

/* (VALUES (a), (b)) v(x) */
static const char *values(struct tr *tr, const char *left, const struct from *f, bool outer) {
	int width = f->column_alias_count;
	struct expr **column = arena_alloc(tr->arena, sizeof *column * (size_t)(f->row_count + 1));
	const char **cells = arena_alloc(tr->arena, sizeof *cells * (size_t)(f->row_count + 1));
	const char *alias = arena_fmt(tr->arena, "s%d", ++tr->next), *rows = "";
	struct tr_query q = { .column_count = width };
	if (f->row_width != width) {
		sqlerror_set(tr->error, 8159, f->line, "'%s' has more columns than were specified in the column list.", f->alias);
		return "";
	}
	q.columns = arena_alloc(tr->arena, sizeof *q.columns * (size_t)(width + 1));
	for (int i = 0; i < width; i++) {
		for (int r = 0; r < f->row_count; r++)
			column[r] = f->rows[r][i];
		tr_choose(tr, column, f->row_count, &q.columns[i].type, cells);
		const char *sql = arena_fmt(tr->arena, "(CASE %s.column1", alias);
		for (int r = 0; r < f->row_count; r++)
			sql = arena_fmt(tr->arena, "%s WHEN %d THEN %s", sql, r, cells[r]);
		q.columns[i].sql = arena_fmt(tr->arena, "%s END)", sql);
	}
	for (int r = 0; r < f->row_count; r++)
		rows = arena_fmt(tr->arena, "%s%s(%d)", rows, r ? "," : "", r);
	add(tr, f, &q);
	return joined(tr, left, arena_fmt(tr->arena, "(VALUES %s) AS %s", rows, alias), NULL, outer);
}

/* At most one row: each column by itself. */
static const char *one_row(struct tr *tr, const char *left, const struct from *f, struct tr_query *q, bool outer) {
	const char *exists = q->grouped ? NULL : arena_fmt(tr->arena, "EXISTS(SELECT 1%s)", q->tail);
	for (int i = 0; i < q->column_count; i++) {
		q->columns[i].sql = arena_fmt(tr->arena, "(%s%s AS n%d%s%s)", q->head, q->columns[i].sql, i + 1, q->tail, q->order);
		q->columns[i].type.nullable = true;
	}
	add(tr, f, q);
	return outer || !exists ? left : joined(tr, left, arena_fmt(tr->arena, "(SELECT 1) AS s%d", ++tr->next), exists, false);
}

static bool is_reference(const char *sql) {
	return sql[strspn(sql, "abcdefghijklmnopqrstuvwxyz0123456789_.")] == '\0' && strchr(sql, '.');
}

static const char *merged(struct tr *tr, const char *left, const struct from *f, struct tr_query *q, bool outer) {
	const char *on = *q->where ? q->where + strlen(" WHERE ") : NULL;
	for (int i = 0; outer && i < q->column_count; i++) {
		q->columns[i].type.nullable = true;
		if (!is_reference(q->columns[i].sql)) {
			sqlerror_set(tr->error, 102, f->line, "Incorrect syntax near 'APPLY'.");
			return "";
		}
	}
	add(tr, f, q);
	bool several = strstr(q->from, " JOIN ") != NULL;
	return joined(tr, left, several ? arena_fmt(tr->arena, "(%s)", q->from) : q->from, on, outer);
}

static const char *derived(struct tr *tr, const char *left, const struct from *f, bool outer) {
	struct tr_query *q = tr_select(tr, f->sub, false);
	if (tr_failed(tr))
		return "";
	for (int i = 0; i < q->column_count; i++)
		if (!q->columns[i].name && i >= f->column_alias_count)
			sqlerror_set(tr->error, 8155, f->line, "No column name was specified for column %d of '%s'.", i + 1, f->alias);
	if (!q->correlated) {
		struct tr_query *w = tr_wrapped(tr, q);
		for (int i = 0; outer && i < w->column_count; i++)
			w->columns[i].type.nullable = true;
		add(tr, f, w);
		return joined(tr, left, w->tail + strlen(" FROM "), NULL, outer);
	}
	if (q->plain && !*q->from && !*q->where && !q->limited) {
		add(tr, f, q);
		return left;
	}
	if (q->single && !q->compound && !*q->with)
		return one_row(tr, left, f, q, outer);
	if (q->plain && !q->limited && !q->compound && !*q->with)
		return merged(tr, left, f, q, outer);
	sqlerror_set(tr->error, 102, f->line, "Incorrect syntax near 'APPLY'.");
	return "";
}

const char *tr_apply(struct tr *tr, const char *left, const struct from *f, bool outer) {
	int first = tr->scope->sources.count;
	const char *sql = "";
	if (tr_failed(tr))
		return sql;
	switch (f->kind) {
	case F_DERIVED:
		return derived(tr, left, f, outer);
	case F_VALUES:
		return values(tr, left, f, outer);
	case F_OPENJSON:
	case F_FUNCTION:
		sql = tr_free_source(tr, f);
		break;
	case F_TABLE:
	case F_JOIN:
		sql = tr_from(tr, f);
		break;
	}
	for (int i = first; outer && i < tr->scope->sources.count; i++) {
		struct tr_source *s = tr->scope->sources.at[i];
		for (int k = 0; k < s->column_count; k++)
			s->columns[k].type.nullable = true;
	}
	return joined(tr, left, sql, NULL, outer);
}
