/* The engine's face: opening the file, logging in, running a batch, ending sessions.
 * A session has its own SQLite connection; what they share is the lock table, the identity counters and the session list. */
#include "ecosystem/sandbox/sql/exec.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>
#include "ecosystem/sandbox/sql/collation.h"
#include "ecosystem/sandbox/sql/logins.h"

/* --- connections --- */

static int configure(sqlite3 *db) {
	static const char sql[] =
		"PRAGMA journal_mode = WAL; PRAGMA synchronous = OFF; PRAGMA foreign_keys = ON; PRAGMA temp_store = MEMORY; "
		"PRAGMA cache_size = -16000; PRAGMA mmap_size = 268435456; PRAGMA recursive_triggers = OFF;";
	sqlite3_busy_timeout(db, 10000);
	return sqlite3_exec(db, sql, NULL, NULL, NULL);
}

static sqlite3 *connect_file(const char *file, struct err *err) {
	sqlite3 *db = NULL;
	int rc = sqlite3_open_v2(file, &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_FULLMUTEX, NULL);
	if (rc == SQLITE_OK)
		rc = configure(db);
	if (rc == SQLITE_OK)
		return db;
	err_set(err, ERR_PERM, "SQLITE", "%s: %s", file, db ? sqlite3_errmsg(db) : sqlite3_errstr(rc));
	sqlite3_close(db);
	return NULL;
}

static void now_text(char *out, size_t size) {
	struct timespec t;
	struct tm tm;
	clock_gettime(CLOCK_REALTIME, &t);
	localtime_r(&t.tv_sec, &tm);
	size_t n = strftime(out, size, "%Y-%m-%d %H:%M:%S", &tm);
	snprintf(out + n, size - n, ".%03d", (int)(t.tv_nsec / 1000000) / 10 * 10);
}

/* --- opening --- */

static int load_counters(struct engine *e, sqlite3 *db, struct err *err) {
	sqlite3_stmt *stmt = NULL;
	int rc = sqlite3_prepare_v2(db, "SELECT object, last FROM m_counter", -1, &stmt, NULL);
	while (rc == SQLITE_OK && sqlite3_step(stmt) == SQLITE_ROW) {
		if (e->counter_count == e->counter_cap) {
			e->counter_cap = e->counter_cap ? e->counter_cap * 2 : 64;
			e->counters = realloc(e->counters, sizeof *e->counters * (size_t)e->counter_cap);
			if (!e->counters)
				abort();
		}
		e->counters[e->counter_count++] = (struct counter){
			.object = sqlite3_column_int64(stmt, 0), .last = sqlite3_column_int64(stmt, 1), .used = true
		};
	}
	sqlite3_finalize(stmt);
	stmt = NULL;
	if (rc == SQLITE_OK)
		rc = sqlite3_prepare_v2(db, "SELECT value FROM m_meta WHERE key = 'version'", -1, &stmt, NULL);
	if (rc == SQLITE_OK && sqlite3_step(stmt) == SQLITE_ROW)
		atomic_store(&e->versions, sqlite3_column_int64(stmt, 0) + 1);
	sqlite3_finalize(stmt);
	return rc == SQLITE_OK ? 0 : err_set(err, ERR_PERM, "SQLITE", "catalogue: %s", sqlite3_errmsg(db));
}

struct engine *engine_open(const char *file, const char *user, const char *password, const char *collation, struct err *err) {
	const char *canonical = collation_canonical(collation);
	sqlite3 *db = NULL;
	struct engine *e = NULL;
	if (!canonical) {
		err_set(err, ERR_PERM, "COLLATION", "%s is no collation the stand-in knows", collation);
		return NULL;
	}
	db = connect_file(file, err);
	if (!db)
		return NULL;
	e = calloc(1, sizeof *e);
	if (e) {
		snprintf(e->file, sizeof e->file, "%s", file);
		snprintf(e->collation, sizeof e->collation, "%s", canonical);
		now_text(e->started, sizeof e->started);
		pthread_mutex_init(&e->mutex, NULL);
		e->locks = locks_new();
	}
	if (!e || !e->locks)
		err_set(err, ERR_TEMP, "MEMORY", "out of memory");
	else if (catalog_prepare(db, canonical, err) == 0 &&
		 logins_prepare(db, user, password, canonical, e->started, err) == 0 && load_counters(e, db, err) == 0) {
		sqlite3_close(db);
		return e;
	}
	engine_close(e);
	sqlite3_close(db);
	return NULL;
}

void engine_close(struct engine *e) {
	if (!e)
		return;
	locks_free(e->locks);
	pthread_mutex_destroy(&e->mutex);
	free(e->counters);
	free(e);
}

/* --- the list of sessions --- */

static int enlist(struct engine *e, struct session *s) {
	int rc = -1;
	pthread_mutex_lock(&e->mutex);
	for (int i = 0; i < SESSIONS_MAX && rc < 0; i++)
		if (!e->sessions[i]) {
			e->sessions[i] = s;
			s->id = 51 + i;
			rc = 0;
		}
	pthread_mutex_unlock(&e->mutex);
	return rc;
}

static void delist(struct engine *e, struct session *s) {
	pthread_mutex_lock(&e->mutex);
	for (int i = 0; i < SESSIONS_MAX; i++)
		if (e->sessions[i] == s)
			e->sessions[i] = NULL;
	pthread_mutex_unlock(&e->mutex);
}

void engine_each_session(struct engine *e, void (*each)(void *arg, struct session *other), void *arg) {
	pthread_mutex_lock(&e->mutex);
	for (int i = 0; i < SESSIONS_MAX; i++)
		if (e->sessions[i])
			each(arg, e->sessions[i]);
	pthread_mutex_unlock(&e->mutex);
}

static bool occupies(const struct session *s, int database) {
	return atomic_load(&s->database_shown) == database || (atomic_load(&s->using) >> (database & 63) & 1) != 0;
}

bool engine_single_user_taken(struct engine *e, int database, const struct session *but) {
	bool taken = false;
	pthread_mutex_lock(&e->mutex);
	for (int i = 0; i < SESSIONS_MAX; i++)
		taken |= e->sessions[i] && e->sessions[i] != but && !atomic_load(&e->sessions[i]->killed) &&
			 (occupies(e->sessions[i], database) || atomic_load(&e->sessions[i]->holds_single) == database);
	pthread_mutex_unlock(&e->mutex);
	return taken;
}

/* Under the engine's mutex, so that the session cannot go away. A session that runs notices by itself. */
static void kill_session(struct session *s) {
	if (pthread_mutex_trylock(&s->busy) != 0)
		return;
	tran_rollback_all(s);
	locks_end_session(s->engine->locks, s->id);
	if (s->on_kill)
		s->on_kill(s->on_kill_arg);
	pthread_mutex_unlock(&s->busy);
}

void session_on_kill(struct session *s, void (*on_kill)(void *arg), void *arg) {
	pthread_mutex_lock(&s->engine->mutex);
	s->on_kill = on_kill;
	s->on_kill_arg = arg;
	pthread_mutex_unlock(&s->engine->mutex);
}

int engine_kill(struct engine *e, int id) {
	int rc = -1;
	pthread_mutex_lock(&e->mutex);
	struct session *s = id >= 51 && id < 51 + SESSIONS_MAX ? e->sessions[id - 51] : NULL;
	if (s && !atomic_exchange(&s->killed, true)) {
		kill_session(s);
		rc = 0;
	}
	pthread_mutex_unlock(&e->mutex);
	return rc;
}

int engine_kill_database(struct engine *e, int database, const struct session *but) {
	struct session *all[SESSIONS_MAX];
	int killed = 0;
	pthread_mutex_lock(&e->mutex);
	/* all are told before the first lets its locks go: none of them gets on with what another leaves */
	for (int i = 0; i < SESSIONS_MAX; i++) {
		struct session *s = e->sessions[i];
		if (s && s != but && occupies(s, database) && !atomic_exchange(&s->killed, true))
			all[killed++] = s;
	}
	for (int i = 0; i < killed; i++)
		kill_session(all[i]);
	pthread_mutex_unlock(&e->mutex);
	return killed;
}

/* --- states of databases --- */

static int change_state(struct engine *e, sqlite3 *db, const char *database, int state, int *id) {
	sqlite3_stmt *stmt = NULL;
	int rc = sqlite3_prepare_v2(db, "UPDATE m_database SET state = ?1 WHERE name = ?2 AND id > 4 RETURNING id", -1, &stmt, NULL);
	if (rc == SQLITE_OK) {
		sqlite3_bind_int(stmt, 1, state);
		sqlite3_bind_text(stmt, 2, database, -1, SQLITE_STATIC);
		while ((rc = sqlite3_step(stmt)) == SQLITE_ROW)
			*id = sqlite3_column_int(stmt, 0);
	}
	sqlite3_finalize(stmt);
	if (rc != SQLITE_DONE)
		return -1;
	rc = sqlite3_prepare_v2(db, "UPDATE m_meta SET value = ?1 WHERE key = 'version'", -1, &stmt, NULL);
	if (rc == SQLITE_OK) {
		sqlite3_bind_int64(stmt, 1, atomic_fetch_add(&e->versions, 1) + 1);
		rc = sqlite3_step(stmt);
	}
	sqlite3_finalize(stmt);
	return rc == SQLITE_DONE ? 0 : -1;
}

int engine_database_state(struct engine *e, const char *database, const char *state, struct err *err) {
	static const struct {
		const char *name;
		int state;
	} states[] = { { "online", DATABASE_ONLINE }, { "restoring", DATABASE_RESTORING }, { "recovering", DATABASE_RECOVERING },
		{ "recovery-pending", DATABASE_PENDING }, { "suspect", DATABASE_SUSPECT }, { "offline", DATABASE_OFFLINE } };
	int number = -1, id = 0, rc = -1;
	for (size_t i = 0; i < sizeof states / sizeof states[0]; i++)
		if (strcmp(states[i].name, state) == 0)
			number = states[i].state;
	if (number < 0)
		return err_set(err, ERR_PERM, "STATE", "%.60s is no state of a database", state);
	sqlite3 *db = connect_file(e->file, err);
	if (!db)
		return -1;
	if (sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL) == SQLITE_OK)
		rc = change_state(e, db, database, number, &id);
	if (rc == 0 && id > 0)
		rc = sqlite3_exec(db, "COMMIT", NULL, NULL, NULL) == SQLITE_OK ? 0 : -1;
	if (rc != 0)
		err_set(err, ERR_PERM, "SQLITE", "%s", sqlite3_errmsg(db));
	else if (id == 0)
		rc = err_set(err, ERR_PERM, "DATABASE", "there is no database %.128s of that kind", database);
	else if (number != DATABASE_ONLINE)
		engine_kill_database(e, id, NULL);
	sqlite3_close(db);
	return rc;
}

/* --- logging in --- */

int session_may_enter(struct session *s, const struct database *d, int line, struct sqlerror *error) {
	if (security_user(s, d->id, NULL, 0, NULL) < 0)
		return sqlerror_set(error, 916, line,
			"The server principal \"%s\" is not able to access the database \"%s\" under the current security context.",
			s->login, d->name);
	if (d->access == ACCESS_RESTRICTED && !security_is_admin(s) && !security_is_member(s, d->id, "db_owner"))
		return sqlerror_set(error, 923, line,
			"Database '%s' is in restricted mode. Only the database owner and members of the dbcreator and sysadmin roles "
			"can access it.",
			d->name);
	if (d->access == ACCESS_SINGLE && engine_single_user_taken(s->engine, d->id, s))
		return sqlerror_set(
			error, 924, line, "Database '%s' is already open and can only have one user at a time.", d->name);
	return 0;
}

static int may_enter(void *arg, const struct database *d, int line, struct sqlerror *error) {
	return session_may_enter(arg, d, line, error);
}

static int on_progress(void *arg) { return exec_cancelled(arg); }

void session_set_database(struct session *s, const struct database *database) {
	char schema[129];
	security_default_schema(s, database->id, schema, sizeof schema);
	if (catalog_use(s->catalog, database->name, schema) == 0)
		atomic_store(&s->database_shown, database->id);
}

static int enter_database(struct session *s, const char *wanted, const char *initial, struct err *err) {
	const char *name = wanted && wanted[0] ? wanted : initial;
	const struct database *d = catalog_database(s->catalog, name);
	struct sqlerror ignored = { 0 }; /* the client learns nothing but 4060 */
	if (!d || catalog_opens(d, 1, &ignored) < 0 || session_may_enter(s, d, 1, &ignored) < 0)
		return err_set_number(err, ERR_PERM, "SQL_4060", 4060,
			"Cannot open database \"%s\" requested by the login. The login failed.", name);
	session_set_database(s, d);
	return 0;
}

/* Where UPDATE ... FROM and OUTPUT keep rows between two steps (translate_update.h). */
static int make_kept_tables(sqlite3 *db) {
	static const int widths[] = { 16, 64, 512 };
	int rc = SQLITE_OK;
	for (size_t i = 0; i < sizeof widths / sizeof widths[0] && rc == SQLITE_OK; i++) {
		struct arena arena = { 0 };
		const char *sql = arena_fmt(&arena, "CREATE TABLE temp.m_update%d(rid INTEGER PRIMARY KEY", widths[i]);
		for (int k = 1; k <= widths[i]; k++)
			sql = arena_fmt(&arena, "%s,v%d", sql, k);
		rc = sqlite3_exec(db, arena_fmt(&arena, "%s)", sql), NULL, NULL, NULL);
		arena_release(&arena);
	}
	return rc;
}

static int set_up(struct session *s, const char *user, const char *password, const char *database, struct err *err) {
	char initial[129];
	s->db = connect_file(s->engine->file, err);
	if (!s->db)
		return -1;
	if (functions_register(s->db, &s->functions) != SQLITE_OK || session_functions_register(s) != SQLITE_OK)
		return err_set(err, ERR_TEMP, "SQLITE", "functions: %s", sqlite3_errmsg(s->db));
	if (make_kept_tables(s->db) != SQLITE_OK)
		return err_set(err, ERR_TEMP, "SQLITE", "temporary tables: %s", sqlite3_errmsg(s->db));
	sqlite3_progress_handler(s->db, 20000, on_progress, s);
	s->stmts = stmts_new(s->db);
	if (!s->stmts)
		return err_set(err, ERR_TEMP, "MEMORY", "out of memory");
	if (logins_check(s->db, user, password, s->login, sizeof s->login, initial, sizeof initial) < 0)
		return err_set_number(err, ERR_PERM, "SQL_18456", 18456, "Login failed for user '%s'.", user);
	s->catalog = catalog_new(s->db, s->stmts, &s->engine->versions, may_enter, s);
	return enter_database(s, database, initial, err);
}

struct session *session_open(struct engine *engine, const char *user, const char *password, const char *database,
	const char *application, const char *host, struct err *err) {
	struct session *s = calloc(1, sizeof *s);
	if (!s) {
		err_set(err, ERR_TEMP, "MEMORY", "out of memory");
		return NULL;
	}
	s->engine = engine;
	pthread_mutex_init(&s->busy, NULL);
	snprintf(s->application, sizeof s->application, "%s", application ? application : "");
	snprintf(s->host, sizeof s->host, "%s", host ? host : "");
	now_text(s->login_time, sizeof s->login_time);
	options_init(&s->options);
	if (set_up(s, user, password, database, err) == 0) {
		if (enlist(engine, s) == 0)
			return s;
		err_set_number(err, ERR_TEMP, "SQL_17809", 17809,
			"Could not connect because the maximum number of user connections has been reached.");
	}
	session_close(s);
	return NULL;
}

void session_close(struct session *s) {
	if (!s)
		return;
	delist(s->engine, s);
	pthread_mutex_lock(&s->busy); /* a KILL may still be at it */
	if (s->catalog)
		tran_rollback_all(s);
	locks_end_session(s->engine->locks, s->id);
	pthread_mutex_unlock(&s->busy);
	catalog_free(s->catalog);
	stmts_free(s->stmts);
	sqlite3_close_v2(s->db);
	pthread_mutex_destroy(&s->busy);
	free(s);
}

int session_id(const struct session *s) { return s->id; }

const char *session_database(const struct session *s) { return catalog_current(s->catalog)->name; }

const char *session_collation(const struct session *s) { return catalog_current(s->catalog)->collation; }

/* --- a batch --- */

static void add_parameters(struct session *s, struct frame *frame, const struct sql_param *params, int count) {
	sqlite3_stmt *stmt = stmts_take(s->stmts, "SELECT ?1");
	for (int i = 0; stmt && i < count; i++) {
		const struct sql_param *p = &params[i];
		struct xtype type = xtype_from_column(&p->column, catalog_current(s->catalog)->collation);
		type.label = LABEL_DEFAULT;
		type.nullable = true;
		struct variable *v = exec_variable_add(s, frame, p->name, &type);
		functions_bind(stmt, 1, p->column.type, &p->value);
		if (sqlite3_step(stmt) == SQLITE_ROW)
			exec_variable_set(v, sqlite3_value_dup(sqlite3_column_value(stmt, 0)));
		sqlite3_reset(stmt);
	}
	stmts_put(s->stmts, stmt);
}

static void end_batch(struct session *s, enum flow flow) {
	if (s->doomed && flow != FLOW_GONE) {
		tran_rollback_all(s);
		exec_info(s, 3998, 16, 1, 1,
			"Uncommittable transaction is detected at the end of the batch. The transaction is rolled back.");
		exec_done(s, -1, 0, true);
	}
	if (flow == FLOW_GONE && s->trancount > 0 && (s->options.xact_abort || s->doomed || atomic_load(&s->killed)))
		tran_rollback_all(s);
	if (s->trancount == 0) {
		locks_end_transaction(s->engine->locks, s->id);
		atomic_store(&s->using, 0);
	}
	atomic_store(&s->trancount_shown, s->trancount);
	catalog_forget(s->catalog);
}

static enum flow run_batch(struct session *s, const char *sql, size_t len, const struct sql_param *params, int count) {
	struct frame frame;
	catalog_refresh(s->catalog);
	exec_frame_init(s, &frame);
	/* batches without parameters are one scope; sp_executesql is its own */
	if (count == 0) {
		frame.scope_identity = s->batch_identity;
		frame.has_scope_identity = s->has_batch_identity;
	}
	enum flow flow;
	if (count > PARAMETERS_MAX) {
		flow = exec_failf(s, 1, 8003,
			"The incoming request has too many parameters. The server supports a maximum of %d parameters. Reduce "
			"the number of parameters and resend the request.",
			PARAMETERS_MAX);
	} else {
		add_parameters(s, &frame, params, count);
		flow = exec_text(s, &frame, sql, len);
	}
	if (count == 0) {
		s->batch_identity = frame.scope_identity;
		s->has_batch_identity = frame.has_scope_identity;
	}
	exec_frame_release(s, &frame);
	return flow;
}

int engine_execute(struct session *s, const char *sql, size_t len, const struct sql_param *params, int param_count,
	const struct sink *sink) {
	if (atomic_load(&s->killed)) {
		sink->message(
			sink->arg, 596, 21, 1, 1, "Cannot continue the execution because the session is in the kill state.");
		return -1;
	}
	pthread_mutex_lock(&s->busy);
	s->sink = sink;
	s->gone = false;
	s->frame = NULL;
	atomic_store(&s->running, true);
	atomic_fetch_add(&s->batches, 1);
	enum flow flow = run_batch(s, sql, len, params, param_count);
	end_batch(s, flow);
	if (atomic_load(&s->killed)) {
		if (!s->gone)
			exec_info(s, 596, 21, 1, 1, "Cannot continue the execution because the session is in the kill state.");
		flow = FLOW_GONE;
	}
	s->sink = NULL;
	s->tries = NULL;
	s->caught = NULL;
	atomic_store(&s->running, false);
	pthread_mutex_unlock(&s->busy);
	return flow == FLOW_GONE || s->gone ? -1 : 0;
}
