/* Tests of worker/store: opening, refusing, closing, the queue, groups, the heartbeat, health. */
#include "journal_fixture.h"

#include <fcntl.h>
#include <sqlite3.h>
#include <stdatomic.h>
#include <sys/stat.h>
#include <sys/wait.h>

static void
sql(const char *text)
{
	sqlite3 *db;

	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, text, NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(db);
}

static int64_t
sql_int(const char *text)
{
	sqlite3 *db;
	sqlite3_stmt *statement;

	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_prepare_v2(db, text, -1, &statement, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_step(statement), SQLITE_ROW);
	int64_t value = sqlite3_column_int64(statement, 0);
	sqlite3_finalize(statement);
	sqlite3_close(db);
	return value;
}

static void
put_file(const char *name, const char *bytes, size_t len, off_t at)
{
	int fd = open(name, O_RDWR | O_CREAT, 0600);

	assert_true(fd >= 0);
	assert_int_equal(pwrite(fd, bytes, len, at), (ssize_t)len);
	close(fd);
}

static void
created_private_with_an_identity_that_stays(void **state)
{
	char identity[JOURNAL_ID_MAX], name[300];
	struct stat info;
	struct journal *journal;

	(void)state;
	umask(0);
	journal = open_with(NULL, 100);
	snprintf(identity, sizeof(identity), "%s", journal_identity(journal));
	assert_int_equal(strlen(identity), 32);
	assert_int_equal(journal_last(journal), 0);
	say(journal, "", "one");
	journal_flush(journal);
	const char *const ends[] = { "", "-wal", "-shm", ".lock" };
	for (int i = 0; i < 4; i++) {
		snprintf(name, sizeof(name), "%s%s", path, ends[i]);
		assert_int_equal(stat(name, &info), 0);
		assert_int_equal(info.st_mode & 0777, 0600);
	}
	journal_close(journal);
	snprintf(name, sizeof(name), "%s-wal", path);
	assert_int_equal(access(name, F_OK), -1); /* a clean end leaves none */

	journal = open_with(NULL, 100);
	assert_string_equal(journal_identity(journal), identity);
	assert_int_equal(journal_last(journal), 1);
	journal_close(journal);
	assert_int_equal(sql_int("PRAGMA user_version"), 1);
	assert_int_equal(sql_int("PRAGMA auto_vacuum"), 2);
}

static void
newer_schema_refused_with_both_versions(void **state)
{
	(void)state;
	journal_close(open_with(NULL, 100));
	sql("PRAGMA user_version=7");
	struct err err = open_refused();
	assert_string_equal(err.code, "JOURNAL_SCHEMA");
	assert_int_equal(err.class, ERR_PERM);
	assert_non_null(strstr(err.text, "version 7"));
	assert_non_null(strstr(err.text, "up to 1"));
	assert_non_null(strstr(err.text, path));
	sql("PRAGMA user_version=1");
	journal_close(open_with(NULL, 100));
}

static void
another_programs_database_refused(void **state)
{
	(void)state;
	sql("CREATE TABLE mine(a); PRAGMA user_version=1");
	struct err err = open_refused();
	assert_string_equal(err.code, "JOURNAL_DAMAGED");
	assert_non_null(strstr(err.text, "another program"));
	assert_int_equal(sql_int("SELECT count(*) FROM sqlite_schema"), 1);
}

static void
half_created_file_is_finished(void **state)
{
	(void)state;
	put_file(path, "", 0, 0);
	journal_close(open_with(NULL, 100));
	unlink(path);
	sql("PRAGMA journal_mode=WAL"); /* killed between the header and the schema */
	struct journal *journal = open_with(NULL, 100);
	assert_int_equal(strlen(journal_identity(journal)), 32);
	journal_close(journal);
}

static void
no_database_refused_and_kept(void **state)
{
	char text[20] = "";

	(void)state;
	put_file(path, "these are my notes", 18, 0);
	struct err err = open_refused();
	assert_string_equal(err.code, "JOURNAL_DAMAGED");
	assert_non_null(strstr(err.text, path));
	assert_non_null(strstr(err.text, "back-up"));
	int fd = open(path, O_RDONLY);
	assert_int_equal(read(fd, text, sizeof(text)), 18);
	close(fd);
	assert_string_equal(text, "these are my notes");
}

static void
lost_database_with_a_wal_file_refused(void **state)
{
	char wal[300];

	(void)state;
	snprintf(wal, sizeof(wal), "%s-wal", path);
	put_file(wal, "x", 1, 0);
	struct err err = open_refused();
	assert_string_equal(err.code, "JOURNAL_DAMAGED");
	assert_int_equal(access(wal, F_OK), 0);
	assert_int_equal(access(path, F_OK), -1);
}

/* A page overwritten while the program was down after a kill: refused, and again at the next try. */
static void
damage_found_after_an_unclean_end(void **state)
{
	char wal[300], junk[4096];
	struct journal *journal = open_with(NULL, 10000);

	(void)state;
	for (int i = 0; i < 2000; i++)
		say(journal, "sync.1.000000000001", "a line of ordinary length that fills pages");
	journal_close(journal);
	memset(junk, 0xA5, sizeof(junk));
	put_file(path, junk, sizeof(junk), 20 * 4096);
	snprintf(wal, sizeof(wal), "%s-wal", path);
	put_file(wal, "", 0, 0);
	for (int i = 0; i < 2; i++) {
		struct err err = open_refused();
		assert_string_equal(err.code, "JOURNAL_DAMAGED");
		assert_int_equal(err.class, ERR_PERM);
		assert_non_null(strstr(err.text, path));
	}
}

static void
marks_below_the_rows_refused(void **state)
{
	struct journal *journal = open_with(NULL, 100);

	(void)state;
	say(journal, "", "one");
	journal_close(journal);
	sql("UPDATE marks SET value = 0 WHERE name = 'seq'");
	assert_string_equal(open_refused().code, "JOURNAL_DAMAGED");
}

static void
number_stays_used_when_its_row_is_gone(void **state)
{
	struct journal *journal = open_with(NULL, 100);
	struct run_record run = add_run(journal, "sync", 1);

	(void)state;
	run_record_release(&run);
	say(journal, "", "one");
	journal_close(journal);
	sql("DELETE FROM events; DELETE FROM runs");
	journal = open_with(NULL, 100);
	assert_int_equal(journal_last(journal), 2);
	run = add_run(journal, "sync", 1);
	assert_string_equal(run.id, "sync.1.000000000002");
	run_record_release(&run);
	struct event_page page;
	struct json *list = read_events(journal, 1, 0, "", 100000, &page);
	assert_int_equal(page.count, 1);
	assert_int_equal(json_get_int64(json_first(list), "seq", 0), 3);
	json_free(list);
	journal_close(journal);
}

static void
paths_that_cannot_be(void **state)
{
	char kept[256];

	(void)state;
	snprintf(kept, sizeof(kept), "%s", path);
	snprintf(path, sizeof(path), "%s/no/journal.db", folder);
	struct err err = open_refused();
	assert_string_equal(err.code, "JOURNAL_PATH");
	assert_non_null(strstr(err.text, "No such file"));
	snprintf(path, sizeof(path), "%s", kept);
	assert_int_equal(mkdir(path, 0700), 0);
	err = open_refused();
	assert_string_equal(err.code, "JOURNAL_PATH");
	assert_int_equal(rmdir(path), 0);
	assert_int_equal(symlink("elsewhere", path), 0);
	assert_string_equal(open_refused().code, "JOURNAL_PATH");
}

static void
second_process_refused(void **state)
{
	int status;

	(void)state;
	pid_t child;
	int ready[2], stop[2];
	char byte;
	assert_int_equal(pipe(ready), 0);
	assert_int_equal(pipe(stop), 0);
	child = fork();
	if (child == 0) {
		close(stop[1]);
		struct journal *journal = open_with(NULL, 100);
		if (write(ready[1], "r", 1) != 1 || read(stop[0], &byte, 1) != 0)
			_exit(1);
		journal_close(journal);
		_exit(0);
	}
	close(stop[0]);
	assert_int_equal(read(ready[0], &byte, 1), 1);
	struct err err = open_refused();
	assert_string_equal(err.code, "JOURNAL_IN_USE");
	assert_int_equal(err.class, ERR_PERM);
	assert_non_null(strstr(err.text, path));
	close(stop[1]);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	close(ready[0]);
	close(ready[1]);
	struct journal *journal = open_with(NULL, 100);
	assert_string_equal(open_refused().code, "JOURNAL_IN_USE"); /* nor twice in one */
	journal_close(journal);
}

static void
heartbeat_every_second(void **state)
{
	struct collector *collector = collector_new();
	struct journal *journal = open_with(collector, 100);
	int64_t began = clock_mono_ms();

	(void)state;
	say(journal, "", "one");
	await_count(collector, &collector->beats, 2);
	assert_in_range(clock_mono_ms() - began, 1900, 20000);
	assert_int_equal(collector->last, 1);
	journal_close(journal);
	assert_string_equal(collector->wrong, "");
	collector_free(collector);
}

/* The first line is committed alone; what queues while the subscriber is busy comes as one group, in order. */
static void
group_commit_in_order(void **state)
{
	struct collector *collector = collector_new();
	struct journal *journal = open_with(collector, 1000);
	char text[20];

	(void)state;
	collector_shut(collector, true);
	say(journal, "", "0");
	await_count(collector, &collector->begun, 1); /* committed; the writer sits in publish now */
	assert_int_equal(journal_last(journal), 1);
	for (int i = 1; i <= 500; i++) {
		snprintf(text, sizeof(text), "%d", i);
		say(journal, "", text);
	}
	collector_shut(collector, false);
	journal_flush(journal);
	assert_int_equal(journal_last(journal), 501);
	await_count(collector, &collector->events, 501);
	assert_int_equal(collector->groups, 2);
	struct event_page page;
	struct json *list = read_events(journal, 1, 0, "", 1000000, &page);
	int at = 0;
	for (const struct json *event = json_first(list); event; event = json_next(event), at++) {
		snprintf(text, sizeof(text), "%d", at);
		assert_string_equal(json_get_string(event, "text", ""), text);
		assert_int_equal(json_get_int64(event, "seq", 0), at + 1);
	}
	json_free(list);
	journal_close(journal);
	assert_string_equal(collector->wrong, "");
	collector_free(collector);
}

/* A group larger than one message is published in pieces, each small enough and without a hole. */
static void
large_group_published_in_pieces(void **state)
{
	struct collector *collector = collector_new();
	struct journal *journal = open_with(collector, 1000);
	char text[LOG_TEXT_MAX + 1];

	(void)state;
	memset(text, '"', LOG_TEXT_MAX);
	text[LOG_TEXT_MAX] = '\0';
	collector_shut(collector, true);
	say(journal, "", "first");
	await_count(collector, &collector->begun, 1);
	for (int i = 0; i < 300; i++)
		say(journal, "", text);
	collector_shut(collector, false);
	journal_flush(journal);
	await_count(collector, &collector->events, 301);
	assert_in_range(collector->groups, 1 + 300 * 4000 / JOURNAL_PUBLISH_MAX, 20);
	journal_close(journal);
	assert_string_equal(collector->wrong, "");
	collector_free(collector);
}

struct talker {
	struct journal *journal;
	int lines;
	_Atomic int done;
};

static void *
talk(void *arg)
{
	struct talker *talker = arg;
	char text[20];

	for (int i = 1; i <= talker->lines; i++) {
		snprintf(text, sizeof(text), "%d", i);
		say(talker->journal, "", text);
		atomic_store(&talker->done, i);
	}
	return NULL;
}

static void
full_queue_blocks_and_loses_nothing(void **state)
{
	struct collector *collector = collector_new();
	struct journal *journal = open_with(collector, 4);
	struct talker talker = { .journal = journal, .lines = 50 };
	struct timespec soon;
	pthread_t thread;

	(void)state;
	collector_shut(collector, true);
	say(journal, "", "0");
	await_count(collector, &collector->begun, 1);
	pthread_create(&thread, NULL, talk, &talker);
	clock_gettime(CLOCK_REALTIME, &soon);
	soon.tv_nsec += 300000000;
	if (soon.tv_nsec >= 1000000000) {
		soon.tv_sec++;
		soon.tv_nsec -= 1000000000;
	}
	assert_int_equal(pthread_timedjoin_np(thread, NULL, &soon), ETIMEDOUT);
	assert_true(atomic_load(&talker.done) <= 4);
	collector_shut(collector, false);
	pthread_join(thread, NULL);
	journal_flush(journal);
	assert_int_equal(journal_last(journal), 51);
	journal_close(journal);
	assert_int_equal(collector->events, 51);
	assert_string_equal(collector->wrong, "");
	collector_free(collector);
}

/* A lone line does not wait for company longer than the window; nobody flushes here. */
static void
lone_line_comes_by_itself(void **state)
{
	struct collector *collector = collector_new();
	struct journal *journal = open_with(collector, 100);

	(void)state;
	say(journal, "", "alone");
	await_count(collector, &collector->events, 1);
	assert_int_equal(collector->beats, 0);
	journal_close(journal);
	collector_free(collector);
}

/* Whatever bytes a line holds: it can be stored, so that it does not stand in the way of those behind it. */
static void
any_bytes_are_stored(void **state)
{
	static const char *const texts[] = { "", "\xFF\xFE", "\xED\xA0\x80", "a\xC3", "\x01\x1F\x7F\n\t", "\"\\", "{}" };
	struct collector *collector = collector_new();
	struct journal *journal = open_with(collector, 100);
	struct event_page page;
	struct err err = ERR_INIT;

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		say(journal, texts[i], texts[i]);
	journal_flush(journal);
	assert_int_equal(journal_healthy(journal, &err), 0);
	json_free(read_events(journal, 1, 0, "", 100000, &page));
	assert_int_equal(page.count, 7);
	journal_close(journal);
	assert_int_equal(collector->events, 7);
	assert_string_equal(collector->wrong, "");
	collector_free(collector);
}

static void
close_writes_what_waits(void **state)
{
	struct journal *journal = open_with(NULL, 10000);

	(void)state;
	for (int i = 0; i < 5000; i++)
		say(journal, "", "x");
	journal_close(journal);
	journal = open_with(NULL, 100);
	assert_int_equal(journal_last(journal), 5000);
	journal_close(journal);
	journal_close(NULL);
}

static void
free_floor_stops_new_work(void **state)
{
	struct journal_config config = { .path = path, .boot = "b", .queue_max = 10, .free_floor_bytes = INT64_MAX };
	struct err err = ERR_INIT;
	struct journal *journal = journal_open(&config, &err);

	(void)state;
	assert_non_null(journal);
	assert_int_equal(journal_healthy(journal, &err), -1);
	assert_int_equal(err.class, ERR_TEMP);
	assert_string_equal(err.code, "JOURNAL_DISK");
	journal_close(journal);
	journal = open_with(NULL, 10);
	assert_int_equal(journal_healthy(journal, &err), 0);
	journal_close(journal);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make_folder, remove_folder)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(created_private_with_an_identity_that_stays),
		TEST(newer_schema_refused_with_both_versions),
		TEST(another_programs_database_refused),
		TEST(half_created_file_is_finished),
		TEST(no_database_refused_and_kept),
		TEST(lost_database_with_a_wal_file_refused),
		TEST(damage_found_after_an_unclean_end),
		TEST(marks_below_the_rows_refused),
		TEST(number_stays_used_when_its_row_is_gone),
		TEST(paths_that_cannot_be),
		TEST(second_process_refused),
		TEST(heartbeat_every_second),
		TEST(group_commit_in_order),
		TEST(large_group_published_in_pieces),
		TEST(full_queue_blocks_and_loses_nothing),
		TEST(lone_line_comes_by_itself),
		TEST(any_bytes_are_stored),
		TEST(close_writes_what_waits),
		TEST(free_floor_stops_new_work),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
