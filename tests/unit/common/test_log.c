/* Tests of common/log: one line per call, streams, formats, masking, cuts, the sink. The streams are files here. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/json.h"
#include "common/log.h"
#include "common/secret.h"
#include "common/utf8.h"

#define CAPTURE_MAX (256 * 1024)

static char folder[200], captured[CAPTURE_MAX];
static int kept_out = -1, kept_err = -1;

static int64_t fixed_now(void)
{
	return 1795496657123;
}

static int make_folder(void **state)
{
	const char *base = getenv("TMPDIR");

	(void)state;
	snprintf(folder, sizeof(folder), "%s/test-log-XXXXXX", base ? base : "/tmp");
	clock_replace(fixed_now, NULL);
	return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
	(void)state;
	clock_replace(NULL, NULL);
	return rmdir(folder);
}

static int redirect(int fd, const char *name)
{
	char path[256];
	int kept = dup(fd), file;

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	file = open(path, O_CREAT | O_TRUNC | O_WRONLY | O_APPEND, 0600);
	dup2(file, fd);
	close(file);
	return kept;
}

static void capture_start(void)
{
	fflush(NULL);
	kept_out = redirect(STDOUT_FILENO, "out");
	kept_err = redirect(STDERR_FILENO, "err");
}

static const char *read_back(const char *name)
{
	char path[256];
	size_t len = 0;
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	file = fopen(path, "r");
	if (file) {
		len = fread(captured, 1, sizeof(captured) - 1, file);
		fclose(file);
	}
	unlink(path);
	captured[len] = '\0';
	return captured;
}

/* Ends the capture; the other stream must have stayed empty unless both are read. */
static const char *capture_end(const char *name)
{
	const char *other = strcmp(name, "out") == 0 ? "err" : "out";

	dup2(kept_out, STDOUT_FILENO);
	dup2(kept_err, STDERR_FILENO);
	close(kept_out);
	close(kept_err);
	assert_string_equal(read_back(other), "");
	return read_back(name);
}

static void test_text_line(void **state)
{
	(void)state;
	log_init("temu-test", LEVEL_DEBUG, LOG_TEXT);
	log_context_set("r-1", "temu_inventory_sync", "fetch");
	capture_start();
	log_info("%d SKUs", 7);
	assert_string_equal(capture_end("out"),
	                    "2026-11-24T05:04:17.123Z INFO  [temu_inventory_sync r-1 fetch] 7 SKUs\n");
	log_context_set(NULL, NULL, "");
	capture_start();
	log_debug("x");
	assert_string_equal(capture_end("out"), "2026-11-24T05:04:17.123Z DEBUG [temu_inventory_sync r-1] x\n");
	log_context_clear();
	capture_start();
	errno = ENOENT;
	log_error("no context: %m");
	assert_int_equal(errno, ENOENT);
	assert_string_equal(capture_end("err"),
	                    "2026-11-24T05:04:17.123Z ERROR no context: No such file or directory\n");
}

static void test_levels_below_are_hidden(void **state)
{
	(void)state;
	log_init("temu-test", LEVEL_WARNING, LOG_TEXT);
	capture_start();
	log_debug("hidden");
	log_info("hidden");
	log_warning("shown");
	assert_string_equal(capture_end("out"), "2026-11-24T05:04:17.123Z WARNING shown\n");
}

static void test_json_line(void **state)
{
	struct json *root;
	const char *line;

	(void)state;
	log_init("temu-test", LEVEL_INFO, LOG_JSON);
	log_context_set("r-2", "job", "step");
	capture_start();
	log_info("quote \" and backslash \\ and \xC3\xA4");
	line = capture_end("out");
	assert_int_equal(line[strlen(line) - 1], '\n');
	root = json_parse(line, strlen(line), NULL);
	assert_non_null(root);
	assert_string_equal(json_get_string(root, "time", ""), "2026-11-24T05:04:17.123Z");
	assert_string_equal(json_get_string(root, "level", ""), "INFO");
	assert_string_equal(json_get_string(root, "daemon", ""), "temu-test");
	assert_string_equal(json_get_string(root, "job", ""), "job");
	assert_string_equal(json_get_string(root, "run", ""), "r-2");
	assert_string_equal(json_get_string(root, "step", ""), "step");
	assert_string_equal(json_get_string(root, "text", ""), "quote \" and backslash \\ and \xC3\xA4");
	json_free(root);
	log_context_clear();
}

static void test_a_line_stays_one_line(void **state)
{
	(void)state;
	log_init("temu-test", LEVEL_INFO, LOG_TEXT);
	log_context_set("r\n1", "", "");
	capture_start();
	log_info("a\nb\r\tc\x1B[31m\x7F \xC2\x85 \xFF \xC3\xBC");
	assert_string_equal(capture_end("out"), "2026-11-24T05:04:17.123Z INFO  [r\\n1] "
	                                        "a\\nb\\r\\tc\\x1B[31m\\x7F \\x85 \\xFF \xC3\xBC\n");
	log_context_clear();
}

static void test_secrets_are_masked_before_the_cut(void **state)
{
	char text[LOG_TEXT_MAX + 200];
	const char *line;

	(void)state;
	assert_non_null(secret_new("very-secret-value", 17));
	log_init("temu-test", LEVEL_INFO, LOG_TEXT);
	capture_start();
	log_info("password=very-secret-value;");
	assert_non_null(strstr(capture_end("out"), "password=***;"));
	memset(text, 'a', sizeof(text));
	memcpy(text + LOG_TEXT_MAX - 10, "very-secret-value", 18);
	capture_start();
	log_info("%s", text);
	line = capture_end("out");
	assert_null(strstr(line, "very"));
}

static void test_long_lines_are_cut_at_a_character(void **state)
{
	char text[3 * LOG_TEXT_MAX];
	const char *line;
	size_t len;

	(void)state;
	log_init("temu-test", LEVEL_INFO, LOG_TEXT);
	for (size_t shift = 0; shift < 4; shift++) {
		memset(text, 'a', sizeof(text));
		for (size_t at = shift; at + 2 < sizeof(text); at += 2)
			memcpy(text + at, "\xC3\xA4", 2);
		text[sizeof(text) - 2] = '\0';
		capture_start();
		log_info("%s", text);
		line = capture_end("out") + strlen("2026-11-24T05:04:17.123Z INFO  ");
		len = strlen(line) - 1;
		assert_in_range(len, LOG_TEXT_MAX - 2, LOG_TEXT_MAX);
		assert_memory_equal(line + len - 3, "...\n", 4);
		assert_true(utf8_valid(line, len));
	}
	memset(text, 'b', LOG_TEXT_MAX);
	text[LOG_TEXT_MAX] = '\0';
	capture_start();
	log_info("%s", text);
	assert_null(strstr(capture_end("out"), "..."));
}

static char sunk[4][64];
static int sunk_count;

static void remember(const struct log_line *line, void *arg)
{
	if (sunk_count < 4)
		snprintf(sunk[sunk_count], sizeof(sunk[0]), "%s|%s|%s|%s|%s", log_level_name(line->level), line->job, line->run,
		         line->step, line->text);
	sunk_count++;
	assert_ptr_equal(arg, &sunk_count);
	log_warning("from the sink");
}

static void test_sink_takes_lines_but_not_its_own(void **state)
{
	const char *out;

	(void)state;
	log_init("temu-test", LEVEL_ERROR, LOG_TEXT);
	log_sink_set(remember, &sunk_count);
	log_context_set("r", "j", "s");
	sunk_count = 0;
	capture_start();
	log_debug("never");
	log_info("hidden but kept");
	out = capture_end("out");
	assert_string_equal(out, "");
	assert_int_equal(sunk_count, 1);
	assert_string_equal(sunk[0], "INFO|j|r|s|hidden but kept");
	log_init("temu-test", LEVEL_DEBUG, LOG_TEXT);
	capture_start();
	log_debug("shown\n");
	out = capture_end("out");
	assert_non_null(strstr(out, "shown\\n\n"));
	assert_non_null(strstr(out, "from the sink\n"));
	assert_int_equal(sunk_count, 2);
	assert_string_equal(sunk[1], "DEBUG|j|r|s|shown\\n");
	log_sink_set(NULL, NULL);
	capture_start();
	log_info("after");
	capture_end("out");
	assert_int_equal(sunk_count, 2);
	log_context_clear();
}

static void *log_many(void *arg)
{
	log_context_set(arg, NULL, NULL);
	for (int i = 0; i < 200; i++)
		log_info("line %d of %s", i, (const char *)arg);
	return NULL;
}

static void test_threads_do_not_mix_lines(void **state)
{
	static char names[4][2] = { "a", "b", "c", "d" };
	int counts[4] = { 0 }, number;
	pthread_t threads[4];
	char run, name;
	char *rest, *line, *text;

	(void)state;
	log_init("temu-test", LEVEL_INFO, LOG_TEXT);
	capture_start();
	for (int i = 0; i < 4; i++)
		pthread_create(&threads[i], NULL, log_many, names[i]);
	for (int i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	capture_end("out");
	text = captured;
	for (line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
		assert_int_equal(sscanf(line, "2026-11-24T05:04:17.123Z INFO  [%c] line %d of %c", &run, &number, &name), 3);
		assert_int_equal(run, name);
		assert_int_equal(number, counts[run - 'a']++);
	}
	for (int i = 0; i < 4; i++)
		assert_int_equal(counts[i], 200);
}

static void test_level_names(void **state)
{
	enum log_level level;

	(void)state;
	for (int i = LEVEL_DEBUG; i <= LEVEL_ERROR; i++) {
		assert_int_equal(log_level_parse(log_level_name((enum log_level)i), &level), 0);
		assert_int_equal(level, i);
	}
	assert_int_equal(log_level_parse("info", &level), -1);
	assert_int_equal(log_level_parse("", &level), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_text_line),
		cmocka_unit_test(test_levels_below_are_hidden),
		cmocka_unit_test(test_json_line),
		cmocka_unit_test(test_a_line_stays_one_line),
		cmocka_unit_test(test_secrets_are_masked_before_the_cut),
		cmocka_unit_test(test_long_lines_are_cut_at_a_character),
		cmocka_unit_test(test_sink_takes_lines_but_not_its_own),
		cmocka_unit_test(test_threads_do_not_mix_lines),
		cmocka_unit_test(test_level_names),
	};

	return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
