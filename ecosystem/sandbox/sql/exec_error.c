/* How an error ends a statement, a scope or a batch, who catches it, and what SQLite's own errors mean.
 * Which statement failed is known elsewhere; here only numbers decide. */
#include "ecosystem/sandbox/sql/exec.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool among(const int *numbers, int number) {
	for (; *numbers; numbers++)
		if (*numbers == number)
			return true;
	return false;
}

/* Errors that end the batch and its transaction even without XACT_ABORT: conversions, deadlocks. */
static bool ends_batch(int number) {
	static const int numbers[] = { 235, 241, 242, 244, 245, 248, 293, 295, 296, 517, 1205, 3609, 3930, 3998, 8114, 8169, 9803,
		0 };
	return among(numbers, number);
}

static bool ends_scope(int number) {
	static const int numbers[] = { 102, 105, 113, 134, 137, 156, 207, 208, 209, 213, 217, 4104, 1087, 0 };
	return among(numbers, number);
}

void exec_info(struct session *s, int number, int severity, int state, int line, const char *text) {
	if (s->sink->message(s->sink->arg, number, severity, state, line, text) < 0)
		s->gone = true;
}

static bool catches(const struct session *s) {
	for (const struct try_mark *t = s->tries; t; t = t->outer)
		if (t->frame != s->skip)
			return true;
	return false;
}

static enum flow raise_error(struct session *s, const struct sqlerror *error, enum reach reach, bool rolls_back) {
	s->last_error = error->number;
	s->error = *error;
	s->reach = reach;
	snprintf(s->error_procedure, sizeof s->error_procedure, "%s", s->frame && s->frame->procedure ? s->frame->procedure : "");
	if (error->number == 1205 && s->in_sqlite) {
		/* the others must go on at once; what is left is a transaction that can only be rolled back */
		int count = s->trancount;
		tran_rollback_all(s);
		s->trancount = count;
	}
	if (error->severity < 20 && catches(s)) {
		if (rolls_back && s->trancount > 0)
			s->doomed = true;
		return FLOW_ERROR;
	}
	exec_info(s, error->number, error->severity, error->state, error->line, error->text);
	exec_done(s, -1, 0, true);
	s->error.number = 0;
	if (error->severity >= 20 || s->gone)
		return FLOW_GONE;
	if (rolls_back) {
		if (s->trancount > 0)
			tran_rollback_all(s);
		s->reach = REACH_BATCH;
	}
	return s->reach == REACH_STATEMENT ? FLOW_FAILED : FLOW_ERROR;
}

enum flow exec_fail(struct session *s, const struct sqlerror *error) {
	if (ends_scope(error->number))
		return exec_fail_scope(s, error);
	bool batch = ends_batch(error->number);
	s->skip = NULL;
	return raise_error(s, error, batch ? REACH_BATCH : REACH_STATEMENT, batch || s->options.xact_abort);
}

enum flow exec_fail_scope(struct session *s, const struct sqlerror *error) {
	s->skip = s->frame;
	return raise_error(s, error, REACH_SCOPE, s->options.xact_abort);
}

enum flow exec_failf(struct session *s, int line, int number, const char *fmt, ...) {
	struct sqlerror error = { 0 };
	char text[sizeof error.text];
	va_list args;
	va_start(args, fmt);
	vsnprintf(text, sizeof text, fmt, args);
	va_end(args);
	sqlerror_set(&error, number, line, "%s", text);
	return exec_fail(s, &error);
}

/* --- SQLite's errors --- */

static const char *verb(const struct session *s) {
	return s->command == 195 ? "INSERT" : s->command == 197 ? "UPDATE" : s->command == 196 ? "DELETE" : "ALTER TABLE";
}

/* "UNIQUE constraint failed: t5.c1, t5.c2" or "index 'i5_2'" */
static bool same_columns(const struct object *o, const struct index *x, const char *list) {
	char text[2000] = "";
	for (int i = 0; i < x->column_count; i++)
		if (!x->columns[i].included)
			snprintf(text + strlen(text), sizeof text - strlen(text), "%s%s.%s", text[0] ? ", " : "",
				o->sql + (o->temporary ? 5 : 0), o->columns[x->columns[i].column].sql);
	return strcmp(text, list) == 0;
}

static struct object *object_of(struct session *s, const char *list) {
	char name[100];
	snprintf(name, sizeof name, "temp.%.*s", (int)strcspn(list, "."), list);
	if (list[0] == 't')
		return catalog_by_id(s->catalog, strtoll(list + 1, NULL, 10));
	struct object *o;
	for (int i = 0; (o = catalog_each_temporary(s->catalog, i)); i++)
		if (strcmp(o->sql, name) == 0)
			return o;
	return NULL;
}

/* "index 'it17_2n'": the one for rows with NULL */
static struct object *null_index_of(struct session *s, const char *list, int *index) {
	char table[100] = "";
	if (sscanf(list, "index 'i%90[^_]_%dn'", table, index) != 2)
		return NULL;
	return object_of(s, table);
}

static void unique_error(struct session *s, const char *list, int line, struct sqlerror *out) {
	int id = 0;
	struct object *o = null_index_of(s, list, &id);
	if (!o)
		o = object_of(s, list);
	for (int i = 0; o && i < o->index_count; i++) {
		const struct index *x = &o->indexes[i];
		if (!x->unique || (id ? x->id != id : !same_columns(o, x, list)))
			continue;
		if (x->constraint)
			sqlerror_set(out, 2627, line,
				"Violation of %s constraint '%s'. Cannot insert duplicate key in object '%s.%s'.",
				x->primary ? "PRIMARY KEY" : "UNIQUE KEY", x->name, o->schema, o->name);
		else
			sqlerror_set(out, 2601, line, "Cannot insert duplicate key row in object '%s.%s' with unique index '%s'.",
				o->schema, o->name, x->name);
		return;
	}
	sqlerror_set(out, 2627, line, "Violation of UNIQUE KEY constraint. Cannot insert duplicate key in object '%s'.",
		o ? o->name : list);
}

static void check_error(struct session *s, const char *name, int line, struct sqlerror *out) {
	sqlite3_stmt *stmt =
		stmts_take(s->stmts, "SELECT k.name, d.name, s.name, o.name FROM m_object k JOIN m_object o ON o.id = k.parent "
				     "JOIN m_schema s ON s.id = o.schema JOIN m_database d ON d.id = o.db WHERE k.id = ?1");
	if (stmt)
		sqlite3_bind_int64(stmt, 1, strtoll(name + 1, NULL, 10));
	if (stmt && sqlite3_step(stmt) == SQLITE_ROW)
		sqlerror_set(out, 547, line,
			"The %s statement conflicted with the CHECK constraint \"%s\". The conflict occurred in database "
			"\"%s\", table \"%s.%s\".",
			verb(s), sqlite3_column_text(stmt, 0), sqlite3_column_text(stmt, 1), sqlite3_column_text(stmt, 2),
			sqlite3_column_text(stmt, 3));
	else
		sqlerror_set(out, 547, line, "The %s statement conflicted with a CHECK constraint.", verb(s));
	stmts_put(s->stmts, stmt);
}

/* SQLite does not say which one: known when the table has only one that can be meant. */
static void foreign_error(struct session *s, int line, struct sqlerror *out) {
	bool reference = s->command == 196;
	sqlite3_stmt *stmt =
		stmts_take(s->stmts, reference ? "SELECT k.name, d.name, s.name, o.name, c.name, count(*) FROM m_fkey f JOIN "
						 "m_object k ON k.id = f.id JOIN m_object o ON o.id = f.object JOIN "
						 "m_schema s ON s.id = o.schema JOIN m_database d ON d.id = o.db LEFT JOIN "
						 "m_column c ON c.object = f.object AND 'c' || c.id = f.columns WHERE "
						 "f.ref = ?1 AND f.on_delete = 0"
					       : "SELECT k.name, d.name, s.name, o.name, c.name, count(*) FROM m_fkey f JOIN "
						 "m_object k ON k.id = f.id JOIN m_object o ON o.id = f.ref JOIN "
						 "m_schema s ON s.id = o.schema JOIN m_database d ON d.id = o.db LEFT JOIN "
						 "m_column c ON c.object = f.ref AND 'c' || c.id = f.ref_columns WHERE "
						 "f.object = ?1");
	const char *kind = reference ? "REFERENCE" : "FOREIGN KEY";
	if (stmt)
		sqlite3_bind_int64(stmt, 1, s->command_target);
	if (stmt && sqlite3_step(stmt) == SQLITE_ROW && sqlite3_column_int(stmt, 5) == 1)
		sqlerror_set(out, 547, line,
			"The %s statement conflicted with the %s constraint \"%s\". The conflict occurred in database \"%s\", "
			"table "
			"\"%s.%s\"%s%s%s.",
			verb(s), kind, sqlite3_column_text(stmt, 0), sqlite3_column_text(stmt, 1), sqlite3_column_text(stmt, 2),
			sqlite3_column_text(stmt, 3), sqlite3_column_text(stmt, 4) ? ", column '" : "",
			sqlite3_column_text(stmt, 4) ? (const char *)sqlite3_column_text(stmt, 4) : "",
			sqlite3_column_text(stmt, 4) ? "'" : "");
	else
		sqlerror_set(out, 547, line, "The %s statement conflicted with a %s constraint.", verb(s), kind);
	stmts_put(s->stmts, stmt);
}

void exec_sqlite_error(struct session *s, int line, struct sqlerror *out) {
	const char *text = sqlite3_errmsg(s->db);
	int code = sqlite3_extended_errcode(s->db);
	if (sqlerror_parse(out, text, line) == 0)
		return;
	const char *colon = strstr(text, "failed: ");
	char rest[2000];
	snprintf(rest, sizeof rest, "%s", colon ? colon + 8 : "");
	if ((code == SQLITE_CONSTRAINT_UNIQUE || code == SQLITE_CONSTRAINT_PRIMARYKEY) && colon)
		unique_error(s, rest, line, out);
	else if (code == SQLITE_CONSTRAINT_CHECK && colon)
		check_error(s, rest, line, out);
	else if (code == SQLITE_CONSTRAINT_FOREIGNKEY)
		foreign_error(s, line, out);
	else if ((code & 0xff) == SQLITE_INTERRUPT)
		sqlerror_set(out, 3204, line, "The operation was cancelled by the user.");
	else if ((code & 0xff) == SQLITE_TOOBIG)
		sqlerror_set(out, 8623, line, "The query processor ran out of internal resources.");
	else if ((code & 0xff) == SQLITE_BUSY)
		sqlerror_set(out, 1222, line, "Lock request time out period exceeded.");
	else if ((code & 0xff) == SQLITE_FULL || (code & 0xff) == SQLITE_IOERR)
		sqlerror_set(out, 9002, line, "The transaction log for the database is full: %s.", text);
	else
		sqlerror_set(out, 40000, line, "The stand-in cannot run this statement: %s.", text);
}

/* --- TRY, THROW, RAISERROR, PRINT --- */

enum flow exec_try(struct session *s, struct stmt *stmt) {
	struct try_mark mark = { .frame = s->frame, .outer = s->tries };
	s->tries = &mark;
	enum flow flow = exec_list(s, stmt->body);
	s->tries = mark.outer;
	if (flow != FLOW_ERROR || s->error.number == 0 || s->skip == s->frame)
		return flow;
	struct caught caught = { .error = s->error, .outer = s->caught };
	snprintf(caught.procedure, sizeof caught.procedure, "%s", s->error_procedure);
	s->error.number = 0;
	s->caught = &caught;
	flow = exec_list(s, stmt->other);
	s->caught = caught.outer;
	return flow;
}

static enum flow number_value(struct session *s, struct expr *expr, int64_t *out) {
	struct xtype type = xtype_of(SQL_BIGINT, 0, 0, 0);
	sqlite3_value *value = NULL;
	enum flow flow = exec_value(s, expr, &type, NULL, &value);
	*out = value ? sqlite3_value_int64(value) : 0;
	sqlite3_value_free(value);
	return flow;
}

enum flow exec_throw(struct session *s, const struct stmt *stmt) {
	struct sqlerror error = { 0 };
	if (stmt->arg_count == 0) {
		if (!s->caught)
			return exec_failf(s, stmt->line, 10704,
				"To rethrow an error, a THROW statement must be used inside a CATCH block. Insert "
				"the THROW statement inside a CATCH block, or add error parameters to the THROW statement.");
		error = s->caught->error;
		s->skip = NULL;
		return raise_error(s, &error, REACH_BATCH, s->options.xact_abort);
	}
	int64_t number, state;
	const char *text;
	enum flow flow = number_value(s, stmt->args[0], &number);
	if (flow == FLOW_NEXT)
		flow = exec_string(s, stmt->args[1], &text);
	if (flow == FLOW_NEXT)
		flow = number_value(s, stmt->args[2], &state);
	if (flow != FLOW_NEXT)
		return flow;
	if (number < 50000 || number > INT32_MAX)
		return exec_failf(s, stmt->line, 35100,
			"Error number %lld in the THROW statement is outside the valid range. Specify an error "
			"number in the valid range of 50000 to 2147483647.",
			(long long)number);
	sqlerror_set(&error, (int)number, stmt->line, "%s", text ? text : "");
	error.state = (int)state;
	s->skip = NULL;
	return raise_error(s, &error, REACH_BATCH, s->options.xact_abort);
}

/* %s %d %i %u %x %% with the arguments after the third. */
static enum flow message_format(struct session *s, const struct stmt *stmt, const char *format, struct buf *out) {
	int next = 3;
	for (const char *p = format; *p; p++) {
		if (*p != '%') {
			buf_add_char(out, *p);
			continue;
		}
		const char *start = p++;
		while (*p && strchr("0123456789-+ #.*l", *p))
			p++;
		if (*p == '%') {
			buf_add_char(out, '%');
			continue;
		}
		if (!*p || !strchr("sdiuxXo", *p))
			return exec_failf(s, stmt->line, 2787, "Invalid format specification: '%.20s'.", start);
		const char *text = "(null)";
		enum flow flow = next < stmt->arg_count ? exec_string(s, stmt->args[next++], &text) : FLOW_NEXT;
		if (flow != FLOW_NEXT)
			return flow;
		if (*p == 'x' || *p == 'X')
			buf_addf(out, *p == 'x' ? "%llx" : "%llX", (unsigned long long)strtoll(text ? text : "0", NULL, 10));
		else
			buf_add_text(out, text ? text : "(null)");
	}
	return FLOW_NEXT;
}

static enum flow raise_message(
	struct session *s, const struct stmt *stmt, int number, const char *text, int severity, int state) {
	struct sqlerror error = { 0 };
	if (severity <= 10) {
		exec_info(s, number, severity, state, stmt->line, text);
		return s->gone ? FLOW_GONE : FLOW_NEXT;
	}
	if (severity > 18 && !security_is_admin(s))
		return exec_failf(s, stmt->line, 2754,
			"Error severity levels greater than 18 can only be specified by members of the sysadmin "
			"role, using the WITH LOG option.");
	sqlerror_set(&error, number, stmt->line, "%s", text);
	error.severity = severity > 25 ? 25 : severity;
	error.state = state;
	s->skip = NULL;
	return raise_error(s, &error, REACH_STATEMENT, false);
}

enum flow exec_raiserror(struct session *s, const struct stmt *stmt) {
	int64_t severity, state;
	const char *text = "";
	enum flow flow = exec_string(s, stmt->args[0], &text);
	if (flow == FLOW_NEXT)
		flow = number_value(s, stmt->args[1], &severity);
	if (flow == FLOW_NEXT)
		flow = number_value(s, stmt->args[2], &state);
	if (flow != FLOW_NEXT)
		return flow;
	int number = 50000;
	char *end;
	long given = text && stmt->args[0]->kind != E_STRING && stmt->args[0]->kind != E_NSTRING ? strtol(text, &end, 10) : 0;
	if (given > 0 && *end == '\0')
		return exec_failf(s, stmt->line, 18054,
			"Error %ld, severity %d, state %d was raised, but no message with that error number was "
			"found in sys.messages.",
			given, (int)severity, (int)state);
	struct buf out;
	buf_init(&out, 2048);
	flow = message_format(s, stmt, text ? text : "", &out);
	if (flow == FLOW_NEXT)
		flow = raise_message(s, stmt, number, buf_text(&out), (int)severity, state < 0 ? 1 : (int)state);
	buf_release(&out);
	return flow;
}

enum flow exec_print(struct session *s, const struct stmt *stmt) {
	const char *text;
	enum flow flow = exec_string(s, stmt->expr, &text);
	if (flow != FLOW_NEXT)
		return flow;
	exec_info(s, 0, 0, 1, stmt->line, text ? text : " ");
	return s->gone ? FLOW_GONE : FLOW_NEXT;
}
