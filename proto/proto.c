/* The names of messages.def and the codec of proto.h. No sockets, no threads: bytes in, structs out. */
#include "proto/proto.h"

#include <assert.h>
#include <string.h>

#define SEQ_MAX 9007199254740991 /* what a reader with doubles can still tell apart */
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const char *const command_names[] = {
#define COMMAND(id, name, help) [id] = name,
#include "proto/messages.def"
};
static const char *const event_names[] = {
#define EVENT(id, name, help) [id] = name,
#include "proto/messages.def"
};
static const struct {
	const char *name;
	bool terminal;
} states[] = {
#define RUN_STATE(id, name, terminal, help) [id] = { name, terminal },
#include "proto/messages.def"
};
static const struct {
	const char *name;
	int http;
} errors[] = {
#define ERROR_CODE(id, name, http, help) [id] = { name, http },
#include "proto/messages.def"
};
static const char *const gate_names[] = {
#define GATE(id, name) [id] = name,
#include "proto/messages.def"
};
static const char *const item_outcome_names[] = {
#define ITEM_OUTCOME(id, name, help) [id] = name,
#include "proto/messages.def"
};

enum field_kind { STRING, INT, BOOL, OBJECT };
static const struct field {
	enum proto_command command;
	const char *name;
	enum field_kind kind;
	bool required;
	int64_t limit;
} fields[] = {
#define FIELD(command, name, kind, required, limit) { command, name, kind, required, limit },
#include "proto/messages.def"
};

const char *
proto_command_name(enum proto_command command)
{
	assert(command < CMD_COUNT);
	return command_names[command];
}

const char *
proto_event_name(enum proto_event event)
{
	assert(event < EVENT_COUNT);
	return event_names[event];
}

const char *
run_state_name(enum run_state state)
{
	assert(state < RUN_STATE_COUNT);
	return states[state].name;
}

int
run_state_parse(const char *name, enum run_state *state)
{
	for (size_t i = 0; i < COUNT(states); i++) {
		if (strcmp(states[i].name, name) == 0) {
			*state = (enum run_state)i;
			return 0;
		}
	}
	return -1;
}

bool
run_state_terminal(enum run_state state)
{
	assert(state < RUN_STATE_COUNT);
	return states[state].terminal;
}

const char *
proto_error_name(enum proto_error code)
{
	assert(code < PROTO_ERROR_COUNT);
	return errors[code].name;
}

int
proto_error_parse(const char *name, enum proto_error *code)
{
	for (size_t i = 0; i < COUNT(errors); i++) {
		if (strcmp(errors[i].name, name) == 0) {
			*code = (enum proto_error)i;
			return 0;
		}
	}
	return -1;
}

int
proto_error_http(enum proto_error code)
{
	assert(code < PROTO_ERROR_COUNT);
	return errors[code].http;
}

const char *
gate_name(enum gate gate)
{
	assert(gate < GATE_COUNT);
	return gate_names[gate];
}

int
gate_parse(const char *name, enum gate *gate)
{
	for (size_t i = 0; i < COUNT(gate_names); i++) {
		if (strcmp(gate_names[i], name) == 0) {
			*gate = (enum gate)i;
			return 0;
		}
	}
	return -1;
}

const char *
item_outcome_name(enum item_outcome outcome)
{
	assert(outcome < ITEM_OUTCOME_COUNT);
	return item_outcome_names[outcome];
}

int
item_outcome_parse(const char *name, enum item_outcome *outcome)
{
	for (size_t i = 0; i < COUNT(item_outcome_names); i++) {
		if (strcmp(item_outcome_names[i], name) == 0) {
			*outcome = (enum item_outcome)i;
			return 0;
		}
	}
	return -1;
}

/* A whole number, not a text that holds one. */
static int
get_number(const struct json *object, const char *name, int64_t *out)
{
	const struct json *value = json_get(object, name);
	return json_is_number(value) ? json_int64(value, out) : -1;
}

/* Every member is one of names (NULL at the end) and comes once. */
static int
check_members(const struct json *object, const char *const *names, struct err *err)
{
	for (const struct json *member = json_first(object); member != NULL; member = json_next(member)) {
		size_t i = 0;
		while (names[i] != NULL && strcmp(names[i], json_name(member)) != 0)
			i++;
		if (names[i] == NULL || json_get(object, names[i]) != member)
			return err_set(err, ERR_PERM, "BAD_MESSAGE", "message: member \"%.40s\" %s", json_name(member),
			               names[i] == NULL ? "is not known" : "comes twice");
	}
	return 0;
}

/* Parses a message and checks that it is an object of our version with no other members than these. */
static struct json *
open_message(const char *message, size_t len, const char *const *names, enum proto_error *code, struct err *err)
{
	struct json *doc = json_parse(message, len, err);
	*code = PROTO_BAD_MESSAGE;
	if (doc == NULL) {
		err_context(err, "message");
		return NULL;
	}
	if (!json_is_object(doc)) {
		err_set(err, ERR_PERM, "BAD_MESSAGE", "message is not a JSON object");
		goto refuse;
	}
	int64_t version;
	if (get_number(doc, "v", &version) != 0) {
		err_set(err, ERR_PERM, "BAD_MESSAGE", "message has no version field \"v\"");
		goto refuse;
	}
	if (version != PROTO_VERSION_NUMBER) {
		*code = PROTO_VERSION;
		err_set(err, ERR_PERM, "VERSION",
		        "message of protocol version %lld, this side speaks %d: install the same release on both sides",
		        (long long)version, PROTO_VERSION_NUMBER);
		goto refuse;
	}
	if (check_members(doc, names, err) != 0) /* after the version: another one may have others */
		goto refuse;
	return doc;
refuse:
	json_free(doc);
	return NULL;
}

void
proto_request_encode(struct buf *out, enum proto_command command, const char *args_json)
{
	json_object_open(out, NULL);
	json_add_int64(out, "v", PROTO_VERSION_NUMBER);
	json_add_string(out, "cmd", proto_command_name(command));
	json_add_raw(out, "args", args_json ? args_json : "{}");
	json_object_close(out);
}

static const struct field *
find_field(enum proto_command command, const char *name)
{
	for (size_t i = 0; i < COUNT(fields); i++)
		if (fields[i].command == command && strcmp(fields[i].name, name) == 0)
			return &fields[i];
	return NULL;
}

static int
check_value(const struct field *field, const struct json *value, struct err *err)
{
	int64_t number;
	bool flag;

	switch (field->kind) {
	case STRING:
		if (!json_is_string(value))
			return err_set(err, ERR_PERM, "BAD_REQUEST", "field %s: expected a string", field->name);
		if (strlen(json_string(value)) > (size_t)field->limit)
			return err_set(err, ERR_PERM, "BAD_REQUEST", "field %s: longer than %lld bytes", field->name,
			               (long long)field->limit);
		return 0;
	case INT:
		if (!json_is_number(value) || json_int64(value, &number) != 0 || number < 0 || number > field->limit)
			return err_set(err, ERR_PERM, "BAD_REQUEST", "field %s: expected a whole number from 0 to %lld",
			               field->name, (long long)field->limit);
		return 0;
	case BOOL:
		if (json_bool(value, &flag) != 0)
			return err_set(err, ERR_PERM, "BAD_REQUEST", "field %s: expected true or false", field->name);
		return 0;
	case OBJECT: {
		if (!json_is_object(value))
			return err_set(err, ERR_PERM, "BAD_REQUEST", "field %s: expected an object", field->name);
		struct buf text;
		buf_init(&text, (size_t)field->limit);
		json_print(value, &text);
		bool too_long = text.failed;
		buf_release(&text);
		if (too_long)
			return err_set(err, ERR_PERM, "BAD_REQUEST", "field %s: longer than %lld bytes", field->name,
			               (long long)field->limit);
		return 0;
	}
	}
	assert(0 && "unknown field kind");
	return -1;
}

static int
check_args(enum proto_command command, const struct json *args, struct err *err)
{
	for (const struct json *arg = json_first(args); arg != NULL; arg = json_next(arg)) {
		const struct field *field = find_field(command, json_name(arg));
		if (field == NULL)
			return err_set(err, ERR_PERM, "BAD_REQUEST", "field %s: %s does not know it", json_name(arg),
			               proto_command_name(command));
		if (json_get(args, json_name(arg)) != arg)
			return err_set(err, ERR_PERM, "BAD_REQUEST", "field %s: given twice", json_name(arg));
		if (json_is_null(arg) && !field->required)
			continue;
		if (check_value(field, arg, err) != 0)
			return -1;
	}
	for (size_t i = 0; i < COUNT(fields); i++) {
		if (fields[i].command == command && fields[i].required && json_is_null(json_get(args, fields[i].name)))
			return err_set(err, ERR_PERM, "BAD_REQUEST", "field %s: missing", fields[i].name);
	}
	return 0;
}

static int
find_command(const char *name, enum proto_command *command)
{
	for (size_t i = 0; name != NULL && i < COUNT(command_names); i++) {
		if (strcmp(command_names[i], name) == 0) {
			*command = (enum proto_command)i;
			return 0;
		}
	}
	return -1;
}

int
proto_request_decode(const char *message, size_t len, struct proto_request *request, enum proto_error *code,
                     struct err *err)
{
	static const char *const names[] = { "v", "cmd", "args", NULL };
	memset(request, 0, sizeof(*request));
	struct json *doc = open_message(message, len, names, code, err);
	if (doc == NULL)
		return -1;
	const char *name = json_string(json_get(doc, "cmd"));
	if (find_command(name, &request->command) != 0) {
		err_set(err, ERR_PERM, "BAD_MESSAGE", "command \"%.40s\" is not known", name ? name : "");
		goto refuse;
	}
	request->args = json_get(doc, "args");
	if (!json_is_object(request->args)) {
		err_set(err, ERR_PERM, "BAD_MESSAGE", "command %s: args is not an object", name);
		goto refuse;
	}
	*code = PROTO_BAD_REQUEST;
	if (check_args(request->command, request->args, err) != 0)
		goto refuse;
	request->doc = doc;
	return 0;
refuse:
	json_free(doc);
	request->args = NULL;
	return -1;
}

void
proto_request_release(struct proto_request *request)
{
	json_free(request->doc);
	request->doc = NULL;
	request->args = NULL;
}

void
proto_reply_encode(struct buf *out, const char *data_json)
{
	json_object_open(out, NULL);
	json_add_int64(out, "v", PROTO_VERSION_NUMBER);
	json_add_bool(out, "ok", true);
	json_add_raw(out, "data", data_json);
	json_object_close(out);
}

void
proto_reply_error(struct buf *out, enum proto_error code, const char *text, const char *data_json_or_null)
{
	json_object_open(out, NULL);
	json_add_int64(out, "v", PROTO_VERSION_NUMBER);
	json_add_bool(out, "ok", false);
	json_object_open(out, "error");
	json_add_string(out, "code", proto_error_name(code));
	json_add_string(out, "text", text);
	if (data_json_or_null != NULL)
		json_add_raw(out, "data", data_json_or_null);
	json_object_close(out);
	json_object_close(out);
}

/* Either ok with data, or an error of messages.def with its text and perhaps data. */
static int
read_reply(const struct json *doc, struct proto_reply *reply, struct err *err)
{
	static const char *const names[] = { "code", "text", "data", NULL };
	const struct json *data = json_get(doc, "data"), *error = json_get(doc, "error");
	const char *code = json_string(json_get(error, "code"));
	if (json_bool(json_get(doc, "ok"), &reply->ok) != 0 || (reply->ok ? error : data) != NULL)
		goto neither;
	reply->data = data;
	if (reply->ok)
		return 0;
	reply->data = json_get(error, "data");
	reply->text = json_string(json_get(error, "text"));
	if (code != NULL && reply->text != NULL && proto_error_parse(code, &reply->code) == 0)
		return check_members(error, names, err);
neither:
	return err_set(err, ERR_PERM, "BAD_MESSAGE", "reply is neither an answer nor a known error");
}

int
proto_reply_decode(const char *message, size_t len, struct proto_reply *reply, struct err *err)
{
	static const char *const names[] = { "v", "ok", "data", "error", NULL };
	enum proto_error ignored;
	memset(reply, 0, sizeof(*reply));
	struct json *doc = open_message(message, len, names, &ignored, err);
	if (doc == NULL)
		return -1;
	if (read_reply(doc, reply, err) != 0) {
		json_free(doc);
		memset(reply, 0, sizeof(*reply));
		return -1;
	}
	reply->doc = doc;
	return 0;
}

void
proto_reply_release(struct proto_reply *reply)
{
	json_free(reply->doc);
	memset(reply, 0, sizeof(*reply));
}

void
proto_batch_encode(struct buf *out, const char *boot, const char *journal, int64_t first, int64_t last, int64_t count,
                   const char *events_json)
{
	json_object_open(out, NULL);
	json_add_int64(out, "v", PROTO_VERSION_NUMBER);
	json_add_string(out, "boot", boot);
	json_add_string(out, "journal", journal);
	json_add_int64(out, "first", first);
	json_add_int64(out, "last", last);
	json_add_int64(out, "count", count);
	json_array_open(out, "events");
	buf_add_text(out, events_json);
	json_array_close(out);
	json_object_close(out);
}

/* Numbers must fit together: count events, ascending without holes from first to last. */
static int
check_batch(const struct proto_batch *batch, struct err *err)
{
	int64_t expected = batch->first, seq = 0;
	if (expected < 1 || expected > SEQ_MAX)
		return err_set(err, ERR_PERM, "BAD_MESSAGE", "batch of events: first is no number of an event");
	for (const struct json *event = json_first(batch->events); event != NULL; event = json_next(event)) {
		if (get_number(event, "seq", &seq) != 0 || seq != expected)
			return err_set(err, ERR_PERM, "BAD_MESSAGE", "batch of events: number %lld where %lld was due",
			               (long long)seq, (long long)expected);
		expected++;
	}
	if (expected - batch->first != batch->count || batch->last != expected - 1)
		return err_set(err, ERR_PERM, "BAD_MESSAGE", "batch of events: first, last and count do not fit its events");
	return 0;
}

int
proto_batch_decode(const char *message, size_t len, struct proto_batch *batch, struct err *err)
{
	static const char *const names[] = { "v", "boot", "journal", "first", "last", "count", "events", NULL };
	enum proto_error ignored;
	memset(batch, 0, sizeof(*batch));
	struct json *doc = open_message(message, len, names, &ignored, err);
	if (doc == NULL)
		return -1;
	batch->boot = json_string(json_get(doc, "boot"));
	batch->journal = json_string(json_get(doc, "journal"));
	batch->events = json_get(doc, "events");
	if (batch->boot == NULL || batch->journal == NULL || !json_is_array(batch->events) ||
	    get_number(doc, "first", &batch->first) != 0 || get_number(doc, "last", &batch->last) != 0 ||
	    get_number(doc, "count", &batch->count) != 0) {
		err_set(err, ERR_PERM, "BAD_MESSAGE", "batch of events: a field is missing");
		goto refuse;
	}
	if (check_batch(batch, err) != 0)
		goto refuse;
	batch->doc = doc;
	return 0;
refuse:
	json_free(doc);
	memset(batch, 0, sizeof(*batch));
	return -1;
}

void
proto_batch_release(struct proto_batch *batch)
{
	json_free(batch->doc);
	memset(batch, 0, sizeof(*batch));
}
