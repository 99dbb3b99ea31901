/* EXEC: arguments, user procedures, EXEC('text'), AFTER triggers. The server's own procedures are in procs_system.c. */
#include "ecosystem/sandbox/sql/procs.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include "ecosystem/sandbox/sql/parser.h"

/* --- arguments --- */

static enum flow evaluate(struct call *call) {
	for (int i = 0; i < call->stmt->exec_count; i++) {
		const struct exec_arg *a = &call->stmt->exec[i];
		struct call_argument *out = &call->arguments[call->count++];
		out->name = a->name;
		out->is_default = a->expr->kind == E_DEFAULT;
		if (out->is_default)
			continue;
		if (a->output && a->expr->kind == E_VARIABLE)
			out->output_name = a->expr->text;
		enum flow flow = exec_value(call->s, a->expr, NULL, &out->type, &out->value);
		if (flow != FLOW_NEXT)
			return flow;
	}
	return FLOW_NEXT;
}

static const struct call_argument *argument(const struct call *call, const char *name, int position) {
	for (int i = 0; i < call->count; i++)
		if (call->arguments[i].name && strcasecmp(call->arguments[i].name + 1, name) == 0)
			return &call->arguments[i];
	return position >= 0 && position < call->count && !call->arguments[position].name ? &call->arguments[position] : NULL;
}

const char *call_text(const struct call *call, const char *name, int position) {
	const struct call_argument *a = argument(call, name, position);
	return a && a->value ? (const char *)sqlite3_value_text(a->value) : NULL;
}

void call_output(const struct call *call, const char *name, int position, sqlite3_value *value) {
	const struct call_argument *a = argument(call, name, position);
	struct variable *v = a && a->output_name ? exec_variable(call->s->frame, a->output_name) : NULL;
	if (v)
		exec_variable_set(v, value ? sqlite3_value_dup(value) : NULL);
}

static void release(struct call *call) {
	for (int i = 0; i < call->count; i++)
		sqlite3_value_free(call->arguments[i].value);
	free(call->arguments);
}

/* --- parameters --- */

/* Converts a value to the parameter's type as an assignment: through a variable of the value's own type. */
static enum flow convert(struct session *s, const struct call_argument *a, const struct xtype *target, sqlite3_value **out) {
	struct frame *frame = s->frame;
	int slot = frame->variable_count;
	struct expr *e = arena_alloc(&frame->arena, sizeof *e);
	struct xtype type = a->type;
	struct variable *v = exec_variable_add(s, frame, "@ argument", &type);
	exec_variable_set(v, a->value ? sqlite3_value_dup(a->value) : NULL);
	e->kind = E_VARIABLE;
	e->text = "@ argument";
	e->line = 1;
	enum flow flow = exec_value(s, e, target, NULL, out);
	sqlite3_value_free(frame->variables[slot].value);
	frame->variable_count = slot;
	return flow;
}

static const char *procedure_name(const struct call *call) {
	return call->stmt->name.count ? call->stmt->name.part[call->stmt->name.count - 1] : "sp_executesql";
}

struct parameter_list {
	struct column_def *defs;
	int count;
};

static enum flow check_arguments(const struct call *call, const struct parameter_list *list, int first) {
	const char *name = procedure_name(call);
	if (call->count - first > list->count)
		return exec_failf(
			call->s, call->stmt->line, 8144, "Procedure or function %s has too many arguments specified.", name);
	bool named = false;
	for (int i = first; i < call->count; i++) {
		const struct call_argument *a = &call->arguments[i];
		bool known = !a->name;
		named |= a->name != NULL;
		if (!a->name && named)
			return exec_failf(call->s, call->stmt->line, 119,
				"Must pass parameter number %d and subsequent parameters as '@name = value'. After the "
				"form '@name = value' has been used, all subsequent parameters must be passed in the form '@name "
				"= value'.",
				i - first + 1);
		for (int k = 0; k < list->count && !known; k++)
			known = strcasecmp(list->defs[k].name, a->name) == 0;
		if (!known)
			return exec_failf(
				call->s, call->stmt->line, 8145, "%s is not a parameter for procedure %s.", a->name, name);
	}
	return FLOW_NEXT;
}

/* The frame is the callee's already; values come from the call. */
static enum flow bind_parameters(const struct call *call, const struct parameter_list *list, int first, bool prepared) {
	struct session *s = call->s;
	enum flow flow = check_arguments(call, list, first);
	for (int i = 0; i < list->count && flow == FLOW_NEXT; i++) {
		struct column_def *def = &list->defs[i];
		struct xtype type = exec_type(s, &def->type);
		const struct call_argument *a = argument(call, def->name + 1, -1);
		sqlite3_value *value = NULL;
		if (!a && first + i < call->count && !call->arguments[first + i].name)
			a = &call->arguments[first + i];
		if (a && !a->is_default)
			flow = convert(s, a, &type, &value);
		else if (def->default_expr)
			flow = exec_value(s, def->default_expr, &type, NULL, &value);
		else if (prepared)
			flow = exec_failf(s, call->stmt->line, 8178,
				"The parameterized query '' expects the parameter '%s', which was not supplied.", def->name);
		else
			flow = exec_failf(s, call->stmt->line, 201,
				"Procedure or function '%s' expects parameter '%s', which was not supplied.",
				procedure_name(call), def->name);
		if (flow != FLOW_NEXT)
			break;
		struct variable *v = exec_variable_add(s, s->frame, def->name, &type);
		v->output = def->output;
		exec_variable_set(v, value);
	}
	return flow;
}

/* OUTPUT parameters back into the caller's variables; converted to their types. */
static enum flow give_back(const struct call *call, const struct parameter_list *list, int first, const struct frame *callee,
	struct call_argument *values) {
	enum flow flow = FLOW_NEXT;
	(void)callee;
	for (int i = 0; i < list->count && flow == FLOW_NEXT; i++) {
		const struct call_argument *a = argument(call, list->defs[i].name + 1, -1);
		if (!a && first + i < call->count && !call->arguments[first + i].name)
			a = &call->arguments[first + i];
		struct variable *v =
			a && a->output_name && list->defs[i].output ? exec_variable(call->s->frame, a->output_name) : NULL;
		sqlite3_value *value = NULL;
		if (!v)
			continue;
		struct xtype type = v->type;
		flow = convert(call->s, &values[i], &type, &value);
		if (flow == FLOW_NEXT)
			exec_variable_set(exec_variable(call->s->frame, a->output_name), value);
	}
	return flow;
}

/* --- running a text in a frame of its own --- */

/* An error that leaves the scope ends here; one that leaves the batch goes on. */
static enum flow leave(struct session *s, enum flow flow) {
	if (flow == FLOW_RETURN)
		return FLOW_NEXT;
	if (flow == FLOW_ERROR && s->error.number == 0 && s->reach == REACH_SCOPE)
		return FLOW_FAILED;
	return flow == FLOW_BREAK || flow == FLOW_CONTINUE ? FLOW_NEXT : flow;
}

static struct call_argument *take_values(struct session *s, const struct frame *frame, const struct parameter_list *list) {
	struct call_argument *values = calloc((size_t)list->count + 1, sizeof *values);
	if (!values)
		abort();
	for (int i = 0; i < list->count && i < frame->variable_count; i++) {
		values[i].type = frame->variables[i].type;
		if (values[i].type.collation)
			values[i].type.collation = catalog_current(s->catalog)->collation;
		values[i].value = frame->variables[i].value ? sqlite3_value_dup(frame->variables[i].value) : NULL;
	}
	return values;
}

static enum flow after_call(struct session *s, const struct call *call, int trancount, enum flow flow) {
	if (flow == FLOW_NEXT && s->trancount != trancount && !s->insert_exec)
		return exec_failf(s, call->stmt->line, 266,
			"Transaction count after EXECUTE indicates a mismatching number of BEGIN and COMMIT statements. "
			"Previous count = %d, current count = %d.",
			trancount, s->trancount);
	return flow;
}

enum flow procs_run_text(struct session *s, const char *sql, const char *parameters, const struct call *call, int first) {
	struct frame frame;
	struct sqlerror error = { 0 };
	struct parameter_list list = { 0 };
	int trancount = s->trancount;
	exec_frame_init(s, &frame);
	enum flow flow = FLOW_NEXT;
	if (parser_parameters(&frame.arena, parameters ? parameters : "", &list.defs, &list.count, &error) < 0)
		flow = exec_fail(s, &error);
	if (flow == FLOW_NEXT)
		flow = bind_parameters(call, &list, first, true);
	if (flow == FLOW_NEXT)
		flow = leave(s, exec_text(s, &frame, sql, strlen(sql)));
	struct call_argument *values = take_values(s, &frame, &list);
	int database = frame.database;
	struct arena kept = frame.arena; /* the parameter list lives there */
	frame.arena = (struct arena){ 0 };
	exec_frame_release(s, &frame);
	if (catalog_current(s->catalog)->id != database)
		catalog_switch(s->catalog, database);
	if (flow == FLOW_NEXT)
		flow = give_back(call, &list, first, &frame, values);
	for (int i = 0; i < list.count; i++)
		sqlite3_value_free(values[i].value);
	free(values);
	arena_release(&kept);
	return after_call(s, call, trancount, flow);
}

static enum flow run_procedure(struct call *call, const struct object *proc) {
	struct session *s = call->s;
	struct frame frame;
	struct sqlerror error = { 0 };
	struct stmt *stmt = NULL;
	int trancount = s->trancount, database = catalog_current(s->catalog)->id;
	const char *text = arena_dup(&s->frame->arena, proc->text, strlen(proc->text));
	char name[129];
	snprintf(name, sizeof name, "%s", proc->name);
	int64_t id = proc->id;
	int home = proc->database->id;
	exec_frame_init(s, &frame);
	frame.procedure = name;
	frame.object = id;
	enum flow flow = FLOW_NEXT;
	struct parameter_list list = { 0 };
	if (frame.nest > NEST_MAX)
		flow = exec_failf(s, call->stmt->line, 217,
			"Maximum stored procedure, function, trigger, or view nesting level exceeded (limit %d).", NEST_MAX);
	else if (parser_batch(&frame.arena, text, strlen(text), &stmt, &error) < 0 || !stmt)
		flow = exec_fail(s, &error);
	if (flow == FLOW_NEXT) {
		list = (struct parameter_list){ .defs = stmt->defs, .count = stmt->def_count };
		flow = bind_parameters(call, &list, 0, false);
	}
	catalog_switch(s->catalog, home);
	bool nocount = s->options.nocount, xact_abort = s->options.xact_abort;
	if (flow == FLOW_NEXT) {
		if (exec_compile(s, stmt->body, &error) < 0)
			flow = leave(s, exec_fail_scope(s, &error));
		else
			flow = leave(s, exec_list(s, stmt->body));
	}
	s->options.nocount = nocount;
	s->options.xact_abort = xact_abort;
	call->status = frame.return_value;
	catalog_switch(s->catalog, database);
	struct call_argument *values = take_values(s, &frame, &list);
	struct arena kept = frame.arena;
	frame.arena = (struct arena){ 0 };
	exec_frame_release(s, &frame);
	if (flow == FLOW_NEXT)
		flow = give_back(call, &list, 0, &frame, values);
	for (int i = 0; i < list.count; i++)
		sqlite3_value_free(values[i].value);
	free(values);
	arena_release(&kept);
	return after_call(s, call, trancount, flow);
}

/* --- EXEC --- */

static enum flow call_procedure(struct call *call) {
	struct session *s = call->s;
	struct sqlerror error = { 0 };
	enum flow flow = FLOW_NEXT;
	const char *name = procedure_name(call), *full = "";
	const struct object *proc = catalog_module(s->catalog, &call->stmt->name, O_PROCEDURE);
	if (!proc && procs_system(call, name, &flow))
		return flow;
	if (!proc) {
		for (int i = 0; i < call->stmt->name.count; i++)
			full = arena_fmt(&s->frame->arena, "%s%s%s", full, i ? "." : "", call->stmt->name.part[i]);
		return exec_failf(s, call->stmt->line, 2812, "Could not find stored procedure '%s'.", full);
	}
	if (security_check(s, proc, 'E', &error) < 0)
		return exec_fail(s, &error);
	return run_procedure(call, proc);
}

static void set_status(struct call *call) {
	struct variable *v = call->stmt->text ? exec_variable(call->s->frame, call->stmt->text) : NULL;
	sqlite3_stmt *stmt = v ? stmts_take(call->s->stmts, "SELECT ?1") : NULL;
	if (!stmt)
		return;
	sqlite3_bind_int(stmt, 1, call->status);
	if (sqlite3_step(stmt) == SQLITE_ROW)
		exec_variable_set(v, sqlite3_value_dup(sqlite3_column_value(stmt, 0)));
	stmts_put(call->s->stmts, stmt);
}

enum flow procs_execute(struct session *s, const struct stmt *stmt) {
	struct call call = { .s = s, .stmt = stmt };
	if (stmt->text && !exec_variable(s->frame, stmt->text))
		return exec_failf(s, stmt->line, 137, "Must declare the scalar variable \"%s\".", stmt->text);
	call.arguments = calloc((size_t)stmt->exec_count + 1, sizeof *call.arguments);
	if (!call.arguments)
		abort();
	enum flow flow = evaluate(&call);
	if (flow == FLOW_NEXT)
		flow = call_procedure(&call);
	if (flow == FLOW_NEXT)
		set_status(&call);
	release(&call);
	return flow;
}

enum flow procs_execute_text(struct session *s, const struct stmt *stmt) {
	const char *text;
	struct call none = { .s = s, .stmt = stmt };
	enum flow flow = exec_string(s, stmt->expr, &text);
	if (flow != FLOW_NEXT)
		return flow;
	return procs_run_text(s, text ? text : "", NULL, &none, 0);
}

/* --- triggers --- */

static enum flow run_trigger(struct session *s, const char *text, const char *name, const struct object *table,
	const struct object *inserted, const struct object *deleted) {
	struct frame frame;
	struct sqlerror error = { 0 };
	struct stmt *stmt = NULL;
	int database = catalog_current(s->catalog)->id;
	int64_t rowcount = s->rowcount;
	bool nocount = s->options.nocount, xact_abort = s->options.xact_abort;
	exec_frame_init(s, &frame);
	frame.procedure = name;
	frame.trigger = true;
	catalog_switch(s->catalog, table->database->id);
	s->trigger_depth++;
	struct object *rows[2] = { NULL, NULL };
	const struct object *from[2] = { inserted, deleted };
	for (int i = 0; i < 2; i++) {
		struct arena arena = { 0 };
		struct object copy = *from[i];
		copy.name = i ? "deleted" : "inserted";
		rows[i] = catalog_add_temporary(s->catalog, &copy, &arena, &frame);
	}
	enum flow flow;
	if (frame.nest > NEST_MAX)
		flow = exec_failf(s, 1, 217,
			"Maximum stored procedure, function, trigger, or view nesting level exceeded (limit %d).", NEST_MAX);
	else if (parser_batch(&frame.arena, text, strlen(text), &stmt, &error) < 0 || !stmt ||
		 exec_compile(s, stmt->body, &error) < 0)
		flow = exec_fail_scope(s, &error);
	else
		flow = exec_list(s, stmt->body);
	for (int i = 0; i < 2; i++)
		catalog_remove_temporary(s->catalog, rows[i]);
	s->trigger_depth--;
	s->options.nocount = nocount;
	s->options.xact_abort = xact_abort;
	catalog_switch(s->catalog, database);
	exec_frame_release(s, &frame);
	s->rowcount = rowcount;
	return flow == FLOW_RETURN ? FLOW_NEXT : flow;
}

enum flow procs_triggers(
	struct session *s, const struct object *table, char event, const struct object *inserted, const struct object *deleted) {
	struct arena arena = { 0 };
	struct vec names = { 0 }, texts = { 0 };
	sqlite3_stmt *stmt =
		stmts_take(s->stmts, "SELECT name, text FROM m_object WHERE parent = ?1 AND type = 'T' AND NOT disabled AND "
				     "instr(events, ?2) ORDER BY id");
	char letter[2] = { event, '\0' };
	if (stmt) {
		sqlite3_bind_int64(stmt, 1, table->id);
		sqlite3_bind_text(stmt, 2, letter, 1, SQLITE_STATIC);
	}
	while (stmt && sqlite3_step(stmt) == SQLITE_ROW) {
		vec_add(&arena, &names, arena_fmt(&arena, "%s", (const char *)sqlite3_column_text(stmt, 0)));
		vec_add(&arena, &texts, arena_fmt(&arena, "%s", (const char *)sqlite3_column_text(stmt, 1)));
	}
	stmts_put(s->stmts, stmt);
	enum flow flow = FLOW_NEXT;
	for (int i = 0; i < names.count && (flow == FLOW_NEXT || flow == FLOW_FAILED); i++) {
		flow = run_trigger(s, texts.at[i], names.at[i], table, inserted, deleted);
		if ((flow == FLOW_NEXT || flow == FLOW_FAILED) && s->trancount == 0)
			flow = exec_failf(s, 1, 3609, "The transaction ended in the trigger. The batch has been aborted.");
	}
	arena_release(&arena);
	return flow == FLOW_FAILED ? FLOW_NEXT : flow;
}
