/* Runs: adding with an idempotency key, moving, progress, reading.
 * What state follows on what is in run_id.c; why, the engine knows. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/utf8.h"
#include "worker/store/journal_inner.h"

#define KEY_LIFE_MS ((int64_t)24 * 60 * 60 * 1000)
#define COLUMNS                                                                                                                  \
	"n, job, shop, trigger, key, params, state, attempt, rescues, created_ms, queued_ms, started_ms, finished_ms,"               \
	" not_before_ms, duration_ms, deadline_ms, cancel, step, steps_done, steps_total, items_done, items_total, seen, changed,"   \
	" failed, skipped, error_class, error_code, error_text, result"

void
run_record_release(struct run_record *run)
{
	free(run->params);
	free(run->result);
	run->params = NULL;
	run->result = NULL;
}

/* --- rows --- */

static char *
duplicate(sqlite3_stmt *statement, int at)
{
	return sqlite3_column_type(statement, at) == SQLITE_NULL ? NULL : strdup(lite_text(statement, at));
}

static enum err_class
class_of(const char *name)
{
	for (enum err_class class = ERR_NONE; class <= ERR_CANCELLED; class++)
		if (strcmp(name, err_class_name(class)) == 0)
			return class;
	return ERR_NONE;
}

static void
read_row(sqlite3_stmt *statement, struct run_record *run)
{
	*run = (struct run_record){
		.shop = sqlite3_column_int64(statement, 2),
		.attempt = sqlite3_column_int(statement, 7),
		.rescues = sqlite3_column_int(statement, 8),
		.created_ms = sqlite3_column_int64(statement, 9),
		.queued_ms = sqlite3_column_int64(statement, 10),
		.started_ms = sqlite3_column_int64(statement, 11),
		.finished_ms = sqlite3_column_int64(statement, 12),
		.not_before_ms = sqlite3_column_int64(statement, 13),
		.duration_ms = sqlite3_column_int64(statement, 14),
		.deadline_ms = sqlite3_column_int64(statement, 15),
		.cancel = sqlite3_column_int(statement, 16) != 0,
		.steps_done = sqlite3_column_int64(statement, 18),
		.steps_total = sqlite3_column_int64(statement, 19),
		.items_done = sqlite3_column_int64(statement, 20),
		.items_total = sqlite3_column_int64(statement, 21),
		.seen = sqlite3_column_int64(statement, 22),
		.changed = sqlite3_column_int64(statement, 23),
		.failed = sqlite3_column_int64(statement, 24),
		.skipped = sqlite3_column_int64(statement, 25),
		.error_class = class_of(lite_text(statement, 26)),
	};
	lite_copy(statement, 1, run->job, sizeof(run->job));
	lite_copy(statement, 3, run->trigger, sizeof(run->trigger));
	lite_copy(statement, 4, run->key, sizeof(run->key));
	lite_copy(statement, 17, run->step, sizeof(run->step));
	lite_copy(statement, 27, run->error_code, sizeof(run->error_code));
	lite_copy(statement, 28, run->error_text, sizeof(run->error_text));
	if (run_state_parse(lite_text(statement, 6), &run->state) != 0)
		run->state = RUN_FAILED; /* a state of a later release, written before going back to this one */
	run->params = duplicate(statement, 5);
	run->result = duplicate(statement, 29);
	run_id_format(run->id, run->job, run->shop, sqlite3_column_int64(statement, 0));
}

/* Columns a move sets too, from parameter 1 on; returns the next free one. */
static int
bind_moving(sqlite3_stmt *statement, const struct run_record *run, int64_t finished_ms)
{
	int at = 1;

	lite_bind_text(statement, at++, run_state_name(run->state));
	sqlite3_bind_int(statement, at++, run_state_terminal(run->state));
	sqlite3_bind_int(statement, at++, run->attempt);
	sqlite3_bind_int(statement, at++, run->rescues);
	const int64_t numbers[] = { run->created_ms,  run->queued_ms,   run->started_ms, finished_ms,     run->not_before_ms,
		                        run->duration_ms, run->deadline_ms, run->cancel,     run->steps_done, run->steps_total,
		                        run->items_done,  run->items_total, run->seen,       run->changed,    run->failed,
		                        run->skipped };
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		sqlite3_bind_int64(statement, at++, numbers[i]);
	const char *texts[] = { run->trigger, run->step, err_class_name(run->error_class), run->error_code, run->error_text, run->result };
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		lite_bind_text(statement, at++, texts[i]);
	return at;
}

static int
store_event(struct journal *journal, const struct run_record *run, const char *text, struct err *err)
{
	char cut[LOG_TEXT_MAX + 1];
	struct event event = { .time_ms = clock_now_ms(), .shop = run->shop, .kind = proto_event_name(EVENT_RUN), .level = LEVEL_INFO,
		                   .run = run->id, .job = run->job, .step = "", .state = run_state_name(run->state),
		                   .attempt = run->attempt, .text = cut };
	size_t len = text ? utf8_cut(text, strlen(text), LOG_TEXT_MAX) : 0;

	memcpy(cut, text ? text : "", len);
	cut[len] = '\0';
	return writer_event(journal, &event, err);
}

/* Reads run `number` from this connection. 1, 0 or -1. */
static int
read_run(struct lite *lite, int64_t number, struct run_record *run, struct err *err)
{
	static const char select[] = "SELECT " COLUMNS " FROM runs WHERE n = ?";
	sqlite3_stmt *statement = lite_use(lite, select, err);

	if (!statement)
		return -1;
	sqlite3_bind_int64(statement, 1, number);
	int status = lite_step(lite, statement, err);
	if (status == 1) {
		read_row(statement, run);
		lite_done(statement);
	}
	return status;
}

/* --- add --- */

struct add {
	struct run_record *run;
	int64_t number; /* of the new run */
	bool found;
	struct run_record old;
	int64_t confirmed; /* the run that carries out the same plan already, 0 = none */
};

/* The run a young key belongs to, 0 = none. */
static int
look_up_key(struct lite *lite, const struct run_record *run, int64_t now, int64_t *number, struct err *err)
{
	static const char select[] = "SELECT run FROM keys WHERE job = ? AND shop = ? AND key = ? AND made_ms > ?";
	sqlite3_stmt *statement = lite_use(lite, select, err);

	*number = 0;
	if (!statement)
		return -1;
	lite_bind_text(statement, 1, run->job);
	sqlite3_bind_int64(statement, 2, run->shop);
	lite_bind_text(statement, 3, run->key);
	sqlite3_bind_int64(statement, 4, now - KEY_LIFE_MS);
	int status = lite_step(lite, statement, err);
	if (status == 1) {
		*number = sqlite3_column_int64(statement, 0);
		lite_done(statement);
	}
	return status < 0 ? -1 : 0;
}

static int
store_key(struct lite *lite, const struct run_record *run, int64_t number, int64_t now, struct err *err)
{
	static const char expire[] = "DELETE FROM keys WHERE made_ms <= ?";
	static const char insert[] = "INSERT OR REPLACE INTO keys(job, shop, key, run, made_ms) VALUES(?, ?, ?, ?, ?)";
	sqlite3_stmt *statement = lite_use(lite, expire, err);

	if (!statement)
		return -1;
	sqlite3_bind_int64(statement, 1, now - KEY_LIFE_MS);
	if (lite_run(lite, statement, err) != 0 || !(statement = lite_use(lite, insert, err)))
		return -1;
	lite_bind_text(statement, 1, run->job);
	sqlite3_bind_int64(statement, 2, run->shop);
	lite_bind_text(statement, 3, run->key);
	sqlite3_bind_int64(statement, 4, number);
	sqlite3_bind_int64(statement, 5, now);
	return lite_run(lite, statement, err);
}

static int
insert_run(struct lite *lite, const struct run_record *run, int64_t number, struct err *err)
{
	static const char insert[] =
	    "INSERT INTO runs(state, over, attempt, rescues, created_ms, queued_ms, started_ms, finished_ms, not_before_ms, duration_ms,"
	    " deadline_ms, cancel, steps_done, steps_total, items_done, items_total, seen, changed, failed, skipped, trigger, step,"
	    " error_class, error_code, error_text, result, n, job, shop, key, params)"
	    " VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
	sqlite3_stmt *statement = lite_use(lite, insert, err);

	if (!statement)
		return -1;
	int at = bind_moving(statement, run, run->finished_ms);
	sqlite3_bind_int64(statement, at++, number);
	lite_bind_text(statement, at++, run->job);
	sqlite3_bind_int64(statement, at++, run->shop);
	lite_bind_text(statement, at++, run->key[0] ? run->key : NULL);
	lite_bind_text(statement, at, run->params ? run->params : "{}");
	return lite_run(lite, statement, err);
}

/* The number of the run that carries out this plan, 0 = none. */
static int
look_up_plan(struct lite *lite, int64_t plan, int64_t *number, struct err *err)
{
	static const char select[] = "SELECT run FROM plans_confirmed WHERE plan = ?";
	sqlite3_stmt *statement = lite_use(lite, select, err);

	*number = 0;
	if (!statement)
		return -1;
	sqlite3_bind_int64(statement, 1, plan);
	int status = lite_step(lite, statement, err);
	if (status == 1) {
		*number = sqlite3_column_int64(statement, 0);
		lite_done(statement);
	}
	return status < 0 ? -1 : 0;
}

/* The plan's run is one of this job and shop: the queue has seen to that, and a plan's successor has its name from it. */
static bool
split_plan(const struct run_record *run, int64_t *plan)
{
	char job[JOB_ID_MAX];
	int64_t shop;

	return run_id_split(run->confirms, job, &shop, plan) && strcmp(job, run->job) == 0 && shop == run->shop;
}

/* 0 stored, 1 refused (add->confirmed is who was first), -1. */
static int
store_confirmation(struct lite *lite, struct add *add, int64_t now, struct err *refusal, struct err *err)
{
	static const char insert[] = "INSERT INTO plans_confirmed(plan, run, made_ms) VALUES(?, ?, ?)";
	int64_t plan;

	if (!split_plan(add->run, &plan)) {
		err_set(refusal, ERR_PERM, "JOURNAL_RUN", "\"%s\" is no run of %s and shop %lld", add->run->confirms, add->run->job,
		        (long long)add->run->shop);
		return 1;
	}
	if (look_up_plan(lite, plan, &add->confirmed, err) != 0)
		return -1;
	if (add->confirmed != 0) {
		err_set(refusal, ERR_PERM, "PLAN_CONFIRMED", "the plan of run %s was confirmed before", add->run->confirms);
		return 1;
	}
	sqlite3_stmt *statement = lite_use(lite, insert, err);
	if (!statement)
		return -1;
	sqlite3_bind_int64(statement, 1, plan);
	sqlite3_bind_int64(statement, 2, add->number);
	sqlite3_bind_int64(statement, 3, now);
	return lite_run(lite, statement, err);
}

static int
apply_add(struct journal *journal, struct change *change, struct err *err)
{
	struct add *add = change->data;
	struct lite *lite = &journal->writer;
	int64_t now = clock_now_ms(), known = 0;
	int status;

	run_record_release(&add->old); /* of a group that failed */
	add->found = false;
	add->confirmed = 0;
	if (add->run->key[0] && look_up_key(lite, add->run, now, &known, err) != 0)
		return -1;
	if (known != 0 && (status = read_run(lite, known, &add->old, err)) != 0) {
		if (status < 0)
			return -1;
		if (strcmp(add->old.params ? add->old.params : "", add->run->params ? add->run->params : "{}") != 0) {
			err_set(&change->err, ERR_PERM, "KEY_REUSED", "key \"%s\" belongs to %s, which has other parameters", add->run->key,
			        add->old.id);
			return 1;
		}
		add->found = true;
		return 0;
	}
	add->number = journal->next_run;
	if (add->run->confirms[0] && (status = store_confirmation(lite, add, now, &change->err, err)) != 0)
		return status;
	struct run_record run = *add->run;
	run.state = RUN_QUEUED;
	run_id_format(run.id, run.job, run.shop, add->number);
	if (insert_run(lite, &run, add->number, err) != 0 || (run.key[0] && store_key(lite, &run, add->number, now, err) != 0) ||
	    store_event(journal, &run, run.note ? run.note : run.trigger, err) != 0)
		return -1;
	journal->next_run++;
	return 0;
}

int
journal_run_add(struct journal *journal, struct run_record *run, struct err *err)
{
	struct add add = { .run = run };
	struct change change = { .apply = apply_add, .data = &add, .err = ERR_INIT };
	int status = writer_change(journal, &change, err);

	if (status == 0 && add.found) {
		run_record_release(run);
		*run = add.old;
		return 1;
	}
	run_record_release(&add.old);
	if (add.confirmed != 0)
		run_id_format(run->id, run->job, run->shop, add.confirmed);
	if (status == 0) {
		run->state = RUN_QUEUED;
		run_id_format(run->id, run->job, run->shop, add.number);
	}
	return status;
}

int
journal_plan_confirmed(struct journal *journal, const char *plan, char run_id[RUN_ID_MAX], struct err *err)
{
	char job[JOB_ID_MAX];
	int64_t shop, number, carrier = 0;

	run_id[0] = '\0';
	if (!run_id_split(plan, job, &shop, &number))
		return 0;
	struct lite *reader = reader_take(journal, err);
	if (!reader)
		return -1;
	int status = look_up_plan(reader, number, &carrier, err);
	reader_put(journal, reader);
	if (status != 0 || carrier == 0)
		return status;
	run_id_format(run_id, job, shop, carrier);
	return 1;
}

/* --- move and progress --- */

struct move {
	const struct run_record *run;
	enum run_state from;
	const char *text;
	const struct alarm_end *end;
};

static int
apply_move(struct journal *journal, struct change *change, struct err *err)
{
	static const char update[] =
	    "UPDATE runs SET state = ?1, over = ?2, attempt = ?3, rescues = ?4, created_ms = ?5, queued_ms = ?6, started_ms = ?7,"
	    " finished_ms = ?8, not_before_ms = ?9, duration_ms = ?10, deadline_ms = ?11, cancel = ?12, steps_done = ?13,"
	    " steps_total = ?14, items_done = ?15, items_total = ?16, seen = ?17, changed = ?18, failed = ?19, skipped = ?20,"
	    " trigger = ?21, step = ?22, error_class = ?23, error_code = ?24, error_text = ?25, result = ?26"
	    " WHERE n = ?27 AND job = ?28 AND shop = ?29 AND state = ?30";
	const struct move *move = change->data;
	const struct run_record *run = move->run;
	sqlite3_stmt *statement = lite_use(&journal->writer, update, err);
	int64_t number, finished = run->finished_ms;

	if (!statement)
		return -1;
	if (!run_id_split(run->id, NULL, NULL, &number))
		number = 0;
	if (run_state_terminal(run->state) && finished == 0)
		finished = clock_now_ms(); /* the figures find it by that */
	int at = bind_moving(statement, run, finished);
	sqlite3_bind_int64(statement, at++, number);
	lite_bind_text(statement, at++, run->job);
	sqlite3_bind_int64(statement, at++, run->shop);
	lite_bind_text(statement, at, run_state_name(move->from));
	if (lite_run(&journal->writer, statement, err) != 0)
		return -1;
	if (sqlite3_changes(journal->writer.db) == 0) {
		err_set(&change->err, ERR_PERM, "JOURNAL_RUN", "run %s is not in the journal as %s", run->id, run_state_name(move->from));
		return 1;
	}
	if (store_event(journal, run, move->text, err) != 0)
		return -1;
	return move->end ? alarms_end_run(journal, run, move->end, err) : 0;
}

static void
after_move(struct journal *journal, struct change *change)
{
	const struct move *move = change->data;

	if (run_state_terminal(move->run->state))
		alarms_tell(journal);
}

int
journal_run_move(struct journal *journal, const struct run_record *run, enum run_state from, const char *text, struct err *err)
{
	return journal_run_end(journal, run, from, text, NULL, err);
}

int
journal_run_end(struct journal *journal, const struct run_record *run, enum run_state from, const char *text,
                const struct alarm_end *end, struct err *err)
{
	struct move move = { .run = run, .from = from, .text = text, .end = end };
	struct change change = { .apply = apply_move, .committed = after_move, .data = &move, .err = ERR_INIT };

	if (!run_state_may(from, run->state)) {
		fprintf(stderr, "run %s: %s -> %s is no legal move\n", run->id, run_state_name(from), run_state_name(run->state));
		abort();
	}
	return writer_change(journal, &change, err);
}

int
progress_store(struct lite *lite, const struct progress *progress, struct err *err)
{
	static const char update[] = "UPDATE runs SET step = ?, steps_done = ?, steps_total = ?, items_done = ?, items_total = ?,"
	                             " seen = ?, changed = ?, failed = ?, skipped = ? WHERE n = ? AND over = 0";
	sqlite3_stmt *statement = lite_use(lite, update, err);
	const int64_t numbers[] = { progress->steps_done, progress->steps_total, progress->items_done, progress->items_total,
		                        progress->seen,       progress->changed,     progress->failed,     progress->skipped };
	int64_t number;

	if (!statement)
		return -1;
	if (!run_id_split(progress->run, NULL, NULL, &number))
		return 0;
	lite_bind_text(statement, 1, progress->step);
	for (int i = 0; i < 8; i++)
		sqlite3_bind_int64(statement, i + 2, numbers[i]);
	sqlite3_bind_int64(statement, 10, number);
	return lite_run(lite, statement, err);
}

/* --- reading --- */

int
journal_run_get(struct journal *journal, const char *id, struct run_record *run, struct err *err)
{
	int64_t number;

	memset(run, 0, sizeof(*run));
	if (!run_id_split(id, NULL, NULL, &number))
		return 0;
	struct lite *reader = reader_take(journal, err);
	if (!reader)
		return -1;
	int status = read_run(reader, number, run, err);
	reader_put(journal, reader);
	if (status == 1 && strcmp(run->id, id) != 0) { /* another job's or shop's number */
		run_record_release(run);
		memset(run, 0, sizeof(*run));
		return 0;
	}
	return status;
}

static int
each_row(struct lite *reader, sqlite3_stmt *statement, bool (*each)(const struct run_record *run, void *arg), void *arg,
         struct err *err)
{
	int status;
	bool more = true;

	while (more && (status = lite_step(reader, statement, err)) == 1) {
		struct run_record run;
		read_row(statement, &run);
		more = each(&run, arg);
		run_record_release(&run);
	}
	if (!more)
		lite_done(statement);
	return more ? status : 0;
}

int
journal_run_list(struct journal *journal, const struct run_filter *filter, bool (*each)(const struct run_record *run, void *arg),
                 void *arg, struct err *err)
{
#define FROM "SELECT " COLUMNS " FROM runs WHERE "
#define REST "n < ?1 AND (?2 = 0 OR shop = ?2) ORDER BY n DESC LIMIT ?3"
	static const char any[] = FROM REST;
	static const char of_job[] = FROM "job = ?4 AND " REST;
	static const char of_state[] = FROM "state = ?5 AND " REST;
	static const char of_both[] = FROM "job = ?4 AND state = ?5 AND " REST;
#undef FROM
#undef REST
	int64_t before = INT64_MAX;

	if (filter->before && filter->before[0] && !run_id_split(filter->before, NULL, NULL, &before))
		return err_set(err, ERR_PERM, "BAD_REQUEST", "before: \"%.*s\" is no run id", RUN_ID_MAX, filter->before);
	const char *text = filter->job ? (filter->state >= 0 ? of_both : of_job) : (filter->state >= 0 ? of_state : any);
	struct lite *reader = reader_take(journal, err);
	if (!reader)
		return -1;
	sqlite3_stmt *statement = lite_use(reader, text, err);
	int status = -1;
	if (statement) {
		sqlite3_bind_int64(statement, 1, before);
		sqlite3_bind_int64(statement, 2, filter->shop);
		sqlite3_bind_int64(statement, 3, filter->limit > 0 ? filter->limit : -1);
		if (filter->job)
			lite_bind_text(statement, 4, filter->job);
		if (filter->state >= 0)
			lite_bind_text(statement, 5, run_state_name((enum run_state)filter->state));
		status = each_row(reader, statement, each, arg, err);
	}
	reader_put(journal, reader);
	return status;
}

int
journal_run_last(struct journal *journal, const char *job, int64_t shop, bool ended, struct run_record *run, struct err *err)
{
	static const char open[] = "SELECT " COLUMNS " FROM runs INDEXED BY runs_open WHERE over = 0 AND job = ?1 AND shop = ?2"
	                           " ORDER BY n DESC LIMIT 1";
	static const char over[] = "SELECT " COLUMNS " FROM runs INDEXED BY runs_figures WHERE over = 1 AND job = ?1 AND shop = ?2"
	                           " ORDER BY finished_ms DESC, n DESC LIMIT 1";
	struct lite *reader = reader_take(journal, err);
	int status = 0;

	memset(run, 0, sizeof(*run));
	if (!reader)
		return -1;
	for (int from = ended; status == 0 && from < 2; from++) {
		sqlite3_stmt *statement = lite_use(reader, from ? over : open, err);
		if (statement) {
			lite_bind_text(statement, 1, job);
			sqlite3_bind_int64(statement, 2, shop);
		}
		status = statement ? lite_step(reader, statement, err) : -1;
		if (status == 1) {
			read_row(statement, run);
			lite_done(statement);
		}
	}
	reader_put(journal, reader);
	return status;
}

int
journal_run_unfinished(struct journal *journal, bool (*each)(const struct run_record *run, void *arg), void *arg, struct err *err)
{
	static const char open[] = "SELECT " COLUMNS " FROM runs WHERE over = 0 ORDER BY n";
	struct lite *reader = reader_take(journal, err);

	if (!reader)
		return -1;
	sqlite3_stmt *statement = lite_use(reader, open, err);
	int status = statement ? each_row(reader, statement, each, arg, err) : -1;
	reader_put(journal, reader);
	return status;
}

int
journal_run_last_success(struct journal *journal, const char *job, int64_t shop, int64_t *finished_ms, struct err *err)
{
	static const char select[] = "SELECT finished_ms FROM runs WHERE job = ?1 AND over = 1 AND state IN ('success', 'partial')"
	                             " AND (?2 = 0 OR shop = ?2) AND json_extract(params, '$.dry_run') IS NOT 1 ORDER BY finished_ms DESC LIMIT 1";
	struct lite *reader = reader_take(journal, err);

	*finished_ms = 0;
	if (!reader)
		return -1;
	sqlite3_stmt *statement = lite_use(reader, select, err);
	int status = -1;
	if (statement) {
		lite_bind_text(statement, 1, job);
		sqlite3_bind_int64(statement, 2, shop);
		status = lite_step(reader, statement, err);
	}
	if (status == 1) {
		*finished_ms = sqlite3_column_int64(statement, 0);
		lite_done(statement);
	}
	reader_put(journal, reader);
	return status < 0 ? -1 : 0;
}
