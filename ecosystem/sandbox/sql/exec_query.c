/* SELECT, INSERT, UPDATE, DELETE: translate (once), admit (permissions, locks), run the steps, send rows, fire triggers.
 * Also the small helpers with which other files run SQLite texts and send result sets of their own. */
#include "ecosystem/sandbox/sql/exec.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* --- helpers --- */

bool exec_cancelled(struct session *s) {
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	int64_t now = (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
	if (s->gone || atomic_load(&s->killed))
		return true;
	if (now - s->last_poll < 20 || !s->sink)
		return false;
	s->last_poll = now;
	s->gone = s->sink->cancelled(s->sink->arg);
	return s->gone;
}

int exec_run(struct session *s, const char *sql, int line, struct sqlerror *error) {
	if (sqlite3_exec(s->db, sql, NULL, NULL, NULL) == SQLITE_OK)
		return 0;
	exec_sqlite_error(s, line, error);
	return -1;
}

int exec_runf(struct session *s, int line, struct sqlerror *error, const char *fmt, ...) {
	struct arena arena = { 0 };
	va_list args;
	va_start(args, fmt);
	int rc = exec_run(s, arena_vfmt(&arena, fmt, args), line, error);
	va_end(args);
	arena_release(&arena);
	return rc;
}

static sqlite3_stmt *bound(struct session *s, const char *sql, const char *kinds, va_list args) {
	sqlite3_stmt *stmt = stmts_take(s->stmts, sql);
	for (int i = 1; stmt && kinds[i - 1]; i++) {
		if (kinds[i - 1] == 's')
			sqlite3_bind_text(stmt, i, va_arg(args, const char *), -1, SQLITE_TRANSIENT);
		else if (kinds[i - 1] == 'i')
			sqlite3_bind_int64(stmt, i, va_arg(args, int64_t));
	}
	return stmt;
}

int exec_sql(struct session *s, struct sqlerror *error, const char *sql, const char *kinds, ...) {
	va_list args;
	va_start(args, kinds);
	sqlite3_stmt *stmt = bound(s, sql, kinds, args);
	va_end(args);
	int rc = stmt ? sqlite3_step(stmt) : SQLITE_ERROR;
	if (rc != SQLITE_DONE && rc != SQLITE_ROW)
		exec_sqlite_error(s, 1, error);
	stmts_put(s->stmts, stmt);
	return rc == SQLITE_DONE || rc == SQLITE_ROW ? 0 : -1;
}

int64_t exec_int(struct session *s, int64_t none, const char *sql, const char *kinds, ...) {
	va_list args;
	va_start(args, kinds);
	sqlite3_stmt *stmt = bound(s, sql, kinds, args);
	va_end(args);
	if (stmt && sqlite3_step(stmt) == SQLITE_ROW)
		none = sqlite3_column_int64(stmt, 0);
	stmts_put(s->stmts, stmt);
	return none;
}

enum flow exec_columns(struct session *s, const struct sql_column *columns, int count) {
	if (s->insert_exec)
		return insert_exec_columns(s, columns, count);
	if (s->sink->columns(s->sink->arg, columns, count) < 0)
		s->gone = true;
	return s->gone ? FLOW_GONE : FLOW_NEXT;
}

enum flow exec_row(struct session *s, const char *const *values, int count) {
	struct sql_value row[SQL_MAX_COLUMNS];
	for (int i = 0; i < count; i++)
		row[i] = (struct sql_value){ .null = !values[i], .data = values[i], .len = values[i] ? strlen(values[i]) : 0 };
	if (s->insert_exec)
		return insert_exec_values(s, row, count);
	if (s->sink->row(s->sink->arg, row, count) < 0)
		s->gone = true;
	return s->gone ? FLOW_GONE : FLOW_NEXT;
}

enum flow exec_done(struct session *s, int64_t rows, int command, bool failed) {
	if (s->insert_exec && !failed)
		return FLOW_NEXT;
	if (s->sink->done(s->sink->arg, s->options.nocount ? -1 : rows, command, true, failed) < 0)
		s->gone = true;
	return s->gone ? FLOW_GONE : FLOW_NEXT;
}

/* --- admission --- */

static int check_permissions(struct session *s, const struct tr_result *r, struct sqlerror *error) {
	for (int i = 0; i < r->use_count; i++) {
		const struct tr_use *u = &r->uses[i];
		if (!u->through_view && !u->object->temporary && security_check(s, u->object, u->kind, error) < 0)
			return -1;
	}
	return 0;
}

static bool wants_lock(const struct session *s, const struct tr_use *u, struct lock_request *out) {
	char isolation = s->options.isolation;
	if (u->object->temporary || u->object->kind != O_TABLE)
		return false;
	snprintf(out->resource, sizeof out->resource, "t:%lld", (long long)u->object->id);
	out->life = LOCK_TRANSACTION;
	out->mode = LOCK_X;
	if (u->kind != 'S')
		return true;
	out->mode = LOCK_U;
	if (u->update_lock)
		return true;
	out->mode = LOCK_S;
	if (u->nolock || isolation == 'U')
		return false;
	if (u->hold_lock || isolation == 'R' || isolation == 'S')
		return true;
	out->life = LOCK_INSTANT;
	return !u->object->database->snapshot;
}

static bool writes(const struct session *s, const struct tr_result *r) {
	if (r->target && (!r->target->temporary || (r->target->name[0] == '#' && s->trancount > 0)))
		return true;
	for (int i = 0; i < r->use_count; i++)
		if (r->uses[i].kind != 'S' && !r->uses[i].object->temporary)
			return true;
	return r->into_table && r->into_table->part[r->into_table->count - 1][0] != '#';
}

/* Other databases are in use until the batch or its transaction ends. */
static int enter_databases(struct session *s, const struct tr_result *r, int line, struct sqlerror *error) {
	int current = catalog_current(s->catalog)->id;
	for (int i = 0; i < r->use_count; i++) {
		const struct object *o = r->uses[i].object;
		if (o->temporary || !o->database || o->database->id == current)
			continue;
		atomic_fetch_or(&s->using, UINT64_C(1) << (o->database->id & 63));
		if (session_may_enter(s, o->database, line, error) < 0)
			return -1;
	}
	return 0;
}

enum flow exec_admit(struct session *s, const struct tr_result *r, int line) {
	struct sqlerror error = { 0 };
	struct lock_request *requests;
	int count = 0;
	if (enter_databases(s, r, line, &error) < 0 || check_permissions(s, r, &error) < 0)
		return exec_fail(s, &error);
	if (s->options.isolation == 'N' && r->use_count)
		return exec_failf(s, line, 3952,
			"Snapshot isolation transaction failed accessing database '%s' because snapshot isolation is not "
			"allowed in this database. Use ALTER DATABASE to allow snapshot isolation.",
			catalog_current(s->catalog)->name);
	requests = calloc((size_t)r->use_count + 1, sizeof *requests);
	if (!requests)
		abort();
	for (int i = 0; i < r->use_count; i++)
		if (wants_lock(s, &r->uses[i], &requests[count]))
			count++;
	if (writes(s, r)) {
		snprintf(requests[count].resource, sizeof requests[count].resource, "writer");
		requests[count].mode = LOCK_X;
		requests[count++].life = LOCK_TRANSACTION;
	}
	enum flow flow = count ? tran_lock(s, requests, count, line) : FLOW_NEXT;
	free(requests);
	return flow;
}

/* --- running the steps --- */

struct run {
	struct session *s;
	struct tr_result *r;
	int line;
	int64_t rows;
	struct sqlerror error;
	enum flow flow;	      /* FLOW_GONE from the sink */
	sqlite3_value **kept; /* for the feeds */
	int kept_rows, kept_width, kept_cap;
};

static void keep_row(struct run *run, sqlite3_stmt *stmt) {
	int width = sqlite3_column_count(stmt);
	if (run->kept_rows == run->kept_cap) {
		run->kept_cap = run->kept_cap ? run->kept_cap * 2 : 64;
		run->kept = realloc(run->kept, sizeof *run->kept * (size_t)run->kept_cap * (size_t)width);
		if (!run->kept)
			abort();
	}
	for (int i = 0; i < width; i++)
		run->kept[run->kept_rows * width + i] = sqlite3_value_dup(sqlite3_column_value(stmt, i));
	run->kept_width = width;
	run->kept_rows++;
}

static void assign(struct run *run, sqlite3_stmt *stmt) {
	struct frame *frame = run->s->frame;
	for (int i = 0; i < run->r->assign_count; i++) {
		int slot = run->r->assign[i];
		if (slot >= 1 && slot <= frame->variable_count)
			exec_variable_set(&frame->variables[slot - 1], sqlite3_value_dup(sqlite3_column_value(stmt, i)));
	}
}

static void send_row(struct run *run, sqlite3_stmt *stmt) {
	struct session *s = run->s;
	struct sql_value values[SQL_MAX_COLUMNS];
	char scratch[SQL_MAX_COLUMNS][40];
	int count = run->r->column_count;
	if (s->insert_exec) {
		run->flow = insert_exec_row(s, stmt, count);
		return;
	}
	for (int i = 0; i < count; i++)
		functions_column(stmt, i, run->r->columns[i].type, &values[i], scratch[i]);
	if (s->sink->row(s->sink->arg, values, count) < 0) {
		s->gone = true;
		run->flow = FLOW_GONE;
	}
}

static int one_row(struct run *run, sqlite3_stmt *stmt) {
	if (run->r->assign_count)
		assign(run, stmt);
	if (run->r->column_count)
		send_row(run, stmt);
	if (run->r->feed_count)
		keep_row(run, stmt);
	return run->flow == FLOW_NEXT ? 0 : -1;
}

static int run_step(struct run *run, const struct tr_step *step) {
	struct session *s = run->s;
	int64_t limit = run->r->command == 193 && s->options.rowcount ? s->options.rowcount : INT64_MAX, n = 0;
	sqlite3_stmt *stmt = stmts_take(s->stmts, step->sql);
	int rc = SQLITE_ERROR;
	if (stmt && exec_bind(s, stmt) == 0)
		while (n < limit && (rc = sqlite3_step(stmt)) == SQLITE_ROW) {
			n++;
			if (step->kind == TR_ROWS && one_row(run, stmt) < 0)
				break;
		}
	bool failed = rc != SQLITE_DONE && rc != SQLITE_ROW;
	if (failed)
		exec_sqlite_error(s, run->line, &run->error);
	else if (step->counts)
		run->rows = step->kind == TR_ROWS ? n : sqlite3_changes64(s->db);
	stmts_put(s->stmts, stmt);
	return failed || run->flow != FLOW_NEXT ? -1 : 0;
}

static int run_feed(struct run *run, const struct tr_feed *feed) {
	struct session *s = run->s;
	sqlite3_stmt *stmt = run->kept_rows ? stmts_take(s->stmts, feed->sql) : NULL;
	int rc = run->kept_rows && !stmt ? SQLITE_ERROR : SQLITE_DONE;
	for (int row = 0; row < run->kept_rows && rc == SQLITE_DONE; row++) {
		exec_bind(s, stmt);
		for (int i = 0; i < feed->count; i++)
			sqlite3_bind_value(stmt, feed->into_first + i, run->kept[row * run->kept_width + feed->first + i]);
		rc = sqlite3_step(stmt);
		if (rc == SQLITE_DONE)
			sqlite3_reset(stmt);
	}
	if (rc != SQLITE_DONE)
		exec_sqlite_error(s, run->line, &run->error);
	stmts_put(s->stmts, stmt);
	return rc == SQLITE_DONE ? 0 : -1;
}

static int run_steps(struct run *run) {
	int rc = 0;
	for (int i = 0; i < run->r->step_count && rc == 0; i++)
		rc = run_step(run, &run->r->steps[i]);
	for (int i = 0; i < run->r->feed_count && rc == 0; i++)
		rc = run_feed(run, &run->r->feeds[i]);
	for (int i = 0; i < run->kept_rows * run->kept_width; i++)
		sqlite3_value_free(run->kept[i]);
	free(run->kept);
	return rc;
}

/* --- SELECT ... INTO --- */

static int create_into(struct session *s, struct tr_result *r, struct sqlerror *error) {
	struct arena *arena = &s->frame->arena;
	struct stmt *create = arena_alloc(arena, sizeof *create);
	create->kind = S_CREATE_TABLE;
	create->name = *r->into_table;
	create->line = r->into_table->line;
	create->def_count = r->column_count;
	create->defs = arena_alloc(arena, sizeof *create->defs * (size_t)r->column_count);
	for (int i = 0; i < r->column_count; i++) {
		const struct sql_column *c = &r->columns[i];
		if (!c->name[0])
			return sqlerror_set(error, 1038, create->line,
				"An object or column name is missing or empty. For SELECT INTO statements, "
				"verify each column has a name.");
		create->defs[i] = (struct column_def){
			.name = c->name,
			.type = { .type = c->type == SQL_ROWVERSION ? SQL_BINARY : c->type,
				.length = c->type == SQL_ROWVERSION ? 8 : c->length,
				.precision = c->precision,
				.scale = c->scale },
			.nullable = c->nullable,
			.null_said = true,
			.identity = c->identity,
			.seed = 1,
			.step = 1,
			.collation = r->collations ? r->collations[i] : NULL,
		};
	}
	const struct object *o = ddl_create_table(s, create, error);
	if (!o)
		return -1;
	const char *columns = "";
	for (int i = 0; i < o->column_count; i++)
		columns = arena_fmt(arena, "%s%s%s", columns, i ? "," : "", o->columns[i].sql);
	for (int i = 0; i < r->step_count; i++)
		if (r->steps[i].kind == TR_ROWS)
			r->steps[i] = (struct tr_step){ .kind = TR_RUN,
				.counts = true,
				.sql = arena_fmt(arena, "INSERT INTO %s(%s) %s", o->sql, columns, r->steps[i].sql) };
	r->column_count = 0;
	return 0;
}

/* --- the statement --- */

int exec_translate(struct session *s, struct stmt *stmt, struct tr_result **out, struct sqlerror *error) {
	int64_t version = catalog_version(s->catalog) * 31 + s->options.identity_insert;
	*out = stmt->plan;
	if (stmt->plan && stmt->plan_version == version)
		return 0;
	struct tr_host host = exec_host(s);
	struct tr_result *r = arena_alloc(&s->frame->arena, sizeof *r);
	if (translate_statement(&s->frame->arena, &host, stmt, r, error) < 0)
		return -1;
	*out = stmt->plan = r;
	stmt->plan_version = version;
	return 0;
}

static char event_of(const struct tr_result *r) { return r->command == 195 ? 'I' : r->command == 197 ? 'U' : 'D'; }

static bool has_trigger(const struct tr_result *r) {
	const struct object *o = r->target;
	char event = event_of(r);
	return o && ((event == 'I' && o->insert_trigger) || (event == 'U' && o->update_trigger) ||
			    (event == 'D' && o->delete_trigger));
}

static enum flow finish(struct run *run, bool counted) {
	struct session *s = run->s;
	s->rowcount = run->rows;
	bool silent = run->r->assign_count && !run->r->column_count;
	return exec_done(s, counted && !silent ? run->rows : -1, run->r->command, false);
}

static enum flow run_read(struct session *s, struct tr_result *r, int line) {
	struct run run = { .s = s, .r = r, .line = line, .flow = FLOW_NEXT };
	enum flow flow = r->column_count ? exec_columns(s, r->columns, r->column_count) : FLOW_NEXT;
	if (flow == FLOW_NEXT)
		flow = run_steps(&run) == 0 ? FLOW_NEXT : run.flow;
	tran_end_read(s);
	if (run.error.number)
		return exec_cancelled(s) ? FLOW_GONE : exec_fail(s, &run.error);
	return flow == FLOW_NEXT ? finish(&run, true) : flow;
}

/* With triggers the statement counts as a transaction for what runs inside. */
static enum flow write_with_triggers(struct session *s, struct stmt *stmt, struct run *run) {
	const struct object *table = run->r->target, *inserted, *deleted;
	char event = event_of(run->r);
	struct tr_result *r = arena_alloc(&s->frame->arena, sizeof *r);
	struct tr_host host = exec_host(s);
	inserted = ddl_capture_table(s, table, &run->error);
	deleted = inserted ? ddl_capture_table(s, table, &run->error) : NULL;
	if (!deleted)
		return FLOW_NEXT;
	host.capture_inserted = event == 'D' ? NULL : inserted;
	host.capture_deleted = event == 'I' ? NULL : deleted;
	enum flow flow = FLOW_NEXT;
	if (translate_statement(&s->frame->arena, &host, stmt, r, &run->error) == 0) {
		run->r = r;
		if (r->column_count)
			flow = exec_columns(s, r->columns, r->column_count);
		if (flow == FLOW_NEXT && run_steps(run) == 0)
			flow = procs_triggers(s, table, event, inserted, deleted);
		else if (flow == FLOW_NEXT)
			flow = run->flow;
	}
	ddl_drop_capture(s, inserted);
	ddl_drop_capture(s, deleted);
	return flow;
}

static enum flow run_write(struct session *s, struct stmt *stmt, struct tr_result *r) {
	struct run run = { .s = s, .r = r, .line = stmt->line, .flow = FLOW_NEXT };
	struct sqlerror error = { 0 };
	bool triggers = has_trigger(r), own = false;
	enum flow flow = FLOW_NEXT;
	s->command = r->command;
	s->command_target = r->target ? r->target->id : 0;
	if (r->target && exec_check_options(s, r->target,
				 r->command == 195   ? "INSERT"
				 : r->command == 197 ? "UPDATE"
						     : "DELETE",
				 stmt->line, &error) < 0)
		return exec_fail(s, &error);
	if (tran_begin_write(s, writes(s, r), stmt->line, &error) < 0)
		return exec_fail(s, &error);
	if (triggers) {
		own = s->trancount == 0;
		s->trancount += own;
		flow = write_with_triggers(s, stmt, &run);
	} else if (r->into_table && create_into(s, r, &run.error) < 0) {
		stmt->plan = NULL;
	} else {
		if (r->into_table)
			stmt->plan = NULL; /* its steps were changed */
		if (r->column_count && r->command != 193)
			flow = exec_columns(s, r->columns, r->column_count);
		if (flow == FLOW_NEXT)
			flow = run_steps(&run) == 0 ? FLOW_NEXT : run.flow;
	}
	if (own && s->trancount > 0)
		s->trancount--;
	counters_save(s);
	bool failed = run.error.number != 0 || flow != FLOW_NEXT;
	if (tran_end_write(s, failed, stmt->line, &run.error) < 0 && run.error.number)
		return exec_cancelled(s) ? FLOW_GONE : exec_fail(s, &run.error);
	return flow == FLOW_NEXT ? finish(&run, true) : flow;
}

enum flow exec_query(struct session *s, struct stmt *stmt) {
	struct sqlerror error = { 0 };
	struct tr_result *r;
	if (stmt->body)
		return exec_insert_exec(s, stmt);
	if (s->options.rowcount && stmt->kind != S_SELECT)
		return exec_failf(s, stmt->line, 40000,
			"SET ROWCOUNT for INSERT, UPDATE and DELETE is not supported by the stand-in; use TOP.");
	for (int i = 0; i < 5; i++) {
		if (exec_translate(s, stmt, &r, &error) < 0)
			return exec_fail(s, &error);
		if (r->use_count)
			tran_implicit(s);
		int64_t version = catalog_version(s->catalog);
		enum flow flow = exec_admit(s, r, stmt->line);
		if (flow != FLOW_NEXT)
			return flow;
		if (version == catalog_version(s->catalog))
			break;
	}
	return r->command == 193 && !r->into_table ? run_read(s, r, stmt->line) : run_write(s, stmt, r);
}
