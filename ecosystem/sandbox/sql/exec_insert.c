/* INSERT ... EXEC: the procedure's result sets are kept and then inserted as one statement. */
#include "ecosystem/sandbox/sql/exec.h"

#include <stdlib.h>
#include <string.h>

struct insert_exec {
	struct stmt *stmt;
	struct sql_column columns[SQL_MAX_COLUMNS];
	int count; /* 0 = none yet */
	sqlite3_value **values;
	int rows, cap;
	struct sqlerror error;
};

enum flow insert_exec_columns(struct session *s, const struct sql_column *columns, int count) {
	struct insert_exec *x = s->insert_exec;
	if (x->count && x->count != count)
		sqlerror_set(&x->error, 213, x->stmt->line, "Column name or number of supplied values does not match table definition.");
	if (!x->count) {
		memcpy(x->columns, columns, sizeof *columns * (size_t)count);
		x->count = count;
	}
	return FLOW_NEXT;
}

static sqlite3_value **new_row(struct insert_exec *x) {
	if (x->rows == x->cap) {
		x->cap = x->cap ? x->cap * 2 : 64;
		x->values = realloc(x->values, sizeof *x->values * (size_t)x->cap * (size_t)x->count);
		if (!x->values)
			abort();
	}
	return &x->values[x->rows++ * x->count];
}

enum flow insert_exec_row(struct session *s, sqlite3_stmt *stmt, int count) {
	struct insert_exec *x = s->insert_exec;
	if (x->error.number || count != x->count)
		return FLOW_NEXT;
	sqlite3_value **row = new_row(x);
	for (int i = 0; i < count; i++)
		row[i] = sqlite3_value_dup(sqlite3_column_value(stmt, i));
	return FLOW_NEXT;
}

enum flow insert_exec_values(struct session *s, const struct sql_value *values, int count) {
	struct insert_exec *x = s->insert_exec;
	if (x->error.number || count != x->count)
		return FLOW_NEXT;
	sqlite3_value **row = new_row(x);
	sqlite3_stmt *stmt = stmts_take(s->stmts, "SELECT ?1");
	for (int i = 0; i < count; i++) {
		row[i] = NULL;
		if (!stmt)
			continue;
		functions_bind(stmt, 1, x->columns[i].type, &values[i]);
		if (sqlite3_step(stmt) == SQLITE_ROW)
			row[i] = sqlite3_value_dup(sqlite3_column_value(stmt, 0));
		sqlite3_reset(stmt);
	}
	stmts_put(s->stmts, stmt);
	return FLOW_NEXT;
}

static int insert_rows(struct session *s, struct insert_exec *x, const struct tr_result *r) {
	for (int f = 0; f < r->feed_count; f++) {
		const struct tr_feed *feed = &r->feeds[f];
		sqlite3_stmt *stmt = stmts_take(s->stmts, feed->sql);
		int rc = stmt ? SQLITE_DONE : SQLITE_ERROR;
		for (int row = 0; row < x->rows && rc == SQLITE_DONE; row++) {
			exec_bind(s, stmt);
			for (int i = 0; i < feed->count; i++) {
				sqlite3_value *value = x->values[row * x->count + feed->first + i];
				if (value)
					sqlite3_bind_value(stmt, feed->into_first + i, value);
			}
			rc = sqlite3_step(stmt);
			if (rc == SQLITE_DONE)
				sqlite3_reset(stmt);
		}
		if (rc != SQLITE_DONE)
			exec_sqlite_error(s, x->stmt->line, &x->error);
		stmts_put(s->stmts, stmt);
		if (rc != SQLITE_DONE)
			return -1;
	}
	return 0;
}

static enum flow insert(struct session *s, struct insert_exec *x) {
	struct tr_host host = exec_host(s);
	struct tr_result *r = arena_alloc(&s->frame->arena, sizeof *r);
	struct sqlerror error = x->error;
	if (!error.number && x->count &&
	    translate_insert_rows(&s->frame->arena, &host, x->stmt, x->columns, x->count, r, &error) == 0) {
		enum flow flow = exec_admit(s, r, x->stmt->line);
		if (flow != FLOW_NEXT)
			return flow;
		s->command = 195;
		bool durable = r->target && !r->target->temporary;
		if (tran_begin_write(s, durable || s->trancount > 0, x->stmt->line, &error) < 0)
			return exec_fail(s, &error);
		int rc = insert_rows(s, x, r);
		counters_save(s);
		if (tran_end_write(s, rc < 0, x->stmt->line, &x->error) < 0)
			error = x->error;
	}
	if (error.number)
		return exec_fail(s, &error);
	s->rowcount = x->rows;
	return exec_done(s, x->rows, 195, false);
}

enum flow exec_insert_exec(struct session *s, struct stmt *stmt) {
	if (s->insert_exec)
		return exec_failf(s, stmt->line, 8164, "An INSERT EXEC statement cannot be nested.");
	struct insert_exec *x = calloc(1, sizeof *x);
	if (!x)
		abort();
	x->stmt = stmt;
	s->insert_exec = x;
	enum flow flow = exec_statement(s, stmt->body);
	s->insert_exec = NULL;
	if (flow == FLOW_NEXT)
		flow = insert(s, x);
	for (int i = 0; i < x->rows * x->count; i++)
		sqlite3_value_free(x->values[i]);
	free(x->values);
	free(x);
	return flow;
}
