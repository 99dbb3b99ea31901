/* The pool against a server on the wire: base and overflow, waiters, ping, recycle, dead connections, restarts, stop.
 * Idle time and age pass by moving the clock. */
#include "tests/unit/db/wire.h"
#include <time.h>
#include "worker/db/connpool.h"

static struct wire wire;
static struct connpool *pool;
static _Atomic int64_t skipped_ms;

static int64_t moved_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000 + atomic_load(&skipped_ms);
}

static void skip_ms(int64_t ms)
{
	atomic_fetch_add(&skipped_ms, ms);
}

static void new_pool(int base, int overflow)
{
	struct connpool_config config = { .db = wire.config,
					  .base = base,
					  .overflow = overflow,
					  .pre_ping = true,
					  .recycle_s = 3600,
					  .wait_ms = 5000 };
	struct err err = ERR_INIT;

	pool = connpool_new(&config, &err);
	assert_non_null(pool);
}

static int set_up(void **state)
{
	(void)state;
	wire_start(&wire);
	return 0;
}

static int tear_down(void **state)
{
	struct err err = ERR_INIT;

	(void)state;
	if (pool) {
		assert_int_equal(connpool_stop(pool, clock_mono_ms() + 5000, &err), 0);
		connpool_free(pool);
	}
	pool = NULL;
	wire_stop(&wire);
	return 0;
}

static struct connpool_stats stats(void)
{
	struct connpool_stats s;

	connpool_stats(pool, &s);
	return s;
}

static struct db *take(void)
{
	struct err err = ERR_INIT;
	struct db *db = connpool_take(pool, NULL, &err);

	if (!db)
		fail_msg("take: %s", err.text);
	return db;
}

static void works(struct db *db)
{
	struct err err = ERR_INIT;
	int64_t value = 0;

	if (db_query_int64(db, &(struct db_statement){ .sql = "info" }, &value, &err) != 0)
		fail_msg("%s", err.text);
	assert_int_equal(value, 42);
}

static void await(bool (*condition)(void))
{
	for (int i = 0; i < 5000; i++) {
		if (condition())
			return;
		usleep(1000);
	}
	fail_msg("waited in vain");
}

static void base_and_overflow(void **state)
{
	struct db *out[5];

	(void)state;
	new_pool(2, 3);
	assert_int_equal(stats().open, 0); /* nothing before it is needed */
	for (int i = 0; i < 5; i++)
		out[i] = take();
	assert_int_equal(stats().open, 5);
	assert_int_equal(stats().taken, 5);
	for (int i = 0; i < 5; i++)
		connpool_put(pool, out[i]);
	assert_int_equal(stats().idle, 2);
	assert_int_equal(stats().open, 2);
	assert_int_equal(stats().closed, 3);
	assert_int_equal(stats().taken, 0);
	out[0] = take();
	works(out[0]);
	connpool_put(pool, out[0]);
	assert_int_equal(stats().opened, 5);
	connpool_put(pool, NULL);
}

static void wait_has_an_end(void **state)
{
	struct connpool_config config = { .db = wire.config, .base = 1, .recycle_s = 3600, .wait_ms = 100 };
	struct db_limit limit = { .deadline_ms = clock_mono_ms() + 10 };
	struct err err = ERR_INIT;
	struct db *db;

	(void)state;
	pool = connpool_new(&config, &err);
	db = take();
	assert_null(connpool_take(pool, NULL, &err));
	assert_string_equal(err.code, "POOL_WAIT");
	assert_int_equal(err.class, ERR_TEMP);
	assert_null(connpool_take(pool, &limit, &err));
	assert_string_equal(err.code, "SQL_DEADLINE");
	assert_int_equal(err.class, ERR_CANCELLED);
	assert_int_equal(stats().timeouts, 1);
	assert_int_equal(stats().waiting, 0);
	assert_true(stats().wait_ms_max >= 100);
	connpool_put(pool, db);
	db = take();
	connpool_put(pool, db);
}

/* --- waiters --- */

static atomic_int order, served[8];
static atomic_bool cancelled;

static bool is_cancelled(void *arg)
{
	(void)arg;
	return atomic_load(&cancelled);
}

static void *wait_and_note(void *arg)
{
	atomic_int *mine = arg;
	struct err err = ERR_INIT;
	struct db *db = connpool_take(pool, NULL, &err);

	atomic_store(mine, db ? atomic_fetch_add(&order, 1) + 1 : -1);
	connpool_put(pool, db);
	return NULL;
}

static int awaited;

static bool enough_wait(void)
{
	return stats().waiting == awaited;
}

static void first_come_first_served(void **state)
{
	pthread_t threads[8];
	struct db *db;

	(void)state;
	new_pool(1, 0);
	db = take();
	atomic_store(&order, 0);
	for (int i = 0; i < 8; i++) {
		assert_int_equal(pthread_create(&threads[i], NULL, wait_and_note, &served[i]), 0);
		awaited = i + 1;
		await(enough_wait);
	}
	connpool_put(pool, db);
	for (int i = 0; i < 8; i++) {
		pthread_join(threads[i], NULL);
		assert_int_equal(atomic_load(&served[i]), i + 1);
	}
	assert_int_equal(stats().opened, 1);
}

/* A connection that comes back unusable leaves its place to the waiter, who opens a new one. */
static void place_is_inherited(void **state)
{
	struct err err = ERR_INIT;
	pthread_t thread;
	struct db *db;

	(void)state;
	new_pool(1, 0);
	db = take();
	atomic_store(&order, 0);
	assert_int_equal(pthread_create(&thread, NULL, wait_and_note, &served[0]), 0);
	awaited = 1;
	await(enough_wait);
	wire_fault(&wire, "cut-before match=update");
	assert_int_equal(db_execute(db, NULL, "update 1", NULL, &err), -1);
	connpool_put(pool, db);
	pthread_join(thread, NULL);
	assert_int_equal(atomic_load(&served[0]), 1);
	assert_int_equal(stats().discarded, 1);
	assert_int_equal(stats().opened, 2);
}

static void *wait_cancelled(void *arg)
{
	struct db_limit limit = { .cancelled = is_cancelled };
	struct err *err = arg;

	connpool_put(pool, connpool_take(pool, &limit, err));
	return NULL;
}

static void cancelled_waiter_leaves(void **state)
{
	struct err err = ERR_INIT;
	pthread_t first, second;
	struct db *db;

	(void)state;
	new_pool(1, 0);
	db = take();
	atomic_store(&cancelled, false);
	atomic_store(&order, 0);
	assert_int_equal(pthread_create(&first, NULL, wait_cancelled, &err), 0);
	awaited = 1;
	await(enough_wait);
	assert_int_equal(pthread_create(&second, NULL, wait_and_note, &served[0]), 0);
	awaited = 2;
	await(enough_wait);
	atomic_store(&cancelled, true);
	pthread_join(first, NULL);
	assert_string_equal(err.code, "SQL_CANCELLED");
	assert_int_equal(stats().waiting, 1);
	connpool_put(pool, db);
	pthread_join(second, NULL);
	assert_int_equal(atomic_load(&served[0]), 1);
}

/* --- dead, old, doubtful --- */

static void kill_all(void)
{
	tds_server_close_all(wire.server);
}

static int64_t open_at_server(void)
{
	struct tds_counters counters;

	tds_faults_counters(wire.shared.faults, &counters);
	return counters.open;
}

static bool none_left(void)
{
	return open_at_server() == 0;
}

static bool one_left(void)
{
	return open_at_server() == 1;
}

static void dead_connection_is_replaced(void **state)
{
	struct db *db;

	(void)state;
	new_pool(1, 0);
	connpool_put(pool, take());
	kill_all();
	await(none_left);
	skip_ms(CONNPOOL_PING_AFTER_MS + 1000);
	db = take();
	works(db);
	connpool_put(pool, db);
	assert_int_equal(stats().discarded, 1);
	assert_int_equal(stats().opened, 2);
	assert_int_equal(stats().open, 1);
}

static void fresh_connection_is_not_pinged(void **state)
{
	struct db *db;

	(void)state;
	new_pool(1, 0);
	connpool_put(pool, take());
	db = take();
	connpool_put(pool, db);
	assert_false(wire_saw("@@TRANCOUNT"));
	skip_ms(CONNPOOL_PING_AFTER_MS + 1000);
	connpool_put(pool, take());
	assert_true(wire_saw("@@TRANCOUNT"));
}

/* One died in use: the others are tried although they have just come back. */
static void one_death_makes_suspicious(void **state)
{
	struct err err = ERR_INIT;
	struct db *out[3];

	(void)state;
	new_pool(3, 0);
	for (int i = 0; i < 3; i++)
		out[i] = take();
	connpool_put(pool, out[0]);
	connpool_put(pool, out[1]);
	kill_all();
	await(none_left);
	assert_int_equal(db_execute(out[2], NULL, "update 1", NULL, &err), -1);
	connpool_put(pool, out[2]);
	for (int i = 0; i < 3; i++)
		works(out[i] = take());
	assert_int_equal(stats().discarded, 3);
	for (int i = 0; i < 3; i++)
		connpool_put(pool, out[i]);
}

static void server_restarts(void **state)
{
	int port = tds_server_port(wire.server);
	struct err err = ERR_INIT;
	struct db *db;

	(void)state;
	new_pool(2, 0);
	connpool_put(pool, take());
	tds_server_stop(wire.server);
	skip_ms(CONNPOOL_PING_AFTER_MS + 1000);
	for (int i = 0; i < 5; i++) { /* down: no place is lost */
		assert_null(connpool_take(pool, NULL, &err));
		assert_string_equal(err.code, "SQL_CONNECTION");
		assert_int_equal(err.class, ERR_TEMP);
	}
	assert_int_equal(stats().open, 0);
	assert_int_equal(stats().open_failed, 5);
	wire_listen(&wire, port);
	db = take();
	works(db);
	connpool_put(pool, db);
	db = take();
	tds_server_stop(wire.server); /* while it is out */
	wire_listen(&wire, port);
	connpool_put(pool, db);
	skip_ms(CONNPOOL_PING_AFTER_MS + 1000);
	db = take();
	works(db);
	connpool_put(pool, db);
}

static void old_connections_are_recycled(void **state)
{
	struct db *db;

	(void)state;
	new_pool(1, 0);
	db = take();
	skip_ms(3600 * 1000);
	connpool_put(pool, db);
	assert_int_equal(stats().recycled, 1);
	assert_int_equal(stats().open, 0);
	connpool_put(pool, take());
	assert_int_equal(stats().opened, 2);
	skip_ms(3600 * 1000);
	connpool_put(pool, take());
	assert_int_equal(stats().opened, 3);
	assert_int_equal(stats().recycled, 2);
	assert_int_equal(stats().open, 1);
}

static void open_transactions_are_thrown_away(void **state)
{
	int rollbacks = atomic_load(&wire_engine.rollbacks);
	struct err err = ERR_INIT;
	struct db *db;

	(void)state;
	new_pool(1, 0);
	db = take();
	assert_int_equal(db_begin(db, &err), 0);
	connpool_put(pool, db);
	assert_int_equal(stats().discarded, 1);
	db = take();
	assert_int_equal(db_execute(db, NULL, "BEGIN TRAN", NULL, &err), 0); /* behind our back */
	connpool_put(pool, db);
	assert_int_equal(stats().discarded, 2);
	db = take();
	assert_int_equal(db_execute(db, NULL, "error 2627 14", NULL, &err), -1);
	connpool_put(pool, db); /* failed, but nothing is open: kept */
	assert_int_equal(stats().discarded, 2);
	assert_int_equal(stats().idle, 1);
	await(one_left);
	assert_int_equal(atomic_load(&wire_engine.rollbacks), rollbacks + 2);
}

static void limit_does_not_stay(void **state)
{
	struct db_limit limit = { .cancelled = is_cancelled };
	struct err err = ERR_INIT;
	struct db *db;

	(void)state;
	new_pool(1, 0);
	atomic_store(&cancelled, false);
	db = connpool_take(pool, &limit, &err);
	assert_non_null(db);
	atomic_store(&cancelled, true);
	assert_int_equal(db_execute(db, NULL, "update 1", NULL, &err), -1);
	assert_string_equal(err.code, "SQL_CANCELLED");
	connpool_put(pool, db);
	db = take();
	works(db);
	connpool_put(pool, db);
	assert_int_equal(stats().opened, 1);
}

static void login_refused(void **state)
{
	struct err err = ERR_INIT;
	struct db *db;

	(void)state;
	new_pool(1, 0);
	wire_fault(&wire, "refuse-login count=2");
	for (int i = 0; i < 2; i++) {
		assert_null(connpool_take(pool, NULL, &err));
		assert_int_equal(err.class, ERR_HOLD);
	}
	db = take();
	connpool_put(pool, db);
}

static int one_update(struct db *db, void *arg, struct err *err)
{
	return db_execute(db, NULL, arg, NULL, err);
}

static void helpers(void **state)
{
	char good[] = "update 1", bad[] = "error 1205 13";
	int commits = atomic_load(&wire_engine.commits);
	struct err err = ERR_INIT;

	(void)state;
	new_pool(1, 0);
	assert_int_equal(connpool_run(pool, NULL, one_update, good, &err), 0);
	assert_int_equal(connpool_run(pool, NULL, one_update, bad, &err), -1);
	assert_string_equal(err.code, "SQL_1205");
	assert_int_equal(connpool_transaction(pool, NULL, NULL, one_update, good, &err), 0);
	assert_int_equal(connpool_transaction(pool, NULL, NULL, one_update, bad, &err), -1);
	assert_int_equal(atomic_load(&wire_engine.commits), commits + 1);
	assert_int_equal(stats().taken, 0);
	assert_int_equal(stats().opened, 1);
}

/* --- stop --- */

static void *put_later(void *arg)
{
	usleep(50 * 1000);
	connpool_put(pool, arg);
	return NULL;
}

static void stop_waits_for_what_is_out(void **state)
{
	struct err err = ERR_INIT, waited = ERR_INIT;
	pthread_t waiter, putter;
	struct db *db;

	(void)state;
	new_pool(1, 0);
	atomic_store(&cancelled, false);
	db = take();
	assert_int_equal(pthread_create(&waiter, NULL, wait_cancelled, &waited), 0);
	awaited = 1;
	await(enough_wait);
	assert_int_equal(connpool_stop(pool, clock_mono_ms() + 50, &err), -1);
	assert_string_equal(err.code, "POOL_BUSY");
	pthread_join(waiter, NULL);
	assert_string_equal(waited.code, "POOL_STOPPED");
	assert_int_equal(waited.class, ERR_CANCELLED);
	assert_null(connpool_take(pool, NULL, &err));
	assert_string_equal(err.code, "POOL_STOPPED");
	works(db); /* what is out goes on working */
	assert_int_equal(pthread_create(&putter, NULL, put_later, db), 0);
	assert_int_equal(connpool_stop(pool, clock_mono_ms() + 5000, &err), 0);
	pthread_join(putter, NULL);
	assert_int_equal(stats().open, 0);
}

/* --- many threads --- */

static void *hammer(void *arg)
{
	atomic_int *failures = arg;

	for (int i = 0; i < 60; i++) {
		struct err err = ERR_INIT;
		struct db *db = connpool_take(pool, NULL, &err);
		int64_t value = 0;

		if (!db) {
			atomic_fetch_add(failures, 1);
			continue;
		}
		if (db_query_int64(db, &(struct db_statement){ .sql = "info" }, &value, &err) != 0)
			atomic_fetch_add(failures, 1); /* cut in mid-query */
		else if (value != 42)
			atomic_fetch_add(failures, 1000);
		connpool_put(pool, db);
	}
	return NULL;
}

static void many_threads_and_cuts(void **state)
{
	static atomic_int failures;
	pthread_t threads[12];
	struct connpool_stats s;

	(void)state;
	new_pool(3, 3);
	for (int i = 0; i < 20; i++)
		wire_fault(&wire, i % 2 == 0 ? "cut-before match=info skip=13" : "cut-rows 0 match=info skip=17");
	for (int i = 0; i < 12; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, hammer, &failures), 0);
	for (int i = 0; i < 12; i++)
		pthread_join(threads[i], NULL);
	s = stats();
	assert_in_range(atomic_load(&failures), 1, 20);
	assert_int_equal(s.discarded, atomic_load(&failures));
	assert_int_equal(s.taken, 0);
	assert_int_equal(s.waiting, 0);
	assert_true(s.open <= 3);
	assert_int_equal(s.open, s.idle);
	assert_int_equal(s.opened, s.open + s.discarded + s.closed + s.recycled);
	assert_int_equal(s.takes, 12 * 60);
}

int main(void)
{
#define OVER_THE_WIRE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		OVER_THE_WIRE(base_and_overflow),
		OVER_THE_WIRE(wait_has_an_end),
		OVER_THE_WIRE(first_come_first_served),
		OVER_THE_WIRE(place_is_inherited),
		OVER_THE_WIRE(cancelled_waiter_leaves),
		OVER_THE_WIRE(dead_connection_is_replaced),
		OVER_THE_WIRE(fresh_connection_is_not_pinged),
		OVER_THE_WIRE(one_death_makes_suspicious),
		OVER_THE_WIRE(server_restarts),
		OVER_THE_WIRE(old_connections_are_recycled),
		OVER_THE_WIRE(open_transactions_are_thrown_away),
		OVER_THE_WIRE(limit_does_not_stay),
		OVER_THE_WIRE(login_refused),
		OVER_THE_WIRE(helpers),
		OVER_THE_WIRE(stop_waits_for_what_is_out),
		OVER_THE_WIRE(many_threads_and_cuts),
	};

	clock_replace(NULL, moved_ms);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
