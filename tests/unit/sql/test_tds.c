/* The TDS side: types in both directions, framing, login, calls, faults, and whole sessions over a socket pair with an
 * engine of this file's own (it answers a few fixed texts), so that nothing of the real engine is linked. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "ecosystem/sandbox/sql/tds_control.h"
#include "ecosystem/sandbox/sql/tds_date.h"
#include "ecosystem/sandbox/sql/tds_login.h"
#include "ecosystem/sandbox/sql/tds_rpc.h"
#include "ecosystem/sandbox/sql/tds_session.h"
#include "ecosystem/sandbox/sql/tds_types.h"

/* --- an engine that answers fixed texts --- */

struct engine {
	int unused;
};
struct session {
	int unused;
};
static struct session the_session;

struct session *session_open(struct engine *engine, const char *user, const char *password, const char *database,
                             const char *application, const char *host, struct err *err)
{
	(void)engine;
	(void)database;
	(void)application;
	(void)host;
	if (strcmp(user, "sa") == 0 && strcmp(password, "pä$$") == 0)
		return &the_session;
	err_set_number(err, ERR_PERM, "SQL", 18456, "Login failed for user '%s'.", user);
	return NULL;
}

void session_close(struct session *session)
{
	(void)session;
}

int session_id(const struct session *session)
{
	(void)session;
	return 51;
}

const char *session_database(const struct session *session)
{
	(void)session;
	return "master";
}

const char *session_collation(const struct session *session)
{
	(void)session;
	return "Latin1_General_CI_AS";
}

static int one_int(const struct sink *sink, const char *text)
{
	struct sql_column column = { .name = "n", .type = SQL_INT };
	struct sql_value value = { .data = text, .len = strlen(text) };

	if (sink->columns(sink->arg, &column, 1) != 0 || sink->row(sink->arg, &value, 1) != 0)
		return -1;
	return sink->done(sink->arg, 1, 193, false, false);
}

void session_on_kill(struct session *session, void (*on_kill)(void *arg), void *arg)
{
	(void)session;
	(void)on_kill;
	(void)arg;
}

int engine_database_state(struct engine *engine, const char *database, const char *state, struct err *err)
{
	(void)engine;
	if (strcmp(database, "there") == 0 && strcmp(state, "restoring") == 0)
		return 0;
	return err_set(err, ERR_PERM, "STATE", "no");
}

int engine_execute(struct session *session, const char *sql, size_t len, const struct sql_param *params,
                   int param_count, const struct sink *sink)
{
	(void)session;
	(void)len;
	if (strcmp(sql, "wait") == 0) {
		while (!sink->cancelled(sink->arg))
			usleep(1000);
		return -1;
	}
	if (strcmp(sql, "fail") == 0) {
		sink->message(sink->arg, 8134, 16, 1, 1, "Divide by zero error encountered.");
		sink->done(sink->arg, -1, 193, false, true);
		return 0;
	}
	if (param_count > 0)
		return one_int(sink, params[0].value.data);
	return one_int(sink, "42") != 0 || one_int(sink, "43") != 0 ? -1 : 0;
}

/* --- types --- */

static const struct tds_collation *latin1(void)
{
	static struct tds_collation collation;

	tds_collation_init(&collation, "Latin1_General_CI_AS");
	return &collation;
}

/* Out as a result column, in as a parameter: the wire forms are the same. */
static void round_trip(struct sql_column column, const char *text, const char *expect)
{
	struct sql_value value = { .data = text, .len = strlen(text) }, back;
	struct sql_column got = { 0 };
	struct err err = ERR_INIT;
	struct tds_reader r;
	char *data = NULL;
	struct buf wire;

	buf_init(&wire, 1 << 20);
	tds_put_type(&wire, &column, latin1());
	assert_int_equal(tds_put_value(&wire, &column, &value, latin1()), 0);
	tds_reader_init(&r, wire.data, wire.len);
	assert_int_equal(tds_get_param(&r, &got, &back, &data, latin1(), &err), 0);
	assert_int_equal(tds_reader_left(&r), 0);
	assert_false(back.null);
	assert_string_equal(back.data, expect);
	assert_int_equal(got.type, column.type);
	free(data);
	buf_clear(&wire);
	tds_put_type(&wire, &column, latin1());
	value.null = true;
	assert_int_equal(tds_put_value(&wire, &column, &value, latin1()), 0);
	tds_reader_init(&r, wire.data, wire.len);
	assert_int_equal(tds_get_param(&r, &got, &back, &data, latin1(), &err), 0);
	assert_true(back.null);
	assert_int_equal(tds_reader_left(&r), 0);
	buf_release(&wire);
}

#define COLUMN(...) ((struct sql_column){ __VA_ARGS__ })

static void numbers_round_trip(void **state)
{
	(void)state;
	round_trip(COLUMN(.type = SQL_BIT), "1", "1");
	round_trip(COLUMN(.type = SQL_TINYINT), "255", "255");
	round_trip(COLUMN(.type = SQL_SMALLINT), "-32768", "-32768");
	round_trip(COLUMN(.type = SQL_INT), "-2147483648", "-2147483648");
	round_trip(COLUMN(.type = SQL_BIGINT), "9223372036854775807", "9223372036854775807");
	round_trip(COLUMN(.type = SQL_BIGINT), "-9223372036854775808", "-9223372036854775808");
	round_trip(COLUMN(.type = SQL_FLOAT), "0.10000000000000001", "0.10000000000000001");
	round_trip(COLUMN(.type = SQL_REAL), "1.5", "1.5");
	round_trip(COLUMN(.type = SQL_MONEY), "-922337203685477.5808", "-922337203685477.5808");
	round_trip(COLUMN(.type = SQL_MONEY), "0.05", "0.0500");
	round_trip(COLUMN(.type = SQL_DECIMAL, .precision = 28, .scale = 13), "-12.34", "-12.3400000000000");
	round_trip(COLUMN(.type = SQL_DECIMAL, .precision = 5, .scale = 2), "0.07", "0.07");
	round_trip(COLUMN(.type = SQL_DECIMAL, .precision = 38), "99999999999999999999999999999999999999",
	           "99999999999999999999999999999999999999");
}

static void texts_round_trip(void **state)
{
	static char big[20001];

	(void)state;
	round_trip(COLUMN(.type = SQL_VARCHAR, .length = 50), "Grüße € ß", "Grüße € ß");
	round_trip(COLUMN(.type = SQL_VARCHAR, .length = 50), "日a😀", "?a??");
	round_trip(COLUMN(.type = SQL_VARCHAR, .length = 3), "abcdef", "abc");
	round_trip(COLUMN(.type = SQL_VARCHAR, .length = 3), "", "");
	round_trip(COLUMN(.type = SQL_CHAR, .length = 5), "ab", "ab   ");
	round_trip(COLUMN(.type = SQL_NCHAR, .length = 3), "ü", "ü  ");
	round_trip(COLUMN(.type = SQL_NVARCHAR, .length = 40), "日本 😀", "日本 😀");
	round_trip(COLUMN(.type = SQL_NVARCHAR, .length = 3), "ab😀", "ab"); /* no half surrogate */
	round_trip(COLUMN(.type = SQL_NVARCHAR, .length = SQL_MAX_LENGTH), "", "");
	memset(big, 'x', sizeof(big) - 1);
	round_trip(COLUMN(.type = SQL_NVARCHAR, .length = SQL_MAX_LENGTH), big, big);
	round_trip(COLUMN(.type = SQL_VARCHAR, .length = SQL_MAX_LENGTH), big, big);
	round_trip(COLUMN(.type = SQL_VARBINARY, .length = SQL_MAX_LENGTH), big, big);
	round_trip(COLUMN(.type = SQL_VARBINARY, .length = 10), "\xFF\xFE", "\xFF\xFE");
	round_trip(COLUMN(.type = SQL_UNIQUEIDENTIFIER), "6F9619FF-8B86-D011-B42D-00C04FC964FF",
	           "6F9619FF-8B86-D011-B42D-00C04FC964FF");
}

static void dates_round_trip(void **state)
{
	(void)state;
	round_trip(COLUMN(.type = SQL_DATE), "0001-01-01", "0001-01-01");
	round_trip(COLUMN(.type = SQL_DATE), "9999-12-31", "9999-12-31");
	round_trip(COLUMN(.type = SQL_DATE), "2024-02-29", "2024-02-29");
	round_trip(COLUMN(.type = SQL_TIME, .scale = 7), "05:04:17.1230000", "05:04:17.1230000");
	round_trip(COLUMN(.type = SQL_TIME), "23:59:59", "23:59:59");
	round_trip(COLUMN(.type = SQL_DATETIME), "2026-11-24 05:04:17.123", "2026-11-24 05:04:17.123");
	round_trip(COLUMN(.type = SQL_DATETIME), "1753-01-01 00:00:00.997", "1753-01-01 00:00:00.997");
	round_trip(COLUMN(.type = SQL_SMALLDATETIME), "2026-11-24 05:04:00", "2026-11-24 05:04:00");
	round_trip(COLUMN(.type = SQL_DATETIME2, .scale = 7), "2026-11-24 05:04:17.1234567", "2026-11-24 05:04:17.1234567");
	round_trip(COLUMN(.type = SQL_DATETIME2, .scale = 3), "2026-11-24 05:04:17.1234567", "2026-11-24 05:04:17.123");
	round_trip(COLUMN(.type = SQL_DATETIMEOFFSET, .scale = 3), "2026-01-01 00:30:00.500 +01:00",
	           "2026-01-01 00:30:00.500 +01:00");
	round_trip(COLUMN(.type = SQL_DATETIMEOFFSET), "2025-12-31 23:30:00 -05:30", "2025-12-31 23:30:00 -05:30");
}

static void bad_values_are_refused(void **state)
{
	static const struct {
		enum sql_type type;
		const char *text;
	} bad[] = {
		{ SQL_INT, "x" },          { SQL_INT, "" },           { SQL_BIGINT, "9223372036854775808" },
		{ SQL_FLOAT, "inf" },
		{ SQL_DECIMAL, "1.2.3" },  { SQL_DECIMAL, "." },      { SQL_MONEY, "922337203685477.5808" },
		{ SQL_DATE, "2023-02-29" },
		{ SQL_DATE, "24.11.2026" }, { SQL_TIME, "24:00:00" }, { SQL_DATETIME2, "2026-11-24 05:61:00" },
		{ SQL_SMALLDATETIME, "1850-01-01 00:00:00" },         { SQL_UNIQUEIDENTIFIER, "6F9619FF" },
	};
	struct buf wire;

	(void)state;
	buf_init(&wire, 1 << 16);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct sql_column column = { .type = bad[i].type, .precision = 18, .scale = 2 };
		struct sql_value value = { .data = bad[i].text, .len = strlen(bad[i].text) };

		assert_int_equal(tds_put_value(&wire, &column, &value, latin1()), -1);
	}
	buf_release(&wire);
}

static void bad_params_are_refused(void **state)
{
#define BYTES(text) { text, sizeof(text) - 1 }
	static const struct {
		const char *bytes;
		size_t len;
	} bad[] = {
		BYTES(""), BYTES("\x26"), BYTES("\x26\x03\x03\1\2\3"), BYTES("\x26\x04\x05\1\2\3\4\5"),
		BYTES("\x26\x08\x08\1\2"),
		BYTES("\x62\x10\0\0\0\0"),                                 /* sql_variant */
		BYTES("\xE7\x03\0\1\2\3\4\5\x02\0ab"),                     /* odd width */
		BYTES("\xE7\x02\0\1\2\3\4\5\x04\0abcd"),                   /* longer than declared */
		BYTES("\xE7\xFF\xFF\1\2\3\4\5\x04\0\0\0\0\0\0\0\x02\0\0\0ab\0\0\0\0"), /* chunks do not add up */
		BYTES("\xE7\xFF\xFF\1\2\3\4\5\xFE\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x7F"),
		BYTES("\x6A\x05\x09\x0A\x05\1\1\0\0\0"),                   /* scale above precision */
		BYTES("\x6A\x05\x01\x00\x05\1\x0A\0\0\0"),                 /* two digits in decimal(1) */
		BYTES("\x63\xFF\xFF\xFF\x7F\1\2\3\4\5\xFF\xFF\xFF\x7Fx"), BYTES("\x2A\x08"), BYTES("\x28\x03\xFF\xFF\xFF"),
		BYTES("\x3E\0\0\0\0\0\0\xF0\x7F"),                         /* infinity */
	};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct sql_column column = { 0 };
		struct err err = ERR_INIT;
		struct sql_value value;
		struct tds_reader r;
		char *data = NULL;

		tds_reader_init(&r, bad[i].bytes, bad[i].len);
		assert_int_equal(tds_get_param(&r, &column, &value, &data, latin1(), &err), -1);
		assert_true(err.number == 8009 || err.number == 8023);
		assert_null(data);
	}
}

static void collations(void **state)
{
	static const uint8_t sql[] = { 0x09, 0x04, 0xD0, 0x00, 0x34 }, german[] = { 0x07, 0x04, 0xD1, 0x20, 0x00 };
	struct tds_collation c;

	(void)state;
	tds_collation_init(&c, "SQL_Latin1_General_CP1_CI_AS");
	assert_memory_equal(c.bytes, sql, 5);
	tds_collation_init(&c, "German_PhoneBook_100_CI_AS");
	assert_memory_equal(c.bytes, german, 5);
	assert_false(c.utf8);
	tds_collation_init(&c, "Latin1_General_100_CI_AS_SC_UTF8");
	assert_true(c.utf8);
	assert_int_equal(c.bytes[3] & 0x04, 0x04);
}

/* --- declarations, calls, faults --- */

static void declarations(void **state)
{
	static const char *const bad[] = { "x int", "@", "@a", "@a int,", "@a int b", "@a decimal(", "@a int, , @b int" };
	struct tds_def *defs;

	(void)state;
	assert_int_equal(tds_defs_parse("@P1 varchar(max), @p2 AS DECIMAL(10, 2) OUTPUT,@z nvarchar(400), @k dbo", &defs),
	                 4);
	assert_int_equal(defs[0].column.length, SQL_MAX_LENGTH);
	assert_int_equal(defs[1].column.precision, 10);
	assert_int_equal(defs[1].column.scale, 2);
	assert_true(defs[1].output);
	assert_int_equal(defs[2].column.length, 400);
	assert_false(defs[3].known);
	free(defs);
	assert_int_equal(tds_defs_parse("  ", &defs), 0);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(tds_defs_parse(bad[i], &defs), -1);
}

static void faults(void **state)
{
	struct tds_faults *list = tds_faults_new();
	struct err err = ERR_INIT;
	struct tds_fault fault;
	struct buf answer;

	(void)state;
	assert_int_equal(tds_fault_parse(&fault, "error 1205 13 after-rows 3 match=\"Update X\" skip=1 count=2", &err), 0);
	assert_int_equal(fault.after_rows, 3);
	assert_string_equal(fault.match, "Update X");
	assert_int_equal(tds_faults_add(list, &fault, &err), 0);
	assert_false(tds_faults_statement(list, "select 1", &fault));
	assert_false(tds_faults_statement(list, "UPDATE x set", &fault)); /* skipped */
	assert_false(tds_faults_login(list, "update x", &fault));
	assert_true(tds_faults_statement(list, "UPDATE x set", &fault));
	assert_true(tds_faults_statement(list, "UPDATE x set", &fault));
	assert_false(tds_faults_statement(list, "UPDATE x set", &fault)); /* used up */
	buf_init(&answer, 4096);
	tds_control_line(NULL, list, "hang attention=yes", &answer);
	tds_control_line(NULL, list, "cut-rows", &answer);
	assert_string_equal(buf_text(&answer), "ok\nerror cut-rows wants 1 number(s)\n");
	buf_clear(&answer);
	tds_control_line(NULL, list, "database jtl restoring", &answer); /* without a server */
	assert_string_equal(buf_text(&answer), "error unknown command 'database'\n");
	buf_clear(&answer);
	tds_control_line(NULL, list, "stats", &answer);
	assert_non_null(strstr(buf_text(&answer), "\"faults\":2"));
	buf_release(&answer);
	tds_faults_free(list);
}

static void prelogin(void **state)
{
	static const uint8_t endless[] = { 1, 0, 0, 0, 0, 1 }, outside[] = { 1, 0, 6, 0, 9, 0xFF, 0 };
	enum tds_encryption got;
	struct err err = ERR_INIT;
	struct buf out;

	(void)state;
	buf_init(&out, 128);
	tds_prelogin_encode(&out, TDS_ENCRYPT_REQ);
	assert_int_equal(tds_prelogin_decode(out.data, out.len, &got, &err), 0);
	assert_int_equal(got, TDS_ENCRYPT_REQ);
	buf_release(&out);
	assert_int_equal(tds_prelogin_decode(endless, sizeof(endless), &got, &err), -1);
	assert_int_equal(tds_prelogin_decode(outside, sizeof(outside), &got, &err), -1);
	assert_int_equal(tds_prelogin_decode(NULL, 0, &got, &err), -1);
	assert_int_equal(tds_prelogin_agree(TDS_ENCRYPT_ON, false, false, &got), -1);
	assert_int_equal(tds_prelogin_agree(TDS_ENCRYPT_NOT_SUP, true, true, &got), -1);
	assert_int_equal(tds_prelogin_agree(TDS_ENCRYPT_OFF, true, false, &got), 0);
	assert_int_equal(got, TDS_ENCRYPT_OFF);
	assert_int_equal(tds_prelogin_agree(TDS_ENCRYPT_OFF, true, true, &got), 0);
	assert_int_equal(got, TDS_ENCRYPT_REQ);
}

/* --- whole sessions --- */

struct peer {
	int fd;
	pthread_t thread;
	struct tds_shared shared;
	struct tds_packet *packet; /* server's end */
	uint8_t answer[65536];
	size_t len;
};

static void *session_thread(void *arg)
{
	struct peer *peer = arg;
	bool reset = tds_session_run(&peer->shared, peer->packet);

	tds_packet_close(peer->packet, reset);
	return NULL;
}

static void peer_start(struct peer *peer)
{
	int fds[2];

	memset(peer, 0, sizeof(*peer));
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	peer->fd = fds[0];
	peer->packet = calloc(1, sizeof(*peer->packet));
	tds_packet_init(peer->packet, fds[1]);
	peer->shared.faults = tds_faults_new();
	assert_int_equal(pthread_create(&peer->thread, NULL, session_thread, peer), 0);
}

static void peer_stop(struct peer *peer)
{
	close(peer->fd);
	pthread_join(peer->thread, NULL);
	tds_faults_free(peer->shared.faults);
	free(peer->packet);
}

/* One message, cut into packets of `size` bytes. */
static void peer_send(struct peer *peer, uint8_t type, const void *data, size_t len, size_t size)
{
	const uint8_t *at = data;

	do {
		size_t n = len < size ? len : size;
		uint8_t header[8] = { type, n == len, (uint8_t)((n + 8) >> 8), (uint8_t)((n + 8) & 0xFF) };

		assert_int_equal(send(peer->fd, header, 8, MSG_NOSIGNAL), 8);
		assert_int_equal(send(peer->fd, at, n, MSG_NOSIGNAL), (ssize_t)n);
		at += n;
		len -= n;
	} while (len > 0);
}

/* The payload of one whole answer; 0 when the server closed instead. */
static size_t peer_recv(struct peer *peer)
{
	uint8_t header[8] = { 0 };

	for (peer->len = 0; (header[1] & 1) == 0;) {
		size_t n;

		if (recv(peer->fd, header, 8, MSG_WAITALL) != 8)
			return 0;
		n = ((size_t)header[2] << 8 | header[3]) - 8;
		assert_int_equal(header[0], TDS_REPLY);
		assert_true(n <= sizeof(peer->answer) - peer->len);
		if (recv(peer->fd, peer->answer + peer->len, n, MSG_WAITALL) != (ssize_t)n)
			return 0;
		peer->len += n;
	}
	return peer->len;
}

static void put_login_text(struct buf *fixed, struct buf *text, const char *value, bool scramble)
{
	size_t before = text->len;

	tds_put16(fixed, (uint16_t)(94 + text->len));
	tds_put16(fixed, (uint16_t)tds_put_utf16(text, value, strlen(value), 128));
	for (size_t i = before; scramble && i < text->len; i++) {
		uint8_t c = (uint8_t)text->data[i];

		text->data[i] = (char)((uint8_t)(c << 4 | c >> 4) ^ 0xA5);
	}
}

static void build_login(struct buf *out, const char *user, const char *password)
{
	static const uint8_t zero[64];
	struct buf text;

	buf_init(&text, 4096);
	buf_init(out, 8192);
	tds_put32(out, 0);
	tds_put32(out, 0x74000004);
	tds_put32(out, 512);
	buf_add(out, zero, 24);
	put_login_text(out, &text, "host", false);
	put_login_text(out, &text, user, false);
	put_login_text(out, &text, password, true);
	for (int i = 0; i < 6; i++)
		put_login_text(out, &text, "", false);
	buf_add(out, zero, 94 - out->len);
	buf_add(out, text.data, text.len);
	out->data[0] = (char)(out->len & 0xFF);
	out->data[1] = (char)(out->len >> 8);
	buf_release(&text);
}

static void log_in(struct peer *peer, const char *password, bool good)
{
	struct buf login;

	build_login(&login, "sa", password);
	peer_send(peer, TDS_LOGIN7, login.data, login.len, 100);
	assert_true(peer_recv(peer) > 0);
	assert_int_equal(peer->answer[0], good ? 0xE3 : 0xAA);
	buf_release(&login);
}

static void send_batch(struct peer *peer, const char *sql)
{
	struct buf body;

	buf_init(&body, 65536);
	tds_put32(&body, 4);
	tds_put_utf16(&body, sql, strlen(sql), 30000);
	peer_send(peer, TDS_SQL_BATCH, body.data, body.len, 7);
	buf_release(&body);
}

/* The status of the last DONE, DONEPROC or DONEINPROC (13 bytes at the end). */
static unsigned last_done(const struct peer *peer, uint8_t token)
{
	const uint8_t *at = peer->answer + peer->len - 13;

	assert_true(peer->len >= 13);
	assert_int_equal(at[0], token);
	return at[1] | (unsigned)at[2] << 8;
}

static void batches(void **state)
{
	struct peer peer;

	(void)state;
	peer_start(&peer);
	log_in(&peer, "pä$$", true);
	send_batch(&peer, "select");
	peer_recv(&peer);
	assert_int_equal(peer.answer[0], 0x81);
	assert_int_equal(last_done(&peer, 0xFD), 0x10);
	/* COLMETADATA with one INTN "n", ROW, then DONE of the first statement says that more follows */
	assert_int_equal(peer.answer[14 + 6], 0xFD);
	assert_int_equal(peer.answer[14 + 7], 0x11);
	send_batch(&peer, "fail");
	peer_recv(&peer);
	assert_int_equal(peer.answer[0], 0xAA);
	assert_int_equal(last_done(&peer, 0xFD), 0x02);
	peer_stop(&peer);
}

static void attention(void **state)
{
	struct peer peer;

	(void)state;
	peer_start(&peer);
	log_in(&peer, "pä$$", true);
	send_batch(&peer, "wait");
	peer_send(&peer, TDS_ATTENTION, "", 0, 1);
	peer_recv(&peer);
	assert_int_equal(last_done(&peer, 0xFD), 0x20);
	peer_send(&peer, TDS_ATTENTION, "", 0, 1); /* with nothing under way */
	peer_recv(&peer);
	assert_int_equal(last_done(&peer, 0xFD), 0x20);
	send_batch(&peer, "select");
	peer_recv(&peer);
	assert_int_equal(last_done(&peer, 0xFD), 0x10);
	peer_stop(&peer);
}

static void put_nvarchar(struct buf *out, const char *text)
{
	tds_put8(out, 0);
	tds_put8(out, 0);
	buf_add(out, "\xE7\x40\x1F\x09\x04\xD0\x00\x00", 8);
	tds_put16(out, (uint16_t)(2 * strlen(text)));
	tds_put_utf16(out, text, strlen(text), 4000);
}

static void calls(void **state)
{
	struct peer peer;
	struct buf body;

	(void)state;
	peer_start(&peer);
	log_in(&peer, "pä$$", true);
	buf_init(&body, 65536);
	buf_add(&body, "\x04\0\0\0\xFF\xFF\x0A\0\0\0", 10);
	put_nvarchar(&body, "select @a");
	put_nvarchar(&body, "@a int");
	buf_add(&body, "\0\0\x26\x04\x04\x07\0\0\0", 9);
	peer_send(&peer, TDS_RPC, body.data, body.len, 50);
	peer_recv(&peer);
	assert_int_equal(last_done(&peer, 0xFE), 0);
	assert_int_equal(peer.answer[peer.len - 18], 0x79);
	assert_int_equal(peer.answer[peer.len - 31], 0xFF); /* DONEINPROC with MORE and COUNT */
	assert_int_equal(peer.answer[peer.len - 30], 0x11);
	assert_int_equal(peer.answer[peer.len - 35], 7);
	peer_send(&peer, TDS_RPC, body.data, body.len - 9, 50); /* the value is missing */
	peer_recv(&peer);
	assert_int_equal(peer.answer[0], 0xAA);
	assert_int_equal(peer.answer[3] | peer.answer[4] << 8, 8178);
	peer_send(&peer, TDS_RPC, body.data, body.len - 2, 50); /* ends inside a value */
	peer_recv(&peer);
	assert_int_equal(peer.answer[3] | peer.answer[4] << 8, 8009);
	buf_release(&body);
	peer_stop(&peer);
}

static void injected(void **state)
{
	static const struct {
		const char *line;
		int number; /* error to come, 0: the connection ends */
	} table[] = { { "error 1222 16", 1222 }, { "cut-before", 0 }, { "cut-after", 0 }, { "cut-rows 1", 0 },
	            { "severe", 823 } };

	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		struct peer peer;
		struct buf answer;
		size_t len;

		peer_start(&peer);
		log_in(&peer, "pä$$", true);
		buf_init(&answer, 4096);
		tds_control_line(NULL, peer.shared.faults, table[i].line, &answer);
		assert_string_equal(buf_text(&answer), "ok\n");
		buf_release(&answer);
		send_batch(&peer, "select");
		len = peer_recv(&peer);
		if (table[i].number == 0)
			assert_int_equal(len, 0);
		else
			assert_int_equal(peer.answer[3] | peer.answer[4] << 8, table[i].number);
		peer_stop(&peer);
	}
}

static void malformed(void **state)
{
	static const uint8_t bad[][8] = {
		{ 0x99, 1, 0, 8 }, { TDS_LOGIN7, 1, 0, 7 }, { TDS_LOGIN7, 1, 0xFF, 0xFF }, { TDS_LOGIN7, 1, 0, 8 },
		{ TDS_SQL_BATCH, 1, 0, 8 },
	};
	struct peer peer;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		peer_start(&peer);
		assert_int_equal(send(peer.fd, bad[i], 8, MSG_NOSIGNAL), 8);
		assert_int_equal(peer_recv(&peer), 0);
		peer_stop(&peer);
	}
	peer_start(&peer);
	log_in(&peer, "wrong", false);
	assert_int_equal(peer_recv(&peer), 0);
	peer_stop(&peer);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(numbers_round_trip),
		cmocka_unit_test(texts_round_trip),
		cmocka_unit_test(dates_round_trip),
		cmocka_unit_test(bad_values_are_refused),
		cmocka_unit_test(bad_params_are_refused),
		cmocka_unit_test(collations),
		cmocka_unit_test(declarations),
		cmocka_unit_test(faults),
		cmocka_unit_test(prelogin),
		cmocka_unit_test(batches),
		cmocka_unit_test(attention),
		cmocka_unit_test(calls),
		cmocka_unit_test(injected),
		cmocka_unit_test(malformed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
