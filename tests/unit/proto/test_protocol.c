/* protocol.md against messages.def: every command and event has its row there, with the right arguments and an example that reads. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "proto/proto.h"

static char page[64 * 1024];

static const char *const commands[] = {
#define COMMAND(id, name, help) name,
#include "proto/messages.def"
};
static const char *const events[] = {
#define EVENT(id, name, help) name,
#include "proto/messages.def"
};
static const struct {
	enum proto_command command;
	const char *name;
} fields[] = {
#define FIELD(command, name, kind, required, limit) { command, name },
#include "proto/messages.def"
};
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static int
set_up(void **state)
{
	(void)state;
	FILE *file = fopen("proto/protocol.md", "r");
	if (file == NULL)
		fail_msg("proto/protocol.md cannot be read: tests start in the root of the tree");
	size_t len = fread(page, 1, sizeof(page) - 1, file);
	assert_true(len > 0 && len < sizeof(page) - 1);
	page[len] = '\0';
	return fclose(file);
}

/* The text of the first code span at or after at, within the cell or line; false when there is none. */
static bool
next_span(const char **at, const char *end, char *out, size_t size)
{
	const char *open = memchr(*at, '`', (size_t)(end - *at));
	const char *close = open != NULL ? memchr(open + 1, '`', (size_t)(end - open - 1)) : NULL;
	if (close == NULL)
		return false;
	assert_true((size_t)(close - open) < size);
	memcpy(out, open + 1, (size_t)(close - open - 1));
	out[close - open - 1] = '\0';
	*at = close + 1;
	return true;
}

/* The row of a table that begins with this name: its cells. Fails unless there is exactly one. */
static void
find_row(const char *name, const char **cells, const char **end)
{
	char head[80];
	snprintf(head, sizeof(head), "\n| `%s` |", name);
	*cells = strstr(page, head);
	if (*cells == NULL || strstr(*cells + 1, head) != NULL)
		fail_msg("%s has no row in protocol.md, or two", name);
	*cells += strlen(head);
	*end = strchr(*cells, '\n');
	assert_non_null(*end);
}

static struct json *
parse_example(const char *name, char *text)
{
	struct err err = ERR_INIT;
	char *dots;
	while ((dots = strstr(text, "[...]")) != NULL) /* what stands elsewhere on the page */
		memmove(dots + 1, dots + 4, strlen(dots + 4) + 1);
	struct json *example = json_parse(text, strlen(text), &err);
	if (!json_is_object(example))
		fail_msg("%s: the example is not an object: %s", name, err.text);
	return example;
}

static void
every_command_has_its_row(void **state)
{
	char text[4096];
	const char *at, *end;
	(void)state;
	for (size_t i = 0; i < COUNT(commands); i++) {
		find_row(commands[i], &at, &end);
		const char *bar = memchr(at, '|', (size_t)(end - at));
		assert_non_null(bar);
		for (size_t f = 0; f < COUNT(fields); f++) {
			if (fields[f].command != (enum proto_command)i)
				continue;
			if (!next_span(&at, bar, text, sizeof(text)) || strcmp(text, fields[f].name) != 0)
				fail_msg("%s: argument %s is missing or not in its place", commands[i], fields[f].name);
		}
		if (next_span(&at, bar, text, sizeof(text)))
			fail_msg("%s: there is no argument %s", commands[i], text);
		at = bar;
		assert_true(next_span(&at, end, text, sizeof(text)));
		json_free(parse_example(commands[i], text));
	}
}

static void
every_event_has_its_row(void **state)
{
	char text[4096];
	const char *at, *end;
	(void)state;
	for (size_t i = 0; i < COUNT(events); i++) {
		struct buf message;
		struct proto_batch batch;
		struct err err = ERR_INIT;
		find_row(events[i], &at, &end);
		assert_true(next_span(&at, end, text, sizeof(text)));
		struct json *example = parse_example(events[i], text);
		assert_string_equal(json_get_string(example, "event", ""), events[i]);
		int64_t seq = json_get_int64(example, "seq", 0);
		buf_init(&message, sizeof(text) * 2);
		proto_batch_encode(&message, "b-1", "j-1", seq, seq, 1, text);
		if (proto_batch_decode(message.data, message.len, &batch, &err) != 0)
			fail_msg("%s: %s", events[i], err.text);
		proto_batch_release(&batch);
		buf_release(&message);
		json_free(example);
	}
}

static void
no_row_is_left_over(void **state)
{
	size_t rows = 0;
	(void)state;
	for (const char *at = page; (at = strstr(at, "\n| `")) != NULL; at++)
		rows++;
	assert_int_equal(rows, COUNT(commands) + COUNT(events));
}

static void
the_example_request_is_one(void **state)
{
	static const char mark[] = "`{\"v\":1,\"cmd\":\"run_submit\"";
	char text[1000];
	const char *at = strstr(page, mark);
	struct proto_request request;
	enum proto_error code;
	struct err err = ERR_INIT;
	(void)state;
	assert_non_null(at);
	assert_true(next_span(&at, at + strlen(at), text, sizeof(text)));
	if (proto_request_decode(text, strlen(text), &request, &code, &err) != 0)
		fail_msg("%s", err.text);
	assert_int_equal(request.command, CMD_RUN_SUBMIT);
	proto_request_release(&request);
}

static void
the_drawing_names_every_state(void **state)
{
	const char *from = strstr(page, "```\n"), *to = from != NULL ? strstr(from + 4, "```\n") : NULL;
	(void)state;
	assert_non_null(to);
	for (int i = 0; i < RUN_STATE_COUNT; i++) {
		const char *found = strstr(from, run_state_name((enum run_state)i));
		if (found == NULL || found > to)
			fail_msg("%s is not in the drawing", run_state_name((enum run_state)i));
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_command_has_its_row), cmocka_unit_test(every_event_has_its_row), cmocka_unit_test(no_row_is_left_over),
		cmocka_unit_test(the_example_request_is_one), cmocka_unit_test(the_drawing_names_every_state),
	};
	return cmocka_run_group_tests(tests, set_up, NULL);
}
