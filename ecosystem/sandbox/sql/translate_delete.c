/* DELETE: SQLite's own with RETURNING when nothing but the table's row is told, else by way of the kept rows of
 * translate_update.c. */
#include "ecosystem/sandbox/sql/translate_update.h"

static void plain_delete(struct tr *tr, const struct stmt *s, struct tr_target *t) {
	struct tr_source *deleted = tr_rows_of(tr, t->object, "deleted", "");
	struct tr_output out;
	const char *where = t->where ? arena_fmt(tr->arena, " WHERE %s", t->where) : "";
	if (s->from || s->top) {
		const char *limit = s->top ? arena_fmt(tr->arena, " LIMIT %s", tr_limit(tr, s->top)) : "";
		where = arena_fmt(
			tr->arena, " WHERE rowid IN (SELECT %s.rowid FROM %s%s%s)", t->source->sql_alias, t->from, where, limit);
	}
	struct tr_scope *scope = tr->scope;
	tr_push_scope(tr);
	tr->scope->outer = NULL;
	tr_output(tr, s, NULL, deleted, &out);
	const char *list = tr_failed(tr) ? "" : tr_output_targets(tr, s, &out, NULL, deleted);
	tr->scope = scope;
	const char *alias = s->from || s->top ? "" : arena_fmt(tr->arena, " AS %s", t->source->sql_alias);
	if (*list)
		tr_step(tr, TR_ROWS, true,
			arena_fmt(tr->arena, "DELETE FROM %s%s%s RETURNING %s", t->object->sql, alias, where, list));
	else
		tr_step(tr, TR_RUN, true, arena_fmt(tr->arena, "DELETE FROM %s%s%s", t->object->sql, alias, where));
}

static void kept_delete(struct tr *tr, const struct stmt *s, struct tr_target *t) {
	struct tr_kept *kept = arena_alloc(tr->arena, sizeof *kept);
	struct tr_source *deleted = tr_rows_of(tr, t->object, "deleted", arena_fmt(tr->arena, "%s.", t->source->sql_alias));
	struct tr_output out;
	for (int i = 0; i < deleted->column_count; i++)
		deleted->columns[i].sql = tr_keep(tr, kept, deleted->columns[i].sql);
	tr_keep_sources(tr, kept, t->source);
	tr_output(tr, s, NULL, deleted, &out);
	const char *told = tr_failed(tr) ? "" : tr_output_targets(tr, s, &out, NULL, deleted), *table = tr_kept_table(tr, kept);
	tr_fill_kept(tr, s, t, kept);
	tr_step(tr, TR_RUN, true,
		arena_fmt(tr->arena, "DELETE FROM %s WHERE rowid IN (SELECT rid FROM %s)", t->object->sql, table));
	tr_step(tr, TR_ROWS, false, arena_fmt(tr->arena, "SELECT %s FROM %s AS u", told, table));
}

/* Does OUTPUT name anything but deleted? */
static bool beyond_deleted(const struct stmt *s) {
	if (!s->from || s->from->kind != F_JOIN)
		return false;
	for (int i = 0; i < s->output_count; i++) {
		const struct expr *e = s->output[i].expr;
		if ((e->kind != E_COLUMN && e->kind != E_STAR) || e->name.count < 1)
			return true;
		int qualifier = e->kind == E_STAR ? e->name.count - 1 : e->name.count - 2;
		if (qualifier < 0 || !tr_same_word(e->name.part[qualifier], "deleted"))
			return true;
	}
	return false;
}

int tr_delete(struct tr *tr, const struct stmt *s) {
	struct tr_target t;
	if (tr_target(tr, s, &t) < 0)
		return -1;
	tr->out->command = 196;
	tr_use_object(tr, t.object, 'D');
	if (beyond_deleted(s))
		kept_delete(tr, s, &t);
	else
		plain_delete(tr, s, &t);
	tr_pop_scope(tr);
	return tr_failed(tr) ? -1 : 0;
}
