/* Procedure calls: the five procedures the protocol numbers (sp_executesql, sp_prepare, sp_execute, sp_prepexec,
 * sp_unprepare), and any other name as an EXEC for the engine. Reading the message is in tds_rpc.c. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include "ecosystem/sandbox/sql/tds_session_internal.h"

#define SQL_TEXT_MAX ((size_t)1 << 20)

struct call {
	struct tds_session *s;
	struct tds_reply *reply;
	struct tds_rpc *rpc;
};

static void fail(struct call *call, int number, const char *text)
{
	tds_reply_message(call->reply, number, 16, 1, 1, text);
}

/* A char parameter's text, NULL when missing, null or of another type. */
static const char *text_at(const struct call *call, int i)
{
	const struct sql_param *param = i < call->rpc->count ? &call->rpc->params[i] : NULL;

	if (!param || param->value.null || param->column.type < SQL_CHAR || param->column.type > SQL_NVARCHAR)
		return NULL;
	return param->value.data;
}

static bool is_null(const struct call *call, int i)
{
	return i >= call->rpc->count || call->rpc->params[i].value.null;
}

static void run(struct call *call, const char *sql, const char *defs, int first)
{
	struct err err = ERR_INIT;

	if (tds_rpc_bind(call->rpc, first, defs, &err) != 0) {
		fail(call, (int)err.number, err.text);
		return;
	}
	tds_session_execute(call->s, call->reply, sql, strlen(sql), call->rpc->params + first, call->rpc->count - first);
}

/* --- prepared statements --- */

static struct tds_prepared *find(struct tds_session *s, int32_t handle)
{
	for (int i = 0; i < s->prepared_count; i++)
		if (s->prepared[i].handle == handle)
			return &s->prepared[i];
	return NULL;
}

static void forget(struct tds_session *s, struct tds_prepared *prepared)
{
	free(prepared->sql);
	free(prepared->defs);
	*prepared = s->prepared[--s->prepared_count];
}

void tds_call_forget(struct tds_session *s)
{
	while (s->prepared_count > 0)
		forget(s, &s->prepared[0]);
}

/* handle OUTPUT, declarations, statement */
static struct tds_prepared *prepare(struct call *call)
{
	const char *defs = text_at(call, 1), *sql = text_at(call, 2);
	struct tds_session *s = call->s;
	struct tds_prepared *prepared;
	struct tds_def *list = NULL;
	int known;

	if (!sql || (!defs && !is_null(call, 1))) {
		fail(call, 214, "Procedure expects parameter '@stmt' of type 'ntext/nchar/nvarchar'.");
		return NULL;
	}
	known = tds_defs_parse(defs ? defs : "", &list);
	free(list);
	if (known < 0) {
		fail(call, 102, "Incorrect syntax in the list of parameters.");
		return NULL;
	}
	if (s->prepared_count == TDS_PREPARED_MAX) {
		fail(call, 701, "There is insufficient system memory to keep another prepared statement.");
		return NULL;
	}
	prepared = &s->prepared[s->prepared_count];
	prepared->sql = strdup(sql);
	prepared->defs = strdup(defs ? defs : "");
	if (!prepared->sql || !prepared->defs) {
		free(prepared->sql);
		free(prepared->defs);
		fail(call, 701, "There is insufficient system memory to run this query.");
		return NULL;
	}
	prepared->handle = ++s->last_handle;
	s->prepared_count++;
	tds_reply_return_handle(call->reply, prepared->handle);
	return prepared;
}

static struct tds_prepared *by_handle(struct call *call)
{
	const struct sql_param *param = call->rpc->count > 0 ? &call->rpc->params[0] : NULL;
	struct tds_prepared *found = NULL;
	long handle = 0;
	char text[100];

	if (param && !param->value.null && param->column.type >= SQL_TINYINT && param->column.type <= SQL_BIGINT)
		handle = strtol(param->value.data, NULL, 10);
	found = handle > 0 && handle <= INT32_MAX ? find(call->s, (int32_t)handle) : NULL;
	if (!found) {
		snprintf(text, sizeof(text), "Could not find prepared statement with handle %ld.", handle);
		fail(call, 8179, text);
	}
	return found;
}

static void execute_sql(struct call *call)
{
	const char *sql = text_at(call, 0), *defs = text_at(call, 1);

	if (!sql || (!defs && !is_null(call, 1)))
		fail(call, 214, "Procedure expects parameter '@statement' of type 'ntext/nchar/nvarchar'.");
	else
		run(call, sql, defs ? defs : "", 2);
}

/* --- by name --- */

static bool name_is_clean(const char *name)
{
	/* brackets may hold anything but a bracket; outside only what an identifier has */
	bool inside = false;

	for (; *name; name++) {
		if (*name == '[' || *name == ']') {
			if (inside == (*name == '['))
				return false;
			inside = !inside;
		} else if (!inside && strchr(" \t\r\n;'\"()+-*/=<>,", *name)) {
			return false;
		}
	}
	return !inside;
}

static void add_arguments(struct tds_rpc *rpc, struct buf *sql)
{
	for (int i = 0; i < rpc->count; i++) {
		struct sql_param *param = &rpc->params[i];
		bool named = param->name[0] != '\0';

		buf_add_text(sql, i > 0 ? ", " : " ");
		if (named)
			buf_addf(sql, "%s = %s", param->name, param->name);
		else
			snprintf(param->name, sizeof(param->name), "@__tds_p%d", i + 1);
		if (!named)
			buf_add_text(sql, param->name);
		if (rpc->output[i])
			buf_add_text(sql, " OUTPUT");
	}
}

static bool names_are_clean(const struct tds_rpc *rpc)
{
	for (int i = 0; i < rpc->count; i++) {
		const char *name = rpc->params[i].name;

		if (name[0] != '\0' && (name[0] != '@' || strpbrk(name, " \t\r\n;'\"()+-*/=<>,[]")))
			return false;
	}
	return name_is_clean(rpc->name);
}

/* EXEC, and a last SELECT that brings back the return status and the output parameters (taken out by tds_reply). */
static void by_name(struct call *call)
{
	struct tds_rpc *rpc = call->rpc;
	struct buf sql;

	if (!names_are_clean(rpc)) {
		fail(call, 2812, "Could not find the stored procedure: its name or a parameter's name is no identifier.");
		return;
	}
	buf_init(&sql, SQL_TEXT_MAX);
	buf_addf(&sql, "DECLARE @__tds_rc int; EXEC @__tds_rc = %s", rpc->name);
	add_arguments(rpc, &sql);
	buf_addf(&sql, "; SELECT @__tds_rc AS %s", TDS_RETURN_COLUMN);
	for (int i = 0; i < rpc->count; i++)
		if (rpc->output[i])
			buf_addf(&sql, ", %s AS [%s]", rpc->params[i].name, rpc->params[i].name);
	if (sql.failed)
		fail(call, 8009, "The remote procedure call is too long.");
	else
		tds_session_execute(call->s, call->reply, sql.data, sql.len, rpc->params, rpc->count);
	buf_release(&sql);
}

static void dispatch(struct call *call)
{
	struct tds_prepared *prepared;
	char text[80];

	switch (call->rpc->proc) {
	case TDS_PROC_NAMED:
		by_name(call);
		return;
	case TDS_SP_EXECUTESQL:
		execute_sql(call);
		return;
	case TDS_SP_PREPARE:
		prepare(call);
		return;
	case TDS_SP_PREPEXEC:
		prepared = prepare(call);
		if (prepared)
			run(call, prepared->sql, prepared->defs, 3);
		return;
	case TDS_SP_EXECUTE:
		prepared = by_handle(call);
		if (prepared)
			run(call, prepared->sql, prepared->defs, 1);
		return;
	case TDS_SP_UNPREPARE:
		prepared = by_handle(call);
		if (prepared)
			forget(call->s, prepared);
		return;
	default:
		snprintf(text, sizeof(text), "Could not find stored procedure with number %d.", call->rpc->proc);
		fail(call, 2812, text);
	}
}

void tds_call(struct tds_session *s, const struct tds_message *message, bool reset)
{
	struct tds_rpc rpc = { 0 };
	struct err err = ERR_INIT;
	struct tds_reply reply;
	struct call call = { .s = s, .reply = &reply, .rpc = &rpc };
	struct tds_counters add = { .batches = 1 };
	struct tds_reader r;

	tds_reader_init(&r, message->body.data, message->body.len);
	tds_reply_begin(&reply, s->packet, &s->collation, &s->shared->stop, true);
	if (reset)
		tds_reply_reset_done(&reply);
	if (tds_skip_headers(&r, &err) != 0 || tds_rpc_decode(&rpc, &r, &s->collation, &err) != 0)
		fail(&call, err.number > 0 ? (int)err.number : 8009, err.text);
	else
		dispatch(&call);
	if (reply.end == TDS_END_KEEP || reply.last_error != 0)
		tds_reply_end_rpc(&reply);
	s->end = reply.end > s->end ? reply.end : s->end;
	add.statements = reply.statements;
	tds_faults_count(s->shared->faults, &add);
	tds_reply_release(&reply);
	tds_rpc_release(&rpc);
}
