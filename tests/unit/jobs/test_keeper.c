/* The keeper: two installations (and a copy of one) before one server, each with folder, pool and journal of its own; what they hold, what
 * they say, and what is left when the server goes away. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sys/stat.h>
#include "common/clock.h"
#include "common/json.h"
#include "common/log.h"
#include "tests/unit/db/sql_world.h"
#include "worker/db/schema.h"
#include "worker/jobs/blocked.h"
#include "worker/jobs/installation.h"
#include "worker/jobs/keeper.h"

#define WAIT_MS 60000
#define STOP_MS 10000

static struct sql_world world;
static struct db *db;
static struct err err = ERR_INIT;

#define OK(call)                                                \
	do {                                                    \
		err_clear(&err);                                \
		if ((call) != 0)                                \
			fail_msg("%s: %s", err.code, err.text); \
	} while (0)
#define FAILS(call, wanted_code)                            \
	do {                                                \
		err_clear(&err);                            \
		assert_int_equal(call, -1);                 \
		assert_string_equal(err.code, wanted_code); \
	} while (0)

/* --- one installation --- */

struct side {
	char state[120], path[160], server[64];
	struct shop_settings shops[2];
	struct settings settings;
	struct journal *journal;
	struct connpool *pool;
	struct keeper *keeper;
};

static struct side a = { .path = "" }, b = { .path = "" };

static void side_folder(struct side *s, const char *name)
{
	snprintf(s->state, sizeof(s->state), "%s/%s", world.folder, name);
	assert_int_equal(mkdir(s->state, 0700), 0);
}

static void side_start(struct side *s, int64_t ttl_s)
{
	struct connpool_config pool = { .db = world.config, .base = 2, .overflow = 2, .pre_ping = true, .recycle_s = 3600, .wait_ms = 10000 };
	struct journal_config journal = { .path = s->path, .boot = "test", .queue_max = 1000 };

	snprintf(s->path, sizeof(s->path), "%s/journal.db", s->state);
	s->shops[0] = (struct shop_settings){ .id = 1 };
	s->shops[1] = (struct shop_settings){ .id = 2 };
	s->settings = (struct settings){ .state_folder = s->state, .lease_ttl_s = ttl_s, .shops = s->shops, .shop_count = 2 };
	s->journal = journal_open(&journal, &err);
	assert_non_null(s->journal);
	s->pool = connpool_new(&pool, &err);
	assert_non_null(s->pool);
	s->keeper = keeper_start(&s->settings, s->pool, s->journal, &err);
	if (!s->keeper)
		fail_msg("%s: %s", err.code, err.text);
}

static void side_stop(struct side *s)
{
	if (s->keeper)
		assert_true(keeper_stop(s->keeper, clock_mono_ms() + STOP_MS));
	if (s->pool)
		OK(connpool_stop(s->pool, clock_mono_ms() + STOP_MS, &err));
	connpool_free(s->pool);
	if (s->journal)
		journal_close(s->journal);
	s->keeper = NULL;
	s->pool = NULL;
	s->journal = NULL;
}

static void side_remove(struct side *s)
{
	static const char *const files[] = { "journal.db", "journal.db-wal", "journal.db-shm", "journal.db.lock", "installation",
		                             "installation.new" };
	char path[200];

	side_stop(s);
	if (!s->state[0])
		return;
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		snprintf(path, sizeof(path), "%s/%s", s->state, files[i]);
		unlink(path);
	}
	rmdir(s->state);
	s->state[0] = '\0';
}

/* --- what it says --- */

/* The lease member as text; what is compared stands in it as `"name":"value"`. */
static bool says(const struct side *s, int64_t shop, const char *what)
{
	struct buf out;
	bool found;

	buf_init(&out, 1 << 16);
	json_object_open(&out, NULL);
	keeper_add(s->keeper, shop, &out);
	json_object_close(&out);
	found = strstr(buf_text(&out), what) != NULL;
	buf_release(&out);
	return found;
}

static void await(const struct side *s, int64_t shop, const char *what)
{
	int64_t until = clock_mono_ms() + WAIT_MS;

	while (!says(s, shop, what)) {
		if (clock_mono_ms() >= until)
			fail_msg("shop %d of %s never says %s", (int)shop, s->state, what);
		world_nap();
	}
}

/* How many alarms of the journal begin like that. */
static int alarms(const struct side *s, const char *begins)
{
	struct event_page page;
	char text[200];
	struct buf out;
	int count = 0;

	buf_init(&out, 1 << 20);
	OK(journal_events(s->journal, 1, 0, "", 1 << 19, &out, &page, &err));
	snprintf(text, sizeof(text), "\"text\":\"%s", begins);
	for (const char *at = buf_text(&out); (at = strstr(at, text)) != NULL; at++)
		count++;
	assert_true(count == 0 || strstr(buf_text(&out), "\"event\":\"alarm\""));
	buf_release(&out);
	return count;
}

static void await_alarm(const struct side *s, const char *begins)
{
	int64_t until = clock_mono_ms() + WAIT_MS;

	while (alarms(s, begins) == 0) {
		if (clock_mono_ms() >= until)
			fail_msg("%s never alarms: %s", s->state, begins);
		world_nap();
	}
}

/* Until the row was renewed that often as seen by s. */
static void await_renewals(const struct side *s, int64_t shop, int times)
{
	char last[64] = "-", now[64];
	int64_t until = clock_mono_ms() + WAIT_MS;

	for (int seen = -1; seen < times;) {
		struct buf out;
		const char *at;

		buf_init(&out, 1 << 16);
		json_object_open(&out, NULL);
		keeper_add(s->keeper, shop, &out);
		json_object_close(&out);
		at = strstr(buf_text(&out), "\"renewed\":");
		snprintf(now, sizeof(now), "%.36s", at ? at : "");
		buf_release(&out);
		seen += strcmp(now, last) != 0;
		snprintf(last, sizeof(last), "%s", now);
		if (clock_mono_ms() >= until)
			fail_msg("shop %d is not renewed", (int)shop);
		world_nap();
	}
}

static const char *name_of(const struct side *s)
{
	static char names[2][LEASE_INSTALLATION_MAX];
	char *name = names[s == &b];
	struct lease_self self;

	OK(installation_read(s->state, &self, &err));
	snprintf(name, LEASE_INSTALLATION_MAX, "%s", self.installation);
	return name;
}

static int clean(void **state)
{
	(void)state;
	side_remove(&a);
	side_remove(&b);
	return !world.there || world_run_sql(db, "DELETE FROM dbo.temu_lease\nDELETE FROM dbo.temu_shop") ? 0 : -1;
}

/* --- the identity --- */

static void write_file(const char *folder, const char *name, const char *text)
{
	char path[200];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	close(fd);
}

static void the_identity_is_made_once(void **state)
{
	struct lease_self first, second;
	struct stat status;
	char path[200];

	(void)state;
	side_folder(&a, "a");
	write_file(a.state, "installation.new", "a start that was killed left this");
	OK(installation_read(a.state, &first, &err));
	assert_int_equal(strspn(first.installation, "0123456789abcdef"), 32);
	assert_int_equal(strlen(first.place), 64);
	assert_true(first.host[0] != '\0');
	snprintf(path, sizeof(path), "%s/installation", a.state);
	assert_int_equal(stat(path, &status), 0);
	assert_int_equal(status.st_mode & 07777, 0600);
	assert_int_equal(status.st_nlink, 1);
	OK(installation_read(a.state, &second, &err));
	assert_memory_equal(&first, &second, sizeof(first));
}

static void a_copied_folder_is_another_place(void **state)
{
	struct lease_self original, copy, other;

	(void)state;
	side_folder(&a, "a");
	side_folder(&b, "b");
	OK(installation_read(a.state, &original, &err));
	write_file(b.state, "installation", original.installation); /* without a line end: somebody edited it */
	OK(installation_read(b.state, &copy, &err));
	assert_string_equal(copy.installation, original.installation);
	assert_string_equal(copy.host, original.host);
	assert_string_not_equal(copy.place, original.place);
	write_file(b.state, "installation", "0123456789abcdef0123456789abcdef\n");
	OK(installation_read(b.state, &other, &err));
	assert_string_equal(other.place, copy.place);
	assert_string_equal(other.installation, "0123456789abcdef0123456789abcdef");
}

static void a_file_that_is_no_identity_is_refused(void **state)
{
	static const char *const wrong[] = { "", "0123456789abcdef", "0123456789ABCDEF0123456789abcdef\n",
		                             "0123456789abcdef0123456789abcdef0\n" };
	struct lease_self self;
	char path[200];

	(void)state;
	side_folder(&a, "a");
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		write_file(a.state, "installation", wrong[i]);
		FAILS(installation_read(a.state, &self, &err), "KEEPER_IDENTITY");
		assert_int_equal(err.class, ERR_PERM);
		assert_non_null(strstr(err.text, "remove this one"));
	}
	snprintf(path, sizeof(path), "%s/none", a.state);
	FAILS(installation_read(path, &self, &err), "KEEPER_IDENTITY");
	a.settings = (struct settings){ .state_folder = path };
	assert_null(keeper_start(&a.settings, NULL, NULL, &err));
	assert_string_equal(err.code, "KEEPER_IDENTITY");
}

/* --- one alone --- */

static void every_shop_is_taken_at_start(void **state)
{
	struct lease_grip grip;

	(void)state;
	if (!world.there)
		skip();
	side_folder(&a, "a");
	side_start(&a, 60);
	await(&a, 1, "\"state\":\"held\"");
	await(&a, 2, "\"state\":\"held\"");
	assert_true(says(&a, 1, name_of(&a)));
	assert_true(says(&a, 1, "\"epoch\":1"));
	assert_true(says(&a, 3, "\"state\":\"unknown\""));
	OK(keeper_grip(a.keeper, db, 2, &grip, &err));
	assert_int_equal(grip.epoch, 1);
	assert_int_equal(grip.shop, 2);
	OK(lease_check(db, &grip, &err));
	FAILS(keeper_grip(a.keeper, db, 3, &grip, &err), "UNKNOWN_SHOP");
	assert_int_equal(alarms(&a, "LEASE_"), 0);
}

static void it_is_renewed(void **state)
{
	struct lease_grip grip;
	struct lease_row row;

	(void)state;
	if (!world.there)
		skip();
	side_folder(&a, "a");
	side_start(&a, 2);
	await(&a, 1, "\"state\":\"held\"");
	await_renewals(&a, 1, 3);
	OK(keeper_grip(a.keeper, db, 1, &grip, &err));
	assert_int_equal(grip.epoch, 1);
	OK(lease_read(db, 1, &row, &err));
	assert_true(row.renewed_ms > row.taken_ms && row.expires_ms > row.now_ms);
}

static void a_graceful_end_lets_it_expire_and_a_start_resumes(void **state)
{
	struct lease_row row;

	(void)state;
	if (!world.there)
		skip();
	side_folder(&a, "a");
	side_start(&a, 60);
	await(&a, 1, "\"state\":\"held\"");
	await(&a, 2, "\"state\":\"held\"");
	side_stop(&a);
	for (int shop = 1; shop <= 2; shop++) {
		OK(lease_read(db, shop, &row, &err));
		assert_true(row.found && row.expires_ms <= row.now_ms);
	}
	assert_true(world_run_sql(db, "UPDATE dbo.temu_lease SET expires_at = '2100-01-01'")); /* as after a kill -9 */
	side_start(&a, 60);
	await(&a, 1, "\"state\":\"held\"");
	assert_true(says(&a, 1, "\"epoch\":2"));
	assert_int_equal(alarms(&a, "LEASE_"), 0);
}

static void a_false_alarm_costs_nothing(void **state)
{
	struct err lost = ERR_INIT, else_wrong = ERR_INIT;
	struct lease_grip grip, again;

	(void)state;
	if (!world.there)
		skip();
	side_folder(&a, "a");
	side_start(&a, 60);
	await(&a, 1, "\"state\":\"held\"");
	OK(keeper_grip(a.keeper, db, 1, &grip, &err));
	err_set(&lost, ERR_HOLD, "LEASE_LOST", "a run of an earlier life says so");
	err_set(&else_wrong, ERR_TEMP, "SQL_1205", "deadlock");
	keeper_lost(a.keeper, 1, &else_wrong);
	keeper_lost(a.keeper, 3, &lost);
	keeper_lost(a.keeper, 1, &lost);
	OK(keeper_grip(a.keeper, db, 1, &again, &err)); /* looked at on our own connection */
	assert_int_equal(again.epoch, grip.epoch);
	assert_int_equal(alarms(&a, "LEASE_"), 0);
	assert_true(says(&a, 1, "\"state\":\"held\""));
}

static void a_lease_that_vanished_is_taken_again(void **state)
{
	struct lease_grip grip;
	struct err lost = ERR_INIT;

	(void)state;
	if (!world.there)
		skip();
	side_folder(&a, "a");
	side_start(&a, 60);
	await(&a, 1, "\"state\":\"held\"");
	OK(keeper_grip(a.keeper, db, 1, &grip, &err));
	assert_true(world_run_sql(db, "DELETE FROM dbo.temu_lease WHERE shop = 1"));
	assert_int_equal(lease_check(db, &grip, &lost), -1);
	keeper_lost(a.keeper, 1, &lost);
	await_alarm(&a, "LEASE_LOST: shop 1");
	OK(keeper_grip(a.keeper, db, 1, &grip, &err));
	OK(lease_check(db, &grip, &err));
	assert_true(says(&a, 1, "\"state\":\"held\""));
}

/* --- two --- */

static void two_start(int64_t ttl_s)
{
	side_folder(&a, "a");
	side_folder(&b, "b");
	side_start(&a, ttl_s);
	await(&a, 1, "\"state\":\"held\"");
	await(&a, 2, "\"state\":\"held\"");
	side_start(&b, ttl_s);
}

static void a_foreign_one_is_refused_and_told_of_once(void **state)
{
	struct lease_grip grip;
	const char *name;

	(void)state;
	if (!world.there)
		skip();
	two_start(2);
	name = name_of(&a);
	await(&b, 1, "\"state\":\"foreign\"");
	await(&b, 2, "\"state\":\"foreign\"");
	assert_true(says(&b, 1, name));
	await_renewals(&b, 1, 3); /* it looks again and again */
	assert_int_equal(alarms(&b, "LEASE_FOREIGN: shop 1"), 1);
	assert_int_equal(alarms(&b, "LEASE_FOREIGN: shop 2"), 1);
	FAILS(keeper_grip(b.keeper, db, 1, &grip, &err), "LEASE_FOREIGN");
	assert_int_equal(err.class, ERR_HOLD);
	assert_non_null(strstr(err.text, name));
	side_stop(&a); /* even then: a human must say so */
	FAILS(keeper_grip(b.keeper, db, 1, &grip, &err), "LEASE_FOREIGN");
	assert_int_equal(alarms(&b, "LEASE_FOREIGN: shop 1"), 1);
}

static int write_shop(struct db *on, void *arg, struct err *why)
{
	(void)arg;
	return db_execute(on, "write", "INSERT INTO dbo.temu_shop (shop) VALUES (1)", NULL, why);
}

static void taken_over_the_old_ones_next_write_fails(void **state)
{
	struct lease_grip old, now;
	struct db_fence fence;

	(void)state;
	if (!world.there)
		skip();
	two_start(2);
	OK(keeper_grip(a.keeper, db, 1, &old, &err));
	await(&b, 1, "\"state\":\"foreign\"");
	FAILS(keeper_take_over(b.keeper, 1, "0123456789abcdef0123456789abcdef", "eve", "", &err), "LEASE_NOT_FOREIGN");
	FAILS(keeper_take_over(a.keeper, 1, name_of(&a), "eve", "", &err), "LEASE_NOT_FOREIGN");
	FAILS(keeper_take_over(b.keeper, 3, name_of(&a), "eve", "", &err), "UNKNOWN_SHOP");
	OK(keeper_take_over(b.keeper, 1, name_of(&a), "anna", "a is being retired", &err));
	await(&b, 1, "\"state\":\"held\"");
	await_alarm(&b, "LEASE_TAKEN: shop 1");
	assert_int_equal(alarms(&b, "LEASE_NOT_TAKEN"), 0);
	OK(keeper_grip(b.keeper, db, 1, &now, &err));
	assert_int_equal(now.epoch, old.epoch + 1);

	fence = lease_fence(&old);
	FAILS(db_transaction(db, &fence, write_shop, NULL, &err), "LEASE_LOST");
	keeper_lost(a.keeper, 1, &err);
	await(&a, 1, "\"state\":\"lost\"");
	await_alarm(&a, "LEASE_LOST: shop 1");
	await_renewals(&a, 1, 2);
	assert_int_equal(alarms(&a, "LEASE_LOST"), 1);
	assert_int_equal(alarms(&a, "LEASE_FOREIGN"), 0); /* the same piece of news */
	FAILS(keeper_grip(a.keeper, db, 1, &old, &err), "LEASE_FOREIGN");
	assert_true(says(&a, 2, "\"state\":\"held\"")); /* the other shop stays where it was */
	fence = lease_fence(&now);
	OK(db_transaction(db, &fence, write_shop, NULL, &err));
}

static void a_loss_is_noticed_without_a_write(void **state)
{
	int64_t epoch;
	static const struct lease_self third = { "cccc", "p", "third" };

	(void)state;
	if (!world.there)
		skip();
	side_folder(&a, "a");
	side_start(&a, 2);
	await(&a, 1, "\"state\":\"held\"");
	OK(lease_take_over(db, 1, &third, name_of(&a), 60, &epoch, NULL, &err));
	await(&a, 1, "\"state\":\"lost\"");
	await_alarm(&a, "LEASE_LOST: shop 1");
	assert_true(says(&a, 1, "\"host\":\"third\""));
}

static void what_changed_meanwhile_is_not_taken_over(void **state)
{
	static const struct lease_self third = { "cccc", "p", "third" };
	int64_t epoch;

	(void)state;
	if (!world.there)
		skip();
	two_start(3600);
	await(&b, 1, "\"state\":\"foreign\"");
	OK(lease_take_over(db, 1, &third, name_of(&a), 60, &epoch, NULL, &err)); /* b does not know yet */
	OK(keeper_take_over(b.keeper, 1, name_of(&a), "anna", "", &err));
	await_alarm(&b, "LEASE_NOT_TAKEN: anna asked");
	assert_true(says(&b, 1, "\"state\":\"foreign\""));
}

static void a_copy_waits_and_is_told_of_when_the_original_lives(void **state)
{
	struct lease_self original;
	struct lease_grip grip, kept;

	(void)state;
	if (!world.there)
		skip();
	side_folder(&a, "a");
	side_folder(&b, "b");
	side_start(&a, 2);
	await(&a, 1, "\"state\":\"held\"");
	OK(keeper_grip(a.keeper, db, 1, &kept, &err));
	OK(installation_read(a.state, &original, &err));
	write_file(b.state, "installation", original.installation);
	side_start(&b, 2);
	await(&b, 1, "\"state\":\"elsewhere\"");
	FAILS(keeper_grip(b.keeper, db, 1, &grip, &err), "LEASE_ELSEWHERE");
	await_alarm(&b, "LEASE_ELSEWHERE: shop 1");
	await_renewals(&b, 1, 2);
	assert_int_equal(alarms(&b, "LEASE_ELSEWHERE: shop 1"), 1);
	OK(lease_check(db, &kept, &err)); /* the original was not harmed */
	assert_int_equal(alarms(&a, "LEASE_"), 0);
	side_stop(&a);
	await(&b, 1, "\"state\":\"held\""); /* a moved folder goes on by itself */
	OK(keeper_grip(b.keeper, db, 1, &grip, &err));
	assert_int_equal(grip.epoch, kept.epoch + 1);
}

static void a_restarted_machine_is_no_news(void **state)
{
	static const struct lease_self before = { "0123456789abcdef0123456789abcdef", "the place before the boot", "wawi" };
	int64_t epoch;

	(void)state;
	if (!world.there)
		skip();
	side_folder(&a, "a");
	write_file(a.state, "installation", before.installation);
	OK(lease_take(db, 1, &before, 2, &epoch, NULL, &err));
	side_start(&a, 2);
	await(&a, 1, "\"state\":\"held\""); /* once it has run out */
	assert_true(says(&a, 1, "\"epoch\":2"));
	assert_int_equal(alarms(&a, "LEASE_"), 0);
}

/* --- why a shop stands still --- */

static bool blocked_says(struct blocked *blocked, int64_t shop, const char *what)
{
	struct buf out;
	bool found;

	buf_init(&out, 1 << 16);
	json_object_open(&out, NULL);
	blocked_add(blocked, shop, &out);
	json_object_close(&out);
	found = strstr(buf_text(&out), what) != NULL;
	buf_release(&out);
	return found;
}

static int64_t now_ms = 1795600000000;

static int64_t told_now(void)
{
	return now_ms;
}

static void blocked_keeps_its_since(void **state)
{
	struct shop_settings shops[2] = { { .id = 1 }, { .id = 5 } };
	struct settings settings = { .shops = shops, .shop_count = 2 };
	struct blocked *blocked = blocked_new(&settings);
	struct err why = ERR_INIT;

	(void)state;
	assert_non_null(blocked);
	clock_replace(told_now, NULL);
	assert_true(blocked_says(blocked, 5, "{\"blocked\":null}"));
	err_set(&why, ERR_HOLD, "OLD_SYSTEM", "first");
	blocked_set(blocked, 5, &why);
	blocked_set(blocked, 6, &why);
	now_ms += 60000;
	err_set(&why, ERR_HOLD, "OLD_SYSTEM", "second");
	blocked_set(blocked, 5, &why);
	assert_true(blocked_says(blocked, 5, "\"code\":\"OLD_SYSTEM\",\"text\":\"second\",\"since\":\"2026-11-25T09:46:40.000Z\""));
	err_set(&why, ERR_HOLD, "LEASE_FOREIGN", "third");
	blocked_set(blocked, 5, &why);
	assert_true(blocked_says(blocked, 5, "\"since\":\"2026-11-25T09:47:40.000Z\""));
	assert_true(blocked_says(blocked, 1, "null"));
	assert_true(blocked_says(blocked, 6, "null"));
	blocked_set(blocked, 5, NULL);
	assert_true(blocked_says(blocked, 5, "null"));
	clock_replace(NULL, NULL);
	blocked_free(blocked);
	blocked_free(NULL);
}

/* --- the server goes away; last, since it stays away --- */

static int64_t not_reached(const struct side *s)
{
	struct connpool_stats stats;

	connpool_stats(s->pool, &stats);
	return stats.open_failed + stats.discarded;
}

static void cut_off_it_stays_held_and_ends_in_time(void **state)
{
	int64_t until = clock_mono_ms() + WAIT_MS, begun;
	int64_t before;

	(void)state;
	if (!world.there || world.external)
		skip();
	side_folder(&a, "a");
	side_folder(&b, "b");
	side_start(&a, 2);
	await(&a, 1, "\"state\":\"held\"");
	before = not_reached(&a);
	world_end(&world.server);
	while (not_reached(&a) < before + 4) {
		if (clock_mono_ms() >= until)
			fail_msg("the cut is not noticed");
		world_nap();
	}
	assert_true(says(&a, 1, "\"state\":\"held\"")); /* nobody else can have it as far as anybody knows */
	side_start(&b, 2);
	while (not_reached(&b) < 2) {
		if (clock_mono_ms() >= until)
			fail_msg("b reaches something");
		world_nap();
	}
	assert_true(says(&b, 1, "{\"lease\":{\"state\":\"unknown\",\"installation\":null"));
	begun = clock_mono_ms();
	assert_true(keeper_stop(a.keeper, begun + STOP_MS));
	a.keeper = NULL;
	assert_true(keeper_stop(b.keeper, begun + STOP_MS));
	b.keeper = NULL;
	assert_true(clock_mono_ms() - begun < STOP_MS);
	assert_true(keeper_stop(NULL, 0));
	world.there = false;
}

/* It accepts connections into its backlog and says nothing. */
static int listen_mutely(int *port)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(address);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, len), 0);
	assert_int_equal(listen(fd, 8), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &len), 0);
	*port = ntohs(address.sin_port);
	return fd;
}

static bool somebody_knocks(int fd)
{
	struct pollfd poller = { .fd = fd, .events = POLLIN };

	return poll(&poller, 1, WAIT_MS) == 1;
}

/* The thread outlives the test: what it uses stays. */
static void a_login_that_hangs_does_not_hold_up_the_end(void **state)
{
	static struct side mute;
	static struct keeper *left;
	static char server[40];
	int64_t begun;
	int fd, port;

	(void)state;
	fd = listen_mutely(&port);
	side_folder(&mute, "mute");
	snprintf(server, sizeof(server), "127.0.0.1:%d", port);
	world.config.server = server;
	OK(db_setup(&world.config, &err));
	side_start(&mute, 60);
	left = mute.keeper;
	assert_true(somebody_knocks(fd));
	begun = clock_mono_ms();
	assert_false(keeper_stop(left, begun + 200));
	assert_in_range(clock_mono_ms() - begun, 150, 5000);
	close(fd);
	mute.keeper = NULL;
	world.config.server = world.address;
	snprintf(b.state, sizeof(b.state), "%s", mute.state); /* its files only */
}

/* An alarm that is being stored keeps the end waiting: the journal is closed next. */
static struct {
	_Atomic bool inside, released;
	int64_t until_ms;
} hold;

static void hold_writer(void *arg)
{
	(void)arg;
	hold.inside = true;
	while (!hold.released)
		world_nap();
}

static void *release_later(void *arg)
{
	(void)arg;
	while (clock_mono_ms() < hold.until_ms)
		world_nap();
	hold.released = true;
	return NULL;
}

static void the_journal_is_left_alone_after_the_end(void **state)
{
	static void *volatile left[2];
	pthread_t thread;
	bool ended;

	(void)state;
	if (!world.there)
		skip();
	two_start(2);
	await(&b, 1, "\"state\":\"foreign\"");
	journal_alarm_listen(a.journal, hold_writer, NULL);
	OK(keeper_take_over(b.keeper, 1, name_of(&a), "me", "test", &err));
	for (int64_t until = clock_mono_ms() + WAIT_MS; !hold.inside; world_nap())
		if (clock_mono_ms() >= until)
			fail_msg("no alarm of the loss");
	hold.until_ms = clock_mono_ms() + 400;
	assert_int_equal(pthread_create(&thread, NULL, release_later, NULL), 0);
	ended = keeper_stop(a.keeper, clock_mono_ms() + 50);
	assert_true(hold.released);
	pthread_join(thread, NULL);
	if (!ended) { /* it goes on to its end by itself, with what it uses */
		left[0] = a.keeper;
		left[1] = a.pool;
		a.pool = NULL;
	}
	a.keeper = NULL;
	assert_int_equal(alarms(&a, "LEASE_LOST: "), 1);
	assert_true(ended || (left[0] && left[1]));
}

/* --- */

static int start(void **state)
{
	struct schema_list list = schema_own();

	(void)state;
	log_init("test", getenv("TEMU_TEST_VERBOSE") ? LEVEL_DEBUG : LEVEL_ERROR, LOG_TEXT);
	if (sql_world_start(&world, 1, "Latin1_General_CI_AS", NULL) != 0)
		return -1;
	if (!world.there)
		return 0;
	db = sql_world_open(&world, world.own);
	return db && schema_apply(db, &list, &err) == 0 ? 0 : -1;
}

static int stop(void **state)
{
	(void)state;
	db_close(db);
	sql_world_stop(&world);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(the_identity_is_made_once, clean),
		cmocka_unit_test_teardown(a_copied_folder_is_another_place, clean),
		cmocka_unit_test_teardown(a_file_that_is_no_identity_is_refused, clean),
		cmocka_unit_test_teardown(every_shop_is_taken_at_start, clean),
		cmocka_unit_test_teardown(it_is_renewed, clean),
		cmocka_unit_test_teardown(a_graceful_end_lets_it_expire_and_a_start_resumes, clean),
		cmocka_unit_test_teardown(a_false_alarm_costs_nothing, clean),
		cmocka_unit_test_teardown(a_lease_that_vanished_is_taken_again, clean),
		cmocka_unit_test_teardown(a_foreign_one_is_refused_and_told_of_once, clean),
		cmocka_unit_test_teardown(taken_over_the_old_ones_next_write_fails, clean),
		cmocka_unit_test_teardown(a_loss_is_noticed_without_a_write, clean),
		cmocka_unit_test_teardown(what_changed_meanwhile_is_not_taken_over, clean),
		cmocka_unit_test_teardown(a_copy_waits_and_is_told_of_when_the_original_lives, clean),
		cmocka_unit_test_teardown(a_restarted_machine_is_no_news, clean),
		cmocka_unit_test_teardown(the_journal_is_left_alone_after_the_end, clean),
		cmocka_unit_test_teardown(blocked_keeps_its_since, clean),
		cmocka_unit_test_teardown(cut_off_it_stays_held_and_ends_in_time, clean),
		cmocka_unit_test_teardown(a_login_that_hangs_does_not_hold_up_the_end, clean),
	};

	return cmocka_run_group_tests(tests, start, stop);
}
