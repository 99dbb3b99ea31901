/* worker/db over the wire, the good days: login, types, text in both directions, parameters, rows, transactions. */
#include "tests/unit/db/wire.h"
#include "worker/db/dbjson.h"

static struct wire wire;
static struct db *db;

static int set_up(void **state)
{
	(void)state;
	wire_start(&wire);
	db = wire_open(&wire);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	db_close(db);
	wire_stop(&wire);
	return 0;
}

/* --- reading --- */

#define SEEN_COLUMNS 20

struct seen {
	int rows, sets, columns;
	size_t len[SEEN_COLUMNS];
	char text[SEEN_COLUMNS][80]; /* of the last row, cut; "NULL" for SQL NULL */
};

static int look(void *arg, const struct db_row *row, struct err *err)
{
	struct seen *seen = arg;

	(void)err;
	seen->rows++;
	seen->sets = db_row_set(row) + 1;
	seen->columns = db_row_columns(row);
	for (int i = 0; i < seen->columns && i < SEEN_COLUMNS; i++) {
		const char *text = db_row_text(row, i, &seen->len[i]);

		assert_int_equal(db_row_null(row, i), text == NULL);
		if (text)
			assert_int_equal(strlen(text), seen->len[i]);
		snprintf(seen->text[i], sizeof(seen->text[i]), "%s", text ? text : "NULL");
	}
	return 0;
}

static struct seen query(const char *sql, const struct db_param *params, size_t count)
{
	struct seen seen = { 0 };
	struct err err = ERR_INIT;

	if (db_query(db, &(struct db_statement){ .sql = sql, .params = params, .count = count, .row = look, .arg = &seen },
	             NULL, &err) != 0)
		fail_msg("%s: %s", sql, err.text);
	return seen;
}

static void opens(void **state)
{
	(void)state;
	assert_true(db_spid(db) >= 51);
	assert_false(db_doubtful(db));
	assert_false(db_in_transaction(db));
	assert_true(wire_saw("USE [toci]"));
	assert_true(wire_saw("SET ANSI_NULLS ON; SET QUOTED_IDENTIFIER ON;"));
	assert_non_null(strstr(wire_engine.last, "SET XACT_ABORT ON;"));
	assert_non_null(strstr(wire_engine.last, "SET ARITHABORT ON;"));
	assert_non_null(strstr(wire_engine.last, "SET LOCK_TIMEOUT 5000;"));
	assert_non_null(strstr(wire_engine.last, "READ COMMITTED;"));
}

static void types(void **state)
{
	static const char *const expected[] = {
		"1", "255", "-2147483648", "9223372036854775807", "-9223372036854775808", "999999999999.9999999999999",
		"-0.0000000000001", "12.3400", "ab   ", "Grüße €", "日本 😀", "", "", "2026-11-24T05:04:17.1234567",
	};
	struct seen seen = query("types", NULL, 0);

	(void)state;
	assert_int_equal(seen.columns, WIRE_TYPES);
	for (size_t i = 0; i < sizeof(expected) / sizeof(expected[0]); i++)
		assert_string_equal(seen.text[i], expected[i]);
	assert_string_equal(seen.text[16], "6F9619FF-8B86-D011-B42D-00C04FC964FF");
	assert_string_equal(seen.text[17], "ff01");
	seen = query("nulls", NULL, 0);
	for (int i = 0; i < seen.columns; i++)
		assert_string_equal(seen.text[i], "NULL");
}

/* Lengths around every buffer on the way. */
static void long_texts(void **state)
{
	static const int lengths[] = { 0, 1, 8, 4000, 4094, 4095, 4096, 4097, 8191, 16384, 32768, 65536, 2000000 };

	(void)state;
	for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		char sql[32];
		struct seen seen;

		snprintf(sql, sizeof(sql), "wide %d", lengths[i]);
		seen = query(sql, NULL, 0);
		assert_int_equal(seen.len[1], lengths[i]);
		assert_string_equal(seen.text[0], "7");
		assert_string_equal(seen.text[2], "end");
		if (lengths[i] >= 8)
			assert_int_equal(strncmp(seen.text[1], "äc", 3), 0);
	}
}

static int check_ends(void *arg, const struct db_row *row, struct err *err)
{
	size_t len;
	const char *text = db_row_text(row, 1, &len);

	(void)err;
	for (size_t i = 2; i + 4 < len; i++)
		assert_int_equal(text[i], 'a' + i % 26);
	assert_string_equal(text + len - 4, "😀");
	*(bool *)arg = true;
	return 0;
}

static void long_text_is_whole(void **state)
{
	struct err err = ERR_INIT;
	bool called = false;

	(void)state;
	assert_int_equal(db_query(db,
				  &(struct db_statement){ .sql = "wide 2000000", .row = check_ends, .arg = &called },
				  NULL, &err),
			 0);
	assert_true(called);
}

static int read_wrongly(void *arg, const struct db_row *row, struct err *err)
{
	int64_t number = 0;
	char out[5];

	(void)arg;
	if (db_row_columns(row) == 1) { /* the second result set */
		assert_int_equal(db_row_int64(row, 0, &number, err), 0);
		assert_int_equal(number, 42);
		return 0;
	}
	assert_int_equal(db_row_int64(row, 0, &number, err), 0);
	assert_int_equal(db_row_int64(row, 1, &number, err), -1);
	assert_string_equal(err->code, "SQL_ROW");
	assert_non_null(strstr(err->text, "column t"));
	assert_int_equal(db_row_int64(row, 2, &number, err), -1);
	assert_int_equal(db_row_int64(row, -1, &number, err), -1);
	assert_null(db_row_text(row, 9, NULL));
	assert_true(db_row_null(row, 9));
	assert_int_equal(db_row_copy(row, 1, out, sizeof(out), err), -1);
	assert_int_equal(db_row_copy(row, 0, out, sizeof(out), err), 0);
	assert_string_equal(out, number == 0 ? out : "1");
	err_clear(err);
	return 0;
}

static void accessors(void **state)
{
	struct err err = ERR_INIT;
	int64_t affected = 0;

	(void)state;
	assert_int_equal(db_query(db, &(struct db_statement){ .sql = "two", .row = read_wrongly }, &affected, &err), 0);
	assert_int_equal(affected, 1);
}

static int read_int(void *arg, const struct db_row *row, struct err *err)
{
	return db_row_int64(row, *(int *)arg, &(int64_t){ 0 }, err);
}

/* Each column of the row of all types: is it an integer? */
static void integers(void **state)
{
	static const int whole[] = { 0, 1, 2, 3, 4 }, others[] = { 5, 6, 7, 8, 11, 13, 16 };
	struct err err = ERR_INIT;

	(void)state;
	for (size_t i = 0; i < sizeof(whole) / sizeof(whole[0]); i++) {
		int column = whole[i];

		assert_int_equal(
		    db_query(db, &(struct db_statement){ .sql = "types", .row = read_int, .arg = &column }, NULL, &err),
		    0);
		assert_int_equal(
		    db_query(db, &(struct db_statement){ .sql = "nulls", .row = read_int, .arg = &column }, NULL, &err),
		    -1);
		assert_string_equal(err.code, "SQL_ROW");
	}
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
		int column = others[i];

		assert_int_equal(
		    db_query(db,
			     &(struct db_statement){ .label = "ints", .sql = "types", .row = read_int, .arg = &column },
			     NULL, &err),
		    -1);
		assert_string_equal(err.code, "SQL_ROW");
		assert_int_equal(strncmp(err.text, "ints: ", 6), 0);
		assert_false(db_doubtful(db));
	}
}

static void counts(void **state)
{
	struct err err = ERR_INIT;
	int64_t affected, value;

	(void)state;
	assert_int_equal(db_execute(db, NULL, "update 17", &affected, &err), 0);
	assert_int_equal(affected, 17);
	assert_int_equal(db_execute(db, NULL, "update 0", &affected, &err), 0);
	assert_int_equal(affected, 0);
	assert_int_equal(db_execute(db, NULL, "update -1", &affected, &err), 0);
	assert_int_equal(affected, -1);
	assert_int_equal(db_execute(db, NULL, "info", NULL, &err), 0);
	assert_int_equal(db_query_int64(db, &(struct db_statement){ .sql = "info" }, &value, &err), 0);
	assert_int_equal(value, 42);
	assert_int_equal(db_query_int64(db, &(struct db_statement){ .label = "many", .sql = "rows 2" }, &value, &err), -1);
	assert_string_equal(err.code, "SQL_ROW");
	assert_int_equal(db_query_int64(db, &(struct db_statement){ .label = "none", .sql = "rows 0" }, &value, &err), -1);
	assert_string_equal(err.text, "none: no row");
	assert_int_equal(db_query_int64(db, &(struct db_statement){ .sql = "info" }, &value, &err), 0);
}

static int stop_at(void *arg, const struct db_row *row, struct err *err)
{
	int *left = arg;

	(void)row;
	return --*left > 0 ? 0 : err_set(err, ERR_HOLD, "MINE", "enough");
}

static void row_error_cancels(void **state)
{
	(void)state;
	for (int round = 0; round < 3; round++) {
		struct err err = ERR_INIT;
		int left = 3;

		assert_int_equal(db_query(db,
					  &(struct db_statement){
					      .label = "endless", .sql = "forever", .row = stop_at, .arg = &left },
					  NULL, &err),
				 -1);
		assert_int_equal(err.class, ERR_HOLD);
		assert_string_equal(err.code, "MINE");
		assert_string_equal(err.text, "endless: enough");
		assert_false(db_doubtful(db));
		assert_int_equal(query("rows 5", NULL, 0).rows, 5);
	}
}

/* --- writing --- */

static void parameters(void **state)
{
	static char text[8001];
	struct err err = ERR_INIT;
	struct db_param p[8];
	struct seen seen;
	int64_t affected;

	(void)state;
	memset(text, 'x', 8000);
	p[0] = db_param_int64("@a", INT64_MAX);
	p[1] = db_param_int64("@b", INT64_MIN);
	p[2] = db_param_text("@c", "");
	p[3] = db_param_text("@d", "it's 100% -- 'quoted' \\ ?");
	p[4] = db_param_text("@e", text);
	p[5] = db_param_decimal("@f", "-1234567890123456789012345.0000000000001");
	p[6] = db_param_decimal("@g", "7");
	p[7] = db_param_text("@h", NULL);
	assert_int_equal(
	    db_query(db, &(struct db_statement){ .sql = "update 17", .params = p, .count = 1 }, &affected, &err), 0);
	assert_int_equal(affected, 17);
	seen = query("echo @a @b @c @d @e @f @g @h", p, 8);
	assert_string_equal(seen.text[0], "9223372036854775807");
	assert_string_equal(seen.text[1], "-9223372036854775808");
	assert_string_equal(seen.text[2], "");
	assert_string_equal(seen.text[3], "it's 100% -- 'quoted' \\ ?");
	assert_int_equal(seen.len[4], 8000);
	assert_string_equal(seen.text[5], "-1234567890123456789012345.0000000000001");
	assert_string_equal(seen.text[6], "7.0000000000000");
	assert_string_equal(seen.text[7], "NULL");
	for (int i = 0; i < 4; i++)
		p[i] = db_param_null(i == 0 ? "@a" : i == 1 ? "@b" : i == 2 ? "@c" : "@d", (enum db_param_type)i);
	seen = query("echo @a @b @c @d", p, 4);
	for (int i = 0; i < 4; i++)
		assert_string_equal(seen.text[i], "NULL");
}

/* What the server declares them as: few widths, never nvarchar. */
static void parameter_types(void **state)
{
	struct db_param p[4] = { db_param_text("@a", "abc"),
				 db_param_text("@b", "012345678901234567890123456789012345678901234567890"),
				 db_param_int64("@c", 5), db_param_null("@d", DB_JSON) };
	char expected[200];

	(void)state;
	query("echo @a @b @c @d", p, 4);
	snprintf(expected, sizeof(expected), "@a %d(50)=abc", SQL_VARCHAR);
	assert_string_equal(wire_engine.params[0], expected);
	snprintf(expected, sizeof(expected), "@b %d(400)=", SQL_VARCHAR);
	assert_int_equal(strncmp(wire_engine.params[1], expected, strlen(expected)), 0);
	snprintf(expected, sizeof(expected), "@c %d(0)=5", SQL_BIGINT);
	assert_string_equal(wire_engine.params[2], expected);
	snprintf(expected, sizeof(expected), "@d %d(%d)=NULL", SQL_VARCHAR, SQL_MAX_LENGTH);
	assert_string_equal(wire_engine.params[3], expected);
}

static void refused(const struct db_param *param, const char *why)
{
	struct err err = ERR_INIT;

	assert_int_equal(
	    db_query(db,
		     &(struct db_statement){ .label = "never", .sql = "echo never sent", .params = param, .count = 1 },
		     NULL, &err),
	    -1);
	assert_int_equal(err.class, ERR_PERM);
	assert_string_equal(err.code, "SQL_TEXT");
	assert_non_null(strstr(err.text, why));
	assert_null(strstr(err.text, "secret-value"));
	assert_false(wire_saw("never sent"));
	assert_false(db_doubtful(db));
}

static void bad_parameters_never_leave(void **state)
{
	static char text[8002];
	struct db_param p;
	struct err err = ERR_INIT;

	(void)state;
	p = db_param_text("@p", "secret-value ü");
	refused(&p, "not pure ASCII");
	p = db_param_text("@p", "\xC3");
	refused(&p, "not pure ASCII");
	p.text = "a\0b", p.len = 3;
	refused(&p, "not pure ASCII");
	memset(text, 'x', 8001);
	p = db_param_text("@p", text);
	refused(&p, "8001 bytes");
	p = db_param_text("p", "x");
	refused(&p, "no parameter name");
	p = db_param_text("@p int = 1; --", "x");
	refused(&p, "no parameter name");
	static const char *const bad[] = { "", "1e5", ".5", "-", "1.2.3", "0x1", " 1", "1 ", "12345678901234567890123456",
		                           "0.12345678901234" };
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		p = db_param_decimal("@p", bad[i]);
		refused(&p, "no decimal");
	}
	p = db_param_int64("@p", 1);
	assert_int_equal(
	    db_query(db, &(struct db_statement){ .sql = "echo never sent", .params = &p, .count = DB_PARAMS_MAX + 1 },
		     NULL, &err),
	    -1);
	assert_non_null(strstr(err.text, "2001 parameters"));
}

static void two_thousand_parameters(void **state)
{
	static struct db_param p[DB_PARAMS_MAX];
	static char names[DB_PARAMS_MAX][16];
	struct err err = ERR_INIT;

	(void)state;
	for (int i = 0; i < DB_PARAMS_MAX; i++) {
		snprintf(names[i], sizeof(names[i]), "@p%d", i);
		p[i] = db_param_int64(names[i], i);
	}
	assert_int_equal(
	    db_query(db, &(struct db_statement){ .sql = "update 1", .params = p, .count = DB_PARAMS_MAX }, NULL, &err),
	    0);
	assert_int_equal(wire_engine.param_count, DB_PARAMS_MAX);
}

static void invalid_text_never_leaves(void **state)
{
	static const char *const bad[] = { "update 1 -- never sent \xFF", "update 1 -- never sent \xC0\x80",
					   "update 1 -- never sent \xED\xA0\x80",
					   "update 1 -- never sent \xF4\x90\x80\x80",
					   "update 1 -- never sent \xE2\x82" };

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct err err = ERR_INIT;

		assert_int_equal(db_execute(db, NULL, bad[i], NULL, &err), -1);
		assert_string_equal(err.code, "SQL_TEXT");
		assert_false(wire_saw("never sent"));
	}
	assert_int_equal(db_execute(db, NULL, "", NULL, &(struct err)ERR_INIT), -1);
	assert_false(db_doubtful(db));
	assert_int_equal(query("rows 1", NULL, 0).rows, 1);
}

static void statements_arrive_whole(void **state)
{
	static const char awkward[] = "O'Neill \\\n ş ğ 日本語 😀 \\\r\n \xEF\xBF\xBF é e\xCC\x81";
	struct err err = ERR_INIT;
	struct buf sql;

	(void)state;
	buf_init(&sql, 4096);
	buf_add_text(&sql, "SELECT ");
	assert_int_equal(db_quote(&sql, awkward, strlen(awkward), &err), 0);
	assert_int_equal(db_execute(db, NULL, buf_text(&sql), NULL, &err), 0);
	assert_string_equal(wire_engine.last, buf_text(&sql));
	assert_non_null(strstr(wire_engine.last, "O''Neill \\'+N'\n"));
	buf_release(&sql);
}

static void json_rows(void **state)
{
	struct err err = ERR_INIT;
	struct dbjson rows;
	struct db_param p;

	(void)state;
	dbjson_init(&rows, 1 << 20);
	assert_int_equal(dbjson_end(&rows, "@j", &p, &err), 0);
	assert_string_equal(p.text, "[]");
	dbjson_clear(&rows);
	dbjson_row(&rows);
	dbjson_int64(&rows, "id", INT64_MIN);
	dbjson_text(&rows, "t", "a\"\\/\n\x01 ü 😀");
	dbjson_null(&rows, "x");
	dbjson_row(&rows);
	dbjson_text(&rows, "t", NULL);
	dbjson_bool(&rows, "b", true);
	dbjson_decimal(&rows, "d", "0.1000000000000");
	assert_int_equal(dbjson_end(&rows, "@j", &p, &err), 0);
	assert_string_equal(
	    p.text,
	    "[{\"id\":-9223372036854775808,\"t\":\"a\\u0022\\u005c/\\u000a\\u0001 \\u00fc \\ud83d\\ude00\",\"x\":null},"
	    "{\"t\":null,\"b\":true,\"d\":\"0.1000000000000\"}]");
	query("echo @j", &p, 1);
	assert_int_equal(wire_engine.last_param_len, p.len);
	dbjson_clear(&rows);
	for (int i = 0; i < 2100; i++) {
		dbjson_row(&rows);
		dbjson_int64(&rows, "k", i);
		dbjson_text(&rows, "t", "Größe");
	}
	assert_int_equal(rows.rows, 2100);
	assert_int_equal(dbjson_end(&rows, "@j", &p, &err), 0);
	query("echo @j", &p, 1);
	assert_int_equal(wire_engine.last_param_len, p.len);
	dbjson_clear(&rows);
	dbjson_row(&rows);
	dbjson_text(&rows, "t", "\xFF");
	assert_int_equal(dbjson_end(&rows, "@j", &p, &err), -1);
	assert_string_equal(err.code, "SQL_TEXT");
	dbjson_release(&rows);
	dbjson_init(&rows, 10);
	dbjson_row(&rows);
	dbjson_text(&rows, "t", "too long for it");
	assert_int_equal(dbjson_end(&rows, "@j", &p, &err), -1);
	assert_string_equal(err.code, "SQL_TEXT");
	dbjson_release(&rows);
}

static void big_json(void **state)
{
	struct err err = ERR_INIT;
	struct db_param p;
	struct buf json;

	(void)state;
	buf_init(&json, 4 << 20);
	buf_add_char(&json, '"');
	for (int i = 0; i < 200000; i++)
		buf_add_text(&json, "0123456789");
	buf_add_char(&json, '"');
	p = db_param_json("@j", &json);
	assert_int_equal(db_query(db, &(struct db_statement){ .sql = "echo @j", .params = &p, .count = 1 }, NULL, &err), 0);
	assert_int_equal(wire_engine.last_param_len, 2000002);
	buf_release(&json);
}

/* --- transactions --- */

static void transactions(void **state)
{
	struct err err = ERR_INIT;
	int commits = atomic_load(&wire_engine.commits), rollbacks = atomic_load(&wire_engine.rollbacks);

	(void)state;
	assert_int_equal(db_begin(db, &err), 0);
	assert_true(db_in_transaction(db));
	assert_int_equal(db_begin(db, &err), -1);
	assert_string_equal(err.code, "SQL_TRANSACTION");
	assert_int_equal(db_execute(db, NULL, "update 1", NULL, &err), 0);
	assert_int_equal(db_commit(db, &err), 0);
	assert_false(db_in_transaction(db));
	assert_int_equal(atomic_load(&wire_engine.commits), commits + 1);
	assert_int_equal(db_commit(db, &err), -1);
	assert_string_equal(err.code, "SQL_TRANSACTION");
	assert_int_equal(db_begin(db, &err), 0);
	assert_int_equal(db_rollback(db, &err), 0);
	assert_int_equal(atomic_load(&wire_engine.rollbacks), rollbacks + 1);
	assert_int_equal(db_rollback(db, &err), 0);
	assert_false(db_in_transaction(db));
}

/* After an error under XACT_ABORT the rest would run outside any transaction. */
static void failed_transaction_only_rolls_back(void **state)
{
	struct err err = ERR_INIT;
	int commits = atomic_load(&wire_engine.commits);

	(void)state;
	assert_int_equal(db_begin(db, &err), 0);
	assert_int_equal(db_execute(db, NULL, "error 2627 14", NULL, &err), -1);
	assert_int_equal(db_execute(db, NULL, "update 1 -- never sent", NULL, &err), -1);
	assert_string_equal(err.code, "SQL_TRANSACTION");
	assert_false(wire_saw("never sent"));
	assert_int_equal(db_commit(db, &err), -1);
	assert_string_equal(err.code, "SQL_TRANSACTION");
	assert_int_equal(atomic_load(&wire_engine.commits), commits);
	assert_int_equal(db_rollback(db, &err), 0);
	assert_int_equal(db_execute(db, NULL, "update 1", NULL, &err), 0);
}

static int one_update(struct db *same, void *arg, struct err *err)
{
	return db_execute(same, NULL, arg, NULL, err);
}

static void whole_transaction(void **state)
{
	struct err err = ERR_INIT;
	char good[] = "update 1", bad[] = "error 547 16";
	int commits = atomic_load(&wire_engine.commits), rollbacks = atomic_load(&wire_engine.rollbacks);

	(void)state;
	assert_int_equal(db_transaction(db, NULL, one_update, good, &err), 0);
	assert_int_equal(db_transaction(db, NULL, one_update, bad, &err), -1);
	assert_string_equal(err.code, "SQL_547");
	assert_int_equal(atomic_load(&wire_engine.commits), commits + 1);
	assert_int_equal(atomic_load(&wire_engine.rollbacks), rollbacks + 1);
	assert_false(db_in_transaction(db));
}

static void hidden_transaction_is_found(void **state)
{
	struct err err = ERR_INIT;

	(void)state;
	assert_int_equal(db_execute(db, NULL, "BEGIN TRAN", NULL, &err), 0);
	assert_true(db_in_transaction(db));
	assert_int_equal(db_rollback(db, &err), 0);
	assert_false(db_in_transaction(db));
	assert_int_equal(db_ping(db, &err), 0);
}

int main(void)
{
#define OVER_THE_WIRE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		OVER_THE_WIRE(opens),
		OVER_THE_WIRE(types),
		OVER_THE_WIRE(long_texts),
		OVER_THE_WIRE(long_text_is_whole),
		OVER_THE_WIRE(accessors),
		OVER_THE_WIRE(integers),
		OVER_THE_WIRE(counts),
		OVER_THE_WIRE(row_error_cancels),
		OVER_THE_WIRE(parameters),
		OVER_THE_WIRE(parameter_types),
		OVER_THE_WIRE(bad_parameters_never_leave),
		OVER_THE_WIRE(two_thousand_parameters),
		OVER_THE_WIRE(invalid_text_never_leaves),
		OVER_THE_WIRE(statements_arrive_whole),
		OVER_THE_WIRE(json_rows),
		OVER_THE_WIRE(big_json),
		OVER_THE_WIRE(transactions),
		OVER_THE_WIRE(failed_transaction_only_rolls_back),
		OVER_THE_WIRE(whole_transaction),
		OVER_THE_WIRE(hidden_transaction_is_found),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
