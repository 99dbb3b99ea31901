/* The server's own procedures: sp_executesql, application locks, sp_who, sp_rename, sp_helpdb and a few that clients call at
 * login. */
#include "ecosystem/sandbox/sql/procs.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include "ecosystem/sandbox/sql/session_functions.h"

static enum flow fail(const struct call *call, int number, const char *text) {
	return exec_failf(call->s, call->stmt->line, number, "%s", text);
}

static enum flow executesql(struct call *call) {
	const char *sql = call_text(call, "stmt", 0), *parameters = call_text(call, "params", 1);
	if (!sql)
		sql = call_text(call, "statement", 0);
	if (!sql)
		return fail(call, 214, "Procedure expects parameter '@statement' of type 'ntext/nchar/nvarchar'.");
	return procs_run_text(call->s, sql, parameters, call, 2);
}

/* --- application locks --- */

static int lock_mode(const char *name) {
	static const struct {
		const char *name;
		enum lock_mode mode;
	} modes[] = { { "Exclusive", LOCK_X }, { "Shared", LOCK_S }, { "Update", LOCK_U }, { "IntentShared", LOCK_IS },
		{ "IntentExclusive", LOCK_IX } };
	for (size_t i = 0; name && i < sizeof modes / sizeof modes[0]; i++)
		if (strcasecmp(modes[i].name, name) == 0)
			return (int)modes[i].mode;
	return -1;
}

static void resource_name(const struct call *call, const char *resource, const char *principal, char *out, size_t size) {
	snprintf(out, size, "a:%d:%.30s:%.255s", catalog_current(call->s->catalog)->id, principal ? principal : "public",
		resource);
}

static bool cancelled(void *arg) { return exec_cancelled(arg); }

static enum flow getapplock(struct call *call) {
	struct session *s = call->s;
	const char *resource = call_text(call, "Resource", 0), *owner = call_text(call, "LockOwner", 2);
	const char *timeout = call_text(call, "LockTimeout", 3), *principal = call_text(call, "DbPrincipal", 4);
	int mode = lock_mode(call_text(call, "LockMode", 1));
	bool session = owner && strcasecmp(owner, "Session") == 0;
	struct lock_request request = { .mode = mode < 0 ? LOCK_X : (enum lock_mode)mode,
		.life = session ? LOCK_SESSION : LOCK_TRANSACTION };
	struct lock_wait wait = { .timeout_ms = timeout ? (int)strtol(timeout, NULL, 10) : s->options.lock_timeout,
		.priority = s->options.deadlock_priority,
		.cancelled = cancelled,
		.arg = s };
	call->status = -999;
	if (!resource || mode < 0 || (owner && !session && strcasecmp(owner, "Transaction") != 0))
		return FLOW_NEXT;
	if (!session && s->trancount == 0)
		return FLOW_NEXT;
	resource_name(call, resource, principal, request.resource, sizeof request.resource);
	switch (locks_acquire(s->engine->locks, s->id, &request, 1, &wait)) {
	case LOCK_OK:
		call->status = 0;
		break;
	case LOCK_WAITED:
		call->status = 1;
		break;
	case LOCK_TIMEOUT:
		call->status = -1;
		break;
	case LOCK_DEADLOCK:
		call->status = -3;
		break;
	case LOCK_CANCELLED:
		return FLOW_GONE;
	}
	return FLOW_NEXT;
}

static enum flow releaseapplock(struct call *call) {
	const char *resource = call_text(call, "Resource", 0), *owner = call_text(call, "LockOwner", 1),
		   *principal = call_text(call, "DbPrincipal", 2);
	bool session = owner && strcasecmp(owner, "Session") == 0;
	char name[300];
	call->status = -999;
	if (!resource)
		return FLOW_NEXT;
	resource_name(call, resource, principal, name, sizeof name);
	if (locks_release(call->s->engine->locks, call->s->id, name, session ? LOCK_SESSION : LOCK_TRANSACTION) == 0) {
		call->status = 0;
		return FLOW_NEXT;
	}
	return exec_failf(call->s, call->stmt->line, 1223,
		"Cannot release the application lock (Database Principal: '%s', Resource: '%s') because it is not "
		"currently held.",
		principal ? principal : "public", resource);
}

/* --- lists --- */

struct listing {
	struct call *call;
	enum flow flow;
	int64_t rows;
};

static void who_row(void *arg, struct session *other) {
	struct listing *l = arg;
	struct session *s = l->call->s;
	char spid[20], blocked[20];
	const struct database *d = catalog_database_by_id(s->catalog, atomic_load(&other->database_shown));
	snprintf(spid, sizeof spid, "%d", other->id);
	snprintf(blocked, sizeof blocked, "%d", locks_blocker(s->engine->locks, other->id));
	const char *row[] = { spid, "0", atomic_load(&other->running) ? "runnable" : "sleeping", other->login, other->host,
		blocked, d ? d->name : NULL, "AWAITING COMMAND", "0" };
	if (l->flow == FLOW_NEXT)
		l->flow = exec_row(s, row, 9);
	l->rows++;
}

static enum flow who(struct call *call) {
	static const struct sql_column columns[] = {
		{ .name = "spid", .type = SQL_SMALLINT },
		{ .name = "ecid", .type = SQL_SMALLINT },
		{ .name = "status", .type = SQL_NCHAR, .length = 30 },
		{ .name = "loginame", .type = SQL_NVARCHAR, .length = 128, .nullable = true },
		{ .name = "hostname", .type = SQL_NCHAR, .length = 128 },
		{ .name = "blk", .type = SQL_CHAR, .length = 5 },
		{ .name = "dbname", .type = SQL_NVARCHAR, .length = 128, .nullable = true },
		{ .name = "cmd", .type = SQL_NCHAR, .length = 16 },
		{ .name = "request_id", .type = SQL_INT },
	};
	struct listing l = { .call = call, .flow = exec_columns(call->s, columns, 9) };
	engine_each_session(call->s->engine, who_row, &l);
	return l.flow == FLOW_NEXT ? exec_done(call->s, l.rows, 193, false) : l.flow;
}

static enum flow helpdb(struct call *call) {
	static const struct sql_column columns[] = {
		{ .name = "name", .type = SQL_NVARCHAR, .length = 128 },
		{ .name = "owner", .type = SQL_NVARCHAR, .length = 128, .nullable = true },
		{ .name = "dbid", .type = SQL_SMALLINT },
		{ .name = "created", .type = SQL_NVARCHAR, .length = 11 },
		{ .name = "status", .type = SQL_NVARCHAR, .length = 600 },
		{ .name = "compatibility_level", .type = SQL_TINYINT },
	};
	const char *wanted = call_text(call, "dbname", 0);
	int64_t rows = 0;
	if (wanted && !catalog_database(call->s->catalog, wanted))
		return exec_failf(call->s, call->stmt->line, 15010,
			"The database '%s' does not exist. Supply a valid database name.", wanted);
	enum flow flow = exec_columns(call->s, columns, 6);
	for (int id = 1; id < 10000 && flow == FLOW_NEXT && rows < 1000; id++) {
		const struct database *d = catalog_database_by_id(call->s->catalog, id);
		char number[20], created[12], level[20], status[200];
		if (!d || (wanted && strcasecmp(wanted, d->name) != 0))
			continue;
		snprintf(number, sizeof number, "%d", d->id);
		snprintf(created, sizeof created, "%.10s", d->created);
		snprintf(level, sizeof level, "%d", d->compatibility);
		snprintf(status, sizeof status,
			"Status=%s, Updateability=READ_WRITE, UserAccess=%s, Recovery=SIMPLE, Collation=%s",
			catalog_state_name(d->state), catalog_access_name(d->access), d->collation);
		const char *row[] = { d->name, "sa", number, created, status, level };
		flow = exec_row(call->s, row, 6);
		rows++;
	}
	return flow == FLOW_NEXT ? exec_done(call->s, rows, 193, false) : flow;
}

/* --- sp_rename --- */

static enum flow change(struct call *call, const char *sql, const char *kinds, int64_t a, int64_t b, const char *name) {
	struct session *s = call->s;
	struct lock_request request = { .resource = "writer", .mode = LOCK_X, .life = LOCK_TRANSACTION };
	struct sqlerror error = { 0 };
	enum flow flow = tran_lock(s, &request, 1, call->stmt->line);
	if (flow != FLOW_NEXT)
		return flow;
	if (tran_begin_write(s, true, call->stmt->line, &error) < 0)
		return exec_fail(s, &error);
	int rc = exec_sql(s, &error, sql, kinds, a, b, name);
	if (rc == 0 && catalog_changed(s->catalog) != SQLITE_OK)
		rc = -1;
	if (tran_end_write(s, rc < 0, call->stmt->line, &error) < 0)
		return exec_fail(s, &error);
	catalog_refresh(s->catalog);
	exec_info(s, 15477, 10, 1, call->stmt->line,
		"Caution: Changing any part of an object name could break scripts and stored procedures.");
	return FLOW_NEXT;
}

static enum flow wrong_name(const struct call *call) {
	call->s->rowcount = 0;
	return fail(call, 15225,
		"No item by the given name of sp_rename could be found in the current database, given that @itemtype was input "
		"as given.");
}

static enum flow rename_part(struct call *call, const char *old, const char *new, bool column) {
	char parts[4][129], type[8], table[600] = "";
	struct name n;
	if (parse_object_name(old, parts, &n) < 0 || n.count < 2)
		return wrong_name(call);
	for (int i = 0; i + 1 < n.count; i++)
		snprintf(table + strlen(table), sizeof table - strlen(table), "%s[%s]", i ? "." : "", n.part[i]);
	const struct object *o = object_by_id(call->s, find_object(call->s, table, type, sizeof type, NULL));
	const char *last = n.part[n.count - 1];
	if (!o || o->temporary)
		return wrong_name(call);
	if (column) {
		int i = catalog_column(o, last);
		if (i < 0)
			return wrong_name(call);
		if (catalog_column(o, new) >= 0)
			return exec_failf(call->s, call->stmt->line, 15335,
				"Error: The new name '%s' is already in use as a COLUMN name and would cause a duplicate "
				"that is not permitted.",
				new);
		return change(
			call, "UPDATE m_column SET name = ?3 WHERE object = ?1 AND id = ?2", "iis", o->id, o->columns[i].id, new);
	}
	for (int i = 0; i < o->index_count; i++)
		if (strcasecmp(o->indexes[i].name, last) == 0)
			return change(call, "UPDATE m_index SET name = ?3 WHERE object = ?1 AND id = ?2", "iis", o->id,
				o->indexes[i].id, new);
	return wrong_name(call);
}

static enum flow rename_object(struct call *call) {
	struct session *s = call->s;
	const char *old = call_text(call, "objname", 0), *new = call_text(call, "newname", 1),
		   *kind = call_text(call, "objtype", 2);
	char type[8];
	if (!old || !new || !new[0])
		return fail(call, 15223, "Error: The input parameter, @newname, is not allowed to be null.");
	if (!security_is_admin(s) && !security_is_member(s, catalog_current(s->catalog)->id, "db_owner"))
		return fail(call, 15247, "User does not have permission to perform this action.");
	if (kind && (strcasecmp(kind, "COLUMN") == 0 || strcasecmp(kind, "INDEX") == 0))
		return rename_part(call, old, new, strcasecmp(kind, "COLUMN") == 0);
	int64_t id = find_object(s, old, type, sizeof type, NULL);
	if (id <= 0)
		return wrong_name(call);
	if (exec_int(s, 0,
		    "SELECT count(*) FROM m_object a JOIN m_object b ON a.db = b.db AND a.schema = b.schema WHERE a.id = ?1 AND "
		    "b.name = ?2",
		    "is", id, new))
		return exec_failf(s, call->stmt->line, 15335,
			"Error: The new name '%s' is already in use as a OBJECT name and would cause a duplicate that is "
			"not permitted.",
			new);
	return change(call, "UPDATE m_object SET name = ?3 WHERE id = ?1 AND ?2 = 0", "iis", id, 0, new);
}

static enum flow nothing(struct call *call) {
	(void)call;
	return FLOW_NEXT;
}

bool procs_system(struct call *call, const char *name, enum flow *flow) {
	static const struct {
		const char *name;
		enum flow (*run)(struct call *call);
	} procedures[] = {
		{ "sp_executesql", executesql },
		{ "sp_getapplock", getapplock },
		{ "sp_releaseapplock", releaseapplock },
		{ "sp_who", who },
		{ "sp_who2", who },
		{ "sp_helpdb", helpdb },
		{ "sp_rename", rename_object },
		{ "sp_updatestats", nothing },
		{ "sp_recompile", nothing },
		{ "sp_refreshview", nothing },
	};
	for (size_t i = 0; i < sizeof procedures / sizeof procedures[0]; i++)
		if (strcasecmp(procedures[i].name, name) == 0) {
			*flow = procedures[i].run(call);
			return true;
		}
	return false;
}
