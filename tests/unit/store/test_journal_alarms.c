/* Tests of worker/store: alarms by cause: opened and counted with their event, ended with the run's move or by whoever looks, handled by
 * hand, and the rows of who was told; all of it whole or not at all, and still there after a new start. */
#include "journal_fixture.h"

#include <signal.h>
#include <sys/wait.h>

struct list {
	int count;
	struct alarm_state states[20];
	char texts[20][200], whos[20][ALARM_WHO_MAX], reasons[20][200];
	struct alarm_call calls[20];
};
static struct list list;

static bool
take(const struct alarm_state *state, void *arg)
{
	struct list *all = arg;
	int at = all->count++;

	assert_in_range(at, 0, 19);
	all->states[at] = *state;
	snprintf(all->texts[at], sizeof(all->texts[at]), "%s %s %s: %s", state->code, state->job, state->run, state->text);
	snprintf(all->whos[at], sizeof(all->whos[at]), "%s", state->acked_by);
	snprintf(all->reasons[at], sizeof(all->reasons[at]), "%s", state->resolved_text);
	if (state->call_count > 0)
		all->calls[at] = state->calls[0];
	return true;
}

/* The alarms: the open ones, and those resolved after a moment. */
static int
read_alarms(struct journal *journal, int64_t resolved_ms)
{
	struct alarm_filter filter = { .resolved_ms = resolved_ms };
	struct err err = ERR_INIT;

	memset(&list, 0, sizeof(list));
	if (journal_alarm_list(journal, &filter, take, &list, &err) != 0)
		fail_msg("%s", err.text);
	return list.count;
}

static int
ring(struct journal *journal, int64_t shop, const char *run, const char *code, const char *text)
{
	struct alarm_record alarm = { .shop = shop, .run = run, .job = "sync", .step = "push", .code = code, .text = text };
	struct err err = ERR_INIT;
	int status = journal_alarm(journal, &alarm, &err);

	if (status < 0)
		fail_msg("%s", err.text);
	return status;
}

static int
count_kind(struct journal *journal, const char *kind, const char *words)
{
	struct event_page page;
	struct json *events = read_events(journal, 1, 0, "", 32 << 20, &page);
	int count = 0;

	for (const struct json *event = json_first(events); event; event = json_next(event))
		count += strcmp(json_get_string(event, "event", ""), kind) == 0 && strstr(json_get_string(event, "text", ""), words) != NULL;
	json_free(events);
	return count;
}

static void
a_cause_opens_counts_and_opens_anew(void **state)
{
	struct journal *journal = open_with(NULL, 100);
	struct run_record one = add_run(journal, "sync", 1), two = add_run(journal, "sync", 1);
	struct err err = ERR_INIT;

	(void)state;
	assert_int_equal(ring(journal, 1, one.id, "GUARD_ZEROS", "first"), 0);
	assert_int_equal(ring(journal, 1, one.id, "GUARD_ZEROS", "the same run again"), 1);
	assert_int_equal(ring(journal, 1, two.id, "GUARD_ZEROS", "second"), 0);
	assert_int_equal(ring(journal, 2, NULL, "GUARD_ZEROS", "another shop"), 0);
	assert_int_equal(ring(journal, 1, NULL, "GUARD_RAISE", "another code"), 0);
	assert_int_equal(read_alarms(journal, INT64_MAX), 3);
	assert_string_equal(list.texts[0], "GUARD_ZEROS sync sync.1.000000000002: second");
	assert_int_equal(list.states[0].count, 2);
	assert_int_equal(list.states[0].open_seq, 3);
	assert_int_equal(list.states[0].seq, 4);
	assert_int_equal(journal_alarm_ack(journal, 1, false, "me", "", &err), 1);
	assert_int_equal(journal_alarm_snooze(journal, 1, INT64_C(4102444800000), "me", "", &err), 1);
	assert_int_equal(journal_alarm_resolve(journal, 1, "mended", &err), 1);
	assert_int_equal(journal_alarm_resolve(journal, 1, "mended", &err), 0);
	assert_int_equal(journal_alarm_resolve(journal, 77, "mended", &err), 0);
	assert_int_equal(read_alarms(journal, INT64_MAX), 2);
	assert_int_equal(read_alarms(journal, 0), 3);
	assert_string_equal(list.reasons[0], "mended");
	assert_string_equal(list.whos[0], "me");
	assert_int_equal(count_kind(journal, "resolved", "GUARD_ZEROS: over after 0 min: mended"), 1);
	journal_close(journal);

	journal = open_with(NULL, 100);
	assert_int_equal(read_alarms(journal, 0), 3);
	assert_int_equal(ring(journal, 1, NULL, "GUARD_ZEROS", "once more"), 0);
	assert_int_equal(read_alarms(journal, INT64_MAX), 3);
	assert_int_equal(list.states[0].id, 1);
	assert_int_equal(list.states[0].count, 1);
	assert_int_equal(list.states[0].seq, list.states[0].open_seq);
	assert_int_equal(list.states[0].acked_ms, 0);
	assert_true(list.states[0].snoozed_ms > 0); /* quiet was asked for until then */
	journal_close(journal);
	run_record_release(&one);
	run_record_release(&two);
}

static bool
ends_guards(const char *code, bool same_run)
{
	return !same_run && strncmp(code, "GUARD_", 6) == 0;
}

static int
end_run(struct journal *journal, struct run_record *run, enum run_state to, const struct alarm_end *end)
{
	struct err err = ERR_INIT;
	enum run_state from = run->state;

	run->state = to;
	return journal_run_end(journal, run, from, "the end", end, &err);
}

static void
the_end_of_a_run_opens_and_ends(void **state)
{
	struct journal *journal = open_with(NULL, 100);
	struct run_record bad = add_run(journal, "sync", 1), good = add_run(journal, "sync", 1), said = add_run(journal, "sync", 1);
	struct alarm_record failed = { .shop = 1, .run = bad.id, .job = "sync", .code = "JOB_FAILED", .text = "never (X)" };
	struct alarm_end opens = { .open = &failed }, ends = { .ends = ends_guards, .text = "run x succeeded" };

	(void)state;
	ring(journal, 1, bad.id, "GUARD_ZEROS", "first");
	ring(journal, 1, good.id, "GUARD_RAISE", "of the run itself");
	ring(journal, 2, NULL, "GUARD_ZEROS", "another shop");
	move_run(journal, &bad, RUN_RUNNING, "");
	snprintf(bad.error_code, sizeof(bad.error_code), "X");
	assert_int_equal(end_run(journal, &bad, RUN_FAILED, &opens), 0);
	assert_int_equal(read_alarms(journal, INT64_MAX), 4);
	assert_string_equal(list.texts[3], "JOB_FAILED sync sync.1.000000000001: never (X)");
	move_run(journal, &good, RUN_RUNNING, "");
	assert_int_equal(end_run(journal, &good, RUN_SUCCESS, &ends), 0);
	assert_int_equal(read_alarms(journal, INT64_MAX), 3);
	assert_string_equal(list.texts[0], "GUARD_RAISE sync sync.1.000000000002: of the run itself");
	move_run(journal, &said, RUN_RUNNING, "");
	ring(journal, 1, said.id, "GUARD_ZEROS", "said it");
	snprintf(said.error_code, sizeof(said.error_code), "GUARD_ZEROS");
	failed.run = said.id;
	assert_int_equal(end_run(journal, &said, RUN_FAILED, &opens), 0); /* has its alarm already */
	assert_int_equal(read_alarms(journal, INT64_MAX), 4);
	assert_int_equal(list.states[3].count, 1);
	assert_int_equal(count_kind(journal, "alarm", "JOB_FAILED"), 1);
	said.state = RUN_RUNNING; /* a move that is refused opens nothing */
	snprintf(said.error_code, sizeof(said.error_code), "X");
	assert_int_equal(end_run(journal, &said, RUN_FAILED, &opens), -1);
	assert_int_equal(count_kind(journal, "alarm", "JOB_FAILED"), 1);
	journal_close(journal);
	run_record_release(&bad);
	run_record_release(&good);
	run_record_release(&said);
}

static void
hands_leave_their_names(void **state)
{
	struct journal *journal = open_with(NULL, 100);
	struct err err = ERR_INIT;

	(void)state;
	ring(journal, 1, NULL, "GUARD_ZEROS", "first");
	ring(journal, 1, NULL, "LEASE_TAKEN", "second");
	assert_int_equal(journal_alarm_ack(journal, 1, false, "me", "I see to it", &err), 1);
	assert_int_equal(journal_alarm_snooze(journal, 1, 1764047160000, "you", NULL, &err), 1);
	assert_int_equal(journal_alarm_snooze(journal, 1, 0, "", "", &err), 1);
	assert_int_equal(journal_alarm_ack(journal, 2, true, NULL, NULL, &err), 1);
	assert_int_equal(journal_alarm_ack(journal, 2, true, "me", "", &err), 0);
	assert_int_equal(journal_alarm_ack(journal, 3, false, "me", "", &err), 0);
	assert_int_equal(journal_alarm_snooze(journal, -1, 5, "me", "", &err), 0);
	assert_int_equal(count_kind(journal, "log", "alarm 1 (GUARD_ZEROS, said 1 times) is acknowledged by me: I see to it"), 1);
	assert_int_equal(count_kind(journal, "log", "is snoozed until 2025-11-25T05:06:00.000Z by you"), 1);
	assert_int_equal(count_kind(journal, "log", "alarm 1 (GUARD_ZEROS, said 1 times) is not snoozed any more"), 1);
	assert_int_equal(count_kind(journal, "resolved", "LEASE_TAKEN: over after 0 min: acknowledged"), 1);
	assert_int_equal(read_alarms(journal, INT64_MAX), 1);
	assert_int_equal(list.states[0].snoozed_ms, 0);
	journal_close(journal);
}

static void
texts_have_their_limits(void **state)
{
	struct journal *journal = open_with(NULL, 100);
	char longest[5000];
	struct err err = ERR_INIT;

	(void)state;
	for (size_t i = 0; i + 2 < sizeof(longest); i += 2)
		memcpy(longest + i, "\xC3\xBC", 2);
	longest[sizeof(longest) - 2] = '\0';
	ring(journal, 1, NULL, "GUARD_ZEROS", longest);
	assert_int_equal(journal_alarm_ack(journal, 1, false, longest, longest, &err), 1);
	assert_int_equal(journal_alarm_resolve(journal, 1, longest, &err), 1);
	ring(journal, 1, NULL, "GUARD_ZEROS", "");
	assert_int_equal(count_kind(journal, "", "") + count_kind(journal, "alarm", "") + count_kind(journal, "resolved", ""), 3);
	journal_close(journal);
}

static void
calls_are_kept_by_channel(void **state)
{
	struct journal *journal = open_with(NULL, 100);
	struct alarm_call call = { .alarm = 1, .channel = "ops", .tries = 2, .tried_ms = 5, .next_ms = 6, .error = "no route" };
	struct err err = ERR_INIT;

	(void)state;
	ring(journal, 1, NULL, "GUARD_ZEROS", "first");
	assert_int_equal(journal_alarm_called(journal, &call, &err), 0);
	for (int i = 0; i < 2 * ALARM_CHANNELS_MAX; i++) { /* channels that are configured no more */
		struct alarm_call old = { .alarm = 1, .tried_ms = 1 };
		snprintf(old.channel, sizeof(old.channel), "old-%d", i);
		assert_int_equal(journal_alarm_called(journal, &old, &err), 0);
	}
	assert_int_equal(read_alarms(journal, INT64_MAX), 1);
	assert_int_equal(list.states[0].call_count, ALARM_CHANNELS_MAX);
	assert_memory_equal(&list.calls[0], &call, sizeof(call));
	call = (struct alarm_call){ .alarm = 1, .channel = "ops", .resolved = true, .told_ms = 7, .rang_ms = 8, .told_seq = 9,
		                        .given_up_seq = 10 };
	assert_int_equal(journal_alarm_called(journal, &call, &err), 0);
	journal_close(journal);
	journal = open_with(NULL, 100);
	read_alarms(journal, INT64_MAX);
	assert_memory_equal(&list.calls[0], &call, sizeof(call));
	journal_close(journal);
}

static void
count_call(void *arg)
{
	__atomic_add_fetch((int *)arg, 1, __ATOMIC_SEQ_CST);
}

static void
changes_are_heard_of(void **state)
{
	struct journal *journal = open_with(NULL, 100);
	struct run_record run = add_run(journal, "sync", 1);
	struct err err = ERR_INIT;
	int heard = 0;

	(void)state;
	journal_alarm_listen(journal, count_call, &heard);
	ring(journal, 1, NULL, "GUARD_ZEROS", "first");
	assert_int_equal(__atomic_load_n(&heard, __ATOMIC_SEQ_CST), 1);
	move_run(journal, &run, RUN_RUNNING, "");
	assert_int_equal(__atomic_load_n(&heard, __ATOMIC_SEQ_CST), 1);
	move_run(journal, &run, RUN_SUCCESS, "");
	assert_int_equal(__atomic_load_n(&heard, __ATOMIC_SEQ_CST), 2);
	assert_int_equal(journal_alarm_resolve(journal, 1, "mended", &err), 1);
	assert_int_equal(__atomic_load_n(&heard, __ATOMIC_SEQ_CST), 3);
	journal_alarm_listen(journal, NULL, NULL);
	ring(journal, 1, NULL, "GUARD_ZEROS", "again");
	assert_int_equal(__atomic_load_n(&heard, __ATOMIC_SEQ_CST), 3);
	journal_close(journal);
	run_record_release(&run);
}

static void
successes_are_found(void **state)
{
	struct journal *journal = open_with(NULL, 100);
	struct err err = ERR_INIT;
	int64_t at;

	(void)state;
	assert_int_equal(journal_run_last_success(journal, "sync", 1, &at, &err), 0);
	assert_int_equal(at, 0);
	struct run_record rehearsal = new_run("sync", 1, "", "{\"mode\":\"full\",\"dry_run\":true}");
	assert_int_equal(journal_run_add(journal, &rehearsal, &err), 0);
	move_run(journal, &rehearsal, RUN_RUNNING, "");
	rehearsal.finished_ms = 9000;
	move_run(journal, &rehearsal, RUN_SUCCESS, "");
	run_record_release(&rehearsal);
	assert_int_equal(journal_run_last_success(journal, "sync", 0, &at, &err), 0);
	assert_int_equal(at, 0);
	for (int i = 1; i <= 4; i++) {
		struct run_record run = add_run(journal, "sync", i == 4 ? 2 : 1);
		move_run(journal, &run, RUN_RUNNING, "");
		run.finished_ms = 1000 * i;
		move_run(journal, &run, i == 1 ? RUN_SUCCESS : i == 3 ? RUN_FAILED : RUN_PARTIAL, "");
		run_record_release(&run);
	}
	assert_int_equal(journal_run_last_success(journal, "sync", 1, &at, &err), 0);
	assert_int_equal(at, 2000);
	assert_int_equal(journal_run_last_success(journal, "sync", 0, &at, &err), 0);
	assert_int_equal(at, 4000);
	assert_int_equal(journal_run_last_success(journal, "other", 0, &at, &err), 0);
	assert_int_equal(at, 0);
	journal_close(journal);
}

/* Event and alarm are one commit: at whatever moment the child is killed, there are as many counted as events. */
static void
a_kill_parts_no_event_from_its_alarm(void **state)
{
	int64_t shown = 0;

	(void)state;
	for (int round = 0; round < 10; round++) {
		pid_t pid = fork();
		if (pid == 0) {
			struct journal *journal = open_with(NULL, 100);
			for (;;)
				ring(journal, 1, NULL, "GUARD_ZEROS", "again");
		}
		nanosleep(&(struct timespec){ .tv_nsec = 30000000 + round * 3000000 }, NULL); /* any moment will do */
		kill(pid, SIGKILL);
		assert_int_equal(waitpid(pid, NULL, 0), pid);
		struct journal *journal = open_with(NULL, 100);
		read_alarms(journal, INT64_MAX);
		int64_t counted = list.count > 0 ? list.states[0].count : 0;
		assert_int_equal(count_kind(journal, "alarm", "GUARD_ZEROS"), counted);
		assert_true(counted >= shown);
		shown = counted;
		journal_close(journal);
	}
	assert_true(shown > 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make_folder, remove_folder)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_kill_parts_no_event_from_its_alarm),
		TEST(a_cause_opens_counts_and_opens_anew),
		TEST(the_end_of_a_run_opens_and_ends),
		TEST(hands_leave_their_names),
		TEST(texts_have_their_limits),
		TEST(calls_are_kept_by_channel),
		TEST(changes_are_heard_of),
		TEST(successes_are_found),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
