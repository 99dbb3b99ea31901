/* journal: runs, events (log lines and state changes), item results, plans, gates and idempotency keys in one SQLite file (WAL).
 * One writer thread numbers events, commits in groups with full synchronisation and only then hands them to `publish`; a number
 * that was handed out is never used again. Readers use connections of their own and hold no snapshot longer than one call.
 * Everything may be called from any thread. Functions that write (..., struct err *) return once their commit is on disk.
 * Errors of all of them: TEMP JOURNAL_DISK (full, I/O; nothing of the call is stored), PERM JOURNAL_DAMAGED. A callback `each` must
 * not ask the journal again (it sits on one of the few readers); writing from it is allowed. */
#ifndef WORKER_STORE_JOURNAL_H
#define WORKER_STORE_JOURNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "common/buf.h"
#include "common/err.h"
#include "common/log.h"
#include "proto/proto.h"

#define JOURNAL_ID_MAX 40
#define JOURNAL_PUBLISH_MAX (128 * 1024)
#define RUN_ID_MAX 64      /* "<job>.<shop>.<12 digits>", sorts by age within a job and shop */
#define JOB_ID_MAX 33
#define RUN_KEY_MAX 101
#define RUN_TRIGGER_MAX 41
#define RUN_STEP_MAX 32

struct journal;

/* A committed group, in order; texts borrowed for the call. Called on the writer thread, and with count 0 every second
 * (heartbeat; first = last + 1). events_json: the elements as protocol.md shows them, comma separated, at most
 * JOURNAL_PUBLISH_MAX bytes: a larger group comes in several calls. */
struct journal_group {
	int64_t first, last, count;
	const char *events_json;
};

struct journal_config {
	const char *path;          /* journal.db; created 0600 with a new identity */
	const char *boot;          /* id of this process's life, for nobody but the log */
	void (*publish)(const struct journal_group *group, void *arg); /* may be NULL; must not block */
	void *publish_arg;
	int64_t queue_max;         /* log lines that may wait for the writer before journal_log blocks */
	int64_t free_floor_bytes;  /* below this free space journal_healthy says no; 0 = never */
	/* The day of a moment in the zone of the reports, since 1970-01-01; any thread, must not wait. NULL = days of UTC. */
	int64_t (*day_of)(int64_t time_ms, void *arg);
	void *day_arg;
};

/* Opens, checks (a newer schema is refused with both versions, a damaged file is refused, never replaced) and starts the writer.
 * A second process on the same file is refused. PERM: JOURNAL_SCHEMA, JOURNAL_DAMAGED, JOURNAL_IN_USE, JOURNAL_PATH. */
struct journal *journal_open(const struct journal_config *config, struct err *err) MUSTCHECK;
/* Ends the retention, writes what waits (a disk that stays full is given a second), stops the writer, closes. Nobody may be inside another
 * call. */
void journal_close(struct journal *journal);
const char *journal_identity(const struct journal *journal);
int64_t journal_last(const struct journal *journal); /* last committed number, 0 = none */
/* 0, or -1 (TEMP JOURNAL_DISK) when the disk is too full or the last commit failed: start no new work. */
int journal_healthy(struct journal *journal, struct err *err) MUSTCHECK;

/* --- log lines --- */
/* Queues one line; blocks only while the queue is full. Never fails for the caller. shop 0: that of the line's run, or none.
 * With a full queue and a disk that has taken nothing for five seconds it does not wait any more: such lines are on the streams
 * only, and a line of the journal says how many are missing. A kill -9 takes the lines not committed yet: those since the last
 * write that was waited for, and of these only what was logged within about 10 ms and a commit's duration. */
void journal_log(struct journal *journal, const struct log_line *line, int64_t shop);
/* Returns once everything logged before is committed (or the commit failed). */
void journal_flush(struct journal *journal);

/* --- runs --- */
struct run_record {
	char id[RUN_ID_MAX];
	char job[JOB_ID_MAX];
	int64_t shop;
	char trigger[RUN_TRIGGER_MAX]; /* "manual", "schedule", "recovery" */
	char key[RUN_KEY_MAX];         /* idempotency key, "" = none */
	char *params;                  /* JSON object text; heap */
	char confirms[RUN_ID_MAX];     /* journal_run_add only: the run whose plan this one carries out, "" = none */
	const char *note;              /* journal_run_add only: text of its event, borrowed; NULL = the trigger */
	enum run_state state;
	int attempt;                   /* attempts begun */
	int rescues;                   /* times the run was found RUNNING at a start, that is: after a kill; journal_run_move stores it */
	int64_t created_ms, queued_ms, started_ms, finished_ms; /* 0 = not yet; started of the last attempt */
	int64_t not_before_ms;         /* RETRY and HELD: when it is looked at again */
	int64_t duration_ms;           /* of the last attempt, -1 = none yet */
	int64_t deadline_ms;           /* wall clock, 0 = none */
	bool cancel;                   /* asked for */
	char step[RUN_STEP_MAX];
	int64_t steps_done, steps_total, items_done, items_total;
	int64_t seen, changed, failed, skipped;
	enum err_class error_class;
	char error_code[ERR_CODE_MAX];
	char error_text[ERR_TEXT_MAX];
	char *result;                  /* JSON object text or NULL; heap */
};
void run_record_release(struct run_record *run);

/* Assigns run->id, stores the run (state QUEUED) and its event. 0 new; 1 when a run with the same job, shop and key younger than a
 * day exists: run is replaced by that one (same params), or -1 with PERM KEY_REUSED when its params differ.
 * With confirms set (a run of the same job and shop) the confirmation is stored in the same commit; -1 with PERM PLAN_CONFIRMED when that
 * plan was confirmed before: run->id is then the run that carries it out. */
int journal_run_add(struct journal *journal, struct run_record *run, struct err *err) MUSTCHECK;
/* Stores every field of run but id, job, shop, params, key, and an event (EVENT_RUN) with `text`. The move must be legal
 * (run_state_may in store's table); an illegal one is a bug and aborts. */
int journal_run_move(struct journal *journal, const struct run_record *run, enum run_state from, const char *text,
                     struct err *err) MUSTCHECK;
/* The run that carries out the plan of run `plan`. 1 with its id, 0 the plan was not confirmed, -1. */
int journal_plan_confirmed(struct journal *journal, const char *plan, char run_id[RUN_ID_MAX], struct err *err) MUSTCHECK;
/* Progress fields only (step, steps, items, counters); no event, may be merged with the next commit, does not wait. */
void journal_run_progress(struct journal *journal, const struct run_record *run);
/* Copies one run; caller releases. 1 found, 0 unknown, -1 error. */
int journal_run_get(struct journal *journal, const char *id, struct run_record *run, struct err *err) MUSTCHECK;
/* Newest first. before = "" (or NULL) from the newest, else the id after which to go on (PERM BAD_REQUEST when it is no run id).
 * each returns false to stop. */
struct run_filter {
	const char *job; /* NULL = any */
	int64_t shop;    /* 0 = any */
	int state;       /* enum run_state, -1 = any */
	const char *before;
	int64_t limit;   /* 0 = no limit */
};
int journal_run_list(struct journal *journal, const struct run_filter *filter,
                     bool (*each)(const struct run_record *run, void *arg), void *arg, struct err *err) MUSTCHECK;
/* All runs not over, oldest first. */
int journal_run_unfinished(struct journal *journal, bool (*each)(const struct run_record *run, void *arg), void *arg,
                           struct err *err) MUSTCHECK;
/* The drawing of protocol.md. Also RUNNING to itself (a cancel was asked for: its mark is stored, with an event), and from every
 * state that is not over to CANCELLED and FAILED (a run whose job is not known any more, one that killed its worker too often). */
bool run_state_may(enum run_state from, enum run_state to);

/* --- figures --- */
/* Over the runs of a job that ended in a window, agreeing with the runs of the journal to the last one. What retention deleted counts on
 * in the window "ever" (retention leaves the runs of the last KPI_WINDOW_MS alone, so that no shorter window misses any). */
#define KPI_WINDOW_MS (8LL * 24 * 3600 * 1000) /* the longest window besides ever */
#define KPI_DAYS_MAX 366
struct kpi_query {
	const char *job;
	int64_t shop;    /* 0 = all of them */
	int64_t span_ms; /* up to KPI_WINDOW_MS, or INT64_MAX = ever */
};
struct kpi_day { /* a day of the window on which runs ended */
	int64_t day; /* since 1970-01-01, in the zone of journal_config.day_of */
	int64_t runs, success, partial, failed, cancelled, pushed, refused;
};
struct run_kpi {
	int64_t runs, success, partial, failed, cancelled, retries;
	int64_t pushed, refused; /* items */
	int64_t timed;           /* runs that began; durations are those of their last attempts, percentiles by nearest rank */
	int64_t average_ms, max_ms, p50_ms, p95_ms, p99_ms; /* 0 with no such runs */
	int64_t waited;          /* the same runs as far as they are known: from queued to begun, last attempt */
	int64_t wait_average_ms, wait_max_ms;
	char last_error[ERR_TEXT_MAX];
	/* Whatever the window: the end of the last run that was a success (or partial), 0 = none; how many failed after it (cancelled ones
	 * neither count nor end the row), of all shops the one with the most. */
	int64_t last_success_ms, failures;
	struct kpi_day *days; /* ascending, at most KPI_DAYS_MAX, the newest; heap */
	size_t day_count;
};
/* PERM BAD_REQUEST: a window of another length. The caller releases after 0. */
int journal_run_kpi(struct journal *journal, const struct kpi_query *query, struct run_kpi *kpi, struct err *err) MUSTCHECK;
void run_kpi_release(struct run_kpi *kpi);
/* The newest run of a job and shop, or with ended the one that ended last. 1 found (the caller releases), 0 none, -1. */
int journal_run_last(struct journal *journal, const char *job, int64_t shop, bool ended, struct run_record *run,
                     struct err *err) MUSTCHECK;

/* --- item results and plans --- */
struct item_record {
	int64_t n;                 /* set when reading: order within the run, from 1 */
	const char *sku;           /* the text SKU */
	int64_t sku_id, goods_id;  /* 0 = none */
	bool has_from, has_to;
	int64_t from, to;          /* known at TEMU before, wanted */
	enum item_outcome outcome;
	const char *reason;        /* short word for machines: "delta", "new", "unknown", "inactive" ... */
	const char *code;          /* TEMU_150013002, "" */
	const char *request_id;    /* TEMU's, "" */
	const char *text;          /* for people, "" */
	const char *detail;        /* JSON object text or NULL */
};
int journal_items_add(struct journal *journal, const char *run_id, const struct item_record *items, size_t count,
                      struct err *err) MUSTCHECK;
/* Sets outcome, code, request id and text (and, where given, reason, detail, and from with to) of items by their sku_id (the last
 * row of that sku_id in the run): a PLANNED row becomes PUSHED, REFUSED or UNKNOWN. Rows that do not exist are added. */
int journal_items_judge(struct journal *journal, const char *run_id, const struct item_record *items, size_t count,
                        struct err *err) MUSTCHECK;
/* outcome -1 = any; after = 0 from the start; limit 0 = none. Borrowed texts for the call of each. */
int journal_items_list(struct journal *journal, const char *run_id, int outcome, int64_t after, int64_t limit,
                       bool (*each)(const struct item_record *item, void *arg), void *arg, struct err *err) MUSTCHECK;
/* How many items of a run, its first ones, went before it because the journal was too large (retention). */
int journal_items_gone(struct journal *journal, const char *run_id, int64_t *count, struct err *err) MUSTCHECK;

/* --- events --- */
/* Appends event objects (comma separated) from number `from` to `to` (0 = newest) into out, at most max bytes (at least one
 * event if there is one); run_id "" = all. first, last: numbers examined, go on from last + 1; more: there is more. Numbers are
 * dense from `oldest` on; what is lower was deleted by retention (with nothing left, oldest is the next number). */
struct event_page {
	int64_t first, last, count, oldest;
	bool more;
};
int journal_events(struct journal *journal, int64_t from, int64_t to, const char *run_id, size_t max, struct buf *out,
                   struct event_page *page, struct err *err) MUSTCHECK;

/* --- the tail: events as values, for who copies them elsewhere --- */
/* Texts borrowed for the call of each. */
struct tail_event {
	int64_t seq, time_ms, shop;
	const char *kind;           /* proto_event_name */
	enum log_level level;       /* LEVEL_INFO for "run" */
	const char *run, *job, *step; /* "" = none; run is a run's id or "" */
	const char *state;          /* run_state_name; "" unless kind is "run" */
	const char *text;
	/* Of the event that a run ended with (its state is a terminal one and the run is still stored). */
	bool ended;
	int64_t duration_ms;        /* of the last attempt, -1 = none began */
	const char *error_code, *error_text;
};
/* The next events after number `after`, in order, at most `limit` of them. each returns false to stop. */
int journal_tail(struct journal *journal, int64_t after, int64_t limit, bool (*each)(const struct tail_event *event, void *arg),
                 void *arg, struct err *err) MUSTCHECK;
/* Is called after each commit that gave numbers, with the last of them, on the writer thread: must not block nor ask the journal. The
 * struct is the caller's and stays where it is until it is removed; its first two members are filled by him. */
struct journal_watch {
	void (*committed)(int64_t last, void *arg);
	void *arg;
	struct journal_watch *next; /* the journal's */
};
void journal_watch_add(struct journal *journal, struct journal_watch *watch);
/* Waits for a call under way. */
void journal_watch_remove(struct journal *journal, struct journal_watch *watch);

/* --- retention --- */
/* Deletes what is too old, and then the oldest lines and items until the size fits, some hundred rows a commit with a pause after each.
 * What stays: runs that are not over, of every job and shop the newest run and the one that ended last, all runs (not their items) of
 * the last KPI_WINDOW_MS, the newest thousand lines, and those from journal_keep_from on. */
struct journal_retention {
	int64_t days;      /* of events */
	int64_t runs_days; /* of runs and their items; at least KPI_WINDOW_MS */
	int64_t max_bytes; /* 0 = any size */
	int64_t first_ms, every_ms; /* of the thread: until its first pass, and between two; 0 = five minutes, an hour */
};
struct journal_retention_pass {
	int64_t events, items, runs, commits;
	int64_t longest_ms; /* of the commits, waiting for the writer included */
	int64_t used_bytes; /* afterwards, without free pages */
	bool too_large;     /* more than max_bytes, and nothing more may go */
};
/* A thread of its own, until journal_retention_stop (which waits for one slice at most) or journal_close. */
int journal_retention_start(struct journal *journal, const struct journal_retention *rules, struct err *err) MUSTCHECK;
void journal_retention_stop(struct journal *journal);
/* One pass at once, without pauses, on the caller's thread. */
int journal_retention_pass(struct journal *journal, const struct journal_retention *rules, struct journal_retention_pass *result,
                           struct err *err) MUSTCHECK;
/* Events from number seq on must stay until `name` (a constant, at most 15 bytes, few of them) says a higher number; INT64_MAX: it needs
 * none. Not stored: say 1 at the start while the place is not known. Cheap. */
void journal_keep_from(struct journal *journal, const char *name, int64_t seq);
/* For pool_stats: adds "bytes" (of the file) and "retention" (the last pass of the thread, or null) to the open object. */
void journal_stats(void *journal, struct buf *out);

/* --- alarms --- */
/* An event of its own kind (EVENT_ALARM, level ERROR) that a person must look at; its text begins with "CODE: ". With it, in the same
 * commit, the alarm of this cause (code, shop and job) opens, or counts once more while it is open. Durable on return.
 * 0 stored; 1 this run has said this code before (also in an earlier life of the process): nothing is stored; -1. */
struct alarm_record {
	int64_t shop;                /* 0 = none */
	const char *run, *job, *step; /* NULL or "" = none */
	const char *code, *text;
};
int journal_alarm(struct journal *journal, const struct alarm_record *alarm, struct err *err) MUSTCHECK;

/* What the end of a run means to the alarms. */
struct alarm_end {
	const struct alarm_record *open; /* NULL = none; left out when the run has said an alarm of its own error code before */
	/* Which open alarms of the run's job and shop are over with it; NULL = none. same_run: it was this run that said it. Writer thread. */
	bool (*ends)(const char *code, bool same_run);
	const char *text;                /* why they are over */
};
/* journal_run_move, and the alarms in the same commit. ends may be NULL. */
int journal_run_end(struct journal *journal, const struct run_record *run, enum run_state from, const char *text,
                    const struct alarm_end *end, struct err *err) MUSTCHECK;

#define ALARM_CHANNEL_MAX 32
#define ALARM_ERROR_MAX 300
#define ALARM_WHO_MAX 101
#define ALARM_CHANNELS_MAX 12
/* What became of telling one channel (a web hook, the mail) of an alarm. */
struct alarm_call {
	int64_t alarm;
	char channel[ALARM_CHANNEL_MAX];
	bool resolved;        /* what was told last: that it is over */
	int64_t told_ms;      /* when, 0 = never */
	int64_t rang_ms;      /* when it was told of an opening last */
	int64_t told_seq;     /* the alarm's seq then */
	int64_t tries;        /* failed ones for what is to be told now */
	int64_t tried_ms, next_ms; /* the last try; not before */
	int64_t given_up_seq; /* the alarm's seq that was given up */
	char error[ALARM_ERROR_MAX]; /* of the last try, "" = it worked */
};
struct alarm_state {
	int64_t id, shop;
	const char *code, *job, *run, *text; /* run, text: as said last */
	int64_t count;                       /* since it opened */
	int64_t seq, open_seq;               /* number of its last event, and of the one that opened it */
	int64_t opened_ms, last_ms;
	int64_t acked_ms;                    /* 0 = not */
	const char *acked_by;
	int64_t snoozed_ms;                  /* until then nobody is told; 0 = not */
	int64_t resolved_ms;                 /* 0 = open */
	const char *resolved_text;
	const struct alarm_call *calls;
	size_t call_count;
};
/* By id. each returns false to stop; everything borrowed for its call. */
struct alarm_filter {
	int64_t id;          /* 0 = any */
	int64_t after;       /* 0 = from the start */
	int64_t resolved_ms; /* beside the open ones also those resolved later than this; INT64_MAX = none, 0 = all */
	int64_t limit;       /* 0 = none */
};
int journal_alarm_list(struct journal *journal, const struct alarm_filter *filter,
                       bool (*each)(const struct alarm_state *state, void *arg), void *arg, struct err *err) MUSTCHECK;
/* It is over, with an event (EVENT_RESOLVED). 1 done, 0 it is not open, -1. */
int journal_alarm_resolve(struct journal *journal, int64_t id, const char *text, struct err *err) MUSTCHECK;
/* By hand, each with an audit event (EVENT_LOG, WARNING) that names who; 1 done, 0 no open alarm of this id, -1. Acknowledged: nobody
 * is told any more until it was over and opens anew. close: it is over with that. until_ms 0 ends a snooze. */
int journal_alarm_ack(struct journal *journal, int64_t id, bool close, const char *who, const char *reason,
                      struct err *err) MUSTCHECK;
int journal_alarm_snooze(struct journal *journal, int64_t id, int64_t until_ms, const char *who, const char *reason,
                         struct err *err) MUSTCHECK;
/* Stores a call's row (by alarm and channel). */
int journal_alarm_called(struct journal *journal, const struct alarm_call *call, struct err *err) MUSTCHECK;
/* changed is called on the writer thread after a commit that touched alarms or ended a run; must not block nor ask the journal. NULL
 * removes it and waits for a call under way. */
void journal_alarm_listen(struct journal *journal, void (*changed)(void *arg), void *arg);
/* When the newest run of the job (and shop, 0 = any) that ended as success or partial ended; 0 = none. Rehearsals (params.dry_run) are no
 * successes. */
int journal_run_last_success(struct journal *journal, const char *job, int64_t shop, int64_t *finished_ms, struct err *err) MUSTCHECK;

/* --- quarantine: SKUs that TEMU refused for good again and again --- */
#define QUARANTINE_AFTER 3         /* refusals in a row */
#define QUARANTINE_RETRY_MS 86400000
#define QUARANTINE_TEXT_MAX 1000
struct quarantine_record {
	int64_t shop, sku_id, goods_id;
	const char *sku, *code, *text, *request_id; /* TEMU's words of the last refusal, each cut at QUARANTINE_TEXT_MAX */
	int64_t refusals;                           /* in a row */
	int64_t first_ms, last_ms;
	int64_t since_ms; /* in quarantine since; 0 = not yet */
	int64_t next_ms;  /* not to be tried before */
};
/* What became of SKUs in a run, in one commit: a refused one counts (the QUARANTINE_AFTER-th puts it into quarantine, every further one
 * puts its next try off by QUARANTINE_RETRY_MS), a confirmed one is forgotten. The same run judged twice counts once. */
struct quarantine_verdict {
	int64_t sku_id, goods_id;
	bool refused; /* false: confirmed */
	const char *sku, *code, *text, *request_id;
};
int journal_quarantine_judge(struct journal *journal, int64_t shop, const char *run, const struct quarantine_verdict *verdicts,
                             size_t count, struct err *err) MUSTCHECK;
/* Those of the alarm's shop that came in and that nobody was told of yet, in one alarm: how many, the first QUARANTINE_NAMED of them with
 * TEMU's words, then alarm->text. One commit with the note that they were told of, so each is told of exactly once, whoever was killed in
 * between and whatever its run said before. said (may be NULL) gets the text. 1 told; 0 there is nobody to tell of; -1. */
#define QUARANTINE_NAMED 5
int journal_quarantine_tell(struct journal *journal, const struct alarm_record *alarm, struct buf *said, struct err *err) MUSTCHECK;
/* By sku_id, after `after` (0 from the start); all: also those that are not in quarantine yet. limit 0 = none. Borrowed texts. */
int journal_quarantine_list(struct journal *journal, int64_t shop, bool all, int64_t after, int64_t limit,
                            bool (*each)(const struct quarantine_record *record, void *arg), void *arg, struct err *err) MUSTCHECK;
/* By hand: forgotten, so that the next run tries it. An audit event (EVENT_LOG, WARNING) names who. 1 done, 0 it is not in there, -1. */
int journal_quarantine_free(struct journal *journal, int64_t shop, int64_t sku_id, const char *who, struct err *err) MUSTCHECK;
/* Listings that do not exist any more: forgotten, also those that were only on the way into quarantine, in one commit; an event for each
 * that was in there. */
int journal_quarantine_gone(struct journal *journal, int64_t shop, const int64_t *sku_ids, size_t count, struct err *err) MUSTCHECK;
/* How many of the shop are in quarantine. Cheap (cached). */
int64_t journal_quarantine_count(struct journal *journal, int64_t shop);

/* --- gates --- */
/* The stored gate of a shop, GATE_OFF when never set. Cheap (cached), never blocks on disk. */
enum gate journal_gate(struct journal *journal, int64_t shop);
/* Stores it with an audit event "off -> stock: reason (who)". *was may be NULL.
 * A gate that is to be shut is shut in this process even when that could not be stored. */
int journal_gate_set(struct journal *journal, int64_t shop, enum gate gate, const char *reason, const char *who,
                     enum gate *was, struct err *err) MUSTCHECK;

#endif
