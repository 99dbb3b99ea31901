/* Names: which source and column a name means (207, 209, 4104), what a star stands for, and when two expressions are the same. */
#include "ecosystem/sandbox/sql/translate_internal.h"

#include <string.h>
#include "ecosystem/sandbox/sql/collation.h"

struct tr_scope *tr_push_scope(struct tr *tr) {
	struct tr_scope *scope = arena_alloc(tr->arena, sizeof *scope);
	scope->outer = tr->scope;
	tr->scope = scope;
	return scope;
}

void tr_pop_scope(struct tr *tr) {
	tr->scope = tr->scope->outer;
}

struct tr_source *tr_add_source(struct tr *tr, const char *exposed, bool aliased, const struct object *object, int column_count) {
	struct tr_source *source = arena_alloc(tr->arena, sizeof *source);
	source->exposed = exposed;
	source->aliased = aliased;
	source->object = object;
	source->column_count = column_count;
	source->columns = arena_alloc(tr->arena, sizeof *source->columns * (size_t)(column_count + 1));
	vec_add(tr->arena, &tr->scope->sources, source);
	return source;
}

/* Does the qualifier name.part[0..parts) mean this source? */
bool tr_source_named(const struct tr_source *source, const struct name *name, int parts) {
	if (!collation_same_name(source->exposed, name->part[parts - 1]))
		return false;
	if (parts == 1)
		return true;
	if (source->aliased || !source->object)
		return false;
	if (name->part[parts - 2][0] && !collation_same_name(source->object->schema, name->part[parts - 2]))
		return false;
	return parts < 3 || collation_same_name(source->object->database->name, name->part[parts - 3]);
}

static struct tr_column *column_of(const struct tr_source *source, const char *name) {
	for (int i = 0; i < source->column_count; i++)
		if (source->columns[i].name && collation_same_name(source->columns[i].name, name))
			return &source->columns[i];
	return NULL;
}

static const char *full_name(struct tr *tr, const struct name *name) {
	const char *text = name->part[0];
	for (int i = 1; i < name->count; i++)
		text = arena_fmt(tr->arena, "%s.%s", text, name->part[i]);
	return text;
}

static struct tr_column *in_scope(struct tr *tr, struct tr_scope *scope, const struct name *name, struct tr_source **source,
                                  bool *qualifier_known) {
	struct tr_column *found = NULL;
	for (int i = 0; i < scope->sources.count; i++) {
		struct tr_source *s = scope->sources.at[i];
		if (name->count > 1 && !tr_source_named(s, name, name->count - 1))
			continue;
		*qualifier_known = *qualifier_known || name->count > 1;
		struct tr_column *c = column_of(s, name->part[name->count - 1]);
		if (!c)
			continue;
		if (found) {
			sqlerror_set(tr->error, 209, name->line, "Ambiguous column name '%s'.", name->part[name->count - 1]);
			return found;
		}
		found = c;
		*source = s;
	}
	return found;
}

struct tr_column *tr_resolve(struct tr *tr, const struct expr *e, struct tr_source **source, int *depth) {
	bool qualifier_known = false;
	*depth = 0;
	for (struct tr_scope *scope = tr->scope; scope; scope = scope->outer, ++*depth) {
		struct tr_column *c = in_scope(tr, scope, &e->name, source, &qualifier_known);
		if (c) {
			for (struct tr_scope *inner = tr->scope; inner != scope; inner = inner->outer)
				inner->correlated = true;
			return c;
		}
		if (qualifier_known)
			break;
	}
	if (e->name.count > 1 && !qualifier_known)
		sqlerror_set(tr->error, 4104, e->line, "The multi-part identifier \"%s\" could not be bound.", full_name(tr, &e->name));
	else
		sqlerror_set(tr->error, 207, e->line, "Invalid column name '%s'.", e->name.part[e->name.count - 1]);
	return NULL;
}

void tr_expand_star(struct tr *tr, const struct expr *star, struct vec *columns) {
	bool found = false;
	if (!tr->scope->sources.count)
		sqlerror_set(tr->error, 263, star->line, "Must specify table to select from.");
	for (int i = 0; i < tr->scope->sources.count; i++) {
		struct tr_source *s = tr->scope->sources.at[i];
		if (star->name.count && !tr_source_named(s, &star->name, star->name.count))
			continue;
		found = true;
		for (int k = 0; k < s->column_count; k++)
			vec_add(tr->arena, columns, &s->columns[k]);
	}
	if (!found && star->name.count)
		sqlerror_set(tr->error, 4104, star->line, "The multi-part identifier \"%s.*\" could not be bound.", full_name(tr, &star->name));
}

static bool same_text(const char *a, const char *b) {
	return a == b || (a && b && strcmp(a, b) == 0);
}

static bool same_column(struct tr *tr, const struct expr *a, const struct expr *b) {
	struct tr_source *s;
	int depth_a, depth_b;
	if (!collation_same_name(a->name.part[a->name.count - 1], b->name.part[b->name.count - 1]))
		return false;
	const struct tr_column *x = tr_resolve(tr, a, &s, &depth_a), *y = tr_resolve(tr, b, &s, &depth_b);
	return x && x == y;
}

bool tr_same_expr(struct tr *tr, const struct expr *a, const struct expr *b) {
	if (!a || !b)
		return a == b;
	if (a->kind != b->kind)
		return false;
	if (a->kind == E_COLUMN)
		return same_column(tr, a, b);
	if (a->sub || b->sub || a->over || b->over || a->kind == E_STAR)
		return a == b;
	if (!same_text(a->text, b->text) || a->arg_count != b->arg_count || a->negated != b->negated || a->distinct != b->distinct ||
	    a->star != b->star || a->try_ != b->try_ || a->type.type != b->type.type || a->type.length != b->type.length ||
	    a->type.precision != b->type.precision || a->type.scale != b->type.scale)
		return false;
	for (int i = 0; i < a->arg_count; i++)
		if (!tr_same_expr(tr, a->args[i], b->args[i]))
			return false;
	return tr_same_expr(tr, a->a, b->a) && tr_same_expr(tr, a->b, b->b) && tr_same_expr(tr, a->c, b->c);
}
