/* FROM: tables, views and common table expressions expanded in place, derived tables, VALUES, OPENJSON, joins.
 * APPLY is in translate_apply.c. */
#include "ecosystem/sandbox/sql/translate_internal.h"

#include <stdio.h>
#include <string.h>
#include "ecosystem/sandbox/sql/collation.h"

#define VIEW_DEPTH_MAX 32

/* What changes while the text of a view or CTE is translated. */
struct place {
	struct tr_scope *scope;
	struct tr_cte *ctes;
	const struct object *within;
	const char *collation;
};

static struct place enter(struct tr *tr, struct tr_cte *ctes, const struct object *within) {
	struct place old = { tr->scope, tr->ctes, tr->within, tr->collation };
	tr->scope = NULL;
	tr->ctes = ctes;
	tr->within = within;
	if (within)
		tr->collation = within->database->collation;
	if (++tr->view_depth > VIEW_DEPTH_MAX)
		sqlerror_set(tr->error, 217, 1,
			     "Maximum stored procedure, function, trigger, or view nesting level exceeded (limit 32).");
	return old;
}

static void leave(struct tr *tr, const struct place *old) {
	tr->scope = old->scope;
	tr->ctes = old->ctes;
	tr->within = old->within;
	tr->collation = old->collation;
	tr->view_depth--;
}

/* --- tables --- */

struct tr_source *tr_table_source(struct tr *tr, const struct object *object, const char *alias) {
	struct tr_source *source = tr_add_source(tr, alias ? alias : object->name, alias != NULL, object, object->column_count);
	source->sql_alias = arena_fmt(tr->arena, "s%d", ++tr->next);
	for (int i = 0; i < object->column_count; i++) {
		const struct column *c = &object->columns[i];
		source->columns[i] = (struct tr_column){ .name = c->name, .type = xtype_of_column(c), .identity = c->identity,
							 .sql = arena_fmt(tr->arena, "%s.%s", source->sql_alias, c->sql) };
	}
	return source;
}

static void rename_columns(struct tr *tr, struct tr_query *q, const char **names, int count, const char *of, int line) {
	if (!count)
		return;
	if (count > q->column_count)
		sqlerror_set(tr->error, 8158, line, "'%s' has fewer columns than were specified in the column list.", of);
	else if (count < q->column_count)
		sqlerror_set(tr->error, 8159, line, "'%s' has more columns than were specified in the column list.", of);
	for (int i = 0; i < count && i < q->column_count; i++)
		q->columns[i].name = names[i];
}

static void check_names(struct tr *tr, const struct tr_query *q, const char *of, int line) {
	for (int i = 0; i < q->column_count; i++) {
		if (!q->columns[i].name || !q->columns[i].name[0]) {
			sqlerror_set(tr->error, 8155, line, "No column name was specified for column %d of '%s'.", i + 1, of);
			return;
		}
		for (int k = 0; k < i; k++)
			if (collation_same_name(q->columns[i].name, q->columns[k].name)) {
				sqlerror_set(tr->error, 8156, line, "The column '%s' was specified multiple times for '%s'.",
					     q->columns[i].name, of);
				return;
			}
	}
}

static void fill_source(struct tr *tr, struct tr_source *source, const struct tr_query *q) {
	for (int i = 0; i < q->column_count; i++) {
		source->columns[i] = q->columns[i];
		source->columns[i].sql = arena_fmt(tr->arena, "%s.n%d", source->sql_alias, i + 1);
		if (source->columns[i].type.label == LABEL_EXPLICIT)
			source->columns[i].type.label = LABEL_IMPLICIT;
	}
}

static const char *derived(struct tr *tr, struct tr_query *q, const char *exposed, bool aliased, const struct object *object,
                           const char **aliases, int alias_count, int line) {
	rename_columns(tr, q, aliases, alias_count, exposed, line);
	check_names(tr, q, exposed, line);
	struct tr_source *source = tr_add_source(tr, exposed, aliased, object, q->column_count);
	source->sql_alias = arena_fmt(tr->arena, "s%d", ++tr->next);
	fill_source(tr, source, q);
	return arena_fmt(tr->arena, "(%s) AS %s", tr_render(tr, q), source->sql_alias);
}

static const char *view(struct tr *tr, const struct object *object, const struct from *f) {
	struct place old = enter(tr, NULL, object);
	struct tr_query *q = tr_failed(tr) ? NULL : tr_select(tr, object->view, false);
	leave(tr, &old);
	if (tr_failed(tr))
		return "";
	rename_columns(tr, q, object->view_columns, object->view_column_count, object->name, f->line);
	return derived(tr, q, f->alias ? f->alias : object->name, f->alias != NULL, object, NULL, 0, f->line);
}

/* --- common table expressions --- */

static bool mentions(const struct from *f, const char *name) {
	if (!f)
		return false;
	if (f->kind == F_JOIN)
		return mentions(f->left, name) || mentions(f->right, name);
	return f->kind == F_TABLE && f->name.count == 1 && collation_same_name(f->name.part[0], name);
}

static bool is_recursive(const struct cte *c) {
	const struct select *s = c->select;
	return s->op == SET_UNION_ALL && s->right->op == SET_NONE && mentions(s->right->from, c->name);
}

static void check_recursive_types(struct tr *tr, const struct tr_query *anchor, const struct tr_query *part, const struct cte *c) {
	if (anchor->column_count != part->column_count) {
		sqlerror_set(tr->error, 205, c->select->line,
			     "All queries combined using a UNION, INTERSECT or EXCEPT operator must have an equal number of expressions in their target lists.");
		return;
	}
	for (int i = 0; i < anchor->column_count; i++) {
		const struct xtype *a = &anchor->columns[i].type, *b = &part->columns[i].type;
		bool exact = xtype_family(a->type) == FAMILY_EXACT;
		if (b->null || (a->type == b->type && a->length == b->length && (!exact || (a->precision == b->precision && a->scale == b->scale))))
			continue;
		sqlerror_set(tr->error, 240, c->select->line,
			     "Types don't match between the anchor and the recursive part in column \"%s\" of recursive query \"%s\".",
			     anchor->columns[i].name ? anchor->columns[i].name : "", c->name);
		return;
	}
}

static struct tr_query *recursive_query(struct tr *tr, struct tr_cte *cte) {
	const struct cte *c = cte->cte;
	struct tr_query *anchor = tr_select(tr, c->select->left, false);
	if (tr_failed(tr))
		return anchor;
	rename_columns(tr, anchor, c->columns, c->column_count, c->name, c->select->line);
	struct tr_cte *self = arena_alloc(tr->arena, sizeof *self);
	*self = (struct tr_cte){ .cte = c, .outer = cte->outer, .within = cte->within, .columns = anchor->columns,
				 .column_count = anchor->column_count, .recursive = arena_fmt(tr->arena, "r%d", ++tr->next) };
	tr->ctes = self;
	for (int i = 0; i < anchor->column_count; i++)
		anchor->columns[i].type.nullable = true;
	struct tr_query *part = tr_select(tr, c->select->right, false);
	if (tr_failed(tr))
		return anchor;
	check_recursive_types(tr, anchor, part, c);
	const char *names = "";
	for (int i = 0; i < anchor->column_count; i++)
		names = arena_fmt(tr->arena, "%s%sn%d", names, i ? "," : "", i + 1);
	struct tr_query *q = arena_alloc(tr->arena, sizeof *q);
	*q = *anchor;
	q->with = arena_fmt(tr->arena, "WITH RECURSIVE %s(%s) AS (%s UNION ALL %s) ", self->recursive, names, tr_render(tr, anchor),
			    tr_render(tr, part));
	q->head = "SELECT ";
	q->tail = arena_fmt(tr->arena, " FROM %s", self->recursive);
	q->order = "";
	q->columns = arena_alloc(tr->arena, sizeof *q->columns * (size_t)q->column_count);
	for (int i = 0; i < q->column_count; i++) {
		q->columns[i] = anchor->columns[i];
		q->columns[i].sql = arena_fmt(tr->arena, "%s.n%d", self->recursive, i + 1);
	}
	q->single = false;
	return q;
}

static const char *cte_reference(struct tr *tr, struct tr_cte *cte, const struct from *f) {
	const struct cte *c = cte->cte;
	const char *exposed = f->alias ? f->alias : c->name;
	if (cte->recursive) {
		struct tr_source *source = tr_add_source(tr, exposed, f->alias != NULL, NULL, cte->column_count);
		source->sql_alias = arena_fmt(tr->arena, "s%d", ++tr->next);
		fill_source(tr, source, &(struct tr_query){ .columns = cte->columns, .column_count = cte->column_count });
		return arena_fmt(tr->arena, "%s AS %s", cte->recursive, source->sql_alias);
	}
	struct place old = enter(tr, cte->outer, cte->within);
	struct tr_query *q = tr_failed(tr) ? NULL : is_recursive(c) ? recursive_query(tr, cte) : tr_select(tr, c->select, false);
	leave(tr, &old);
	if (tr_failed(tr))
		return "";
	rename_columns(tr, q, c->columns, c->column_count, c->name, f->line);
	return derived(tr, q, exposed, f->alias != NULL, NULL, NULL, 0, f->line);
}

static const char *table(struct tr *tr, const struct from *f) {
	if (f->name.count == 1)
		for (struct tr_cte *c = tr->ctes; c; c = c->outer)
			if (collation_same_name(c->cte->name, f->name.part[0]))
				return cte_reference(tr, c, f);
	struct object *object = tr->within ? catalog_object_from(tr->host->catalog, tr->within, &f->name, tr->error)
					   : catalog_object(tr->host->catalog, &f->name, tr->error);
	if (!object)
		return "";
	if (object->kind != O_TABLE && object->kind != O_VIEW && object->kind != O_SYSTEM) {
		sqlerror_set(tr->error, 208, f->line, "Invalid object name '%s'.", object->name);
		return "";
	}
	struct tr_use *use = tr_use_object(tr, object, 'S');
	use->nolock = f->nolock;
	use->update_lock = f->update_lock;
	use->hold_lock = f->hold_lock;
	if (object->kind == O_VIEW)
		return view(tr, object, f);
	struct tr_source *source = tr_table_source(tr, object, f->alias);
	return arena_fmt(tr->arena, "%s AS %s", object->sql, source->sql_alias);
}

/* --- other sources --- */

static const char *values(struct tr *tr, const struct from *f) {
	int width = f->row_width ? f->row_width : f->column_alias_count;
	struct xtype *types = arena_alloc(tr->arena, sizeof *types * (size_t)(width + 1));
	const char ***cells = arena_alloc(tr->arena, sizeof *cells * (size_t)(width + 1));
	struct expr **column = arena_alloc(tr->arena, sizeof *column * (size_t)(f->row_count + 1));
	if (f->column_alias_count != width) {
		sqlerror_set(tr->error, f->column_alias_count ? 8159 : 8155, f->line,
			     f->column_alias_count ? "'%s' has more columns than were specified in the column list."
						   : "No column name was specified for column 1 of '%s'.",
			     f->alias);
		return "";
	}
	for (int i = 0; i < width; i++) {
		cells[i] = arena_alloc(tr->arena, sizeof **cells * (size_t)(f->row_count + 1));
		for (int r = 0; r < f->row_count; r++)
			column[r] = f->rows[r][i];
		tr_choose(tr, column, f->row_count, &types[i], cells[i]);
	}
	const char *sql = "";
	for (int r = 0; r < f->row_count; r++) {
		const char *row = "";
		for (int i = 0; i < width; i++)
			row = arena_fmt(tr->arena, "%s%s%s", row, i ? "," : "", cells[i][r]);
		sql = arena_fmt(tr->arena, "%s%s(%s)", sql, r ? "," : "", row);
	}
	struct tr_source *source = tr_add_source(tr, f->alias, true, NULL, width);
	source->sql_alias = arena_fmt(tr->arena, "s%d", ++tr->next);
	for (int i = 0; i < width; i++)
		source->columns[i] = (struct tr_column){ .name = f->column_alias[i], .type = types[i],
							 .sql = arena_fmt(tr->arena, "%s.column%d", source->sql_alias, i + 1) };
	return arena_fmt(tr->arena, "(VALUES %s) AS %s", sql, source->sql_alias);
}

static const char *text_argument(struct tr *tr, const struct expr *e, struct xtype *type) {
	const char *sql = tr_expr(tr, e, type);
	if (type->null)
		return "NULL";
	if (!xtype_is_char(type->type)) {
		sqlerror_set(tr->error, 8116, e->line, "Argument data type %s is invalid for argument 1 of OPENJSON function.",
			     xtype_name(type->type));
		return "NULL";
	}
	return sql;
}

/* The WITH list as OPENJSON's module reads it: a line for each column, "type,length,precision,scale,json,path". */
static const char *json_spec(struct tr *tr, const struct from *f) {
	const char *spec = "";
	for (int i = 0; i < f->json_count; i++) {
		const struct json_column *c = &f->json_columns[i];
		const char *path = c->path;
		if (!path)
			path = arena_fmt(tr->arena, "$.\"%s\"", c->name);
		if (c->as_json && (c->type.type != SQL_NVARCHAR || c->type.length != SQL_MAX_LENGTH))
			sqlerror_set(tr->error, 13618, f->line,
				     "AS JSON option can be specified only for column of nvarchar(max) type in WITH clause.");
		spec = arena_fmt(tr->arena, "%s%d,%d,%d,%d,%d,%s\n", spec, c->type.type, c->type.length, c->type.precision, c->type.scale,
				 c->as_json, path);
	}
	return spec;
}

static void json_columns(struct tr *tr, const struct from *f, struct tr_source *source, const struct xtype *json) {
	static const char *const keys[] = { "key", "value", "type" };
	for (int i = 0; i < source->column_count; i++) {
		struct tr_column *c = &source->columns[i];
		c->sql = arena_fmt(tr->arena, "%s.c%d", source->sql_alias, i + 1);
		if (f->json_with) {
			const struct type_spec *t = &f->json_columns[i].type;
			c->name = f->json_columns[i].name;
			c->type = xtype_of(t->type, t->length, t->precision, t->scale);
		} else {
			c->name = keys[i];
			c->type = i == 0   ? xtype_of(SQL_NVARCHAR, 4000, 0, 0)
				  : i == 1 ? xtype_of(SQL_NVARCHAR, SQL_MAX_LENGTH, 0, 0)
					   : xtype_of(SQL_TINYINT, 0, 0, 0);
			c->type.nullable = i == 1;
		}
		if (!xtype_is_char(c->type.type))
			continue;
		c->type.label = LABEL_IMPLICIT;
		c->type.collation = !f->json_with && i == 0 ? "Latin1_General_BIN2" : !f->json_with && json->collation ? json->collation : tr->collation;
	}
}

static const char *openjson(struct tr *tr, const struct from *f) {
	struct xtype json, path;
	const char *text = text_argument(tr, f->json, &json);
	const char *at = f->json_path ? text_argument(tr, f->json_path, &path) : "'$'";
	const char *exposed = f->alias ? f->alias : "OPENJSON";
	struct tr_source *source = tr_add_source(tr, exposed, true, NULL, f->json_with ? f->json_count : 3);
	source->sql_alias = arena_fmt(tr->arena, "s%d", ++tr->next);
	json_columns(tr, f, source, &json);
	return arena_fmt(tr->arena, "t_openjson(%s,%s,%s) AS %s", text, at, f->json_with ? tr_quote(tr, json_spec(tr, f)) : "NULL",
			 source->sql_alias);
}

static const char *split(struct tr *tr, const struct from *f) {
	struct xtype text, separator;
	if (f->arg_count != 2 || !collation_same_name(f->name.part[f->name.count - 1], "STRING_SPLIT")) {
		sqlerror_set(tr->error, 208, f->line, "Invalid object name '%s'.", f->name.part[f->name.count - 1]);
		return "";
	}
	const char *a = tr_expr(tr, f->args[0], &text), *b = tr_expr(tr, f->args[1], &separator);
	if (!xtype_is_char(text.type) || !xtype_is_char(separator.type))
		sqlerror_set(tr->error, 8116, f->line, "Argument data type %s is invalid for argument %d of string_split function.",
			     xtype_name(xtype_is_char(text.type) ? separator.type : text.type), xtype_is_char(text.type) ? 2 : 1);
	struct tr_source *source = tr_add_source(tr, f->alias ? f->alias : "STRING_SPLIT", true, NULL, 1);
	source->sql_alias = arena_fmt(tr->arena, "s%d", ++tr->next);
	source->columns[0] = (struct tr_column){ .name = "value", .type = text, .sql = arena_fmt(tr->arena, "%s.c1", source->sql_alias) };
	return arena_fmt(tr->arena, "t_split(%s,%s) AS %s", a, b, source->sql_alias);
}

/* --- joins --- */

static void make_nullable(struct tr *tr, int first, int end) {
	for (int i = first; i < end; i++) {
		struct tr_source *s = tr->scope->sources.at[i];
		for (int k = 0; k < s->column_count; k++)
			s->columns[k].type.nullable = true;
	}
}

/* Only the sources of the two sides are seen by ON. */
static const char *on_clause(struct tr *tr, const struct expr *on, int first) {
	struct tr_scope *all = tr->scope, part = *all;
	part.sources.at += first;
	part.sources.count -= first;
	tr->scope = &part;
	bool old = part.no_aggregates;
	part.no_aggregates = true;
	const char *sql = tr_cond(tr, on);
	part.no_aggregates = old;
	tr->scope = all;
	return sql;
}

static const char *join(struct tr *tr, const struct from *f) {
	int first = tr->scope->sources.count;
	const char *left = tr_from(tr, f->left);
	int middle = tr->scope->sources.count;
	if (f->join == J_CROSS_APPLY || f->join == J_OUTER_APPLY)
		return tr_apply(tr, left, f->right, f->join == J_OUTER_APPLY);
	const char *right = tr_from(tr, f->right);
	if (tr_failed(tr))
		return "";
	if (f->right->kind == F_JOIN)
		right = arena_fmt(tr->arena, "(%s)", right);
	if (f->join == J_CROSS)
		return arena_fmt(tr->arena, "%s JOIN %s", left, right);
	const char *on = on_clause(tr, f->on, first);
	if (f->join == J_LEFT || f->join == J_FULL)
		make_nullable(tr, middle, tr->scope->sources.count);
	if (f->join == J_RIGHT || f->join == J_FULL)
		make_nullable(tr, first, middle);
	const char *word = f->join == J_LEFT ? "LEFT JOIN" : f->join == J_RIGHT ? "RIGHT JOIN" : f->join == J_FULL ? "FULL JOIN" : "JOIN";
	return arena_fmt(tr->arena, "%s %s %s ON %s", left, word, right, on);
}

static bool exposed_twice(const struct tr_source *a, const struct tr_source *b) {
	if (!collation_same_name(a->exposed, b->exposed))
		return false;
	if (a->aliased || b->aliased || !a->object || !b->object)
		return a->aliased == b->aliased || !a->object || !b->object;
	return a->object->database == b->object->database && collation_same_name(a->object->schema, b->object->schema);
}

static void check_exposed(struct tr *tr, int line) {
	const struct vec *all = &tr->scope->sources;
	for (int i = 1; i < all->count; i++)
		for (int k = 0; k < i; k++) {
			const struct tr_source *a = all->at[k], *b = all->at[i];
			if (!exposed_twice(a, b))
				continue;
			if (a->aliased || b->aliased)
				sqlerror_set(tr->error, 1011, line, "The correlation name '%s' is specified multiple times in a FROM clause.",
					     b->exposed);
			else
				sqlerror_set(tr->error, 1013, line,
					     "The objects \"%s\" and \"%s\" in the FROM clause have the same exposed names. Use correlation names to distinguish them.",
					     a->exposed, b->exposed);
		}
}

static const char *one_source(struct tr *tr, const struct from *f) {
	switch (f->kind) {
	case F_TABLE:
		return table(tr, f);
	case F_DERIVED:
	case F_VALUES:
	case F_OPENJSON:
	case F_FUNCTION:
		break;
	case F_JOIN:
		return join(tr, f);
	}
	/* nothing beside it is seen from inside */
	struct tr_scope *here = tr->scope;
	struct tr_scope around = { .outer = here->outer };
	tr->scope = here->outer;
	if (f->kind == F_DERIVED) {
		struct tr_query *q = tr_select(tr, f->sub, false);
		tr->scope = here;
		return tr_failed(tr) ? "" : derived(tr, q, f->alias, true, NULL, f->column_alias, f->column_alias_count, f->line);
	}
	tr->scope = &around;
	const char *sql = tr_free_source(tr, f);
	tr->scope = here;
	for (int i = 0; i < around.sources.count; i++)
		vec_add(tr->arena, &here->sources, around.sources.at[i]);
	return sql;
}

const char *tr_free_source(struct tr *tr, const struct from *f) {
	return f->kind == F_VALUES ? values(tr, f) : f->kind == F_OPENJSON ? openjson(tr, f) : split(tr, f);
}

const char *tr_from(struct tr *tr, const struct from *from) {
	if (tr_failed(tr))
		return "";
	const char *sql = one_source(tr, from);
	check_exposed(tr, from->line);
	return sql;
}
