/* SQLite functions that tell about the running session: @@variables, errors, identity values, logins.
 * The catalogue functions are in catalog_functions.c. */
#include "ecosystem/sandbox/sql/session_functions.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define CALL(name) static void name(sqlite3_context *c, int n, sqlite3_value **v)
#define SESSION struct session *s = sqlite3_user_data(c); (void)n; (void)v; (void)s

const char *argument_text(int n, sqlite3_value **v, int i) {
	return i < n ? (const char *)sqlite3_value_text(v[i]) : NULL;
}

void result_text(sqlite3_context *c, const char *text) {
	if (text)
		sqlite3_result_text(c, text, -1, SQLITE_TRANSIENT);
	else
		sqlite3_result_null(c);
}

/* --- identity, rowversion, variables --- */

static struct counter *counter_of(struct engine *e, int64_t object) {
	for (int i = 0; i < e->counter_count; i++)
		if (e->counters[i].object == object)
			return &e->counters[i];
	if (e->counter_count == e->counter_cap) {
		e->counter_cap = e->counter_cap ? e->counter_cap * 2 : 64;
		e->counters = realloc(e->counters, sizeof *e->counters * (size_t)e->counter_cap);
		if (!e->counters)
			abort();
	}
	e->counters[e->counter_count] = (struct counter){ .object = object };
	return &e->counters[e->counter_count++];
}

static void note_counter(struct session *s, int64_t object) {
	for (int i = 0; i < s->touched_count; i++)
		if (s->touched[i] == object)
			return;
	if (s->touched_count < TOUCHED_MAX)
		s->touched[s->touched_count++] = object;
}

int64_t counter_next(struct session *s, int64_t object) {
	const struct object *table = object ? object_by_id(s, object) : NULL;
	int64_t seed = 1, step = 1;
	if (table && table->identity >= 0) {
		seed = table->columns[table->identity].seed;
		step = table->columns[table->identity].step;
	}
	pthread_mutex_lock(&s->engine->mutex);
	struct counter *counter = counter_of(s->engine, object);
	counter->last = counter->used ? counter->last + step : seed;
	counter->used = true;
	int64_t value = counter->last;
	pthread_mutex_unlock(&s->engine->mutex);
	if (!table || !table->temporary)
		note_counter(s, object);
	return value;
}

void counters_save(struct session *s) {
	struct sqlerror ignored = { 0 };
	for (int i = 0; i < s->touched_count; i++) {
		pthread_mutex_lock(&s->engine->mutex);
		int64_t last = counter_of(s->engine, s->touched[i])->last;
		pthread_mutex_unlock(&s->engine->mutex);
		if (exec_sql(s, &ignored, "INSERT OR REPLACE INTO m_counter VALUES(?1, ?2)", "ii", s->touched[i], last) < 0)
			break;
	}
	s->touched_count = 0;
}

int64_t counter_current(struct session *s, int64_t object, bool *used) {
	pthread_mutex_lock(&s->engine->mutex);
	const struct counter *counter = counter_of(s->engine, object);
	int64_t last = counter->last;
	*used = counter->used;
	pthread_mutex_unlock(&s->engine->mutex);
	return last;
}

void counter_reset(struct session *s, int64_t object, bool used, int64_t last) {
	pthread_mutex_lock(&s->engine->mutex);
	struct counter *counter = counter_of(s->engine, object);
	counter->used = used;
	counter->last = last;
	pthread_mutex_unlock(&s->engine->mutex);
	if (object > 0)
		note_counter(s, object);
}

static void remember_identity(struct session *s, int64_t value) {
	s->identity = value;
	s->has_identity = true;
	if (s->frame) {
		s->frame->scope_identity = value;
		s->frame->has_scope_identity = true;
	}
}

CALL(identity_next) {
	SESSION;
	int64_t value = counter_next(s, sqlite3_value_int64(v[0]));
	const struct object *table = object_by_id(s, sqlite3_value_int64(v[0]));
	if (table && table->identity >= 0) {
		enum sql_type type = table->columns[table->identity].type.type;
		int64_t max = type == SQL_TINYINT ? 255 : type == SQL_SMALLINT ? INT16_MAX : type == SQL_INT ? INT32_MAX : INT64_MAX;
		if (value > max) {
			sqlite3_result_error(c, "@8115:Arithmetic overflow error converting IDENTITY to data type int.", -1);
			return;
		}
	}
	remember_identity(s, value);
	sqlite3_result_int64(c, value);
}

CALL(identity_given) {
	SESSION;
	int64_t object = sqlite3_value_int64(v[0]), value = sqlite3_value_int64(v[1]);
	const struct object *table = object_by_id(s, object);
	int64_t step = table && table->identity >= 0 ? table->columns[table->identity].step : 1;
	pthread_mutex_lock(&s->engine->mutex);
	struct counter *counter = counter_of(s->engine, object);
	if (!counter->used || (step > 0 ? value > counter->last : value < counter->last))
		counter->last = value;
	counter->used = true;
	pthread_mutex_unlock(&s->engine->mutex);
	note_counter(s, object);
	remember_identity(s, value);
	sqlite3_result_value(c, v[1]);
}

static void put_rowversion(sqlite3_context *c, int64_t value) {
	unsigned char bytes[8];
	for (int i = 7; i >= 0; i--, value >>= 8)
		bytes[i] = (unsigned char)(value & 0xff);
	sqlite3_result_blob(c, bytes, sizeof bytes, SQLITE_TRANSIENT);
}

CALL(rowversion) {
	SESSION;
	put_rowversion(c, 2000 + counter_next(s, 0));
}

CALL(dbts) {
	SESSION;
	bool used;
	put_rowversion(c, 2000 + counter_current(s, 0, &used));
}

CALL(variable_now) {
	SESSION;
	int slot = sqlite3_value_int(v[0]);
	const struct variable *x = s->frame && slot >= 1 && slot <= s->frame->variable_count ? &s->frame->variables[slot - 1] : NULL;
	if (x && x->value)
		sqlite3_result_value(c, x->value);
	else
		sqlite3_result_null(c);
}

/* --- numbers of the session --- */

CALL(spid) { SESSION; sqlite3_result_int(c, s->id); }
CALL(trancount) { SESSION; sqlite3_result_int(c, s->trancount); }
CALL(rowcount) { SESSION; sqlite3_result_int64(c, s->rowcount); }
CALL(last_error) { SESSION; sqlite3_result_int(c, s->last_error); }
CALL(nestlevel) { SESSION; sqlite3_result_int(c, s->frame ? s->frame->nest : 0); }
CALL(trigger_nestlevel) { SESSION; sqlite3_result_int(c, s->trigger_depth); }
CALL(procid) { SESSION; sqlite3_result_int64(c, s->frame ? s->frame->object : 0); }
CALL(lock_timeout) { SESSION; sqlite3_result_int(c, s->options.lock_timeout); }
CALL(textsize) { SESSION; sqlite3_result_int(c, s->options.textsize); }
CALL(datefirst) { SESSION; sqlite3_result_int(c, s->functions.date_first ? s->functions.date_first : 7); }
CALL(xact_state) { SESSION; sqlite3_result_int(c, s->trancount == 0 ? 0 : s->doomed ? -1 : 1); }
CALL(minus_one) { SESSION; sqlite3_result_int(c, -1); }
CALL(zero) { SESSION; sqlite3_result_int(c, 0); }
CALL(max_connections) { SESSION; sqlite3_result_int(c, SESSIONS_MAX); }
CALL(max_precision) { SESSION; sqlite3_result_int(c, 38); }
CALL(microsoft_version) { SESSION; sqlite3_result_int64(c, 0x0f000fa0); }

CALL(option_bits) {
	SESSION;
	const struct options *o = &s->options;
	sqlite3_result_int(c, (o->implicit_transactions ? 2 : 0) | (o->ansi_warnings ? 8 : 0) | (o->ansi_padding ? 16 : 0) |
			      (o->ansi_nulls ? 32 : 0) | (o->arithabort ? 64 : 0) | (o->quoted_identifier ? 256 : 0) |
			      (o->nocount ? 512 : 0) | 1024 | (o->concat_null ? 4096 : 0) | (o->numeric_roundabort ? 8192 : 0) |
			      (o->xact_abort ? 16384 : 0));
}

static void put_number(sqlite3_context *c, bool has, int64_t value) {
	char text[30];
	snprintf(text, sizeof text, "%lld", (long long)value);
	result_text(c, has ? text : NULL);
}

CALL(last_identity) { SESSION; put_number(c, s->has_identity, s->identity); }
CALL(scope_identity) { SESSION; put_number(c, s->frame && s->frame->has_scope_identity, s->frame ? s->frame->scope_identity : 0); }

/* --- CATCH --- */

CALL(error_number) {
	SESSION;
	if (s->caught)
		sqlite3_result_int(c, s->caught->error.number);
}

CALL(error_severity) {
	SESSION;
	if (s->caught)
		sqlite3_result_int(c, s->caught->error.severity);
}

CALL(error_state) {
	SESSION;
	if (s->caught)
		sqlite3_result_int(c, s->caught->error.state);
}

CALL(error_line) {
	SESSION;
	if (s->caught)
		sqlite3_result_int(c, s->caught->error.line);
}

CALL(error_message) { SESSION; result_text(c, s->caught ? s->caught->error.text : NULL); }
CALL(error_procedure) { SESSION; result_text(c, s->caught && s->caught->procedure[0] ? s->caught->procedure : NULL); }

/* --- texts --- */

CALL(version) {
	SESSION;
	result_text(c, "Microsoft SQL Server 2019 (RTM) - 15.0.4000.0 (X64) - stand-in for tests, not a product of Microsoft");
}

CALL(servername) { SESSION; result_text(c, "SANDBOX"); }
CALL(servicename) { SESSION; result_text(c, "MSSQLSERVER"); }
CALL(language) { SESSION; result_text(c, s->options.language); }
CALL(login_name) { SESSION; result_text(c, s->login); }
CALL(app_name) { SESSION; result_text(c, s->application); }
CALL(host_name) { SESSION; result_text(c, s->host); }

CALL(connection_property) {
	SESSION;
	const char *name = argument_text(n, v, 0);
	result_text(c, !name ? NULL : strcasecmp(name, "net_transport") == 0 ? "TCP" : strcasecmp(name, "protocol_type") == 0 ? "TSQL" :
		    strcasecmp(name, "auth_scheme") == 0 ? "SQL" : strcasecmp(name, "client_net_address") == 0 ? "127.0.0.1" : NULL);
}

CALL(session_property) {
	SESSION;
	const char *name = argument_text(n, v, 0);
	const struct options *o = &s->options;
	const struct {
		const char *name;
		bool on;
	} all[] = { { "ANSI_NULLS", o->ansi_nulls }, { "ANSI_PADDING", o->ansi_padding }, { "ANSI_WARNINGS", o->ansi_warnings },
		    { "ARITHABORT", o->arithabort }, { "CONCAT_NULL_YIELDS_NULL", o->concat_null },
		    { "NUMERIC_ROUNDABORT", o->numeric_roundabort }, { "QUOTED_IDENTIFIER", o->quoted_identifier } };
	for (size_t i = 0; name && i < sizeof all / sizeof all[0]; i++)
		if (strcasecmp(all[i].name, name) == 0)
			sqlite3_result_int(c, all[i].on);
}

/* --- lists for sysviews.c --- */

struct sessions_json {
	struct buf out;
	struct session *s;
	bool first;
};

static void json_text(struct buf *out, const char *text) {
	buf_add_char(out, '"');
	for (; *text; text++) {
		if (*text == '"' || *text == '\\')
			buf_add_char(out, '\\');
		if ((unsigned char)*text >= 0x20)
			buf_add_char(out, *text);
	}
	buf_add_char(out, '"');
}

static void one_session(void *arg, struct session *other) {
	struct sessions_json *j = arg;
	buf_addf(&j->out, "%s[%d,\"%s\",", j->first ? "" : ",", other->id, other->login_time);
	json_text(&j->out, other->host);
	buf_add_char(&j->out, ',');
	json_text(&j->out, other->application);
	buf_add_char(&j->out, ',');
	json_text(&j->out, other->login);
	buf_addf(&j->out, ",\"%s\",%d,%d,%d]", atomic_load(&other->running) ? "running" : "sleeping", atomic_load(&other->database_shown),
		 other == j->s ? other->trancount : atomic_load(&other->trancount_shown), locks_blocker(j->s->engine->locks, other->id));
	j->first = false;
}

CALL(sessions) {
	SESSION;
	struct sessions_json j = { .s = s, .first = true };
	buf_init(&j.out, (size_t)1 << 20);
	buf_add_char(&j.out, '[');
	engine_each_session(s->engine, one_session, &j);
	buf_add_char(&j.out, ']');
	sqlite3_result_text(c, buf_text(&j.out), -1, SQLITE_TRANSIENT);
	buf_release(&j.out);
}

CALL(row_count) {
	SESSION;
	char sql[80];
	snprintf(sql, sizeof sql, "SELECT count(*) FROM t%lld", (long long)sqlite3_value_int64(v[0]));
	sqlite3_result_int64(c, exec_int(s, 0, sql, ""));
}

const struct session_function session_state_functions[] = {
	{ { "@@SPID", "s_spid", "", SMALLINT_TYPE }, spid },
	{ { "@@TRANCOUNT", "s_trancount", "", INT_TYPE }, trancount },
	{ { "@@ROWCOUNT", "s_rowcount", "", INT_TYPE }, rowcount },
	{ { "ROWCOUNT_BIG", "s_rowcount_big", "", BIGINT_TYPE }, rowcount },
	{ { "@@ERROR", "s_error", "", INT_TYPE }, last_error },
	{ { "@@NESTLEVEL", "s_nestlevel", "", INT_TYPE }, nestlevel },
	{ { "TRIGGER_NESTLEVEL", "s_trigger_nestlevel", "?iss", INT_TYPE }, trigger_nestlevel },
	{ { "@@PROCID", "s_procid", "", INT_TYPE }, procid },
	{ { "@@LOCK_TIMEOUT", "s_lock_timeout", "", INT_TYPE }, lock_timeout },
	{ { "@@TEXTSIZE", "s_textsize", "", INT_TYPE }, textsize },
	{ { "@@DATEFIRST", "s_datefirst", "", { .type = SQL_TINYINT, .nullable = true } }, datefirst },
	{ { "@@OPTIONS", "s_options", "", INT_TYPE }, option_bits },
	{ { "@@FETCH_STATUS", "s_fetch_status", "", INT_TYPE }, minus_one },
	{ { "@@LANGID", "s_langid", "", SMALLINT_TYPE }, zero },
	{ { "@@CURSOR_ROWS", "s_cursor_rows", "", INT_TYPE }, zero },
	{ { "@@MAX_CONNECTIONS", "s_max_connections", "", INT_TYPE }, max_connections },
	{ { "@@MAX_PRECISION", "s_max_precision", "", { .type = SQL_TINYINT, .nullable = true } }, max_precision },
	{ { "@@MICROSOFTVERSION", "s_microsoft_version", "", INT_TYPE }, microsoft_version },
	{ { "@@IDENTITY", "s_last_identity", "", NUMERIC_TYPE }, last_identity },
	{ { "SCOPE_IDENTITY", "s_scope_identity", "", NUMERIC_TYPE }, scope_identity },
	{ { "@@DBTS", "s_dbts", "", { .type = SQL_VARBINARY, .length = 8, .nullable = true } }, dbts },
	{ { "XACT_STATE", "s_xact_state", "", SMALLINT_TYPE }, xact_state },
	{ { "ERROR_NUMBER", "s_error_number", "", INT_TYPE }, error_number },
	{ { "ERROR_SEVERITY", "s_error_severity", "", INT_TYPE }, error_severity },
	{ { "ERROR_STATE", "s_error_state", "", INT_TYPE }, error_state },
	{ { "ERROR_LINE", "s_error_line", "", INT_TYPE }, error_line },
	{ { "ERROR_MESSAGE", "s_error_message", "", TEXT_TYPE }, error_message },
	{ { "ERROR_PROCEDURE", "s_error_procedure", "", NAME_TYPE }, error_procedure },
	{ { "@@VERSION", "s_version", "", { .type = SQL_NVARCHAR, .length = 300, .nullable = true } }, version },
	{ { "@@SERVERNAME", "s_servername", "", NAME_TYPE }, servername },
	{ { "@@SERVICENAME", "s_servicename", "", NAME_TYPE }, servicename },
	{ { "@@LANGUAGE", "s_language", "", NAME_TYPE }, language },
	{ { "ORIGINAL_LOGIN", "s_original_login", "", NAME_TYPE }, login_name },
	{ { "SYSTEM_USER", "s_system_user", "", NAME_TYPE }, login_name },
	{ { "APP_NAME", "s_app_name", "", NAME_TYPE }, app_name },
	{ { "HOST_NAME", "s_host_name", "", NAME_TYPE }, host_name },
	{ { "CONNECTIONPROPERTY", "s_connection_property", "s", NAME_TYPE }, connection_property },
	{ { "SESSIONPROPERTY", "s_session_property", "s", INT_TYPE }, session_property },
	{ { NULL, "s_identity", "i", INT_TYPE }, identity_next },
	{ { NULL, "s_identity_given", "i-", INT_TYPE }, identity_given },
	{ { NULL, "s_rowversion", "", INT_TYPE }, rowversion },
	{ { NULL, "s_var", "i", INT_TYPE }, variable_now },
	{ { NULL, "s_sessions", "", INT_TYPE }, sessions },
	{ { NULL, "s_row_count", "i", INT_TYPE }, row_count },
	{ { NULL, NULL, NULL, INT_TYPE }, NULL },
};

static const struct session_function *const lists[] = { session_state_functions, catalog_functions, property_functions };

const struct tr_function *session_function(const char *upper_name) {
	for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++)
		for (const struct session_function *f = lists[i]; f->call; f++)
			if (f->describe.name && strcasecmp(f->describe.name, upper_name) == 0)
				return &f->describe;
	return NULL;
}

int session_functions_register(struct session *s) {
	int rc = SQLITE_OK;
	for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++)
		for (const struct session_function *f = lists[i]; f->call && rc == SQLITE_OK; f++)
			rc = sqlite3_create_function_v2(s->db, f->describe.sqlite, -1, SQLITE_UTF8, s, f->call, NULL, NULL, NULL);
	return rc;
}
