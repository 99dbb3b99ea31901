/* What stands inside CREATE TABLE, ALTER TABLE ADD, DECLARE @t TABLE and CREATE INDEX: columns, constraints, keys. */
#include "ecosystem/sandbox/sql/parser_internal.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

static struct constraint_def *new_constraint(struct parser *p, enum constraint_kind kind, const char *name) {
	struct constraint_def *c = arena_alloc(p->arena, sizeof *c);
	c->kind = kind;
	c->name = name;
	c->line = parser_peek(p, 0)->line;
	return c;
}

/* "(a ASC, b DESC)" */
static void key_columns(struct parser *p, struct constraint_def *c) {
	struct vec list = { 0 };
	bool *desc = arena_alloc(p->arena, sizeof *desc * (size_t)p->count);
	parser_expect(p, "(");
	do {
		vec_add(p->arena, &list, (void *)(uintptr_t)parser_ident(p));
		if (!parser_accept(p, "ASC"))
			desc[list.count - 1] = parser_accept(p, "DESC");
	} while (parser_accept(p, ","));
	parser_expect(p, ")");
	c->columns = parser_texts(p, &list);
	c->column_count = list.count;
	c->desc = desc;
}

/* WITH (a = b, ...) of keys and indexes: storage only, but for IGNORE_DUP_KEY, which would change results. */
static void storage_options(struct parser *p) {
	if (parser_is(p, "WITH") && parser_is_at(p, 1, "(")) {
		p->at += 2;
		do {
			bool refused = parser_is(p, "IGNORE_DUP_KEY") || parser_is(p, "DROP_EXISTING");
			parser_word(p);
			parser_expect(p, "=");
			if (refused && parser_is(p, "ON"))
				parser_fail(p);
			if (parser_peek(p, 0)->kind == T_INTEGER)
				p->at++;
			else
				parser_word(p);
		} while (parser_accept(p, ","));
		parser_expect(p, ")");
	}
	if (parser_is(p, "ON") && (parser_is_at(p, 1, "PRIMARY") || parser_peek(p, 1)->kind == T_QUOTED))
		p->at += 2;
}

static void clustering(struct parser *p, struct constraint_def *c) {
	c->clustered = parser_accept(p, "CLUSTERED");
	if (!c->clustered)
		c->nonclustered = parser_accept(p, "NONCLUSTERED");
}

static void referential(struct parser *p, struct constraint_def *c) {
	while (parser_accept(p, "ON")) {
		bool update = parser_accept(p, "UPDATE");
		if (!update)
			parser_expect(p, "DELETE");
		if (parser_accept(p, "CASCADE"))
			*(update ? &c->update_cascade : &c->cascade) = true;
		else if (!update && parser_accept2(p, "SET", "NULL"))
			c->set_null = true;
		else if (!parser_accept2(p, "NO", "ACTION"))
			parser_fail(p);
	}
}

static void references(struct parser *p, struct constraint_def *c) {
	parser_expect(p, "REFERENCES");
	c->ref = parser_name(p);
	if (parser_is(p, "("))
		c->ref_columns = parser_ident_list(p, &c->ref_count);
	referential(p, c);
}

static void check(struct parser *p, struct constraint_def *c) {
	parser_expect(p, "CHECK");
	int first = p->at;
	parser_expect(p, "(");
	c->expr = parser_cond(p);
	parser_expect(p, ")");
	c->text = parser_text_since(p, first);
}

static const char *constraint_name(struct parser *p) {
	return parser_accept(p, "CONSTRAINT") ? parser_ident(p) : NULL;
}

static bool starts_constraint(const struct parser *p) {
	return parser_is(p, "CONSTRAINT") || parser_is(p, "PRIMARY") || parser_is(p, "UNIQUE") || parser_is(p, "FOREIGN") ||
	       parser_is(p, "CHECK") || parser_is(p, "DEFAULT") || parser_is(p, "INDEX");
}

/* DEFAULT expr FOR column, as ALTER TABLE ADD writes it. */
static void default_for(struct parser *p, struct constraint_def *c) {
	p->at++;
	int first = p->at;
	c->expr = parser_expr(p);
	c->text = parser_text_since(p, first);
	parser_expect(p, "FOR");
	const char **column = arena_alloc(p->arena, sizeof *column);
	column[0] = parser_ident(p);
	c->columns = column;
	c->column_count = 1;
}

static struct constraint_def *table_constraint(struct parser *p) {
	struct constraint_def *c = new_constraint(p, C_CHECK, constraint_name(p));
	if (parser_accept2(p, "PRIMARY", "KEY") || parser_is(p, "UNIQUE")) {
		c->kind = parser_accept(p, "UNIQUE") ? C_UNIQUE : C_PRIMARY;
		clustering(p, c);
		key_columns(p, c);
		storage_options(p);
	} else if (parser_accept2(p, "FOREIGN", "KEY")) {
		c->kind = C_FOREIGN;
		c->columns = parser_ident_list(p, &c->column_count);
		references(p, c);
	} else if (parser_is(p, "DEFAULT")) {
		c->kind = C_DEFAULT;
		default_for(p, c);
	} else if (parser_accept(p, "INDEX")) {
		c->kind = C_INDEX;
		c->name = parser_ident(p);
		c->unique = parser_accept(p, "UNIQUE");
		clustering(p, c);
		key_columns(p, c);
	} else {
		check(p, c);
	}
	return c;
}

/* --- columns --- */

static void identity(struct parser *p, struct column_def *d) {
	d->identity = true;
	d->seed = d->step = 1;
	if (!parser_accept(p, "("))
		return;
	int64_t *values[] = { &d->seed, &d->step };
	for (int i = 0; i < 2; i++) {
		bool minus = parser_accept(p, "-");
		if (parser_peek(p, 0)->kind != T_INTEGER)
			parser_fail(p);
		else
			*values[i] = strtoll(p->tokens[p->at++].text, NULL, 10) * (minus ? -1 : 1);
		parser_expect(p, i ? ")" : ",");
	}
}

static bool key_option(struct parser *p, struct column_def *d, const char *name) {
	bool primary = parser_accept2(p, "PRIMARY", "KEY");
	if (!primary && !parser_accept(p, "UNIQUE"))
		return false;
	*(primary ? &d->primary : &d->unique) = true;
	d->key_name = name;
	if (primary) {
		if (d->null_said && d->nullable)
			sqlerror_set(p->error, 8147, d->line, "Could not create PRIMARY KEY on the nullable column '%.128s'.", d->name);
		d->nullable = false;
		d->null_said = true;
	}
	if (!parser_accept(p, "CLUSTERED"))
		d->nonclustered = parser_accept(p, "NONCLUSTERED");
	storage_options(p);
	return true;
}

static bool column_option(struct parser *p, struct column_def *d) {
	const char *name = constraint_name(p);
	if (parser_accept(p, "DEFAULT")) {
		int first = p->at;
		d->default_name = name;
		d->default_expr = parser_expr(p);
		d->default_text = parser_text_since(p, first);
		if (parser_accept2(p, "WITH", "VALUES"))
			d->with_values = true;
	} else if (key_option(p, d, name)) {
		return true;
	} else if (parser_is(p, "CHECK")) {
		d->check = new_constraint(p, C_CHECK, name);
		check(p, d->check);
	} else if (parser_is(p, "REFERENCES") || parser_accept2(p, "FOREIGN", "KEY")) {
		const char **column = arena_alloc(p->arena, sizeof *column);
		column[0] = d->name;
		d->reference = new_constraint(p, C_FOREIGN, name);
		d->reference->columns = column;
		d->reference->column_count = 1;
		references(p, d->reference);
	} else if (parser_accept(p, "IDENTITY")) {
		identity(p, d);
	} else if (parser_accept(p, "COLLATE")) {
		d->collation = parser_ident(p);
	} else if (parser_accept2(p, "NOT", "NULL") || parser_is(p, "NULL")) {
		d->nullable = parser_accept(p, "NULL");
		d->null_said = true;
	} else if (name) {
		parser_fail(p);
		return false;
	} else {
		return parser_accept(p, "ROWGUIDCOL");
	}
	return true;
}

static void computed(struct parser *p, struct column_def *d) {
	int first = p->at;
	d->computed_expr = parser_expr(p);
	d->computed_text = parser_text_since(p, first);
	if (parser_accept(p, "PERSISTED") && parser_accept2(p, "NOT", "NULL"))
		d->null_said = true;
	d->nullable = !d->null_said;
}

static struct column_def *column(struct parser *p) {
	struct column_def *d = arena_alloc(p->arena, sizeof *d);
	d->line = parser_peek(p, 0)->line;
	d->name = parser_is(p, "timestamp") ? "timestamp" : parser_ident(p);
	if (parser_accept(p, "timestamp"))
		d->type = (struct type_spec){ .type = SQL_ROWVERSION, .line = d->line };
	else if (parser_accept(p, "AS")) {
		computed(p, d);
		return d;
	} else {
		d->type = parser_type(p);
	}
	d->nullable = true;
	while (!parser_failed(p) && column_option(p, d))
		;
	if (d->identity || (d->type.type == SQL_ROWVERSION && !d->null_said))
		d->nullable = false;
	return d;
}

void parser_table_parts(struct parser *p, struct stmt *s) {
	struct vec columns = { 0 }, constraints = { 0 };
	do {
		if (parser_is(p, ")"))
			break; /* a comma after the last one is allowed */
		if (starts_constraint(p))
			vec_add(p->arena, &constraints, table_constraint(p));
		else
			vec_add(p->arena, &columns, column(p));
		/* a constraint may follow its column without a comma */
	} while (parser_accept(p, ",") || (!parser_failed(p) && starts_constraint(p)));
	s->def_count = columns.count;
	s->defs = parser_flatten(p, &columns, sizeof *s->defs);
	s->constraint_count = constraints.count;
	s->constraints = parser_flatten(p, &constraints, sizeof *s->constraints);
}

void parser_table_body(struct parser *p, struct stmt *s) {
	parser_expect(p, "(");
	parser_table_parts(p, s);
	parser_expect(p, ")");
	if (s->def_count == 0)
		parser_fail(p);
	storage_options(p);
	if (parser_accept(p, "TEXTIMAGE_ON"))
		parser_word(p);
}

/* CREATE [UNIQUE] [CLUSTERED] INDEX: one constraint with what the statement says. */
struct stmt *parser_index(struct parser *p, struct stmt *s) {
	struct constraint_def *c = new_constraint(p, C_INDEX, NULL);
	s->kind = S_CREATE_INDEX;
	s->constraints = c;
	s->constraint_count = 1;
	c->unique = parser_accept(p, "UNIQUE");
	clustering(p, c);
	parser_expect(p, "INDEX");
	c->name = parser_ident(p);
	parser_expect(p, "ON");
	s->name = parser_name(p);
	key_columns(p, c);
	if (parser_accept(p, "INCLUDE"))
		c->ref_columns = parser_ident_list(p, &c->ref_count);
	if (parser_accept(p, "WHERE")) {
		int first = p->at;
		c->expr = parser_cond(p);
		c->text = parser_text_since(p, first);
	}
	storage_options(p);
	return s;
}
