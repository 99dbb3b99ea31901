/* OUTPUT: into the result, into a table, and the rows that triggers get. Steps and feeds of a result. */
#include "ecosystem/sandbox/sql/translate_internal.h"

#include "ecosystem/sandbox/sql/collation.h"

void tr_step(struct tr *tr, enum tr_step_kind kind, bool counts, const char *sql) {
	if (tr_failed(tr) || tr->out->step_count == TR_STEPS_MAX)
		return;
	tr->out->steps[tr->out->step_count++] = (struct tr_step){ .kind = kind, .sql = sql, .counts = counts };
}

void tr_feed(struct tr *tr, const char *sql, int first, int count) {
	if (tr_failed(tr) || tr->out->feed_count == TR_FEEDS_MAX)
		return;
	tr->out->feeds[tr->out->feed_count++] = (struct tr_feed){ .sql = sql, .first = first, .count = count, .into_first = 1 };
}

/* A scope in which only inserted and deleted (and what was there before) are seen. */
static void add_item(struct tr *tr, struct vec *list, const struct select_item *it) {
	struct xtype type;
	if (it->expr->kind == E_STAR) {
		tr_expand_star(tr, it->expr, list);
		return;
	}
	struct tr_column *c = arena_alloc(tr->arena, sizeof *c);
	c->sql = tr_expr(tr, it->expr, &type);
	c->type = type;
	c->name = it->alias;
	if (!c->name && it->expr->kind == E_COLUMN)
		c->name = it->expr->name.part[it->expr->name.count - 1];
	vec_add(tr->arena, list, c);
}

void tr_output(
	struct tr *tr, const struct stmt *stmt, struct tr_source *inserted, struct tr_source *deleted, struct tr_output *out) {
	struct vec list = { 0 };
	struct tr_scope *scope = tr->scope;
	struct vec before = { 0 };
	for (int i = 0; i < scope->sources.count; i++)
		vec_add(tr->arena, &before, scope->sources.at[i]);
	if (inserted)
		vec_add(tr->arena, &scope->sources, inserted);
	if (deleted)
		vec_add(tr->arena, &scope->sources, deleted);
	for (int i = 0; i < stmt->output_count && !tr_failed(tr); i++)
		add_item(tr, &list, &stmt->output[i]);
	scope->sources = before;
	out->columns = arena_alloc(tr->arena, sizeof *out->columns * (size_t)(list.count + 1));
	out->count = list.count;
	for (int i = 0; i < list.count; i++)
		out->columns[i] = *(struct tr_column *)list.at[i];
}

/* --- targets --- */

static void output_into(struct tr *tr, const struct stmt *stmt, const struct tr_output *output) {
	const struct object *target = catalog_object(tr->host->catalog, &stmt->output_into, tr->error);
	int *columns = arena_alloc(tr->arena, sizeof *columns * (size_t)(output->count + 1)), count = 0;
	const char **values = arena_alloc(tr->arena, sizeof *values * (size_t)(output->count + 1));
	struct xtype *types = arena_alloc(tr->arena, sizeof *types * (size_t)(output->count + 1));
	if (!target)
		return;
	if (target->insert_trigger)
		sqlerror_set(tr->error, 331, stmt->line,
			"The target table '%s' of the OUTPUT INTO clause cannot have any enabled triggers.", target->name);
	for (int i = 0; i < (stmt->output_column_count ? stmt->output_column_count : target->column_count); i++) {
		int column = stmt->output_column_count ? catalog_column(target, stmt->output_columns[i]) : i;
		if (column < 0) {
			sqlerror_set(tr->error, 207, stmt->line, "Invalid column name '%s'.", stmt->output_columns[i]);
			return;
		}
		bool computed = target->columns[column].computed_expr || target->columns[column].identity;
		if (!stmt->output_column_count && computed)
			continue;
		if (count < output->count)
			columns[count] = column;
		count++;
	}
	if (count != output->count) {
		sqlerror_set(
			tr->error, 213, stmt->line, "Column name or number of supplied values does not match table definition.");
		return;
	}
	for (int i = 0; i < count; i++) {
		values[i] = arena_fmt(tr->arena, "?%d", i + 1);
		types[i] = output->columns[i].type;
	}
	if (!target->temporary)
		tr_use_object(tr, target, 'I');
	tr_feed(tr, tr_insert_into(tr, target, columns, count, values, types, stmt->line), 0, count);
}

static void output_result(struct tr *tr, const struct stmt *stmt, const struct tr_output *output) {
	const struct object *o = tr->out->target;
	char event = tr->out->command == 195 ? 'I' : tr->out->command == 197 ? 'U' : 'D';
	if ((event == 'I' && o->insert_trigger) || (event == 'U' && o->update_trigger) || (event == 'D' && o->delete_trigger))
		sqlerror_set(tr->error, 334, stmt->line,
			"The target table '%s' of the DML statement cannot have any enabled triggers if the statement contains "
			"an OUTPUT clause without INTO clause.",
			o->name);
	if (output->count > SQL_MAX_COLUMNS)
		sqlerror_set(tr->error, 1056, stmt->line,
			"The number of elements in the select list exceeds the maximum allowed number of %d elements.",
			SQL_MAX_COLUMNS);
	tr->out->columns = arena_alloc(tr->arena, sizeof *tr->out->columns * (size_t)(output->count + 1));
	for (int i = 0; i < output->count; i++)
		tr->out->columns[i] = xtype_column(&output->columns[i].type, output->columns[i].name);
	tr->out->column_count = output->count;
}

static const char *capture(struct tr *tr, const struct object *into, const struct tr_source *rows, const char *list, int *count) {
	const char *columns = "", *marks = "";
	for (int i = 0; i < rows->column_count; i++) {
		list = arena_fmt(tr->arena, "%s%s%s", list, *list ? "," : "", rows->columns[i].sql);
		columns = arena_fmt(tr->arena, "%s%s%s", columns, i ? "," : "", into->columns[i].sql);
		marks = arena_fmt(tr->arena, "%s%s?%d", marks, i ? "," : "", i + 1);
	}
	tr_feed(tr, arena_fmt(tr->arena, "INSERT INTO %s(%s) VALUES(%s)", into->sql, columns, marks), *count, rows->column_count);
	*count += rows->column_count;
	return list;
}

const char *tr_output_targets(
	struct tr *tr, const struct stmt *stmt, struct tr_output *output, struct tr_source *inserted, struct tr_source *deleted) {
	const char *list = "";
	int count = output->count;
	for (int i = 0; i < count; i++)
		list = arena_fmt(tr->arena, "%s%s%s", list, i ? "," : "", output->columns[i].sql);
	if (stmt->output_into.count)
		output_into(tr, stmt, output);
	else if (count)
		output_result(tr, stmt, output);
	if (tr->host->capture_inserted && inserted)
		list = capture(tr, tr->host->capture_inserted, inserted, list, &count);
	if (tr->host->capture_deleted && deleted)
		list = capture(tr, tr->host->capture_deleted, deleted, list, &count);
	return list;
}
