/* The interpreter: statements in order, control flow, frames. What single statements do is in the other exec_*.c files.
 * A batch is compiled first (names, variables) and only then begins to run. */
#include "ecosystem/sandbox/sql/exec.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>
#include "ecosystem/sandbox/sql/parser.h"

/* --- frames --- */

void exec_frame_init(struct session *s, struct frame *frame) {
	*frame = (struct frame){ .parent = s->frame, .entry_trancount = s->trancount, .nest = s->frame ? s->frame->nest + 1 : 0,
				 .database = catalog_current(s->catalog)->id };
	s->frame = frame;
	catalog_set_scope(s->catalog, frame);
}

static void drop_temporary(void *arg, const char *sql) {
	struct session *s = arg;
	char text[100];
	snprintf(text, sizeof text, "DROP TABLE IF EXISTS %s", sql);
	sqlite3_exec(s->db, text, NULL, NULL, NULL);
}

void exec_frame_release(struct session *s, struct frame *frame) {
	catalog_drop_temporary(s->catalog, frame, frame->parent != NULL, drop_temporary, s);
	for (int i = 0; i < frame->variable_count; i++)
		sqlite3_value_free(frame->variables[i].value);
	free(frame->variables);
	arena_release(&frame->arena);
	s->frame = frame->parent;
	catalog_set_scope(s->catalog, s->frame);
}

/* --- compiling: what SQL Server says about a batch before it runs --- */

static int compile_list(struct session *s, struct stmt *list, struct sqlerror *error);

/* The table does not exist yet, or the setting is made by an earlier statement of the batch. */
static bool deferred(int number) {
	static const int numbers[] = { 208, 544, 8101, 545, 911, 916, 922, 923, 924, 926, 927, 942, 945, 0 };
	for (int i = 0; numbers[i]; i++)
		if (numbers[i] == number)
			return true;
	return false;
}

static int compile_declare(struct session *s, struct stmt *stmt, struct sqlerror *error) {
	if (stmt->flag) {
		if (catalog_temporary(s->catalog, stmt->text) || exec_variable(s->frame, stmt->text))
			return sqlerror_set(error, 134, stmt->line, "The variable name '%.128s' has already been declared. Variable names "
					    "must be unique within a query batch or stored procedure.", stmt->text);
		return ddl_create_table(s, stmt, error) ? 0 : -1;
	}
	for (int i = 0; i < stmt->def_count; i++) {
		struct column_def *d = &stmt->defs[i];
		struct xtype type = exec_type(s, &d->type);
		if (exec_variable(s->frame, d->name) || catalog_temporary(s->catalog, d->name))
			return sqlerror_set(error, 134, d->line, "The variable name '%.128s' has already been declared. Variable names "
					    "must be unique within a query batch or stored procedure.", d->name);
		if (d->default_expr && exec_compile_value(s, d->default_expr, &type, error) < 0 && !deferred(error->number))
			return -1;
		error->number = 0;
		exec_variable_add(s, s->frame, d->name, &type);
	}
	return 0;
}

static int compile_set(struct session *s, const struct stmt *stmt, struct sqlerror *error) {
	struct variable *v = exec_variable(s->frame, stmt->text);
	if (!v)
		return sqlerror_set(error, 137, stmt->line, "Must declare the scalar variable \"%.128s\".", stmt->text);
	return exec_compile_value(s, stmt->expr, stmt->text2[1] ? NULL : &v->type, error);
}

static int compile_statement(struct session *s, struct stmt *stmt, struct sqlerror *error) {
	struct tr_result *plan;
	switch (stmt->kind) {
	case S_DECLARE:
		return compile_declare(s, stmt, error);
	case S_SET_VAR:
		return compile_set(s, stmt, error);
	case S_SELECT:
	case S_INSERT:
	case S_UPDATE:
	case S_DELETE:
		return stmt->body ? 0 : exec_translate(s, stmt, &plan, error);
	case S_IF:
	case S_WHILE:
		if (exec_compile_condition(s, stmt->expr, error) < 0 && !deferred(error->number))
			return -1;
		error->number = 0;
		return compile_list(s, stmt->body, error) < 0 || compile_list(s, stmt->other, error) < 0 ? -1 : 0;
	case S_BLOCK:
	case S_TRY:
		return compile_list(s, stmt->body, error) < 0 || compile_list(s, stmt->other, error) < 0 ? -1 : 0;
	case S_PRINT:
		return exec_compile_value(s, stmt->expr, NULL, error);
	default:
		return 0;
	}
}

static int compile_list(struct session *s, struct stmt *list, struct sqlerror *error) {
	for (struct stmt *stmt = list; stmt; stmt = stmt->next) {
		if (compile_statement(s, stmt, error) == 0)
			continue;
		if (!deferred(error->number))
			return -1;
		error->number = 0;
	}
	return 0;
}

int exec_compile(struct session *s, struct stmt *list, struct sqlerror *error) {
	return compile_list(s, list, error);
}

enum flow exec_text(struct session *s, struct frame *frame, const char *sql, size_t len) {
	struct sqlerror error = { 0 };
	struct stmt *list;
	if (frame->nest > NEST_MAX)
		return exec_failf(s, 1, 217, "Maximum stored procedure, function, trigger, or view nesting level exceeded (limit %d).", NEST_MAX);
	if (parser_batch(&frame->arena, sql, len, &list, &error) < 0 || exec_compile(s, list, &error) < 0) {
		s->reach = REACH_SCOPE;
		return exec_fail_scope(s, &error);
	}
	return exec_list(s, list);
}

/* --- control flow --- */

static enum flow if_statement(struct session *s, struct stmt *stmt) {
	bool yes;
	enum flow flow = exec_condition(s, stmt->expr, &yes);
	s->rowcount = 0;
	if (flow != FLOW_NEXT)
		return flow;
	struct stmt *branch = yes ? stmt->body : stmt->other;
	return branch ? exec_statement(s, branch) : FLOW_NEXT;
}

static enum flow while_statement(struct session *s, struct stmt *stmt) {
	for (;;) {
		bool yes;
		enum flow flow = exec_condition(s, stmt->expr, &yes);
		if (flow != FLOW_NEXT || !yes)
			return flow;
		flow = exec_statement(s, stmt->body);
		if (flow == FLOW_BREAK)
			return FLOW_NEXT;
		if (flow != FLOW_NEXT && flow != FLOW_CONTINUE && flow != FLOW_FAILED)
			return flow;
		if (exec_cancelled(s))
			return FLOW_GONE;
	}
}

static enum flow return_statement(struct session *s, const struct stmt *stmt) {
	struct xtype type = xtype_of(SQL_INT, 0, 0, 0);
	sqlite3_value *value = NULL;
	if (!stmt->expr)
		return FLOW_RETURN;
	if (!s->frame->procedure)
		return exec_failf(s, stmt->line, 178, "A RETURN statement with a return value cannot be used in this context.");
	enum flow flow = exec_value(s, stmt->expr, &type, NULL, &value);
	if (flow != FLOW_NEXT)
		return flow;
	s->frame->return_value = value ? sqlite3_value_int(value) : 0;
	sqlite3_value_free(value);
	return FLOW_RETURN;
}

/* 'hh:mm[:ss[.mmm]]' */
static int64_t delay_ms(const char *text) {
	int h = 0, m = 0, sec = 0, n = 0;
	double fraction = 0;
	if (!text || sscanf(text, "%d:%d%n", &h, &m, &n) < 2 || h < 0 || h > 23 || m < 0 || m > 59)
		return -1;
	if (text[n] == ':') {
		if (sscanf(text + n, ":%d%n", &sec, &n) < 1 || sec < 0 || sec > 59)
			return -1;
		const char *dot = strchr(text, '.');
		fraction = dot ? strtod(dot, NULL) : 0;
	}
	return ((h * 60 + m) * 60 + sec) * 1000 + (int64_t)(fraction * 1000);
}

static enum flow waitfor(struct session *s, const struct stmt *stmt) {
	const char *text;
	enum flow flow = exec_string(s, stmt->expr, &text);
	if (flow != FLOW_NEXT)
		return flow;
	int64_t left = strcmp(stmt->text, "DELAY") == 0 ? delay_ms(text) : -1;
	if (left < 0)
		return exec_failf(s, stmt->line, 148, "Incorrect time syntax in time string '%.60s' used with WAITFOR.", text ? text : "");
	while (left > 0 && !exec_cancelled(s)) {
		int64_t nap = left < 20 ? left : 20;
		struct timespec t = { .tv_nsec = nap * 1000000 };
		nanosleep(&t, NULL);
		left -= nap;
	}
	return exec_cancelled(s) ? FLOW_GONE : FLOW_NEXT;
}

/* --- one statement --- */

static enum flow run(struct session *s, struct stmt *stmt) {
	switch (stmt->kind) {
	case S_SELECT:
	case S_INSERT:
	case S_UPDATE:
	case S_DELETE:
		return exec_query(s, stmt);
	case S_DECLARE:
		return exec_declare(s, stmt);
	case S_SET_VAR:
		return exec_set_variable(s, stmt);
	case S_SET_OPTION:
		return exec_set_option(s, stmt);
	case S_IF:
		return if_statement(s, stmt);
	case S_WHILE:
		return while_statement(s, stmt);
	case S_BLOCK:
		return exec_list(s, stmt->body);
	case S_TRY:
		return exec_try(s, stmt);
	case S_BREAK:
		return FLOW_BREAK;
	case S_CONTINUE:
		return FLOW_CONTINUE;
	case S_RETURN:
		return return_statement(s, stmt);
	case S_PRINT:
		return exec_print(s, stmt);
	case S_RAISERROR:
		return exec_raiserror(s, stmt);
	case S_THROW:
		return exec_throw(s, stmt);
	case S_EXEC:
		return procs_execute(s, stmt);
	case S_EXEC_TEXT:
		return procs_execute_text(s, stmt);
	case S_USE:
		return exec_use(s, stmt->text, stmt->line);
	case S_BEGIN_TRAN:
		return tran_begin(s, stmt);
	case S_COMMIT:
		return tran_commit(s, stmt);
	case S_ROLLBACK:
		return tran_rollback_statement(s, stmt);
	case S_SAVE:
		return tran_save(s, stmt);
	case S_WAITFOR:
		return waitfor(s, stmt);
	case S_KILL:
		return exec_kill(s, stmt);
	case S_NOTHING:
		return FLOW_NEXT;
	case S_CREATE_LOGIN:
	case S_CREATE_USER:
	case S_CREATE_ROLE:
	case S_GRANT:
	case S_ROLE_MEMBER:
		return security_execute(s, stmt);
	case S_CREATE_DATABASE:
	case S_ALTER_DATABASE:
	case S_DROP_DATABASE:
	case S_CREATE_SCHEMA:
	case S_CREATE_TABLE:
	case S_ALTER_ADD:
	case S_ALTER_DROP:
	case S_ALTER_COLUMN:
	case S_ALTER_TRIGGERS:
	case S_CREATE_INDEX:
	case S_CREATE_VIEW:
	case S_CREATE_PROCEDURE:
	case S_CREATE_TRIGGER:
	case S_DROP:
	case S_TRUNCATE:
		return ddl_execute(s, stmt);
	}
	return FLOW_NEXT;
}

static bool keeps_rowcount(enum stmt_kind kind) {
	return kind == S_SELECT || kind == S_INSERT || kind == S_UPDATE || kind == S_DELETE || kind == S_SET_VAR || kind == S_DECLARE ||
	       kind == S_EXEC || kind == S_EXEC_TEXT || kind == S_BLOCK || kind == S_IF || kind == S_WHILE || kind == S_TRY ||
	       kind == S_RETURN || kind == S_BREAK || kind == S_CONTINUE || kind == S_THROW;
}

static bool is_container(enum stmt_kind kind) {
	return kind == S_BLOCK || kind == S_IF || kind == S_WHILE || kind == S_TRY || kind == S_RETURN || kind == S_RAISERROR ||
	       kind == S_EXEC || kind == S_EXEC_TEXT;
}

enum flow exec_statement(struct session *s, struct stmt *stmt) {
	if (atomic_load(&s->killed) || s->gone)
		return FLOW_GONE;
	functions_begin_statement(&s->functions);
	if (s->write_depth == 0)
		catalog_refresh(s->catalog);
	enum flow flow = run(s, stmt);
	if (flow == FLOW_NEXT) {
		if (!keeps_rowcount(stmt->kind))
			s->rowcount = 0;
		if (!is_container(stmt->kind) && (stmt->kind != S_DECLARE || stmt->flag == false))
			s->last_error = 0;
	} else if (flow == FLOW_FAILED) {
		s->rowcount = 0;
	}
	return flow;
}

enum flow exec_list(struct session *s, struct stmt *list) {
	for (struct stmt *stmt = list; stmt; stmt = stmt->next) {
		enum flow flow = exec_statement(s, stmt);
		if (flow != FLOW_NEXT && flow != FLOW_FAILED)
			return flow;
	}
	return FLOW_NEXT;
}
