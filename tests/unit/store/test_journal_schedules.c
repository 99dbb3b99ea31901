/* Tests of worker/store: the rows of schedules are written whole and read again by the next life, with an audit event where there is one. */
#include "journal_fixture.h"

#include "worker/store/journal_schedules.h"

static struct schedule_record
make(const char *name)
{
	struct schedule_record record = { .paused = -1, .next_ms = 1, .last_ms = 2, .fired_ms = 3, .fires = 4, .refused = 5, .late_ms = 6,
		                          .late_max_ms = 7, .missed = 8, .missed_first_ms = 9, .missed_last_ms = INT64_MAX, .changed_ms = 10 };

	snprintf(record.name, sizeof(record.name), "%s", name);
	snprintf(record.when, sizeof(record.when), "every 5m");
	snprintf(record.who, sizeof(record.who), "some\xC3\xB6ne");
	snprintf(record.next_of, sizeof(record.next_of), "every 5m Europe/Berlin");
	snprintf(record.run, sizeof(record.run), "sync.1.000000000001");
	snprintf(record.refusal, sizeof(record.refusal), "ALREADY_RUNNING");
	return record;
}

struct rows {
	struct schedule_record records[10];
	size_t count, limit;
};

static bool
take(const struct schedule_record *record, void *arg)
{
	struct rows *rows = arg;

	rows->records[rows->count++] = *record;
	return rows->count < rows->limit;
}

static struct rows
list(struct journal *journal, size_t limit)
{
	struct rows rows = { .limit = limit };
	struct err err = ERR_INIT;

	if (journal_schedule_list(journal, take, &rows, &err) != 0)
		fail_msg("%s", err.text);
	return rows;
}

static void
put(struct journal *journal, const struct schedule_record *record, const char *note)
{
	struct err err = ERR_INIT;

	if (journal_schedule_put(journal, record, note, &err) != 0)
		fail_msg("%s", err.text);
}

static void
rows_outlive_the_process(void **state)
{
	struct journal *journal = open_with(NULL, 100);
	struct schedule_record b = make("b"), a = make("a");
	struct err err = ERR_INIT;

	(void)state;
	assert_int_equal(list(journal, 10).count, 0);
	put(journal, &b, NULL);
	a.paused = 1;
	put(journal, &a, NULL);
	for (int life = 0; life < 2; life++) {
		struct rows rows = list(journal, 10);
		assert_int_equal(rows.count, 2);
		assert_memory_equal(&rows.records[0], &a, sizeof(a));
		assert_memory_equal(&rows.records[1], &b, sizeof(b));
		assert_int_equal(list(journal, 1).count, 1);
		journal_close(journal);
		journal = open_with(NULL, 100);
	}
	b = (struct schedule_record){ .name = "b" }; /* whole: nothing of before is left */
	put(journal, &b, NULL);
	struct rows rows = list(journal, 10);
	assert_memory_equal(&rows.records[1], &b, sizeof(b));
	assert_int_equal(journal_schedule_remove(journal, "a", &err), 0);
	assert_int_equal(journal_schedule_remove(journal, "nobody", &err), 0);
	rows = list(journal, 10);
	assert_int_equal(rows.count, 1);
	assert_string_equal(rows.records[0].name, "b");
	assert_int_equal(journal_last(journal), 0); /* no event was asked for */
	journal_close(journal);
}

static void
a_note_becomes_an_event(void **state)
{
	struct journal *journal = open_with(NULL, 100);
	struct schedule_record record = make("a");
	struct event_page page;

	(void)state;
	put(journal, &record, "schedule a: paused (somebody)");
	assert_int_equal(journal_last(journal), 1);
	struct json *events = read_events(journal, 1, 0, "", 10000, &page);
	const struct json *event = json_first(events);
	assert_string_equal(json_get_string(event, "event", ""), "log");
	assert_string_equal(json_get_string(event, "level", ""), "WARNING");
	assert_string_equal(json_get_string(event, "text", ""), "schedule a: paused (somebody)");
	json_free(events);
	journal_close(journal);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(rows_outlive_the_process, make_folder, remove_folder),
		cmocka_unit_test_setup_teardown(a_note_becomes_an_event, make_folder, remove_folder),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
