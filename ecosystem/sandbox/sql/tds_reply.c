/* The sink: columns, rows, ends of statements, messages. A DONE waits until the next token or the end, because only
 * then its MORE bit is known. Login answers and broken answers are in tds_reply_login.c. */
#include "ecosystem/sandbox/sql/tds_reply.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "ecosystem/sandbox/sql/tds_reply_internal.h"
#include "ecosystem/sandbox/sql/tds_types.h"

enum { DONE_MORE = 0x01, DONE_ERROR = 0x02, DONE_COUNT = 0x10, DONE_ATTENTION = 0x20 };

#define TOKEN_MAX ((size_t)256 << 20)

void tds_reply_begin(struct tds_reply *reply, struct tds_packet *packet, const struct tds_collation *collation,
                     const atomic_bool *stop, bool in_proc)
{
	memset(reply, 0, sizeof(*reply));
	reply->packet = packet;
	reply->collation = collation;
	reply->stop = stop;
	reply->in_proc = in_proc;
	buf_init(&reply->token, TOKEN_MAX);
	buf_init(&reply->returned, TOKEN_MAX);
	tds_packet_begin(packet, TDS_REPLY);
}

void tds_reply_release(struct tds_reply *reply)
{
	buf_release(&reply->token);
	buf_release(&reply->returned);
	free(reply->columns);
	reply->columns = NULL;
}

void tds_reply_token_send(struct tds_reply *reply)
{
	if (!reply->mute)
		tds_packet_write(reply->packet, buf_text(&reply->token), reply->token.len);
	buf_clear(&reply->token);
}

void tds_reply_put_done(struct tds_reply *reply, uint8_t token, uint16_t status, uint16_t command, int64_t rows)
{
	buf_clear(&reply->token);
	tds_put8(&reply->token, token);
	tds_put16(&reply->token, status);
	tds_put16(&reply->token, command);
	tds_put64(&reply->token, rows < 0 ? 0 : (uint64_t)rows);
	tds_reply_token_send(reply);
}

static void release_done(struct tds_reply *reply, bool more)
{
	struct tds_done done = reply->done;

	if (!done.waiting)
		return;
	reply->done.waiting = false;
	tds_reply_put_done(reply, reply->in_proc ? TOKEN_DONEINPROC : TOKEN_DONE,
	                   (uint16_t)(done.status | (more ? DONE_MORE : 0)), done.command, done.rows);
}

/* Before every token: what waited goes first. */
void tds_reply_token_begin(struct tds_reply *reply)
{
	release_done(reply, true);
	buf_clear(&reply->token);
}

bool tds_reply_stopped(const struct tds_reply *reply)
{
	return reply->packet->attention || reply->packet->gone || reply->fired || atomic_load(reply->stop);
}

static int go_on(struct tds_reply *reply)
{
	if (reply->packet->gone)
		reply->end = TDS_END_CLOSE;
	return tds_reply_stopped(reply) ? -1 : 0;
}

/* --- faults in the middle --- */

static void fire(struct tds_reply *reply)
{
	const struct tds_fault *fault = reply->fault;
	char text[TDS_FAULT_TEXT];

	reply->fired = true;
	if (fault->kind == TDS_FAULT_ERROR) {
		tds_reply_message(reply, (int)fault->number[0], (int)fault->number[1], 1, 1,
		                  tds_fault_error_text(fault->number[0], reply->packet->spid, text));
		return;
	}
	tds_packet_flush(reply->packet);
	reply->end = fault->kind == TDS_FAULT_CUT_ROWS ? TDS_END_RESET : TDS_END_CLOSE;
}

/* at_end: the result had fewer rows than the fault waits for. */
static bool due(const struct tds_reply *reply, bool at_end)
{
	const struct tds_fault *fault = reply->fault;

	if (!fault || reply->fired || reply->column_count == 0)
		return false;
	if (fault->kind == TDS_FAULT_CUT_ROWS || fault->kind == TDS_FAULT_CUT_CLEAN_ROWS)
		return at_end || reply->rows >= fault->number[0];
	return fault->kind == TDS_FAULT_ERROR && fault->after_rows >= 0 && (at_end || reply->rows >= fault->after_rows);
}

/* --- the sink --- */

static void put_column(struct tds_reply *reply, const struct sql_column *column)
{
	tds_put32(&reply->token, column->type == SQL_ROWVERSION ? 0x50 : 0);
	tds_put16(&reply->token, (uint16_t)((column->nullable ? 0x01 : 0) | (column->identity ? 0x10 : 0x08)));
	tds_put_type(&reply->token, column, reply->collation);
	tds_put_name(&reply->token, column->name);
}

static int on_columns(void *arg, const struct sql_column *columns, int count)
{
	struct tds_reply *reply = arg;

	free(reply->columns);
	reply->columns = calloc((size_t)count + 1, sizeof(*columns));
	if (!reply->columns) {
		reply->packet->gone = true;
		return -1;
	}
	memcpy(reply->columns, columns, (size_t)count * sizeof(*columns));
	reply->column_count = count;
	reply->rows = 0;
	reply->capture = count > 0 && strcmp(columns[0].name, TDS_RETURN_COLUMN) == 0;
	if (reply->capture)
		return go_on(reply);
	tds_reply_token_begin(reply);
	tds_put8(&reply->token, TOKEN_COLMETADATA);
	tds_put16(&reply->token, (uint16_t)count);
	for (int i = 0; i < count; i++)
		put_column(reply, &columns[i]);
	tds_reply_token_send(reply);
	if (due(reply, false))
		fire(reply);
	return go_on(reply);
}

static int put_row(struct tds_reply *reply, const struct sql_value *values, int count)
{
	uint8_t nulls[SQL_MAX_COLUMNS / 8 + 1] = { 0 };
	bool any = false;

	for (int i = 0; i < count && i < SQL_MAX_COLUMNS; i++) {
		if (!values[i].null)
			continue;
		nulls[i / 8] |= (uint8_t)(1 << i % 8);
		any = true;
	}
	if (count > SQL_MAX_COLUMNS)
		any = false;
	tds_put8(&reply->token, any ? TOKEN_NBCROW : TOKEN_ROW);
	if (any)
		buf_add(&reply->token, nulls, (size_t)(count + 7) / 8);
	for (int i = 0; i < count; i++) {
		if (any && values[i].null)
			continue;
		if (tds_put_value(&reply->token, &reply->columns[i], &values[i], reply->collation) != 0)
			return -1;
	}
	return reply->token.failed ? -1 : 0;
}

static void capture_row(struct tds_reply *reply, const struct sql_value *values, int count)
{
	for (int i = 0; i < count; i++) {
		const struct sql_column *column = &reply->columns[i];
		size_t before = reply->returned.len;

		if (i == 0) {
			reply->status = values[0].null || values[0].len > 11 ? 0 : (int32_t)strtol(values[0].data, NULL, 10);
			continue;
		}
		tds_put8(&reply->returned, TOKEN_RETURNVALUE);
		tds_put16(&reply->returned, (uint16_t)(i - 1));
		tds_put_name(&reply->returned, column->name);
		tds_put8(&reply->returned, 0x01);
		tds_put32(&reply->returned, 0);
		tds_put16(&reply->returned, 0x01);
		tds_put_type(&reply->returned, column, reply->collation);
		if (tds_put_value(&reply->returned, column, &values[i], reply->collation) != 0 && !reply->returned.failed)
			reply->returned.len = before;
	}
}

static int on_row(void *arg, const struct sql_value *values, int count)
{
	struct tds_reply *reply = arg;

	if (reply->capture) {
		capture_row(reply, values, count);
		return go_on(reply);
	}
	tds_reply_token_begin(reply);
	if (count != reply->column_count || put_row(reply, values, count) != 0) {
		buf_clear(&reply->token);
		tds_reply_message(reply, 8114, 16, 5, 1, "Error converting a result value to its data type.");
		return -1;
	}
	tds_reply_token_send(reply);
	reply->rows++;
	if (due(reply, false))
		fire(reply);
	/* a system call a row would cost more than the row */
	if (reply->rows % 32 == 0)
		tds_packet_attention(reply->packet);
	return go_on(reply);
}

static void end_database(struct tds_reply *reply)
{
	char text[200];

	if (!reply->database_open)
		return;
	reply->database_open = false;
	snprintf(text, sizeof(text), "Changed database context to '%s'.", reply->database);
	tds_reply_message(reply, 5701, 0, 2, 1, text);
}

static int on_done(void *arg, int64_t rows, int command, bool more, bool failed)
{
	struct tds_reply *reply = arg;

	(void)more; /* known better when the next token or the end comes */
	if (due(reply, true))
		fire(reply);
	reply->column_count = 0;
	reply->statements++;
	if (reply->capture) {
		reply->capture = false;
		return go_on(reply);
	}
	end_database(reply);
	release_done(reply, true);
	reply->done = (struct tds_done){ .waiting = true, .command = (uint16_t)command, .rows = rows };
	if (failed || reply->error_open)
		reply->done.status |= DONE_ERROR;
	if (rows >= 0)
		reply->done.status |= DONE_COUNT;
	reply->error_open = false;
	return go_on(reply);
}

void tds_reply_message(struct tds_reply *reply, int number, int severity, int state, int line, const char *text)
{
	size_t at;

	if (number == 5701)
		reply->database_open = false;
	tds_reply_token_begin(reply);
	tds_put8(&reply->token, severity > 10 ? TOKEN_ERROR : TOKEN_INFO);
	at = reply->token.len;
	tds_put16(&reply->token, 0);
	tds_put32(&reply->token, (uint32_t)number);
	tds_put8(&reply->token, (uint8_t)state);
	tds_put8(&reply->token, (uint8_t)(severity == 10 ? 0 : severity)); /* as the real one: 10 goes out as 0 */
	tds_put_text(&reply->token, text);
	tds_put_name(&reply->token, TDS_SERVER_NAME);
	tds_put_name(&reply->token, "");
	tds_put32(&reply->token, (uint32_t)(line > 0 ? line : 1));
	tds_patch_len16(&reply->token, at);
	tds_reply_token_send(reply);
	if (severity > 10) {
		reply->error_open = true;
		reply->last_error = number;
	}
	if (severity >= 20)
		reply->end = TDS_END_CLOSE;
}

static int on_message(void *arg, int number, int severity, int state, int line, const char *text)
{
	struct tds_reply *reply = arg;

	tds_reply_message(reply, number, severity, state, line, text);
	return go_on(reply);
}

static int on_database(void *arg, const char *name)
{
	struct tds_reply *reply = arg;

	end_database(reply);
	tds_reply_env_text(reply, 1, name, reply->database);
	snprintf(reply->database, sizeof(reply->database), "%s", name);
	reply->database_open = true;
	return go_on(reply);
}

static bool on_cancelled(void *arg)
{
	struct tds_reply *reply = arg;

	tds_packet_attention(reply->packet);
	return go_on(reply) != 0;
}

struct sink tds_reply_sink(struct tds_reply *reply)
{
	return (struct sink){
		.arg = reply,
		.columns = on_columns,
		.row = on_row,
		.done = on_done,
		.message = on_message,
		.database = on_database,
		.cancelled = on_cancelled,
	};
}

void tds_reply_return_handle(struct tds_reply *reply, int32_t handle)
{
	struct sql_column column = { .name = "", .type = SQL_INT, .nullable = true };
	char text[16];
	int len = snprintf(text, sizeof(text), "%d", handle);
	struct sql_value values[2] = { { .null = true }, { .data = text, .len = (size_t)len } };
	struct sql_column *before = reply->columns;
	struct sql_column columns[2] = { column, column };

	reply->columns = columns;
	capture_row(reply, values, 2);
	reply->columns = before;
}

/* --- the end --- */

static void end_attention(struct tds_reply *reply)
{
	reply->packet->attention = false;
	reply->done.waiting = false;
	tds_reply_put_done(reply, TOKEN_DONE, DONE_ATTENTION, 0, 0);
	tds_packet_end(reply->packet);
}

void tds_reply_end_batch(struct tds_reply *reply)
{
	end_database(reply);
	if (reply->mute || reply->packet->gone)
		return;
	if (reply->packet->attention) {
		end_attention(reply);
		return;
	}
	if (reply->done.waiting && !reply->error_open)
		release_done(reply, false);
	else {
		release_done(reply, true);
		tds_reply_put_done(reply, TOKEN_DONE, reply->error_open ? DONE_ERROR : 0, 0, 0);
	}
	tds_packet_end(reply->packet);
}

void tds_reply_end_rpc(struct tds_reply *reply)
{
	bool error = reply->error_open;

	end_database(reply);
	if (reply->mute || reply->packet->gone)
		return;
	if (reply->packet->attention) {
		end_attention(reply);
		return;
	}
	tds_reply_token_begin(reply);
	tds_put8(&reply->token, TOKEN_RETURNSTATUS);
	tds_put32(&reply->token, (uint32_t)(reply->status != 0 ? reply->status : reply->last_error));
	if (!reply->returned.failed)
		buf_add(&reply->token, buf_text(&reply->returned), reply->returned.len);
	tds_reply_token_send(reply);
	tds_reply_put_done(reply, TOKEN_DONEPROC, error ? DONE_ERROR : 0, 0, 0);
	tds_packet_end(reply->packet);
}
