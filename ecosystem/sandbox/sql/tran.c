/* Transactions: @@TRANCOUNT and savepoints over SQLite's one transaction, which begins with the first write.
 * Table variables are outside of transactions: their rows are carried over a rollback. */
#include "ecosystem/sandbox/sql/exec.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* --- table variables over a rollback --- */

struct kept_row {
	struct kept_row *next;
	int count;
	sqlite3_value *values[];
};

struct kept_table {
	struct kept_table *next;
	const char *name; /* without "temp." */
	struct vec create;
	struct kept_row *rows, **last;
};

static void keep_rows(struct session *s, struct arena *arena, struct kept_table *t) {
	sqlite3_stmt *stmt = NULL;
	sqlite3_prepare_v2(s->db, arena_fmt(arena, "SELECT * FROM temp.\"%s\" ORDER BY rowid", t->name), -1, &stmt, NULL);
	t->last = &t->rows;
	while (stmt && sqlite3_step(stmt) == SQLITE_ROW) {
		int n = sqlite3_column_count(stmt);
		struct kept_row *row = arena_alloc(arena, sizeof *row + sizeof row->values[0] * (size_t)n);
		row->count = n;
		for (int i = 0; i < n; i++)
			row->values[i] = sqlite3_value_dup(sqlite3_column_value(stmt, i));
		*t->last = row;
		t->last = &row->next;
	}
	sqlite3_finalize(stmt);
	sqlite3_prepare_v2(s->db, "SELECT sql FROM temp.sqlite_master WHERE tbl_name = ?1 AND sql IS NOT NULL ORDER BY type DESC", -1,
			   &stmt, NULL);
	if (stmt)
		sqlite3_bind_text(stmt, 1, t->name, -1, SQLITE_STATIC);
	while (stmt && sqlite3_step(stmt) == SQLITE_ROW)
		vec_add(arena, &t->create, arena_fmt(arena, "%s", (const char *)sqlite3_column_text(stmt, 0)));
	sqlite3_finalize(stmt);
}

static struct kept_table *keep_tables(struct session *s, struct arena *arena) {
	struct kept_table *first = NULL;
	struct object *o;
	for (int i = 0; (o = catalog_each_temporary(s->catalog, i)); i++) {
		if (o->name[0] != '@')
			continue;
		struct kept_table *t = arena_alloc(arena, sizeof *t);
		t->name = o->sql + strlen("temp.");
		t->next = first;
		first = t;
		keep_rows(s, arena, t);
	}
	return first;
}

/* SQLite keeps "CREATE TABLE x1(...)" without the schema: it goes back to temp. */
static void create_again(struct session *s, struct arena *arena, const char *sql) {
	const char *rest = strncasecmp(sql, "CREATE TABLE ", 13) == 0 ? sql + 13 : NULL;
	const char *index = rest ? NULL : strstr(sql, "INDEX ");
	if (rest)
		sqlite3_exec(s->db, arena_fmt(arena, "CREATE TABLE temp.%s", rest), NULL, NULL, NULL);
	else if (index)
		sqlite3_exec(s->db, arena_fmt(arena, "%.*stemp.%s", (int)(index + 6 - sql), sql, index + 6), NULL, NULL, NULL);
}

static void put_rows(struct session *s, struct arena *arena, const struct kept_table *t) {
	if (!t->rows)
		return;
	const char *sql = arena_fmt(arena, "INSERT INTO temp.\"%s\" VALUES(", t->name);
	for (int i = 0; i < t->rows->count; i++)
		sql = arena_fmt(arena, "%s%s?", sql, i ? "," : "");
	sqlite3_stmt *stmt = NULL;
	sqlite3_prepare_v2(s->db, arena_fmt(arena, "%s)", sql), -1, &stmt, NULL);
	for (struct kept_row *row = t->rows; row; row = row->next) {
		for (int i = 0; i < row->count; i++) {
			if (stmt)
				sqlite3_bind_value(stmt, i + 1, row->values[i]);
			sqlite3_value_free(row->values[i]);
		}
		if (stmt) {
			sqlite3_step(stmt);
			sqlite3_reset(stmt);
		}
	}
	sqlite3_finalize(stmt);
}

static bool temp_exists(struct session *s, const char *sql) {
	return exec_int(s, 0, "SELECT count(*) FROM temp.sqlite_master WHERE name = ?1", "s", sql + strlen("temp.")) > 0;
}

static void restore_tables(struct session *s, struct arena *arena, struct kept_table *first) {
	for (struct kept_table *t = first; t; t = t->next) {
		sqlite3_exec(s->db, arena_fmt(arena, "DROP TABLE IF EXISTS temp.\"%s\"", t->name), NULL, NULL, NULL);
		for (int i = 0; i < t->create.count; i++)
			create_again(s, arena, t->create.at[i]);
		put_rows(s, arena, t);
	}
	struct object *o;
	for (int i = 0; (o = catalog_each_temporary(s->catalog, i)); i++)
		if (!temp_exists(s, o->sql)) {
			catalog_remove_temporary(s->catalog, o);
			i--;
		}
}

static void sqlite_rollback(struct session *s, const char *sql) {
	struct arena arena = { 0 };
	struct kept_table *kept = keep_tables(s, &arena);
	sqlite3_exec(s->db, sql, NULL, NULL, NULL);
	restore_tables(s, &arena, kept);
	arena_release(&arena);
	catalog_refresh(s->catalog);
}

/* --- the whole transaction --- */

void tran_rollback_all(struct session *s) {
	if (s->in_sqlite)
		sqlite_rollback(s, "ROLLBACK");
	s->in_sqlite = s->doomed = false;
	s->trancount = s->savepoint_count = 0;
	locks_end_transaction(s->engine->locks, s->id);
}

static int commit_all(struct session *s, int line, struct sqlerror *error) {
	int rc = 0;
	if (s->in_sqlite && sqlite3_exec(s->db, "COMMIT", NULL, NULL, NULL) != SQLITE_OK) {
		exec_sqlite_error(s, line, error);
		rc = -1;
		sqlite3_exec(s->db, "ROLLBACK", NULL, NULL, NULL);
	}
	s->in_sqlite = false;
	s->trancount = s->savepoint_count = 0;
	locks_end_transaction(s->engine->locks, s->id);
	return rc;
}

enum flow tran_begin(struct session *s, const struct stmt *stmt) {
	if (s->doomed)
		return exec_failf(s, stmt->line, 3930, "The current transaction cannot be committed and cannot support operations that "
				  "write to the log file. Roll back the transaction.");
	s->trancount++;
	return FLOW_NEXT;
}

void tran_implicit(struct session *s) {
	if (s->options.implicit_transactions && s->trancount == 0)
		s->trancount = 1;
}

enum flow tran_commit(struct session *s, const struct stmt *stmt) {
	struct sqlerror error = { 0 };
	if (s->trancount == 0)
		return exec_failf(s, stmt->line, 3902, "The COMMIT TRANSACTION request has no corresponding BEGIN TRANSACTION.");
	if (s->doomed)
		return exec_failf(s, stmt->line, 3930, "The current transaction cannot be committed and cannot support operations that "
				  "write to the log file. Roll back the transaction.");
	if (s->trancount > 1) {
		s->trancount--;
		return FLOW_NEXT;
	}
	return commit_all(s, stmt->line, &error) < 0 ? exec_fail(s, &error) : FLOW_NEXT;
}

/* Names are in a variable now and then; only savepoints have names that matter. */
static const char *name_of(struct session *s, const char *text) {
	struct variable *v = text && text[0] == '@' ? exec_variable(s->frame, text) : NULL;
	return v && v->value ? (const char *)sqlite3_value_text(v->value) : text;
}

static enum flow rollback_to(struct session *s, int i, int line) {
	char sql[100];
	if (s->doomed)
		return exec_failf(s, line, 3931, "The current transaction cannot be committed and cannot be rolled back to a savepoint. "
				  "Roll back the entire transaction.");
	if (s->savepoints[i].id) {
		snprintf(sql, sizeof sql, "ROLLBACK TO u%d", s->savepoints[i].id);
		sqlite_rollback(s, sql);
	} else if (s->in_sqlite) {
		sqlite_rollback(s, "ROLLBACK");
		s->in_sqlite = false;
	}
	s->savepoint_count = i + 1;
	return FLOW_NEXT;
}

enum flow tran_rollback_statement(struct session *s, const struct stmt *stmt) {
	const char *name = name_of(s, stmt->text);
	if (s->trancount == 0)
		return exec_failf(s, stmt->line, 3903, "The ROLLBACK TRANSACTION request has no corresponding BEGIN TRANSACTION.");
	for (int i = s->savepoint_count - 1; name && i >= 0; i--)
		if (strcasecmp(s->savepoints[i].name, name) == 0)
			return rollback_to(s, i, stmt->line);
	tran_rollback_all(s);
	return FLOW_NEXT;
}

enum flow tran_save(struct session *s, const struct stmt *stmt) {
	const char *name = name_of(s, stmt->text);
	char sql[100];
	if (s->trancount == 0)
		return exec_failf(s, stmt->line, 628, "Cannot issue SAVE TRANSACTION when there is no active transaction.");
	if (s->doomed)
		return exec_failf(s, stmt->line, 3930, "The current transaction cannot be committed and cannot support operations that "
				  "write to the log file. Roll back the transaction.");
	if (s->savepoint_count == SAVEPOINTS_MAX)
		return exec_failf(s, stmt->line, 50000, "More than %d savepoints in a transaction are not supported here.", SAVEPOINTS_MAX);
	struct savepoint *point = &s->savepoints[s->savepoint_count++];
	snprintf(point->name, sizeof point->name, "%s", name);
	point->id = 0;
	if (s->in_sqlite) {
		point->id = ++s->savepoint_id;
		snprintf(sql, sizeof sql, "SAVEPOINT u%d", point->id);
		sqlite3_exec(s->db, sql, NULL, NULL, NULL);
	}
	return FLOW_NEXT;
}

/* --- one statement --- */

int tran_begin_write(struct session *s, bool durable, int line, struct sqlerror *error) {
	char sql[60];
	if (s->doomed)
		return sqlerror_set(error, 3930, line, "The current transaction cannot be committed and cannot support operations that "
				    "write to the log file. Roll back the transaction.");
	if (durable && !s->in_sqlite) {
		if (sqlite3_exec(s->db, "BEGIN IMMEDIATE", NULL, NULL, NULL) != SQLITE_OK) {
			exec_sqlite_error(s, line, error);
			return -1;
		}
		s->in_sqlite = true;
	}
	snprintf(sql, sizeof sql, "SAVEPOINT w%d", ++s->write_depth);
	if (sqlite3_exec(s->db, sql, NULL, NULL, NULL) != SQLITE_OK) {
		exec_sqlite_error(s, line, error);
		s->write_depth--;
		return -1;
	}
	return 0;
}

int tran_end_write(struct session *s, bool failed, int line, struct sqlerror *error) {
	char sql[60];
	int depth = s->write_depth--;
	bool gone = sqlite3_get_autocommit(s->db) != 0; /* a trigger rolled back everything */
	if (failed && !gone) {
		snprintf(sql, sizeof sql, "ROLLBACK TO w%d", depth);
		sqlite3_exec(s->db, sql, NULL, NULL, NULL);
	}
	snprintf(sql, sizeof sql, "RELEASE w%d", depth);
	if (!gone && sqlite3_exec(s->db, sql, NULL, NULL, NULL) != SQLITE_OK && !failed) {
		exec_sqlite_error(s, line, error);
		failed = true;
	}
	if (s->trancount > 0 || s->write_depth > 0)
		return failed ? -1 : 0;
	if (failed) {
		if (s->in_sqlite)
			sqlite3_exec(s->db, "ROLLBACK", NULL, NULL, NULL);
		s->in_sqlite = false;
		locks_end_transaction(s->engine->locks, s->id);
		return -1;
	}
	return commit_all(s, line, error);
}

void tran_end_read(struct session *s) {
	if (s->trancount == 0 && s->write_depth == 0)
		locks_end_transaction(s->engine->locks, s->id);
}

static bool cancelled(void *arg) {
	return exec_cancelled(arg);
}

enum flow tran_lock(struct session *s, const struct lock_request *requests, int count, int line) {
	struct lock_wait wait = { .timeout_ms = s->options.lock_timeout, .priority = s->options.deadlock_priority,
				  .cancelled = cancelled, .arg = s };
	switch (locks_acquire(s->engine->locks, s->id, requests, count, &wait)) {
	case LOCK_OK:
		return FLOW_NEXT;
	case LOCK_WAITED:
		catalog_refresh(s->catalog);
		return atomic_load(&s->killed) ? FLOW_GONE : FLOW_NEXT;
	case LOCK_TIMEOUT:
		return exec_failf(s, line, 1222, "Lock request time out period exceeded.");
	case LOCK_CANCELLED:
		return FLOW_GONE;
	case LOCK_DEADLOCK:
		break;
	}
	return exec_failf(s, line, 1205, "Transaction (Process ID %d) was deadlocked on lock resources with another process and has been "
			  "chosen as the deadlock victim. Rerun the transaction.", s->id);
}
