/* Variables and the expressions of control flow: each is a small SQLite query over the bound variables.
 * Statements with result sets are in exec_query.c. */
#include "ecosystem/sandbox/sql/exec.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* --- variables --- */

struct variable *exec_variable(struct frame *frame, const char *name) {
	for (int i = 0; i < frame->variable_count; i++)
		if (strcasecmp(frame->variables[i].name, name) == 0)
			return &frame->variables[i];
	return NULL;
}

struct variable *exec_variable_add(struct session *s, struct frame *frame, const char *name, const struct xtype *type) {
	(void)s;
	if (frame->variable_count == frame->variable_cap) {
		frame->variable_cap = frame->variable_cap ? frame->variable_cap * 2 : 16;
		frame->variables = realloc(frame->variables, sizeof *frame->variables * (size_t)frame->variable_cap);
		if (!frame->variables)
			abort();
	}
	struct variable *v = &frame->variables[frame->variable_count++];
	*v = (struct variable){ .name = arena_dup(&frame->arena, name, strlen(name)), .type = *type, .slot = frame->variable_count };
	if (v->type.collation)
		v->type.collation = arena_dup(&frame->arena, type->collation, strlen(type->collation));
	return v;
}

void exec_variable_set(struct variable *v, sqlite3_value *value) {
	sqlite3_value_free(v->value);
	if (value && sqlite3_value_type(value) == SQLITE_NULL) {
		sqlite3_value_free(value);
		value = NULL;
	}
	v->value = value;
}

struct xtype exec_type(struct session *s, const struct type_spec *spec) {
	struct xtype type = xtype_of(spec->type, spec->length, spec->precision, spec->scale);
	if (xtype_is_char(spec->type)) {
		type.collation = catalog_current(s->catalog)->collation;
		type.label = LABEL_DEFAULT;
	}
	return type;
}

int exec_bind(struct session *s, sqlite3_stmt *stmt) {
	int count = sqlite3_bind_parameter_count(stmt);
	for (int i = 0; i < s->frame->variable_count && i < count; i++) {
		const struct variable *v = &s->frame->variables[i];
		int rc = v->value ? sqlite3_bind_value(stmt, v->slot, v->value) : sqlite3_bind_null(stmt, v->slot);
		if (rc != SQLITE_OK)
			return -1;
	}
	return 0;
}

/* --- what the translator asks --- */

static bool host_variable(void *arg, const char *name, struct tr_variable *out) {
	struct session *s = arg;
	const struct variable *v = exec_variable(s->frame, name);
	if (!v)
		return false;
	*out = (struct tr_variable){ .type = v->type, .slot = v->slot };
	return true;
}

static bool host_identity_insert(void *arg, const struct object *table) {
	const struct session *s = arg;
	return s->options.identity_insert == table->id;
}

struct tr_host exec_host(struct session *s) {
	return (struct tr_host){ .arg = s, .catalog = s->catalog, .variable = host_variable, .identity_insert = host_identity_insert };
}

/* --- expressions --- */

struct value_plan {
	const char *sql;
	struct xtype type;
	struct tr_result uses;
};

static struct value_plan *plan_of(struct session *s, struct expr *expr, const struct xtype *target, bool condition,
				  struct sqlerror *error) {
	if (expr->plan && expr->plan_version == catalog_version(s->catalog))
		return expr->plan;
	struct tr_host host = exec_host(s);
	struct value_plan *plan = arena_alloc(&s->frame->arena, sizeof *plan);
	if (condition)
		plan->sql = translate_condition(&s->frame->arena, &host, expr, &plan->uses, error);
	else
		plan->sql = translate_value(&s->frame->arena, &host, expr, target, &plan->type, &plan->uses, error);
	if (!plan->sql)
		return NULL;
	expr->plan = plan;
	expr->plan_version = catalog_version(s->catalog);
	return plan;
}

int exec_compile_value(struct session *s, struct expr *expr, const struct xtype *target, struct sqlerror *error) {
	return plan_of(s, expr, target, false, error) ? 0 : -1;
}

int exec_compile_condition(struct session *s, struct expr *expr, struct sqlerror *error) {
	return plan_of(s, expr, NULL, true, error) ? 0 : -1;
}

static enum flow run_value(struct session *s, const struct value_plan *plan, int line, sqlite3_value **out) {
	struct sqlerror error = { 0 };
	sqlite3_stmt *stmt = stmts_take(s->stmts, plan->sql);
	int rc = SQLITE_ERROR;
	*out = NULL;
	if (stmt && exec_bind(s, stmt) == 0)
		rc = sqlite3_step(stmt);
	if (rc == SQLITE_ROW && sqlite3_column_type(stmt, 0) != SQLITE_NULL)
		*out = sqlite3_value_dup(sqlite3_column_value(stmt, 0));
	if (rc != SQLITE_ROW && rc != SQLITE_DONE)
		exec_sqlite_error(s, line, &error);
	stmts_put(s->stmts, stmt);
	tran_end_read(s);
	if (error.number)
		return exec_cancelled(s) ? FLOW_GONE : exec_fail(s, &error);
	return FLOW_NEXT;
}

static enum flow evaluate(struct session *s, struct expr *expr, const struct xtype *target, bool condition, struct xtype *type,
			  sqlite3_value **out) {
	struct sqlerror error = { 0 };
	*out = NULL;
	struct value_plan *plan = plan_of(s, expr, target, condition, &error);
	if (!plan)
		return exec_fail(s, &error);
	if (type)
		*type = plan->type;
	if (plan->uses.use_count) {
		enum flow flow = exec_admit(s, &plan->uses, expr->line);
		if (flow != FLOW_NEXT)
			return flow;
		plan = plan_of(s, expr, target, condition, &error);
		if (!plan)
			return exec_fail(s, &error);
	}
	return run_value(s, plan, expr->line, out);
}

enum flow exec_value(struct session *s, struct expr *expr, const struct xtype *target, struct xtype *type, sqlite3_value **out) {
	return evaluate(s, expr, target, false, type, out);
}

enum flow exec_condition(struct session *s, struct expr *expr, bool *out) {
	sqlite3_value *value;
	enum flow flow = evaluate(s, expr, NULL, true, NULL, &value);
	*out = value && sqlite3_value_int(value) != 0;
	sqlite3_value_free(value);
	return flow;
}

enum flow exec_string(struct session *s, struct expr *expr, const char **out) {
	struct type_spec spec = { .type = SQL_NVARCHAR, .length = SQL_MAX_LENGTH };
	struct xtype type = exec_type(s, &spec);
	sqlite3_value *value;
	enum flow flow = exec_value(s, expr, &type, NULL, &value);
	*out = NULL;
	if (value)
		*out = arena_dup(&s->frame->arena, (const char *)sqlite3_value_text(value), (size_t)sqlite3_value_bytes(value));
	sqlite3_value_free(value);
	return flow;
}

/* --- statements --- */

enum flow exec_declare(struct session *s, struct stmt *stmt) {
	if (stmt->flag)
		return FLOW_NEXT; /* the table exists since the batch was compiled */
	for (int i = 0; i < stmt->def_count; i++) {
		struct column_def *d = &stmt->defs[i];
		struct variable *v = exec_variable(s->frame, d->name);
		sqlite3_value *value;
		if (!v || !d->default_expr)
			continue;
		struct xtype type = v->type;
		enum flow flow = exec_value(s, d->default_expr, &type, NULL, &value);
		if (flow != FLOW_NEXT)
			return flow;
		exec_variable_set(exec_variable(s->frame, d->name), value);
		s->rowcount = 1;
	}
	return FLOW_NEXT;
}

/* SET @x += e is SET @x = @x + e; built once, for loops. */
static struct expr *compound(struct session *s, struct stmt *stmt) {
	if (!stmt->text2[1])
		return stmt->expr;
	if (stmt->plan)
		return stmt->plan;
	struct expr *variable = arena_alloc(&s->frame->arena, sizeof *variable);
	struct expr *sum = arena_alloc(&s->frame->arena, sizeof *sum);
	variable->kind = E_VARIABLE;
	variable->text = stmt->text;
	variable->line = sum->line = stmt->line;
	sum->kind = E_BINARY_OP;
	sum->text = arena_dup(&s->frame->arena, stmt->text2, 1);
	sum->a = variable;
	sum->b = stmt->expr;
	stmt->plan = sum;
	return sum;
}

enum flow exec_set_variable(struct session *s, struct stmt *stmt) {
	struct variable *v = exec_variable(s->frame, stmt->text);
	sqlite3_value *value;
	if (!v)
		return exec_failf(s, stmt->line, 137, "Must declare the scalar variable \"%s\".", stmt->text);
	struct xtype type = v->type;
	enum flow flow = exec_value(s, compound(s, stmt), &type, NULL, &value);
	if (flow != FLOW_NEXT)
		return flow;
	exec_variable_set(exec_variable(s->frame, stmt->text), value);
	s->rowcount = 1;
	return FLOW_NEXT;
}
