/* Tests of common/conf: every type, every refusal with its place and words, environment, secret files, records. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/conf.h"
#include "common/secret.h"

struct shop {
	int64_t id;
	char *name;
	const struct secret *key;
	struct conf_ints stores;
	bool open;
};

struct clock {
	char *zone, *when, *more;
};

struct target {
	char *server;
	int64_t port;
	bool ping;
	int mode;
	const struct secret *password;
	char *factor;
	int64_t base;
	struct shop *shops;
	size_t shop_count;
	struct clock *clocks;
	size_t clock_count;
};

#define FIELD(name) offsetof(struct target, name)
#define SHOP(name) offsetof(struct shop, name)
#define CLOCK(name) offsetof(struct clock, name)

static const struct conf_key keys[] = {
	{ "database.server", CONF_STRING, FIELD(server), NULL, 1, 20, NULL, "host and port" },
	{ "database.password", CONF_SECRET, FIELD(password), "", 0, 30, NULL, "its password" },
	{ "database.pool.base", CONF_INT, FIELD(base), "10", 1, 100, NULL, "connections" },
	{ "api.port", CONF_INT, FIELD(port), "8000", 0, 65535, NULL, "TCP port" },
	{ "api.ping", CONF_BOOL, FIELD(ping), "true", 0, 0, NULL, "whether to ping" },
	{ "api.mode", CONF_CHOICE, FIELD(mode), "request", 0, 0, "off|request|require", "mode" },
	{ "factor", CONF_DECIMAL, FIELD(factor), "1.0", -1, 100, NULL, "a factor" },
	{ "shops[].id", CONF_INT, SHOP(id), NULL, 1, 1000, NULL, "number" },
	{ "shops[].name", CONF_STRING, SHOP(name), "unnamed", 1, 20, NULL, "name" },
	{ "shops[].app_key", CONF_SECRET, SHOP(key), "", 0, 30, NULL, "key" },
	{ "shops[].stores", CONF_INTS, SHOP(stores), "1", 1, 99, NULL, "numbers of the stores" },
	{ "shops[].rules.open", CONF_BOOL, SHOP(open), "false", 0, 0, NULL, "open" },
	{ "clocks[].zone", CONF_ZONE, CLOCK(zone), "Europe/Berlin", 1, 60, NULL, "time zone" },
	{ "clocks[].when", CONF_WHEN, CLOCK(when), NULL, 1, 100, NULL, "when it is due" },
	{ "clocks[].more", CONF_OBJECT, CLOCK(more), "{}", 2, 20, NULL, "what else" },
};
#define KEYS (sizeof(keys) / sizeof(keys[0]))

static const struct conf_list lists[] = {
	{ "shops", sizeof(struct shop), 3, FIELD(shops), FIELD(shop_count), false },
	{ "clocks", sizeof(struct clock), 2, FIELD(clocks), FIELD(clock_count), true },
};

#define LISTS (sizeof(lists) / sizeof(lists[0]))

#define MINIMAL "database:\n  server: a\n"

static int load(const char *text, struct target *target, struct err *err)
{
	memset(target, 0xA5, sizeof(*target));
	return conf_load_text("t.yaml", text, strlen(text), "CT_", keys, KEYS, lists, LISTS, target, err);
}

static void assert_loads(const char *text, struct target *target)
{
	struct err err = ERR_INIT;

	if (load(text, target, &err) < 0)
		fail_msg("%s: %s", text, err.text);
}

static void release(struct target *target)
{
	conf_release(keys, KEYS, lists, LISTS, target);
	assert_null(target->server);
	assert_null(target->shops);
	assert_int_equal(target->shop_count, 0);
}

static void refuse(const char *text, const char *expected)
{
	struct target target;
	struct err err = ERR_INIT;

	if (load(text, &target, &err) == 0) {
		release(&target);
		fail_msg("accepted: %s", text);
	}
	assert_int_equal(err.class, ERR_PERM);
	assert_string_equal(err.code, "CONFIG");
	if (strcmp(err.text, expected) != 0)
		fail_msg("for: %s\n  got: %s\n  not: %s", text, err.text, expected);
	assert_null(target.server);
	assert_null(target.shops);
	assert_null(target.factor);
}

static void test_a_whole_file(void **state)
{
	struct target t;

	(void)state;
	assert_loads("# comment\n"
	             "database:\n"
	             "  server: \"host,1433\"\n"
	             "  password: pa:ss wo#rd \n"
	             "  pool: {base: 7}\n"
	             "api:\n"
	             "  port: 0\n"
	             "  ping: false\n"
	             "  mode: require\n"
	             "factor: -0.75\n"
	             "shops:\n"
	             "  - id: 1\n"
	             "    name: Gr\xC3\xB6\xC3\x9F" "e\n"
	             "    stores: [1, 22, 3]\n"
	             "    rules:\n"
	             "      open: true\n"
	             "  - id: 2\n"
	             "    stores: []\n",
	             &t);
	assert_string_equal(t.server, "host,1433");
	assert_string_equal(secret_bytes(t.password), "pa:ss wo#rd");
	assert_true(t.base == 7);
	assert_true(t.port == 0);
	assert_false(t.ping);
	assert_int_equal(t.mode, 2);
	assert_string_equal(t.factor, "-0.75");
	assert_int_equal(t.shop_count, 2);
	assert_true(t.shops[0].id == 1 && t.shops[1].id == 2);
	assert_string_equal(t.shops[0].name, "Gr\xC3\xB6\xC3\x9F" "e");
	assert_string_equal(t.shops[1].name, "unnamed");
	assert_int_equal(t.shops[0].stores.count, 3);
	assert_true(t.shops[0].stores.values[1] == 22);
	assert_int_equal(t.shops[1].stores.count, 0);
	assert_true(t.shops[0].open);
	assert_false(t.shops[1].open);
	release(&t);
}

static void test_defaults_and_empty_sections(void **state)
{
	struct target t;

	(void)state;
	assert_loads(MINIMAL "api:\nshops:\n", &t);
	assert_true(t.port == 8000);
	assert_true(t.base == 10);
	assert_true(t.ping);
	assert_int_equal(t.mode, 1);
	assert_string_equal(t.factor, "1.0");
	assert_int_equal(secret_len(t.password), 0);
	assert_int_equal(t.shop_count, 0);
	release(&t);
	assert_loads("---\n" MINIMAL "...\n", &t);
	release(&t);
	assert_loads("\xEF\xBB\xBF" MINIMAL, &t);
	release(&t);
}

static void test_structure_is_refused_with_its_place(void **state)
{
	(void)state;
	refuse("", "t.yaml: database.server is required (host and port; text of 1 to 20 bytes): set it there or as "
	           "CT_DATABASE_SERVER");
	refuse("database:\n  servr: a\n", "t.yaml:2:3: unknown key database.servr (did you mean database.server?)");
	refuse("databse:\n  server: a\n", "t.yaml:1:1: unknown key databse (did you mean database?)");
	refuse("server: a\n", "t.yaml:1:1: unknown key server (did you mean database.server?)");
	refuse("completely_different: a\n", "t.yaml:1:1: unknown key completely_different");
	refuse("database.server: a\n", "t.yaml:1:1: unknown key database.server (did you mean database.server?)");
	refuse("\"shops[]\": a\n", "t.yaml:1:1: unknown key shops[] (did you mean shops?)");
	refuse("\"\": a\n", "t.yaml:1:1: unknown key ");
	refuse("shops:\n  - id: 1\n    nam: x\n", "t.yaml:3:5: unknown key shops[0].nam (did you mean shops[].name?)");
	refuse(MINIMAL "  server: b\n", "t.yaml:3:3: database.server stands here for the second time, first in line 2");
	refuse(MINIMAL "api:\n  port: 1\ndatabase:\n  password: x\n",
	       "t.yaml:5:1: database stands here for the second time, first in line 2");
	refuse(MINIMAL "api: {}\napi: {}\n", "t.yaml:4:1: api stands here for the second time, first in line 3");
	refuse("database: x\n", "t.yaml:1:11: database: keys with values expected here");
	refuse("database: [x]\n", "t.yaml:1:11: database: keys with values expected here");
	refuse("- a\n", "t.yaml:1:1: keys with values expected here");
	refuse("hello\n", "t.yaml:1:1: keys with values expected here");
	refuse("? [a]\n: b\n", "t.yaml:1:3: a plain key expected");
	refuse("shops:\n  id: 1\n", "t.yaml:2:3: shops: a list expected, each record beginning with '-'");
	refuse("shops:\n  - 1\n", "t.yaml:2:5: shops[0]: keys with values expected here");
	refuse("shops: [{id: 1},{id: 2},{id: 3},{id: 4}]\n", "t.yaml:1:33: shops: at most 3 records");
	refuse("database:\n  server:\n",
	       "t.yaml:2:10: database.server: no value, text of 1 to 20 bytes expected (\"\" for an empty one)");
	refuse("database:\n  password: ~\n", "t.yaml:2:13: database.password: no value, text of 0 to 30 bytes expected");
	refuse("database:\n  server: [a]\n",
	       "t.yaml:2:11: database.server: text of 1 to 20 bytes expected, found a list or mapping");
}

static void test_yaml_extras_are_refused(void **state)
{
	(void)state;
	refuse("database: &a\n  server: x\n", "t.yaml:1:11: anchors are not accepted");
	refuse("database:\n  server: &a x\n", "t.yaml:2:11: anchors are not accepted");
	refuse("shops: &a [*a]\n", "t.yaml:1:8: anchors are not accepted");
	refuse("database: *a\n", "t.yaml:1:11: aliases are not accepted");
	refuse("database:\n  <<: *a\n", "t.yaml:2:3: unknown key database.<<");
	refuse("api:\n  port: !!int 5\n", "t.yaml:2:9: tags are not accepted");
	refuse(MINIMAL "---\n" MINIMAL, "t.yaml:3:1: a second document is not accepted");
	refuse("database:\n  server: \"a\\0b\"\n", "t.yaml:2:11: a NUL character is not accepted");
	refuse("database:\n\tserver: x\n",
	       "t.yaml:2:1: while scanning for the next token: found character that cannot start any token");
	refuse("database: {server: x\n",
	       "t.yaml:2:1: while parsing a flow mapping: did not find expected ',' or '}'");
	refuse("database:\n  server: \x01\n", "t.yaml:2:11: control characters are not allowed (printable UTF-8 expected)");
	refuse("database:\n  server: \xC3(\n", "t.yaml:2:12: invalid trailing UTF-8 octet (printable UTF-8 expected)");
}

static void test_values_are_refused_with_what_was_expected(void **state)
{
	struct {
		const char *text, *expected;
	} cases[] = {
		{ "api: {port: 65536}", "t.yaml:1:13: api.port: an integer from 0 to 65535 expected, found '65536'" },
		{ "api: {port: -1}", "t.yaml:1:13: api.port: an integer from 0 to 65535 expected, found '-1'" },
		{ "api: {port: 080}", "t.yaml:1:13: api.port: an integer from 0 to 65535 expected, found '080'" },
		{ "api: {port: -0}", "t.yaml:1:13: api.port: an integer from 0 to 65535 expected, found '-0'" },
		{ "api: {port: 1e3}", "t.yaml:1:13: api.port: an integer from 0 to 65535 expected, found '1e3'" },
		{ "api: {port: ''}", "t.yaml:1:13: api.port: an integer from 0 to 65535 expected, found ''" },
		{ "api: {port: 99999999999999999999}",
		  "t.yaml:1:13: api.port: an integer from 0 to 65535 expected, found '99999999999999999999'" },
		{ "api: {ping: yes}", "t.yaml:1:13: api.ping: true or false expected, found 'yes'" },
		{ "api: {mode: on}", "t.yaml:1:13: api.mode: one of off|request|require expected, found 'on'" },
		{ "api: {mode: 'off|request'}",
		  "t.yaml:1:13: api.mode: one of off|request|require expected, found 'off|request'" },
		{ "database: {server: ''}", "t.yaml:1:20: database.server: text of 1 to 20 bytes expected, found ''" },
		{ "database: {server: 123456789012345678901}",
		  "t.yaml:1:20: database.server: text of 1 to 20 bytes expected, found '123456789012345678901'" },
		{ "database: {server: \"a\\eb\"}",
		  "t.yaml:1:20: database.server: text of 1 to 20 bytes expected, found 'a\x1B" "b'" },
		{ "database: {server: a, password: 1234567890123456789012345678901}",
		  "t.yaml:1:33: database.password: text of 0 to 30 bytes expected" },
		{ "shops: [{id: 1, stores: 5}]", "t.yaml:1:25: shops[0].stores: a list of integers from 1 to 99 expected" },
		{ "shops: [{id: 1, stores: [5, 100]}]",
		  "t.yaml:1:29: shops[0].stores: an integer from 1 to 99 expected, found '100'" },
		{ "shops: [{id: 1, stores: [\"5,6\"]}]",
		  "t.yaml:1:26: shops[0].stores: an integer from 1 to 99 expected, found '5,6'" },
		{ "shops: [{id: 1, stores: [[5]]}]",
		  "t.yaml:1:26: shops[0].stores: an integer from 1 to 99 expected, found 'a list or mapping'" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char text[300];
		/* The server is required and bound first. */
		snprintf(text, sizeof(text), "%s%s", cases[i].text,
		         strstr(cases[i].text, "database") ? "" : "\ndatabase: {server: a}");
		refuse(text, cases[i].expected);
	}
	refuse(MINIMAL "shops:\n  - name: x\n", "t.yaml: shops[0].id is required (number; an integer from 1 to 1000): set it "
	                                        "there or as CT_SHOPS_0_ID");
}

static void test_texts_with_readers_of_their_own(void **state)
{
	struct target t;

	(void)state;
	assert_loads(MINIMAL "clocks:\n  - when: '*/5 * * * mon-fri'\n    zone: UTC\n    more: '{\"a\": [1]}'\n  - when: every 2h\n", &t);
	assert_int_equal(t.clock_count, 2);
	assert_string_equal(t.clocks[0].when, "*/5 * * * mon-fri");
	assert_string_equal(t.clocks[0].zone, "UTC");
	assert_string_equal(t.clocks[0].more, "{\"a\": [1]}");
	assert_string_equal(t.clocks[1].zone, "Europe/Berlin");
	assert_string_equal(t.clocks[1].more, "{}");
	release(&t);
	refuse(MINIMAL "clocks:\n  - when: 61 * * * *\n",
	       "t.yaml:4:11: clocks[0].when: \"61 * * * *\": not understood: minute "
	       "(five fields as cron has them, or an interval such as every 5m expected)");
	refuse(MINIMAL "clocks:\n  - when: every 5m\n    zone: ../x\n",
	       "t.yaml:5:11: clocks[0].zone: \"../x\" is no name of a time zone, such as Europe/Berlin "
	       "(a time zone, such as Europe/Berlin expected)");
	refuse(MINIMAL "clocks:\n  - when: every 5m\n    more: '[1]'\n",
	       "t.yaml:5:11: clocks[0].more: a JSON object of up to 20 bytes expected, found '[1]'");
	refuse(MINIMAL "clocks:\n  - when: every 5m\n    more: '{\"a\":123456789012345}'\n",
	       "t.yaml:5:11: clocks[0].more: a JSON object of up to 20 bytes expected, found '{\"a\":123456789012345}'");
	refuse(MINIMAL "clocks:\n  - zone: UTC\n",
	       "t.yaml: clocks[0].when is required (when it is due; five fields as cron has them, or an interval such as every 5m): "
	       "set it there or as CT_CLOCKS_0_WHEN");
	refuse(MINIMAL "clocks: [{when: every 1s}, {when: every 1s}, {when: every 1s}]\n", "t.yaml:3:46: clocks: at most 2 records");
}

static void test_decimals(void **state)
{
	static const char *const right[] = { "0", "1", "100", "100.00", "-1", "-1.0", "99.999999999999999999999999999", "-0.5", "0.0" };
	static const char *const wrong[] = { "100.01", "-1.01", "101", "-2", "1.", ".5", "1e2", "01", "+1", "1,5", "", "-", "1.2.3",
		                             "0.000000000000000000000000000000000000001", "99999999999999999999" };
	char text[200];
	struct target t;
	struct err err = ERR_INIT;

	(void)state;
	for (size_t i = 0; i < sizeof(right) / sizeof(right[0]); i++) {
		snprintf(text, sizeof(text), MINIMAL "factor: '%s'\n", right[i]);
		assert_loads(text, &t);
		assert_string_equal(t.factor, right[i]);
		release(&t);
	}
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		snprintf(text, sizeof(text), MINIMAL "factor: '%s'\n", wrong[i]);
		if (load(text, &t, &err) == 0) {
			release(&t);
			fail_msg("accepted %s", wrong[i]);
		}
		assert_non_null(strstr(err.text, "t.yaml:3:9: factor: a decimal number from -1 to 100 expected"));
	}
}

static void test_deep_and_large_files(void **state)
{
	struct target t;
	struct err err = ERR_INIT;
	size_t size = 256 * 1024 + 1;
	char *text = malloc(size + 1);

	(void)state;
	assert_non_null(text);
	memset(text, '[', size - 1);
	text[size - 1] = '\0';
	assert_int_equal(load(text, &t, &err), -1);
	assert_string_equal(err.text, "t.yaml:1:1: keys with values expected here");
	memset(text, '#', size);
	text[size] = '\0';
	assert_int_equal(load(text, &t, &err), -1);
	assert_string_equal(err.text, "t.yaml: larger than 262144 bytes");
	memcpy(text, MINIMAL, strlen(MINIMAL));
	text[size - 1] = '\0';
	assert_loads(text, &t);
	release(&t);
	free(text);
}

static void test_environment_wins(void **state)
{
	struct target t;

	(void)state;
	setenv("CT_DATABASE_SERVER", "from env", 1);
	setenv("CT_DATABASE_POOL_BASE", "99", 1);
	setenv("CT_SHOPS_0_STORES", "4, 5,6", 1);
	setenv("CT_SHOPS_0_RULES_OPEN", "true", 1);
	setenv("CT_SHOPS_1_ID", "2", 1);
	setenv("CT_SHOPS_1_APP_KEY", "key of two", 1);
	setenv("CT_CONFIG", "/etc/x", 1);
	setenv("CT_TEST_TDS", "host:1", 1);
	assert_loads(MINIMAL "shops:\n  - id: 1\n    name: one\n", &t);
	assert_string_equal(t.server, "from env");
	assert_true(t.base == 99);
	assert_int_equal(t.shop_count, 2);
	assert_string_equal(t.shops[0].name, "one");
	assert_int_equal(t.shops[0].stores.count, 3);
	assert_true(t.shops[0].stores.values[2] == 6);
	assert_true(t.shops[0].open);
	assert_true(t.shops[1].id == 2);
	assert_string_equal(secret_bytes(t.shops[1].key), "key of two");
	release(&t);
	assert_int_equal(conf_load(NULL, "CT_", keys, KEYS, lists, LISTS, &t, NULL), -1);
	setenv("CT_SHOPS_0_ID", "7", 1);
	setenv("CT_SHOPS_0_STORES", "", 1);
	assert_int_equal(conf_load(NULL, "CT_", keys, KEYS, lists, LISTS, &t, NULL), 0);
	assert_int_equal(t.shop_count, 2);
	assert_true(t.shops[0].id == 7);
	assert_int_equal(t.shops[0].stores.count, 0);
	release(&t);
	assert_int_equal(conf_load_text("t", MINIMAL, strlen(MINIMAL), NULL, keys, KEYS, lists, LISTS, &t, NULL), 0);
	assert_string_equal(t.server, "a");
	assert_int_equal(t.shop_count, 0);
	release(&t);
}

static void refuse_with(const char *name, const char *value, const char *expected)
{
	setenv(name, value, 1);
	refuse(MINIMAL, expected);
	unsetenv(name);
}

static void test_wrong_variables_are_refused(void **state)
{
	struct target t;

	(void)state;
	refuse_with("CT_API_PORT", "x", "CT_API_PORT: api.port: an integer from 0 to 65535 expected, found 'x'");
	refuse_with("CT_API_PORT", "", "CT_API_PORT: api.port: an integer from 0 to 65535 expected, found ''");
	refuse_with("CT_API_PING", "TRUE", "CT_API_PING: api.ping: true or false expected, found 'TRUE'");
	refuse_with("CT_DATABASE_SERVER", "\xFF",
	            "CT_DATABASE_SERVER: database.server: text of 1 to 20 bytes expected, found bytes that are not UTF-8");
	refuse_with("CT_DATABASE_SERVR", "x", "environment: unknown variable CT_DATABASE_SERVR (did you mean CT_DATABASE_SERVER?)");
	refuse_with("CT_DATABASE_SERVER_FILE", "x",
	            "environment: unknown variable CT_DATABASE_SERVER_FILE (did you mean CT_DATABASE_SERVER?)");
	refuse_with("CT_SHOPS_0_NAM", "x", "environment: unknown variable CT_SHOPS_0_NAM (did you mean CT_SHOPS_<n>_NAME?)");
	refuse_with("CT_SHOPS_00_NAME", "x", "environment: unknown variable CT_SHOPS_00_NAME (did you mean CT_SHOPS_<n>_NAME?)");
	refuse_with("CT_SHOPS_NAME", "x", "environment: unknown variable CT_SHOPS_NAME (did you mean CT_SHOPS_<n>_NAME?)");
	refuse_with("CT_SOMETHING_ELSE_ENTIRELY", "x", "environment: unknown variable CT_SOMETHING_ELSE_ENTIRELY");
	refuse_with("CT_", "x", "environment: unknown variable CT_");
	refuse_with("CT_SHOPS_3_ID", "1", "CT_SHOPS_3_ID: at most 3 shops, numbered from 0");
	refuse_with("CT_SHOPS_1_ID", "1", "t.yaml: shops[0].id is required (number; an integer from 1 to 1000): set it there or as "
	                                  "CT_SHOPS_0_ID");
	refuse_with("CT_SHOPS_0_STORES", "1,,2",
	            "t.yaml: shops[0].id is required (number; an integer from 1 to 1000): set it there or as CT_SHOPS_0_ID");
	setenv("CT_SHOPS_0_ID", "1", 1);
	refuse_with("CT_SHOPS_0_STORES", "1,,2",
	            "CT_SHOPS_0_STORES: shops[0].stores: a list of integers from 1 to 99 expected, found '1,,2'");
	refuse_with("CT_SHOPS_0_STORES", "1,",
	            "CT_SHOPS_0_STORES: shops[0].stores: a list of integers from 1 to 99 expected, found '1,'");
	refuse_with("CT_SHOPS_0_APP_KEY", "1234567890123456789012345678901",
	            "CT_SHOPS_0_APP_KEY: shops[0].app_key: text of 0 to 30 bytes expected");
	unsetenv("CT_SHOPS_0_ID");
	setenv("CTX_NOT_OURS", "x", 1);
	assert_loads(MINIMAL, &t);
	release(&t);
	unsetenv("CTX_NOT_OURS");
}

static char folder[200];

static void write_file(const char *name, const void *text, size_t len, char *path, size_t size)
{
	FILE *file;

	snprintf(path, size, "%s/%s", folder, name);
	file = fopen(path, "w");
	assert_non_null(file);
	assert_int_equal(fwrite(text, 1, len, file), len);
	fclose(file);
}

static void test_secret_files(void **state)
{
	char path[300], expected[700];
	struct target t;

	(void)state;
	write_file("password", "file secret\n", 12, path, sizeof(path));
	setenv("CT_DATABASE_PASSWORD_FILE", path, 1);
	assert_loads(MINIMAL "  password: other\n", &t);
	assert_string_equal(secret_bytes(t.password), "file secret");
	release(&t);
	refuse_with("CT_DATABASE_PASSWORD", "x",
	            "CT_DATABASE_PASSWORD and CT_DATABASE_PASSWORD_FILE are both set: one of them expected");
	write_file("password", "a\0b", 3, path, sizeof(path));
	snprintf(expected, sizeof(expected), "CT_DATABASE_PASSWORD_FILE: database.password: %s holds a NUL character", path);
	refuse(MINIMAL, expected);
	unlink(path);
	snprintf(expected, sizeof(expected), "CT_DATABASE_PASSWORD_FILE: %s: cannot be read: No such file or directory", path);
	refuse(MINIMAL, expected);
	unsetenv("CT_DATABASE_PASSWORD_FILE");
	write_file("key", "k1", 2, path, sizeof(path));
	setenv("CT_SHOPS_0_APP_KEY_FILE", path, 1);
	setenv("CT_SHOPS_0_ID", "3", 1);
	assert_loads(MINIMAL, &t);
	assert_string_equal(secret_bytes(t.shops[0].key), "k1");
	release(&t);
	unsetenv("CT_SHOPS_0_APP_KEY_FILE");
	unsetenv("CT_SHOPS_0_ID");
	unlink(path);
}

static void test_files(void **state)
{
	struct err err = ERR_INIT;
	struct target t;
	char path[300], expected[600], *big = calloc(1, 300000);

	(void)state;
	assert_non_null(big);
	write_file("good.yaml", MINIMAL, strlen(MINIMAL), path, sizeof(path));
	assert_int_equal(conf_load(path, "CT_", keys, KEYS, lists, LISTS, &t, &err), 0);
	assert_string_equal(t.server, "a");
	release(&t);
	write_file("good.yaml", "", 0, path, sizeof(path));
	assert_int_equal(conf_load(path, "CT_", keys, KEYS, lists, LISTS, &t, &err), -1);
	snprintf(expected, sizeof(expected), "%s: database.server is required", path);
	assert_memory_equal(err.text, expected, strlen(expected));
	memset(big, '#', 300000);
	write_file("good.yaml", big, 300000, path, sizeof(path));
	assert_int_equal(conf_load(path, "CT_", keys, KEYS, lists, LISTS, &t, &err), -1);
	snprintf(expected, sizeof(expected), "%s: larger than 262144 bytes", path);
	assert_string_equal(err.text, expected);
	unlink(path);
	assert_int_equal(conf_load(path, "CT_", keys, KEYS, lists, LISTS, &t, &err), -1);
	snprintf(expected, sizeof(expected), "%s: cannot be read: No such file or directory", path);
	assert_string_equal(err.text, expected);
	assert_int_equal(conf_load(folder, "CT_", keys, KEYS, lists, LISTS, &t, &err), -1);
	assert_non_null(strstr(err.text, "Is a directory"));
	free(big);
}

/* The sample must load as it is (required keys given elsewhere) and with the marks in front of its keys taken away. */
static void test_help_is_a_sample(void **state)
{
	struct target t;
	struct buf help;
	char *text;

	(void)state;
	buf_init(&help, 100000);
	conf_print_help(keys, KEYS, lists, LISTS, &help);
	assert_int_equal(buf_check(&help, "help", NULL), 0);
	assert_non_null(strstr(help.data, "database:\n  # host and port\n  # text of 1 to 20 bytes; required\n  #server:\n"));
	assert_non_null(strstr(help.data, "  pool:\n    # connections\n    # an integer from 1 to 100\n    #base: 10\n"));
	assert_non_null(strstr(help.data, "\nshops:\n  -\n    # number\n"));
	assert_non_null(strstr(help.data, "    rules:\n      # open\n"));
	assert_non_null(strstr(help.data, "\n#clocks:\n#  -\n    # time zone\n"));
	assert_non_null(strstr(help.data, "    #more: '{}'\n"));
	setenv("CT_DATABASE_SERVER", "x", 1);
	setenv("CT_SHOPS_0_ID", "1", 1);
	assert_loads(help.data, &t);
	assert_int_equal(t.shop_count, 1);
	assert_int_equal(t.clock_count, 0);
	release(&t);
	text = buf_take(&help, NULL);
	setenv("CT_CLOCKS_0_WHEN", "every 5m", 1);
	for (char *at = strstr(text, "#"); at; at = strstr(at + 1, "#"))
		if ((at[1] != ' ' || strncmp(at, "#  -", 4) == 0) && strncmp(at, "#server:", 8) != 0 && strncmp(at, "#id:", 4) != 0 &&
		    strncmp(at, "#when:", 6) != 0)
			memmove(at, at + 1, strlen(at));
	assert_loads(text, &t);
	assert_true(t.port == 8000);
	assert_int_equal(t.shops[0].stores.count, 1);
	release(&t);
	free(text);
}

static void clear_environment(void)
{
	static const char *const names[] = { "CT_DATABASE_SERVER", "CT_DATABASE_POOL_BASE", "CT_SHOPS_0_STORES", "CT_SHOPS_0_RULES_OPEN",
		                             "CT_SHOPS_1_ID", "CT_SHOPS_1_APP_KEY", "CT_CONFIG", "CT_TEST_TDS", "CT_SHOPS_0_ID", "CT_CLOCKS_0_WHEN" };

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		unsetenv(names[i]);
}

static int setup(void **state)
{
	(void)state;
	clear_environment();
	return 0;
}

static int make_folder(void **state)
{
	const char *base = getenv("TMPDIR");

	(void)state;
	snprintf(folder, sizeof(folder), "%s/test-conf-XXXXXX", base ? base : "/tmp");
	return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
	(void)state;
	return rmdir(folder);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_a_whole_file, setup),
		cmocka_unit_test_setup(test_defaults_and_empty_sections, setup),
		cmocka_unit_test_setup(test_structure_is_refused_with_its_place, setup),
		cmocka_unit_test_setup(test_yaml_extras_are_refused, setup),
		cmocka_unit_test_setup(test_values_are_refused_with_what_was_expected, setup),
		cmocka_unit_test_setup(test_texts_with_readers_of_their_own, setup),
		cmocka_unit_test_setup(test_decimals, setup),
		cmocka_unit_test_setup(test_deep_and_large_files, setup),
		cmocka_unit_test_setup(test_environment_wins, setup),
		cmocka_unit_test_setup(test_wrong_variables_are_refused, setup),
		cmocka_unit_test_setup(test_secret_files, setup),
		cmocka_unit_test_setup(test_files, setup),
		cmocka_unit_test_setup(test_help_is_a_sample, setup),
	};

	return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
