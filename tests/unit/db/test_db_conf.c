/* The connection file and the literals: what goes into them and what must not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "worker/db/db_internal.h"

static char folder[] = "/tmp/db-conf-XXXXXX";
static char path[64];

static int set_up(void **state)
{
	(void)state;
	if (!mkdtemp(folder))
		return -1;
	snprintf(path, sizeof(path), "%s/freetds.conf", folder);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	unlink(path);
	return rmdir(folder);
}

static const char *content(void)
{
	static char text[4096];
	FILE *file = fopen(path, "re");
	size_t len;

	assert_non_null(file);
	len = fread(text, 1, sizeof(text) - 1, file);
	text[len] = '\0';
	fclose(file);
	return text;
}

static struct db_config config_for(const char *server)
{
	return (struct db_config){ .server = server, .folder = folder, .encryption = DB_ENCRYPTION_REQUIRE };
}

static void servers(void **state)
{
	static const struct {
		const char *server, *lines;
	} table[] = {
		{ "db.example.com", "\thost = db.example.com\n\tport = 1433\n" },
		{ "db.example.com,50000", "\thost = db.example.com\n\tport = 50000\n" },
		{ "db.example.com, 50000", "\thost = db.example.com\n\tport = 50000\n" },
		{ "10.0.0.5:50000", "\thost = 10.0.0.5\n\tport = 50000\n" },
		{ "[fe80::1]:1444", "\thost = fe80::1\n\tport = 1444\n" },
		{ "[::1],1444", "\thost = ::1\n\tport = 1444\n" },
		{ "[::1]", "\thost = ::1\n\tport = 1433\n" },
		{ "::1", "\thost = ::1\n\tport = 1433\n" },
		{ "[fe80::1%eth0]:1444", "\thost = fe80::1%eth0\n\tport = 1444\n" },
		{ "::1,1444", "\thost = ::1\n\tport = 1444\n" },
		{ "HOST\\JTLWAWI", "\thost = HOST\n\tinstance = JTLWAWI\n" },
		{ "(local)\\JTLWAWI", "\thost = localhost\n\tinstance = JTLWAWI\n" },
		{ ".", "\thost = localhost\n\tport = 1433\n" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		struct db_config config = config_for(table[i].server);
		struct err err = ERR_INIT;
		char expected[300];

		assert_int_equal(db_setup(&config, &err), 0);
		snprintf(expected, sizeof(expected),
			 "[temu-sql]\n%s\ttds version = 7.4\n\tclient charset = UTF-8\n\tencryption = require\n",
			 table[i].lines);
		assert_string_equal(content(), expected);
	}
}

static void bad_servers(void **state)
{
	static const char *const bad[] = {
		"",
		",1433",
		"host,",
		"host,0",
		"host,65536",
		"host,14a",
		"host,-1",
		"host:",
		"host:1433:1",
		"host\\INST,1433",
		"host,1433\\INST",
		"host:1433\\INST",
		"host\\INST:1433",
		"\\INST",
		"host\\",
		"host\\A\\B",
		"host\\A B",
		"[::1",
		"[::1]x",
		"ho st",
		"host\n\tencryption = off",
		"host\r",
		"host#x",
		"host;x",
		"host=x",
		"h\tost",
		"host  x",
		" host",
		"host,1433 ",
		"hostü",
		"host\\\xFF",
		"host]x[",
	};
	static char endless[300];

	(void)state;
	unlink(path);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct db_config config = config_for(bad[i]);
		struct err err = ERR_INIT;

		if (db_setup(&config, &err) == 0)
			fail_msg("'%s' was accepted: %s", bad[i], content());
		assert_string_equal(err.code, "SQL_CONFIG");
		assert_int_equal(err.class, ERR_PERM);
	}
	memset(endless, 'a', sizeof(endless) - 1);
	assert_int_equal(db_setup(&(struct db_config){ .server = endless, .folder = folder }, &(struct err)ERR_INIT), -1);
	assert_int_not_equal(access(path, F_OK), 0);
}

static void files(void **state)
{
	static const char *const bad[] = { "/no/such/file", "/etc/ssl;x", "/etc/passwd\n\tencryption = off", "/etc/passwd # x" };
	struct db_config config = config_for("host");
	struct err err = ERR_INIT;
	char ca[64];
	FILE *file;

	(void)state;
	snprintf(ca, sizeof(ca), "%s/ca file.pem", folder);
	file = fopen(ca, "we");
	assert_non_null(file);
	fclose(file);
	config.ca_file = ca;
	assert_int_equal(db_setup(&config, &err), 0);
	assert_non_null(strstr(content(), "\tca file = /tmp/db-conf-"));
	assert_non_null(strstr(content(), "/ca file.pem\n\tcheck certificate hostname = yes\n"));
	unlink(ca);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		config.ca_file = bad[i];
		assert_int_equal(db_setup(&config, &err), -1);
		assert_string_equal(err.code, "SQL_CONFIG");
	}
	config.ca_file = "";
	config.folder = "/no/such/folder";
	assert_int_equal(db_setup(&config, &err), -1);
	assert_string_equal(err.code, "SQL_CONFIG");
}

static void private_and_alone(void **state)
{
	struct db_config config = config_for("host");
	struct err err = ERR_INIT;
	struct stat info;
	char expected[80];

	(void)state;
	setenv("TDSDUMP", "/tmp/never", 1);
	setenv("TDSVER", "7.0", 1);
	setenv("TDSPORT", "1", 1);
	setenv("FREETDSCONF", "/etc/elsewhere", 1);
	umask(0);
	assert_int_equal(db_setup(&config, &err), 0);
	assert_int_equal(stat(path, &info), 0);
	assert_int_equal(info.st_mode & 07777, 0600);
	assert_null(getenv("TDSDUMP"));
	assert_null(getenv("TDSVER"));
	assert_null(getenv("TDSPORT"));
	snprintf(expected, sizeof(expected), "%s/freetds.conf", folder);
	assert_string_equal(getenv("FREETDSCONF"), expected);
}

static void encryption_names(void **state)
{
	enum db_encryption e;

	(void)state;
	assert_int_equal(db_encryption_parse("off", &e), 0);
	assert_int_equal(e, DB_ENCRYPTION_OFF);
	assert_int_equal(db_encryption_parse("request", &e), 0);
	assert_int_equal(e, DB_ENCRYPTION_REQUEST);
	assert_int_equal(db_encryption_parse("require", &e), 0);
	assert_int_equal(e, DB_ENCRYPTION_REQUIRE);
	assert_int_equal(db_encryption_parse("on", &e), -1);
	assert_int_equal(db_encryption_parse("", &e), -1);
}

/* --- literals --- */

static void quoted(const char *text, const char *expected)
{
	struct err err = ERR_INIT;
	struct buf out;

	buf_init(&out, 1000);
	assert_int_equal(db_quote(&out, text, strlen(text), &err), 0);
	assert_string_equal(buf_text(&out), expected);
	buf_release(&out);
}

static void literals(void **state)
{
	struct err err = ERR_INIT;
	struct buf out;

	(void)state;
	quoted("", "N''");
	quoted("O'Neill''", "N'O''Neill'''''");
	quoted("'; DROP TABLE x --", "N'''; DROP TABLE x --'");
	quoted("a\\\nb", "N'a\\'+N'\nb'");
	quoted("a\\\r\nb", "N'a\\'+N'\r\nb'");
	quoted("a\\b\\", "N'a\\b\\'");
	quoted("a\\\\\nb", "N'a\\\\'+N'\nb'");
	quoted("日本 😀 ß", "N'日本 😀 ß'");
	buf_init(&out, 1000);
	assert_int_equal(db_quote(&out, "a\0b", 3, &err), -1);
	assert_string_equal(err.code, "SQL_TEXT");
	assert_int_equal(db_quote(&out, "\xE2\x82", 2, &err), -1);
	assert_int_equal(db_quote(&out, "\xED\xA0\x80", 3, &err), -1);
	assert_int_equal(out.len, 0);
	buf_release(&out);
}

static void names(void **state)
{
	struct err err = ERR_INIT;
	char long_name[130];
	struct buf out;

	(void)state;
	buf_init(&out, 1000);
	assert_int_equal(db_quote_name(&out, "eazybusiness", &err), 0);
	assert_int_equal(db_quote_name(&out, "a]b[ü", &err), 0);
	assert_string_equal(buf_text(&out), "[eazybusiness][a]]b[ü]");
	buf_clear(&out);
	memset(long_name, 'x', 129);
	long_name[129] = '\0';
	assert_int_equal(db_quote_name(&out, long_name, &err), -1);
	assert_int_equal(db_quote_name(&out, "", &err), -1);
	assert_int_equal(db_quote_name(&out, "a\nb", &err), -1);
	assert_int_equal(db_quote_name(&out, "\xFF", &err), -1);
	assert_int_equal(out.len, 0);
	long_name[128] = '\0';
	assert_int_equal(db_quote_name(&out, long_name, &err), 0);
	buf_release(&out);
}

static void labels(void **state)
{
	static const char wide[] = "ääääääääääääääääääääääääääääääääääääääää";
	char out[DB_LABEL_MAX];

	(void)state;
	assert_string_equal(db_text_label(&(struct db_statement){ .label = "stock", .sql = "SELECT" }, out), "stock");
	assert_string_equal(db_text_label(&(struct db_statement){ .sql = "  -- read stock\nSELECT 1" }, out), "read stock");
	assert_string_equal(db_text_label(&(struct db_statement){ .sql = "\n\tSELECT\n\t  a,  b FROM t" }, out),
			    "SELECT a, b FROM t");
	assert_string_equal(db_text_label(NULL, out), "");
	assert_int_equal(strlen(db_text_label(&(struct db_statement){ .label = wide }, out)), 58);
	assert_int_equal(strlen(db_text_label(&(struct db_statement){ .sql = wide }, out)), 58);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(servers),  cmocka_unit_test(bad_servers), cmocka_unit_test(files),
		cmocka_unit_test(private_and_alone), cmocka_unit_test(encryption_names), cmocka_unit_test(literals),
		cmocka_unit_test(names),    cmocka_unit_test(labels),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
