/* journal_inner: the journal from inside: its state, the queue and what runs on the writer thread. For the files of this room
 * only. */
#ifndef WORKER_STORE_JOURNAL_INNER_H
#define WORKER_STORE_JOURNAL_INNER_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include "worker/store/journal.h"
#include "worker/store/lite.h"

#define JOURNAL_READERS 4
#define JOURNAL_KEEPS 4

/* One event on its way in or out. Texts borrowed. */
struct event {
	int64_t seq, time_ms, shop;
	const char *kind; /* proto_event_name */
	int level;        /* enum log_level; of "log" and "alarm" */
	const char *run, *job, *step;
	const char *state; /* run_state_name; of "run" */
	int attempt;
	const char *text;
};

/* A change somebody waits for. Lives on the caller's stack. */
struct change {
	/* Writer thread, inside the group's transaction. 0 done; 1 refused, with change->err filled and nothing written; -1 the
	 * whole group fails with err. NULL: only the place in the queue counts (flush). */
	int (*apply)(struct journal *journal, struct change *change, struct err *err);
	/* After the commit, before the group is published; may be NULL. */
	void (*committed)(struct journal *journal, struct change *change);
	void *data;
	struct err err;
	int status; /* 0 or -1 once done */
	bool refused, done;
};

struct entry { /* a log line, or a change */
	struct entry *next;
	struct change *change; /* NULL = a line */
	enum log_level level;
	int64_t time_ms, shop;
	size_t bytes;
	const char *run, *job, *step, *text;
	char texts[];
};

struct progress {
	struct progress *next;
	char run[RUN_ID_MAX], step[RUN_STEP_MAX];
	int64_t steps_done, steps_total, items_done, items_total, seen, changed, failed, skipped;
};

struct gate_entry {
	int64_t shop;
	enum gate gate;
};

struct quarantine_entry {
	int64_t shop, count;
};

struct group_piece { /* what one call of publish gets */
	int64_t first, count;
	size_t at;
};

struct journal {
	struct journal_config config;
	char *path;
	char identity[JOURNAL_ID_MAX];
	int lock_fd;
	bool unclean; /* a -wal file was left by whoever had it open last */
	_Atomic int64_t last;

	/* the writer thread's own */
	struct lite writer;
	int64_t next_seq, next_run;         /* of the group at work */
	int64_t committed_seq, committed_run; /* high-water marks on disk */
	struct buf events;                  /* the group's events as JSON */
	struct group_piece *pieces;
	size_t piece_count, piece_cap;

	/* under lock */
	pthread_mutex_t lock;
	pthread_cond_t work, done, room;
	pthread_t thread;
	bool started, stopping;
	struct entry *head, **tail;
	int64_t lines, changes; /* lines: also those of the group at work */
	int64_t commit_ns;      /* when the last commit ended */
	int64_t lost;           /* lines that found the queue full and the disk out of order; told by the next good commit */
	struct progress *progress;
	int64_t progress_ns;
	bool failed; /* the last commit did */
	int64_t failed_ns; /* and since when they do */
	struct err failure;
	int64_t retry_ns;
	int tries; /* failed commits in a row since stopping */

	pthread_mutex_t gate_lock; /* the small tables in memory */
	struct gate_entry *gates;
	size_t gate_count;
	struct quarantine_entry *quarantines;
	size_t quarantine_count;
	struct {
		char name[16]; /* "" = free */
		int64_t seq;
	} keeps[JOURNAL_KEEPS];

	struct retention *retention; /* its thread; NULL = none */

	pthread_mutex_t watch_lock; /* held while they are called */
	struct journal_watch *watches;

	pthread_mutex_t listen_lock;
	void (*alarms_changed)(void *arg);
	void *alarms_arg;

	pthread_mutex_t reader_lock;
	pthread_cond_t reader_free;
	struct lite readers[JOURNAL_READERS];
	bool reader_taken[JOURNAL_READERS];
};

/* journal_writer.c */
int writer_start(struct journal *journal, struct err *err) MUSTCHECK;
void writer_stop(struct journal *journal);
/* Queues the change and waits for its end. 0, or -1 with err. */
int writer_change(struct journal *journal, struct change *change, struct err *err) MUSTCHECK;
/* Writer thread, inside a group. Gives the event its number, stores it and adds it to what will be published. */
int writer_event(struct journal *journal, struct event *event, struct err *err) MUSTCHECK;

/* journal_file.c: the file. Opens journal->writer, checks or creates the schema, reads identity and marks. */
int file_open(struct journal *journal, struct err *err) MUSTCHECK;
void file_close(struct journal *journal);

/* journal_events.c */
int event_insert(struct lite *lite, const struct event *event, struct err *err) MUSTCHECK;
void event_format(struct buf *out, const struct event *event);

/* journal_tail.c: tells the watches of the group that was committed. Writer thread, without the lock. */
void tail_tell(struct journal *journal);

/* journal_runs.c */
int progress_store(struct lite *lite, const struct progress *progress, struct err *err) MUSTCHECK;

/* journal_kpi.c: what retention deleted, in sums: days in the zone of the reports, durations as they were (percentiles need them), and
 * what came last of each job and shop (good_ms: success or partial; failures: failed ones after it). runs_figures covers the rest. */
#define KPI_TABLES                                                                                                               \
	"CREATE TABLE IF NOT EXISTS kpi_days(job TEXT, shop INTEGER, day INTEGER, runs INTEGER NOT NULL, success INTEGER NOT NULL,"   \
	" partial INTEGER NOT NULL, failed INTEGER NOT NULL, cancelled INTEGER NOT NULL, retries INTEGER NOT NULL,"                   \
	" waited INTEGER NOT NULL, wait_ms INTEGER NOT NULL, wait_max_ms INTEGER NOT NULL, pushed INTEGER NOT NULL,"                  \
	" refused INTEGER NOT NULL, PRIMARY KEY(job, shop, day)) WITHOUT ROWID;"                                                      \
	"CREATE TABLE IF NOT EXISTS kpi_durations(job TEXT, shop INTEGER, duration_ms INTEGER, runs INTEGER NOT NULL,"                \
	" PRIMARY KEY(job, shop, duration_ms)) WITHOUT ROWID;"                                                                        \
	"CREATE TABLE IF NOT EXISTS kpi_last(job TEXT, shop INTEGER, good_ms INTEGER NOT NULL, failures INTEGER NOT NULL,"            \
	" error_ms INTEGER NOT NULL, error_text TEXT NOT NULL, PRIMARY KEY(job, shop)) WITHOUT ROWID;"                                \
	"CREATE INDEX IF NOT EXISTS runs_figures ON runs(job, shop, finished_ms, state, duration_ms, attempt, queued_ms, started_ms," \
	" changed, failed) WHERE over = 1;"
/* Writer thread, inside a group: adds the ended run to the sums. Its row is deleted in the same group. Runs of a job and shop must
 * come in the order of their ends. */
int kpi_fold(struct journal *journal, int64_t run, struct err *err) MUSTCHECK;

/* journal_gates.c */
int gates_load(struct journal *journal, struct err *err) MUSTCHECK;

/* journal_alarm.c; writer thread. open: the event and the alarm of a record, whatever its run has said before; once committed, tell.
 * end_run: what the end of a run, whose move is stored, means to the alarms. tell: the listener. */
int alarms_open(struct journal *journal, const struct alarm_record *record, struct err *err) MUSTCHECK;
int alarms_end_run(struct journal *journal, const struct run_record *run, const struct alarm_end *end, struct err *err) MUSTCHECK;
void alarms_tell(struct journal *journal);

/* journal_quarantine.c */
int quarantine_load(struct journal *journal, struct err *err) MUSTCHECK;

/* journal_reader.c: takes one of the read-only connections, waiting for it; opened at its first use. NULL with err. */
struct lite *reader_take(struct journal *journal, struct err *err) MUSTCHECK;
void reader_put(struct journal *journal, struct lite *lite);

/* run_id.c. The number carries the rest: it is unique over all jobs and shops. */
void run_id_format(char *out, const char *job, int64_t shop, int64_t number);
/* True when id is exactly what run_id_format writes. job may be NULL (else out[JOB_ID_MAX]), shop too. */
bool run_id_split(const char *id, char *job, int64_t *shop, int64_t *number);

#endif
