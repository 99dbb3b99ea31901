/* proto: the messages between temu-api and temu-workers, as JSON text. The lists are in messages.def, the prose in
 * protocol.md. Strict: a foreign version, an unknown command or field, a wrong type or a value over its limit is an error.
 * Shapes:
 *   request  {"v":1,"cmd":"run_submit","args":{...}}
 *   reply    {"v":1,"ok":true,"data":{...}}  or  {"v":1,"ok":false,"error":{"code":"...","text":"...","data":{...}?}}
 *   events   {"v":1,"boot":"...","journal":"...","first":N,"last":N,"count":N,"events":[{event},...]}; count 0 is the heartbeat
 *   event    {"seq":N,"time":"ISO","event":"log","level":"INFO","run_id":"","job_id":"","step":"","shop":N,"text":"..."}
 *            {"seq":N,"time":"ISO","event":"run","run_id":"","job_id":"","shop":N,"state":"running","attempt":1,"text":"..."} */
#ifndef PROTO_PROTO_H
#define PROTO_PROTO_H

#include <stdbool.h>
#include <stdint.h>
#include "common/buf.h"
#include "common/err.h"
#include "common/json.h"

#define PROTO_VERSION_NUMBER 1
#define PROTO_CHUNK_MAX (256 * 1024) /* largest data a replay reply carries */

enum proto_command {
#define COMMAND(id, name, help) id,
#include "proto/messages.def"
	CMD_COUNT
};
enum proto_event {
#define EVENT(id, name, help) id,
#include "proto/messages.def"
	EVENT_COUNT
};
enum run_state {
#define RUN_STATE(id, name, terminal, help) id,
#include "proto/messages.def"
	RUN_STATE_COUNT
};
enum proto_error {
#define ERROR_CODE(id, name, http, help) id,
#include "proto/messages.def"
	PROTO_ERROR_COUNT
};
enum gate {
#define GATE(id, name) id,
#include "proto/messages.def"
	GATE_COUNT
};
enum item_outcome {
#define ITEM_OUTCOME(id, name, help) id,
#include "proto/messages.def"
	ITEM_OUTCOME_COUNT
};

const char *proto_command_name(enum proto_command command);
const char *proto_event_name(enum proto_event event);
const char *run_state_name(enum run_state state);
int run_state_parse(const char *name, enum run_state *state);
bool run_state_terminal(enum run_state state);
const char *proto_error_name(enum proto_error code);
int proto_error_parse(const char *name, enum proto_error *code);
int proto_error_http(enum proto_error code);
const char *gate_name(enum gate gate);
int gate_parse(const char *name, enum gate *gate);
const char *item_outcome_name(enum item_outcome outcome);
int item_outcome_parse(const char *name, enum item_outcome *outcome);

/* --- requests --- */
struct proto_request {
	enum proto_command command;
	const struct json *args; /* borrowed from doc; always an object */
	struct json *doc;
};
/* args_json: the args object as text, or NULL for {}. */
void proto_request_encode(struct buf *out, enum proto_command command, const char *args_json);
/* Checks version, command and every field against messages.def. 0, or -1 with *code and err->text. Release after use. */
int proto_request_decode(const char *message, size_t len, struct proto_request *request, enum proto_error *code,
                         struct err *err) MUSTCHECK;
void proto_request_release(struct proto_request *request);

/* --- replies --- */
void proto_reply_encode(struct buf *out, const char *data_json);
void proto_reply_error(struct buf *out, enum proto_error code, const char *text, const char *data_json_or_null);
struct proto_reply {
	bool ok;
	const struct json *data; /* of the answer or of the error; may be NULL */
	enum proto_error code;   /* when !ok */
	const char *text;        /* when !ok; borrowed */
	struct json *doc;
};
int proto_reply_decode(const char *message, size_t len, struct proto_reply *reply, struct err *err) MUSTCHECK;
void proto_reply_release(struct proto_reply *reply);

/* --- events --- */
/* events_json: the elements, comma separated, without brackets; "" for a heartbeat (first = last + 1 then). */
void proto_batch_encode(struct buf *out, const char *boot, const char *journal, int64_t first, int64_t last, int64_t count,
                        const char *events_json);
struct proto_batch {
	const char *boot, *journal; /* borrowed */
	int64_t first, last, count;
	const struct json *events;  /* array of `count` event objects, seq ascending without holes */
	struct json *doc;
};
int proto_batch_decode(const char *message, size_t len, struct proto_batch *batch, struct err *err) MUSTCHECK;
void proto_batch_release(struct proto_batch *batch);

#endif
