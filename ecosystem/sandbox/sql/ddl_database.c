/* CREATE, ALTER and DROP DATABASE. Not in a transaction, as on SQL Server. */
#include "ecosystem/sandbox/sql/ddl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include "ecosystem/sandbox/sql/collation.h"
#include "ecosystem/sandbox/sql/logins.h"

static int create(struct ddl *d) {
	const char *collation = d->stmt->text2 ? collation_canonical(d->stmt->text2) : catalog_server_collation(d->s->catalog);
	if (!collation)
		return sqlerror_set(&d->error, 448, d->stmt->line, "Invalid collation '%.128s'.", d->stmt->text2);
	if (catalog_database(d->s->catalog, d->stmt->text))
		return sqlerror_set(&d->error, 1801, d->stmt->line,
			"Database '%.128s' already exists. Choose a different database name.", d->stmt->text);
	char now[24] = "";
	sqlite3_stmt *stmt = stmts_take(d->s->stmts, "SELECT strftime('%Y-%m-%d %H:%M:%f', 'now', 'localtime')");
	if (stmt && sqlite3_step(stmt) == SQLITE_ROW)
		snprintf(now, sizeof now, "%s", (const char *)sqlite3_column_text(stmt, 0));
	stmts_put(d->s->stmts, stmt);
	if (logins_new_database(d->s->db, d->stmt->text, collation, now) == SQLITE_OK)
		return 0;
	exec_sqlite_error(d->s, d->stmt->line, &d->error);
	return -1;
}

static int not_there(struct ddl *d, const char *verb, const char *name) {
	return sqlerror_set(&d->error, strcmp(verb, "drop") == 0 ? 3701 : 5011, d->stmt->line,
		strcmp(verb, "drop") == 0
			? "Cannot drop the database '%.128s', because it does not exist or you do not have permission."
			: "User does not have permission to alter database '%.128s', the database does not exist, or the "
			  "database is not in a state that "
			  "allows access checks.",
		name);
}

/* --- DROP --- */

static int drop_one(struct ddl *d, const char *name) {
	const struct database *db = catalog_database(d->s->catalog, name);
	if (!db)
		return d->stmt->flag ? 0 : not_there(d, "drop", name);
	if (db->id <= 4)
		return sqlerror_set(&d->error, 3708, d->stmt->line,
			"Cannot drop the database '%s' because it is a system database.", db->name);
	if (db->id == catalog_current(d->s->catalog)->id || engine_single_user_taken(d->s->engine, db->id, d->s))
		return sqlerror_set(
			&d->error, 3702, d->stmt->line, "Cannot drop database \"%s\" because it is currently in use.", db->name);
	sqlite3_stmt *stmt = stmts_take(d->s->stmts, "SELECT id FROM m_object WHERE db = ?1 AND type = 'U'");
	if (stmt)
		sqlite3_bind_int(stmt, 1, db->id);
	struct vec ids = { 0 };
	while (stmt && sqlite3_step(stmt) == SQLITE_ROW)
		vec_add(d->arena, &ids, arena_fmt(d->arena, "%lld", (long long)sqlite3_column_int64(stmt, 0)));
	stmts_put(d->s->stmts, stmt);
	stmts_clear(d->s->stmts);
	for (int i = 0; i < ids.count; i++)
		if (exec_runf(d->s, d->stmt->line, &d->error, "DROP TABLE t%s", (const char *)ids.at[i]) < 0)
			return -1;
	return exec_runf(d->s, d->stmt->line, &d->error,
		"DELETE FROM m_column WHERE object IN (SELECT id FROM m_object WHERE db = %d);"
		"DELETE FROM m_index WHERE object IN (SELECT id FROM m_object WHERE db = %d);"
		"DELETE FROM m_index_column WHERE object IN (SELECT id FROM m_object WHERE db = %d);"
		"DELETE FROM m_fkey WHERE object IN (SELECT id FROM m_object WHERE db = %d);"
		"DELETE FROM m_object WHERE db = %d; DELETE FROM m_schema WHERE db = %d; DELETE FROM m_principal WHERE db = %d;"
		"DELETE FROM m_member WHERE db = %d; DELETE FROM m_permission WHERE db = %d; DELETE FROM m_database WHERE id = "
		"%d",
		db->id, db->id, db->id, db->id, db->id, db->id, db->id, db->id, db->id, db->id);
}

static int drop(struct ddl *d) {
	for (int i = 0; i < d->stmt->name_count; i++)
		if (drop_one(d, d->stmt->names[i].part[d->stmt->names[i].count - 1]) < 0)
			return -1;
	return 0;
}

/* --- ALTER --- */

static int set(struct ddl *d, const struct database *db, const char *column, int64_t value) {
	return exec_sql(d->s, &d->error, arena_fmt(d->arena, "UPDATE m_database SET %s = ?2 WHERE id = ?1", column), "ii",
		(int64_t)db->id, value);
}

/* The others must have left (ROLLBACK IMMEDIATE sees to it, see alter_database), or the statement fails. */
static int others_leave(struct ddl *d, const struct database *db) {
	if (d->stmt->flag || !engine_single_user_taken(d->s->engine, db->id, d->s))
		return 0;
	if (d->stmt->flag2)
		return sqlerror_set(&d->error, 5070, d->stmt->line,
			"Database state cannot be changed while other users are using the database '%s'", db->name);
	return sqlerror_set(&d->error, 5061, d->stmt->line,
		"ALTER DATABASE failed because a lock could not be placed on database '%s'. Try again later.", db->name);
}

static bool harmless(const char *option) {
	static const char *const names[] = { "RECOVERY", "AUTO_CLOSE", "AUTO_SHRINK", "AUTO_CREATE_STATISTICS",
		"AUTO_UPDATE_STATISTICS", "AUTO_UPDATE_STATISTICS_ASYNC", "PAGE_VERIFY", "QUERY_STORE", "DB_CHAINING",
		"TRUSTWORTHY", "CURSOR_CLOSE_ON_COMMIT", "CURSOR_DEFAULT", "ENABLE_BROKER", "DISABLE_BROKER", "PARAMETERIZATION",
		"TARGET_RECOVERY_TIME", "DELAYED_DURABILITY", "READ_WRITE", "ANSI_NULLS", "ANSI_PADDING", "ANSI_WARNINGS",
		"ARITHABORT", "QUOTED_IDENTIFIER", "CONCAT_NULL_YIELDS_NULL", "ANSI_NULL_DEFAULT", "NUMERIC_ROUNDABORT",
		"RECURSIVE_TRIGGERS", "DATE_CORRELATION_OPTIMIZATION", NULL };
	for (int i = 0; names[i]; i++)
		if (strcmp(names[i], option) == 0)
			return true;
	return false;
}

static int rename_database(struct ddl *d, const struct database *db, const char *name) {
	if (catalog_database(d->s->catalog, name))
		return sqlerror_set(&d->error, 1801, d->stmt->line,
			"Database '%.128s' already exists. Choose a different database name.", name);
	return exec_sql(d->s, &d->error, "UPDATE m_database SET name = ?2 WHERE id = ?1", "is", (int64_t)db->id, name);
}

static int collate(struct ddl *d, const struct database *db, const char *name) {
	const char *collation = collation_canonical(name);
	if (!collation)
		return sqlerror_set(&d->error, 448, d->stmt->line, "Invalid collation '%.128s'.", name);
	return exec_sql(d->s, &d->error, "UPDATE m_database SET collation = ?2 WHERE id = ?1", "is", (int64_t)db->id, collation);
}

static int option(struct ddl *d, const struct database *db, const char *name, const char *value) {
	bool on = strcmp(value, "ON") == 0;
	if (strcmp(name, "COMPATIBILITY_LEVEL") == 0) {
		long level = strtol(value, NULL, 10);
		if (level != 100 && level != 110 && level != 120 && level != 130 && level != 140 && level != 150)
			return sqlerror_set(&d->error, 15048, d->stmt->line,
				"Valid values of the database compatibility level are 100, 110, 120, 130, 140, or "
				"150.");
		return set(d, db, "compat", level);
	}
	if (strcmp(name, "READ_COMMITTED_SNAPSHOT") == 0)
		return others_leave(d, db) < 0 ? -1 : set(d, db, "snapshot", on);
	if (strcmp(name, "ALLOW_SNAPSHOT_ISOLATION") == 0)
		return set(d, db, "allow_snapshot", on);
	if (strcmp(name, "SINGLE_USER") == 0)
		return others_leave(d, db) < 0 ? -1 : set(d, db, "single", ACCESS_SINGLE);
	if (strcmp(name, "RESTRICTED_USER") == 0)
		return others_leave(d, db) < 0 ? -1 : set(d, db, "single", ACCESS_RESTRICTED);
	if (strcmp(name, "MULTI_USER") == 0)
		return set(d, db, "single", ACCESS_MULTI);
	if (strcmp(name, "OFFLINE") == 0)
		return others_leave(d, db) < 0 ? -1 : set(d, db, "state", DATABASE_OFFLINE);
	if (strcmp(name, "ONLINE") == 0)
		return set(d, db, "state", DATABASE_ONLINE);
	if (strcmp(name, "COLLATE") == 0)
		return collate(d, db, value);
	if (strcmp(name, "NAME") == 0)
		return rename_database(d, db, value);
	return harmless(name) ? 0
			      : sqlerror_set(&d->error, 5058, d->stmt->line, "Option '%.60s' cannot be set in database '%s'.",
					name, db->name);
}

static bool has_option(const struct stmt *stmt, const char *name) {
	for (int i = 0; i + 1 < stmt->column_count; i += 2)
		if (strcmp(stmt->columns[i], name) == 0)
			return true;
	return false;
}

static bool wants_it_alone(const struct stmt *stmt) {
	return has_option(stmt, "SINGLE_USER") || has_option(stmt, "RESTRICTED_USER") || has_option(stmt, "OFFLINE") ||
	       has_option(stmt, "READ_COMMITTED_SNAPSHOT");
}

/* Asked before the locks are, which the others may hold. */
static int may_alter(struct ddl *d, const struct database *db) {
	char state[20];
	if (db->state != DATABASE_ONLINE && db->state != DATABASE_OFFLINE) {
		snprintf(state, sizeof state, "%c%s", catalog_state_name(db->state)[0], catalog_state_name(db->state) + 1);
		for (char *p = state + 1; *p; p++)
			*p = (char)(*p == '_' ? ' ' : *p | 0x20);
		return sqlerror_set(
			&d->error, 5052, d->stmt->line, "ALTER DATABASE is not permitted while a database is in the %s state.", state);
	}
	if (db->access == ACCESS_SINGLE && engine_single_user_taken(d->s->engine, db->id, d->s))
		return sqlerror_set(&d->error, 5064, d->stmt->line,
			"Changes to the state or options of database '%s' cannot be made at this time. The database is in single-user "
			"mode, and a user is currently connected to it.",
			db->name);
	return wants_it_alone(d->stmt) ? others_leave(d, db) : 0;
}

/* WITH ROLLBACK IMMEDIATE: the others go, also those that hold the locks this statement needs, and those that came meanwhile. */
static void clear_out(struct session *s, const struct stmt *stmt, const struct database *db) {
	if (engine_kill_database(s->engine, db->id, s) == 0)
		return;
	static const char text[] = "Nonqualified transactions are being rolled back. Estimated rollback completion: %d%%.";
	char line[sizeof text + 4];
	for (int percent = 0; percent <= 100; percent += 100) {
		snprintf(line, sizeof line, text, percent);
		exec_info(s, 5060, 10, percent ? 1 : 2, stmt->line, line);
	}
}

/* The session that makes it single-user has it until it goes, wherever it is. */
static void remember_holder(struct session *s, const struct stmt *stmt, int database) {
	if (has_option(stmt, "SINGLE_USER"))
		atomic_store(&s->holds_single, database);
	else if (atomic_load(&s->holds_single) == database && (has_option(stmt, "MULTI_USER") || has_option(stmt, "RESTRICTED_USER")))
		atomic_store(&s->holds_single, 0);
}

static int alter(struct ddl *d) {
	const struct database *db =
		d->stmt->text ? catalog_database(d->s->catalog, d->stmt->text) : catalog_current(d->s->catalog);
	if (!db)
		return not_there(d, "alter", d->stmt->text);
	if (may_alter(d, db) < 0)
		return -1;
	for (int i = 0; i + 1 < d->stmt->column_count; i += 2)
		if (option(d, db, d->stmt->columns[i], d->stmt->columns[i + 1]) < 0)
			return -1;
	return 0;
}

/* Two errors, as the real one has it: why, and that it failed. */
static enum flow failed_alter(struct session *s, const struct sqlerror *error) {
	if (error->number == 5011 || error->number == 5061 || error->number == 5064 || error->number == 5070 || error->number == 5052) {
		exec_info(s, error->number, error->severity, error->state, error->line, error->text);
		return exec_failf(s, error->line, 5069, "ALTER DATABASE statement failed.");
	}
	return exec_fail(s, error);
}

enum flow ddl_database(struct session *s, struct stmt *stmt) {
	struct arena arena = { 0 };
	struct ddl d = { .s = s, .stmt = stmt, .arena = &arena };
	struct lock_request request = { .resource = "writer", .mode = LOCK_X, .life = LOCK_TRANSACTION };
	const char *verb = stmt->kind == S_CREATE_DATABASE  ? "CREATE DATABASE"
			   : stmt->kind == S_ALTER_DATABASE ? "ALTER DATABASE"
							    : "DROP DATABASE";
	if (s->trancount > 0)
		return exec_failf(s, stmt->line, 226, "%s statement not allowed within multi-statement transaction.", verb);
	if (!security_is_admin(s))
		return exec_failf(s, stmt->line, 262, "%s permission denied in database 'master'.", verb);
	const struct database *db = stmt->kind != S_ALTER_DATABASE ? NULL
				    : stmt->text		   ? catalog_database(s->catalog, stmt->text)
								   : catalog_current(s->catalog);
	int altered = db ? db->id : 0;
	if (db && may_alter(&d, db) < 0)
		return failed_alter(s, &d.error);
	if (db && stmt->flag && wants_it_alone(stmt))
		clear_out(s, stmt, db);
	enum flow flow = tran_lock(s, &request, 1, stmt->line);
	if (flow != FLOW_NEXT)
		return flow;
	int rc = tran_begin_write(s, true, stmt->line, &d.error);
	if (rc == 0) {
		rc = stmt->kind == S_CREATE_DATABASE ? create(&d) : stmt->kind == S_ALTER_DATABASE ? alter(&d) : drop(&d);
		if (rc == 0 && catalog_changed(s->catalog) != SQLITE_OK)
			rc = -1;
		if (tran_end_write(s, rc < 0, stmt->line, &d.error) < 0)
			rc = -1;
	}
	arena_release(&arena);
	catalog_refresh(s->catalog);
	if (rc < 0)
		return altered || stmt->kind == S_ALTER_DATABASE ? failed_alter(s, &d.error) : exec_fail(s, &d.error);
	if (altered) {
		remember_holder(s, stmt, altered);
		if (stmt->flag && wants_it_alone(stmt) && (db = catalog_database_by_id(s->catalog, altered)))
			clear_out(s, stmt, db);
	}
	return exec_done(s, -1, 0, false);
}
