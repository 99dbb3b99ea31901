/* The lease on a server: who gets it, who is refused, what a writer that lost it can still do, and that two takers never both win. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <pthread.h>
#include "common/clock.h"
#include "tests/unit/db/sql_world.h"
#include "worker/db/connpool.h"
#include "worker/db/lease.h"
#include "worker/db/schema.h"

#define HOST "k\xC3\xBC""che-1"
#define TTL 60
#define ROUNDS 12

static struct sql_world world;
static struct db *db, *other;
static struct err err = ERR_INIT;

static const struct lease_self here = { "aaaa", "place-1", HOST }, moved = { "aaaa", "place-2", "copy-of-it" },
			       foreign = { "bbbb", "place-3", "wawi-2" };

#define OK(call)                                                \
	do {                                                    \
		err_clear(&err);                                \
		if ((call) != 0)                                \
			fail_msg("%s: %s", err.code, err.text); \
	} while (0)
#define FAILS(call, wanted_class, wanted_code)               \
	do {                                                 \
		err_clear(&err);                             \
		assert_int_equal(call, -1);                  \
		assert_string_equal(err.code, wanted_code);  \
		assert_int_equal(err.class, wanted_class);   \
	} while (0)

static struct lease_row look(int64_t shop)
{
	struct lease_row row;

	OK(lease_read(db, shop, &row, &err));
	return row;
}

/* Taken by self; its grip. */
static struct lease_grip taken(const struct lease_self *self, int64_t shop)
{
	struct lease_grip grip = { .shop = shop };

	OK(lease_take(db, shop, self, TTL, &grip.epoch, NULL, &err));
	snprintf(grip.installation, sizeof(grip.installation), "%s", self->installation);
	return grip;
}

static void expire(int64_t shop)
{
	char sql[200];

	snprintf(sql, sizeof(sql), "UPDATE dbo.temu_lease SET expires_at = DATEADD(second, -1, SYSUTCDATETIME()) WHERE shop = %d", (int)shop);
	assert_true(world_run_sql(db, sql));
}

static int clean(void **state)
{
	(void)state;
	return !world.there || world_run_sql(db, "DELETE FROM dbo.temu_lease\nDELETE FROM dbo.temu_shop") ? 0 : -1;
}

/* --- who may take it --- */

static void nobodys_is_taken_by_anyone(void **state)
{
	struct lease_row row;
	int64_t epoch = 0;

	(void)state;
	if (!world.there)
		skip();
	assert_false(look(1).found);
	OK(lease_take(db, 1, &here, TTL, &epoch, &row, &err));
	assert_int_equal(epoch, 1);
	assert_true(row.found);
	assert_string_equal(row.holder.installation, "aaaa");
	assert_string_equal(row.holder.place, "place-1");
	assert_string_equal(row.holder.host, HOST);
	assert_int_equal(row.renewed_ms, row.taken_ms);
	assert_int_equal(row.expires_ms - row.renewed_ms, TTL * 1000);
	assert_true(row.now_ms >= row.renewed_ms && row.now_ms < row.expires_ms);
	assert_false(look(2).found);
}

static void the_same_place_resumes_at_once(void **state)
{
	struct lease_grip first, second;

	(void)state;
	if (!world.there)
		skip();
	first = taken(&here, 1);
	second = taken(&here, 1); /* killed and started again */
	assert_int_equal(second.epoch, first.epoch + 1);
	FAILS(lease_check(db, &first, &err), ERR_HOLD, "LEASE_LOST"); /* what the dead one would still write */
	OK(lease_check(db, &second, &err));
}

static void another_place_waits_until_it_has_expired(void **state)
{
	struct lease_grip old = { .epoch = 0 };
	struct lease_row row;
	int64_t epoch = 77;

	(void)state;
	if (!world.there)
		skip();
	old = taken(&here, 1);
	FAILS(lease_take(db, 1, &moved, TTL, &epoch, &row, &err), ERR_HOLD, "LEASE_ELSEWHERE");
	assert_int_equal(epoch, 77);
	assert_string_equal(row.holder.place, "place-1");
	assert_non_null(strstr(err.text, HOST));
	assert_non_null(strstr(err.text, "copy"));
	OK(lease_check(db, &old, &err)); /* the original is not harmed */
	expire(1);
	OK(lease_check(db, &old, &err)); /* nor by having been cut off, as long as nobody took it */
	OK(lease_take(db, 1, &moved, TTL, &epoch, &row, &err));
	assert_int_equal(epoch, old.epoch + 1);
	assert_string_equal(row.holder.host, "copy-of-it");
	FAILS(lease_check(db, &old, &err), ERR_HOLD, "LEASE_LOST");
	assert_non_null(strstr(err.text, "copy-of-it"));
}

static void a_foreign_one_is_refused_fresh_or_not(void **state)
{
	struct lease_grip old;
	struct lease_row row;
	char renewed[CLOCK_TEXT_MAX];
	int64_t epoch;

	(void)state;
	if (!world.there)
		skip();
	old = taken(&here, 1);
	FAILS(lease_take(db, 1, &foreign, TTL, &epoch, &row, &err), ERR_HOLD, "LEASE_FOREIGN");
	clock_format(row.renewed_ms, renewed);
	assert_non_null(strstr(err.text, "aaaa"));
	assert_non_null(strstr(err.text, HOST));
	assert_non_null(strstr(err.text, renewed));
	assert_non_null(strstr(err.text, "good until"));
	assert_non_null(strstr(err.text, "POST /api/shops/1/lease {\"from\":\"aaaa\"}"));
	expire(1);
	FAILS(lease_take(db, 1, &foreign, TTL, &epoch, &row, &err), ERR_HOLD, "LEASE_FOREIGN");
	assert_non_null(strstr(err.text, "expired"));
	OK(lease_check(db, &old, &err));
	OK(lease_take(db, 2, &foreign, TTL, &epoch, &row, &err)); /* another shop is another matter */
}

static void a_long_host_name_keeps_the_advice_readable(void **state)
{
	struct lease_self self = { "cccc", "p", "" };
	int64_t epoch;

	(void)state;
	if (!world.there)
		skip();
	for (int i = 0; i < 128; i++)
		memcpy(self.host + 3 * i, "\xE6\x97\xA5", 4);
	taken(&self, 1);
	assert_string_equal(look(1).holder.host, self.host);
	FAILS(lease_take(db, 1, &foreign, TTL, &epoch, NULL, &err), ERR_HOLD, "LEASE_FOREIGN");
	assert_non_null(strstr(err.text, "{\"from\":\"cccc\"}"));
}

static void taking_over_names_whom(void **state)
{
	struct lease_grip old, now = { .shop = 1, .installation = "bbbb" };
	struct lease_row row;
	int64_t epoch;

	(void)state;
	if (!world.there)
		skip();
	FAILS(lease_take_over(db, 1, &foreign, "aaaa", TTL, &epoch, &row, &err), ERR_PERM, "LEASE_CHANGED");
	assert_non_null(strstr(err.text, "nobody"));
	assert_false(look(1).found);
	old = taken(&here, 1);
	FAILS(lease_take_over(db, 1, &foreign, "dddd", TTL, &epoch, &row, &err), ERR_PERM, "LEASE_CHANGED");
	assert_non_null(strstr(err.text, "aaaa"));
	OK(lease_check(db, &old, &err));
	OK(lease_take_over(db, 1, &foreign, "aaaa", TTL, &now.epoch, &row, &err));
	assert_int_equal(now.epoch, old.epoch + 1);
	assert_string_equal(row.holder.host, "wawi-2");
	OK(lease_check(db, &now, &err));
	FAILS(lease_check(db, &old, &err), ERR_HOLD, "LEASE_LOST");
	OK(lease_take_over(db, 1, &foreign, "aaaa", TTL, &epoch, &row, &err)); /* the answer was lost, asked again */
	assert_int_equal(epoch, now.epoch);
}

static void a_copy_may_be_told_that_it_is_the_one(void **state)
{
	struct lease_grip old;
	int64_t epoch;

	(void)state;
	if (!world.there)
		skip();
	old = taken(&here, 1);
	OK(lease_take_over(db, 1, &moved, "aaaa", TTL, &epoch, NULL, &err));
	assert_int_equal(epoch, old.epoch + 1);
	FAILS(lease_check(db, &old, &err), ERR_HOLD, "LEASE_LOST");
}

/* --- keeping it --- */

static void renewed_by_its_holder_only(void **state)
{
	struct lease_grip grip, wrong;
	struct lease_row before, row;

	(void)state;
	if (!world.there)
		skip();
	grip = taken(&here, 1);
	assert_true(world_run_sql(db, "UPDATE dbo.temu_lease SET renewed_at = '2026-01-01', expires_at = '2026-01-01'"));
	before = look(1);
	OK(lease_renew(db, &grip, TTL, &row, &err)); /* although it had expired: nobody took it */
	assert_true(row.renewed_ms > before.renewed_ms);
	assert_int_equal(row.expires_ms - row.renewed_ms, TTL * 1000);
	assert_int_equal(row.taken_ms, before.taken_ms);
	assert_int_equal(row.epoch, grip.epoch);
	wrong = grip;
	wrong.epoch++;
	FAILS(lease_renew(db, &wrong, TTL, &row, &err), ERR_HOLD, "LEASE_LOST");
	wrong = grip;
	snprintf(wrong.installation, sizeof(wrong.installation), "bbbb");
	FAILS(lease_renew(db, &wrong, TTL, &row, &err), ERR_HOLD, "LEASE_LOST");
	assert_string_equal(row.holder.installation, "aaaa");
	wrong = grip;
	wrong.shop = 9;
	FAILS(lease_renew(db, &wrong, TTL, &row, &err), ERR_HOLD, "LEASE_LOST");
	assert_false(row.found);
	assert_non_null(strstr(err.text, "gone"));
}

static void released_it_is_free_for_a_moved_folder_only(void **state)
{
	struct lease_grip grip, stale;
	struct lease_row row;
	int64_t epoch;

	(void)state;
	if (!world.there)
		skip();
	stale = taken(&here, 1);
	grip = taken(&here, 1);
	OK(lease_release(db, &stale, &err));
	row = look(1);
	assert_true(row.expires_ms > row.now_ms); /* not the holder's */
	OK(lease_release(db, &grip, &err));
	row = look(1);
	assert_true(row.found && row.expires_ms <= row.now_ms);
	assert_string_equal(row.holder.installation, "aaaa");
	FAILS(lease_take(db, 1, &foreign, TTL, &epoch, NULL, &err), ERR_HOLD, "LEASE_FOREIGN");
	OK(lease_take(db, 1, &moved, TTL, &epoch, NULL, &err));
	assert_int_equal(epoch, grip.epoch + 1);
}

static int64_t day_behind(void)
{
	return 1000;
}

static void our_own_clock_does_not_matter(void **state)
{
	struct lease_grip grip;
	struct lease_row row;
	int64_t epoch;

	(void)state;
	if (!world.there)
		skip();
	grip = taken(&here, 1);
	clock_replace(day_behind, NULL);
	err_clear(&err);
	assert_int_equal(lease_take(db, 1, &moved, TTL, &epoch, &row, &err), -1);
	assert_int_equal(lease_renew(db, &grip, TTL, &row, &err), 0);
	clock_replace(NULL, NULL);
	assert_string_equal(err.code, "LEASE_ELSEWHERE");
	assert_true(row.renewed_ms > 1700000000000);
}

/* --- the fence --- */

struct write {
	int calls;
};

static int write_shop(struct db *on, void *arg, struct err *why)
{
	struct write *write = arg;

	write->calls++;
	return db_execute(on, "write", "INSERT INTO dbo.temu_shop (shop, catalogue_skus) VALUES (1, 5)", NULL, why);
}

static void the_fence_lets_the_holder_write(void **state)
{
	struct lease_grip grip, nobody = { .shop = 3, .epoch = 1, .installation = "aaaa" };
	struct write write = { 0 };
	struct db_fence fence;

	(void)state;
	if (!world.there)
		skip();
	grip = taken(&here, 1);
	fence = lease_fence(&grip);
	OK(db_transaction(db, &fence, write_shop, &write, &err));
	assert_int_equal(world_number(db, "SELECT COUNT(*) FROM dbo.temu_shop"), 1);
	assert_true(world_run_sql(db, "DELETE FROM dbo.temu_shop"));
	OK(lease_take_over(other, 1, &foreign, "aaaa", TTL, &grip.epoch, NULL, &err)); /* even with the right epoch */
	FAILS(db_transaction(db, &fence, write_shop, &write, &err), ERR_HOLD, "LEASE_LOST");
	assert_non_null(strstr(err.text, "wawi-2"));
	fence = lease_fence(&nobody);
	FAILS(db_transaction(db, &fence, write_shop, &write, &err), ERR_HOLD, "LEASE_LOST");
	assert_int_equal(write.calls, 1);
	assert_int_equal(world_number(db, "SELECT COUNT(*) FROM dbo.temu_shop"), 0);
	assert_false(db_in_transaction(db) || db_doubtful(db));
}

/* --- fences in general --- */

struct any_fence {
	const char *sql;
	int judged, refuse_after; /* refuse_after 1 = at once, 0 = never */
	bool without_row;
};

static void add_any(const void *arg, struct buf *sql)
{
	buf_add_text(sql, ((const struct any_fence *)arg)->sql);
}

static struct any_fence *fence_under_test;

static int judge_any(const void *arg, const struct db_row *row, struct err *why)
{
	struct any_fence *any = fence_under_test;

	assert_ptr_equal(arg, any);
	any->judged++;
	any->without_row = row == NULL;
	return any->refuse_after ? err_set(why, ERR_HOLD, "NO", "not now") : 0;
}

static int through(struct any_fence *any, struct write *write)
{
	struct db_fence fence = { add_any, judge_any, any };

	fence_under_test = any;
	err_clear(&err);
	return db_transaction(db, &fence, write_shop, write, &err);
}

static void a_fence_is_asked_once_and_leaves_nothing_open(void **state)
{
	struct any_fence rows = { .sql = "SELECT 1 UNION ALL SELECT 2" }, none = { .sql = "SELECT 1 WHERE 1 = 0" },
	                 no = { .sql = "SELECT 1 UNION ALL SELECT 2", .refuse_after = 1 },
	                 broken = { .sql = "SELECT x FROM dbo.no_such_table" };
	struct write write = { 0 };

	(void)state;
	if (!world.there)
		skip();
	assert_int_equal(through(&no, &write), -1);
	assert_string_equal(err.code, "NO");
	assert_int_equal(no.judged, 1);
	assert_int_equal(through(&broken, &write), -1);
	assert_int_equal(err.number, 208);
	assert_int_equal(broken.judged, 0);
	assert_int_equal(write.calls, 0);
	assert_false(db_in_transaction(db) || db_doubtful(db));
	assert_int_equal(world_number(db, "SELECT COUNT(*) FROM dbo.temu_shop"), 0);
	OK(through(&rows, &write));
	assert_int_equal(rows.judged, 1);
	assert_false(rows.without_row);
	assert_true(world_run_sql(db, "DELETE FROM dbo.temu_shop"));
	OK(through(&none, &write));
	assert_int_equal(none.judged, 1);
	assert_true(none.without_row);
	assert_int_equal(write.calls, 2);
}

static void a_fence_that_waits_too_long_writes_nothing(void **state)
{
	struct lease_grip grip;
	struct write write = { 0 };
	struct db_fence fence;

	(void)state;
	if (!world.there)
		skip();
	grip = taken(&here, 1);
	fence = lease_fence(&grip);
	assert_true(world_run_sql(db, "SET LOCK_TIMEOUT 200"));
	assert_true(world_run_sql(other, "BEGIN TRANSACTION\nUPDATE dbo.temu_lease SET epoch = epoch WHERE shop = 1"));
	FAILS(db_transaction(db, &fence, write_shop, &write, &err), ERR_TEMP, "SQL_1222");
	assert_true(world_run_sql(other, "ROLLBACK TRANSACTION"));
	assert_int_equal(write.calls, 0);
	OK(db_transaction(db, &fence, write_shop, &write, &err));
	assert_true(world_run_sql(db, "SET LOCK_TIMEOUT 2000"));
}

struct taker {
	const struct lease_self *self;
	const char *from;
	int64_t shop, epoch;
	struct db *db;
	bool done; /* under lock */
	int rc;
	struct err err;
	pthread_mutex_t lock;
	pthread_t thread;
};

static void *take_it(void *arg)
{
	struct taker *t = arg;
	struct err why = ERR_INIT;
	int64_t epoch = 0;
	int rc = t->from ? lease_take_over(t->db, t->shop, t->self, t->from, TTL, &epoch, NULL, &why)
	                 : lease_take(t->db, t->shop, t->self, TTL, &epoch, NULL, &why);

	pthread_mutex_lock(&t->lock);
	t->rc = rc;
	t->epoch = epoch;
	t->err = why;
	t->done = true;
	pthread_mutex_unlock(&t->lock);
	return NULL;
}

static bool is_done(struct taker *t)
{
	bool done;

	pthread_mutex_lock(&t->lock);
	done = t->done;
	pthread_mutex_unlock(&t->lock);
	return done;
}

static void begin_take(struct taker *t)
{
	pthread_mutex_init(&t->lock, NULL);
	assert_int_equal(pthread_create(&t->thread, NULL, take_it, t), 0);
}

static void end_take(struct taker *t)
{
	pthread_join(t->thread, NULL);
	pthread_mutex_destroy(&t->lock);
}

struct interrupted {
	struct taker *taker;
	bool waited;
};

/* Inside the fenced transaction somebody takes over: he must wait for our COMMIT. */
static int write_while_taken(struct db *on, void *arg, struct err *why)
{
	struct interrupted *i = arg;
	struct write write = { 0 };
	int64_t until = clock_mono_ms() + 300;

	begin_take(i->taker);
	while (clock_mono_ms() < until && !is_done(i->taker))
		world_nap();
	i->waited = !is_done(i->taker);
	return write_shop(on, &write, why);
}

static void taking_over_waits_for_the_commit(void **state)
{
	struct taker taker = { .self = &foreign, .from = "aaaa", .shop = 1, .db = other };
	struct interrupted interrupted = { &taker, false };
	struct lease_grip grip;
	struct db_fence fence;

	(void)state;
	if (!world.there)
		skip();
	grip = taken(&here, 1);
	fence = lease_fence(&grip);
	OK(db_transaction(db, &fence, write_while_taken, &interrupted, &err));
	end_take(&taker);
	assert_true(interrupted.waited);
	assert_int_equal(taker.rc, 0);
	assert_int_equal(taker.epoch, grip.epoch + 1);
	assert_int_equal(world_number(db, "SELECT COUNT(*) FROM dbo.temu_shop"), 1);
	FAILS(lease_check(db, &grip, &err), ERR_HOLD, "LEASE_LOST");
}

static void two_takers_at_once_one_wins(void **state)
{
	struct db *connections[4];

	(void)state;
	if (!world.there)
		skip();
	for (int i = 0; i < 4; i++)
		assert_non_null(connections[i] = sql_world_open(&world, world.own));
	for (int round = 1; round <= ROUNDS; round++) {
		struct lease_self selves[4] = { { "aaaa", "p", "a" }, { "bbbb", "p", "b" }, { "cccc", "p", "c" }, { "dddd", "p", "d" } };
		struct taker takers[4] = { { .shop = round } };
		int won = 0;

		if (round % 2 == 0) /* an even round: all take over from the same one */
			taken(&here, round);
		for (int i = 0; i < 4; i++) {
			takers[i] = (struct taker){ .self = &selves[i], .shop = round, .db = connections[i] };
			takers[i].from = round % 2 == 0 ? "aaaa" : NULL;
			snprintf(selves[i].installation, sizeof(selves[i].installation), "taker-%d", i);
			begin_take(&takers[i]);
		}
		for (int i = 0; i < 4; i++)
			end_take(&takers[i]);
		for (int i = 0; i < 4; i++) {
			won += takers[i].rc == 0;
			if (takers[i].rc == 0)
				assert_string_equal(look(round).holder.installation, selves[i].installation);
			else
				assert_string_equal(takers[i].err.code, round % 2 == 0 ? "LEASE_CHANGED" : "LEASE_FOREIGN");
		}
		assert_int_equal(won, 1);
		assert_int_equal(look(round).epoch, round % 2 == 0 ? 2 : 1);
	}
	for (int i = 0; i < 4; i++)
		db_close(connections[i]);
}

/* --- fences and renewals beside each other: no deadlock, nothing refused --- */

struct writer {
	struct db *db;
	struct lease_grip grip;
	int failed;
	pthread_t thread;
};

static int write_row(struct db *on, void *arg, struct err *why)
{
	struct writer *w = arg;
	char sql[160];

	snprintf(sql, sizeof(sql), "UPDATE dbo.temu_shop SET catalogue_skus = ISNULL(catalogue_skus, 0) + 1 WHERE shop = %d", (int)w->grip.shop);
	return db_execute(on, "write", sql, NULL, why);
}

static void *write_often(void *arg)
{
	struct writer *w = arg;
	struct db_fence fence = lease_fence(&w->grip);

	for (int i = 0; i < 40; i++) {
		struct err why = ERR_INIT;

		if (db_transaction(w->db, &fence, write_row, w, &why) != 0) {
			fprintf(stderr, "%s: %s\n", why.code, why.text);
			w->failed++;
		}
	}
	return NULL;
}

static void renewals_and_fences_do_not_lock_each_other_out(void **state)
{
	struct writer writers[3] = { { .failed = 0 } };
	int renewed = 0;

	(void)state;
	if (!world.there)
		skip();
	assert_true(world_run_sql(db, "INSERT INTO dbo.temu_shop (shop) VALUES (1)\nINSERT INTO dbo.temu_shop (shop) VALUES (2)"));
	writers[0].grip = writers[1].grip = taken(&here, 1);
	writers[2].grip = taken(&here, 2);
	for (int i = 0; i < 3; i++) {
		writers[i].db = sql_world_open(&world, world.own);
		assert_non_null(writers[i].db);
		assert_int_equal(pthread_create(&writers[i].thread, NULL, write_often, &writers[i]), 0);
	}
	for (int i = 0; i < 40; i++) {
		struct lease_row row;

		err_clear(&err);
		if (lease_renew(db, &writers[i % 3].grip, TTL, &row, &err) == 0)
			renewed++;
		else
			assert_int_equal(err.number, 1222);
	}
	for (int i = 0; i < 3; i++) {
		pthread_join(writers[i].thread, NULL);
		db_close(writers[i].db);
		assert_int_equal(writers[i].failed, 0);
	}
	assert_true(renewed > 0);
	assert_int_equal(world_number(db, "SELECT catalogue_skus FROM dbo.temu_shop WHERE shop = 1"), 80);
	assert_int_equal(world_number(db, "SELECT catalogue_skus FROM dbo.temu_shop WHERE shop = 2"), 40);
}

static void without_its_table_it_is_an_error(void **state)
{
	struct db *master;
	struct lease_row row;
	int64_t epoch;

	(void)state;
	if (!world.there)
		skip();
	master = sql_world_open(&world, "master");
	assert_non_null(master);
	err_clear(&err);
	assert_int_equal(lease_take(master, 1, &here, TTL, &epoch, &row, &err), -1);
	assert_int_equal(err.number, 208);
	db_close(master);
}

/* --- */

static int start(void **state)
{
	struct schema_list list = schema_own();

	(void)state;
	if (sql_world_start(&world, 1, "Latin1_General_CI_AS", NULL) != 0)
		return -1;
	if (!world.there)
		return 0;
	db = sql_world_open(&world, world.own);
	other = db ? sql_world_open(&world, world.own) : NULL;
	return other && schema_apply(db, &list, &err) == 0 ? 0 : -1;
}

static int stop(void **state)
{
	(void)state;
	db_close(db);
	db_close(other);
	sql_world_stop(&world);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(nobodys_is_taken_by_anyone, clean),
		cmocka_unit_test_teardown(the_same_place_resumes_at_once, clean),
		cmocka_unit_test_teardown(another_place_waits_until_it_has_expired, clean),
		cmocka_unit_test_teardown(a_foreign_one_is_refused_fresh_or_not, clean),
		cmocka_unit_test_teardown(a_long_host_name_keeps_the_advice_readable, clean),
		cmocka_unit_test_teardown(taking_over_names_whom, clean),
		cmocka_unit_test_teardown(a_copy_may_be_told_that_it_is_the_one, clean),
		cmocka_unit_test_teardown(renewed_by_its_holder_only, clean),
		cmocka_unit_test_teardown(released_it_is_free_for_a_moved_folder_only, clean),
		cmocka_unit_test_teardown(our_own_clock_does_not_matter, clean),
		cmocka_unit_test_teardown(the_fence_lets_the_holder_write, clean),
		cmocka_unit_test_teardown(a_fence_is_asked_once_and_leaves_nothing_open, clean),
		cmocka_unit_test_teardown(a_fence_that_waits_too_long_writes_nothing, clean),
		cmocka_unit_test_teardown(taking_over_waits_for_the_commit, clean),
		cmocka_unit_test_teardown(two_takers_at_once_one_wins, clean),
		cmocka_unit_test_teardown(renewals_and_fences_do_not_lock_each_other_out, clean),
		cmocka_unit_test_teardown(without_its_table_it_is_an_error, clean),
	};

	return cmocka_run_group_tests(tests, start, stop);
}
